//! Tests of subscribing again after the server has forgotten the client.

use super::*;
use crate::client::{
    SUBSCRIPTION_CHECK, SubscriptionEvent, SubscriptionRequest,
    doubles::{Key, acknowledging, at},
};
use std::time::Duration;
use zephyr_core::{
    auth::{Direction, Session as _},
    kind::Kind,
    notice::{OwnedPacket, Packet},
    uid::Uid,
};

/// A request of the client, with whether it proves who sends it.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    opcode: String,
    body: String,
    proven: bool,
    uid: Uid,
}

/// A server that answers as a test says, and a client that it knows.
struct Scene {
    harness: Harness,
    time: u64,
    port: u16,
}

impl Scene {
    fn new(credentials: Credentials, policy: Policy) -> Self {
        let subscription_check = Some(Duration::from_secs(120));
        let settings = Settings { renews_tickets: false, subscription_check, ..Settings::default() };
        let harness = Harness::with_client(Client::ready(endpoint(), policy, settings), credentials);
        let mut scene = Self { harness, time: 0, port: endpoint().port };
        scene.perform(SubscriptionRequest::Subscribe, &["a", "b"]);
        scene
    }

    /// A proven client with subscriptions `a` and `b` and the defaults.
    fn usual() -> Self {
        Self::new(Credentials::with(7), Policy::KERBEROS)
    }

    fn perform(&mut self, request: SubscriptionRequest, classes: &[&str]) {
        let list = classes.iter().map(|class| (class, "*").into()).collect();
        self.harness.begin(at(self.time), Operation::Subscribe { request, list, port: None });
        self.answer(Kind::ServAck, b"SENT\0");
        self.harness.events.clear();
    }

    /// The next request, if the client has sent one.
    fn request(&mut self) -> Option<Request> {
        let sent = OwnedPacket::parse(self.harness.sent.pop_front()?.payload).unwrap();
        let (notice, text) = (sent.notice(), |octets| String::from_utf8_lossy(octets).replace('\0', "|"));
        let proven = Key(7).check(&Packet::parse(sent.octets()).unwrap(), Direction::ToServer);
        assert_eq!((notice.class, notice.port), (&b"ZEPHYR_CTL"[..], self.port));
        Some(Request { opcode: text(notice.opcode), body: text(notice.body), proven, uid: notice.uid })
    }

    /// Answers the next request; gives its opcode and body.
    fn answer(&mut self, kind: Kind, body: &[u8]) -> Option<(String, String)> {
        let Request { opcode, body: asked, uid, .. } = self.request()?;
        self.harness.datagram(at(self.time), HM, &acknowledging(kind, uid, body));
        Some((opcode, asked))
    }

    /// Lets time pass until the client sends something, but not longer than a day; gives how long it took.
    fn pass(&mut self) -> Option<u64> {
        let start = self.time;
        while self.harness.sent.is_empty() {
            let next = self.harness.drive(at(self.time))?;
            self.time = next.as_secs_f64().ceil() as u64;
            if self.time > start + 86_400 {
                return None;
            }
            self.harness.input(at(self.time), Input::Timeout);
        }
        Some(self.time - start)
    }

    /// Lets time pass until the client asks whether it is known, and answers.
    fn check(&mut self, kind: Kind, body: &[u8]) -> Option<u64> {
        let passed = self.pass();
        let asked = self.answer(kind, body);
        assert!(passed.is_none() || asked == Some(("UNSUBSCRIBE".to_owned(), String::new())), "{asked:?}");
        passed
    }

    /// Whether the program was told once that the client has subscribed again, and nothing else.
    fn is_restored(&mut self) -> bool {
        matches!(self.events()[..], [SubscriptionEvent::Restored { .. }])
    }

    fn events(&mut self) -> Vec<SubscriptionEvent> {
        let events = std::mem::take(&mut self.harness.events);
        let of_subscriptions = events.into_iter().filter_map(|event| match event {
            Event::Subscriptions(event) => Some(event),
            _ => None,
        });
        of_subscriptions.collect()
    }
}

#[test]
fn a_client_that_is_known_only_asks_now_and_then() {
    let mut scene = Scene::usual();
    let waits: Vec<_> = (0..5).map(|_| scene.check(Kind::ServAck, b"SENT\0").unwrap()).collect();
    assert!(waits.iter().all(|wait| (120..=150).contains(wait)), "{waits:?}");
    assert_eq!((scene.harness.sent.len(), scene.events()), (0, Vec::new()));
}

#[test]
fn a_client_that_was_forgotten_subscribes_again() {
    let mut scene = Scene::usual();
    scene.perform(SubscriptionRequest::SubscribeWithoutDefaults, &["c", "d"]);
    scene.perform(SubscriptionRequest::Unsubscribe, &["d", "operations"]);
    scene.check(Kind::ServAck, b"LOST\0").unwrap();
    let again = scene.request().unwrap();
    assert_eq!((again.opcode.as_str(), again.body.as_str(), again.proven), ("SUBSCRIBE", "a|*||b|*||c|*||", true));
    scene.harness.datagram(at(scene.time), HM, &acknowledging(Kind::ServAck, again.uid, b"SENT\0"));
    assert_eq!(scene.events(), []);
    let without = Some(("UNSUBSCRIBE".to_owned(), "operations|*||".to_owned()));
    assert_eq!(scene.answer(Kind::ServAck, b"SENT\0"), without);
    assert!(scene.is_restored());
    scene.check(Kind::ServAck, b"SENT\0").unwrap();
    assert_eq!((scene.harness.sent.len(), scene.events()), (0, Vec::new()));
}

#[test]
fn a_port_that_was_taken_by_somebody_else_is_taken_back() {
    let mut scene = Scene::usual();
    scene.check(Kind::ServNak, b"LOST\0").unwrap();
    assert_eq!(scene.answer(Kind::ServAck, b"SENT\0").map(|(opcode, _)| opcode).as_deref(), Some("SUBSCRIBE"));
    assert!(scene.is_restored());
}

#[test]
fn a_server_that_refuses_is_asked_less_and_less_often_and_the_user_is_told_once() {
    let mut scene = Scene::usual();
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(scene.check(Kind::ServAck, b"LOST\0").unwrap());
        assert!(scene.answer(Kind::ServNak, b"LOST\0no more\0").is_some());
    }
    assert!(waits.is_sorted() && waits[1] >= 240 && (8 * 120..=8 * 150).contains(&waits[7]), "{waits:?}");
    let refusal = OperationError::RefusedBecause("no more".to_owned());
    assert_eq!(scene.events(), [SubscriptionEvent::NotRestored(refusal)]);
    scene.check(Kind::ServAck, b"LOST\0").unwrap();
    scene.answer(Kind::ServAck, b"SENT\0");
    scene.check(Kind::ServAck, b"SENT\0").unwrap();
    assert!(scene.check(Kind::ServAck, b"SENT\0").is_some_and(|wait| wait <= 150), "all is well again");
}

#[test]
fn a_server_without_room_for_all_subscriptions_refuses() {
    for (answer, text) in [(&b"LOST\0at most 2\0"[..], Some("at most 2".to_owned())), (b"LOST\0", None)] {
        let mut scene = Scene::usual();
        scene.check(Kind::ServAck, b"LOST\0").unwrap();
        scene.answer(Kind::ServAck, answer).unwrap();
        let refusal = OperationError::NoRoom(text);
        assert!(refusal.is_refusal() && !refusal.is_refused_by_server());
        assert_eq!(scene.events(), [SubscriptionEvent::NotRestored(refusal)]);
    }
}

/// The first packet of each exchange is lost once: the host manager sends it again after two seconds.
#[test]
fn by_default_who_was_forgotten_has_subscribed_again_within_a_minute() {
    const RESENT: u64 = 2;
    for port in (40_000..50_000).step_by(37) {
        let settings = Settings { subscription_check: Some(SUBSCRIPTION_CHECK), ..Settings::default() };
        let client = Client::ready(Endpoint { port, ..endpoint() }, Policy::KERBEROS, settings);
        let mut scene = Scene { harness: Harness::with_client(client, Credentials::with(7)), time: 0, port };
        scene.perform(SubscriptionRequest::Subscribe, &["a"]);
        scene.pass().unwrap();
        scene.time += RESENT;
        scene.answer(Kind::ServAck, b"SENT\0").unwrap();
        let forgotten = scene.time;
        scene.pass().unwrap();
        scene.time += RESENT;
        scene.answer(Kind::ServAck, b"LOST\0").unwrap();
        scene.time += RESENT;
        assert_eq!(scene.answer(Kind::ServAck, b"SENT\0").map(|(opcode, _)| opcode).as_deref(), Some("SUBSCRIBE"));
        let took = scene.time - forgotten;
        assert!(took < 60, "port {port}: {took} s");
        let unknown_for = Duration::from_secs(took);
        assert_eq!(scene.events(), [SubscriptionEvent::Restored { unknown_for }], "as long as nothing was received");
    }
}

#[test]
fn a_server_that_starts_often_is_subscribed_with_as_soon_each_time() {
    let mut scene = Scene::usual();
    for _ in 0..5 {
        assert!(scene.check(Kind::ServAck, b"LOST\0").is_some_and(|wait| wait <= 150));
        scene.answer(Kind::ServAck, b"SENT\0");
        assert!(scene.is_restored());
    }
    // Neither does one that is away again refuse anything.
    for _ in 0..5 {
        assert!(scene.check(Kind::ServAck, b"LOST\0").is_some_and(|wait| wait <= 150));
        let again = scene.request().unwrap();
        scene.harness.datagram(at(scene.time), HM, &acknowledging(Kind::HmAck, again.uid, b""));
        scene.time += 60;
        scene.harness.input(at(scene.time), Input::Timeout);
        assert_eq!(scene.events(), []);
    }
}

#[test]
fn a_machine_with_a_new_address_says_so_from_then_on() {
    let mut scene = Scene::usual();
    scene.harness.address = Ipv4Addr::new(10, 0, 0, 77);
    scene.check(Kind::ServAck, b"SENT\0").unwrap();
    assert_eq!(scene.harness.client.endpoint().address, endpoint().address, "it is known where it is");
    scene.check(Kind::ServAck, b"LOST\0").unwrap();
    assert_eq!(scene.answer(Kind::ServAck, b"SENT\0").map(|(opcode, _)| opcode).as_deref(), Some("SUBSCRIBE"));
    assert_eq!(scene.harness.client.endpoint().address, Ipv4Addr::new(10, 0, 0, 77));
    scene.pass().unwrap();
    assert_eq!(scene.request().unwrap().uid.address, Ipv4Addr::new(10, 0, 0, 77));
}

#[test]
fn a_server_that_does_not_answer_has_not_forgotten_anybody() {
    let mut scene = Scene::usual();
    scene.pass().unwrap();
    let check = scene.request().unwrap();
    scene.harness.datagram(at(scene.time), HM, &acknowledging(Kind::HmAck, check.uid, b""));
    let wait = scene.check(Kind::ServAck, b"SENT\0").unwrap();
    assert!((180..=210).contains(&wait), "{wait}");
    assert_eq!(scene.events(), [SubscriptionEvent::Silent, SubscriptionEvent::Answers]);
}

#[test]
fn that_nobody_answers_is_told_once_and_its_end_too() {
    let unanswered = |scene: &mut Scene| {
        scene.pass().unwrap();
        let check = scene.request().unwrap();
        scene.harness.datagram(at(scene.time), HM, &acknowledging(Kind::HmAck, check.uid, b""));
        scene.time += 60;
        scene.harness.input(at(scene.time), Input::Timeout);
        scene.events()
    };
    let settings = Settings { subscription_check: Some(SUBSCRIPTION_CHECK), ..Settings::default() };
    let client = Client::ready(endpoint(), Policy::KERBEROS, settings);
    let mut scene =
        Scene { harness: Harness::with_client(client, Credentials::with(7)), time: 0, port: endpoint().port };
    scene.perform(SubscriptionRequest::Subscribe, &["a"]);
    for _ in 0..2 {
        let from = scene.time;
        assert_eq!(unanswered(&mut scene), [SubscriptionEvent::Silent]);
        assert!((100..=120).contains(&(scene.time - from)), "{}", scene.time - from);
        assert_eq!(unanswered(&mut scene), []);
        scene.check(Kind::ServAck, b"SENT\0").unwrap();
        assert_eq!(scene.events(), [SubscriptionEvent::Answers]);
        scene.check(Kind::ServAck, b"SENT\0").unwrap();
        assert_eq!(scene.events(), []);
    }
}

#[test]
fn a_program_that_asks_hears_for_how_long_it_was_unknown() {
    let mut scene = Scene::usual();
    scene.time = 7_200;
    let id = scene.harness.begin(at(scene.time), Operation::CheckSubscriptions);
    let uid = scene.request().unwrap().uid;
    scene.harness.datagram(at(scene.time), HM, &acknowledging(Kind::ServAck, uid, b"LOST\0"));
    let unknown_for = Duration::from_secs(7_200);
    assert_eq!(scene.harness.outcome(id), Some(Ok(Outcome::Unknown { unknown_for })));
}

/// A server tells who proves nothing nothing about a proven client.
#[test]
fn without_tickets_nothing_proven_is_replaced() {
    for policy in [Policy::OPEN, Policy::KERBEROS] {
        let mut scene = Scene::new(Credentials::with(7), policy);
        scene.harness.credentials = Credentials::none();
        let (nak, lost) = ((Kind::ServNak, &b"LOST\0"[..]), (Kind::ServAck, &b"LOST\0"[..]));
        for ((kind, body), told) in
            [(nak, vec![]), (lost, vec![SubscriptionEvent::Forgotten]), (lost, vec![]), (nak, vec![]), (lost, vec![])]
        {
            scene.pass().unwrap();
            let check = scene.request().unwrap();
            assert!(!check.proven);
            scene.harness.datagram(at(scene.time), HM, &acknowledging(kind, check.uid, body));
            assert_eq!((scene.harness.sent.len(), scene.events()), (0, told), "told once");
        }
        scene.harness.credentials = Credentials::with(7);
        scene.check(Kind::ServAck, b"LOST\0").unwrap();
        assert_eq!(scene.answer(Kind::ServAck, b"SENT\0").map(|(opcode, _)| opcode).as_deref(), Some("SUBSCRIBE"));
        let unknown_for = Duration::from_secs(scene.time);
        assert_eq!(scene.events(), [SubscriptionEvent::Restored { unknown_for }], "since it was last known");
    }
    // Where nobody proves anything, it is done as before.
    let mut scene = Scene::new(Credentials::none(), Policy::OPEN);
    scene.check(Kind::ServNak, b"LOST\0").unwrap();
    assert!(scene.harness.sent.is_empty());
    scene.check(Kind::ServAck, b"LOST\0").unwrap();
    assert_eq!(scene.answer(Kind::ServAck, b"SENT\0").map(|(opcode, _)| opcode).as_deref(), Some("SUBSCRIBE"));
    assert!(scene.is_restored());
}

#[test]
fn what_the_program_has_cancelled_stays_cancelled() {
    let mut scene = Scene::usual();
    scene.pass().unwrap();
    let check = scene.request().unwrap();
    scene.harness.begin(at(scene.time), Operation::CancelSubscriptions { port: None });
    scene.harness.datagram(at(scene.time), HM, &acknowledging(Kind::ServAck, check.uid, b"LOST\0"));
    assert_eq!(scene.answer(Kind::ServAck, b"LOST\0").map(|(opcode, _)| opcode).as_deref(), Some("CLEARSUB"));
    assert_eq!(scene.pass(), None);
    let mut scene = Scene::usual();
    scene.harness.begin(at(0), Operation::CancelSubscriptions { port: None });
    scene.answer(Kind::ServAck, b"SENT\0");
    assert_eq!(scene.pass(), None);
}

#[test]
fn who_has_not_subscribed_does_not_ask() {
    let settings = Settings { subscription_check: Some(Duration::ZERO), ..Settings::default() };
    let mut harness = Harness::with_client(Client::ready(endpoint(), Policy::OPEN, settings), Credentials::none());
    assert_eq!(harness.drive(at(0)), None);
    let id = harness.begin(at(0), Operation::CheckSubscriptions);
    let uid = Packet::parse(&harness.sent.pop_front().unwrap().payload).unwrap().notice.uid;
    harness.datagram(at(0), HM, &acknowledging(Kind::ServAck, uid, b"LOST\0"));
    assert_eq!(harness.outcome(id), Some(Ok(Outcome::Unknown { unknown_for: Duration::ZERO })));
}
