//! The start: who the host manager says that we are.

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

fn starting() -> Side {
    let config = Config { host_manager: HM, port: 4321, settings: Settings::default() };
    let mut side = Side::of(Client::new(config, at(0)), Credentials::with(7));
    side.holds_jobs = true;
    assert_eq!(side.drive(at(0)), Some(at(0).monotonic));
    side
}

/// The host manager's answer to a question.
fn answer(question: &[u8]) -> bytes::Bytes {
    let body = b"zsrv.example\x000\x000\x000\x000\x003.1.2\0no\x00";
    let asked = Packet::parse(question).unwrap().notice;
    Notice { kind: Kind::HmAck, body, ..asked }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

fn set_up(side: &mut Side, setup: Result<Setup, AuthError>) {
    side.input(at(0), Input::Timeout);
    let question = side.sent.pop_front().unwrap();
    side.datagram(at(0), HM, &answer(&question.payload));
    assert_eq!(side.jobs.pop_front(), Some(Job::Setup { server: "zsrv.example".to_owned() }));
    side.holds_jobs = false;
    side.input(at(0), Input::Done(Done::Setup(setup)));
}

#[test]
fn the_host_managers_server_says_what_domain_it_is() {
    let mut side = starting();
    let early = side.send(at(0), Message::to_user("bob").text("hi"));
    let Endpoint { realm, sender, address, .. } = endpoint();
    set_up(&mut side, Ok(Setup { realm, sender, address, policy: Policy::OPEN }));
    assert!(matches!(&side.events[..], [Event::Endpoint(told), ..] if *told == endpoint()));
    assert_eq!((side.client.endpoint(), side.client.policy()), (&endpoint(), &Policy::OPEN));
    let uid = Packet::parse(&side.sent.pop_front().unwrap().payload).unwrap().notice.uid;
    assert_eq!(uid.address, endpoint().address, "what was ordered meanwhile goes out now");
    side.datagram(at(0), HM, &acknowledging(Kind::ServAck, uid, b"SENT\0"));
    assert_eq!(side.receipt(early).unwrap().status, DeliveryStatus::Sent);
}

#[test]
fn a_silent_host_manager_is_given_up() {
    let mut side = starting();
    let early = side.send(at(0), Message::to_user("bob"));
    let mut moment = at(0);
    let mut asked = 0;
    while let Some(next) = side.drive(moment) {
        moment = Now { monotonic: next, ..moment };
        side.input(moment, Input::Timeout);
        asked += side.sent.drain(..).count();
    }
    assert_eq!((asked, moment.monotonic), (20, at(10).monotonic));
    assert_eq!(side.error(early).to_string(), "Hostmanager not responding");
    assert!(matches!(side.events.last(), Some(Event::StartFailed(OperationError::HostManagerSilent))));
    let late = side.send(at(11), Message::to_user("bob"));
    assert_eq!(side.error(late), OperationError::HostManagerSilent);
}

#[test]
fn a_domain_that_cannot_be_found_out_is_an_error() {
    let mut side = starting();
    set_up(&mut side, Err(AuthError::Backend("no realm".to_owned())));
    assert!(matches!(side.events.last(), Some(Event::StartFailed(error)) if error.to_string() == "no realm"));
    let mut side = starting();
    side.input(at(0), Input::Command(Command::CannotSend("Network is unreachable".to_owned())));
    assert!(
        matches!(side.events.last(), Some(Event::StartFailed(error)) if error.to_string() == "Network is unreachable")
    );
}
