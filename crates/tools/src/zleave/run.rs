//! The procedure of zleave up to its place in the background (clients, section 6).

use super::{
    background,
    options::{Options, Time, UsageError},
    pid_file::{self, Found, Running},
    reminding::LEAVE,
    schedule::moment,
    state::{State, Way},
    usage_error,
};
use crate::messages::Messages;
use std::{
    fs,
    io::{self, BufRead as _, Read as _, Write, stdin},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};
use zephyr_client::{
    Operation, Subscription, SubscriptionRequest, block_on, localtime, names, system_text, windowgram_port,
};

/// The maximum number of octets of a line that is typed.
const MAX_LINE: u64 = 1024;

/// Asks for a time if none is given, and reminds from then on, in place of the zleave that runs.
pub fn remind(options: &Options, out: &mut dyn Write, messages: &mut Messages<'_>) -> ExitCode {
    let asked = options.time.map_or_else(|| ask(out), |time| Ok(Ok(Some(time))));
    let time = match asked {
        Ok(Ok(Some(time))) => time,
        Ok(Ok(None)) => return ExitCode::SUCCESS,
        Ok(Err(error)) => return usage_error(&error, messages),
        Err(error) => return failure(messages, &format!("reading the time failed: {}", system_text(&error))),
    };
    let begin = SystemTime::now();
    let Ok(leave) = moment(time, begin, localtime::second_of_day) else {
        messages.line("That time has already passed!");
        return ExitCode::FAILURE;
    };
    let terminal = background::terminal();
    let (way, user) = match block_on(subscribe(messages)) {
        Ok(Some(user)) => (Way::Notices, user),
        Ok(None) | Err(_) if terminal.is_some() => (Way::Terminal, Vec::new()),
        Ok(None) | Err(_) => {
            messages.line("leave: You are not logged in.");
            return failure(messages, "there is no terminal that the reminders could be written to");
        }
    };
    let state = State { begin, leave, way, user, text: options.text.clone() };
    begin_reminding(&state, terminal, out, messages)
}

/// Asks for the time; `None` when nothing is typed.
fn ask(out: &mut dyn Write) -> io::Result<std::result::Result<Option<Time>, UsageError>> {
    write!(out, "When do you have to leave? ")?;
    out.flush()?;
    let mut line = Vec::new();
    stdin().lock().take(MAX_LINE).read_until(b'\n', &mut line)?;
    let typed = line.trim_ascii();
    if typed.is_empty() {
        return Ok(Ok(None));
    }
    Ok(Time::parse(typed).map(Some))
}

/// Subscribes the user's zwgc to the reminders, and gives the user's name. `None`: they go to the terminal, which is said.
async fn subscribe(messages: &mut Messages<'_>) -> Option<Vec<u8>> {
    let connected = match zephyr_client::Options::from_environment() {
        Ok(connection) => connection.connect().await,
        Err(error) => Err(error),
    };
    // The inbox is dropped: nothing is received here.
    let zephyr = match connected {
        Ok((zephyr, _inbox)) => zephyr,
        Err(error) => {
            messages.line("No Zephyr! Will write directly to terminal.");
            messages.failure(&error, "while initializing");
            return None;
        }
    };
    let port = match windowgram_port::find() {
        Ok(port) => port,
        Err(error) => {
            messages.line("Can't find WindowGram subscription port.");
            messages.line("Will write directly to terminal.");
            messages.say(&error.to_string());
            return None;
        }
    };
    let user = zephyr.endpoint().sender;
    let list = vec![Subscription::new(names::MESSAGE, LEAVE, &user)];
    let request = SubscriptionRequest::SubscribeWithoutDefaults;
    let subscribed = zephyr.perform(Operation::Subscribe { request, list, port: Some(port) }).await;
    zephyr.close();
    match subscribed {
        Ok(_) => Some(user),
        Err(error) => {
            messages.line("Subscription error!  Writing to your terminal...");
            messages.failure(&error, "while subscribing");
            None
        }
    }
}

/// Starts the process that reminds. The one that runs is ended only once the new one does.
fn begin_reminding(
    state: &State,
    terminal: Option<fs::File>,
    out: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> ExitCode {
    let places = pid_file::places();
    let mut child = match background::start(state, terminal) {
        Ok(child) => child,
        Err(error) => return failure(messages, &format!("going into the background failed: {}", system_text(&error))),
    };
    let running = running(&places);
    if let Err(reason) = pid_file::write(&places, child.id()) {
        // It cannot be cancelled without.
        let _ = child.kill();
        let _ = child.wait();
        messages.line("Cannot open pid file.");
        return failure(messages, &reason);
    }
    for old in running {
        match old.end() {
            Ok(()) => {
                let _ = writeln!(out, "Old zleave process killed.");
            }
            Err(error) => messages.say(&format!("the zleave that runs cannot be ended: {}", system_text(&error))),
        }
    }
    let _ = writeln!(out, "Alarm set for {}", localtime::ctime(state.leave));
    ExitCode::SUCCESS
}

/// The zleaves of the user's that run; one, but for those that different programs have noted in different places.
fn running(places: &[PathBuf]) -> Vec<Running> {
    let mut running: Vec<Running> = Vec::new();
    for place in places {
        if let Found::Runs(found) = pid_file::find(place)
            && !running.contains(&found)
        {
            running.push(found);
        }
    }
    running
}

/// Ends the zleave that runs.
pub fn cancel(out: &mut dyn Write, messages: &mut Messages<'_>) -> ExitCode {
    let places = pid_file::places();
    let mut status = ExitCode::SUCCESS;
    let mut is_told = false;
    for old in running(&places) {
        is_told = true;
        if let Err(error) = old.end() {
            status = failure(messages, &format!("the zleave that runs cannot be ended: {}", system_text(&error)));
        }
    }
    for place in &places {
        match pid_file::find(place) {
            Found::Corrupted => {
                is_told = true;
                messages.line("The zleave pid file is corrupted.");
                status = failure(messages, &format!("{} has no process ID", place.display()));
            }
            Found::Runs(_) | Found::LeftOver => {
                // The next zleave writes another.
                let _ = fs::remove_file(place);
            }
            Found::Nothing => {}
        }
    }
    if !is_told {
        let _ = writeln!(out, "No zleave is currently running.");
    }
    status
}

fn failure(messages: &mut Messages<'_>, text: &str) -> ExitCode {
    messages.say(text);
    ExitCode::FAILURE
}
