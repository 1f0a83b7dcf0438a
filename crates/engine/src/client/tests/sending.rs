//! Tests of sending and acknowledgements.

use super::*;
use crate::client::{
    DeliveryStatus, LocationChange, NakReason, Subscription, SubscriptionRequest,
    doubles::{self, Key, acknowledging, at},
};
use std::time::Duration;
use zephyr_core::{
    auth::{Direction, Session as _},
    charset::Charset,
    exposure::Exposure,
    kind::Kind,
    limits::{MAX_NOTICE, MAX_PACKET},
    notice::{Claim, Notice, OwnedPacket, Packet},
    policy::Demand,
    uid::Uid,
};

/// The next packet that was sent to the host manager.
fn next(harness: &mut Harness) -> OwnedPacket {
    let sent = harness.sent.pop_front().unwrap();
    assert_eq!(sent.to, HM);
    OwnedPacket::parse(sent.payload).unwrap()
}

fn plain_message() -> Message {
    Message::to_user("bob").body(*b"hi").authenticated(false)
}

/// The host manager, and then the server, acknowledge a packet.
fn acknowledge(harness: &mut Harness, uid: Uid, kind: Kind, body: &[u8]) {
    harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
    harness.datagram(at(0), HM, &acknowledging(kind, uid, body));
}

#[test]
fn what_the_caller_left_out_is_filled_in() {
    let mut harness = Harness::new(Credentials::none());
    harness.send(at(0), plain_message().default_format("").charset(Charset::UNKNOWN));
    let sent = next(&mut harness);
    let packet = sent.packet();
    assert_eq!(packet.claim, Claim::NONE);
    let uid = packet.notice.uid;
    let expected = Notice {
        kind: Kind::Acked,
        uid,
        multiuid: uid,
        port: 4321,
        class: b"MESSAGE",
        instance: b"PERSONAL",
        sender: b"alice@TEST",
        recipient: b"bob@TEST",
        multinotice: b"0/2",
        address: Ipv4Addr::new(10, 0, 0, 5).into(),
        body: b"hi",
        ..Notice::EMPTY
    };
    assert_eq!(packet.notice, expected);
    assert_eq!(uid.address, Ipv4Addr::new(10, 0, 0, 5));
}

#[test]
fn each_fragment_of_a_long_notice_carries_its_own_proof() {
    let mut harness = Harness::new(Credentials::with(7));
    let body: Vec<u8> = (0..10_000_u32).flat_map(u32::to_be_bytes).collect();
    let id = harness.send(at(0), Message::to_user("bob@TEST").body(body.clone()));
    let mut joined = Vec::new();
    let mut uids = Vec::new();
    while !harness.sent.is_empty() {
        let sent = next(&mut harness);
        assert!(harness.sent.is_empty(), "one at a time");
        let packet = sent.packet();
        assert!(Key(7).check(&packet, Direction::ToServer));
        assert_eq!(packet.notice.multinotice, format!("{}/{}", joined.len(), body.len()).as_bytes());
        assert!(packet.octets().len() <= MAX_PACKET);
        joined.extend_from_slice(packet.notice.body);
        uids.push(packet.notice.uid);
        assert_eq!(packet.notice.multiuid, uids[0]);
        assert!(!harness.is_queued(id));
        harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, packet.notice.uid, b""));
    }
    assert!(joined == body && uids.is_sorted_by(|a, b| a < b));
    assert!(harness.is_queued(id) && harness.outcome(id).is_none());
    harness.datagram(at(1), HM, &acknowledging(Kind::ServAck, uids[0], b"SENT\0"));
    assert_eq!(harness.receipt(id).unwrap().status, DeliveryStatus::Sent);
}

#[test]
fn what_cannot_be_proven_or_is_too_large_is_not_sent() {
    let mut harness = Harness::new(Credentials::none());
    let id = harness.send(at(0), plain_message().authenticated(true));
    assert_eq!(harness.error(id).to_string(), "No credentials cache found");
    let id = harness.send(at(0), plain_message().body(vec![b'x'; MAX_NOTICE + 1]));
    assert_eq!(harness.error(id).to_string(), "Packet too long or buffer too small");
    assert!(harness.sent.is_empty());
}

#[test]
fn only_the_host_manager_acknowledges() {
    let mut harness = Harness::new(Credentials::none());
    let id = harness.send(at(0), plain_message());
    let uid = next(&mut harness).notice().uid;
    for stranger in [SERVER, SocketAddr::new(HM.ip(), 2105)] {
        harness.datagram(at(0), stranger, &acknowledging(Kind::ServAck, uid, b"SENT\0"));
        assert!(!harness.is_queued(id));
    }
    harness.datagram(at(0), ([127, 0, 0, 9], HM.port()).into(), &acknowledging(Kind::ServNak, uid, b"LOST\0"));
    assert_eq!(harness.receipt(id).unwrap().status, DeliveryStatus::Refused(NakReason::NotAuthorized));
}

/// The second at which an operation times out, while somebody sends packets of the host manager's kinds and others every
/// 12 seconds.
fn times_out_at(harness: &mut Harness, id: OperationId, disturber: SocketAddr) -> Option<u64> {
    for second in 0..1000 {
        if harness.outcome(id).is_some() {
            assert_eq!(harness.error(id), OperationError::TimedOut);
            return Some(second);
        }
        if second % 12 == 0 {
            let notice = Notice { uid: doubles::uid(second as u32), ..doubles::notice(b"hello") };
            harness.datagram(at(second), disturber, &notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap());
            let stray = acknowledging(Kind::HmAck, doubles::uid(second as u32), b"");
            harness.datagram(at(second), disturber, &stray);
        }
        harness.input(at(second + 1), Input::Timeout);
    }
    None
}

/// A stranger's packets keep nobody waiting; the host manager's may, but not for ever.
#[test]
fn strangers_do_not_make_a_client_wait() {
    let message = || plain_message();
    let operations: [(Operation, u64); 3] = [
        (Operation::Send(message()), 60),
        (Operation::ListSubscriptions { port: None }, 30),
        (Operation::CancelSubscriptions { port: None }, 60),
    ];
    for (operation, time_limit) in operations {
        for (disturber, expected) in [
            (SERVER, time_limit),
            (SocketAddr::new(HM.ip(), 4000), time_limit),
            (SocketAddr::new(SERVER.ip(), HM.port()), time_limit),
            (HM, 300),
        ] {
            let mut harness = Harness::new(Credentials::with(7));
            let id = harness.begin(at(0), operation.clone());
            let uid = next(&mut harness).notice().uid;
            harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
            assert_eq!(times_out_at(&mut harness, id, disturber), Some(expected), "{disturber}");
        }
    }
}

#[test]
fn a_longer_time_limit_is_kept() {
    let mut harness = Harness::new(Credentials::none());
    let id = harness.send(at(0), plain_message().answer_timeout(Duration::from_secs(400)));
    let uid = next(&mut harness).notice().uid;
    harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
    assert_eq!(times_out_at(&mut harness, id, HM), Some(400));
}

#[test]
fn several_notices_are_in_progress_and_each_has_its_own_answer() {
    let mut harness = Harness::new(Credentials::with(7));
    let ids: Vec<_> = (0..3).map(|_| harness.send(at(0), Message::to_user("bob").text("hi"))).collect();
    let uids: Vec<_> = (0..3).map(|_| next(&mut harness).notice().uid).collect();
    for (place, body, status) in
        [(2, &b"LOST\0"[..], DeliveryStatus::NobodyThere), (0, b"SENT\0", DeliveryStatus::Sent)]
    {
        acknowledge(&mut harness, uids[place], Kind::ServAck, body);
        assert_eq!(harness.receipt(ids[place]).unwrap().status, status);
    }
    assert!(harness.outcome(ids[1]).is_none());
    // What comes for one of them accepts no packet of another.
    harness.input(at(9), Input::Timeout);
    assert!(harness.outcome(ids[1]).is_none());
    harness.input(at(10), Input::Timeout);
    assert_eq!(harness.error(ids[1]), OperationError::HostManagerSilent);
}

#[test]
fn a_send_error_of_the_system_fails_the_operation() {
    let mut harness = Harness::new(Credentials::none());
    let waiting = harness.send(at(0), plain_message());
    let uid = next(&mut harness).notice().uid;
    harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
    let id = harness.send(at(0), plain_message());
    harness.input(at(0), Input::Command(Command::CannotSend("Network is unreachable".to_owned())));
    assert_eq!(harness.error(id).to_string(), "Network is unreachable");
    assert!(harness.outcome(waiting).is_none(), "the host manager has that one");
}

#[test]
fn a_packet_that_no_host_manager_took_fails_at_once() {
    let mut harness = Harness::new(Credentials::none());
    let (waiting, refused, other) = (
        harness.send(at(0), plain_message()),
        harness.send(at(0), plain_message()),
        harness.send(at(0), plain_message()),
    );
    let packets: Vec<_> = (0..3).map(|_| harness.sent.pop_front().unwrap()).collect();
    let uid = Packet::parse(&packets[0].payload).unwrap().notice.uid;
    harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
    for quoted in [&packets[0].payload[..], &packets[1].payload, &packets[2].payload[..8]] {
        harness.input(at(0), Input::Unreachable { to: HM, quoted });
    }
    assert_eq!(harness.error(refused), OperationError::HostManagerSilent);
    assert!(harness.outcome(waiting).is_none(), "the host manager has that one");
    assert!(harness.outcome(other).is_none(), "it is not known which packet that was");
}

/// Only this machine is believed that its host manager does not run.
#[test]
fn errors_about_a_host_manager_elsewhere_may_be_forged() {
    let far = Endpoint { host_manager: SocketAddr::new(SERVER.ip(), 2104), ..endpoint() };
    let client = Client::ready(far.clone(), Policy::KERBEROS, Settings::default());
    let mut harness = Harness::with_client(client, Credentials::none());
    let id = harness.send(at(0), plain_message());
    let packet = harness.sent.pop_front().unwrap();
    harness.input(at(0), Input::Unreachable { to: far.host_manager, quoted: &packet.payload });
    assert!(harness.outcome(id).is_none());
}

#[test]
fn kinds_without_an_answer_are_done_once_queued() {
    let mut harness = Harness::new(Credentials::none());
    let id = harness.send(at(0), plain_message().kind(Kind::Unsafe));
    assert!(harness.is_queued(id));
    assert_eq!(harness.receipt(id).unwrap().status, DeliveryStatus::Unanswered);
    let id = harness.send(at(0), plain_message().kind(Kind::Unacked));
    assert!(!harness.is_queued(id));
    next(&mut harness);
    let uid = next(&mut harness).notice().uid;
    harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
    assert_eq!(harness.receipt(id).unwrap().status, DeliveryStatus::Unanswered);
}

#[test]
fn long_lists_become_several_requests_with_one_lookup_of_the_credentials() {
    let mut harness = Harness::new(Credentials::with(7));
    let list: Vec<_> =
        (0..100).map(|number| Subscription::new(format!("class{number}"), "instance", "someone else")).collect();
    let request = SubscriptionRequest::Subscribe;
    let id = harness.begin(at(0), Operation::Subscribe { request, list: list.clone(), port: Some(5555) });
    let mut classes = Vec::new();
    while !harness.sent.is_empty() {
        let sent = next(&mut harness);
        let notice = sent.notice();
        assert_eq!((notice.class, notice.opcode, notice.port), (&b"ZEPHYR_CTL"[..], &b"SUBSCRIBE"[..], 5555));
        assert_eq!(notice.multinotice, format!("0/{}", notice.body.len()).as_bytes());
        for triple in notice.body.split(|&octet| octet == 0).collect::<Vec<_>>().chunks_exact(3) {
            assert_eq!(triple[2], b"alice@TEST");
            classes.push(triple[0].to_vec());
        }
        acknowledge(&mut harness, notice.uid, Kind::ServAck, b"SENT\0not all\0");
    }
    assert_eq!(classes, list.into_iter().map(|wanted| wanted.class).collect::<Vec<_>>());
    assert_eq!(harness.outcome(id), Some(Ok(Outcome::Done { text: Some("not all".to_owned()) })));
    assert_eq!(harness.credentials.lookups(), 1);
}

/// Servers answer so when they do not know the client.
#[test]
fn to_remove_what_is_not_there_is_no_error() {
    let mut harness = Harness::new(Credentials::with(7));
    let list = vec![Subscription::new("help", "*", "*")];
    for operation in [
        Operation::CancelSubscriptions { port: None },
        Operation::Subscribe { request: SubscriptionRequest::Unsubscribe, list, port: None },
    ] {
        let id = harness.begin(at(0), operation);
        let uid = next(&mut harness).notice().uid;
        acknowledge(&mut harness, uid, Kind::ServAck, b"LOST\0");
        assert_eq!(harness.outcome(id), Some(Ok(Outcome::Done { text: None })));
    }
}

#[test]
fn what_is_too_long_alone_is_an_error_unless_there_are_defaults() {
    let mut harness = Harness::new(Credentials::with(7));
    // Its name alone would do.
    let list = || vec![Subscription::new("x".repeat(1000), "", "*")];
    for request in [SubscriptionRequest::SubscribeWithoutDefaults, SubscriptionRequest::Unsubscribe] {
        let id = harness.begin(at(0), Operation::Subscribe { request, list: list(), port: None });
        assert_eq!(harness.error(id).to_string(), "Too many subscriptions to transmit");
    }
    let request = SubscriptionRequest::Subscribe;
    let id = harness.begin(at(0), Operation::Subscribe { request, list: list(), port: None });
    let sent = next(&mut harness);
    assert_eq!((sent.notice().opcode, sent.notice().body), (&b"SUBSCRIBE"[..], &b""[..]));
    acknowledge(&mut harness, sent.notice().uid, Kind::ServAck, b"SENT\0");
    assert!(harness.sent.is_empty());
    let said = format!("{}...,,* is too long to be sent", "x".repeat(32));
    assert_eq!(harness.outcome(id), Some(Ok(Outcome::Done { text: Some(said) })));
}

#[test]
fn a_subscription_that_is_too_long_for_a_packet_costs_no_other() {
    let mut harness = Harness::new(Credentials::with(7));
    let long = || Subscription::new("x".repeat(1000), "i", "*");
    let named = |name| Subscription::new(name, "i", "*");
    let many = 20_000;
    let mut list = vec![long(); many];
    list.splice(1..1, [named("first")]);
    list.push(named("last"));
    let request = SubscriptionRequest::Subscribe;
    let id = harness.begin(at(0), Operation::Subscribe { request, list, port: None });
    let mut classes = Vec::new();
    while !harness.sent.is_empty() {
        let sent = next(&mut harness);
        classes.extend(sent.notice().body.split(|&octet| octet == 0).step_by(3).map(<[u8]>::to_vec));
        acknowledge(&mut harness, sent.notice().uid, Kind::ServAck, b"SENT\0");
    }
    classes.retain(|class| !class.is_empty());
    assert_eq!(classes, [b"first".to_vec(), b"last".to_vec()]);
    let said = format!("{}...,i,* and {} more are too long to be sent", "x".repeat(32), many - 1);
    assert_eq!(harness.outcome(id), Some(Ok(Outcome::Done { text: Some(said) })));
}

#[test]
fn what_can_be_no_subscription_is_not_sent() {
    let mut harness = Harness::new(Credentials::with(7));
    for (subscription, said) in [
        (Subscription::new("", "i", "*"), "not sent: a subscription needs a class"),
        (Subscription::new("c", "a\0b", "*"), "not sent: a subscription must not have a NUL"),
    ] {
        let request = SubscriptionRequest::SubscribeWithoutDefaults;
        let list = vec![Subscription::new("good", "*", "*"), subscription];
        let id = harness.begin(at(0), Operation::Subscribe { request, list, port: None });
        assert_eq!(harness.error(id).to_string(), said);
        assert!(harness.sent.is_empty());
    }
}

#[test]
fn a_list_may_come_before_the_query_is_acknowledged_or_after_or_never() {
    let list = vec![Subscription::new("a", "*", "*")];
    let body = crate::client::subscription::encode(&list, b"");
    for (before, seconds) in [(true, 0), (false, 0), (false, 29), (false, 30)] {
        let mut harness = Harness::new(Credentials::with(7));
        let id = harness.begin(at(0), Operation::ListSubscriptions { port: Some(0x9C40) });
        let query = next(&mut harness);
        assert_eq!(query.notice().body, b"0x9C40\0");
        let uid = query.notice().uid;
        let answer = Notice { kind: Kind::Acked, uid: Uid { micros: 7, ..uid }, multiuid: uid, ..query.notice() };
        let answer =
            Notice { body: &body, multinotice: b"", ..answer }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        if before {
            harness.datagram(at(0), SERVER, &answer);
            assert!(harness.outcome(id).is_none());
        }
        acknowledge(&mut harness, uid, Kind::ServAck, b"SENT\0");
        if !before {
            harness.input(at(seconds), Input::Timeout);
            harness.datagram(at(seconds), SERVER, &answer);
        }
        match seconds {
            30 => {
                assert_eq!(harness.error(id), OperationError::TimedOut);
                assert_eq!(harness.received.len(), 1, "then it is a notice like others");
            }
            _ => {
                assert_eq!(harness.outcome(id), Some(Ok(Outcome::Subscriptions(list.clone()))));
                assert!(harness.received.is_empty());
            }
        }
    }
}

#[test]
fn refusals_have_names() {
    for (answer, subscribing, locating) in [
        (&b"LOST\0"[..], "SERVNAK received", "Server could not verify authentication"),
        (b"FAIL\0", "SERVNAK received", "Not logged-in"),
        (b"", "SERVNAK received", "SERVNAK received"),
        (b"LOST\0run kinit\0", "refused: run kinit", "refused: run kinit"),
    ] {
        let mut harness = Harness::new(Credentials::with(7));
        let request = SubscriptionRequest::Subscribe;
        let change = LocationChange {
            exposure: Some(Exposure::NetVisible),
            host: "h".to_owned(),
            tty: "t".to_owned(),
            time: "now".to_owned(),
            port: Some(1),
        };
        for (operation, opcode, error) in [
            (Operation::Subscribe { request, list: Vec::new(), port: Some(1) }, &b"SUBSCRIBE"[..], subscribing),
            (Operation::CancelSubscriptions { port: None }, b"CLEARSUB", subscribing),
            (Operation::ChangeLocation(change), b"NET-VISIBLE", locating),
        ] {
            let id = harness.begin(at(0), operation);
            let sent = next(&mut harness);
            assert_eq!(sent.notice().opcode, opcode);
            acknowledge(&mut harness, sent.notice().uid, Kind::ServNak, answer);
            assert_eq!(harness.error(id).to_string(), error);
        }
    }
}

#[test]
fn long_headers_are_used_once_the_host_manager_knows_of_them() {
    let mut harness = Harness::new(Credentials::none());
    let long = plain_message().default_format("x".repeat(700));
    for (version, fits) in [("0.1.0 (5) zephyr-rs", false), ("0.1.0 (5) zephyr-rs long-headers", true)] {
        let id = harness.send(at(0), long.clone());
        assert_eq!(harness.drive(at(0)), Some(at(0).monotonic));
        harness.input(at(0), Input::Timeout);
        let query = next(&mut harness);
        let body = format!("zsrv\x000\x000\x000\x000\x00{version}\0no\x00");
        let answer = Notice { kind: Kind::HmAck, body: body.as_bytes(), ..query.notice() };
        harness.datagram(at(0), HM, &answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap());
        if fits {
            let sent = next(&mut harness);
            assert!(Packet::parse(sent.octets()).unwrap().header_len() > Limits::COMPATIBLE.header);
        } else {
            let error = harness.error(id);
            assert!(
                error.to_string().starts_with("Notice header too large")
                    && matches!(error, OperationError::NamesTooLong(_))
            );
        }
    }
}

#[test]
fn the_names_are_not_taken_for_a_large_ticket() {
    for (class, is_name) in [("c".to_owned(), false), ("c".repeat(2000), true)] {
        let mut harness = Harness::new(Credentials::with(7));
        let id = harness.send(at(0), Message::to_class(class).text("x"));
        if !is_name {
            assert!(harness.outcome(id).is_none());
            continue;
        }
        harness.drive(at(0));
        harness.input(at(0), Input::Timeout);
        let query = next(&mut harness);
        let answer = Notice { kind: Kind::HmAck, body: b"zsrv\x000\x000\x000\x000\x00C\0no\x00", ..query.notice() };
        harness.datagram(at(0), HM, &answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap());
        let error = harness.error(id);
        assert!(error.to_string().starts_with("Notice header too large (a notice header of 2"), "{error}");
        assert!(!error.advice().unwrap().contains("ticket"), "{error:?}");
    }
}

#[test]
fn nobody_can_prove_to_be_somebody_else() {
    let mut harness = Harness::with_client(
        Client::ready(endpoint(), Policy { send: Demand::Required, ..Policy::KERBEROS }, Settings::default()),
        Credentials::with(7),
    );
    let message = Message::to_user("bob").text("x").authenticated(false);
    for (message, advice) in [(message.clone().sender("mallory"), "leave it out"), (message, "without -d")] {
        let id = harness.send(at(0), message);
        let error = harness.error(id);
        assert_eq!(error.to_string(), "you must prove who you are to send here");
        assert!(error.advice().unwrap().contains(advice), "{error:?}");
    }
}

#[test]
fn names_that_are_too_long_when_folded_are_not_sent() {
    let mut harness = Harness::new(Credentials::with(1));
    let [short, long] = [20, 32].map(|count| "\u{FDFA}".repeat(count));
    let class = harness.send(at(0), Message::to_class(&long).text("x"));
    assert_eq!(harness.error(class), OperationError::NameTooLong("class"));
    let instance = harness.send(at(0), Message::to_class("c").instance(&long).authenticated(false));
    assert_eq!(harness.error(instance), OperationError::NameTooLong("instance"));
    let subscribe = |class: &str| Operation::Subscribe {
        request: SubscriptionRequest::Subscribe,
        list: vec![Subscription::from(("c", "*")), Subscription::from((class, "*"))],
        port: None,
    };
    let refused = harness.begin(at(0), subscribe(&long));
    assert_eq!(harness.error(refused), OperationError::NameTooLong("class of a subscription"));
    assert!(harness.sent.is_empty());
    harness.begin(at(0), subscribe(&short));
    assert_eq!(harness.sent.len(), 1, "names that fit are sent");
}
