//! Subscriptions to notices, and their encoding.

use super::{OperationError, policy::folded};
use std::fmt;
use zephyr_core::{body, limits::MAX_PACKET, names, sanitize};

/// Octets of a class, an instance or a recipient in a message, before escaping.
const MAX_SHOWN: usize = 32;

/// A subscription: a triple of class, instance and recipient, as users write it.
///
/// The recipient is `*` for notices to all subscribers, `*@REALM` for those to all in a foreign realm, and anything else for
/// notices to the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// The class.
    pub class: Vec<u8>,
    /// The instance; `*` for all instances.
    pub instance: Vec<u8>,
    /// The recipient.
    pub recipient: Vec<u8>,
}

impl Subscription {
    /// The subscription to this triple.
    pub fn new(class: impl AsRef<[u8]>, instance: impl AsRef<[u8]>, recipient: impl AsRef<[u8]>) -> Self {
        let own = |text: &[u8]| text.to_vec();
        Self { class: own(class.as_ref()), instance: own(instance.as_ref()), recipient: own(recipient.as_ref()) }
    }

    /// Checks that there can be such a subscription at a server.
    ///
    /// # Errors
    ///
    /// [`OperationError::InvalidSubscription`] without a class, at which C servers end a list, or with a NUL;
    /// [`OperationError::NameTooLong`] for a class or instance that no server takes; [`OperationError::SubscriptionTooLong`] when no
    /// packet has room for it.
    pub fn check(&self) -> Result<(), OperationError> {
        self.check_names()?;
        let octets = self.class.len() + self.instance.len() + self.recipient.len();
        if octets > MAX_PACKET { Err(OperationError::SubscriptionTooLong) } else { Ok(()) }
    }

    /// As [`Subscription::check`], without regard to packets.
    pub(super) fn check_names(&self) -> Result<(), OperationError> {
        let Self { class, instance, recipient } = self;
        if class.is_empty() {
            return Err(OperationError::InvalidSubscription("a subscription needs a class"));
        }
        if [class, instance, recipient].iter().any(|name| name.contains(&0)) {
            return Err(OperationError::InvalidSubscription("a subscription must not have a NUL"));
        }
        folded(class, "class of a subscription")?;
        folded(instance, "instance of a subscription")?;
        Ok(())
    }

    /// The recipient on the wire: without the asterisk, and the user's name in place of any other.
    fn wire_recipient<'a>(&'a self, user: &'a [u8]) -> &'a [u8] {
        match self.recipient.strip_prefix(b"*").unwrap_or(&self.recipient) {
            everybody @ ([] | [b'@', ..]) => everybody,
            _ => user,
        }
    }
}

impl<C: AsRef<[u8]>, I: AsRef<[u8]>> From<(C, I)> for Subscription {
    /// Class and instance, with recipient `*`.
    fn from((class, instance): (C, I)) -> Self {
        Self::new(class, instance, "*")
    }
}

impl<C: AsRef<[u8]>, I: AsRef<[u8]>, R: AsRef<[u8]>> From<(C, I, R)> for Subscription {
    /// Class, instance and recipient.
    fn from((class, instance, recipient): (C, I, R)) -> Self {
        Self::new(class, instance, recipient)
    }
}

/// `CLASS,INSTANCE,RECIPIENT`, each cut after 32 octets, and fit to be printed.
impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &[u8]| match name.split_at_checked(MAX_SHOWN) {
            Some((begin, rest)) if !rest.is_empty() => sanitize::name(begin) + "...",
            _ => sanitize::name(name),
        };
        write!(f, "{},{},{}", shown(&self.class), shown(&self.instance), shown(&self.recipient))
    }
}

/// The body of a request about these subscriptions of a user.
pub(super) fn encode(list: &[Subscription], user: &[u8]) -> Vec<u8> {
    let texts = list.iter().flat_map(|wanted| [&*wanted.class, &*wanted.instance, wanted.wire_recipient(user)]);
    body::of_texts(texts)
}

/// The subscriptions in a server's answer, as users write them. An incomplete triple at the end is left out.
pub(super) fn decode(body: &[u8]) -> Vec<Subscription> {
    let texts: Vec<&[u8]> = body::texts(body).collect();
    let triples = texts.chunks_exact(3).filter_map(|triple| match triple {
        [class, instance, recipient @ ([] | [b'@', ..])] => {
            Some(Subscription::new(class, instance, [b"*", *recipient].concat()))
        }
        [class, instance, recipient] => Some(Subscription::new(class, instance, recipient)),
        _ => None,
    });
    triples.collect()
}

/// The kind of a subscription request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionRequest {
    /// Adds subscriptions, and the server's default subscriptions.
    Subscribe,
    /// Adds subscriptions.
    SubscribeWithoutDefaults,
    /// Removes subscriptions.
    Unsubscribe,
}

impl SubscriptionRequest {
    /// The opcode of the request.
    pub const fn opcode(self) -> &'static [u8] {
        match self {
            Self::Subscribe => names::SUBSCRIBE,
            Self::SubscribeWithoutDefaults => names::SUBSCRIBE_NODEFS,
            Self::Unsubscribe => names::UNSUBSCRIBE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_towards_the_server() {
        for (written, sent) in [
            ("*", ""),
            ("", ""),
            ("*@ELSEWHERE", "@ELSEWHERE"),
            ("@ELSEWHERE", "@ELSEWHERE"),
            ("alice@TEST", "alice@TEST"),
            ("somebody", "alice@TEST"),
            ("**", "alice@TEST"),
        ] {
            let body = encode(&[Subscription::new("c", "i", written)], b"alice@TEST");
            assert_eq!(body, [&b"c\0i\0"[..], sent.as_bytes(), b"\0"].concat(), "{written}");
        }
    }

    #[test]
    fn answers() {
        let list = [
            Subscription::new("message", "personal", "alice@TEST"),
            Subscription::new("a", "*", "*"),
            Subscription::new("b", "x", "*@ELSEWHERE"),
        ];
        assert_eq!(decode(&encode(&list, b"alice@TEST")), list);
        assert_eq!(decode(b""), []);
        assert_eq!(decode(b"class\0instance\0"), []);
    }
}
