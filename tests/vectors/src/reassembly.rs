//! Test cases of sequences of datagrams at a client.

use super::{
    Outcome,
    auth::key,
    octets::{Hex, Text, Uid},
    with_quirk,
};
use serde::Deserialize;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{Direction, Identity, Reason, Session, Verdict},
    inbox::{Arrival, Delivered, Inbox},
    notice::{Notice, OwnedPacket, Packet},
    schedule::FRAGMENT_TIMEOUT,
    time::Now,
};

/// Where the packets come from.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2103);

#[derive(Deserialize)]
pub(super) struct Case {
    packets_hex: Vec<Hex>,
    reference: Reference,
    enctype: Option<i32>,
    session_key_hex: Option<Hex>,
    quirk: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    steps: Vec<Step>,
    notices: Vec<Expected>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Step {
    /// Notices complete so far, or -1 when the datagram was an error.
    pending: i64,
    clientacks: u32,
}

#[derive(Deserialize)]
struct Expected {
    kind: i64,
    checked_auth: i32,
    message_len: usize,
    uid: Uid,
    multinotice: Text,
    message_hex: Hex,
}

impl Case {
    pub(super) fn run(&self) -> Outcome {
        let session = match (self.enctype, &self.session_key_hex) {
            (Some(enctype), Some(octets)) => match key(enctype, octets) {
                Ok(session) => Some(session),
                Err(outcome) => return outcome,
            },
            _ => None,
        };
        let mut inbox = Inbox::new();
        let mut delivered = Vec::new();
        let mut steps = Vec::new();
        let (mut proven, mut failed) = (false, false);
        for (second, datagram) in (0..).zip(&self.packets_hex) {
            let now = Now { monotonic: Duration::from_millis(second), wall: UNIX_EPOCH };
            let Ok(packet) = OwnedPacket::receive(&datagram.0) else {
                steps.push(Step { pending: -1, clientacks: 0 });
                continue;
            };
            let verdict = verdict(&packet.packet(), session.as_deref());
            proven |= verdict.is_authentic();
            failed |= matches!(verdict, Verdict::Failed(_));
            let reception = inbox.receive(now, Arrival { from: SERVER, packet, opened: verdict.into() });
            delivered.extend(reception.delivered.ok().flatten());
            steps.push(Step {
                pending: i64::try_from(delivered.len()).unwrap_or(i64::MAX),
                clientacks: reception.acknowledgement.is_some().into(),
            });
        }
        // Of proven fragments and a failed one the reference makes a failed notice at once. We do not acknowledge the latter, as
        // a genuine copy may follow, and show the same notice when none does.
        let is_spoilt = proven && failed;
        if is_spoilt {
            let later = Now { monotonic: FRAGMENT_TIMEOUT * 2, wall: UNIX_EPOCH };
            delivered.extend(inbox.give_up(later));
        }
        // The reference was read at the end, and then gives notices in the order of their first packets; we give each
        // as soon as it is complete.
        let notices = self.reference.notices.iter().map(|expected| {
            let came = delivered.iter().find(|came| expected.is_about(came));
            came.map_or_else(
                || Outcome::Failed(format!("not delivered: kind {} of {:?}", expected.kind, expected.uid)),
                |came| expected.compare(came),
            )
        });
        let outcome = Outcome::first(
            [
                if is_spoilt { Outcome::Passed } else { Outcome::compare("steps", &self.reference.steps, &steps) },
                Outcome::compare("notices", &self.reference.notices.len(), &delivered.len()),
            ]
            .into_iter()
            .chain(notices),
        );
        with_quirk(self.quirk.as_deref(), delivered.is_empty(), outcome)
    }
}

/// As a client that has this key and no other.
fn verdict(packet: &Packet<'_>, session: Option<&dyn Session>) -> Verdict {
    match (packet.claim.auth, session) {
        (0, _) => Verdict::Unauthenticated,
        (_, Some(session)) if session.check(packet, Direction::ToClient) => {
            Verdict::Authentic(Identity::new(packet.notice.sender))
        }
        _ => Verdict::Failed(Reason::Checksum),
    }
}

/// A kind as the vectors write it.
fn kind_number(notice: &Notice<'_>) -> i64 {
    notice.kind.number().cast_signed().into()
}

impl Expected {
    /// Whether it is the same notice, which its uid alone does not tell: other kinds may come under it as well.
    fn is_about(&self, came: &Delivered) -> bool {
        let notice = came.notice();
        self.uid == notice.uid.into() && self.kind == kind_number(&notice)
    }

    fn compare(&self, came: &Delivered) -> Outcome {
        let notice = came.notice();
        let checked = match came.verdict() {
            Verdict::Unauthenticated => 0,
            Verdict::Failed(_) => -1,
            Verdict::Authentic(_) => 1,
        };
        Outcome::first([
            Outcome::compare("kind", &self.kind, &kind_number(&notice)),
            Outcome::compare("checked authentication", &self.checked_auth, &checked),
            Outcome::compare("body length", &self.message_len, &notice.body.len()),
            Outcome::compare("uid", &self.uid, &notice.uid.into()),
            Outcome::compare("multinotice", &self.multinotice.octets(), &notice.multinotice),
            Outcome::compare("body", &self.message_hex, &Hex(notice.body.to_vec())),
        ])
    }
}
