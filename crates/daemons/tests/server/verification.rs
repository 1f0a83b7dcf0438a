//! Verification as a job: results that come late, in another order, or not at all.

use crate::stage::*;
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use zephyr_core::{
    auth::{AuthError, Identity, Judgement, Reason, Verdict},
    notice::Packet,
};
use zephyr_engine::{
    machine::{Input, Machine, Output},
    server::{Done, Event, Job, LogEvent, Published, Verified, VerifyJob},
};

/// A host manager of another host.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 77, 0, 9)), 2104);

/// A stage whose server's jobs the test does.
struct Late {
    stage: Stage,
    jobs: Vec<VerifyJob>,
    events: Vec<LogEvent>,
    published: Vec<Published>,
}

impl Late {
    /// A server of whose class foo alice is a reader.
    fn new() -> Self {
        let mut stage = Stage::new();
        stage.subscribe(there(), ALICE, 5000, b"foo\0*\0\0");
        Self { stage, jobs: Vec::new(), events: Vec::new(), published: Vec::new() }
    }

    /// Gives a packet to the server; the bodies of what it sends then.
    fn give(&mut self, from: SocketAddr, octets: &[u8]) -> Vec<String> {
        self.stage.engine.handle(self.stage.now, Input::Datagram { from, local: None, octets });
        self.received()
    }

    /// Finishes the job of this number, the rest close ranks; the bodies of what the server sends then.
    fn finish(&mut self, number: usize, result: Result<Judgement, AuthError>) -> Vec<String> {
        let id = self.jobs.remove(number).id;
        self.stage.engine.handle(self.stage.now, Input::Done(Done::Verified(Verified { id, result })));
        self.received()
    }

    fn prove(&mut self, number: usize) -> Vec<String> {
        let sender = self.jobs[number].packet.notice().sender.to_vec();
        let key = key_of(std::str::from_utf8(&sender).unwrap());
        self.finish(number, Ok(Judgement::authentic(Identity::new(&sender), std::sync::Arc::new(key))))
    }

    fn received(&mut self) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            match self.stage.engine.poll(self.stage.now) {
                Output::Transmit(transmit) => {
                    let body = Packet::parse(&transmit.payload).unwrap().notice.body.to_vec();
                    bodies.push(String::from_utf8(body).unwrap().replace('\0', ""));
                }
                Output::Job(Job::Verify(job)) => self.jobs.push(job),
                Output::Event(Event::Log(entry)) => self.events.push(entry.event),
                Output::Event(Event::Published(published)) => self.published.push(published),
                Output::Event(_) | Output::Job(_) => {}
                Output::Wait(_) => return bodies,
            }
        }
    }

    fn packet(&mut self, body: &str, proof: Proof) -> Bytes {
        self.stage.packet(zephyr_core::notice::Notice { body: body.as_bytes(), ..notice("foo", "bar", "", BOB) }, proof)
    }
}

const NOTHING: [String; 0] = [];

#[test]
fn what_one_source_sends_is_handled_in_order_and_others_do_not_wait() {
    let mut late = Late::new();
    let [one, two, three] = ["one", "two", "three"].map(|body| late.packet(body, Yes));
    let plain = late.packet("plain", No);
    for packet in [&one, &two, &plain, &three] {
        assert_eq!(late.give(here(), packet), NOTHING, "the first is not verified yet");
    }
    let other = late.packet("other", Yes);
    assert_eq!(late.give(ELSEWHERE, &other), NOTHING);
    assert_eq!(late.jobs.len(), 4, "what claims nothing is not verified");
    assert_eq!(late.prove(3), ["other", "SENT"], "another source");
    assert_eq!(late.prove(1), NOTHING, "the second waits for the first");
    assert_eq!(late.prove(0), ["one", "SENT", "two", "SENT", "plain", "SENT"]);
    assert_eq!(late.prove(0), ["three", "SENT"]);
}

#[test]
fn a_packet_that_comes_again_while_it_is_verified_is_verified_once() {
    let mut late = Late::new();
    let packet = late.packet("once", Yes);
    for _ in 0..5 {
        assert_eq!(late.give(here(), &packet), NOTHING);
    }
    assert_eq!(late.jobs.len(), 1);
    assert_eq!(late.prove(0), ["once", "SENT", "SENT", "SENT", "SENT", "SENT"], "delivered once, answered each time");
}

#[test]
fn an_authenticator_that_is_verified_twice_at_a_time_proves_one_notice() {
    let mut late = Late::new();
    let packet = late.packet("mine", Yes);
    // The same authenticator with another text.
    let stolen = Bytes::from([packet.strip_suffix(b"mine").unwrap(), b"evil"].concat());
    late.give(here(), &packet);
    late.give(ELSEWHERE, &packet);
    late.give(ELSEWHERE, &stolen);
    assert_eq!(late.jobs.len(), 3);
    assert_eq!(late.prove(0), ["mine", "SENT"]);
    assert_eq!(late.prove(0), ["SENT"], "the copy is acknowledged, and does nothing");
    assert_eq!(late.prove(0), ["evil", "SENT"], "shown, as whoever has no proof is");
    let failed = |event: &LogEvent| matches!(event, LogEvent::FailedProof { reason: Reason::Replayed, .. });
    assert!(late.events.iter().any(failed), "{:?}", late.events);
    assert_eq!(late.stage.engine.counters().replayed, 1);
}

#[test]
fn what_cannot_be_verified_proves_nothing_and_is_told() {
    let mut late = Late::new();
    let packet = late.packet("hello", Yes);
    late.give(here(), &packet);
    assert_eq!(late.finish(0, Err(AuthError::Backend("broken".to_owned()))), ["hello", "SENT"]);
    assert_eq!(late.stage.engine.counters().not_judged, 1);
    let told = late.events.iter().map(ToString::to_string).find(|line| line.starts_with("cannot judge"));
    assert_eq!(told.as_deref(), Some("cannot judge a notice from 127.77.0.1:2104: broken"));
}

#[test]
fn what_was_encrypted_is_published_as_it_was_before() {
    let mut late = Late::new();
    let packet = late.packet("secret", Yes);
    late.give(here(), &packet);
    let judgement = Judgement::authentic(Identity::new(BOB.as_bytes()), std::sync::Arc::new(key_of(BOB)));
    let judgement = Judgement { opened: Some(Bytes::from_static(b"opened")), ..judgement };
    assert_eq!(late.finish(0, Ok(judgement)), ["opened", "SENT"]);
    assert_eq!(late.published[0].notice().body, b"opened", "what others are told of it is what its readers get");
}

#[test]
fn results_that_nobody_waits_for_do_nothing() {
    let mut late = Late::new();
    let packet = late.packet("once", Yes);
    late.give(here(), &packet);
    let job = late.jobs[0].clone();
    assert_eq!(late.prove(0), ["once", "SENT"]);
    late.jobs.push(job);
    assert_eq!(late.finish(0, Ok(Judgement::bare(Verdict::Unauthenticated))), NOTHING);
}

#[test]
fn one_source_does_not_take_all_verifications_and_none_of_its_packets_is_lost() {
    let mut late = Late::new();
    for number in 0..200 {
        let packet = late.packet(&format!("flood{number}"), Yes);
        late.give(here(), &packet);
    }
    assert_eq!(late.jobs.len(), 64, "the others wait before they are looked at");
    let other = late.packet("other", Yes);
    late.give(ELSEWHERE, &other);
    assert_eq!(late.jobs.len(), 65);
    assert_eq!(late.prove(64), ["other", "SENT"]);
    let mut bodies = Vec::new();
    while !late.jobs.is_empty() {
        bodies.extend(late.prove(0));
    }
    let expected: Vec<String> = (0..200).flat_map(|number| [format!("flood{number}"), "SENT".to_owned()]).collect();
    assert_eq!(bodies, expected, "all, in order");
}
