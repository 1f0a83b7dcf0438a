//! Strangers' packets, and those of other principals, change nothing of what a reader is shown as authentic.

use super::*;
use crate::client::{
    SubscriptionRequest,
    doubles::{Key, at, notice},
};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;
use zephyr_core::{
    auth::{Direction, Session as _, Verdict},
    kind::Kind,
    limits::MAX_QUEUED,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};

/// The address of a stranger's program.
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 66)), 1066);
/// The key that the server has for this client.
const KEY: u8 = 7;

/// A client that has subscribed with the key.
fn reader() -> Harness {
    let mut harness = Harness::new(Credentials::with(KEY));
    let request = SubscriptionRequest::Subscribe;
    harness.begin(at(0), Operation::Subscribe { request, list: vec![("a", "b").into()], port: None });
    harness.sent.clear();
    harness
}

/// The uid that is made at this second, in micros one for each packet.
fn made(seconds: u64, micros: u32) -> Uid {
    Uid { address: Ipv4Addr::new(10, 0, 0, 7), seconds: at(seconds).unix().0, micros }
}

fn sealed_by(key: u8, notice: &Notice<'_>) -> Bytes {
    Key(key).seal(notice, Direction::ToClient, Limits::WHOLE_PACKET, at(0)).unwrap()
}

fn genuine(notice: &Notice<'_>) -> Bytes {
    sealed_by(KEY, notice)
}

fn unproven(notice: &Notice<'_>) -> Bytes {
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

fn single<'a>(uid: Uid, sender: &'a str, body: &'a [u8]) -> Notice<'a> {
    Notice { uid, multiuid: uid, sender: sender.as_bytes(), ..notice(body) }
}

/// A fragment of the notice that begins with the packet `first`.
fn part<'a>(first: Uid, number: u32, multinotice: &'a str, body: &'a [u8]) -> Notice<'a> {
    let uid = Uid { micros: first.micros + number, ..first };
    Notice { uid, multiuid: first, multinotice: multinotice.as_bytes(), ..notice(body) }
}

/// The three fragments of a notice with this body.
const BODY: &[u8] = b"abcdefgh";
fn parts(first: Uid) -> [Notice<'static>; 3] {
    [part(first, 0, "0/8", b"abc"), part(first, 1, "3/8", b"def"), part(first, 2, "6/8", b"gh")]
}

impl Harness {
    /// Whether a packet is acknowledged to where it comes from.
    fn is_acknowledged(&mut self, now: Now, from: SocketAddr, octets: &[u8]) -> bool {
        self.sent.clear();
        self.datagram(now, from, octets);
        let uid = Packet::parse(octets).unwrap().notice.uid;
        self.sent.drain(..).any(|sent| {
            let notice = Packet::parse(&sent.payload).unwrap().notice;
            sent.to == from && notice.kind == Kind::ClientAck && notice.uid == uid
        })
    }

    /// The bodies that were shown since the last time, and how.
    fn shown(&mut self) -> Vec<(Vec<u8>, &'static str)> {
        let how = |verdict: &Verdict| match verdict {
            Verdict::Authentic(_) => "authentic",
            Verdict::Failed(_) => "failed",
            Verdict::Unauthenticated => "unauthenticated",
        };
        self.received.drain(..).map(|received| (received.notice().body.to_vec(), how(received.verdict()))).collect()
    }

    /// The bodies that were shown as authentic since the last time.
    fn authentic(&mut self) -> Vec<Vec<u8>> {
        self.shown().into_iter().filter(|(_, how)| *how == "authentic").map(|(body, _)| body).collect()
    }
}

#[test]
fn a_foreign_fragment_does_not_touch_a_proven_notice() {
    let first = made(0, 100);
    // Without proof, with one that fails, and proven by another; before, among and after the genuine ones.
    let foreign = part(first, 9, "3/8", b"XYZ");
    let mallorys = genuine(&Notice { sender: b"mallory@TEST", ..foreign });
    for foreign in [unproven(&foreign), sealed_by(KEY + 1, &foreign), mallorys] {
        for place in 0..=3 {
            let mut harness = reader();
            for (number, part) in parts(first).iter().enumerate() {
                if number == place {
                    harness.datagram(at(1), STRANGER, &foreign);
                }
                assert!(harness.is_acknowledged(at(1), SERVER, &genuine(part)));
            }
            if place == 3 {
                harness.datagram(at(1), STRANGER, &foreign);
            }
            assert_eq!(harness.shown(), [(BODY.to_vec(), "authentic")], "at {place}");
        }
    }
}

#[test]
fn a_foreign_fragment_that_lies_about_the_length_does_not_touch_a_proven_notice() {
    let first = made(0, 100);
    for multinotice in ["0/400000", "0/4", "5/9"] {
        let mut harness = reader();
        harness.datagram(at(1), STRANGER, &unproven(&part(first, 9, multinotice, b"XYZ")));
        parts(first).iter().for_each(|part| harness.datagram(at(1), SERVER, &genuine(part)));
        assert_eq!(harness.shown(), [(BODY.to_vec(), "authentic")], "{multinotice}");
    }
}

#[test]
fn a_changed_fragment_is_not_acknowledged_and_the_genuine_one_completes_the_notice() {
    let first = made(0, 100);
    let [one, two, three] = parts(first);
    let changed = unproven(&Notice { body: b"XYZ", ..two });
    let mut harness = reader();
    assert!(harness.is_acknowledged(at(1), SERVER, &genuine(&one)));
    for second in [1, 3] {
        assert!(!harness.is_acknowledged(at(second), SERVER, &changed), "not even when it comes again");
    }
    assert!(harness.is_acknowledged(at(4), SERVER, &genuine(&three)));
    assert!(harness.is_acknowledged(at(5), SERVER, &genuine(&two)));
    assert_eq!(harness.shown(), [(BODY.to_vec(), "authentic")]);
    assert!(harness.is_acknowledged(at(6), SERVER, &changed), "as a copy of what was heard");
    assert_eq!(harness.shown(), []);
}

#[test]
fn what_is_whole_only_with_a_changed_fragment_is_shown_once_as_failed() {
    let first = made(0, 100);
    for changed in 0..3 {
        for key in [None, Some(KEY + 1)] {
            let mut harness = reader();
            for (number, part) in parts(first).iter().enumerate() {
                let spoilt = Notice { body: &part.body.to_ascii_uppercase(), ..*part };
                let packet = match key {
                    _ if number != changed => genuine(part),
                    None => unproven(&spoilt),
                    Some(key) => sealed_by(key, &spoilt),
                };
                harness.datagram(at(number as u64), SERVER, &packet);
            }
            assert_eq!(harness.shown(), []);
            let mut now = at(3);
            while let Some(until) = harness.drive(now) {
                assert!(until > now.monotonic && until < at(100).monotonic);
                now = Now { monotonic: until, ..now };
                harness.input(now, Input::Timeout);
            }
            let mut expected = BODY.to_vec();
            expected[changed * 3..(changed * 3 + 3).min(8)].make_ascii_uppercase();
            assert_eq!(harness.shown(), [(expected, "failed")]);
        }
    }
}

#[test]
fn a_forged_packet_with_the_same_uid_makes_no_duplicate_of_the_genuine_one() {
    for forger in [None, Some(("alice@TEST", KEY + 1)), Some(("mallory@TEST", KEY))] {
        let mut harness = reader();
        let uid = made(0, 1);
        let forged = match forger {
            None => unproven(&single(uid, "alice@TEST", b"forged")),
            Some((sender, key)) => sealed_by(key, &single(uid, sender, b"forged")),
        };
        let real = genuine(&single(uid, "alice@TEST", b"real"));
        harness.datagram(at(1), STRANGER, &forged);
        assert!(harness.is_acknowledged(at(1), SERVER, &real));
        let shown = harness.shown();
        assert_eq!(shown.last(), Some(&(b"real".to_vec(), "authentic")), "{forger:?}");
        // Neither is shown again.
        for packet in [&forged, &real] {
            assert!(harness.is_acknowledged(at(2), SERVER, packet));
        }
        assert_eq!(harness.shown(), []);
    }
}

#[test]
fn a_flood_of_pings_does_not_make_a_heard_notice_new() {
    heard_before_a_flood_of_pings(unproven);
}

#[test]
fn nor_does_one_of_another_principal() {
    heard_before_a_flood_of_pings(genuine);
}

fn heard_before_a_flood_of_pings(write: impl Fn(&Notice<'_>) -> Bytes) {
    let mut harness = reader();
    let heard = genuine(&single(made(0, 1), "alice@TEST", b"heard"));
    harness.datagram(at(1), SERVER, &heard);
    assert_eq!(harness.authentic(), [b"heard"]);
    for number in 0..68_000 {
        let ping = Notice { opcode: b"PING", ..single(made(2, number), "mallory@TEST", b"") };
        harness.client.handle(at(2), Input::Datagram { from: STRANGER, local: None, octets: &write(&ping) });
        while !matches!(harness.client.poll(at(2)), Output::Wait(_)) {}
    }
    assert!(harness.is_acknowledged(at(8), STRANGER, &heard));
    assert_eq!(harness.shown(), []);
    // What comes after the flood is shown.
    assert!(harness.is_acknowledged(at(8), SERVER, &genuine(&single(made(8, 1), "alice@TEST", b"next"))));
    assert_eq!(harness.authentic(), [b"next"]);
}

#[test]
fn a_heard_notice_is_not_shown_as_authentic_again_however_late() {
    let heard = genuine(&single(made(0, 1), "alice@TEST", b"heard"));
    for seconds in [901, 1037, 1300, 5000, 100_000] {
        let mut harness = reader();
        harness.datagram(at(1), SERVER, &heard);
        assert_eq!(harness.authentic(), [b"heard"]);
        assert!(harness.is_acknowledged(at(seconds), STRANGER, &heard));
        assert_eq!(harness.authentic(), <[Vec<u8>; 0]>::default(), "after {seconds} s");
        harness.datagram(at(seconds), SERVER, &genuine(&single(made(seconds, 1), "alice@TEST", b"next")));
        assert_eq!(harness.authentic(), [b"next"], "after {seconds} s");
    }
}

#[test]
fn promises_take_no_room() {
    let mut harness = reader();
    let totals = [[400_000; 4].as_slice(), &[100_000; 4], &[1_000; 200], &[8; 10]].concat();
    for (number, total) in (0..).zip(totals) {
        let multinotice = format!("0/{total}");
        harness.datagram(at(1), STRANGER, &unproven(&part(made(1, number * 10), 0, &multinotice, b"x")));
    }
    assert_eq!(harness.shown(), []);
    for proven in [true, false] {
        for part in parts(made(2, 100 + u32::from(proven) * 10)) {
            let packet = if proven { genuine(&part) } else { unproven(&part) };
            assert!(harness.is_acknowledged(at(2), SERVER, &packet));
        }
        let how = if proven { "authentic" } else { "unauthenticated" };
        assert_eq!(harness.shown(), [(BODY.to_vec(), how)]);
    }
}

/// A server finds out so whether whoever has subscribed is there.
#[test]
fn a_probe_for_somebody_else_is_not_acknowledged() {
    let mut harness = reader();
    assert!(harness.is_acknowledged(at(1), SERVER, &genuine(&part(made(1, 1), 0, "0/400001", b""))), "its own");
    let mut octets = genuine(&part(made(1, 3), 0, "0/400001", b"")).to_vec();
    let place = octets.windows(5).position(|five| five == b"MESSA").unwrap_or_default();
    octets[place] ^= 1;
    assert!(!harness.is_acknowledged(at(1), SERVER, &octets), "sealed for another");
    assert_eq!(harness.shown(), []);
}

#[test]
fn what_finds_no_room_is_not_acknowledged_and_comes_again() {
    let mut harness = reader();
    let body = [b'x'; 700];
    let fill = |harness: &mut Harness, now: Now, is_proven: bool, sender: &str| {
        let mut refused = None;
        for number in 0..3000_u32 {
            let first = made(now.monotonic.as_secs(), number);
            let part = Notice { sender: sender.as_bytes(), ..part(first, 0, "0/1400", &body) };
            let packet = if is_proven { genuine(&part) } else { unproven(&part) };
            if !harness.is_acknowledged(now, STRANGER, &packet) {
                refused = Some(packet);
            }
            harness.events.clear();
        }
        assert!(harness.client.queue_lengths().incomplete_octets <= MAX_QUEUED);
        refused
    };
    let refused = fill(&mut harness, at(1), false, "eve@TEST").expect("the room is not without end");
    // What is proven finds room, at the cost of that.
    for part in parts(made(2, 100)) {
        assert!(harness.is_acknowledged(at(2), SERVER, &genuine(&part)));
    }
    assert_eq!(harness.shown(), [(BODY.to_vec(), "authentic")]);
    // So it does at the cost of a principal that takes all.
    fill(&mut harness, at(3), true, "mallory@TEST").expect("the room is not without end");
    for part in parts(made(4, 100)) {
        assert!(harness.is_acknowledged(at(4), SERVER, &genuine(&part)));
    }
    assert_eq!(harness.shown(), [(BODY.to_vec(), "authentic")]);
    // When there is room again, the refused packet is no duplicate.
    for _ in 0..3000 {
        harness.input(at(40), Input::Timeout);
    }
    assert_eq!(harness.client.queue_lengths().incomplete_octets, 0);
    assert!(harness.is_acknowledged(at(40), STRANGER, &refused));
    assert!(harness.client.queue_lengths().incomplete_octets > 700);
}

#[test]
fn a_flood_takes_a_proven_notice_no_room_in_the_queue_of_the_program() {
    let mut harness = reader();
    // The program does not ask for what has come.
    let handle = |harness: &mut Harness, octets: &[u8]| {
        harness.client.handle(at(1), Input::Datagram { from: SERVER, local: None, octets });
        harness.client.shared.transmits.clear();
    };
    let flood = |harness: &mut Harness, number| {
        handle(harness, &unproven(&single(made(1, number), "alice@TEST", b"flood")));
    };
    (0..2000).for_each(|number| flood(&mut harness, number));
    handle(&mut harness, &genuine(&single(made(1, 5000), "alice@TEST", b"wanted")));
    (6000..8000).for_each(|number| flood(&mut harness, number));
    harness.drive(at(1));
    assert_eq!(harness.authentic(), [b"wanted"]);
}

#[test]
fn whoever_floods_what_waits_for_credentials_waits_longest() {
    let mut harness = reader();
    harness.credentials.set_key(8);
    harness.holds_jobs = true;
    let flood = |harness: &mut Harness, numbers: std::ops::Range<u32>| {
        for number in numbers {
            harness.datagram(at(30), STRANGER, &sealed_by(9, &single(made(30, number), "alice@TEST", b"forged")));
        }
    };
    flood(&mut harness, 0..2000);
    let wanted = sealed_by(8, &single(made(30, 5000), "alice@TEST", b"wanted"));
    (0..3).for_each(|_| harness.datagram(at(30), SERVER, &wanted));
    flood(&mut harness, 2000..4000);
    assert_eq!(harness.client.queue_lengths().unverified, 1024);
    harness.run_held_jobs(at(31));
    assert_eq!(harness.authentic(), [b"wanted"]);
    let acknowledged = harness.sent.iter().filter(|sent| sent.to == SERVER).count();
    assert_eq!(acknowledged, 1, "it waited once");
}

/// A step of a strangers' attack on a notice of three fragments and one of a single packet.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next genuine packet, of those that are left.
    Genuine(prop::sample::Index),
    /// A genuine packet again.
    Again(prop::sample::Index),
    /// A forged one with the uid of a genuine one.
    Forged { of: prop::sample::Index, offset: usize, total: usize, key: Option<u8>, is_mallorys: bool },
    /// Time passes, too little for anything to be given up.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let forged = (any::<prop::sample::Index>(), 0_usize..9, 0_usize..9, prop::option::of(8_u8..10), any::<bool>());
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Step::Genuine),
        any::<prop::sample::Index>().prop_map(Step::Again),
        forged.prop_map(|(of, offset, total, key, is_mallorys)| Step::Forged { of, offset, total, key, is_mallorys }),
        Just(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn strangers_change_nothing_of_what_is_authentic(steps in prop::collection::vec(step(), 0..60)) {
        let mut all: Vec<Notice<'_>> = parts(made(0, 100)).into();
        all.push(single(made(0, 200), "alice@TEST", b"single"));
        let run = |with_strangers: bool| {
            let (mut harness, mut left) = (reader(), all.clone());
            let mut shown = Vec::new();
            let mut millis = 1000;
            for step in &steps {
                let now = Now { monotonic: Duration::from_millis(millis), ..at(1) };
                match step {
                    Step::Genuine(index) if !left.is_empty() => {
                        let notice = left.remove(index.index(left.len()));
                        assert!(harness.is_acknowledged(now, SERVER, &genuine(&notice)));
                    }
                    Step::Again(index) if with_strangers => {
                        // Only what has come: sent before its time, a genuine packet is no forgery.
                        let again = all[index.index(all.len())];
                        if !left.iter().any(|other| other.uid == again.uid) {
                            harness.datagram(now, STRANGER, &genuine(&again));
                        }
                    }
                    Step::Forged { of, offset, total, key, is_mallorys } if with_strangers => {
                        let multinotice = format!("{offset}/{total}");
                        let body = &b"XXXXXXXX"[..total.saturating_sub(*offset).min(3)];
                        let of = all[of.index(all.len())];
                        let forged = Notice { multinotice: multinotice.as_bytes(), body, ..of };
                        let forged = match key {
                            _ if *is_mallorys => genuine(&Notice { sender: b"mallory@TEST", ..forged }),
                            Some(key) => sealed_by(*key, &forged),
                            None => unproven(&forged),
                        };
                        harness.datagram(now, SERVER, &forged);
                    }
                    Step::Wait => millis += 100,
                    _ => {}
                }
                let is_alices = |received: &Received| received.is_authentic() && received.sender() == "alice@TEST";
                let authentic = harness.received.drain(..).filter(is_alices);
                shown.extend(authentic.map(|received| received.notice().body.to_vec()));
            }
            shown
        };
        prop_assert_eq!(run(true), run(false));
    }
}
