//! What zwrite says about what happened (clients, section 1.5).

use super::options::Options;
use std::io::Write;
use zephyr_client::{DeliveryStatus, Error, names};

/// Which of the two rounds of notices is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Asking whether the message would be received.
    Ping,
    /// The message.
    Message,
}

/// Whether further recipients are to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// They are.
    GoOn,
    /// They are not.
    Stop,
}

/// The program's mouth.
pub struct Report<'a> {
    /// The program's name as typed.
    pub program: &'a str,
    /// What it was asked to do, with the instance that is really used.
    pub options: &'a Options,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

// Where the terminal is gone there is nobody to tell, so what cannot be written is let go.
impl Report<'_> {
    /// How messages name a destination: the recipient as typed, or what the notice is addressed to without one.
    pub fn destination(&self, recipient: Option<&[u8]>) -> String {
        let Options { class, instance, .. } = self.options;
        match recipient {
            Some(recipient) => text(recipient),
            None if class == names::MESSAGE => format!("instance \"{}\"", text(instance)),
            None if instance == names::PERSONAL => format!("class \"{}\"", text(class)),
            None => format!("class \"{}\", instance \"{}\"", text(class), text(instance)),
        }
    }

    /// Before a message is sent.
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

    /// The host manager has the message, and the server's answer is waited for.
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

    /// The server has answered.
    pub fn answered(&mut self, round: Round, recipient: Option<&[u8]>, status: &DeliveryStatus) -> Next {
        let next = if matches!(status, DeliveryStatus::Refused(_)) { Next::Stop } else { Next::GoOn };
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
            DeliveryStatus::Unknown(word) if word.is_empty() => {
                writeln!(self.out, "Detected server failure while receiving acknowledgement for {destination}")
            }
            DeliveryStatus::Unknown(_) => {
                writeln!(self.out, "Internal failure - illegal message field in server response")
            }
            // The program asks for no answer then.
            DeliveryStatus::Unanswered => Ok(()),
        };
        next
    }

    /// What the server says beside its answer: why it refuses.
    pub fn server_message(&mut self, message: &str) {
        let _ = self.out.flush();
        let _ = writeln!(self.err, "{}: {message}", self.program);
    }

    fn nobody_there(&mut self, round: Round, recipient: Option<&[u8]>) -> std::io::Result<()> {
        let Options { class, instance, verbose, .. } = self.options;
        let what = match class == names::MESSAGE {
            true => "messages".to_owned(),
            false => format!("class {}, instance {}", text(class), text(instance)),
        };
        // The line on standard output must be seen to come first.
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

    /// The notice could not be sent.
    pub fn cannot_send(&mut self, recipient: Option<&[u8]>, error: &Error) {
        let context = format!("while sending notice to {}", self.destination(recipient));
        self.failure(error, &context);
    }

    /// The server has not answered.
    pub fn no_answer(&mut self, recipient: Option<&[u8]>, error: &Error) {
        let context = format!("while waiting for acknowledgement for {}", self.destination(recipient));
        self.failure(error, &context);
    }

    /// An error, when it happened, and what can be done about it.
    pub fn failure(&mut self, error: &Error, context: &str) {
        let _ = self.out.flush();
        let _ = writeln!(self.err, "{}: {error} {context}", self.program);
        if let Some(advice) = error.advice() {
            let _ = writeln!(self.err, "{}: {advice}", self.program);
        }
    }
}

/// What the user typed, for a message to the user.
fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zwrite::options::{Defaults, Parsed, parse};
    use zephyr_client::{AuthError, NakReason, OperationError};

    /// What is said to standard output and standard error.
    fn said(line: &[&str], what: impl FnOnce(&mut Report<'_>)) -> (String, String) {
        let words = line.iter().map(|word| word.as_bytes().to_vec()).collect();
        let Ok(Parsed::Write(options)) = parse(words, &Defaults::default()) else { panic!("{line:?}") };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        what(&mut Report { program: "./zwrite", options: &options, out: &mut out, err: &mut err });
        (text(&out), text(&err))
    }

    fn out(line: &[&str], what: impl FnOnce(&mut Report<'_>)) -> String {
        let (out, err) = said(line, what);
        assert_eq!(err, "");
        out
    }

    fn err(line: &[&str], what: impl FnOnce(&mut Report<'_>)) -> String {
        let (out, err) = said(line, what);
        assert_eq!(out, "");
        err
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
                    Next::GoOn
                );
            }
        };
        let (message, ping) = (Round::Message, Round::Ping);
        for (line, round, recipient, line_said) in [
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
            assert_eq!(err(line, lost(round, recipient)), line_said, "{line:?}");
        }
    }

    #[test]
    fn other_answers() {
        let refused = DeliveryStatus::Refused(NakReason::NotAuthorized);
        let (empty, strange) = (DeliveryStatus::Unknown(Vec::new()), DeliveryStatus::Unknown(b"x".to_vec()));
        for (answer, line_said, next) in [
            (&DeliveryStatus::Sent, "sent\n", Next::GoOn),
            (&refused, "Received authorization failure while sending to bob\n", Next::Stop),
            (&empty, "Detected server failure while receiving acknowledgement for bob\n", Next::GoOn),
            (&strange, "Internal failure - illegal message field in server response\n", Next::GoOn),
        ] {
            let bob = Some(&b"bob"[..]);
            assert_eq!(
                out(&["bob"], |report| assert_eq!(report.answered(Round::Message, bob, answer), next)),
                line_said
            );
            assert_eq!(
                out(&["bob", "-q"], |report| assert_eq!(report.answered(Round::Message, bob, answer), next)),
                ""
            );
        }
        assert_eq!(
            out(&["bob"], |report| assert_eq!(
                report.answered(Round::Ping, Some(b"bob"), &DeliveryStatus::Sent),
                Next::GoOn
            )),
            ""
        );
    }

    #[test]
    fn errors_come_with_advice() {
        let error = Error::Operation(AuthError::NoCredentials.into());
        let said = err(&["alice", "-q"], |report| report.cannot_send(Some(b"alice"), &error));
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "./zwrite: No credentials cache found while sending notice to alice");
        assert!(lines[1].starts_with("./zwrite: Run kinit") && lines.len() == 2);
        assert_eq!(
            err(&["-c", "x"], |report| report.no_answer(None, &OperationError::TimedOut.into())),
            "./zwrite: Connection timed out while waiting for acknowledgement for class \"x\"\n"
        );
    }
}
