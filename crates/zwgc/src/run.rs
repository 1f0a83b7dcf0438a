//! The procedure of zwgc (zwgc, sections 2, 5 and 6).

use crate::{
    options::Options,
    port_files::PortFiles,
    subscription_file::{Entries, Macros, SubscriptionFile},
    windowgram::{self, Style},
};
use std::{
    collections::HashSet,
    env,
    io::{self, IsTerminal as _, Write as _, stderr, stdout},
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zephyr_client::{
    Error, Exposure, Inbox, Location, OperationError, Received, Result, SubscriptionEvent, Subscriptions, TicketEvent,
    Zephyr, block_on, localtime, names, system_text, terminal, variables::Variables,
};
use zephyr_core::{charset::Charset, sanitize};
use zephyr_net::host;

/// The exit status for errors of the port file, the command line, or the terminal.
const FAILURE: u8 = 1;
/// The exit status when Zephyr could not be reached.
const NO_ZEPHYR: u8 = 3;

/// The time limit for unsetting location and subscriptions at the end.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of different reasons for hiding notices that are reported.
const MAX_REASONS: usize = 16;

/// Runs zwgc until a signal or an EXIT notice; gives the exit status.
pub fn run(options: &Options) -> u8 {
    for option in &options.ignored {
        tracing::warn!("{option} has no effect yet");
    }
    block_on(run_client(options)).and_then(|status| status).unwrap_or_else(|error| {
        eprintln!("zwgc: {}", system_text(&error));
        FAILURE
    })
}

/// Connects with the options of the environment. This program renews its subscriptions itself, to warn its user about tickets.
async fn connect() -> Result<(Zephyr, Inbox)> {
    let options = zephyr_client::Options::from_environment()?;
    zephyr_client::Options { renews_tickets: false, ..options }.connect().await
}

async fn run_client(options: &Options) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let connected = tokio::select! {
        connected = connect() => connected,
        () = signals.stop() => return Ok(0),
    };
    let (zephyr, mut inbox) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            report_error(&error, "while initializing Zephyr");
            return Ok(NO_ZEPHYR);
        }
    };
    let Ok(mut files) = PortFiles::create(zephyr.port()) else { return Ok(FAILURE) };
    let location = Location::here(options.tty.as_deref());
    let served = tokio::select! {
        served = serve(&zephyr, &mut inbox, options, &location, &mut files) => served,
        () = signals.stop() => Ok(()),
    };
    let status = match served {
        Ok(()) => 0,
        Err(error) => {
            report_error(&error, "while receiving notices");
            FAILURE
        }
    };
    files.delete();
    tokio::select! {
        () = log_out(&zephyr, &location) => {}
        () = tokio::time::sleep(LOGOUT_TIMEOUT) => tracing::info!("the server does not answer the good-bye"),
        () = signals.stop() => {}
    }
    Ok(status)
}

/// Unsets the location and cancels the subscriptions. Errors are only logged.
async fn log_out(zephyr: &Zephyr, location: &Location) {
    if let Err(error) = zephyr.unset_location(location).await {
        tracing::debug!(%error, "while ending the location");
    }
    if let Err(error) = zephyr.cancel_subscriptions().await {
        tracing::debug!(%error, "while cancelling subscriptions");
    }
}

/// Sets the location, subscribes, and shows notices, until an EXIT notice or an error of the terminal.
async fn serve(
    zephyr: &Zephyr,
    inbox: &mut Inbox,
    options: &Options,
    location: &Location,
    files: &mut PortFiles,
) -> Result<()> {
    let variables = Variables::read();
    for problem in variables.problems() {
        report(&format!("zwgc: {}", sanitize::line(problem.to_string().as_bytes())));
    }
    let exposure = exposure(variables.text("exposure").as_deref());
    set_location(zephyr, exposure, location).await;
    let active = exposure != Exposure::None;
    let subscription_file = if active { read_subscription_file(options) } else { None };
    let mut subscribed = active && begin(zephyr, subscription_file.as_ref(), location).await;
    let (mut tickets, mut warned) = (zephyr.tickets(), false);
    let mut subscriptions = zephyr.subscription_watch();
    let mut rewrite = signal(SignalKind::user_defined1())?;
    let mut hidden = HashSet::new();
    loop {
        let received = tokio::select! {
            received = inbox.next_any() => match received? {
                Some(received) => received,
                None => return Ok(()),
            },
            event = tickets.next(), if active => {
                if report_tickets(event, &mut warned) {
                    // Present subscriptions stay as they are, which need not be those of the subscription file: other
                    // programs change them.
                    subscribed = if subscribed && event == TicketEvent::New {
                        renew_key(zephyr).await
                    } else {
                        begin(zephyr, subscription_file.as_ref(), location).await
                    };
                    if !subscribed {
                        tickets.failed();
                    }
                }
                continue;
            }
            event = subscriptions.next() => {
                match event {
                    SubscriptionEvent::Restored => {
                        eprintln!("zwgc: the server had forgotten you: subscribed again.");
                        // It has most likely forgotten the location, too.
                        set_location(zephyr, exposure, location).await;
                    }
                    SubscriptionEvent::NotRestored(error) => report_error(
                        &error.into(),
                        "while subscribing again, as the server has forgotten you. Trying now and then",
                    ),
                }
                continue;
            }
            _ = rewrite.recv() => {
                files.renew();
                continue;
            }
        };
        if let Some(reason) = received.hidden() {
            // Reported once each, as forged notices could otherwise fill the terminal.
            if hidden.len() < MAX_REASONS && hidden.insert(reason.clone()) {
                let reason = sanitize::line(reason.to_string().as_bytes());
                report(&format!("zwgc: not showing a notice, nor others like it: {reason}"));
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

/// Sets the location. Errors are reported.
async fn set_location(zephyr: &Zephyr, exposure: Exposure, location: &Location) {
    match zephyr.set_location(exposure, location).await {
        Ok(()) | Err(Error::Operation(OperationError::NotLoggedIn)) => {}
        Err(error) => report_error(&error, "while setting location"),
    }
}

/// Reports a change of the tickets to the user; true when the program must subscribe with new ones.
fn report_tickets(event: TicketEvent, warned: &mut bool) -> bool {
    match event {
        // New tickets in time need no report.
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

/// Subscribes by the subscription file; true when the server has accepted it.
async fn begin(zephyr: &Zephyr, file: Option<&SubscriptionFile>, location: &Location) -> bool {
    // That there is none was reported, and will not change.
    let Some(file) = file else { return true };
    if let Err(error) = zephyr.identify().await {
        tracing::debug!(%error, "cannot read whose credentials there are");
    }
    subscribe(zephyr, entries(file, zephyr, location)).await
}

/// Reads the subscription file. That it cannot be read is reported.
fn read_subscription_file(options: &Options) -> Option<SubscriptionFile> {
    let (file, complaint) = SubscriptionFile::read(options.subscription_file.as_deref());
    if let Some(complaint) = complaint {
        report(&complaint);
    }
    file
}

/// The entries of the subscription file, with the user's current name. Lines that are none are reported.
fn entries(file: &SubscriptionFile, zephyr: &Zephyr, location: &Location) -> Entries {
    let macros = Macros {
        host: host::own_name().unwrap_or_default().into_bytes(),
        canon: location.host.clone().into_bytes(),
        me: zephyr.endpoint().sender,
    };
    let entries = file.entries(&macros);
    for line in file.complaints(&entries) {
        report(&line);
    }
    if !entries.punts.is_empty() {
        tracing::warn!("lines that begin with - have no effect yet");
    }
    entries
}

/// Sends the server the key of new tickets; true when it has accepted it.
async fn renew_key(zephyr: &Zephyr) -> bool {
    match zephyr.renew_key().await {
        Ok(()) => true,
        Err(error) => {
            report_error(&error, "while subscribing with new tickets");
            false
        }
    }
}

/// Changes the subscriptions; true when the server has accepted them.
async fn subscribe(zephyr: &Zephyr, entries: Entries) -> bool {
    let mut subscribed = false;
    // An empty list is sent, too: it adds the server's default subscriptions.
    match zephyr.subscribe_with_defaults(entries.subscriptions).await {
        Ok(message) => {
            subscribed = true;
            tracing::info!("subscribed, listening on port {}", zephyr.port());
            if let Some(message) = message {
                report(&format!("zwgc: not all of the subscriptions: {message}"));
            }
        }
        Err(error) => report_error(&error, "while subscribing"),
    }
    let unwanted: Subscriptions = entries.unsubscriptions.into();
    if !unwanted.0.is_empty()
        && let Err(error) = zephyr.unsubscribe(unwanted).await
    {
        report_error(&error, "while unsubscribing");
    }
    subscribed
}

/// The exposure that the user's variable names.
fn exposure(variable: Option<&str>) -> Exposure {
    let Some(name) = variable else { return Exposure::OpStaff };
    Exposure::named(name.trim()).unwrap_or_else(|| {
        let name = sanitize::name(name.as_bytes());
        report(&format!("zwgc: invalid exposure level {name}, using exposure level none instead."));
        Exposure::None
    })
}

/// The treatment of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Show,
    Drop,
    Exit,
}

fn treatment(received: &Received, zephyr: &Zephyr, active: bool) -> Treatment {
    let (notice, from) = (received.notice(), received.from());
    if notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(b"USER") {
        // Nothing proves the origin of control notices, so at least they must come from this machine.
        let local = from.ip().is_loopback() || from.ip() == zephyr.address();
        if local && notice.opcode.eq_ignore_ascii_case(b"EXIT") {
            return Treatment::Exit;
        }
        tracing::info!(%from, opcode = %sanitize::name(notice.opcode), "ignored a control notice");
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
    let style = Style { colours, screen: terminal::screen(&stdout()) };
    let shown = windowgram::render(&received.notice(), received.verdict(), style);
    let mut out = stdout().lock();
    out.write_all(shown.as_bytes())?;
    out.flush()
}

/// Prints a line that quotes somebody; nothing of it is at the beginning of a terminal's row but what it begins with.
fn report(text: &str) {
    terminal::write_lines(&mut stderr(), text);
}

/// Prints an error with its context, and the advice about it.
fn report_error(error: &Error, context: &str) {
    report(&format!("zwgc: {} {context}", sanitize::lines(error.to_string().as_bytes(), Charset::UTF8)));
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
