//! Tests of ticket renewal.

use super::*;
use crate::client::{
    Subscription, SubscriptionRequest, TicketEvent,
    doubles::{Key, acknowledging, at},
};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::SystemTime,
};
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    kind::Kind,
    notice::{Notice, OwnedPacket, Packet},
};

/// A ticket that ends this many seconds after the start of a test.
struct Ticket(u64);

impl Session for Ticket {
    fn seal(&self, notice: &Notice<'_>, way: Direction, limits: Limits, now: Now) -> Result<bytes::Bytes, AuthError> {
        Key(7).seal(notice, way, limits, now)
    }

    fn open<'a>(&self, packet: &Packet<'a>, way: Direction) -> Option<Cow<'a, [u8]>> {
        Key(7).open(packet, way)
    }

    fn ends(&self) -> Option<SystemTime> {
        Some(at(self.0).wall)
    }
}

#[derive(Default)]
struct Cache(Mutex<Option<Arc<Ticket>>>);

impl Cache {
    fn get_ticket_until(&self, seconds: u64) {
        *self.0.lock().unwrap() = Some(Arc::new(Ticket(seconds)));
    }

    fn destroy(&self) {
        *self.0.lock().unwrap() = None;
    }
}

impl Initiator for Cache {
    fn principal(&self) -> Result<Option<String>, AuthError> {
        Ok(self.0.lock().unwrap().as_ref().map(|_| "alice/new@TEST".to_owned()))
    }

    fn realm_of(&self, _: &str) -> Result<String, AuthError> {
        Ok("TEST".to_owned())
    }

    fn session(&self, _: &str) -> Result<Arc<dyn Session>, AuthError> {
        match &*self.0.lock().unwrap() {
            Some(ticket) => Ok(Arc::clone(ticket) as Arc<dyn Session>),
            None => Err(AuthError::NoCredentials),
        }
    }
}

/// Answers the request that was sent; gives its opcode and body.
fn answer_request(harness: &mut Harness<Cache>, seconds: u64, kind: Kind) -> Option<(Vec<u8>, Vec<u8>)> {
    answer_request_with(harness, seconds, kind, b"SENT\0")
}

fn answer_request_with(
    harness: &mut Harness<Cache>,
    seconds: u64,
    kind: Kind,
    answer: &[u8],
) -> Option<(Vec<u8>, Vec<u8>)> {
    let sent = OwnedPacket::parse(harness.sent.pop_front()?.payload).unwrap();
    let notice = sent.notice();
    harness.datagram(at(seconds), HM, &acknowledging(kind, notice.uid, answer));
    Some((notice.opcode.to_vec(), notice.body.to_vec()))
}

fn subscribe(harness: &mut Harness<Cache>) {
    let list: Vec<Subscription> = vec![("a", "*", "me").into(), ("b", "*").into()];
    let request = SubscriptionRequest::SubscribeWithoutDefaults;
    for list in [list.clone(), list, vec![("gone", "*").into()]] {
        harness.begin(at(0), Operation::Subscribe { request, list, port: None });
        answer_request(harness, 0, Kind::ServAck);
    }
    let list = vec![("gone", "*").into()];
    harness.begin(at(0), Operation::Subscribe { request: SubscriptionRequest::Unsubscribe, list, port: None });
    answer_request(harness, 0, Kind::ServAck);
    harness.events.clear();
}

fn ticket_events(harness: &mut Harness<Cache>) -> Vec<TicketEvent> {
    let events = std::mem::take(&mut harness.events);
    events.into_iter().filter_map(|event| if let Event::Tickets(event) = event { Some(event) } else { None }).collect()
}

#[test]
fn new_tickets_are_subscribed_with() {
    let cache = Cache::default();
    cache.get_ticket_until(3600);
    let mut harness = Harness::new(cache);
    subscribe(&mut harness);
    assert_eq!(harness.drive(at(0)), Some(at(30).monotonic), "the next check");

    harness.credentials.get_ticket_until(7200);
    harness.input(at(30), Input::Timeout);
    let question = (b"UNSUBSCRIBE".to_vec(), Vec::new());
    assert_eq!(answer_request(&mut harness, 30, Kind::ServAck), Some(question));
    let key_only = (b"SUBSCRIBE_NODEFS".to_vec(), Vec::new());
    assert_eq!(answer_request(&mut harness, 30, Kind::ServAck), Some(key_only), "the subscriptions stay as they are");
    assert_eq!(ticket_events(&mut harness), [TicketEvent::New]);

    harness.credentials.destroy();
    harness.input(at(60), Input::Timeout);
    assert_eq!(ticket_events(&mut harness), [TicketEvent::Ended]);
    harness.credentials.get_ticket_until(9000);
    harness.input(at(70), Input::Timeout);
    for _ in ["is it known?", "all of it again"] {
        assert!(answer_request(&mut harness, 70, Kind::ServNak).is_some(), "which the server refuses");
    }
    harness.input(at(80), Input::Timeout);
    assert_eq!(ticket_events(&mut harness), [TicketEvent::New, TicketEvent::First]);
    let all = b"a\0*\0alice/new@TEST\0b\0*\0\0".to_vec();
    assert_eq!(answer_request(&mut harness, 80, Kind::ServAck), Some((b"SUBSCRIBE_NODEFS".to_vec(), all)));
    assert_eq!(harness.client.endpoint().sender, b"alice/new@TEST");
    harness.input(at(110), Input::Timeout);
    assert!(harness.sent.is_empty() && ticket_events(&mut harness).is_empty());
}

/// The key alone would make it known to the server, without any subscription.
#[test]
fn who_was_forgotten_subscribes_to_everything_with_new_tickets() {
    let cache = Cache::default();
    cache.get_ticket_until(3600);
    let mut harness = Harness::new(cache);
    subscribe(&mut harness);
    harness.credentials.get_ticket_until(7200);
    harness.input(at(30), Input::Timeout);
    answer_request_with(&mut harness, 30, Kind::ServAck, b"LOST\0").unwrap();
    let all = b"a\0*\0alice/new@TEST\0b\0*\0\0".to_vec();
    assert_eq!(answer_request(&mut harness, 30, Kind::ServAck), Some((b"SUBSCRIBE_NODEFS".to_vec(), all)));
    harness.input(at(60), Input::Timeout);
    assert!(harness.sent.is_empty());
}

#[test]
fn a_program_may_renew_by_itself() {
    let cache = Cache::default();
    cache.get_ticket_until(20);
    let settings = Settings { renews_tickets: false, ..Settings::default() };
    let mut harness = Harness::with_client(Client::ready(endpoint(), Policy::KERBEROS, settings), cache);
    subscribe(&mut harness);
    assert_eq!(harness.drive(at(0)), None);
    harness.input(at(0), Input::Command(Command::WatchTickets));
    harness.input(at(15), Input::Timeout);
    assert_eq!(ticket_events(&mut harness), [TicketEvent::EndsSoon(at(20).wall)]);
    harness.credentials.get_ticket_until(3600);
    harness.input(at(21), Input::Timeout);
    assert_eq!(ticket_events(&mut harness), [TicketEvent::New]);
    assert!(harness.sent.is_empty());
    harness.input(at(21), Input::Command(Command::TicketsFailed));
    harness.input(at(31), Input::Timeout);
    assert_eq!(ticket_events(&mut harness), [TicketEvent::First]);
    let id = harness.begin(at(31), Operation::Identify);
    assert_eq!(harness.outcome(id), Some(Ok(Outcome::Done { text: None })));
    assert_eq!(harness.client.endpoint().sender, b"alice/new@TEST");
}

/// Between a request without tickets and the first check somebody may have got some.
#[test]
fn tickets_that_came_after_the_request_are_subscribed_with() {
    let settings = Settings { renews_tickets: false, ..Settings::default() };
    let mut harness = Harness::with_client(Client::ready(endpoint(), Policy::KERBEROS, settings), Cache::default());
    let list = vec![("a", "*").into()];
    let request = SubscriptionRequest::SubscribeWithoutDefaults;
    let id = harness.begin(at(0), Operation::Subscribe { request, list, port: None });
    assert!(matches!(harness.outcome(id), Some(Err(_))), "which the policy does not let through without proof");
    harness.credentials.get_ticket_until(3600);
    harness.input(at(0), Input::Command(Command::WatchTickets));
    assert_eq!(ticket_events(&mut harness), [TicketEvent::First]);
    harness.input(at(30), Input::Timeout);
    assert_eq!(ticket_events(&mut harness), []);
}
