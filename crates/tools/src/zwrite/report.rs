//! The output of zwrite (clients, section 1.5).

use super::options::Options;
use std::io::Write;
use zephyr_client::{DeliveryStatus, DirectServer, Error, names};
use zephyr_core::{charset::Charset, sanitize, screen::Screen};

/// A round of notices, one to each recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Pings, which find whether the message would be received.
    Ping,
    /// The message.
    Message,
}

/// Whose answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// That of the host manager, which takes a notice.
    HostManager,
    /// That of the server.
    Server,
}

/// Whether to continue with further recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Continue.
    Continue,
    /// Stop.
    Stop,
}

/// The writer of the program's output.
pub struct Report<'a> {
    /// The program's name as typed.
    pub program: &'a str,
    /// The options, with the instance that is used.
    pub options: &'a Options,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// The screen that standard error is shown on.
    pub screen: Screen,
}

/// Octets of a name in an error, before escaping.
const MAX_SHOWN: usize = 64;

// What cannot be written stops nothing: who gives the outputs looks at that in the end.
impl Report<'_> {
    /// Whether somebody sits before standard error.
    pub fn is_on_terminal(&self) -> bool {
        matches!(self.screen, Screen::Columns(_))
    }

    /// The name of a destination in messages: the recipient as typed, else class and instance.
    pub fn destination(&self, recipient: Option<&[u8]>) -> String {
        self.destination_of(recipient, text)
    }

    fn destination_of(&self, recipient: Option<&[u8]>, text: impl Fn(&[u8]) -> String) -> String {
        let Options { class, instance, .. } = self.options;
        match recipient {
            Some(recipient) => text(recipient),
            None if class == names::MESSAGE => format!("instance \"{}\"", text(instance)),
            None if instance == names::PERSONAL => format!("class \"{}\"", text(class)),
            None => format!("class \"{}\", instance \"{}\"", text(class), text(instance)),
        }
    }

    /// The same for what no script reads, in which long names are cut.
    fn short_destination(&self, recipient: Option<&[u8]>) -> String {
        self.destination_of(recipient, |octets| match octets.get(..MAX_SHOWN) {
            Some(begin) if begin.len() < octets.len() => text(begin) + "...",
            _ => text(octets),
        })
    }

    /// Reports that there is no host manager, and to which server this program speaks.
    pub fn connected(&mut self, server: Option<&DirectServer>) {
        if let Some(server) = server.filter(|_| self.options.verbose) {
            let (name, source) = (text(server.to_string().as_bytes()), text(server.source.as_bytes()));
            let _ = writeln!(self.out, "No host manager: speaking to {name} directly, found by {source}");
        }
    }

    /// Reports that a message is about to be sent.
    pub fn sending(&mut self, recipient: Option<&[u8]>) {
        let Options { class, instance, authenticated, .. } = self.options;
        if self.options.verbose {
            let who =
                recipient.map_or_else(|| "everyone".to_owned(), |typed| text(&self.options.full_recipient(typed)));
            let proof = if *authenticated { "authenticated " } else { "" };
            let (class, instance) = (text(class), text(instance));
            let _ = writeln!(self.out, "Sending {proof}message, class {class}, instance {instance}, to {who}");
        }
    }

    /// Reports that the host manager has accepted the message.
    pub fn queued(&mut self, recipient: Option<&[u8]>) {
        if !self.options.quiet {
            let destination = self.destination(recipient);
            let _ = match self.options.verbose {
                true => write!(self.out, "Queued... "),
                false => write!(self.out, "Message queued for {destination}... "),
            };
            let _ = self.out.flush();
        }
    }

    /// Reports the server's answer.
    pub fn answered(&mut self, round: Round, recipient: Option<&[u8]>, status: &DeliveryStatus) -> Next {
        let next = if matches!(status, DeliveryStatus::Refused(_)) { Next::Stop } else { Next::Continue };
        if self.options.quiet {
            return next;
        }
        let destination = self.destination(recipient);
        let _ = match status {
            DeliveryStatus::Sent if round == Round::Ping => Ok(()),
            DeliveryStatus::Sent => writeln!(self.out, "sent"),
            DeliveryStatus::NobodyThere => self.nobody_there(round, recipient),
            DeliveryStatus::Refused(_) => {
                writeln!(self.out, "Received authorization failure while sending to {destination}")
            }
            DeliveryStatus::Unknown(text) if text.is_empty() => {
                writeln!(self.out, "Detected server failure while receiving acknowledgement for {destination}")
            }
            DeliveryStatus::Unknown(_) => {
                writeln!(self.out, "Internal failure - illegal message field in server response")
            }
            // zwrite awaits no answer then.
            DeliveryStatus::Unanswered => Ok(()),
        };
        next
    }

    /// Reports the server's text, such as the reason for a refusal.
    pub fn server_message(&mut self, message: &str) {
        let _ = self.out.flush();
        self.say(message);
    }

    fn nobody_there(&mut self, round: Round, recipient: Option<&[u8]>) -> std::io::Result<()> {
        let Options { class, instance, verbose, .. } = self.options;
        let what = match class == names::MESSAGE {
            true => "messages".to_owned(),
            false => format!("class {}, instance {}", text(class), text(instance)),
        };
        // The line on standard output must appear first.
        self.out.flush()?;
        match recipient {
            _ if *verbose && round == Round::Message => {
                writeln!(self.err, "Not logged in or not subscribing to {what}")
            }
            Some(typed) => {
                let recipient = text(&self.options.full_recipient(typed));
                writeln!(self.err, "{recipient}: Not logged in or not subscribing to {what}")
            }
            None => {
                writeln!(self.err, "No one subscribing to class {}, instance {}", text(class), text(instance))
            }
        }
    }

    /// Reports that a notice could not be sent.
    pub fn cannot_send(&mut self, recipient: Option<&[u8]>, error: &Error) {
        self.failure(error, &format!("while sending notice to {}", self.short_destination(recipient)));
    }

    /// Reports that the server has not answered.
    pub fn no_answer(&mut self, recipient: Option<&[u8]>, error: &Error) {
        self.failure(error, &format!("while waiting for acknowledgement for {}", self.short_destination(recipient)));
    }

    /// Says what is waited for, and has not come for a while: the host manager's acknowledgement, or the server's.
    pub fn still_waiting(&mut self, round: Round, recipient: Option<&[u8]>, answer: Awaited) {
        let _ = self.out.flush();
        // The line on standard output has no end yet.
        if answer == Awaited::Server && round == Round::Message && !self.options.quiet {
            let _ = writeln!(self.err);
        }
        let destination = self.destination(recipient);
        self.say(&match answer {
            Awaited::Server => format!("still waiting for the server's answer about the notice to {destination}"),
            Awaited::HostManager => {
                format!("still waiting for the host manager (zhm) to take the notice to {destination}")
            }
        });
    }

    /// Reports an error with its context, and the advice about it.
    pub fn failure(&mut self, error: &Error, context: &str) {
        let _ = self.out.flush();
        self.say(&error.describe(context));
        if let Some(advice) = error.advice() {
            self.say(&advice);
        }
    }

    /// Writes what others say, too: so nothing of it is at the beginning of a terminal's row.
    pub fn say(&mut self, text: &str) {
        for line in sanitize::lines(text.as_bytes(), Charset::UTF8).lines() {
            let _ = writeln!(self.err, "{}", self.screen.line(&format!("{}: {line}", self.program)));
        }
    }
}

/// A name that the user gave, for a message to the user.
fn text(octets: &[u8]) -> String {
    sanitize::name(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zwrite::options::{Defaults, Parsed, parse};
    use zephyr_client::{AuthError, NakReason, OperationError};
    use zephyr_core::policy::{Action, Refusal, Why};

    /// The output to standard output and standard error.
    fn output(line: &[&str], action: impl FnOnce(&mut Report<'_>)) -> (String, String) {
        let arguments = line.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        let Ok(Parsed::Write(options)) = parse(arguments, &Defaults::default()) else { panic!("{line:?}") };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        action(&mut Report {
            program: "./zwrite",
            options: &options,
            out: &mut out,
            err: &mut err,
            screen: Screen::None,
        });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn out(line: &[&str], action: impl FnOnce(&mut Report<'_>)) -> String {
        let (out, err) = output(line, action);
        assert_eq!(err, "");
        out
    }

    fn err(line: &[&str], action: impl FnOnce(&mut Report<'_>)) -> String {
        let (out, err) = output(line, action);
        assert_eq!(out, "");
        err
    }

    #[test]
    fn who_wants_to_know_is_told_of_a_server_that_is_spoken_to_directly() {
        let server = DirectServer {
            name: "zsrv.example".into(),
            address: Some(([10, 0, 0, 1], 2103).into()),
            source: "DNS (_zephyr-clt._udp.example)".into(),
        };
        assert_eq!(
            out(&["-v", "bob"], |report| report.connected(Some(&server))),
            "No host manager: speaking to zsrv.example (10.0.0.1:2103) directly, found by DNS (_zephyr-clt._udp.example)\n"
        );
        assert_eq!(out(&["-v", "bob"], |report| report.connected(None)), "");
        assert_eq!(out(&["bob"], |report| report.connected(Some(&server))), "");
    }

    #[test]
    fn destinations() {
        for (line, recipient, name) in [
            (&["bob", "-r", "R"][..], Some(&b"bob"[..]), "bob"),
            (&["-i", "foo"], None, "instance \"foo\""),
            (&["-c", "testclass"], None, "class \"testclass\""),
            (&["-c", "testclass", "-i", "foo"], None, "class \"testclass\", instance \"foo\""),
        ] {
            assert_eq!(
                out(line, |report| report.queued(recipient)),
                format!("Message queued for {name}... "),
                "{line:?}"
            );
        }
    }

    #[test]
    fn before_and_after_queuing() {
        let bob = Some(&b"bob"[..]);
        assert_eq!(
            out(&["bob", "-v", "-r", "R"], |report| report.sending(bob)),
            "Sending authenticated message, class MESSAGE, instance PERSONAL, to bob@R\n"
        );
        assert_eq!(
            out(&["-c", "x", "-v", "-d", "-q"], |report| report.sending(None)),
            "Sending message, class x, instance PERSONAL, to everyone\n"
        );
        assert_eq!(out(&["bob"], |report| report.sending(bob)), "");
        assert_eq!(out(&["bob", "-v"], |report| report.queued(bob)), "Queued... ");
        assert_eq!(out(&["bob", "-q"], |report| report.queued(bob)), "");
    }

    #[test]
    fn nobody_there() {
        let lost = |round, recipient: Option<&'static str>| {
            move |report: &mut Report<'_>| {
                assert_eq!(
                    report.answered(round, recipient.map(str::as_bytes), &DeliveryStatus::NobodyThere),
                    Next::Continue
                );
            }
        };
        let (message, ping) = (Round::Message, Round::Ping);
        for (line, round, recipient, expected) in [
            (&["bob"][..], message, Some("bob"), "bob: Not logged in or not subscribing to messages\n"),
            (&["bob"], ping, Some("bob"), "bob: Not logged in or not subscribing to messages\n"),
            (&["bob", "-r", "R"], message, Some("bob"), "bob@R: Not logged in or not subscribing to messages\n"),
            (&["bob", "-v"], message, Some("bob"), "Not logged in or not subscribing to messages\n"),
            (&["bob", "-v"], ping, Some("bob"), "bob: Not logged in or not subscribing to messages\n"),
            (
                &["bob", "-c", "x"],
                message,
                Some("bob"),
                "bob: Not logged in or not subscribing to class x, instance PERSONAL\n",
            ),
            (&["-c", "x", "-v"], message, None, "Not logged in or not subscribing to class x, instance PERSONAL\n"),
            (&["-c", "x", "-i", "y"], message, None, "No one subscribing to class x, instance y\n"),
            (&["-i", "y"], message, None, "No one subscribing to class MESSAGE, instance y\n"),
            (&["bob", "-q"], message, Some("bob"), ""),
        ] {
            assert_eq!(err(line, lost(round, recipient)), expected, "{line:?}");
        }
    }

    #[test]
    fn other_answers() {
        let refused = DeliveryStatus::Refused(NakReason::NotAuthorized);
        let (empty, strange) = (DeliveryStatus::Unknown(Vec::new()), DeliveryStatus::Unknown(b"x".to_vec()));
        for (answer, expected, next) in [
            (&DeliveryStatus::Sent, "sent\n", Next::Continue),
            (&refused, "Received authorization failure while sending to bob\n", Next::Stop),
            (&empty, "Detected server failure while receiving acknowledgement for bob\n", Next::Continue),
            (&strange, "Internal failure - illegal message field in server response\n", Next::Continue),
        ] {
            let bob = Some(&b"bob"[..]);
            assert_eq!(
                out(&["bob"], |report| assert_eq!(report.answered(Round::Message, bob, answer), next)),
                expected
            );
            assert_eq!(
                out(&["bob", "-q"], |report| assert_eq!(report.answered(Round::Message, bob, answer), next)),
                ""
            );
        }
        assert_eq!(
            out(&["bob"], |report| assert_eq!(
                report.answered(Round::Ping, Some(b"bob"), &DeliveryStatus::Sent),
                Next::Continue
            )),
            ""
        );
    }

    #[test]
    fn what_a_server_says_begins_no_row() {
        let said = format!("{}AUTHENTIC class MESSAGE", "x".repeat(80 - "./zwrite: ".len()));
        let shown = err(&["alice"], |report| {
            report.screen = Screen::Columns(80);
            report.server_message(&said);
        });
        assert!(shown.lines().skip(1).all(|row| row.starts_with("    ")), "{shown}");
    }

    #[test]
    fn errors_come_with_advice() {
        let error = Error::Operation(AuthError::NoCredentials.into());
        let shown = err(&["alice", "-q"], |report| report.cannot_send(Some(b"alice"), &error));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "./zwrite: No credentials cache found while sending notice to alice");
        assert!(lines[1].starts_with("./zwrite: Run kinit") && lines.len() == 2);
        let shown = err(&["-c", "x"], |report| report.no_answer(None, &OperationError::TimedOut.into()));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "./zwrite: Connection timed out while waiting for acknowledgement for class \"x\"");
        assert!(lines[1].starts_with("./zwrite: The host manager took it, but the server does not answer"));
        let refusal = Refusal { action: Action::Send, why: Why::Unproven };
        let shown = err(&["bob"], |report| report.cannot_send(Some(b"bob"), &OperationError::Policy(refusal).into()));
        assert_eq!(
            shown,
            "./zwrite: sending notice to bob failed: you must prove who you are to send here\n\
             ./zwrite: Run kinit, and send it with proof (without -d).\n"
        );
    }

    #[test]
    fn long_names_are_cut_in_errors() {
        let long = "c".repeat(2000);
        let shown = err(&["-c", &long], |report| report.cannot_send(None, &OperationError::TimedOut.into()));
        let line = shown.lines().next().unwrap();
        assert!(line.ends_with("ccc...\"") && line.len() < 150, "{line}");
    }

    #[test]
    fn each_line_of_others_begins_with_the_programs_name() {
        assert_eq!(err(&["bob"], |report| report.server_message("one\ntwo")), "./zwrite: one\n./zwrite: two\n");
    }

    #[test]
    fn what_is_waited_for_is_said() {
        let waiting =
            |line: &[&str], round, answer| err(line, |report| report.still_waiting(round, Some(b"bob"), answer));
        let server = "./zwrite: still waiting for the server's answer about the notice to bob\n";
        assert_eq!(
            waiting(&["bob"], Round::Message, Awaited::Server),
            format!("\n{server}"),
            "after an unfinished line"
        );
        assert_eq!(waiting(&["bob"], Round::Ping, Awaited::Server), server);
        assert_eq!(waiting(&["bob", "-q"], Round::Message, Awaited::Server), server);
        let manager = "./zwrite: still waiting for the host manager (zhm) to take the notice to bob\n";
        assert_eq!(waiting(&["bob"], Round::Message, Awaited::HostManager), manager);
    }
}
