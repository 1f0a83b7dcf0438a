//! Messages: notices to be sent, as a program describes them.

use std::time::Duration;
use zephyr_core::{charset::Charset, kind::Kind, names, notice::Notice, schedule::SERVACK_WAIT};

/// The proof of origin that a notice carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None.
    Without,
    /// With the user's credentials.
    With,
    /// With the user's credentials, whose session verifies the server's notices from now on.
    Remembered,
}

/// A notice to be sent.
///
/// ```
/// use zephyr_engine::client::Message;
///
/// let question = Message::to_class("help").instance("printers").signature("Alice").text("Which one has paper?");
/// let answer = Message::to_user("alice").text("The one at the door.");
/// ```
///
/// Uids, address, port and sender are filled in when it is sent, and so is the realm of a recipient without one. By default
/// it carries proof of its origin, and the server's answer is awaited. A body that is too long for one packet is fragmented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    kind: Kind,
    port: u16,
    class: Vec<u8>,
    instance: Vec<u8>,
    opcode: Vec<u8>,
    sender: Vec<u8>,
    recipient: Vec<u8>,
    default_format: Vec<u8>,
    charset: Charset,
    body: Vec<u8>,
    /// The length in octets of the signature and its NUL at the beginning of the body.
    signature_len: usize,
    pub(super) proof: Proof,
    pub(super) fragmented: bool,
    pub(super) answer_timeout: Duration,
}

impl Message {
    /// A message to the subscribers of a class, with instance `PERSONAL` and without text.
    pub fn to_class(class: impl AsRef<[u8]>) -> Self {
        let instance = names::PERSONAL.to_vec();
        Self { instance, default_format: names::DEFAULT_FORMAT.to_vec(), ..Self::request(class.as_ref()) }
    }

    /// A request to a server.
    pub(super) fn request(class: &[u8]) -> Self {
        Self {
            kind: Kind::Acked,
            port: 0,
            class: class.to_vec(),
            instance: Vec::new(),
            opcode: Vec::new(),
            sender: Vec::new(),
            recipient: Vec::new(),
            default_format: Vec::new(),
            charset: Charset::UNKNOWN,
            body: Vec::new(),
            signature_len: 0,
            proof: Proof::With,
            fragmented: true,
            answer_timeout: SERVACK_WAIT,
        }
    }

    /// A personal message (class `MESSAGE`, instance `PERSONAL`) to a user: `name` or `name@REALM`.
    pub fn to_user(recipient: impl AsRef<[u8]>) -> Self {
        Self::to_class(names::MESSAGE).recipient(recipient)
    }

    /// Sets the instance.
    #[must_use]
    pub fn instance(self, instance: impl AsRef<[u8]>) -> Self {
        Self { instance: instance.as_ref().to_vec(), ..self }
    }

    /// Sets the opcode, which programs use to tell kinds of messages apart.
    #[must_use]
    pub fn opcode(self, opcode: impl AsRef<[u8]>) -> Self {
        Self { opcode: opcode.as_ref().to_vec(), ..self }
    }

    /// Sets the recipient: `name`, `name@REALM`, or `@REALM` for all subscribers in a foreign realm.
    #[must_use]
    pub fn recipient(self, recipient: impl AsRef<[u8]>) -> Self {
        Self { recipient: recipient.as_ref().to_vec(), ..self }
    }

    /// Sets the sender in place of the user: for messages that are [not authenticated](Message::authenticated).
    #[must_use]
    pub fn sender(self, sender: impl AsRef<[u8]>) -> Self {
        Self { sender: sender.as_ref().to_vec(), ..self }
    }

    /// Sets the signature, which is shown above the text: by convention the sender's full name. NULs are removed.
    #[must_use]
    pub fn signature(self, signature: impl AsRef<str>) -> Self {
        let text = self.body.get(self.signature_len..).unwrap_or_default().to_vec();
        self.with_signature_and_text(signature.as_ref(), &text)
    }

    /// Sets the text, in UTF-8.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        let signature = self.body.get(..self.signature_len.saturating_sub(1)).unwrap_or_default();
        let signature = String::from_utf8_lossy(signature).into_owned();
        self.with_signature_and_text(&signature, text.as_ref().as_bytes())
    }

    fn with_signature_and_text(self, signature: &str, text: &[u8]) -> Self {
        let mut body: Vec<u8> = signature.bytes().filter(|&octet| octet != 0).chain([0]).collect();
        let signature_len = body.len();
        body.extend_from_slice(text);
        Self { body, signature_len, charset: Charset::UTF8, ..self }
    }

    /// Sets the whole body, in place of signature and text. One of more than 400,000 octets is not sent.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), signature_len: 0, ..self }
    }

    /// Sets the label of the body's character set. [`Message::text`] and [`Message::signature`] set it to UTF-8.
    #[must_use]
    pub fn charset(self, charset: Charset) -> Self {
        Self { charset, ..self }
    }

    /// Sets the default format, by which windowgram clients display the message unless their user has another.
    #[must_use]
    pub fn default_format(self, format: impl AsRef<[u8]>) -> Self {
        Self { default_format: format.as_ref().to_vec(), ..self }
    }

    /// Sets whether the message carries proof of its origin; it does by default.
    #[must_use]
    pub fn authenticated(self, authenticated: bool) -> Self {
        Self { proof: if authenticated { Proof::With } else { Proof::Without }, ..self }
    }

    /// Sets the kind, which decides whether host manager and server acknowledge the message. Only with [`Kind::Acked`], the
    /// default, does the server report the delivery.
    #[must_use]
    pub fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Sets the time limit for the server's answer, 60 s by default. What the host manager sends restarts it, until 5 minutes
    /// have passed, or this time if it is longer.
    #[must_use]
    pub fn answer_timeout(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
    }

    /// Sets the port of the client that the request is about; `None`: the one that sends it.
    #[must_use]
    pub(super) fn port(self, port: Option<u16>) -> Self {
        Self { port: port.unwrap_or(0), ..self }
    }

    /// Sets the proof, and sends the notice in one packet.
    pub(super) fn unfragmented(self, proof: Proof) -> Self {
        Self { proof, fragmented: false, ..self }
    }

    /// The notice as described so far, with nothing filled in.
    pub fn notice(&self) -> Notice<'_> {
        Notice {
            kind: self.kind,
            port: self.port,
            class: &self.class,
            instance: &self.instance,
            opcode: &self.opcode,
            sender: &self.sender,
            recipient: &self.recipient,
            default_format: &self.default_format,
            charset: self.charset,
            body: &self.body,
            ..Notice::EMPTY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_and_text_in_any_order() {
        let plain = Message::to_user("bob");
        assert_eq!(plain.notice().body, b"");
        assert_eq!(plain.clone().text("hello").notice().body, b"\0hello");
        assert_eq!(plain.clone().signature("Al\0ice").notice().body, b"Alice\0");
        let one = plain.clone().signature("Alice").text("hello");
        let other = plain.clone().text("first").text("hello").signature("A").signature("Alice");
        assert_eq!((&one, one.notice().body), (&other, &b"Alice\0hello"[..]));
        assert_eq!(one.body(*b"raw").text("x").notice().body, b"\0x");
        assert_eq!((plain.notice().class, plain.notice().recipient), (&b"MESSAGE"[..], &b"bob"[..]));
    }
}
