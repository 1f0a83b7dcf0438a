//! Tests of reception: acknowledgement, verification and delivery.

use super::*;
use crate::client::{
    DeliveryStatus, SubscriptionRequest,
    doubles::{self, Key, acknowledging, at, plain, sealed},
};
use zephyr_core::{
    auth::{Direction, Session as _, Verdict},
    kind::Kind,
    limits::{MAX_PACKET, MAX_QUEUED},
    notice::{Claim, Notice, Packet},
};

#[test]
fn the_key_of_a_subscription_authenticates_from_its_sending_on() {
    let mut harness = Harness::new(Credentials::with(7));
    let request = SubscriptionRequest::Subscribe;
    harness.begin(at(0), Operation::Subscribe { request, list: vec![("a", "b").into()], port: None });
    harness.sent.clear();
    harness.credentials.set_key(8);
    let packet = sealed(7, b"hello");
    for _ in 0..2 {
        harness.datagram(at(1), SERVER, &packet);
        let reply = harness.sent.pop_front().unwrap();
        assert_eq!((reply.to, Packet::parse(&reply.payload).unwrap().notice.kind), (SERVER, Kind::ClientAck));
    }
    let received = harness.received.pop_front().unwrap();
    assert_eq!((received.from(), received.notice().body), (SERVER, &b"hello"[..]));
    assert!(received.is_authentic());
    assert!(harness.received.is_empty(), "the duplicate is only acknowledged");
    assert_eq!(harness.credentials.lookups(), 1, "only for the subscription");
}

/// At once, and after a lookup of the user's credentials.
#[test]
fn acknowledgements_go_from_the_address_that_the_notice_came_to() {
    let mut harness = Harness::new(Credentials::with(7));
    harness.holds_jobs = true;
    let locals = [[10, 0, 0, 5], [10, 0, 0, 6]].map(IpAddr::from);
    for (number, local) in (1..).zip(locals) {
        let proven = Notice { uid: doubles::uid(10 + number), ..doubles::notice(b"proven") };
        let proven = Key(7).seal(&proven, Direction::ToClient, Limits::COMPATIBLE, at(0)).unwrap();
        let plain = Notice { uid: doubles::uid(number), ..doubles::notice(b"plain") };
        for octets in [plain.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), proven] {
            harness.input(at(0), Input::Datagram { from: SERVER, local: Some(local), octets: &octets });
        }
    }
    let sources = |harness: &mut Harness| harness.sent.drain(..).map(|sent| sent.local).collect::<Vec<_>>();
    assert_eq!(sources(&mut harness), locals.map(Some));
    harness.run_held_jobs(at(0));
    assert_eq!(sources(&mut harness), locals.map(Some), "those that had to be verified");
}

#[test]
fn invalid_datagrams_and_stray_acknowledgements_are_ignored() {
    let mut harness = Harness::new(Credentials::none());
    for datagram in [&b""[..], b"ZEPH0.2\0", b"\xFF\xFF", &acknowledging(Kind::ServAck, doubles::uid(3), b"SENT\0")] {
        harness.datagram(at(0), HM, datagram);
    }
    assert!(harness.sent.is_empty() && harness.received.is_empty() && harness.drive(at(0)).is_none());
    harness.datagram(at(0), SERVER, &plain(b"hello"));
    assert_eq!(harness.received.pop_front().unwrap().verdict(), &Verdict::Unauthenticated);
}

#[test]
fn the_queue_of_received_notices_is_bounded() {
    let mut harness = Harness::new(Credentials::none());
    let mut sent = 0;
    for number in 0..3000 {
        let notice = Notice { uid: doubles::uid(number), ..doubles::notice(b"flood") };
        let octets = notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
        harness.client.handle(at(0), Input::Datagram { from: SERVER, local: None, octets: &octets });
        while harness.client.shared.transmits.pop_front().is_some() {
            sent += 1;
        }
    }
    assert_eq!(sent, 3000);
    let waiting = harness.client.shared.arrived.len();
    assert!(waiting <= MAX_QUEUED / MAX_PACKET && waiting > 1000);
    harness.drive(at(0));
    assert!(harness.client.shared.arrived.is_empty() && harness.received.len() == waiting);
    assert!(
        harness.events.iter().any(|event| matches!(event, Event::Log(log) if log.to_string().ends_with("one is lost")))
    );
}

#[test]
fn texts_and_names() {
    let mut harness = Harness::new(Credentials::none());
    for (number, class, body, signature, text) in [
        (1, &b"Message"[..], &b"Alice\0hello\0"[..], "Alice", "hello"),
        (2, b"x", b"caf\xe9", "", "caf\u{e9}"),
        (3, b"Login", b"host\0Sun\0pts/1\0", "", "host\nSun\npts/1"),
    ] {
        let charset = zephyr_core::charset::Charset::LATIN1;
        let notice = Notice { uid: doubles::uid(number), class, charset, ..doubles::notice(body) };
        harness.datagram(at(0), SERVER, &notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap());
        let received = harness.received.pop_front().unwrap();
        assert_eq!((received.signature().as_str(), received.text().as_str()), (signature, text));
        assert!(received.class().as_bytes() == class && received.instance() == "PERSONAL" && !received.is_ping());
        assert_eq!(received.sender().to_string(), "alice@TEST");
    }
}

#[test]
fn own_notices_are_recognized() {
    let mut harness = Harness::new(Credentials::none());
    harness.send(at(0), Message::to_class("x").authenticated(false));
    let sent = harness.sent.pop_front().unwrap().payload;
    let other = Notice { port: 1, uid: doubles::uid(9), ..Packet::parse(&sent).unwrap().notice };
    harness.datagram(at(0), SERVER, &sent);
    harness.datagram(at(0), SERVER, &other.write(&Claim::NONE, Limits::COMPATIBLE).unwrap());
    assert_eq!(harness.received.iter().map(Received::is_own).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn in_raw_mode_acknowledgements_are_events_too() {
    let settings = Settings { raw: true, ..Settings::default() };
    let client = Client::ready(endpoint(), Policy::KERBEROS, settings);
    let mut harness = Harness::with_client(client, Credentials::none());
    let id = harness.send(at(0), Message::to_user("bob").authenticated(false));
    let uid = Packet::parse(&harness.sent.pop_front().unwrap().payload).unwrap().notice.uid;
    for kind in [Kind::HmAck, Kind::HmAck, Kind::ServAck] {
        harness.datagram(at(0), HM, &acknowledging(kind, uid, b"SENT\0"));
    }
    assert_eq!(harness.receipt(id).unwrap().status, DeliveryStatus::Sent);
    let acknowledged = harness.events.iter().filter_map(|event| match event {
        Event::Acknowledged { from, packet } => Some((*from, packet.notice().kind, packet.notice().uid)),
        _ => None,
    });
    assert_eq!(acknowledged.collect::<Vec<_>>(), [(HM, Kind::HmAck, uid), (HM, Kind::ServAck, uid)]);
}
