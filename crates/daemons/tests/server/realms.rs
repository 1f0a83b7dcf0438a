//! Other realms: what is sent to them, what they say, and what becomes of it (semantics table, section J).

use crate::{stage::*, transport::Sessions};
use bytes::Bytes;
use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    policy::{Demand, ForeignRule, NamePattern, Policy},
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    machine::{Input, Machine},
    server::{
        Bounds, Change, ChangeSource, Command, Done, LogEvent, NeighbourRealm, RealmDone, RealmServer, RealmState,
    },
};

const OTHER: &str = "OTHER.TEST";
const SERVICE: Proof = By("zephyr/zephyr@OTHER.TEST");
const EVE: &str = "eve@OTHER.TEST";
const AUTHENTICATOR: &[u8] = b"Zticket-of-our-service";

/// The first server of the other realm, and its second.
fn other() -> SocketAddr {
    SocketAddr::from((host(200), 2103))
}

fn second() -> SocketAddr {
    SocketAddr::from((host(201), 2103))
}

/// A server of a third realm.
fn third() -> SocketAddr {
    SocketAddr::from((host(210), 2103))
}

/// A session with another realm: with an authenticator, and the key of our service.
struct Ticketed {
    authenticator: Vec<u8>,
    ends: Option<SystemTime>,
}

impl Ticketed {
    fn of(authenticator: &[u8]) -> Arc<dyn Session> {
        Arc::new(Self { authenticator: authenticator.to_vec(), ends: None })
    }
}

impl Session for Ticketed {
    fn seal(&self, notice: &Notice<'_>, _: Direction, limits: Limits, now: Now) -> Result<Bytes, AuthError> {
        // A new one each time.
        let mut authenticator = self.authenticator.clone();
        authenticator.extend_from_slice(format!("{}", now.monotonic.as_micros()).as_bytes());
        let unsealed = notice.unsealed(authenticator.len(), &authenticator)?;
        Ok(unsealed.seal(b"sum", limits)?)
    }

    fn open<'a>(&self, _: &Packet<'a>, _: Direction) -> Option<Cow<'a, [u8]>> {
        None
    }

    fn ends(&self) -> Option<SystemTime> {
        self.ends
    }
}

fn server(name: &str, address: SocketAddr) -> RealmServer {
    RealmServer { name: name.to_owned(), addresses: vec![address], sends: true }
}

fn realm(name: &str, servers: Vec<RealmServer>) -> NeighbourRealm {
    NeighbourRealm { name: name.as_bytes().into(), servers }
}

fn both() -> Vec<NeighbourRealm> {
    vec![realm(OTHER, vec![server("z200", other())]), realm("THIRD.TEST", vec![server("z210", third())])]
}

/// A server that knows two other realms with a session each, of which neither has said anything yet.
fn silent(change: impl FnOnce(&mut zephyr_engine::server::Config)) -> Stage {
    let mut stage = Stage::with(|config| {
        config.neighbours.realms = both();
        change(config);
    });
    stage.engine.sessions = Sessions::Given(Ticketed::of(AUTHENTICATOR));
    stage
}

/// The same after both realms have answered its greeting.
fn with(change: impl FnOnce(&mut zephyr_engine::server::Config)) -> Stage {
    let mut stage = silent(change);
    let greetings = stage.begin();
    assert_eq!(greetings.iter().map(|it| it.to).collect::<Vec<_>>(), [other(), third()]);
    for greeting in &greetings {
        assert_eq!(greeting.notice().opcode, names::SENDSUBS);
        stage.answer(greeting, Kind::ServAck, b"SENT\0");
    }
    stage.events.clear();
    stage
}

fn up() -> Stage {
    with(|_| ())
}

impl Stage {
    /// What the server does of its own.
    fn begin(&mut self) -> Vec<Received> {
        self.command(Command::Rebound(Box::default()))
    }

    /// The realm answers a packet from where it went.
    fn answer(&mut self, packet: &Received, kind: Kind, body: &[u8]) -> Vec<Received> {
        self.answer_from(packet.to, packet, kind, body)
    }

    fn answer_from(&mut self, from: SocketAddr, packet: &Received, kind: Kind, body: &[u8]) -> Vec<Received> {
        let notice = Notice { kind, body, multinotice: b"", ..packet.notice() };
        let octets = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        self.give(from, &octets, No)
    }

    /// Alice sends a personal message with proof; gives what comes of it.
    fn tell(&mut self, recipient: &str) -> Vec<Received> {
        self.send(here(), Notice { recipient: recipient.as_bytes(), body: b"sig\0hello\0", ..message() }, Yes)
    }

    /// A control notice of the other realm; gives the answer and what else is sent.
    fn control(&mut self, opcode: &'static str, sender: &str, body: &[u8]) -> (String, Vec<Received>) {
        let mut received = self.send(other(), realm_notice(opcode, sender, body), SERVICE);
        let place = received.iter().position(|it| is_answer(it) && it.to == other()).expect("it is answered");
        (received.remove(place).answer(), received)
    }

    /// Alice's client at port 5000 of `there` subscribes; gives what is sent to realms.
    fn wants(&mut self, person: &str, port: u16, body: &[u8]) -> Vec<Received> {
        let request = Notice { port, ..control("SUBSCRIBE_NODEFS", person, body) };
        let received = self.send(there(), request, Yes);
        let (answers, asked): (Vec<_>, Vec<_>) = received.into_iter().partition(is_answer);
        assert_eq!(answers.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK SENT"], "at once");
        asked
    }

    /// The other realm grants (foo, *) to a client.
    fn grant(&mut self, person: &str, port: u16) -> String {
        self.control("ADD_SUBSCRIBE", person, &of_client(there(), port, b"foo\0*\0\0")).0
    }

    fn state_of(&self, realm: usize) -> RealmState {
        self.engine.other_realms(self.now).nth(realm).unwrap().state
    }
}

fn is_answer(packet: &Received) -> bool {
    matches!(packet.notice().kind, Kind::ServAck | Kind::ServNak)
}

fn message() -> Notice<'static> {
    notice("MESSAGE", "PERSONAL", "", ALICE)
}

fn realm_notice<'a>(opcode: &'a str, sender: &'a str, body: &'a [u8]) -> Notice<'a> {
    Notice { port: 2103, body, ..notice("ZEPHYR_CTL", "REALM", opcode, sender) }
}

fn of_client(host: SocketAddr, port: u16, list: &[u8]) -> Vec<u8> {
    let mut body = format!("{}\x000x{port:04X}\0", host.ip()).into_bytes();
    body.extend_from_slice(list);
    body
}

/// What is sent to realms, as opcodes.
fn opcodes(packets: &[Received]) -> Vec<String> {
    packets.iter().map(|it| String::from_utf8_lossy(it.notice().opcode).into_owned()).collect()
}

/// The realm's policy that may speak for those of ours that fit.
fn trusting(pattern: &[u8]) -> Policy {
    let rule = ForeignRule {
        realms: NamePattern::new(OTHER.as_bytes()),
        speaks_for: vec![NamePattern::new(b"*"), NamePattern::new(pattern)],
    };
    Policy { foreign: vec![rule], ..Policy::KERBEROS }
}

// Outgoing notices.

#[test]
fn s132_a_notice_is_handed_off_as_our_service_and_the_answer_relayed_once() {
    let mut stage = up();
    let sent = stage.tell("bob@oth");
    assert_eq!(sent.iter().map(|it| it.to).collect::<Vec<_>>(), [other()], "nobody is answered yet");
    let packet = sent[0].packet();
    assert_eq!(packet.notice.recipient, b"bob@OTHER.TEST", "the other realm gets its whole name");
    assert_eq!(
        (packet.notice.sender, packet.notice.class, packet.notice.kind),
        (ALICE.as_bytes(), &b"MESSAGE"[..], Kind::Acked)
    );
    assert!(packet.claim.auth == 1 && packet.claim.authenticator.starts_with(AUTHENTICATOR), "{:?}", packet.claim);
    // From anywhere else, and for anything else, it is no answer.
    for from in [third(), second(), at(other(), 2104), here()] {
        assert_eq!(stage.answer_from(from, &sent[0], Kind::ServAck, b"SENT\0"), []);
    }
    let relayed = stage.answer(&sent[0], Kind::ServAck, b"SENT\0some words\0");
    assert_eq!(relayed.len(), 1);
    assert_eq!((relayed[0].to, relayed[0].body().as_str()), (here(), "SENT|some words|"));
    assert_eq!(relayed[0].notice().uid, sent[0].notice().uid);
    assert_eq!(stage.answer(&sent[0], Kind::ServAck, b"SENT\0"), [], "once");
    assert_eq!(stage.wait(2000), []);
}

#[test]
fn s132_a_refusal_there_is_told_here() {
    let mut stage = up();
    let sent = stage.tell("bob@OTHER.TEST");
    let relayed = stage.answer(&sent[0], Kind::ServNak, b"LOST\0");
    assert_eq!(relayed.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVNAK LOST"]);
}

#[test]
fn who_writes_to_a_realm_that_is_not_known_hears_that() {
    for mut stage in [up(), Stage::new()] {
        for (recipient, reason) in [
            ("bob@SOUTH.TEST", Some("this server knows no realm SOUTH.TEST")),
            ("@SOUTH.TEST", Some("this server knows no realm SOUTH.TEST")),
            ("bob@ATHENA.TEST", None),
            ("bob", None),
            ("", None),
        ] {
            let answers = stage.tell(recipient);
            let told: Vec<_> = answers.iter().map(|it| (it.to, it.answer(), it.reason())).collect();
            assert_eq!(told, [(here(), "SERVACK LOST".to_owned(), reason.map(str::to_owned))], "{recipient}");
        }
    }
}

#[test]
fn s136_what_is_unproven_is_handed_off_unproven() {
    let mut stage = up();
    // Even without a session.
    stage.engine.sessions = Sessions::Refused;
    for (proof, sender) in [(No, ALICE), (Failed, ALICE), (By(EVE), EVE)] {
        let notice = Notice { recipient: b"@OTHER.TEST", sender: sender.as_bytes(), ..message() };
        let sent = stage.send(here(), notice, proof);
        assert_eq!(sent.len(), 1, "{proof:?}");
        assert_eq!((sent[0].to, sent[0].packet().claim), (other(), Claim::NONE), "{proof:?}");
    }
}

#[test]
fn s7_1_a_silent_realm_costs_few_packets_and_the_sender_hears_in_time() {
    for state in [RealmState::Up, RealmState::Tardy] {
        let mut stage = if state == RealmState::Up { up() } else { silent(|_| ()) };
        stage.begin();
        let notice = Notice { recipient: b"bob@OTHER.TEST", ..message() };
        let octets = stage.packet(notice, Yes);
        let mut sent = stage.give(here(), &octets, Yes).len();
        let mut answers = Vec::new();
        // As a host manager repeats it.
        for wait in [2, 2, 4, 4, 8, 60, 1000] {
            for (_, packet) in stage.wait(wait) {
                match is_answer(&packet) {
                    true => answers.push((packet.to, packet.answer(), packet.reason())),
                    false => sent += usize::from(packet.notice().class == b"MESSAGE"),
                }
            }
            let again = stage.give(here(), &octets, Yes);
            assert!(again.iter().all(is_answer), "it is not handed off again: {again:?}");
        }
        let reason = Some("no server of that realm answers".to_owned());
        assert_eq!(answers, [(here(), "SERVACK LOST".to_owned(), reason)], "{state:?}");
        assert_eq!(sent, 3, "{state:?}");
        assert_ne!(stage.state_of(0), RealmState::Up);
    }
}

#[test]
fn s7_1_a_slow_realm_that_is_there_gets_the_notice_and_its_sender_hears_that_it_is_sent() {
    let mut stage = up();
    let slow = stage.tell("bob@OTHER.TEST");
    stage.wait(3);
    let quick = stage.tell("carol@OTHER.TEST");
    stage.answer(&quick[0], Kind::ServAck, b"SENT\0");
    let later = stage.wait(6);
    let answers: Vec<_> = later.iter().filter(|(_, packet)| is_answer(packet)).collect();
    assert_eq!(answers.iter().map(|(at, it)| (*at, it.answer())).collect::<Vec<_>>(), [(5, "SERVACK SENT".to_owned())]);
    let repeated = stage.wait(3000);
    assert_eq!(repeated.iter().filter(|(_, it)| it.notice().uid == slow[0].notice().uid).count(), 12 - 4);
    assert_eq!(stage.state_of(0), RealmState::Up, "it has answered something since");
    let lost = stage.tell("bob@OTHER.TEST");
    assert_eq!((lost.len(), stage.wait(8).last().unwrap().1.answer().as_str()), (1, "SERVACK LOST"));
    assert_eq!(stage.state_of(0), RealmState::Tardy);
}

#[test]
fn s8_the_next_server_is_tried_and_kept_when_it_answers() {
    let servers = vec![server("z200", other()), server("z201", second())];
    let mut stage = silent(|config| config.neighbours.realms = vec![realm(OTHER, servers)]);
    let greeting = stage.begin();
    assert_eq!(greeting[0].to, other());
    let next = stage.wait(2);
    assert_eq!(next[0].1.to, second(), "it has never answered");
    stage.answer(&next[0].1, Kind::ServAck, b"SENT\0");
    let sent = stage.tell("bob@OTHER.TEST");
    assert_eq!(sent[0].to, second());
    assert_eq!(stage.answer(&sent[0], Kind::ServAck, b"SENT\0").len(), 1);
    // To all servers together it is repeated so often and no more.
    let sent = stage.control_from(second(), SERVICE, "REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"foo\0*\0\0"));
    assert_eq!(sent, "SERVACK SENT");
    stage.send(here(), notice("foo", "x", "", ALICE), Yes);
    let repeated = stage.wait(4000);
    let copies: Vec<_> = repeated.iter().filter(|(_, it)| it.notice().class == b"foo").map(|(_, it)| it.to).collect();
    assert!(copies.len() < 24 && copies.contains(&other()) && copies.contains(&second()), "{copies:?}");
}

/// A server that knows one other realm with two servers, of which the first has answered.
fn with_two_servers() -> Stage {
    let servers = vec![server("z200", other()), server("z201", second())];
    let mut stage = silent(|config| config.neighbours.realms = vec![realm(OTHER, servers)]);
    let greeting = stage.begin();
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage
}

#[test]
fn s8_when_a_server_dies_another_one_answers_in_time() {
    let mut stage = with_two_servers();
    assert_eq!(stage.tell("bob@OTHER.TEST")[0].to, other());
    let sent = stage.wait(7);
    let to_second: Vec<_> = sent.iter().filter(|(_, it)| it.to == second()).collect();
    assert_eq!(to_second.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [4], "{sent:?}");
    let relayed = stage.answer(&to_second[0].1, Kind::ServAck, b"SENT\0");
    assert_eq!(
        relayed.iter().map(|it| (it.to, it.answer())).collect::<Vec<_>>(),
        [(here(), "SERVACK SENT".to_owned())]
    );
    assert_eq!(stage.tell("carol@OTHER.TEST")[0].to, second(), "that one is asked first from now on");
}

#[test]
fn s8_a_proof_from_before_the_other_side_began_anew_is_made_anew() {
    let proofs = |sent: &[(u64, Received)], first: &Received| -> Vec<bool> {
        let of_it = sent.iter().filter(|(_, it)| it.notice().uid == first.notice().uid);
        of_it.map(|(_, it)| it.octets == first.octets).collect()
    };
    // It says that it has started.
    let mut stage = up();
    let first = stage.tell("bob@OTHER.TEST").remove(0);
    assert_eq!(proofs(&stage.wait(3), &first), [true], "it is repeated as it is");
    stage.control("SENDSUBS", "z200", b"");
    assert_eq!(proofs(&stage.wait(2), &first), [false]);
    // It was not there.
    let mut stage = silent(|_| ());
    stage.begin();
    let first = stage.tell("bob@OTHER.TEST").remove(0);
    assert_eq!(proofs(&stage.wait(3), &first), [false]);
    // It is there: however long it is silent about this one.
    let mut stage = up();
    stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"foo\0*\0\0"));
    let sent = stage.send(here(), notice("foo", "x", "", ALICE), Yes);
    let first = sent.iter().find(|it| it.to == other()).unwrap();
    assert_eq!(proofs(&stage.wait(100), first), [true; 8]);
}

#[test]
fn s8_a_repeated_proof_that_is_refused_is_made_anew_once() {
    let mut stage = up();
    let first = stage.tell("bob@OTHER.TEST").remove(0);
    let again = stage.wait(3).remove(0).1;
    assert_eq!(again.octets, first.octets);
    let anew = stage.answer(&again, Kind::ServNak, b"LOST\0");
    assert_eq!((anew.len(), anew[0].to), (1, other()), "nobody is told of the refusal yet");
    assert_ne!(anew[0].octets, first.octets);
    let told = stage.answer(&anew[0], Kind::ServNak, b"LOST\0");
    assert_eq!(told.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVNAK LOST"]);
    // What is refused at once is not for its age.
    let first = stage.tell("bob@OTHER.TEST").remove(0);
    assert_eq!(stage.answer(&first, Kind::ServNak, b"LOST\0").len(), 1);
    assert_eq!(stage.wait(2000), []);
}

impl Stage {
    fn control_from(&mut self, from: SocketAddr, proof: Proof, opcode: &str, sender: &str, body: &[u8]) -> String {
        let received = self.send(from, realm_notice(opcode, sender, body), proof);
        received.iter().find(|it| is_answer(it)).expect("it is answered").answer()
    }
}

#[test]
fn s13_without_a_session_a_proven_notice_waits_and_never_goes_without_its_proof() {
    let mut stage = silent(|_| ());
    stage.engine.sessions = Sessions::Awaited(Vec::new());
    assert_eq!(stage.begin(), [], "not even the greeting");
    assert_eq!(stage.tell("bob@OTHER.TEST"), []);
    let told = stage.wait(8);
    assert_eq!(told.iter().map(|(at, it)| (*at, it.answer())).collect::<Vec<_>>(), [(8, "SERVACK LOST".to_owned())]);
    assert!(told[0].1.reason().unwrap().contains("session"));
    assert_eq!(stage.tell("carol@OTHER.TEST"), []);
    let Sessions::Awaited(asked) = &stage.engine.sessions else { unreachable!() };
    assert_eq!(asked.len(), 2, "each realm's session is asked for once");
    let session = RealmDone::Session { realm: OTHER.as_bytes().into(), result: Ok(Ticketed::of(AUTHENTICATOR)) };
    let now = stage.now;
    stage.engine.handle(now, Input::Done(Done::Realm(session)));
    let mut sent = stage.receive();
    sent.extend(stage.wait(1).into_iter().map(|(_, packet)| packet));
    let mut to: Vec<_> = sent.iter().map(|it| (it.notice().opcode.to_vec(), it.notice().recipient.to_vec())).collect();
    to.sort();
    assert_eq!(to, [(b"".to_vec(), b"carol@OTHER.TEST".to_vec()), (b"SENDSUBS".to_vec(), b"@OTHER.TEST".to_vec())]);
    assert!(sent.iter().all(|it| it.packet().claim.auth == 1 && !it.packet().claim.authenticator.is_empty()));
}

#[test]
fn s13_a_session_that_could_not_be_had_is_asked_for_again() {
    let mut stage = silent(|_| ());
    stage.engine.sessions = Sessions::Refused;
    assert_eq!(stage.begin(), []);
    assert!(matches!(stage.events.last(), Some(LogEvent::NoRealmSession { .. })), "{:?}", stage.events);
    assert_eq!(stage.wait(29), []);
    let mute = |stage: &Stage| stage.engine.other_realms(stage.now).filter(|realm| realm.no_session.is_some()).count();
    assert_eq!(mute(&stage), 2, "operators see it");
    stage.engine.sessions = Sessions::Given(Ticketed::of(AUTHENTICATOR));
    assert_eq!(opcodes(&stage.wait(2).into_iter().map(|(_, it)| it).collect::<Vec<_>>()), ["SENDSUBS", "SENDSUBS"]);
    assert_eq!(mute(&stage), 0);
}

#[test]
fn s13_after_a_reload_a_session_is_asked_for_at_once() {
    let mut stage = silent(|_| ());
    stage.engine.sessions = Sessions::Refused;
    assert_eq!(stage.begin(), []);
    stage.wait(1);
    assert_eq!(stage.engine.counters().realm_no_session, 2);
    stage.engine.sessions = Sessions::Given(Ticketed::of(AUTHENTICATOR));
    let mut sent = stage.command(Command::Realms(both()));
    sent.extend(stage.wait(1).into_iter().map(|(_, it)| it));
    assert_eq!(opcodes(&sent), ["SENDSUBS", "SENDSUBS"]);
}

#[test]
fn s8_a_proof_that_grows_old_is_made_anew_and_an_ended_session_is_not_used() {
    let mut stage = up();
    stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"foo\0*\0\0"));
    let first = stage.send(here(), notice("foo", "x", "", ALICE), Yes);
    let first = first.iter().find(|it| it.to == other()).unwrap();
    let proofs: Vec<_> = stage
        .wait(600)
        .into_iter()
        .filter(|(_, it)| it.notice().class == b"foo")
        .map(|(at, it)| (at, it.octets == first.octets))
        .collect();
    assert!(proofs.iter().all(|(at, same)| *same == (*at < 240)), "{proofs:?}");
    assert!(proofs.iter().any(|(_, same)| !same));
    let ends = Some(stage.now.wall + Duration::from_secs(10));
    stage.engine.sessions = Sessions::Given(Arc::new(Ticketed { authenticator: b"Zold".to_vec(), ends }));
    let now = stage.now;
    let old = RealmDone::Session { realm: OTHER.as_bytes().into(), result: Err(AuthError::Expired) };
    stage.engine.handle(now, Input::Done(Done::Realm(old)));
    assert!(stage.tell("bob@OTHER.TEST")[0].packet().claim.auth == 1, "what nobody asked for changes nothing");
}

#[test]
fn s28_a_realm_without_an_address_is_told_of_at_once() {
    let unknown = RealmServer { name: "z200".to_owned(), addresses: Vec::new(), sends: true };
    let only_heard = RealmServer { sends: false, ..server("z201", second()) };
    let mut stage = silent(|config| config.neighbours.realms = vec![realm(OTHER, vec![unknown, only_heard])]);
    assert_eq!(stage.begin(), []);
    let answers = stage.tell("bob@oth");
    assert_eq!(answers.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK LOST"]);
    assert_eq!(answers[0].reason().as_deref(), Some("no server of realm OTHER.TEST is known now"));
    assert_eq!(stage.state_of(0), RealmState::New);
    // The one that we only hear is a server of that realm all the same.
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0@nowhere\0");
    assert_eq!(stage.control_from(second(), SERVICE, "SENDSUBS", "z201", b""), "SERVACK SENT");
    let found = stage.command(Command::Realms(both()));
    assert_eq!(opcodes(&found), ["SENDSUBS", "SENDSUBS"], "both have addresses now");
    assert_eq!(stage.state_of(0), RealmState::Tardy);
}

#[test]
fn s7_1_only_so_much_is_on_its_way_of_one_sender_and_to_one_realm() {
    let bounds = Bounds { pending_per_realm_sender: 3, pending_per_realm: 5, ..Bounds::default() };
    let mut stage = with(|config| config.bounds = bounds);
    stage.command(Command::Rebound(Box::new(bounds)));
    let send = |stage: &mut Stage, sender: &str, proof| {
        let notice = Notice { recipient: b"x@OTHER.TEST", sender: sender.as_bytes(), ..message() };
        let received = stage.send(here(), notice, proof);
        assert_eq!(received.len(), 1);
        (!is_answer(&received[0])).then_some(()).ok_or_else(|| received[0].reason().unwrap())
    };
    let full = Err("too much is on its way to realm OTHER.TEST".to_owned());
    let alice: Vec<_> = (0..4).map(|_| send(&mut stage, ALICE, Yes)).collect();
    assert_eq!(alice, [Ok(()), Ok(()), Ok(()), full.clone()]);
    let bob: Vec<_> = (0..3).map(|_| send(&mut stage, BOB, Yes)).collect();
    assert_eq!(bob, [Ok(()), Ok(()), full.clone()]);
    let nobody: Vec<_> = (0..3).map(|_| send(&mut stage, BOB, No)).collect();
    assert_eq!(nobody, [Ok(()), Ok(()), full.clone()], "what proves nothing has a quarter of its own");
    assert_eq!(stage.engine.gauges().realm_pending, 7);
    let lost = stage.wait(9).iter().filter(|(_, it)| is_answer(it)).count();
    assert_eq!((lost, stage.engine.gauges().realm_pending, stage.engine.gauges().realm_pending_octets), (7, 0, 0));
    assert_eq!(send(&mut stage, ALICE, Yes), Ok(()));
}

#[test]
fn s7_1_nobody_takes_anothers_answer_by_his_uid() {
    let mut stage = up();
    let sent = stage.tell("bob@OTHER.TEST");
    let notice =
        Notice { uid: sent[0].notice().uid, recipient: b"eve@OTHER.TEST", sender: BOB.as_bytes(), ..message() };
    let octets = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
    let refused = stage.give(there(), &octets, No);
    assert_eq!(
        refused.iter().map(|it| (it.to, it.answer())).collect::<Vec<_>>(),
        [(there(), "SERVACK LOST".to_owned())]
    );
    assert_eq!(stage.answer(&sent[0], Kind::ServAck, b"SENT\0")[0].to, here());
}

#[test]
fn s8_what_outgrows_a_packet_with_our_proof_is_cut_again() {
    let mut stage = silent(|_| ());
    stage.engine.sessions = Sessions::Given(Ticketed::of(&[b'Z'; 500]));
    stage.begin();
    let body: Vec<u8> = (0..760_u32).map(|place| b'a' + u8::try_from(place % 26).unwrap()).collect();
    let sent = stage.send(here(), Notice { recipient: b"bob@OTHER.TEST", body: &body, ..message() }, Yes);
    let mut pieces: Vec<Received> = sent.into_iter().filter(|it| it.notice().class == b"MESSAGE").collect();
    pieces.extend(stage.wait(1).into_iter().map(|(_, it)| it).filter(|it| it.notice().class == b"MESSAGE"));
    assert!(pieces.len() > 1);
    assert!(pieces.iter().all(|it| it.packet().claim.auth == 1 && it.octets.len() <= 1024));
    let multiuid = pieces[0].notice().multiuid;
    assert!(pieces.iter().all(|it| it.notice().multiuid == multiuid));
    pieces.sort_by_key(|it| {
        let text = String::from_utf8_lossy(it.notice().multinotice).into_owned();
        text.split('/').next().unwrap().parse::<usize>().unwrap()
    });
    let joined: Vec<u8> = pieces.iter().flat_map(|it| it.notice().body.to_vec()).collect();
    assert_eq!(joined, body);
    let answers: Vec<_> =
        pieces.iter().flat_map(|it| stage.answer(it, Kind::ServAck, b"SENT\0")).filter(is_answer).collect();
    assert_eq!(answers.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK SENT"], "one answer for all");
    // What is lost is lost as a whole.
    stage.send(here(), Notice { recipient: b"bob@OTHER.TEST", body: &body, ..message() }, Yes);
    let later = stage.wait(1000);
    assert!(later.iter().all(|(at, it)| *at <= 8 || it.notice().class != b"MESSAGE"), "{later:?}");
}

#[test]
fn our_policy_and_lists_are_asked_before_anything_is_handed_off() {
    let mut stage = with(|config| config.policy = Policy { send: Demand::Required, ..Policy::KERBEROS });
    let notice = Notice { recipient: b"bob@OTHER.TEST", ..message() };
    assert_eq!(stage.ask(notice, No), "SERVNAK LOST");
    let mut stage = with(|config| config.rules = rules(&[("xmt-message", "bob@ATHENA.TEST")]));
    assert_eq!(stage.ask(notice, Yes), "SERVNAK LOST");
}

// What realms subscribed to here.

#[test]
fn s137_a_realm_subscribes_and_gets_copies_of_what_is_to_all() {
    let mut stage = up();
    let body = of_client(there(), 0x9C40, b"foo\0*\0@ATHENA.TEST\0bar\0x\0\0baz\0x\0bob@ATHENA.TEST\0");
    let (answer, sent) = stage.control("REQ_SUBSCRIBE", EVE, &body);
    assert_eq!((answer.as_str(), opcodes(&sent)), ("SERVACK SENT", vec!["ADD_SUBSCRIBE".to_owned()]));
    let granted = sent[0].notice();
    assert_eq!(
        (sent[0].to, granted.sender, granted.instance, granted.port),
        (other(), EVE.as_bytes(), &b"REALM"[..], 2103)
    );
    assert_eq!(sent[0].body(), as_here("127.77.0.2|0x9C40|foo|*||bar|x||"), "not what is for somebody else");
    assert!(sent[0].packet().claim.authenticator.starts_with(AUTHENTICATOR));
    stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.engine.gauges().realm_subscriptions, 2);
    for (notice, copies) in [
        (notice("FOO", "any", "", ALICE), 1),
        (notice("bar", "X", "", ALICE), 1),
        (notice("bar", "y", "", ALICE), 0),
        (Notice { recipient: b"@ath", ..notice("foo", "x", "", ALICE) }, 1),
        (Notice { recipient: BOB.as_bytes(), ..notice("foo", "x", "", ALICE) }, 0),
    ] {
        let received = stage.send(here(), notice, Yes);
        let (answers, sent): (Vec<_>, Vec<_>) = received.into_iter().partition(is_answer);
        assert_eq!(sent.len(), copies, "{notice:?}");
        let expected = if copies > 0 { "SERVACK SENT" } else { "SERVACK LOST" };
        assert_eq!(answers[0].answer(), expected, "at once");
        for copy in &sent {
            assert_eq!((copy.to, copy.notice().recipient, copy.packet().claim.auth), (other(), &b""[..], 1));
            assert_eq!(stage.answer(copy, Kind::ServNak, b"LOST\0"), [], "its sender has his answer");
        }
    }
    // A copy that nobody answers is repeated so often.
    let sent = stage.send(here(), notice("foo", "x", "", ALICE), No);
    assert_eq!(sent.iter().find(|it| it.to == other()).unwrap().packet().claim, Claim::NONE);
    assert_eq!(stage.wait(4000).len(), 12 - 1);
    assert_eq!((stage.state_of(0), stage.engine.gauges().realm_pending), (RealmState::Dead, 0));
}

#[test]
fn s138_to_s141_control_notices_count_with_proof_and_from_the_realm_only() {
    let mut stage = up();
    let list = of_client(there(), 7, b"foo\0*\0\0");
    for opcode in ["REQ_SUBSCRIBE", "ADD_SUBSCRIBE", "RLM_UNSUBSCRIBE", "SENDSUBS", "SHUTDOWN"] {
        for proof in [No, Failed, Yes, By("zephyr/zephyr@THIRD.TEST")] {
            let received = stage.send(other(), realm_notice(opcode, EVE, &list), proof);
            let answers: Vec<_> = received.iter().map(Received::answer).collect();
            assert_eq!(answers, ["SERVNAK LOST"], "{opcode} {proof:?}");
        }
    }
    assert_eq!(stage.engine.gauges().realm_subscriptions, 0);
    assert_eq!(stage.control("REQ_SUBSCRIBE", EVE, &list).0, "SERVACK SENT");
    assert_eq!(stage.control("RLM_UNSUBSCRIBE", "", b"foo\0*\0\0").0, "SERVACK SENT");
    assert_eq!(stage.control("RLM_UNSUBSCRIBE", "", b"foo\0*\0\0").0, "SERVNAK FAIL");
    assert_eq!(stage.control("NOSUCH", "", b"").0, "SERVACK LOST");
    // A realm's server is neither a client nor a host manager.
    for (class, instance, opcode) in
        [("ZEPHYR_CTL", "CLIENT", "SUBSCRIBE"), ("ZEPHYR_CTL", "HM", "BOOT"), ("HM_CTL", "x", "BOOT")]
    {
        let received =
            stage.send(other(), Notice { body: b"foo\0*\0\0", ..notice(class, instance, opcode, EVE) }, SERVICE);
        assert_eq!(received.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK LOST"], "{class}");
    }
    let gauges = stage.engine.gauges();
    assert_eq!((gauges.clients, gauges.hosts, gauges.realm_subscriptions), (0, 0, 0));
}

#[test]
fn s7_a_client_never_speaks_as_a_realm_whatever_its_uid_and_port_say() {
    let mut stage = up();
    stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"bar\0*\0\0"));
    let before = (stage.engine.dump(), stage.engine.other_realms(stage.now).next().unwrap().current);
    for opcode in ["REQ_SUBSCRIBE", "ADD_SUBSCRIBE", "RLM_UNSUBSCRIBE", "SENDSUBS", "SHUTDOWN"] {
        for (from, proof) in [
            (here(), Yes),
            (here(), SERVICE),
            (SocketAddr::from((host(1), 2103)), Yes),
            (at(other(), 2104), SERVICE),
            (third(), SERVICE),
        ] {
            let list = of_client(there(), 5000, b"foo\0*\0\0bar\0*\0\0");
            let uid = Uid { address: host(200), seconds: 1, micros: u32::from(from.port()) };
            let notice = Notice { uid, multiuid: uid, ..realm_notice(opcode, EVE, &list) };
            let claim = Claim { auth: 1, authent_len: 3, authenticator: b"Zabc", checksum: b"Zsum" };
            let octets = notice.write(&claim, Limits::WHOLE_PACKET).unwrap();
            let received = stage.give(from, &octets, proof);
            assert!(received.iter().all(|it| it.answer() != "SERVACK SENT"), "{opcode} {from}: {received:?}");
        }
    }
    let after = (stage.engine.dump(), stage.engine.other_realms(stage.now).next().unwrap().current);
    assert_eq!(after, before);
}

#[test]
fn s6_1_lists_and_policy_say_what_a_realm_may_have_and_a_reload_ends_the_rest() {
    let lists = [("sub-open", "*@OTHER.TEST"), ("sub-own", "*@ATHENA.TEST"), ("iws-open", "")];
    let mut stage = with(|config| config.rules = rules(&lists));
    let list = b"open\0i\0\0open\0*\0\0own\0i\0\0free\0*\0\0";
    let (answer, sent) = stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, list));
    assert_eq!((answer.as_str(), sent[0].body()), ("SERVACK SENT", as_here("127.77.0.2|0x0007|open|i||free|*||")));
    // Whom the realm may not speak for gets nothing, whatever the lists say of him.
    let (answer, sent) = stage.control("REQ_SUBSCRIBE", ALICE, &of_client(there(), 7, b"own\0i\0\0"));
    assert_eq!((answer.as_str(), sent.len()), ("SERVNAK LOST", 0));
    assert_eq!(stage.engine.gauges().realm_subscriptions, 2);
    stage.command(Command::Reload(rules(&[("sub-open", "*@ATHENA.TEST")])));
    assert_eq!(stage.engine.gauges().realm_subscriptions, 1);
    assert!(matches!(stage.events.last(), Some(LogEvent::RealmSubscriptionsEnded { count: 1, .. })));
    assert_eq!(stage.send(here(), notice("open", "i", "", ALICE), Yes)[0].answer(), "SERVACK LOST");
    let nobody = ForeignRule { realms: NamePattern::new(OTHER.as_bytes()), speaks_for: Vec::new() };
    stage.command(Command::Enforce(Box::new(Policy { foreign: vec![nobody], ..Policy::KERBEROS })));
    assert_eq!(stage.engine.gauges().realm_subscriptions, 0);
}

#[test]
fn s6_1_a_realm_has_only_so_many_subscriptions() {
    let bounds = Bounds { subscriptions_per_realm: 2, ..Bounds::default() };
    let mut stage = up();
    stage.command(Command::Rebound(Box::new(bounds)));
    let (_, sent) = stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"a\0*\0\0b\0*\0\0c\0*\0\0"));
    assert_eq!(sent[0].body(), as_here("127.77.0.2|0x0007|a|*||b|*||"));
    assert_eq!(stage.engine.gauges().realm_subscriptions, 2);
}

#[test]
fn what_realms_subscribed_to_is_state() {
    let mut stage = up();
    stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"foo\0*\0\0bar\0x\0\0"));
    stage.control("REQ_SUBSCRIBE", "mallory@OTHER.TEST", &of_client(there(), 7, b"foo\0*\0\0"));
    assert!(stage.changes.iter().any(|it| matches!(it, Change::RealmSubscribed { .. })));
    let mut again = up();
    let now = again.now;
    for changed in stage.engine.snapshot() {
        again.engine.apply(now, changed, ChangeSource::Kept);
    }
    assert_eq!(again.engine.dump(), stage.engine.dump());
    let told = |stage: &Stage| {
        let mut all: Vec<String> =
            stage.engine.snapshot().map(|it| format!("{:?} {:?}", it.stamp, it.change)).collect();
        all.sort();
        all
    };
    assert_eq!(told(&again), told(&stage));
    assert!(
        stage
            .engine
            .dump()
            .contains(&as_here("0:OTHER.TEST\n\t127.77.0.200 gotaddr\n\t'bar' 'x' ''\n\t'foo' '*' ''\n"))
    );
}

#[test]
fn a_realm_that_is_listed_no_longer_has_nothing_here_and_gets_nothing() {
    let mut stage = up();
    stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"foo\0*\0\0"));
    stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.tell("bob@OTHER.TEST");
    let told = stage.command(Command::Realms(Vec::new()));
    assert_eq!(told.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK LOST"]);
    let gauges = stage.engine.gauges();
    assert_eq!((gauges.realm_subscriptions, gauges.realm_pending, gauges.realm_wishes), (0, 0, 0));
    assert_eq!(stage.tell("bob@OTHER.TEST")[0].answer(), "SERVACK LOST", "that recipient has no client here");
    assert_eq!(stage.wait(2000), []);
}

// Notices from realms.

#[test]
fn s142_whom_a_notice_of_a_realm_reaches() {
    let mut stage = up();
    stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.grant(ALICE, 5000);
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0foo\0*\0bob@ATHENA.TEST\0");
    stage.control_from(
        third(),
        By("zephyr/zephyr@THIRD.TEST"),
        "REQ_SUBSCRIBE",
        "x@THIRD.TEST",
        &of_client(there(), 7, b"foo\0*\0\0"),
    );
    for (recipient, reached, shown) in [
        ("", vec![5000], "@OTHER.TEST"),
        ("@other.test", vec![5000], "@OTHER.TEST"),
        ("@ATHENA.TEST", vec![6000], ""),
        ("@ath", vec![6000], ""),
        ("bob@ATHENA.TEST", vec![6000], "bob@ATHENA.TEST"),
        ("bob", vec![6000], "bob@ATHENA.TEST"),
        ("bob@ath", vec![6000], "bob@ATHENA.TEST"),
        ("@THIRD.TEST", vec![], ""),
        ("carol@THIRD.TEST", vec![], ""),
    ] {
        let notice = Notice { recipient: recipient.as_bytes(), ..notice("foo", "x", "", EVE) };
        let received = stage.send(other(), notice, SERVICE);
        let (answers, sent): (Vec<_>, Vec<_>) = received.into_iter().partition(is_answer);
        let expected = if reached.is_empty() { "SERVACK LOST" } else { "SERVACK SENT" };
        assert_eq!(answers.iter().map(|it| (it.to, it.answer())).collect::<Vec<_>>(), [(other(), expected.to_owned())]);
        let (copies, sent): (Vec<_>, Vec<_>) = sent.into_iter().partition(|it| it.to.port() == 2103);
        assert_eq!(copies.len(), usize::from(shown.is_empty() && !reached.is_empty()), "{recipient}: {copies:?}");
        assert_eq!(sent.iter().map(|it| it.to.port()).collect::<Vec<_>>(), reached, "{recipient}");
        assert!(sent.iter().all(|it| it.notice().recipient == shown.as_bytes()), "{recipient}");
        assert!(sent.iter().all(|it| it.packet().claim.auth == 1), "the realm speaks for its own");
        for copy in &copies {
            assert_eq!(
                (copy.to, copy.packet().claim),
                (third(), Claim::NONE),
                "we do not vouch for other realms' people"
            );
        }
        sent.iter().for_each(|it| stage.acknowledge(it));
        copies.iter().for_each(|it| drop(stage.answer(it, Kind::ServAck, b"SENT\0")));
    }
}

#[test]
fn s6_a_realm_is_believed_only_about_whom_it_may_speak_for() {
    let own = |policy: &Policy| policy.clone();
    for (policy, sender, proof, authentic) in [
        (Policy::KERBEROS, EVE, SERVICE, true),
        (Policy::KERBEROS, ALICE, SERVICE, false),
        (Policy::KERBEROS, "alice", SERVICE, false),
        (Policy::KERBEROS, "x@THIRD.TEST", SERVICE, false),
        (Policy::KERBEROS, EVE, No, false),
        (Policy::KERBEROS, EVE, Failed, false),
        (Policy::KERBEROS, EVE, Yes, false),
        (Policy::KERBEROS, EVE, By("zephyr/zephyr@THIRD.TEST"), false),
        (trusting(b"alice@ATHENA.TEST"), ALICE, SERVICE, true),
        (trusting(b"alice@ATHENA.TEST"), BOB, SERVICE, false),
        (trusting(b"alice@ATHENA.TEST"), EVE, SERVICE, true),
    ] {
        let policy = own(&policy);
        let mut stage = with(|config| config.policy = policy);
        stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0login\0*\0\0");
        for (class, opcode) in [("foo", ""), ("LOGIN", "USER_LOGIN")] {
            if class == "LOGIN" {
                stage.wants(BOB, 6000, b"login\0*\0@OTHER.TEST\0");
                stage.control("ADD_SUBSCRIBE", BOB, &of_client(there(), 6000, b"login\0*\0\0"));
            }
            let notice = Notice { recipient: b"@ATHENA.TEST", ..notice(class, sender, opcode, sender) };
            let received = stage.send(other(), notice, proof);
            let shown: Vec<_> = received.iter().filter(|it| !is_answer(it) && it.to.port() == 6000).collect();
            assert_eq!(shown.len(), 1, "{class} {sender} {proof:?}: {received:?}");
            assert_eq!(shown[0].packet().claim.auth == 1, authentic, "{class} {sender} {proof:?}");
            let shown = shown[0].clone();
            stage.acknowledge(&shown);
        }
        assert_eq!(stage.engine.gauges().locations, 0, "nobody is located by another realm");
    }
}

#[test]
fn s143_lists_ask_who_is_proven_to_have_sent_a_realms_notice() {
    let mut stage = with(|config| config.rules = rules(&[("xmt-regcl", "*@OTHER.TEST\n*@ATHENA.TEST")]));
    stage.subscribe(there(), BOB, 6000, b"regcl\0*\0bob@ATHENA.TEST\0");
    for (sender, answer) in [(EVE, "SERVACK SENT"), (ALICE, "SERVNAK LOST"), ("x@THIRD.TEST", "SERVNAK LOST")] {
        let notice = Notice { recipient: BOB.as_bytes(), ..notice("regcl", "i", "", sender) };
        let received = stage.send(other(), notice, SERVICE);
        assert_eq!(received.iter().find(|it| is_answer(it)).unwrap().answer(), answer, "{sender}");
    }
    let mut stage = with(|config| config.policy = Policy { send: Demand::Required, ..Policy::KERBEROS });
    let notice = Notice { recipient: b"@ATHENA.TEST", ..notice("foo", "i", "", ALICE) };
    let received = stage.send(other(), notice, SERVICE);
    assert_eq!(received.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVNAK LOST"]);
}

#[test]
fn s6_only_what_is_announced_to_the_net_leaves_the_realm() {
    let mut stage = up();
    stage.control("REQ_SUBSCRIBE", EVE, &of_client(there(), 7, b"login\0*\0\0"));
    for (exposure, copies) in
        [("REALM-VISIBLE", 0), ("REALM-ANNOUNCED", 0), ("NET-VISIBLE", 0), ("NET-ANNOUNCED", 1), ("USER_LOGOUT", 1)]
    {
        let notice = Notice { body: b"m\0t\0y\0", ..notice("LOGIN", ALICE, exposure, ALICE) };
        let received = stage.send(here(), notice, Yes);
        assert_eq!(received.iter().filter(|it| it.to == other()).count(), copies, "{exposure}");
    }
}

// Subscriptions in other realms.

#[test]
fn s133_a_subscription_there_is_in_force_when_it_is_granted() {
    let mut stage = up();
    // S134: an abbreviation is as good.
    let asked = stage.wants(ALICE, 0x9C40, b"Foo\0*\0@oth\0bar\0x\0\0");
    assert_eq!(opcodes(&asked), ["REQ_SUBSCRIBE"]);
    let request = asked[0].notice();
    assert_eq!(
        (asked[0].to, request.sender, request.recipient, request.port),
        (other(), ALICE.as_bytes(), &b""[..], 2103)
    );
    assert_eq!(asked[0].body(), as_here("127.77.0.2|0x9C40|foo|*|@OTHER.TEST|"));
    assert_eq!(request.instance, b"REALM");
    assert_eq!(asked[0].packet().claim.auth, 1);
    assert_eq!(stage.answer(&asked[0], Kind::ServAck, b"SENT\0"), []);
    assert_eq!(stage.list(there(), ALICE, 0x9C40), "bar|x||", "not yet");
    assert_eq!(stage.grant(ALICE, 0x9C40), "SERVACK SENT");
    assert_eq!(stage.list(there(), ALICE, 0x9C40), "foo|*|@OTHER.TEST|bar|x||");
    assert_eq!(stage.wants(ALICE, 0x9C40, b"foo\0*\0@other.test\0"), [], "she has it");
    // Another client of hers is granted the same; another person is not.
    assert_eq!(stage.wants(ALICE, 0x9C41, b"foo\0*\0@OTHER.TEST\0"), []);
    assert_eq!(stage.list(there(), ALICE, 0x9C41), "foo|*|@OTHER.TEST|");
    assert_eq!(opcodes(&stage.wants(BOB, 6000, b"foo\0*\0@OTHER.TEST\0")), ["REQ_SUBSCRIBE"]);
    assert_eq!(stage.wants(BOB, 6000, b"foo\0*\0@OTHER.TEST\0"), [], "he is asked for already");
    assert_eq!(stage.list(there(), BOB, 6000), "");
}

#[test]
fn s10_a_realm_grants_only_what_it_was_asked_for() {
    let mut stage = up();
    stage.subscribe(there(), BOB, 6000, b"bar\0x\0\0");
    let asked = stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    let add = |stage: &mut Stage, host, port, list: &[u8]| {
        stage.control("ADD_SUBSCRIBE", ALICE, &of_client(host, port, list)).0
    };
    assert_eq!(add(&mut stage, there(), 6000, b"foo\0*\0\0"), "SERVACK LOST", "another client");
    assert_eq!(add(&mut stage, here(), 5000, b"foo\0*\0\0"), "SERVACK LOST", "nobody");
    assert_eq!(add(&mut stage, there(), 5000, b"message\0*\0\0foo\0x\0\0"), "SERVACK LOST", "something else");
    assert!(matches!(stage.events.last(), Some(LogEvent::Unasked { .. })), "{:?}", stage.events);
    let other_realm = stage.send(
        third(),
        realm_notice("ADD_SUBSCRIBE", ALICE, &of_client(there(), 5000, b"foo\0*\0\0")),
        By("zephyr/zephyr@THIRD.TEST"),
    );
    assert_eq!(other_realm[0].answer(), "SERVACK LOST", "another realm");
    assert_eq!(stage.engine.gauges().subscriptions, 1);
    assert_eq!(stage.engine.counters().realm_unasked, 4);
    // Refused: it never appears.
    stage.answer(&asked[0], Kind::ServNak, b"LOST\0");
    assert_eq!(stage.grant(ALICE, 5000), "SERVACK LOST");
    // Received, and granted too late.
    let asked = stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.answer(&asked[0], Kind::ServAck, b"SENT\0");
    stage.wait(121);
    assert_eq!(stage.grant(ALICE, 5000), "SERVACK LOST");
    assert_eq!((stage.engine.gauges().subscriptions, stage.engine.gauges().realm_wishes), (1, 0));
    // Of a client that is gone, of a bulk request.
    stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.send(there(), Notice { port: 5000, ..control("CLEARSUB", ALICE, b"") }, Yes);
    assert_eq!(stage.grant(ALICE, 5000), "SERVACK LOST");
    assert_eq!(stage.control("ADD_SUBSCRIBE", ALICE, b"0.0.0.0\x000x0000\0foo\0*\0\0").0, "SERVACK SENT");
    assert_eq!(stage.engine.gauges().subscriptions, 1);
}

#[test]
fn s6_3_who_has_proven_nothing_is_not_asked_for_and_rules_of_ours_count() {
    let mut stage = with(|config| {
        config.policy = Policy { receive: Demand::Optional, ..Policy::KERBEROS };
        config.rules = rules(&[("sub-closed", "")]);
    });
    let request = Notice { port: 5000, ..control("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0@OTHER.TEST\0") };
    let received = stage.send(there(), request, No);
    assert!(received.iter().all(|it| it.to != other()), "{received:?}");
    assert_eq!(received[0].reason().as_deref(), Some("other realms are asked only for proven people of this realm"));
    assert_eq!(stage.wants("x@THIRD.TEST", 5002, b"foo\0*\0@OTHER.TEST\0"), [], "nor for other realms' people");
    let asked = stage.wants(ALICE, 5001, b"closed\0*\0@OTHER.TEST\0foo\0*\0@OTHER.TEST\0");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].body().contains("foo"));
    // Rules that come meanwhile count as well.
    stage.command(Command::Reload(rules(&[("sub-foo", "")])));
    stage.control("ADD_SUBSCRIBE", ALICE, &of_client(there(), 5001, b"foo\0*\0\0"));
    assert_eq!(stage.list(there(), ALICE, 5001), "");
}

#[test]
fn s6_3_the_realm_hears_when_the_last_holder_goes() {
    type End = fn(&mut Stage) -> Vec<Received>;
    let ends: [(&str, End); 4] = [
        ("unsubscribes", |stage| {
            stage.send(there(), Notice { port: 5000, ..control("UNSUBSCRIBE", ALICE, b"FOO\0*\0@oth\0") }, Yes)
        }),
        ("clears", |stage| stage.send(there(), Notice { port: 5000, ..control("CLEARSUB", ALICE, b"") }, Yes)),
        ("flushes", |stage| stage.send(here(), control("FLUSHSUBS", ALICE, b""), Yes)),
        ("dies", |stage| {
            stage.send(here(), Notice { recipient: ALICE.as_bytes(), ..notice("mine", "x", "", BOB) }, Yes);
            stage.wait(1100).into_iter().map(|(_, packet)| packet).collect()
        }),
    ];
    for (how, end) in ends {
        let mut stage = up();
        for (person, port) in [(ALICE, 5000), (BOB, 6000)] {
            let body = format!("foo\0*\0@OTHER.TEST\0mine\0x\0{person}\0");
            for request in stage.wants(person, port, body.as_bytes()) {
                stage.answer(&request, Kind::ServAck, b"SENT\0");
            }
            stage.grant(person, port);
        }
        stage.send(there(), Notice { port: 6000, ..control("CLEARSUB", BOB, b"") }, Yes);
        assert_eq!(stage.engine.gauges().realm_pending, 0, "somebody still holds it");
        let sent = end(&mut stage);
        let told: Vec<_> = sent.iter().filter(|it| it.notice().opcode == b"RLM_UNSUBSCRIBE").collect();
        assert_eq!(told.first().map(|it| (it.to, it.body())), Some((other(), "foo|*||".to_owned())), "{how}: {sent:?}");
        assert_eq!(told[0].notice().sender, b"");
    }
}

#[test]
fn s31_a_realm_that_starts_is_answered_and_asked_again() {
    let mut stage = up();
    for (person, port) in [(ALICE, 5000), (ALICE, 5001), (BOB, 6000)] {
        for request in stage.wants(person, port, b"foo\0*\0@OTHER.TEST\0") {
            stage.answer(&request, Kind::ServAck, b"SENT\0");
            stage.grant(person, port);
        }
    }
    stage.subscribe(there(), BOB, 6000, b"bar\0*\0\0");
    let (answer, sent) = stage.control("SENDSUBS", "z200", b"");
    assert_eq!(answer, "SERVACK SENT");
    assert_eq!(opcodes(&sent), ["REQ_SUBSCRIBE"], "once for each triple");
    assert_eq!(sent[0].body(), "0.0.0.0|0x0000|foo|*|@OTHER.TEST|");
    stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.state_of(0), RealmState::Up);
}

#[test]
fn s31_a_realm_that_does_not_answer_greetings_is_not_dead_while_it_answers_other_things() {
    let mut stage = silent(|_| ());
    stage.begin();
    for _ in 0..20 {
        stage.wait(100);
        let sent = stage.tell("bob@OTHER.TEST");
        stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
        assert_eq!(stage.state_of(0), RealmState::Up);
    }
    assert_eq!(stage.state_of(1), RealmState::Dead);
}

#[test]
fn s5_a_dead_realm_gets_little_and_is_asked_again_when_it_is_back() {
    let mut stage = silent(|_| ());
    stage.begin();
    let asked = stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    assert_eq!(opcodes(&asked), ["REQ_SUBSCRIBE"]);
    stage.wait(1100);
    assert_eq!(stage.state_of(0), RealmState::Dead);
    assert!(stage.events.iter().any(|it| matches!(it, LogEvent::RealmState { state: RealmState::Dead, .. })));
    assert_eq!(stage.engine.gauges().realm_wishes, 2 - 1, "it waits for the realm");
    let sent = stage.tell("bob@OTHER.TEST").len();
    let more = stage.wait(9).iter().filter(|(_, it)| it.to == other()).count();
    assert_eq!(sent + more, 2, "every other one");
    let (_, sent) = stage.control("SENDSUBS", "z200", b"");
    assert_eq!(opcodes(&sent), ["REQ_SUBSCRIBE"]);
    assert_eq!(stage.state_of(0), RealmState::Starting);
    stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.state_of(0), RealmState::Up);
    assert_eq!(stage.grant(ALICE, 5000), "SERVACK SENT");
}

#[test]
fn s6_3_after_a_restart_everything_held_is_asked_for() {
    let mut stage = up();
    stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.grant(ALICE, 5000);
    let mut again = silent(|_| ());
    let now = again.now;
    for changed in stage.engine.snapshot() {
        again.engine.apply(now, changed, ChangeSource::Kept);
    }
    let mut sent = again.engine.drain(now).0;
    again.now.monotonic += Duration::from_millis(5);
    let now = again.now;
    again.engine.timeout(now);
    sent.extend(again.engine.drain(now).0);
    let mut opcodes = opcodes(&sent);
    opcodes.sort();
    assert_eq!(opcodes, ["REQ_SUBSCRIBE", "SENDSUBS", "SENDSUBS"]);
}

#[test]
fn s6_3_what_is_wanted_again_is_not_ended_by_a_late_repetition() {
    let mut stage = up();
    let asked = stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.answer(&asked[0], Kind::ServAck, b"SENT\0");
    stage.grant(ALICE, 5000);
    let ended =
        stage.send(there(), Notice { port: 5000, ..control("UNSUBSCRIBE", ALICE, b"foo\0*\0@OTHER.TEST\0") }, Yes);
    assert!(opcodes(&ended).contains(&"RLM_UNSUBSCRIBE".to_owned()));
    let asked = stage.wants(ALICE, 5000, b"foo\0*\0@OTHER.TEST\0");
    stage.answer(&asked[0], Kind::ServAck, b"SENT\0");
    stage.grant(ALICE, 5000);
    assert_eq!(stage.wait(2000), []);
}

#[test]
fn s13_a_session_that_cannot_be_renewed_is_not_asked_for_with_every_notice() {
    let mut stage = silent(|config| config.neighbours.realms = both()[..1].to_vec());
    let ends = Some(stage.now.wall + Duration::from_secs(100));
    stage.engine.sessions = Sessions::Given(Arc::new(Ticketed { authenticator: AUTHENTICATOR.to_vec(), ends }));
    stage.begin();
    stage.wait(31);
    stage.engine.sessions = Sessions::Refused;
    for _ in 0..10 {
        assert!(stage.tell("bob@OTHER.TEST").iter().all(|it| it.packet().claim.auth == 1));
    }
    assert_eq!(stage.engine.counters().realm_no_session, 1, "the one before is good for a while");
    stage.wait(100);
    assert_eq!(stage.tell("bob@OTHER.TEST"), [], "it has ended");
}

#[test]
fn s8_a_notice_that_fits_into_no_packet_with_our_proof_is_lost_and_its_repetition_answered() {
    let mut stage = silent(|_| ());
    stage.engine.sessions = Sessions::Given(Ticketed::of(&[b'Z'; 900]));
    let octets = stage.packet(Notice { recipient: b"bob@OTHER.TEST", ..message() }, Yes);
    for _ in 0..2 {
        let answers: Vec<Received> = stage.give(here(), &octets, Yes).into_iter().filter(is_answer).collect();
        assert_eq!(answers.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK LOST"]);
    }
    assert!(stage.events.iter().any(|it| matches!(it, LogEvent::NotWrittenToRealm { .. })), "{:?}", stage.events);
}

#[test]
fn s7_3_so_many_questions_of_one_source() {
    let mut stage = up();
    let question = notice("USER_LOCATE", "bob@OTHER.TEST", "LOCATE", ALICE);
    let asked = |stage: &mut Stage, from, proof| {
        let mut count = 0;
        while stage.send(from, question, proof).iter().any(|it| it.to == other()) {
            count += 1;
        }
        count
    };
    assert_eq!(
        [asked(&mut stage, here(), No), asked(&mut stage, here(), Yes), asked(&mut stage, there(), No)],
        [64; 3]
    );
    stage.wait(61);
    assert_eq!((asked(&mut stage, here(), No), stage.engine.gauges().realm_pending), (64, 64));
}

#[test]
fn who_waits_for_another_realm_is_answered_when_the_server_ends() {
    let mut stage = up();
    stage.tell("bob@OTHER.TEST");
    let told = stage.command(Command::Shutdown);
    assert_eq!(told.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK LOST"]);
}

#[test]
fn s6_a_server_that_ends_names_another() {
    let servers = vec![server("z200", other()), server("z201", second())];
    let mut stage = silent(|config| config.neighbours.realms = vec![realm(OTHER, servers)]);
    stage.begin();
    let current = |stage: &Stage| stage.engine.other_realms(stage.now).next().unwrap().current;
    let elsewhere = as_here("127.77.0.9\0");
    assert_eq!(stage.control("SHUTDOWN", "z200", elsewhere.as_bytes()).0, "SERVNAK FAIL");
    assert_eq!(current(&stage), Some(other()));
    assert_eq!(stage.control_from(second(), SERVICE, "SHUTDOWN", "z201", b""), "SERVACK SENT");
    assert_eq!(current(&stage), Some(other()), "that was not the one that we use");
    assert_eq!(stage.control("SHUTDOWN", "z200", as_here("127.77.0.201\0").as_bytes()).0, "SERVACK SENT");
    assert_eq!(current(&stage), Some(second()));
    assert_eq!(stage.control_from(second(), SERVICE, "SHUTDOWN", "z201", b""), "SERVACK SENT");
    assert_eq!(current(&stage), Some(other()), "the next");
}

// Locations.

#[test]
fn s135_a_question_goes_to_the_realm_and_its_answer_to_who_asked_once() {
    let mut stage = up();
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    let question = Notice { kind: Kind::Unacked, ..notice("USER_LOCATE", "bob@oth", "LOCATE", ALICE) };
    let received = stage.send(here(), question, Yes);
    let (answers, sent): (Vec<_>, Vec<_>) = received.into_iter().partition(is_answer);
    assert_eq!(answers[0].answer(), "SERVACK SENT", "at once");
    let asked = sent[0].notice();
    assert_eq!(
        (sent[0].to, asked.opcode, asked.instance, asked.port),
        (other(), &b"REQ_LOCATE"[..], &b"bob@OTHER.TEST"[..], 5000)
    );
    assert_eq!((asked.uid, asked.sender, sent[0].packet().claim.auth), (answers[0].notice().uid, ALICE.as_bytes(), 1));
    let answer = |uid, instance: &'static str| Notice {
        uid,
        multiuid: uid,
        body: b"m\0t\0y\0",
        ..notice("USER_LOCATE", instance, "ANS_LOCATE", ALICE)
    };
    let give = |stage: &mut Stage, from, notice: Notice<'_>, proof| {
        let authenticator = format!("Z{}", stage.engine.counters().received);
        let claim = match proof {
            No => Claim::NONE,
            _ => Claim { auth: 1, authent_len: 3, authenticator: authenticator.as_bytes(), checksum: b"Zsum" },
        };
        let octets = notice.write(&claim, Limits::WHOLE_PACKET).unwrap();
        stage.give(from, &octets, proof)
    };
    let right = answer(asked.uid, "bob@OTHER.TEST");
    let wrong_uid = Uid { micros: 99, ..asked.uid };
    for (from, notice, proof, said) in [
        (other(), right, No, "SERVNAK LOST"),
        (other(), right, Failed, "SERVNAK LOST"),
        (other(), answer(wrong_uid, "bob@OTHER.TEST"), SERVICE, "SERVACK LOST"),
        (other(), answer(asked.uid, "eve@OTHER.TEST"), SERVICE, "SERVACK LOST"),
        (third(), right, By("zephyr/zephyr@THIRD.TEST"), "SERVACK LOST"),
        (here(), right, SERVICE, "SERVACK LOST"),
        (here(), right, Yes, "SERVACK LOST"),
    ] {
        let received = give(&mut stage, from, notice, proof);
        assert_eq!(received.iter().map(Received::answer).collect::<Vec<_>>(), [said], "{from} {proof:?}");
    }
    let received = give(&mut stage, other(), right, SERVICE);
    let (answers, told): (Vec<_>, Vec<_>) = received.into_iter().partition(is_answer);
    assert_eq!((answers[0].to, answers[0].answer().as_str()), (other(), "SERVACK SENT"));
    let location = told[0].notice();
    assert_eq!(
        (told.len(), told[0].to, location.opcode, location.kind),
        (1, at(here(), 5000), &b"LOCATE"[..], Kind::Acked)
    );
    assert_eq!((told[0].body().as_str(), location.instance, location.uid), ("m|t|y|", &b"bob@oth"[..], asked.uid));
    assert_eq!(told[0].packet().claim, Claim::NONE);
    stage.acknowledge(&told[0]);
    assert_eq!(give(&mut stage, other(), right, SERVICE)[0].answer(), "SERVACK LOST", "once");
    assert_eq!(stage.wait(100), [], "the question is not repeated");
}

#[test]
fn s7_3_a_question_is_not_kept_for_ever_and_we_vouch_for_no_stranger() {
    let mut stage = up();
    let question = notice("USER_LOCATE", "bob@OTHER.TEST", "LOCATE", ALICE);
    let received = stage.send(here(), question, No);
    let asked = received.iter().find(|it| it.to == other()).unwrap();
    assert_eq!(asked.notice().sender, b"zephyr/zephyr@ATHENA.TEST");
    let repeated = stage.wait(100);
    assert_eq!(repeated.len(), 6, "for half a minute");
    let answer = Notice { opcode: b"ANS_LOCATE", body: b"m\0t\0y\0", ..asked.notice() };
    let claim = Claim { auth: 1, authent_len: 3, authenticator: b"Zlate", checksum: b"Zsum" };
    let octets = answer.write(&claim, Limits::WHOLE_PACKET).unwrap();
    assert_eq!(stage.give(other(), &octets, SERVICE)[0].answer(), "SERVACK LOST");
    assert_eq!(
        stage.send(here(), Notice { instance: b"bob@", ..question }, Yes).iter().filter(|it| it.to == other()).count(),
        0
    );
}

#[test]
fn s7_3_another_realm_hears_only_what_everybody_may_know() {
    let mut stage = up();
    for (user, exposure) in [(ALICE, "NET-VISIBLE"), (BOB, "REALM-ANNOUNCED"), ("op@ATHENA.TEST", "OPSTAFF")] {
        stage.send(here(), Notice { body: b"m\0t\0y\0", ..notice("LOGIN", user, exposure, user) }, Yes);
    }
    for (user, body) in [(ALICE, "m|t|y|"), (BOB, ""), ("op@ATHENA.TEST", ""), ("nobody@ATHENA.TEST", "")] {
        let question = notice("USER_LOCATE", user, "REQ_LOCATE", EVE);
        assert_eq!(stage.send(other(), question, No)[0].answer(), "SERVNAK LOST");
        assert_eq!(stage.send(other(), question, Failed)[0].answer(), "SERVNAK LOST");
        let received = stage.send(other(), question, SERVICE);
        let (answers, sent): (Vec<_>, Vec<_>) = received.into_iter().partition(is_answer);
        assert_eq!((answers[0].answer().as_str(), sent.len()), ("SERVACK SENT", 1));
        let told = sent[0].notice();
        assert_eq!((sent[0].to, told.opcode, told.instance), (other(), &b"ANS_LOCATE"[..], user.as_bytes()));
        assert_eq!((told.port, told.uid, sent[0].body().as_str()), (5000, answers[0].notice().uid, body));
        assert_eq!(sent[0].packet().claim.auth, 1);
        stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    }
    assert_eq!(
        stage.ask(notice("USER_LOCATE", ALICE, "REQ_LOCATE", EVE), SERVICE),
        "SERVACK LOST",
        "of no realm's server"
    );
}

#[test]
fn the_status_and_the_view_tell_how_realms_are() {
    let mut stage = up();
    let received = stage.send(here(), notice("ZEPHYR_ADMIN", "", "STATUS", ALICE), Yes);
    let status = received.iter().find(|it| !is_answer(it)).unwrap().body();
    assert!(
        status.contains(&as_here("OTHER.TEST(127.77.0.200)/REALM_UP|THIRD.TEST(127.77.0.210)/REALM_UP|")),
        "{status}"
    );
    stage.tell("bob@OTHER.TEST");
    let views: Vec<_> =
        stage.engine.other_realms(stage.now).map(|it| (it.name.to_vec(), it.pending, it.current)).collect();
    assert_eq!(views, [(OTHER.into(), 1, Some(other())), (b"THIRD.TEST".to_vec(), 0, Some(third()))]);
    assert_eq!(stage.engine.counters().realm_handed_off, 1);
}

#[test]
fn a_realms_repeated_packet_is_answered_again_and_delivered_once() {
    let mut stage = up();
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0bob@ATHENA.TEST\0");
    let octets = stage.packet(Notice { recipient: BOB.as_bytes(), ..notice("foo", "x", "", EVE) }, SERVICE);
    let first = stage.give(other(), &octets, SERVICE);
    assert_eq!(first.len(), 2);
    let again = stage.give(other(), &octets, SERVICE);
    assert_eq!(again.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK SENT"]);
    // Nor does the authenticator prove anything else, from anywhere.
    let replayed = stage.give(second(), &octets, SERVICE);
    assert!(replayed.iter().all(|it| it.to != at(there(), 6000)), "{replayed:?}");
}
