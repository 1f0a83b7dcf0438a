//! Fragments of a few notices in any order, sizes and places: nothing panics, nothing grows beyond its total.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{
    net::Ipv4Addr,
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::Verdict,
    inbox::Inbox,
    kind::Kind,
    limits::{Limits, MAX_NOTICE},
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
        let body = vec![which; usize::from(size)];
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
        let Ok(fragment) = inbox.admit(now, packet).fragment else { continue };
        if let Ok(Some(notice)) = inbox.complete(now, fragment, Verdict::Unauthenticated.into()) {
            assert!(notice.notice().body.len() <= MAX_NOTICE);
        }
    }
});
