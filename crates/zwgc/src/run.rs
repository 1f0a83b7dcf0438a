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
    Client, ClientError, account, block_on,
    engine::Arrival,
    localtime,
    location::{Exposure, Location},
    renewal::Event,
    subscription::Request,
    system_words,
    variables::Variables,
    windowgram_port,
};
use zephyr_core::names;
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
        eprintln!("zwgc: {}", system_words(&error));
        FAILURE
    })
}

async fn whole(options: &Options) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let opened = async { Client::open(zephyr_client::Options::from_environment()?).await };
    let opened = tokio::select! {
        opened = opened => opened,
        () = signals.stop() => return Ok(0),
    };
    let mut client = match opened {
        Ok(client) => client,
        Err(error) => {
            complain(&error, "while initializing Zephyr");
            return Ok(NO_ZEPHYR);
        }
    };
    let file = windowgram_port::path();
    if let Err(error) = windowgram_port::create(&file, client.port()) {
        let name = file.display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            eprintln!("zwgc: windowgram file already exists.  If you are");
            eprintln!("zwgc: not already running zwgc, delete {name}");
            eprintln!("zwgc: and try again.");
        } else {
            eprintln!("zwgc: error while opening {name} for writing: {}", system_words(&error));
        }
        return Ok(FAILURE);
    }
    let location = Location::here(options.tty.as_deref());
    let served = tokio::select! {
        served = serve(&mut client, options, &location, &file) => served,
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
        eprintln!("zwgc: error while trying to delete {}: {}", file.display(), system_words(&error));
    }
    tokio::select! {
        () = goodbye(&mut client, &location) => {}
        () = tokio::time::sleep(GOODBYE) => tracing::info!("the server does not answer the good-bye"),
        () = signals.stop() => {}
    }
    Ok(status)
}

/// Tells the server that nobody is here any more. What it refuses does not matter now.
async fn goodbye(client: &mut Client, location: &Location) {
    let port = client.port();
    if let Err(error) = client.unset_location(location, port).await {
        tracing::debug!(%error, "while ending the location");
    }
    if let Err(error) = client.cancel_subscriptions(port).await {
        tracing::debug!(%error, "while cancelling subscriptions");
    }
}

/// Announces the user, subscribes, and shows what comes, until an EXIT notice or the terminal's end.
async fn serve(client: &mut Client, options: &Options, location: &Location, file: &Path) -> Result<(), ClientError> {
    let port = client.port();
    let exposure = exposure(Variables::read().text("exposure").as_deref());
    match client.set_location(exposure, location, port).await {
        Ok(()) | Err(ClientError::NotLoggedIn) => {}
        Err(error) => complain(&error, "while setting location"),
    }
    let active = exposure != Exposure::None;
    let wanted = if active { SubscriptionFile::read(options) } else { None };
    let mut subscribed = active && begin(client, wanted.as_ref(), location).await;
    let (mut tickets, mut warned) = (client.tickets(), false);
    let mut rewrite = signal(SignalKind::user_defined1())?;
    let mut hidden = HashSet::new();
    loop {
        let arrival = tokio::select! {
            arrival = client.receive_any() => arrival?,
            event = tickets.next(), if active => {
                if tell(event, &mut warned) {
                    // What is already subscribed to stays as it is, which may not be what the subscription file says: other
                    // programs change it.
                    subscribed = if subscribed && event == Event::New {
                        renew_key(client).await
                    } else {
                        begin(client, wanted.as_ref(), location).await
                    };
                    if !subscribed {
                        tickets.failed();
                    }
                }
                continue;
            }
            _ = rewrite.recv() => {
                if let Err(error) = windowgram_port::renew(file, port) {
                    eprintln!("zwgc: error while opening {} for writing: {}", file.display(), system_words(&error));
                }
                continue;
            }
        };
        if let Some(why) = &arrival.hidden {
            // Said once each: whoever can make notices up could otherwise fill the terminal with that.
            if hidden.len() < MAX_REASONS && hidden.insert(why.clone()) {
                eprintln!("zwgc: not showing a notice, nor others like it: {}", sanitize::line(why.as_bytes()));
            }
            continue;
        }
        match treatment(&arrival, client, active) {
            Treatment::Show => show(&arrival)?,
            Treatment::Drop => {}
            Treatment::Exit => return Ok(()),
        }
    }
}

/// Says what the user should know about the tickets; true when it is time to subscribe with new ones.
fn tell(event: Event, warned: &mut bool) -> bool {
    match event {
        // Whoever gets new tickets in time need not be told.
        Event::New if !*warned => tracing::info!("there are new tickets"),
        Event::New | Event::First => eprintln!("zwgc: there are new tickets: subscribing with them."),
        Event::EndsSoon(end) => {
            let end = localtime::figures(end);
            eprintln!(
                "zwgc: your tickets end at {end}. Run kinit: without new ones nothing can be proven from then on."
            );
        }
        Event::Ended => {
            eprintln!("zwgc: your tickets have ended. Run kinit to send and to subscribe with proof again.");
        }
    }
    *warned = matches!(event, Event::EndsSoon(_) | Event::Ended);
    !*warned
}

/// Subscribes to what the subscription file says; true when the server has taken it.
async fn begin(client: &mut Client, file: Option<&SubscriptionFile>, location: &Location) -> bool {
    // That there is none was said, and will not change.
    let Some(file) = file else { return true };
    if let Err(error) = client.identify() {
        tracing::debug!(%error, "cannot read whose credentials there are");
    }
    subscribe(client, &file.wishes(client, location)).await
}

/// True when the server has taken the key of the new tickets.
async fn renew_key(client: &mut Client) -> bool {
    match client.renew_key().await {
        Ok(()) => true,
        Err(error) => {
            complain(&error, "while subscribing with new tickets");
            false
        }
    }
}

/// True when the server has taken the subscriptions.
async fn subscribe(client: &mut Client, wishes: &Wishes) -> bool {
    let port = client.port();
    let mut subscribed = false;
    // Also an empty list is sent: the server answers it with its default subscriptions.
    match client.subscribe(Request::Subscribe, &wishes.subscriptions, port).await {
        Ok(()) => {
            subscribed = true;
            tracing::info!("subscribed, listening on port {port}");
            if let Some(words) = client.remark() {
                eprintln!("zwgc: not all of the subscriptions: {words}");
            }
        }
        Err(error) => complain(&error, "while subscribing"),
    }
    if !wishes.unsubscriptions.is_empty()
        && let Err(error) = client.subscribe(Request::Unsubscribe, &wishes.unsubscriptions, port).await
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
                eprintln!("zwgc: error while opening {} for reading: {}", path.display(), system_words(&error));
                None
            }
        }
    }

    /// What it says, under the name that the user has now.
    fn wishes(&self, client: &Client, location: &Location) -> Wishes {
        let macros = Macros {
            host: host::own_name().unwrap_or_default().into_bytes(),
            canon: location.host.clone().into_bytes(),
            me: client.sender().to_vec(),
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

fn treatment(arrival: &Arrival, client: &Client, active: bool) -> Treatment {
    let notice = arrival.delivered.notice();
    if notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(b"USER") {
        // Nothing proves who sends control notices, so at least they must come from this machine.
        let local = arrival.from.ip().is_loopback() || arrival.from.ip() == client.address();
        if local && notice.opcode.eq_ignore_ascii_case(b"EXIT") {
            return Treatment::Exit;
        }
        tracing::info!(from = %arrival.from, opcode = %notice.opcode.escape_ascii(), "ignored a control notice");
        return Treatment::Drop;
    }
    // A ping only asks whether somebody would receive a message.
    if !active || notice.opcode.eq_ignore_ascii_case(names::PING) {
        return Treatment::Drop;
    }
    Treatment::Show
}

fn show(arrival: &Arrival) -> io::Result<()> {
    let colours = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
    let shown = windowgram::render(&arrival.delivered.notice(), &arrival.verdict, colours);
    let mut out = stdout().lock();
    out.write_all(shown.as_bytes())?;
    out.flush()
}

/// An error, when it happened, and what can be done about it.
fn complain(error: &ClientError, context: &str) {
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
