//! What the process in the background does: it waits, and reminds.

use super::{
    background, pid_file,
    schedule::{Next, Reminders},
    state::{State, Way},
};
use crate::{messages::Messages, sending::proven_if_possible};
use std::{
    io::{self, IsTerminal as _, Write as _, stderr},
    process::{self, ExitCode},
    time::{Duration, SystemTime},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use zephyr_client::{DeliveryStatus, Message, Receipt, Result, block_on, codeset, names, system_text};
use zephyr_core::{charset::Charset, sanitize};

/// The instance of the reminders.
pub(super) const LEAVE: &[u8] = b"LEAVE";
/// How the reminders are shown by who has no description for them: an empty line, and the text.
const DEFAULT_FORMAT: &[u8] = b"\n$2";
/// How long it sleeps at most before it looks at the clock, which may be set or go on while the machine sleeps.
const MAX_SLEEP: Duration = Duration::from_secs(10);

/// Reminds as standard input says.
pub fn run(messages: &mut Messages<'_>) -> ExitCode {
    let state = match background::enter() {
        Ok(state) => state,
        Err(error) => return failure(messages, &error),
    };
    match block_on(remind(&state, messages)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => failure(messages, &error),
    }
}

fn failure(messages: &mut Messages<'_>, error: &io::Error) -> ExitCode {
    messages.say(&format!("reminding in the background failed: {}", system_text(error)));
    ExitCode::FAILURE
}

/// Whether there will be more reminders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Continue,
    End,
}

async fn remind(state: &State, messages: &mut Messages<'_>) -> io::Result<()> {
    let (places, id) = (pid_file::places(), process::id());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut reminders = Reminders::new(state.leave, state.begin);
    background::report_ready()?;
    loop {
        let after = match reminders.next(SystemTime::now()) {
            Next::Wait(wait) => tokio::select! {
                () = sleep(wait.min(MAX_SLEEP)) => After::Continue,
                // As at the end of the machine, which need not wait for it.
                _ = terminate.recv() => After::End,
            },
            // Two that were started at the same moment do not both remind.
            Next::Say(_) if places.iter().any(|place| pid_file::is_replaced(place, id)) => After::End,
            Next::Say(reminder) => say(state, reminder, messages).await,
            Next::End => After::End,
        };
        if after == After::End {
            pid_file::remove(&places, id);
            return Ok(());
        }
    }
}

/// Says a reminder, by the terminal where it cannot be sent.
async fn say(state: &State, reminder: &str, messages: &mut Messages<'_>) -> After {
    if state.way == Way::Terminal {
        return write(state, reminder);
    }
    match send(state, reminder).await {
        Ok(Receipt { status: DeliveryStatus::Sent, .. }) => return After::Continue,
        // The user's zwgc has ended, as at his log-out.
        Ok(Receipt { status: DeliveryStatus::NobodyThere, .. }) => return After::End,
        Ok(Receipt { status: DeliveryStatus::Refused(_), text, .. }) => {
            messages.line("zleave: authorization failure while sending");
            text.into_iter().for_each(|text| messages.say(&text));
        }
        Ok(_) => messages.line("zleave: Detected server failure while receiving acknowledgement"),
        Err(error) => messages.failure(&error, "while waiting for acknowledgement"),
    }
    if stderr().is_terminal() {
        return write(state, reminder);
    }
    After::Continue
}

async fn send(state: &State, reminder: &str) -> Result<Receipt> {
    let (zephyr, _inbox) = zephyr_client::Options::from_environment()?.connect().await?;
    let body = body(state, reminder);
    let message = Message::to_class(names::MESSAGE)
        .instance(LEAVE)
        .recipient(&state.user)
        .default_format(DEFAULT_FORMAT)
        .charset(codeset::label(None, &body))
        .body(body);
    let sent = proven_if_possible(&zephyr, message).await;
    zephyr.close();
    sent
}

/// The body of a notice: no signature, and the texts.
fn body(state: &State, reminder: &str) -> Vec<u8> {
    [b"\0", reminder.as_bytes(), b"\n", state.text.as_deref().unwrap_or_default(), b"\0"].concat()
}

/// Writes to the terminal; once that is gone, there is nobody to be reminded.
fn write(state: &State, reminder: &str) -> After {
    let mut text = format!("\x07\x07\x07{reminder}\n");
    if let Some(more) = &state.text {
        text += &(sanitize::lines(more, Charset::UTF8) + "\n");
    }
    if stderr().write_all(text.as_bytes()).is_ok() { After::Continue } else { After::End }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let begin = SystemTime::now();
        let state = State { begin, leave: begin, way: Way::Notices, user: Vec::new(), text: None };
        assert_eq!(body(&state, "Time to leave!"), b"\0Time to leave!\n\0");
        let state = State { text: Some(b"now".to_vec()), ..state };
        assert_eq!(body(&state, "Time to leave!"), b"\0Time to leave!\nnow\0");
    }
}
