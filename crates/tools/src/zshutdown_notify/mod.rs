//! zshutdown_notify: tells who uses this machine that it will be shut down (clients, section 8).

use crate::{messages::Messages, write_help, write_version, zwrite::message::read_all};
use std::{
    ffi::OsString,
    io::{Write, stdin},
    process::ExitCode,
    time::Duration,
};
use zephyr_client::{DeliveryStatus, Message, Receipt, Result, blocking::Client, codeset, system_text};
use zephyr_core::{body, sanitize};
use zephyr_net::host;

/// The class of notices about file servers.
const FILSRV: &[u8] = b"FILSRV";
/// The opcode of the notice.
const SHUTDOWN: &[u8] = b"SHUTDOWN";
/// How it is shown by who has no description for it: host, text and advice are its three fields.
const DEFAULT_FORMAT: &str = "From $sender:\n\
    @bold(Word of $time that $1 will be shut down)\n\
    @center(This is why and when:)\n\
    \n\
    $2\n\
    \n\
    @center(@bold($3))\n";
/// How long the server's answer is awaited: who shuts a machine down has no minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends what standard input has. Success is that the server has the notice, though nobody may have subscribed to it.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages::new(program, err);
    // Errors of both outputs are theirs to remember.
    if let Some(argument) = arguments.first() {
        return match argument.to_str() {
            Some("--help" | "-h") => write_help(out, &help(program)),
            Some("--version") => write_version(out, "zshutdown_notify"),
            _ => {
                let argument = sanitize::name(argument.as_encoded_bytes());
                messages.say(&format!("no argument is expected, not {argument}: the text is read from standard input"));
                ExitCode::FAILURE
            }
        };
    }
    let host = match host::own_name() {
        Ok(name) => host::canonical_name(&name).unwrap_or(name),
        Err(error) => {
            messages.say(&format!("{} while finding hostname", system_text(&error)));
            return ExitCode::FAILURE;
        }
    };
    let text = match read_all(&mut stdin().lock()) {
        Ok(text) => text,
        Err(error) => {
            messages.say(&format!("reading the text from standard input failed: {}", system_text(&error)));
            return ExitCode::FAILURE;
        }
    };
    send(&host, &text, &mut messages)
}

fn send(host: &str, text: &[u8], messages: &mut Messages<'_>) -> ExitCode {
    let mut client = match connect() {
        Ok(client) => client,
        Err(error) => {
            messages.failure(&error, "while initializing");
            return ExitCode::FAILURE;
        }
    };
    match client.send(message(host, text)) {
        Ok(Receipt { status: DeliveryStatus::Sent | DeliveryStatus::NobodyThere, .. }) => ExitCode::SUCCESS,
        Ok(Receipt { text, .. }) => {
            messages.say("the server has refused the notice");
            text.into_iter().for_each(|text| messages.say(&text));
            ExitCode::FAILURE
        }
        Err(error) => {
            messages.failure(&error, "while sending notice");
            ExitCode::FAILURE
        }
    }
}

fn connect() -> Result<Client> {
    Client::connect(zephyr_client::Options::from_environment()?)
}

/// The notice.
fn message(host: &str, text: &[u8]) -> Message {
    let advice = format!("If you have attached file systems of it, detach them:\ndetach -host {host}");
    let body = body::of_texts([host.as_bytes(), text, advice.as_bytes()]);
    Message::to_class(FILSRV)
        .instance(host)
        .opcode(SHUTDOWN)
        .default_format(DEFAULT_FORMAT)
        .charset(codeset::label(None, &body))
        .body(body)
        .answer_timeout(ANSWER_TIMEOUT)
}

fn help(program: &str) -> String {
    format!(
        "Usage: {program} < TEXT\n\n\
         Sends the text to all who have subscribed to notices about this machine (class FILSRV, instance its name),\n\
         as that it will be shut down.\n\n\
         --help, --version\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_has_three_fields() {
        let message = message("fs.example", b"at five\0\n");
        let notice = message.notice();
        assert_eq!(
            (notice.class, notice.instance, notice.opcode, notice.recipient),
            (FILSRV, &b"fs.example"[..], SHUTDOWN, &b""[..])
        );
        let fields: Vec<_> = body::texts(notice.body).collect();
        assert_eq!(fields[..2], [&b"fs.example"[..], b"at five\n"]);
        assert!(fields[2].ends_with(b"\ndetach -host fs.example") && fields.len() == 3);
        assert!(notice.default_format.starts_with(b"From $sender:\n@bold("));
    }

    #[test]
    fn arguments() {
        let said = |argument: &str| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let status = main("zshutdown_notify", vec![argument.into()], &mut out, &mut err);
            (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
        };
        assert!(said("--help").0.starts_with("Usage: zshutdown_notify < TEXT\n"));
        assert!(said("--version").0.starts_with("zshutdown_notify (zephyr-rs) "));
        let (out, err, status) = said("now");
        assert_eq!((out.as_str(), status), ("", ExitCode::FAILURE));
        assert!(err.starts_with("zshutdown_notify: no argument is expected, not now"), "{err}");
    }
}
