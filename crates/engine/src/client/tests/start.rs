//! Tests of the start of a client.

use super::*;
use crate::client::{
    Config, DeliveryStatus, Setup,
    doubles::{acknowledging, at},
};
use zephyr_core::{
    auth::AuthError,
    kind::Kind,
    notice::{Claim, Notice, Packet},
    time::Now,
};

fn starting() -> Harness {
    let config = Config { host_manager: HM, port: 4321, address: endpoint().address, settings: Settings::default() };
    let mut harness = Harness::with_client(Client::new(config, at(0)), Credentials::with(7));
    harness.holds_jobs = true;
    assert_eq!(harness.drive(at(0)), Some(at(0).monotonic));
    harness
}

/// The host manager's answer to a status query.
fn answer(query: &[u8]) -> bytes::Bytes {
    let body = b"zsrv.example\x000\x000\x000\x000\x003.1.2\0no\x00";
    let asked = Packet::parse(query).unwrap().notice;
    Notice { kind: Kind::HmAck, body, ..asked }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

fn set_up(harness: &mut Harness, setup: Result<Setup, AuthError>) {
    harness.input(at(0), Input::Timeout);
    let query = harness.sent.pop_front().unwrap();
    harness.datagram(at(0), HM, &answer(&query.payload));
    assert_eq!(harness.jobs.pop_front(), Some(Job::Setup { server: "zsrv.example".to_owned() }));
    harness.holds_jobs = false;
    harness.input(at(0), Input::Done(Done::Setup(setup)));
}

#[test]
fn the_domain_is_that_of_the_host_managers_server() {
    let mut harness = starting();
    let early = harness.send(at(0), Message::to_user("bob").text("hi"));
    let Endpoint { realm, sender, address, .. } = endpoint();
    set_up(&mut harness, Ok(Setup { realm, sender, address, policy: Policy::OPEN }));
    assert!(matches!(&harness.events[..], [Event::Endpoint(reported), ..] if *reported == endpoint()));
    assert_eq!((harness.client.endpoint(), harness.client.policy()), (&endpoint(), &Policy::OPEN));
    let uid = Packet::parse(&harness.sent.pop_front().unwrap().payload).unwrap().notice.uid;
    assert_eq!(uid.address, endpoint().address, "a message from before the start is sent now");
    harness.datagram(at(0), HM, &acknowledging(Kind::ServAck, uid, b"SENT\0"));
    assert_eq!(harness.receipt(early).unwrap().status, DeliveryStatus::Sent);
}

#[test]
fn a_host_manager_that_does_not_answer_is_an_error() {
    let mut harness = starting();
    let early = harness.send(at(0), Message::to_user("bob"));
    let mut time = at(0);
    let mut asked = 0;
    while let Some(next) = harness.drive(time) {
        time = Now { monotonic: next, ..time };
        harness.input(time, Input::Timeout);
        asked += harness.sent.drain(..).count();
    }
    assert_eq!((asked, time.monotonic), (20, at(10).monotonic));
    assert_eq!(harness.error(early).to_string(), "Hostmanager not responding");
    assert!(matches!(harness.events.last(), Some(Event::StartFailed(OperationError::HostManagerSilent))));
    let late = harness.send(at(11), Message::to_user("bob"));
    assert_eq!(harness.error(late), OperationError::HostManagerSilent);
}

#[test]
fn a_domain_that_cannot_be_determined_is_an_error() {
    let mut harness = starting();
    set_up(&mut harness, Err(AuthError::Backend("no realm".to_owned())));
    assert!(matches!(harness.events.last(), Some(Event::StartFailed(error)) if error.to_string() == "no realm"));
    let mut harness = starting();
    harness.input(at(0), Input::Command(Command::CannotSend("Network is unreachable".to_owned())));
    assert!(
        matches!(harness.events.last(), Some(Event::StartFailed(error)) if error.to_string() == "Network is unreachable")
    );
}

#[test]
fn only_the_host_manager_tells_its_status() {
    let mut harness = starting();
    harness.input(at(0), Input::Timeout);
    let query = harness.sent.pop_front().unwrap();
    for stranger in [SERVER, SocketAddr::new(SERVER.ip(), HM.port()), SocketAddr::new(HM.ip(), 4000)] {
        harness.datagram(at(0), stranger, &answer(&query.payload));
        assert!(harness.jobs.is_empty(), "{stranger}");
    }
    harness.datagram(at(0), ([127, 0, 0, 9], HM.port()).into(), &answer(&query.payload));
    assert_eq!(harness.jobs.pop_front(), Some(Job::Setup { server: "zsrv.example".to_owned() }));
}

/// What a forged error of the network would have to quote is no secret, but from this machine nobody can send one.
#[test]
fn a_host_manager_that_does_not_run_is_an_error_soon() {
    let mut harness = starting();
    let mut time = at(0);
    let mut refused = 0;
    while let Some(next) = harness.drive(time) {
        time = Now { monotonic: next, ..time };
        harness.input(time, Input::Timeout);
        for query in std::mem::take(&mut harness.sent) {
            refused += 1;
            let elsewhere = SocketAddr::from(([127, 0, 0, 1], 7));
            for to in [SERVER, elsewhere, query.to] {
                harness.input(time, Input::Unreachable { to, quoted: &query.payload });
            }
        }
    }
    assert_eq!((refused, time.monotonic), (5, at(2).monotonic));
    assert!(matches!(harness.events.last(), Some(Event::StartFailed(OperationError::HostManagerSilent))));
}
