//! Notices that control a windowgram client (zwgc, section 5.2).
//!
//! Nothing in them proves anything, and C's client obeys them all. Here they are obeyed when they come from a program of the same user,
//! or of root, on this machine, as the system says of the socket that they came from; or when they are proven to be the user's own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};
use zephyr_client::{Kind, Notice, Received, Subscription, names};
use zephyr_core::{auth::AuthError, body, fragment::Cutter, limits::Limits, notice::Claim, sanitize, uid::UidSource};
use zephyr_net::{clock::Clock, services};

/// The recipient and the sender of an answer, as C's programs expect them.
const ASKER: &[u8] = b"zctl?";
const ANSWERER: &[u8] = b"Zwgc";

/// What a control notice wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Read the description again.
    Reread,
    /// Subscribe to nothing and show nothing.
    Shutdown,
    /// Go on.
    Startup,
    /// Do not show these.
    Suppress(Subscription),
    /// Show these again.
    Unsuppress(Subscription),
    /// Answer what is not shown.
    ListSuppressed,
    /// End.
    Exit,
    /// An opcode that is none of these, sanitized.
    Unknown(String),
}

impl Order {
    /// What a notice wants; `None` where it is no control notice.
    pub(crate) fn of(notice: &Notice<'_>) -> Option<Self> {
        let is_control =
            notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(names::USER);
        is_control.then(|| Self::named(notice))
    }

    fn named(notice: &Notice<'_>) -> Self {
        let is = |name: &[u8]| notice.opcode.eq_ignore_ascii_case(name);
        if is(names::REREAD) {
            Self::Reread
        } else if is(names::SHUTDOWN) {
            Self::Shutdown
        } else if is(names::STARTUP) {
            Self::Startup
        } else if is(names::SUPPRESS) {
            Self::Suppress(triple(notice.body))
        } else if is(names::UNSUPPRESS) {
            Self::Unsuppress(triple(notice.body))
        } else if is(names::LIST_SUPPRESSED) {
            Self::ListSuppressed
        } else if is(names::EXIT) {
            Self::Exit
        } else {
            Self::Unknown(sanitize::name(notice.opcode))
        }
    }
}

/// The triple that a body names; what is missing is empty.
fn triple(body: &[u8]) -> Subscription {
    let mut texts = body::texts(body);
    let mut next = || texts.next().unwrap_or_default();
    let (class, instance, recipient) = (next(), next(), next());
    Subscription::new(class, instance, recipient)
}

/// Whether a control notice is obeyed by the program of `user`, who is named `name` at the server.
pub(crate) fn is_obeyed(received: &Received, user: u32, name: &[u8]) -> bool {
    is_local_users(received.local_user(), user) && !is_passed_on(received.from().port())
        || received.is_authentic() && received.verdict().identity().is_some_and(|proven| proven.principal() == name)
}

/// Whether the sender on this machine may order this user's program around. Root's programs send nothing of their own: a server's is
/// one of them.
fn is_local_users(sender: Option<u32>, user: u32) -> bool {
    sender == Some(user)
}

/// Whether a server or a host manager on this machine has sent it: from whom it has it is not known.
fn is_passed_on(port: u16) -> bool {
    [services::ZEPHYR_CLT, services::ZEPHYR_HM].map(services::port).contains(&port)
}

/// Answers a question, as C's programs expect it.
pub(crate) fn answer(question: &Received, here: Ipv4Addr, port: u16, text: &[u8]) -> io::Result<()> {
    let (to, opcode) = (question.from(), question.notice().opcode.to_owned());
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    socket.set_nonblocking(true)?;
    let (mut uids, clock) = (UidSource::new(here), Clock::new());
    let uid = uids.next(&clock.now());
    let whole = Notice {
        kind: Kind::ClientAck,
        uid,
        multiuid: uid,
        port,
        class: names::WG_CTL,
        instance: names::WG_REPLY,
        opcode: &opcode,
        sender: ANSWERER,
        recipient: ASKER,
        address: here.into(),
        body: text,
        ..Notice::EMPTY
    };
    let mut write = |piece: &Notice<'_>| piece.write(&Claim::NONE, Limits::COMPATIBLE).map_err(AuthError::from);
    let mut cutter = Cutter::new(whole);
    while let Some(packet) = cutter.next_packet(uids.next(&clock.now()), &mut write).map_err(io::Error::other)? {
        socket.send_to(&packet, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(class: &[u8], instance: &[u8], opcode: &[u8], body: &[u8]) -> Option<Order> {
        Order::of(&Notice { class, instance, opcode, body, ..Notice::EMPTY })
    }

    #[test]
    fn opcodes_in_any_case() {
        for (opcode, wanted) in [
            ("REREAD", Order::Reread),
            ("shutdown", Order::Shutdown),
            ("StartUp", Order::Startup),
            ("list-suppressed", Order::ListSuppressed),
            ("EXIT", Order::Exit),
            ("e\x1bx", Order::Unknown("e\\u{1b}x".to_owned())),
            ("", Order::Unknown(String::new())),
        ] {
            assert_eq!(order(b"wg_ctl", b"user", opcode.as_bytes(), b""), Some(wanted), "{opcode}");
        }
        assert_eq!(order(b"WG_CTL", b"other", b"EXIT", b""), None);
        assert_eq!(order(b"MESSAGE", b"USER", b"EXIT", b""), None);
    }

    #[test]
    fn bodies_name_triples() {
        for (body, named) in [
            (&b"message\0personal\0"[..], ("message", "personal", "")),
            (b"c\0i\0@R\0", ("c", "i", "@R")),
            (b"c\0i\0r\0more\0", ("c", "i", "r")),
            (b"c", ("c", "", "")),
            (b"", ("", "", "")),
        ] {
            let triple = Subscription::from(named);
            assert_eq!(order(b"WG_CTL", b"USER", b"SUPPRESS", body), Some(Order::Suppress(triple.clone())));
            assert_eq!(order(b"WG_CTL", b"USER", b"UNSUPPRESS", body), Some(Order::Unsuppress(triple)));
        }
    }

    #[test]
    fn the_user_alone_is_obeyed() {
        let obeyed = |sender| is_local_users(sender, 1000);
        assert_eq!([Some(1000), Some(0), Some(1001), None].map(obeyed), [true, false, false, false]);
        assert_eq!([2103, 2104, 40_000].map(is_passed_on), [true, true, false]);
    }
}
