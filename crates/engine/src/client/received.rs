//! What a client receives: a whole notice, and what is known about its origin.

use super::policy::{Admissible, Hidden, incoming};
use std::{borrow::Cow, fmt, net::SocketAddr};
use zephyr_core::{
    auth::Verdict, body, fold::FoldedName, inbox::Delivered, limits::MAX_PACKET, names, notice::Notice, policy::Policy,
};

/// A notice that has come.
#[derive(Clone, Debug)]
pub struct Received {
    from: SocketAddr,
    /// With the verdict that the policy has not seen, to apply another policy to.
    delivered: Delivered,
    class: FoldedName,
    own: bool,
    admissible: Admissible,
}

/// Where a notice comes from, and by what it is shown or not.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// Where its last packet came from.
    pub(super) from: SocketAddr,
    /// The client has sent it itself.
    pub(super) own: bool,
    /// What the domain demands.
    pub(super) policy: &'a Policy,
    /// The domain's realm.
    pub(super) realm: &'a str,
}

impl Received {
    pub(super) fn new(delivered: Delivered, at: Circumstances<'_>) -> Self {
        let notice = delivered.notice();
        let class = FoldedName::new(notice.class);
        let admissible = incoming(at.policy, at.realm, &notice, &class, delivered.verdict());
        Self { from: at.from, class, own: at.own, admissible, delivered }
    }

    /// The domain of `realm` demands something else by now.
    pub fn enforce(&mut self, policy: &Policy, realm: &str) {
        self.admissible = incoming(policy, realm, &self.delivered.notice(), &self.class, self.delivered.verdict());
    }

    /// The notice with its whole body, octet for octet; its header is that of the first packet.
    pub fn notice(&self) -> Notice<'_> {
        self.delivered.notice()
    }

    /// Where its last packet came from: the server, if the network is honest.
    pub const fn from(&self) -> SocketAddr {
        self.from
    }

    /// What is known about its origin, where the domain's policy is taken into account.
    pub const fn verdict(&self) -> &Verdict {
        &self.admissible.verdict
    }

    /// Whether it is proven that [`Received::sender`] has sent it, and just so.
    pub const fn is_authentic(&self) -> bool {
        self.verdict().is_authentic()
    }

    /// Why the domain's policy hides it; `None` when it is to be shown.
    pub const fn hidden(&self) -> Option<&Hidden> {
        self.admissible.hidden.as_ref()
    }

    /// Whether this client has sent it itself, as far as it says.
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// Whether it only asks if somebody would receive a message.
    pub fn is_ping(&self) -> bool {
        self.notice().opcode.eq_ignore_ascii_case(names::PING)
    }

    /// The class in the form in which equal names are equal octets.
    pub const fn folded_class(&self) -> &FoldedName {
        &self.class
    }

    /// The class, as it is spelled.
    pub fn class(&self) -> Name<'_> {
        Name(self.notice().class)
    }

    /// The instance, as it is spelled.
    pub fn instance(&self) -> Name<'_> {
        Name(self.notice().instance)
    }

    /// The opcode.
    pub fn opcode(&self) -> Name<'_> {
        Name(self.notice().opcode)
    }

    /// Who, so it says, sent it: true where it [is authentic](Received::is_authentic).
    pub fn sender(&self) -> Name<'_> {
        Name(self.notice().sender)
    }

    /// Whom it is for: empty when it is for everybody.
    pub fn recipient(&self) -> Name<'_> {
        Name(self.notice().recipient)
    }

    /// The signature: by convention the sender's name.
    pub fn signature(&self) -> String {
        self.texts().0
    }

    /// The text, read as the label of its character set says. That of a notice about somebody's coming or going is all of
    /// its fields, a line each.
    pub fn text(&self) -> String {
        self.texts().1
    }

    fn texts(&self) -> (String, String) {
        let notice = self.notice();
        let (signature, text) = if self.class.is(names::LOGIN) {
            (&b""[..], body::on_lines(notice.body.strip_suffix(b"\0").unwrap_or(notice.body)))
        } else {
            body::signature_and_text(notice.body)
        };
        let decode = |octets| notice.charset.decode(octets).into_owned();
        (decode(signature), decode(&text))
    }

    /// Octets of memory that it takes, about.
    pub fn octets(&self) -> usize {
        self.notice().body.len() + MAX_PACKET
    }
}

/// A name in a notice: octets, of which nothing says that they are text.
///
/// Shown, it is text: what is none becomes U+FFFD, as do control characters, so that it is safe on a terminal's line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// The octets.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl AsRef<[u8]> for Name<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl PartialEq<str> for Name<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Name<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Cow<'_, str> = String::from_utf8_lossy(self.0);
        let visible = |character: char| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        f.pad(&text.chars().map(visible).collect::<String>())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
