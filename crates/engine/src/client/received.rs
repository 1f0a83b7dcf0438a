//! A received notice, reassembled and verified.

use super::policy::{Assessment, Hidden, assess_incoming};
use std::{fmt, net::SocketAddr};
use zephyr_core::{
    auth::Verdict, body, fold::FoldedName, inbox::Delivered, limits::MAX_PACKET, names, notice::Notice, policy::Policy,
    sanitize,
};

/// A received notice: whole, and with the verdict about its origin.
#[derive(Clone, Debug)]
pub struct Received {
    /// With the verdict before the policy was applied, so that another policy can be.
    delivered: Delivered,
    class: FoldedName,
    own: bool,
    assessment: Assessment,
    local_user: Option<u32>,
}

/// What a client knows besides a notice: whose it is, and the policy to apply to it.
#[derive(Clone, Copy)]
pub(super) struct ReceptionContext<'a> {
    /// Whether this client has sent it.
    pub(super) own: bool,
    /// The domain's policy.
    pub(super) policy: &'a Policy,
    /// The domain's realm.
    pub(super) realm: &'a str,
}

impl Received {
    pub(super) fn new(delivered: Delivered, context: ReceptionContext<'_>) -> Self {
        let notice = delivered.notice();
        let class = FoldedName::new(notice.class);
        let assessment = assess_incoming(context.policy, context.realm, &class, delivered.verdict());
        Self { class, own: context.own, assessment, delivered, local_user: None }
    }

    /// Applies a new policy of the domain of `realm`.
    pub fn enforce(&mut self, policy: &Policy, realm: &str) {
        self.assessment = assess_incoming(policy, realm, &self.class, self.delivered.verdict());
    }

    /// The notice with its whole body, octet for octet, and the header fields of its first packet.
    pub fn notice(&self) -> Notice<'_> {
        self.delivered.notice()
    }

    /// The source address of its last packet, which nothing proves: the server's, unless somebody forges addresses.
    pub const fn from(&self) -> SocketAddr {
        self.delivered.from()
    }

    /// The verdict about its origin, with the domain's policy applied: realms that it does not trust prove nothing.
    pub const fn verdict(&self) -> &Verdict {
        &self.assessment.verdict
    }

    /// Whether it is authentic: proven to come from [`Received::sender`], and unchanged.
    pub const fn is_authentic(&self) -> bool {
        self.verdict().is_authentic()
    }

    /// The reason why the domain's policy hides it; `None` when it may be shown. Every class is judged as one that is sent to,
    /// those of servers and host managers as well: their answers to a program's own messages prove nothing.
    pub const fn hidden(&self) -> Option<&Hidden> {
        self.assessment.hidden.as_ref()
    }

    /// The number of the user of this machine whose program has sent it, where whoever has received it asks the system and is told.
    pub const fn local_user(&self) -> Option<u32> {
        self.local_user
    }

    /// Records whose program on this machine has sent it, as the system says.
    pub const fn set_local_user(&mut self, user: Option<u32>) {
        self.local_user = user;
    }

    /// Whether this client has sent it, by its sender, address and port, which an unauthentic notice may forge.
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// Whether it is a ping: opcode `PING`, which only asks whether a message would be received.
    pub fn is_ping(&self) -> bool {
        self.notice().opcode.eq_ignore_ascii_case(names::PING)
    }

    /// The class in case-folded form, for comparisons.
    pub const fn folded_class(&self) -> &FoldedName {
        &self.class
    }

    /// The class as sent; servers compare classes without regard to case.
    pub fn class(&self) -> Name<'_> {
        Name(self.notice().class)
    }

    /// The instance as sent; servers compare instances without regard to case.
    pub fn instance(&self) -> Name<'_> {
        Name(self.notice().instance)
    }

    /// The opcode.
    pub fn opcode(&self) -> Name<'_> {
        Name(self.notice().opcode)
    }

    /// The sender as claimed, `name@REALM`: proven only where the notice [is authentic](Received::is_authentic).
    pub fn sender(&self) -> Name<'_> {
        Name(self.notice().sender)
    }

    /// The recipient; empty for notices to all subscribers.
    pub fn recipient(&self) -> Name<'_> {
        Name(self.notice().recipient)
    }

    /// The signature: by convention the sender's full name, which nothing proves. May hold control characters.
    pub fn signature(&self) -> String {
        self.texts().0
    }

    /// The text, decoded by the label of its character set. That of a login notice (class `LOGIN`) is its fields host, time
    /// and terminal, one a line. May hold control characters, which are not safe on a terminal.
    pub fn text(&self) -> String {
        self.texts().1
    }

    fn texts(&self) -> (String, String) {
        let notice = self.notice();
        let (signature, text) = if self.class.is(names::LOGIN) {
            (&b""[..], body::on_lines(notice.body.strip_suffix(b"\0").unwrap_or(notice.body)))
        } else {
            body::signature_and_text(notice.body, notice.default_format)
        };
        let decode = |octets| notice.charset.decode(octets).into_owned();
        (decode(signature), decode(&text))
    }

    /// The memory that it uses, in octets, approximately.
    pub fn memory_size(&self) -> usize {
        self.notice().body.len() + MAX_PACKET
    }
}

/// A name in a notice: octets that need not be UTF-8.
///
/// `Display` replaces invalid UTF-8 and control characters with U+FFFD, so that the name is safe on a terminal's line.
/// Comparison is by octets, and so regards case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// The octets.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether it has no octets.
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
        f.pad(&sanitize::name(self.0))
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
