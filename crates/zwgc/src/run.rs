//! The course of zwgc (zwgc, sections 2, 5 and 6).

use crate::{
    options::Options,
    sanitize,
    subscription_file::{self, Macros, Wishes},
    windowgram,
};
use std::{
    collections::HashSet,
    env, fs,
    io::{self, IsTerminal as _, Read, Write as _, stdin, stdout},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zephyr_client::{
    Error, Exposure, Inbox, Location, OperationError, Received, Result, Subscriptions, TicketEvent, Zephyr, account,
    block_on, localtime, names, system_text, variables::Variables, windowgram_port,
};
use zephyr_net::host;

/// Exit status: the port file, the command line, or the terminal.
const FAILURE: u8 = 1;
/// Exit status: Zephyr could not be reached.
const NO_ZEPHYR: u8 = 3;

/// How long saying good-bye may take.
const GOODBYE: Duration = Duration::from_secs(10);
/// Reasons for hiding notices that are told.
const MAX_REASONS: usize = 16;
/// Octets of a subscription file that are read.
const MAX_FILE: u64 = 1 << 20;

/// Runs until a signal or an EXIT notice; gives the exit status.
pub fn run(options: &Options) -> u8 {
    for option in &options.ignored {
        tracing::warn!("{option} has no effect yet");
    }
    block_on(whole(options)).and_then(|status| status).unwrap_or_else(|error| {
        eprintln!("zwgc: {}", system_text(&error));
        FAILURE
    })
}

/// Connects as the environment says. Tickets are looked after by this program, which tells of them.
async fn connect() -> Result<(Zephyr, Inbox)> {
    let options = zephyr_client::Options::from_environment()?;
    zephyr_client::Options { renews_tickets: false, ..options }.connect().await
}

async fn whole(options: &Options) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let connected = tokio::select! {
        connected = connect() => connected,
        () = signals.stop() => return Ok(0),
    };
    let (zephyr, mut inbox) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            complain(&error, "while initializing Zephyr");
            return Ok(NO_ZEPHYR);
        }
    };
    let file = windowgram_port::path();
    if let Err(error) = windowgram_port::create(&file, zephyr.port()) {
        let name = file.display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            eprintln!("zwgc: windowgram file already exists.  If you are");
            eprintln!("zwgc: not already running zwgc, delete {name}");
            eprintln!("zwgc: and try again.");
        } else {
            eprintln!("zwgc: error while opening {name} for writing: {}", system_text(&error));
        }
        return Ok(FAILURE);
    }
    let location = Location::here(options.tty.as_deref());
    let served = tokio::select! {
        served = serve(&zephyr, &mut inbox, options, &location, &file) => served,
        () = signals.stop() => Ok(()),
    };
    let status = match served {
        Ok(()) => 0,
        Err(error) => {
            complain(&error, "while receiving notices");
            FAILURE
        }
    };
    if let Err(error) = fs::remove_file(&file) {
        eprintln!("zwgc: error while trying to delete {}: {}", file.display(), system_text(&error));
    }
    tokio::select! {
        () = goodbye(&zephyr, &location) => {}
        () = tokio::time::sleep(GOODBYE) => tracing::info!("the server does not answer the good-bye"),
        () = signals.stop() => {}
    }
    Ok(status)
}

/// Tells the server that nobody is here any more. What it refuses does not matter now.
async fn goodbye(zephyr: &Zephyr, location: &Location) {
    if let Err(error) = zephyr.unset_location(location).await {
        tracing::debug!(%error, "while ending the location");
    }
    if let Err(error) = zephyr.cancel_subscriptions().await {
        tracing::debug!(%error, "while cancelling subscriptions");
    }
}

/// Announces the user, subscribes, and shows what comes, until an EXIT notice or the terminal's end.
async fn serve(zephyr: &Zephyr, inbox: &mut Inbox, options: &Options, location: &Location, file: &Path) -> Result<()> {
    let exposure = exposure(Variables::read().text("exposure").as_deref());
    match zephyr.set_location(exposure, location).await {
        Ok(()) | Err(Error::Operation(OperationError::NotLoggedIn)) => {}
        Err(error) => complain(&error, "while setting location"),
    }
    let active = exposure != Exposure::None;
    let wanted = if active { SubscriptionFile::read(options) } else { None };
    let mut subscribed = active && begin(zephyr, wanted.as_ref(), location).await;
    let (mut tickets, mut warned) = (zephyr.tickets(), false);
    let mut rewrite = signal(SignalKind::user_defined1())?;
    let mut hidden = HashSet::new();
    loop {
        let received = tokio::select! {
            received = inbox.next_any() => match received? {
                Some(received) => received,
                None => return Ok(()),
            },
            event = tickets.next(), if active => {
                if tell(event, &mut warned) {
                    // What is already subscribed to stays as it is, which may not be what the subscription file says: other
                    // programs change it.
                    subscribed = if subscribed && event == TicketEvent::New {
                        renew_key(zephyr).await
                    } else {
                        begin(zephyr, wanted.as_ref(), location).await
                    };
                    if !subscribed {
                        tickets.failed();
                    }
                }
                continue;
            }
            _ = rewrite.recv() => {
                if let Err(error) = windowgram_port::renew(file, zephyr.port()) {
                    eprintln!("zwgc: error while opening {} for writing: {}", file.display(), system_text(&error));
                }
                continue;
            }
        };
        if let Some(why) = received.hidden() {
            // Said once each: whoever can make notices up could otherwise fill the terminal with that.
            if hidden.len() < MAX_REASONS && hidden.insert(why.clone()) {
                let why = sanitize::line(why.to_string().as_bytes());
                eprintln!("zwgc: not showing a notice, nor others like it: {why}");
            }
            continue;
        }
        match treatment(&received, zephyr, active) {
            Treatment::Show => show(&received)?,
            Treatment::Drop => {}
            Treatment::Exit => return Ok(()),
        }
    }
}

/// Says what the user should know about the tickets; true when it is time to subscribe with new ones.
fn tell(event: TicketEvent, warned: &mut bool) -> bool {
    match event {
        // Whoever gets new tickets in time need not be told.
        TicketEvent::New if !*warned => tracing::info!("there are new tickets"),
        TicketEvent::New | TicketEvent::First => eprintln!("zwgc: there are new tickets: subscribing with them."),
        TicketEvent::EndsSoon(end) => {
            let end = localtime::date_and_time(end);
            eprintln!(
                "zwgc: your tickets end at {end}. Run kinit: without new ones nothing can be proven from then on."
            );
        }
        TicketEvent::Ended => {
            eprintln!("zwgc: your tickets have ended. Run kinit to send and to subscribe with proof again.");
        }
    }
    *warned = matches!(event, TicketEvent::EndsSoon(_) | TicketEvent::Ended);
    !*warned
}

/// Subscribes to what the subscription file says; true when the server has taken it.
async fn begin(zephyr: &Zephyr, file: Option<&SubscriptionFile>, location: &Location) -> bool {
    // That there is none was said, and will not change.
    let Some(file) = file else { return true };
    if let Err(error) = zephyr.identify().await {
        tracing::debug!(%error, "cannot read whose credentials there are");
    }
    subscribe(zephyr, file.wishes(zephyr, location)).await
}

/// True when the server has taken the key of the new tickets.
async fn renew_key(zephyr: &Zephyr) -> bool {
    match zephyr.renew_key().await {
        Ok(()) => true,
        Err(error) => {
            complain(&error, "while subscribing with new tickets");
            false
        }
    }
}

/// True when the server has taken the subscriptions.
async fn subscribe(zephyr: &Zephyr, wishes: Wishes) -> bool {
    let mut subscribed = false;
    // Also an empty list is sent: the server answers it with its default subscriptions.
    match zephyr.subscribe_with_defaults(wishes.subscriptions).await {
        Ok(message) => {
            subscribed = true;
            tracing::info!("subscribed, listening on port {}", zephyr.port());
            if let Some(message) = message {
                eprintln!("zwgc: not all of the subscriptions: {message}");
            }
        }
        Err(error) => complain(&error, "while subscribing"),
    }
    let unwanted: Subscriptions = wishes.unsubscriptions.into();
    if !unwanted.0.is_empty()
        && let Err(error) = zephyr.unsubscribe(unwanted).await
    {
        complain(&error, "while unsubscribing");
    }
    subscribed
}

/// The exposure that the user's variable names.
fn exposure(variable: Option<&str>) -> Exposure {
    let Some(name) = variable else { return Exposure::OpStaff };
    Exposure::named(name.trim()).unwrap_or_else(|| {
        eprintln!("zwgc: invalid exposure level {name}, using exposure level none instead.");
        Exposure::None
    })
}

/// The user's subscription file.
struct SubscriptionFile {
    path: PathBuf,
    text: Vec<u8>,
}

impl SubscriptionFile {
    /// Reads it, once: it may be standard input. `None` when it should be there and cannot be read.
    fn read(options: &Options) -> Option<Self> {
        let (path, asked_for) = match &options.subscription_file {
            Some(path) => (path.clone(), true),
            None => (account::home().unwrap_or_default().join(".zephyr.subs"), false),
        };
        match contents(&path) {
            Ok(text) => Some(Self { path, text }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !asked_for => {
                Some(Self { path, text: Vec::new() })
            }
            Err(error) => {
                eprintln!("zwgc: error while opening {} for reading: {}", path.display(), system_text(&error));
                None
            }
        }
    }

    /// What it says, under the name that the user has now.
    fn wishes(&self, zephyr: &Zephyr, location: &Location) -> Wishes {
        let macros = Macros {
            host: host::own_name().unwrap_or_default().into_bytes(),
            canon: location.host.clone().into_bytes(),
            me: zephyr.endpoint().sender,
        };
        let wishes = subscription_file::parse(&self.text, &macros);
        for line in &wishes.malformed {
            eprintln!("zwgc: line {line} of {} is not class,instance,recipient: skipped", self.path.display());
        }
        if !wishes.punts.is_empty() {
            tracing::warn!("lines that begin with - have no effect yet");
        }
        wishes
    }
}

fn contents(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if path == Path::new("-") {
        stdin().take(MAX_FILE).read_to_end(&mut text)?;
    } else {
        fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// What becomes of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Show,
    Drop,
    Exit,
}

fn treatment(received: &Received, zephyr: &Zephyr, active: bool) -> Treatment {
    let (notice, from) = (received.notice(), received.from());
    if notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(b"USER") {
        // Nothing proves who sends control notices, so at least they must come from this machine.
        let local = from.ip().is_loopback() || from.ip() == zephyr.address();
        if local && notice.opcode.eq_ignore_ascii_case(b"EXIT") {
            return Treatment::Exit;
        }
        tracing::info!(%from, opcode = %notice.opcode.escape_ascii(), "ignored a control notice");
        return Treatment::Drop;
    }
    // A ping only asks whether somebody would receive a message.
    if !active || received.is_ping() {
        return Treatment::Drop;
    }
    Treatment::Show
}

fn show(received: &Received) -> io::Result<()> {
    let colours = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
    let shown = windowgram::render(&received.notice(), received.verdict(), colours);
    let mut out = stdout().lock();
    out.write_all(shown.as_bytes())?;
    out.flush()
}

/// An error, when it happened, and what can be done about it.
fn complain(error: &Error, context: &str) {
    eprintln!("zwgc: {error} {context}");
    if let Some(advice) = error.advice() {
        eprintln!("zwgc: {advice}");
    }
}

/// The signals that end the program cleanly.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    async fn stop(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposures() {
        assert_eq!(exposure(None), Exposure::OpStaff);
        assert_eq!(exposure(Some(" net-visible ")), Exposure::NetVisible);
        assert_eq!(exposure(Some("everybody")), Exposure::None);
    }
}
