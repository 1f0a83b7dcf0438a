//! The procedure of zwgc (zwgc, sections 2 and 6).

use crate::{
    background::Background,
    connecting::{connect, first_connection},
    format::{self, Format},
    notice_log::NoticeLog,
    options::Options,
    output::Output,
    port_files::PortFiles,
    presence::PortRefused,
    report::{report, report_error},
    session::{End, FirstTime, Session, rewrite_signal},
    signals::{Signals, block_those_of_terminal},
    subscription_file::SubscriptionFile,
    terminal_watch::TerminalWatch,
    wishes::Wishes,
};
use std::{collections::HashSet, io, time::Duration};
use tokio::time::Instant;
use zephyr_client::{Inbox, Location, Result, Zephyr, block_on, system_text, terminal, variables::Variables};
use zephyr_core::sanitize;
use zephyr_output::complain;

/// The exit status for errors of the port file, the command line, or the terminal.
const FAILURE: u8 = 1;
/// The exit status when Zephyr could not be reached.
const NO_ZEPHYR: u8 = 3;

/// The time limit for showing what has come, and for unsetting location and subscriptions at the end.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after the signal that ends the program further ones are the same one again.
const REPEATS: Duration = Duration::from_secs(1);

/// Runs zwgc until a signal or an EXIT notice; gives the exit status.
pub fn run(options: &Options) -> u8 {
    begin(options).unwrap_or_else(|error| {
        complain!("zwgc: {}", system_text(&error));
        FAILURE
    })
}

fn begin(options: &Options) -> io::Result<u8> {
    let background = Background::of(options)?;
    if !background.is_foreground() {
        block_those_of_terminal()?;
    }
    block_on(run_client(options, &background))?
}

async fn run_client(options: &Options, background: &Background) -> io::Result<u8> {
    let format = match options.format.map_or_else(Format::of_environment, Ok) {
        Ok(format) => format,
        Err(error) => {
            complain!("zwgc: {}: {error}", format::VARIABLE);
            return Ok(FAILURE);
        }
    };
    let terminal = TerminalWatch::new();
    let variables = Variables::read();
    for problem in variables.problems() {
        report(&format!("zwgc: {}", sanitize::line(problem.to_string().as_bytes())));
    }
    let output = match Output::start(format, options, &variables) {
        Ok(output) => output,
        Err(no_port) => {
            no_port.0.iter().for_each(|line| report(line));
            return Ok(FAILURE);
        }
    };
    let mut signals = Signals::new(background)?;
    // The shell need not wait as long as the network may take.
    let failed = || drop(background.enter());
    let connected = tokio::select! {
        connected = first_connection(options, failed) => connected,
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
    let files = match created {
        Ok(files) => files,
        Err(already_runs) => {
            // A shell that starts it at each log-in need not hear of it each time.
            if options.debug || terminal::is_in_foreground() {
                already_runs.lines().iter().for_each(|line| complain!("zwgc: {line}"));
            }
            return Ok(FAILURE);
        }
    };
    let wishes = Wishes::of(&variables);
    let mut log = options.log.clone().map(NoticeLog::new);
    if let Some(log) = &mut log {
        log.check();
    }
    let mut session = Session {
        background,
        location: Location::here(options.tty.as_deref()),
        file: read_subscription_file(options),
        wishes,
        output,
        log,
        files,
        terminal,
        rewrite: rewrite_signal()?,
        first: Some(FirstTime { init_programs: variables.get("initprogs").map(<[u8]>::to_vec) }),
        hidden: HashSet::new(),
        refused: None,
    };
    let mut may_move = true;
    let end = loop {
        let end = tokio::select! {
            end = session.serve(&zephyr, &mut inbox, may_move) => end,
            () = signals.stop() => End::Asked,
        };
        let End::PortRefused(error) = end else { break end };
        may_move = false;
        tokio::select! {
            other = connect(options) => move_to(other, &error, &mut zephyr, &mut inbox, &mut session.files),
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
    session.files.delete();
    let (output, location) = (session.output, &session.location);
    let good_bye = async {
        tokio::join!(output.finish(), log_out(&zephyr, location));
    };
    tokio::select! {
        () = good_bye => {}
        () = tokio::time::sleep(LOGOUT_TIMEOUT) => tracing::info!("the server does not answer the good-bye"),
        () = insistence(async || signals.stop().await) => {}
    }
    Ok(status)
}

/// Reads the subscription file. That it cannot be read is reported.
fn read_subscription_file(options: &Options) -> Option<SubscriptionFile> {
    let (file, complaint) = SubscriptionFile::read(options.subscription_file.as_deref());
    for line in complaint.iter().flat_map(|complaint| complaint.lines()) {
        report(line);
    }
    file
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

/// Unsets the location and cancels the subscriptions. Errors are only logged.
async fn log_out(zephyr: &Zephyr, location: &Location) {
    if let Err(error) = zephyr.unset_location(location).await {
        tracing::debug!(%error, "while ending the location");
    }
    if let Err(error) = zephyr.cancel_subscriptions().await {
        tracing::debug!(%error, "while cancelling subscriptions");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
