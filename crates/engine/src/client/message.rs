//! A message: a notice to be sent, as a program describes it.

use std::time::Duration;
use zephyr_core::{charset::Charset, kind::Kind, names, notice::Notice, schedule::SERVACK_WAIT};

/// The default format of notices that come without one.
const DEFAULT_FORMAT: &[u8] = b"http://zephyr.1ts.org/wiki/df";

/// Whether a notice carries proof of its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None.
    Without,
    /// With the user's credentials.
    With,
    /// With the user's credentials, and what the server will prove with the same key is believed from now on.
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
/// Uids, address, port and sender are filled in when it is sent, and so is the realm of a recipient without one. It is sent
/// with proof of its origin, cut into several packets if it is long, and the server's answer is waited for.
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
    /// Octets of the signature and its NUL at the beginning of the body.
    signature_len: usize,
    pub(super) proof: Proof,
    pub(super) cut: bool,
    pub(super) patience: Duration,
}

impl Message {
    /// A message to whoever subscribed to a class, of instance `PERSONAL` and without text.
    pub fn to_class(class: impl AsRef<[u8]>) -> Self {
        let instance = names::PERSONAL.to_vec();
        Self { instance, default_format: DEFAULT_FORMAT.to_vec(), ..Self::request(class.as_ref()) }
    }

    /// A message to a server, which nobody is shown.
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
            cut: true,
            patience: SERVACK_WAIT,
        }
    }

    /// A personal message to somebody, by name or as `name@REALM`.
    pub fn to_user(recipient: impl AsRef<[u8]>) -> Self {
        Self::to_class(names::MESSAGE).recipient(recipient)
    }

    /// Of this instance.
    #[must_use]
    pub fn instance(self, instance: impl AsRef<[u8]>) -> Self {
        Self { instance: instance.as_ref().to_vec(), ..self }
    }

    /// With this opcode, which says more about the message's purpose to programs.
    #[must_use]
    pub fn opcode(self, opcode: impl AsRef<[u8]>) -> Self {
        Self { opcode: opcode.as_ref().to_vec(), ..self }
    }

    /// To this person only: a name, `name@REALM`, or `@REALM` for everybody of a foreign realm.
    #[must_use]
    pub fn recipient(self, recipient: impl AsRef<[u8]>) -> Self {
        Self { recipient: recipient.as_ref().to_vec(), ..self }
    }

    /// In the name of somebody else, which nothing can prove.
    #[must_use]
    pub fn sender(self, sender: impl AsRef<[u8]>) -> Self {
        Self { sender: sender.as_ref().to_vec(), ..self }
    }

    /// With this text as the signature, which stands above the text: by convention the sender's name.
    #[must_use]
    pub fn signature(self, signature: impl AsRef<str>) -> Self {
        let text = self.body.get(self.signature_len..).unwrap_or_default().to_vec();
        self.signed(signature.as_ref(), &text)
    }

    /// With this text.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        let signature = self.body.get(..self.signature_len.saturating_sub(1)).unwrap_or_default();
        let signature = String::from_utf8_lossy(signature).into_owned();
        self.signed(&signature, text.as_ref().as_bytes())
    }

    fn signed(self, signature: &str, text: &[u8]) -> Self {
        let mut body: Vec<u8> = signature.bytes().filter(|&octet| octet != 0).chain([0]).collect();
        let signature_len = body.len();
        body.extend_from_slice(text);
        Self { body, signature_len, charset: Charset::UTF8, ..self }
    }

    /// With these octets as the whole body, in place of signature and text.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), signature_len: 0, ..self }
    }

    /// With this label of the body's character set. That of text is UTF-8 already.
    #[must_use]
    pub fn charset(self, charset: Charset) -> Self {
        Self { charset, ..self }
    }

    /// To be shown so, by programs whose user has not said otherwise.
    #[must_use]
    pub fn default_format(self, format: impl AsRef<[u8]>) -> Self {
        Self { default_format: format.as_ref().to_vec(), ..self }
    }

    /// With proof of its origin, or without.
    #[must_use]
    pub fn authenticated(self, authenticated: bool) -> Self {
        Self { proof: if authenticated { Proof::With } else { Proof::Without }, ..self }
    }

    /// Of this kind: whether host manager and server answer it. Only [`Kind::Acked`] tells what has become of it.
    #[must_use]
    pub fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// How long the server may be silent, at most, before the message counts as lost.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// On behalf of the client on this port; `None`: of the one that sends it.
    #[must_use]
    pub(super) fn port(self, port: Option<u16>) -> Self {
        Self { port: port.unwrap_or(0), ..self }
    }

    /// In one packet, with this proof.
    pub(super) fn uncut(self, proof: Proof) -> Self {
        Self { proof, cut: false, ..self }
    }

    /// The notice, before anything is filled in.
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
