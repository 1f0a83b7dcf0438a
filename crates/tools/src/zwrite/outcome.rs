//! What became of a message, for programs: `--json`.

use super::options::Options;
use serde::Serialize;
use std::{borrow::Cow, io::Write};
use zephyr_client::{DeliveryStatus, Receipt};

/// What became of the message to one destination. Octets of names that are no text are U+FFFD.
#[derive(Debug, Serialize)]
pub struct Outcome<'a> {
    /// As it was sent, with the realm of `-r`; none for all subscribers.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    class: Cow<'a, str>,
    instance: Cow<'a, str>,
    /// Whether it was sent with proof of who sent it.
    authenticated: bool,
    status: Status,
    /// What the server said, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Somebody has received it.
    Sent,
    /// Nobody subscribes to it.
    Nobody,
    /// The server has refused it.
    Refused,
    /// The server has given an answer that the protocol does not define.
    Unknown,
    /// The host manager has it, and nobody was to wait for an answer.
    Queued,
    /// It could not be sent.
    Failed,
    /// The server did not answer: it may have been received or not.
    Unanswered,
}

impl<'a> Outcome<'a> {
    /// What became of a message of these options.
    pub fn new(options: &'a Options, recipient: Option<&[u8]>, status: Status, message: Option<String>) -> Self {
        let recipient = recipient.map(|typed| String::from_utf8_lossy(&options.full_recipient(typed)).into_owned());
        let (class, instance) = (String::from_utf8_lossy(&options.class), String::from_utf8_lossy(&options.instance));
        Self { recipient, class, instance, authenticated: options.authenticated, status, message }
    }

    /// What the server has answered.
    pub fn answered(options: &'a Options, recipient: Option<&[u8]>, receipt: &Receipt) -> Self {
        let status = match &receipt.status {
            DeliveryStatus::Sent => Status::Sent,
            DeliveryStatus::NobodyThere => Status::Nobody,
            DeliveryStatus::Refused(_) => Status::Refused,
            DeliveryStatus::Unknown(_) => Status::Unknown,
            DeliveryStatus::Unanswered => Status::Queued,
        };
        Self::new(options, recipient, status, receipt.text.clone())
    }

    /// Writes it: one object on a line.
    pub fn write(&self, out: &mut dyn Write) {
        // Texts alone can always be serialized, and errors of the output are its own to remember.
        if let Ok(object) = serde_json::to_string(self) {
            let _ = writeln!(out, "{object}");
            let _ = out.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zwrite::options::{Defaults, Parsed, parse};
    use zephyr_client::NakReason;

    fn written(line: &[&str], recipient: Option<&[u8]>, status: DeliveryStatus, text: Option<&str>) -> String {
        let arguments = line.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        let Ok(Parsed::Write(options)) = parse(arguments, &Defaults::default()) else { panic!("{line:?}") };
        let mut out = Vec::new();
        Outcome::answered(&options, recipient, &Receipt { status, text: text.map(str::to_owned) }).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn outcomes() {
        assert_eq!(
            written(&["bob", "-r", "R"], Some(b"bob"), DeliveryStatus::Sent, None),
            "{\"recipient\":\"bob@R\",\"class\":\"MESSAGE\",\"instance\":\"PERSONAL\",\"authenticated\":true,\"status\":\"sent\"}\n"
        );
        assert_eq!(
            written(&["-c", "a\"\n", "-d"], None, DeliveryStatus::Refused(NakReason::Unspecified), Some("no")),
            "{\"class\":\"a\\\"\\n\",\"instance\":\"PERSONAL\",\"authenticated\":false,\"status\":\"refused\",\"message\":\"no\"}\n"
        );
        assert!(written(&["b"], Some(b"\xff"), DeliveryStatus::NobodyThere, None).contains("\u{fffd}\",\"class"));
    }
}
