//! The procedure of zwrite (clients, section 1.4).

use super::{
    message,
    options::Options,
    outcome::{Outcome, Status},
    report::{Awaited, Next, Report, Round},
};
use crate::{
    connection::{HINT_DELAY, connect},
    messages::Messages,
};
use std::{
    io::{self, IsTerminal as _, Write, stderr, stdin},
    process::ExitCode,
};
use zephyr_client::{
    Error, Kind, Message, Operation, OperationId, Receipt, Result, account::Account, blocking::Client, codeset, names,
    system_text, terminal, variables::Variables,
};
use zephyr_core::charset::Charset;
use zephyr_net::host;

/// Sends the message of these options; the exit status tells whether it was delivered.
pub fn run(
    program: &str,
    options: &Options,
    variables: &Variables,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let options = Options { instance: instance(options), ..options.clone() };
    let mut report = Report { program, options: &options, out, err, screen: terminal::screen(&stderr()) };
    if write(&options, variables, &mut report) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The instance; that of a notice about a file server begins with the host's canonical name.
fn instance(options: &Options) -> Vec<u8> {
    if !options.file_system {
        return options.instance.clone();
    }
    let end = options.instance.iter().position(|&octet| octet == b':').unwrap_or(options.instance.len());
    let (name, rest) = options.instance.split_at(end);
    let canonical = std::str::from_utf8(name).ok().and_then(host::canonical_name);
    [canonical.as_deref().map_or(name, str::as_bytes), rest].concat()
}

/// Connects, sends pings and the message; true when the message was delivered.
fn write(options: &Options, variables: &Variables, report: &mut Report<'_>) -> bool {
    let mut messages = Messages { program: report.program, err: &mut *report.err, screen: report.screen };
    let mut client = match connect(options.no_direct, &mut messages) {
        Ok(client) => {
            report.connected(client.endpoint().server.as_ref());
            client
        }
        Err(error) => {
            report.failure(&error, "while initializing");
            return false;
        }
    };
    let pings_first = options.ping && !options.recipients.is_empty();
    if pings_first && !send_round(&mut client, options, report, Round::Ping, b"") {
        return false;
    }
    let text = match text(options, report) {
        Ok(text) => text,
        Err(error) => {
            let _ = writeln!(report.err, "Read error from stdin!  Can't continue!");
            report.say(&format!("reading the message failed: {}", system_text(&error)));
            return false;
        }
    };
    let signature = message::signature(options, variables, Account::own().as_ref());
    let body = message::body(options, &signature, &text);
    send_round(&mut client, options, report, Round::Message, &body)
}

/// The text of the message: from the command line, from the terminal, or all of standard input.
fn text(options: &Options, report: &mut Report<'_>) -> io::Result<Vec<u8>> {
    if let Some(message) = &options.message {
        return Ok(message.clone());
    }
    let mut input = stdin().lock();
    if !stdin().is_terminal() {
        let text = message::read_all(&mut input)?;
        // Whoever says that it is ISO-8859-1 means three characters.
        return Ok(match codeset::label(options.charset.as_deref(), &text) {
            Charset::LATIN1 => text,
            _ => message::without_mark(text),
        });
    }
    let end = if options.dot_ends { "control-D or a dot on a line by itself." } else { "the end-of-file character." };
    if !options.json {
        writeln!(report.out, "Type your message now.  End with {end}")?;
        report.out.flush()?;
    }
    message::read_typed(&mut input, options.dot_ends)
}

/// Sends a round of notices, to each recipient or to all subscribers; true when one was delivered.
fn send_round(client: &mut Client, options: &Options, report: &mut Report<'_>, round: Round, body: &[u8]) -> bool {
    let recipients: Vec<Option<&[u8]>> = match options.recipients.as_slice() {
        [] => vec![None],
        some => some.iter().map(|recipient| Some(recipient.as_slice())).collect(),
    };
    let mut delivered = false;
    for recipient in recipients {
        if round == Round::Message {
            report.sending(recipient);
        }
        let sending = begin(client, options, round, recipient, body);
        match queued(client, sending, round, recipient, report) {
            Ok(()) => {}
            Err(error) => {
                report.cannot_send(recipient, &error);
                write_outcome(options, report, || failed(options, recipient, Status::Failed, &error));
                break;
            }
        }
        if options.unacked {
            delivered = true;
            write_outcome(options, report, || Outcome::new(options, recipient, Status::Queued, None));
            continue;
        }
        if round == Round::Message {
            report.queued(recipient);
        }
        match receipt(client, sending, round, recipient, report) {
            Ok(receipt) => {
                delivered |= receipt.is_delivered();
                write_outcome(options, report, || Outcome::answered(options, recipient, &receipt));
                let next = report.answered(round, recipient, &receipt.status);
                if let Some(message) = receipt.text {
                    report.server_message(&message);
                }
                if next == Next::Stop {
                    break;
                }
            }
            Err(error) => {
                report.no_answer(recipient, &error);
                write_outcome(options, report, || failed(options, recipient, Status::Unanswered, &error));
            }
        }
    }
    delivered
}

/// Writes what became of the message to a destination, for whom that was asked.
fn write_outcome<'o>(options: &Options, report: &mut Report<'_>, outcome: impl FnOnce() -> Outcome<'o>) {
    if options.json {
        outcome().write(report.out);
    }
}

fn failed<'o>(options: &'o Options, recipient: Option<&[u8]>, status: Status, error: &Error) -> Outcome<'o> {
    Outcome::new(options, recipient, status, Some(error.to_string()))
}

/// Waits until the host manager has accepted a notice; whoever sits before a terminal is told what takes so long.
fn queued(
    client: &mut Client,
    sending: OperationId,
    round: Round,
    recipient: Option<&[u8]>,
    report: &mut Report<'_>,
) -> Result<()> {
    if report.is_on_terminal() && !client.is_queued_within(sending, HINT_DELAY)? {
        report.still_waiting(round, recipient, Awaited::HostManager);
    }
    client.queued(sending)
}

/// Waits for the server's answer, as [`queued`] does for the host manager's.
fn receipt(
    client: &mut Client,
    sending: OperationId,
    round: Round,
    recipient: Option<&[u8]>,
    report: &mut Report<'_>,
) -> Result<Receipt> {
    if report.is_on_terminal() && !client.is_finished_within(sending, HINT_DELAY)? {
        report.still_waiting(round, recipient, Awaited::Server);
    }
    client.receipt(sending)
}

/// Begins to send a notice.
fn begin(client: &mut Client, options: &Options, round: Round, recipient: Option<&[u8]>, body: &[u8]) -> OperationId {
    let mut message = Message::to_class(&options.class)
        .instance(&options.instance)
        .opcode(if round == Round::Ping { names::PING } else { &options.opcode })
        .sender(options.sender.as_deref().unwrap_or_default())
        .recipient(options.full_recipient(recipient.unwrap_or_default()))
        .charset(codeset::label(options.charset.as_deref(), body))
        .body(body)
        .kind(if options.unacked { Kind::Unacked } else { Kind::Acked })
        .authenticated(options.authenticated);
    if let Some(format) = &options.format {
        message = message.default_format(format);
    }
    client.begin(Operation::Send(message))
}
