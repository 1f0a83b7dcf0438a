//! Tests of the domain's policy at the client.

use super::*;
use crate::client::{
    SubscriptionRequest,
    doubles::{Key, acknowledging, at, notice, plain, sealed, uid},
};
use zephyr_core::{
    auth::{AuthError, Direction, Reason, Session as _, Verdict},
    kind::Kind,
    names,
    notice::{Claim, Notice, Packet},
    policy::{ClassPolicy, Demand, FailedProof, ForeignRule, Measure, NamePattern},
};

fn strict() -> Policy {
    Policy { send: Demand::Required, failed_proof: FailedProof::Refuse, ..Policy::KERBEROS }
}

fn message(class: &str, body: &str) -> Message {
    Message::to_class(class).body(body)
}

/// The error of an operation; empty when something is sent.
fn error_text(harness: &mut Harness, operation: Operation) -> String {
    let id = harness.begin(at(0), operation);
    let sent = harness.sent.pop_front().is_some();
    let error = harness.outcome(id).map(|outcome| outcome.unwrap_err().to_string());
    assert_eq!(sent, error.is_none(), "an operation goes on only when something was sent");
    error.unwrap_or_default()
}

fn sending(harness: &mut Harness, message: Message, authenticated: bool) -> String {
    error_text(harness, Operation::Send(message.authenticated(authenticated)))
}

fn subscribing() -> Operation {
    let request = SubscriptionRequest::Subscribe;
    Operation::Subscribe { request, list: vec![("a", "b").into()], port: None }
}

#[test]
fn what_would_be_refused_is_not_sent() {
    let policy = Policy {
        logout: Demand::Closed,
        classes: vec![ClassPolicy {
            classes: NamePattern::new(b"public"),
            send: Some(Demand::Optional),
            receive: None,
            failed_proof: None,
        }],
        measure: Measure { notice_octets: 10, ..Measure::USUAL },
        ..strict()
    };
    let mut harness = Harness::with_policy(Credentials::with(7), policy);
    assert_eq!(sending(&mut harness, message("MESSAGE", "hi"), true), "");
    assert_eq!(sending(&mut harness, message("MESSAGE", "hi"), false), "you must prove who you are to send here");
    assert_eq!(sending(&mut harness, message("Public", "hi"), false), "");
    assert_eq!(sending(&mut harness, message("hm_ctl", ""), false), "", "the policy has no rule for this class");
    let long = sending(&mut harness, message("public", "more than ten"), false);
    assert!(long.ends_with("at most 10 octets are taken"), "{long}");
    let leaving = sending(&mut harness, message("LOGIN", "").opcode(names::USER_LOGOUT), true);
    assert_eq!(leaving, "nobody may log out here");
    let request = Message::to_class("ZEPHYR_CTL").instance("CLIENT").opcode("SUBSCRIBE").body(*b"a\0b\0\0");
    assert!(sending(&mut harness, request, false).contains("to subscribe here"));
}

#[test]
fn without_credentials_only_what_the_policy_allows_is_sent() {
    let mut open = Harness::with_policy(Credentials::none(), Policy::OPEN);
    assert_eq!(error_text(&mut open, subscribing()), "");
    assert_eq!(
        sending(&mut open, message("MESSAGE", "hi"), true),
        "No credentials cache found",
        "a message is not sent without proof unless asked for"
    );
    let mut harness = Harness::with_policy(Credentials::none(), strict());
    for operation in [subscribing(), Operation::Send(message("MESSAGE", "hi"))] {
        let id = harness.begin(at(0), operation);
        let error = harness.error(id);
        assert!(matches!(error, OperationError::CannotProve(AuthError::NoCredentials)), "{error:?}");
        assert!(error.advice().is_some_and(|advice| advice.contains("demands proof of who you are for that")));
    }
}

/// The verdict about the notice in a packet, and why it is hidden.
fn received(harness: &mut Harness, packet: &[u8]) -> (Verdict, Option<String>) {
    harness.datagram(at(0), ([127, 0, 0, 1], 2103).into(), packet);
    let received = harness.received.pop_front().unwrap();
    (received.verdict().clone(), received.hidden().map(ToString::to_string))
}

#[test]
fn what_proves_too_little_is_hidden() {
    let strict = || Harness::with_policy(Credentials::with(7), strict());
    let (_, hidden) = received(&mut strict(), &plain(b"one"));
    assert_eq!(hidden.as_deref(), Some("nothing proves who sent it, which this domain demands"));
    let (verdict, hidden) = received(&mut strict(), &sealed(9, b"two"));
    assert_eq!(verdict, Verdict::Failed(Reason::Checksum));
    assert_eq!(hidden.as_deref(), Some("the proof of who sent it does not hold: wrong checksum"));
    let (verdict, hidden) = received(&mut strict(), &sealed(7, b"three"));
    assert!(verdict.is_authentic() && hidden.is_none());
    let usual = || Harness::new(Credentials::with(7));
    assert_eq!(received(&mut usual(), &plain(b"one")), (Verdict::Unauthenticated, None));
    assert_eq!(received(&mut usual(), &sealed(9, b"two")), (Verdict::Failed(Reason::Checksum), None));
}

/// A notice of this class with key 7, or without proof.
fn of_class(number: u32, class: &str, proven: bool) -> bytes::Bytes {
    let notice =
        Notice { class: class.as_bytes(), uid: uid(number), multiuid: uid(number), ..notice(b"I am the server") };
    match proven {
        true => Key(7).seal(&notice, Direction::ToClient, Limits::WHOLE_PACKET, at(0)).unwrap(),
        false => notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap(),
    }
}

/// Sent straight to a client's port, past the server that would have refused it.
#[test]
fn no_class_is_shown_without_the_proof_that_the_domain_demands() {
    let classes = ["ZEPHYR_ADMIN", "ZEPHYR_CTL", "USER_LOCATE", "HM_STAT", "hm_ctl", "WG_CTL", "Login", "MESSAGE", "x"];
    for (number, class) in (0..).step_by(2).zip(classes) {
        let mut harness = Harness::with_policy(Credentials::with(7), strict());
        let (_, hidden) = received(&mut harness, &of_class(number, class, false));
        assert!(hidden.is_some_and(|why| why.starts_with("nothing proves who sent it")), "{class}");
        let (verdict, hidden) = received(&mut harness, &of_class(number + 1, class, true));
        assert!(verdict.is_authentic() && hidden.is_none(), "{class}");
    }
}

/// Without proof an answer is one for the operation that waits for it, and a notice for everybody else.
#[test]
fn answers_are_for_who_asked() {
    let mut harness = Harness::with_policy(Credentials::with(7), strict());
    let id = harness.begin(at(0), Operation::ListSubscriptions { port: None });
    let query = harness.sent.pop_front().unwrap().payload;
    let query = Packet::parse(&query).unwrap().notice;
    let answer = Notice { kind: Kind::Acked, multinotice: b"", body: b"a\0*\0\0", ..query };
    let others = [
        Notice { multiuid: uid(99), ..answer },
        Notice { class: b"USER_LOCATE", ..answer },
        Notice { opcode: b"GIMMEDEFS", ..answer },
        Notice { instance: b"HM", ..answer },
        Notice { kind: Kind::Unsafe, ..answer },
    ];
    for (number, other) in others.into_iter().enumerate() {
        let packet = Notice { uid: uid(number as u32), ..other }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        harness.datagram(at(0), SERVER, &packet);
        let came = harness.received.pop_front().unwrap();
        assert!(came.hidden().is_some() && harness.outcome(id).is_none(), "{number}");
    }
    harness.datagram(at(0), SERVER, &answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap());
    harness.datagram(at(0), HM, &acknowledging(Kind::ServAck, query.uid, b"SENT\0"));
    assert_eq!(harness.outcome(id), Some(Ok(Outcome::Subscriptions(vec![("a", "*").into()]))));
    assert!(harness.received.is_empty());
}

#[test]
fn raw_mode_carries_the_judgement() {
    let settings = Settings { raw: true, ..Settings::default() };
    let mut harness = Harness::with_client(Client::ready(endpoint(), strict(), settings), Credentials::with(7));
    let (_, hidden) = received(&mut harness, &of_class(1, "HM_STAT", false));
    assert!(hidden.is_some());
}

#[test]
fn a_new_policy_also_applies_to_notices_not_delivered_yet() {
    let mut harness = Harness::new(Credentials::none());
    harness.client.handle(at(0), Input::Datagram { from: SERVER, local: None, octets: &plain(b"hello") });
    harness.input(at(0), Input::Command(Command::Enforce(Box::new(strict()))));
    let mut received = harness.received.pop_front().unwrap();
    assert!(received.hidden().is_some());
    received.enforce(&Policy::KERBEROS, "TEST");
    assert!(received.hidden().is_none());
}

#[test]
fn realms_that_are_not_trusted_prove_nothing() {
    let nobody = ForeignRule { realms: NamePattern::new(b"*"), speaks_for: Vec::new() };
    let policy = Policy { foreign: vec![nobody], ..Policy::KERBEROS };
    // The doubles' sender is of realm TEST.
    let abroad = Endpoint { realm: "ELSEWHERE".to_owned(), ..endpoint() };
    let mut harness = Harness::with_client(Client::ready(abroad, policy, Settings::default()), Credentials::with(7));
    let (verdict, hidden) = received(&mut harness, &sealed(7, b"one"));
    assert_eq!((verdict, hidden), (Verdict::Failed(Reason::Untrusted("TEST".to_owned())), None));
}
