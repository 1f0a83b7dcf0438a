//! The procedure of zwgc (zwgc, sections 2, 5 and 6).

use crate::{
    options::Options,
    port_files::PortFiles,
    presence::{PortRefused, Presence},
    report::{report, report_error},
    subscription_file::SubscriptionFile,
    waiting::telling,
    windowgram::{self, Style},
};
use std::{
    collections::HashSet,
    env,
    io::{self, IsTerminal as _, stdout},
    pin::pin,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use zephyr_client::{
    Direct, Error, Exposure, Inbox, Location, Notice, Received, Result, Zephyr, block_on, names, system_text, terminal,
    variables::Variables,
};
use zephyr_core::sanitize;
use zephyr_net::network_watch::NetworkChanges;
use zephyr_output::{Printed, Unwritten, complain};

/// The exit status for errors of the port file, the command line, or the terminal.
const FAILURE: u8 = 1;
/// The exit status when Zephyr could not be reached.
const NO_ZEPHYR: u8 = 3;

/// The time limit for unsetting location and subscriptions at the end.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two attempts to find a server while nobody can say which there are; less where the network changes.
const RECONNECTION_INTERVAL: Duration = Duration::from_secs(10);
/// How long after the signal that ends the program further ones are the same one again.
const REPEATS: Duration = Duration::from_secs(1);
/// The maximum number of different reasons for hiding notices that are reported.
const MAX_REASONS: usize = 16;

/// Runs zwgc until a signal or an EXIT notice; gives the exit status.
pub fn run(options: &Options) -> u8 {
    for option in &options.ignored {
        tracing::warn!("option {option} is accepted and has no effect yet");
    }
    block_on(run_client(options)).and_then(|status| status).unwrap_or_else(|error| {
        complain!("zwgc: {}", system_text(&error));
        FAILURE
    })
}

/// Connects with the options of the environment. This program renews its subscriptions itself, to warn its user about tickets.
async fn connect(options: &Options) -> Result<(Zephyr, Inbox)> {
    let (connection, awaited) = connection(options)?;
    telling(&awaited, connection.connect()).await
}

/// The same at the start, when the network need not be there yet: what may pass is waited for.
async fn first_connection(options: &Options) -> Result<(Zephyr, Inbox)> {
    let (connection, awaited) = connection(options)?;
    let mut network = NetworkChanges::new();
    let pause = async || {
        tokio::select! {
            () = network.changed() => {}
            () = tokio::time::sleep(RECONNECTION_INTERVAL) => {}
        }
    };
    telling(&awaited, persistently(async || connection.clone().connect().await, pause)).await
}

/// How to connect, and what is waited for then.
fn connection(options: &Options) -> Result<(zephyr_client::Options, String)> {
    let mut connection =
        zephyr_client::Options { renews_tickets: false, ..zephyr_client::Options::from_environment()? };
    if options.no_direct {
        connection.direct = Direct::Never;
    }
    let awaited = match connection.direct {
        Direct::Never => format!("the host manager (zhm) at {}", connection.host_manager),
        Direct::Fallback => format!("the host manager (zhm) at {}, or a server", connection.host_manager),
        Direct::Always => "a server".to_owned(),
    };
    Ok((connection, awaited))
}

/// Tries something until it succeeds or fails for a reason that does not pass by itself, with a pause after each failure. The first
/// failure is reported.
async fn persistently<T>(mut attempt: impl AsyncFnMut() -> Result<T>, mut pause: impl AsyncFnMut()) -> Result<T> {
    let mut is_reported = false;
    loop {
        match attempt().await {
            Err(Error::Operation(error)) if error.may_pass() => {
                if !std::mem::replace(&mut is_reported, true) {
                    report_error(&error.into(), "while initializing Zephyr");
                    complain!("zwgc: It is tried again until it succeeds.");
                }
                pause().await;
            }
            result => {
                if is_reported && result.is_ok() {
                    complain!("zwgc: Zephyr can be reached now.");
                }
                return result;
            }
        }
    }
}

async fn run_client(options: &Options) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let connected = tokio::select! {
        connected = first_connection(options) => connected,
        () = signals.stop() => return Ok(0),
    };
    let (mut zephyr, mut inbox) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            report_error(&error, "while initializing Zephyr");
            return Ok(NO_ZEPHYR);
        }
    };
    let (port, address) = (zephyr.port(), zephyr.address());
    // It may have to ask, and to wait for an answer.
    let creation = tokio::task::spawn_blocking(move || PortFiles::create(port, address));
    let created = tokio::select! {
        created = creation => created.map_err(io::Error::other)?,
        () = signals.stop() => return Ok(0),
    };
    let mut files = match created {
        Ok(files) => files,
        Err(already_runs) => {
            // A shell that starts it at each log-in need not hear of it each time.
            if options.debug || terminal::is_in_foreground() {
                already_runs.lines().iter().for_each(|line| complain!("zwgc: {line}"));
            }
            return Ok(FAILURE);
        }
    };
    let user = User::of(options);
    let mut may_move = true;
    let end = loop {
        let end = tokio::select! {
            end = serve(&zephyr, &mut inbox, &user, &mut files, may_move) => end,
            () = signals.stop() => End::Asked,
        };
        let End::PortRefused(error) = end else { break end };
        may_move = false;
        tokio::select! {
            other = connect(options) => move_to(other, &error, &mut zephyr, &mut inbox, &mut files),
            () = signals.stop() => break End::Asked,
        }
    };
    let status = match end {
        End::Asked | End::PortRefused(_) => 0,
        End::Unwritten(error) => {
            complain!("zwgc: {error}");
            FAILURE
        }
        End::Failed(error) => {
            report_error(&error, "while receiving notices");
            FAILURE
        }
    };
    files.delete();
    tokio::select! {
        () = log_out(&zephyr, &user.location) => {}
        () = tokio::time::sleep(LOGOUT_TIMEOUT) => tracing::info!("the server does not answer the good-bye"),
        () = insistence(async || signals.stop().await) => {}
    }
    Ok(status)
}

/// Waits for somebody who will not wait for the good-bye: a signal that comes when it has lasted for a while. Earlier ones repeat
/// what has ended the program: `timeout` signals a program and then its process group, and a log-out hangs up more than once.
async fn insistence(mut signal: impl AsyncFnMut()) {
    let end_of_repeats = Instant::now() + REPEATS;
    loop {
        signal().await;
        if Instant::now() >= end_of_repeats {
            return;
        }
    }
}

/// Goes on with another connection, at another port, as the server refuses the one that there is.
fn move_to(
    other: Result<(Zephyr, Inbox)>,
    refusal: &PortRefused,
    zephyr: &mut Zephyr,
    inbox: &mut Inbox,
    files: &mut PortFiles,
) {
    let port = zephyr.port();
    let error = &refusal.0;
    let Ok((other, its_inbox)) = other else { return };
    report(&format!(
        "zwgc: the server does not subscribe you at port {port} ({error}), which may still be another user's to it: trying port {}.",
        other.port()
    ));
    files.move_to(other.port());
    zephyr.close();
    (*zephyr, *inbox) = (other, its_inbox);
}

/// What is known of the user from the start on.
struct User {
    exposure: Exposure,
    location: Location,
    subscription_file: Option<SubscriptionFile>,
}

impl User {
    fn of(options: &Options) -> Self {
        let variables = Variables::read();
        for problem in variables.problems() {
            report(&format!("zwgc: {}", sanitize::line(problem.to_string().as_bytes())));
        }
        let exposure = exposure(variables.text("exposure").as_deref());
        let subscription_file = if exposure == Exposure::None { None } else { read_subscription_file(options) };
        Self { exposure, location: Location::here(options.tty.as_deref()), subscription_file }
    }
}

/// Why notices are not shown any more.
enum End {
    /// By a signal, by an EXIT notice, because nobody reads what is shown, or because the connection was closed.
    Asked,
    /// The server does not subscribe a client at this port.
    PortRefused(PortRefused),
    /// What was to be shown cannot be written.
    Unwritten(Unwritten),
    /// The connection has failed.
    Failed(Error),
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

/// Sets the location, subscribes, and shows notices.
async fn serve(zephyr: &Zephyr, inbox: &mut Inbox, user: &User, files: &mut PortFiles, may_move: bool) -> End {
    let active = user.exposure != Exposure::None;
    let file = user.subscription_file.as_ref();
    let presence = Presence::new(zephyr, user.exposure, &user.location, file, may_move).keep();
    let mut presence = pin!(presence);
    let mut rewrite = match signal(SignalKind::user_defined1()) {
        Ok(rewrite) => rewrite,
        Err(error) => return End::Failed(error.into()),
    };
    let mut hidden = HashSet::new();
    loop {
        let received = tokio::select! {
            received = inbox.next_any() => match received {
                Ok(Some(received)) => received,
                Ok(None) => return End::Asked,
                Err(error) => return End::Failed(error),
            },
            refused = &mut presence => return End::PortRefused(refused),
            _ = rewrite.recv() => {
                files.renew();
                continue;
            }
        };
        if is_question(&received, zephyr) {
            continue;
        }
        if let Some(reason) = received.hidden() {
            // Reported once each, as forged notices could otherwise fill the terminal.
            if hidden.len() < MAX_REASONS && hidden.insert(reason.clone()) {
                let reason = sanitize::line(reason.to_string().as_bytes());
                report(&format!("zwgc: not showing a notice, nor others like it: {reason}"));
            }
            continue;
        }
        match treatment(&received, zephyr, active) {
            Treatment::Show => match show(&received) {
                Ok(Printed::Written) => {}
                Ok(Printed::NobodyReads) => return End::Asked,
                Err(error) => return End::Unwritten(error),
            },
            Treatment::Drop => {}
            Treatment::Exit => return End::Asked,
        }
    }
}

/// Reads the subscription file. That it cannot be read is reported.
fn read_subscription_file(options: &Options) -> Option<SubscriptionFile> {
    let (file, complaint) = SubscriptionFile::read(options.subscription_file.as_deref());
    for line in complaint.iter().flat_map(|complaint| complaint.lines()) {
        report(line);
    }
    file
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

/// Whether a notice is of those that control a windowgram client.
fn is_control(notice: &Notice<'_>) -> bool {
    notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(names::USER)
}

/// Whether a notice comes from this machine, as far as an address shows it.
fn is_local(received: &Received, zephyr: &Zephyr) -> bool {
    let from = received.from().ip();
    from.is_loopback() || from == zephyr.address()
}

/// Whether a notice is the question of another client of this machine whether somebody is here. That it was acknowledged is the answer.
fn is_question(received: &Received, zephyr: &Zephyr) -> bool {
    let notice = received.notice();
    is_control(&notice) && notice.opcode.eq_ignore_ascii_case(names::UNSUPPRESS) && is_local(received, zephyr)
}

fn treatment(received: &Received, zephyr: &Zephyr, active: bool) -> Treatment {
    let (notice, from) = (received.notice(), received.from());
    if is_control(&notice) {
        // Nothing proves the origin of control notices, so at least they must come from this machine.
        if is_local(received, zephyr) && notice.opcode.eq_ignore_ascii_case(b"EXIT") {
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

fn show(received: &Received) -> std::result::Result<Printed, Unwritten> {
    let colours = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
    let style = Style { colours, screen: terminal::screen(&stdout()) };
    zephyr_output::print(windowgram::render(&received.notice(), received.verdict(), style))
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
    use zephyr_client::OperationError;

    #[test]
    fn exposures() {
        assert_eq!(exposure(None), Exposure::OpStaff);
        assert_eq!(exposure(Some(" net-visible ")), Exposure::NetVisible);
        assert_eq!(exposure(Some("everybody")), Exposure::None);
    }

    /// At log-in, before the network is there.
    #[tokio::test]
    async fn what_may_pass_is_waited_for() {
        let silent = || Error::Operation(OperationError::SourcesSilent("DNS does not answer".into()));
        let unnamed = || Error::Operation(OperationError::NoServer("no source names one".into()));
        for (ends, found) in
            [(vec![Ok(7), Err(silent()), Err(silent())], true), (vec![Err(unnamed()), Err(silent())], false)]
        {
            let (mut results, mut pauses) = (ends, 0);
            let failures = results.len() - 1;
            let end = persistently(async || results.pop().unwrap(), async || pauses += 1).await;
            assert_eq!((end.is_ok(), pauses), (found, failures));
        }
        assert!(persistently(async || Err::<(), _>(unnamed()), async || panic!("that does not pass")).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_that_comes_twice_at_once_does_not_cut_the_goodbye_short() {
        let (mut signals, began) = (0, Instant::now());
        insistence(async || {
            tokio::time::sleep(Duration::from_millis(400)).await;
            signals += 1;
        })
        .await;
        assert_eq!((signals, began.elapsed()), (3, Duration::from_millis(1200)));
    }
}
