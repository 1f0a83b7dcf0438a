//! Reassembly undoes fragmentation, in whatever order packets come, with duplicates and after losses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Verdict},
    fragment::{Cutter, Span},
    inbox::{Arrival, Delivered, DropReason, Inbox, Opened, Reception},
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    notice::{Claim, FormatError, Notice, OwnedPacket, Packet},
    time::Now,
    uid::{Uid, UidSource},
};

fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), wall: UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds) }
}

fn uids() -> UidSource {
    UidSource::new(Ipv4Addr::LOCALHOST)
}

fn whole<'a>(uids: &mut UidSource, body: &'a [u8]) -> Notice<'a> {
    let uid = uids.next(&at(0));
    Notice { kind: Kind::Acked, uid, multiuid: uid, class: b"MESSAGE", body, ..Notice::EMPTY }
}

/// Cuts as a sender does whose proofs are of varying length.
fn cut(cutter: &mut Cutter<'_>, uids: &mut UidSource, proofs: &[usize]) -> Vec<Bytes> {
    let mut proofs = proofs.iter().copied().cycle();
    let mut packets = Vec::new();
    let mut write = |piece: &Notice<'_>| {
        let proof = vec![b'p'; proofs.next().unwrap_or(0)];
        let claim = Claim { authenticator: &proof, ..Claim::NONE };
        piece.write(&claim, Limits::WHOLE_PACKET).map_err(AuthError::from)
    };
    while let Some(packet) = cutter.next_packet(uids.next(&at(0)), &mut write).unwrap() {
        assert!(packet.len() <= MAX_PACKET);
        packets.push(packet);
    }
    packets
}

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 2103);

fn arrive(inbox: &mut Inbox, now: Now, packet: &[u8], opened: Opened) -> Reception {
    inbox.receive(now, Arrival { from: SERVER, packet: OwnedPacket::receive(packet).unwrap(), opened })
}

fn receive(inbox: &mut Inbox, now: Now, packet: &[u8], verdict: Verdict) -> Result<Option<Delivered>, DropReason> {
    arrive(inbox, now, packet, verdict.into()).delivered
}

fn deliver(inbox: &mut Inbox, packet: &[u8]) -> Option<Delivered> {
    receive(inbox, at(1), packet, Verdict::Unauthenticated).ok().flatten()
}

proptest! {
    #[test]
    fn joining_undoes_cutting(body in vec(any::<u8>(), 0..20_000), proofs in vec(0_usize..700, 1..5), order in any::<u64>(),
                              lost in vec(any::<prop::sample::Index>(), 0..5)) {
        let mut uids = uids();
        let notice = whole(&mut uids, &body);
        let packets = cut(&mut Cutter::new(notice), &mut uids, &proofs);

        // Every packet comes, some only at the second try, in an order drawn from the seed, and some twice.
        let mut arrivals: Vec<usize> = (0..packets.len()).chain(0..packets.len()).collect();
        let mut state = order | 1;
        for i in (1..arrivals.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            arrivals.swap(i, (state >> 33) as usize % (i + 1));
        }
        for index in &lost {
            let place = index.index(arrivals.len());
            let missed = arrivals.remove(place);
            arrivals.push(missed);
        }

        let mut inbox = Inbox::new();
        let delivered: Vec<Delivered> = arrivals.iter().filter_map(|&i| deliver(&mut inbox, &packets[i])).collect();
        prop_assert_eq!(delivered.len(), 1);
        let came = delivered[0].notice();
        prop_assert_eq!(came.body, body.as_slice());
        prop_assert_eq!((came.uid, came.multiuid, came.class), (notice.uid, notice.uid, notice.class));
    }

    #[test]
    fn a_piece_can_be_cut_again(body in vec(any::<u8>(), 1..5_000), proofs in vec(500_usize..700, 1..3)) {
        let mut uids = uids();
        let first = cut(&mut Cutter::new(whole(&mut uids, &body)), &mut uids, &[0]);
        let mut inbox = Inbox::new();
        let mut delivered = Vec::new();
        for packet in &first {
            let piece = Packet::parse(packet).unwrap().notice;
            let packets = cut(&mut Cutter::again(piece), &mut uids, &proofs);
            prop_assert_eq!(Packet::parse(&packets[0]).unwrap().notice.uid, piece.uid);
            delivered.extend(packets.iter().filter_map(|packet| deliver(&mut inbox, packet)));
        }
        prop_assert_eq!(delivered.len(), 1);
        prop_assert_eq!(delivered[0].notice().body, body.as_slice());
    }

    #[test]
    fn hostile_fragments_never_panic(packets in vec((0_usize..60, 0_usize..60, 0_u32..3, 0_usize..60), 0..60)) {
        let mut uids = uids();
        let mut inbox = Inbox::new();
        for (offset, total, which, len) in packets {
            let multiuid = Uid { address: Ipv4Addr::LOCALHOST, seconds: which, micros: 0 };
            let multinotice = format!("{offset}/{total}");
            let body = vec![b'x'; len];
            let notice = Notice { uid: uids.next(&at(0)), multiuid, multinotice: multinotice.as_bytes(), body: &body,
                                  kind: Kind::Acked, ..Notice::EMPTY };
            if let Some(notice) = deliver(&mut inbox, &notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()) {
                prop_assert!(notice.notice().body.len() <= 60);
            }
        }
    }
}

#[test]
fn an_empty_body_is_one_packet() {
    let mut uids = uids();
    let packets = cut(&mut Cutter::new(whole(&mut uids, b"")), &mut uids, &[0]);
    assert_eq!(packets.len(), 1);
    assert_eq!(Packet::parse(&packets[0]).unwrap().notice.multinotice, b"0/0");
}

#[test]
fn a_header_that_leaves_no_room_is_an_error() {
    let mut uids = uids();
    let mut write = |piece: &Notice<'_>| {
        let claim = Claim { authenticator: &[b'p'; 1000], ..Claim::NONE };
        piece.write(&claim, Limits::WHOLE_PACKET).map_err(AuthError::from)
    };
    let error = Cutter::new(whole(&mut uids, b"hello")).next_packet(uids.next(&at(0)), &mut write).unwrap_err();
    assert!(matches!(error, AuthError::Format(FormatError::HeaderTooLong { .. })), "{error:?}");
}

fn piece(uids: &mut UidSource, multiuid: Uid, multinotice: &str, body: &[u8]) -> Bytes {
    let uid = uids.next(&at(0));
    Notice { kind: Kind::Acked, uid, multiuid, multinotice: multinotice.as_bytes(), body, ..Notice::EMPTY }
        .write(&Claim::NONE, Limits::WHOLE_PACKET)
        .unwrap()
}

#[test]
fn an_incomplete_notice_is_given_up_after_thirty_seconds() {
    for (gap, completes) in [(30, true), (31, false)] {
        let (mut uids, mut inbox) = (uids(), Inbox::new());
        let (one, other) = (uids.next(&at(0)), uids.next(&at(0)));
        let mut came = |second, multiuid, multinotice, body| {
            let packet = piece(&mut uids, multiuid, multinotice, body);
            assert!(inbox.give_up(at(second)).is_empty());
            receive(&mut inbox, at(second), &packet, Verdict::Unauthenticated).unwrap()
        };
        came(0, one, "0/8", b"abcd");
        came(gap, other, "0/8", b"abcd");
        assert_eq!(came(gap, one, "4/8", b"efgh").is_some(), completes, "after {gap} s");
    }
}

#[test]
fn the_whole_is_of_what_was_opened() {
    let (mut uids, mut inbox) = (uids(), Inbox::new());
    let multiuid = uids.next(&at(0));
    let mut came = |multinotice: &str, sealed: &[u8], opened: &'static [u8]| {
        let opened = Opened { verdict: Verdict::Unauthenticated, body: Some(Bytes::from_static(opened)) };
        arrive(&mut inbox, at(0), &piece(&mut uids, multiuid, multinotice, sealed), opened).delivered.unwrap()
    };
    assert!(came("0/8", b"####", b"abcd").is_none());
    assert_eq!(came("4/8", b"####", b"efgh").unwrap().notice().body, b"abcdefgh");
    // Further fragments are of a new notice: the old one is complete.
    assert_eq!(came("0/4", b"####", b"ijkl").unwrap().notice().body, b"ijkl");
}

#[test]
fn servers_drop_what_reaches_beyond_its_notice() {
    let mut uids = uids();
    let multiuid = uids.next(&at(0));
    for (multinotice, body, expected) in [
        ("0/400001", &b"x"[..], Err(DropReason::TooLarge(400_001))),
        ("9/10", b"xy", Err(DropReason::BodyBeyondTotal)),
        ("8/10", b"xy", Ok(Span { offset: 8, total: 10 })),
        ("", b"xy", Ok(Span { offset: 0, total: 2 })),
        ("99999999999999999999/9", b"xy", Ok(Span { offset: 0, total: 2 })),
    ] {
        let packet = piece(&mut uids, multiuid, multinotice, body);
        assert_eq!(Span::of(&Packet::parse(&packet).unwrap()), expected, "{multinotice}");
    }
}
