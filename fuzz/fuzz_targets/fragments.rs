//! Fragments of a few notices in any order, sizes and places, proven and not: nothing panics, nothing grows beyond its total, and
//! what is authentic holds nothing that is not its sender's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{Identity, Reason, Verdict},
    inbox::{Arrival, Inbox},
    kind::Kind,
    limits::{Limits, MAX_NOTICE, MAX_QUEUED},
    notice::{Claim, Notice, OwnedPacket},
    time::Now,
    uid::Uid,
};

fuzz_target!(|script: &[u8]| {
    let mut inbox = Inbox::new();
    for (index, step) in script.chunks_exact(6).enumerate() {
        let [which, offset_high, offset_low, total_high, total_low, size] = *step else { continue };
        let offset = u32::from(offset_high) << 8 | u32::from(offset_low);
        let total = u32::from(total_high) << 8 | u32::from(total_low);
        let uid = |seconds, micros| Uid { address: Ipv4Addr::LOCALHOST, seconds, micros };
        let multinotice = format!("{offset}/{total}");
        // Who proves it, if anybody does: each says nothing but their own number.
        let (verdict, says) = match which >> 2 & 3 {
            0 => (Verdict::Unauthenticated, 0),
            1 => (Verdict::Failed(Reason::Checksum), 1),
            2 => (Verdict::Authentic(Identity::new(b"2")), 2),
            _ => (Verdict::Authentic(Identity::new(b"3")), 3),
        };
        let body = vec![says; usize::from(size)];
        let notice = Notice {
            kind: Kind::from(u32::from(which >> 4)),
            uid: uid(u32::from(which), u32::try_from(index).unwrap_or(0)),
            multiuid: uid(u32::from(which & 3), 0),
            multinotice: multinotice.as_bytes(),
            body: &body,
            ..Notice::EMPTY
        };
        let packet = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).expect("it fits");
        let now = Now { monotonic: Duration::from_secs(index as u64), wall: UNIX_EPOCH };
        let packet = OwnedPacket::receive(&packet).expect("it was just written");
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::from(which)));
        let given_up = inbox.give_up(now);
        assert!(given_up.iter().all(|notice| matches!(notice.verdict(), Verdict::Failed(_))));
        let reception = inbox.receive(now, Arrival { from, packet, opened: verdict.into() });
        if let Ok(Some(notice)) = reception.delivered {
            let body = notice.notice().body;
            assert!(body.len() <= MAX_NOTICE);
            if let Some(identity) = notice.verdict().identity() {
                assert!(body.iter().all(|octet| identity.principal() == [b'0' + octet]));
            }
        }
        assert!(inbox.incomplete_octets() <= MAX_QUEUED);
    }
});
