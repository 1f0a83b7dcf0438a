//! Peers that are C programs: hellos, dumps and forwarded packets, and what somebody does who forges their address.

use crate::stage::*;
use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};
use zephyr_core::{
    auth::{Direction, Session},
    body::Place,
    exposure::Exposure,
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};
use zephyr_engine::{
    machine::{Input, Machine},
    server::{
        Belief, Change, Command, Done, Job, LogEvent, NeighbourRealm, PeerKind, PeerServer, ProbeSecret, RealmServer,
        ServerId,
        peers::{
            c::{Key, Record, Sender},
            stream::{StreamEvent, StreamId, StreamOrder},
        },
    },
};

/// The C server.
fn c_server() -> SocketAddr {
    (host(50), 2103).into()
}

fn c_peer() -> PeerServer {
    PeerServer { name: "zc".into(), kind: PeerKind::C, addresses: vec![c_server()] }
}

fn with_peer() -> Stage {
    let peer = c_peer();
    let mut stage = Stage::with(|config| config.neighbours.peers = vec![peer]);
    assert_eq!(stage.settle(), []);
    stage
}

fn admin(opcode: &str) -> Notice<'_> {
    Notice { port: 2103, ..notice("ZEPHYR_ADMIN", "", opcode, "zc.test") }
}

/// The C server sends this; gives what the server sends because of it.
fn says(stage: &mut Stage, notice: Notice<'_>) -> Vec<Received> {
    stage.send(c_server(), notice, No)
}

fn hears(stage: &mut Stage) -> Vec<Received> {
    says(stage, admin("IHEARDYOU"))
}

fn opcodes(received: &[Received]) -> Vec<String> {
    let to_peer = received.iter().filter(|packet| packet.to == c_server());
    to_peer.map(|packet| String::from_utf8(packet.notice().opcode.to_vec()).unwrap()).collect()
}

fn stream(stage: &mut Stage, event: StreamEvent) -> Vec<Received> {
    stage.engine.handle(stage.now, Input::Done(Done::Stream(event)));
    stage.settle()
}

fn jobs(stage: &mut Stage) -> Vec<Job> {
    std::mem::take(&mut stage.engine.jobs)
}

/// The streams that are wanted, and how.
fn orders(stage: &mut Stage) -> Vec<StreamOrder> {
    let orders = jobs(stage).into_iter().filter_map(|job| match job {
        Job::Stream(order) => Some(order),
        _ => None,
    });
    orders.collect()
}

fn state(stage: &Stage) -> &'static str {
    stage.engine.peers(stage.now)[0].state
}

fn record(record: &Record<'_>) -> Bytes {
    let sender = Sender { host: b"zc.test", port: 2103, address: host(50) };
    record.write(&sender, Uid { address: host(50), seconds: 1_800_000_000, micros: 1 }).unwrap()
}

/// The C server tells this on a stream, and that it is all.
fn tells(stage: &mut Stage, id: StreamId, records: &[Record<'_>]) -> Vec<Received> {
    let mut received = Vec::new();
    for it in records.iter().chain([&Record::Done]) {
        received.extend(stream(stage, StreamEvent::Record { stream: id, record: record(it) }));
    }
    received
}

/// What is told on a stream, in words, among these orders.
fn told(orders: &[StreamOrder], id: StreamId) -> Vec<String> {
    let words = |record: &Bytes| match Record::read(record).unwrap() {
        Record::Client { principal, address, .. } => format!("{} {address}", String::from_utf8_lossy(principal)),
        Record::Subscription([class, ..]) => format!("sub {}", String::from_utf8_lossy(class)),
        Record::Location { user, .. } => format!("at {}", String::from_utf8_lossy(user)),
        other => format!("{other:?}"),
    };
    let told = sent(orders, id).into_iter().filter(|record| !is_witness(record));
    told.map(words).collect()
}

fn sent(orders: &[StreamOrder], id: StreamId) -> Vec<&Bytes> {
    let sent = orders.iter().filter_map(|order| match order {
        StreamOrder::Send { stream, record } if *stream == id => Some(record),
        _ => None,
    });
    sent.collect()
}

fn is_witness(record: &Bytes) -> bool {
    matches!(Record::read(record).unwrap(), Record::Location { user, .. } if user.starts_with(b"zephyr-rs/"))
}

/// What is told on a stream so that the C server can tell it back: once, when everything was told.
fn witness(orders: &[StreamOrder], id: StreamId) -> Bytes {
    let sent = sent(orders, id);
    let [.., witness, _done] = sent[..] else { panic!("{sent:?}") };
    assert_eq!(sent.iter().filter(|record| is_witness(record)).count(), 1);
    assert!(is_witness(witness), "behind everything else");
    witness.clone()
}

/// The stream of the only offer among the orders.
fn offer(orders: &[StreamOrder]) -> StreamId {
    let offers: Vec<_> = orders.iter().filter(|it| matches!(it, StreamOrder::Offer { .. })).collect();
    match offers[..] {
        [StreamOrder::Offer { stream, to }] => {
            assert_eq!(*to, c_server().ip());
            *stream
        }
        _ => panic!("{orders:?}"),
    }
}

/// Until the C server is there and both know all of each other: it tells these records. Gives the witness.
fn meet(stage: &mut Stage, records: &[Record<'_>]) -> Bytes {
    assert_eq!(opcodes(&packets(stage.wait(0))), ["HELLO"]);
    assert_eq!(opcodes(&hears(stage)), ["HELLO"]);
    let wanted = orders(stage);
    let id = offer(&wanted);
    let offered = stream(stage, StreamEvent::Offered { stream: id, port: 40_000 });
    let available = offered[0].notice();
    assert_eq!((available.opcode, available.instance), (&b"DUMP_AVAIL"[..], &b"1.2"[..]));
    assert_eq!(offered[0].body(), format!("{}|40000|", host(100)));
    assert_eq!(state(stage), "starting");
    stream(stage, StreamEvent::Open { stream: id });
    let wanted = orders(stage);
    assert_eq!(told(&wanted, id), ["Done"]);
    let received = tells(stage, id, records);
    assert_eq!(orders(stage), [StreamOrder::Close { stream: id }]);
    assert_eq!(opcodes(&received), ["HELLO"], "asked whether it is up");
    hears(stage);
    assert_eq!(state(stage), "up");
    witness(&wanted, id)
}

fn packets(received: Vec<(u64, Received)>) -> Vec<Received> {
    received.into_iter().map(|(_, packet)| packet).collect()
}

/// A stage whose C server is there.
fn together() -> Stage {
    together_with_witness().0
}

fn together_with_witness() -> (Stage, Bytes) {
    let mut stage = with_peer();
    let witness = meet(&mut stage, &[]);
    (stage, witness)
}

/// A subscription request that says that it is from this address.
fn request<'a>(opcode: &'a str, person: &'a str, body: &'a [u8]) -> Notice<'a> {
    Notice { port: 6000, ..control(opcode, person, body) }
}

/// The packet of a request that was made at this address.
fn made_at(stage: &mut Stage, address: Ipv4Addr, notice: Notice<'_>) -> Bytes {
    let packet = stage.packet(notice, Yes);
    let packet = Packet::parse(&packet).unwrap();
    let uid = Uid { address, ..packet.notice.uid };
    Notice { uid, multiuid: uid, ..packet.notice }.write(&packet.claim, Limits::WHOLE_PACKET).unwrap()
}

/// The C server acknowledges what was forwarded.
fn acknowledges(stage: &mut Stage, forwarded: &Received) -> Vec<Received> {
    let ack = Notice { kind: Kind::ServAck, body: b"SENT\0", ..forwarded.notice() };
    stage.give(c_server(), &ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap(), No)
}

#[test]
fn a_c_server_is_met_and_asked_when_it_is_silent() {
    let mut stage = together();
    let asked: Vec<u64> = stage.wait(600).into_iter().map(|(second, _)| second).collect();
    assert_eq!((asked, state(&stage)), (vec![60, 180, 300, 420, 540], "tardy"));
    stage.wait(60);
    assert_eq!(state(&stage), "dead");
    let states: Vec<_> = stage.events.iter().filter(|event| matches!(event, LogEvent::PeerState { .. })).collect();
    assert_eq!(states.len(), 3, "starting, up, dead: {states:?}");
}

#[test]
fn what_a_client_says_is_forwarded_as_it_was_said_until_it_is_acknowledged() {
    let mut stage = together();
    let packet = stage.packet(request("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0\0"), Yes);
    let received = stage.give(here(), &packet, Yes);
    let forwarded: Vec<_> = received.iter().filter(|it| it.to == c_server()).cloned().collect();
    assert_eq!(forwarded.len(), 1);
    assert_eq!(forwarded[0].octets, packet);
    assert_eq!(stage.engine.peers(stage.now)[0].behind, 1);
    let repeated: Vec<u64> = stage.wait(30).into_iter().filter(|(_, it)| it.octets == packet).map(|it| it.0).collect();
    assert_eq!(repeated, [2, 4, 8, 12, 20, 28]);
    acknowledges(&mut stage, &forwarded[0]);
    assert!(stage.wait(59).is_empty());
    assert_eq!(stage.engine.peers(stage.now)[0].behind, 0);
}

#[test]
fn only_what_took_effect_is_forwarded() {
    let mut stage = together();
    let login = |opcode| Notice { port: 6000, body: b"m\0t\0y\0", ..notice("LOGIN", ALICE, opcode, ALICE) };
    let boot = |opcode| Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", opcode, "hm") };
    for (notice, proof, expected) in [
        (request("SUBSCRIBE", ALICE, b"foo\0*\0\0"), No, None),
        (request("SUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes, Some("SUBSCRIBE")),
        (request("UNSUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes, Some("UNSUBSCRIBE")),
        (request("GIMME", ALICE, b"0x1770\0"), Yes, None),
        (request("CLEARSUB", BOB, b""), Yes, None),
        (request("CLEARSUB", ALICE, b""), Yes, Some("CLEARSUB")),
        (request("FLUSHSUBS", ALICE, b""), Yes, Some("FLUSHSUBS")),
        (login("REALM-VISIBLE"), No, None),
        (login("REALM-VISIBLE"), Yes, Some("REALM-VISIBLE")),
        (login("USER_LOGOUT"), Yes, Some("USER_LOGOUT")),
        (login("USER_LOGOUT"), Yes, None),
        (notice("message", "personal", "", ALICE), Yes, None),
        (boot("BOOT"), No, Some("BOOT")),
        (boot("ATTACH"), No, Some("ATTACH")),
        (boot("DETACH"), No, None),
    ] {
        let received = stage.send(here(), notice, proof);
        let forwarded: Vec<_> = received.into_iter().filter(|it| it.to == c_server()).collect();
        assert_eq!(opcodes(&forwarded), Vec::from_iter(expected), "{notice:?}");
        for it in &forwarded {
            acknowledges(&mut stage, it);
        }
    }
}

#[test]
fn what_a_c_server_forwards_is_verified_again_and_is_of_the_client() {
    let mut stage = together();
    stage.changes.clear();
    let received = stage.send(c_server(), request("SUBSCRIBE_NODEFS", BOB, b"foo\0*\0\0"), Yes);
    assert_eq!(received.len(), 1, "not handed on: {received:?}");
    assert_eq!((received[0].to, received[0].answer().as_str()), (c_server(), "SERVACK SENT"));
    assert_eq!(stage.list(here(), BOB, 6000), "foo|*||", "the client is where its uid says");
    assert!(stage.changes.iter().any(|change| matches!(change, Change::Subscribed { .. })), "others are told");
    // Nothing is taken from somebody who proves nothing, nor repeated for ever.
    for proof in [No, Failed] {
        let received = stage.send(c_server(), request("CLEARSUB", BOB, b""), proof);
        assert_eq!((received.len(), received[0].answer().as_str()), (1, "SERVACK LOST"));
    }
    assert_eq!(stage.engine.gauges().clients, 1);
}

#[test]
fn a_forwarded_login_is_not_announced() {
    let mut stage = together();
    let watch = request("SUBSCRIBE_NODEFS", ALICE, b"login\0*\0\0");
    stage.send(here(), watch, Yes);
    let login = Notice { body: b"m\0t\0y\0", ..notice("LOGIN", BOB, "REALM-ANNOUNCED", BOB) };
    let received = stage.send(c_server(), login, Yes);
    assert!(received.iter().all(|it| it.to == c_server()), "{received:?}");
    assert_eq!((stage.engine.gauges().locations, stage.published.len()), (1, 0));
}

/// A server with a client whose host is its own, and which then boots at the C server, or somebody says so.
fn boots_elsewhere(believe: Belief) -> (Stage, Vec<Received>) {
    let mut stage = together();
    stage.command(Command::Peers { peers: vec![c_peer()], believe });
    let greet = |opcode| Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", opcode, "hm") };
    stage.send(here(), greet("ATTACH"), No);
    stage.subscribe(here(), ALICE, 6000, b"foo\0*\0\0");
    assert_eq!(stage.engine.gauges().hosts, 1);
    stage.wait(1);
    stage.absent.push(here().ip());
    let received = says(&mut stage, greet("BOOT"));
    assert_eq!(received.iter().filter(|it| it.answer() == "SERVACK SENT").count(), 1);
    assert_eq!(stage.engine.gauges().hosts, 0, "it is no longer ours");
    (stage, received)
}

#[test]
fn a_host_that_boots_elsewhere_is_flushed_where_addresses_are_believed() {
    let (stage, _) = boots_elsewhere(Belief::Addresses);
    assert_eq!(stage.engine.gauges().clients, 0);
}

/// Who forges the C server's address could end everybody's subscriptions otherwise.
#[test]
fn a_host_that_boots_elsewhere_is_asked_where_only_proof_is_believed() {
    let (mut stage, received) = boots_elsewhere(Belief::Proven);
    let probe = received.iter().find(|it| it.is_probe()).expect("it is asked").clone();
    assert_eq!(stage.engine.gauges().clients, 1);
    stage.is_closed(probe.to, &probe.octets);
    assert_eq!(stage.engine.gauges().clients, 0, "it is true");
    let (mut stage, received) = boots_elsewhere(Belief::Proven);
    let probe = received.iter().find(|it| it.is_probe()).expect("it is asked").clone();
    stage.give(probe.to, &probe.acknowledgement(), No);
    stage.wait(60);
    assert_eq!(stage.engine.gauges().clients, 1, "it is not true");
}

/// A C server that takes the address in a packet for its sender's would subscribe whoever is there.
#[test]
fn a_copy_with_a_forged_address_subscribes_no_spy() {
    let mut stage = together();
    let spy = SocketAddr::new(host(66).into(), 6000);
    let packet = made_at(&mut stage, host(66), request("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0\0"));
    let received = stage.give(here(), &packet, Yes);
    assert_eq!(opcodes(&received), [""; 0], "the C server would take it for the spy's");
    let received = stage.give(c_server(), &packet, Yes);
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(stage.engine.clients(stage.now).all(|client| client.address != spy));
    // What it must not be told so, it is told by a dump.
    let due = stage.wait(61);
    assert!(due.iter().all(|(_, it)| it.to != spy));
    assert!(orders(&mut stage).iter().any(|order| matches!(order, StreamOrder::Offer { .. })));
}

#[test]
fn an_acknowledgement_is_no_request() {
    for kind in [Kind::ServAck, Kind::ServNak] {
        let mut stage = together();
        let forged = Notice { kind, ..request("SUBSCRIBE", ALICE, b"foo\0*\0\0") };
        assert_eq!(stage.send(c_server(), forged, No), []);
        assert_eq!(stage.engine.gauges().clients, 0);
    }
}

#[test]
fn a_forged_kill_asks_the_client() {
    let mut stage = together();
    stage.subscribe(here(), ALICE, 6000, b"foo\0*\0\0");
    stage.wait(1);
    stage.absent.push(here().ip());
    let body = format!("{}\0{}\0", here().ip(), 6000);
    let received = says(&mut stage, Notice { body: body.as_bytes(), ..admin("KILL_CLIENT") });
    let answers: Vec<_> = received.iter().filter(|it| it.to == c_server()).map(Received::answer).collect();
    assert_eq!(answers, ["SERVACK SENT"]);
    let probe = received.iter().find(|it| it.is_probe()).expect("it is asked").clone();
    assert_eq!(stage.engine.gauges().clients, 1);
    stage.give(probe.to, &probe.acknowledgement(), No);
    stage.wait(60);
    assert_eq!(stage.engine.gauges().clients, 1);
    // One that is gone is gone.
    let received = says(&mut stage, Notice { body: body.as_bytes(), ..admin("KILL_CLIENT") });
    let probe = received.iter().find(|it| it.is_probe()).expect("it is asked").clone();
    stage.is_closed(probe.to, &probe.octets);
    assert_eq!(stage.engine.gauges().clients, 0);
}

#[test]
fn of_a_client_that_is_given_up_c_servers_are_told() {
    let mut stage = together();
    stage.absent.push(there().ip());
    stage.send(there(), Notice { port: 6000, ..made_there(control("SUBSCRIBE", BOB, b"foo\0*\0\0")) }, Yes);
    let mut bodies = Vec::new();
    for _ in 0..40 {
        for packet in packets(stage.wait(30)) {
            if packet.notice().opcode == b"HELLO" {
                hears(&mut stage);
            } else if packet.notice().opcode == b"KILL_CLIENT" {
                bodies.push(packet.body());
                acknowledges(&mut stage, &packet);
            }
        }
    }
    // Repeated until it was acknowledged.
    bodies.dedup();
    assert_eq!(bodies, [format!("{}|6000|", there().ip())]);
}

fn made_there(notice: Notice<'_>) -> Notice<'_> {
    Notice { address: there().ip(), ..notice }
}

#[test]
fn a_forged_goodbye_cuts_nothing() {
    let mut stage = together();
    assert_eq!(opcodes(&says(&mut stage, admin("GOODBYE"))), ["HELLO"]);
    assert_eq!(opcodes(&says(&mut stage, admin("GOODBYE"))), [""; 0]);
    let received = stage.send(here(), request("SUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes);
    assert_eq!(opcodes(&received), ["SUBSCRIBE"]);
    hears(&mut stage);
    stage.wait(30);
    assert_eq!(state(&stage), "up");
    // One that is true is believed when nobody answers.
    says(&mut stage, admin("GOODBYE"));
    stage.wait(10);
    assert_eq!((state(&stage), stage.engine.peers(stage.now)[0].behind), ("dead", 0));
}

#[test]
fn few_questions_are_answered_and_none_of_strangers() {
    let mut stage = together();
    let answers: usize = (0..20).map(|_| says(&mut stage, admin("HELLO")).len()).sum();
    assert_eq!(answers, 5, "within a second");
    stage.wait(1);
    assert_eq!(opcodes(&says(&mut stage, admin("HELLO"))), ["IHEARDYOU"]);
    for from in [at(c_server(), 2104), (host(51), 2103).into()] {
        let received = stage.send(from, admin("HELLO"), No);
        assert_eq!(received[0].answer(), "SERVACK LOST");
    }
    jobs(&mut stage);
    for from in [at(c_server(), 2104), (host(51), 2103).into()] {
        let offer = Notice { instance: b"1.2", body: b"10.0.0.1\x0040000\0", ..admin("DUMP_AVAIL") };
        stage.send(from, offer, No);
    }
    assert_eq!(jobs(&mut stage), []);
}

#[test]
fn a_dump_is_fetched_from_no_other_server_than_that_whose_it_is() {
    let mut stage = together();
    let offer = |body| Notice { instance: b"1.2", body, ..admin("DUMP_AVAIL") };
    says(&mut stage, offer(b"192.0.2.66\x0040000\0"));
    let wanted = orders(&mut stage);
    let to = SocketAddr::new(c_server().ip(), 40_000);
    let [StreamOrder::Connect { stream: id, to: connected }] = wanted[..] else { panic!("{wanted:?}") };
    assert_eq!(connected, to);
    // One at a time, and not at once again.
    says(&mut stage, offer(b"192.0.2.66\x0040001\0"));
    assert_eq!(orders(&mut stage), []);
    stream(&mut stage, StreamEvent::Closed { stream: id, why: "refused".to_owned() });
    says(&mut stage, offer(b"192.0.2.66\x0040002\0"));
    assert_eq!(orders(&mut stage), []);
    assert_eq!(state(&stage), "up", "nothing has become of it");
    stage.wait(5);
    assert_eq!(orders(&mut stage).len(), 1);
    says(&mut stage, Notice { instance: b"1.1", ..offer(b"10.0.0.1\x0040000\0") });
    says(&mut stage, offer(b"10.0.0.1\0x\0"));
    assert_eq!(orders(&mut stage), []);
    let version = LogEvent::DumpVersion { version: b"1.1"[..].into(), from: c_server() };
    assert!(stage.events.contains(&version));
}

/// A server that was started again right after a dump lacks everything, and offers once.
#[test]
fn an_offer_that_comes_too_soon_is_taken_up_later() {
    let connects = |stage: &mut Stage| -> Vec<(StreamId, u16)> {
        let orders = orders(stage).into_iter().filter_map(|order| match order {
            StreamOrder::Connect { stream, to } => Some((stream, to.port())),
            _ => None,
        });
        orders.collect()
    };
    let offer = |body| Notice { instance: b"1.2", body, ..admin("DUMP_AVAIL") };
    let mut stage = together();
    says(&mut stage, offer(b"10.0.0.1\x0040000\0"));
    let [(first, 40_000)] = connects(&mut stage)[..] else { panic!("nothing is fetched") };
    stream(&mut stage, StreamEvent::Open { stream: first });
    tells(&mut stage, first, &[]);
    stage.wait(1);
    says(&mut stage, offer(b"10.0.0.1\x0040001\0"));
    says(&mut stage, offer(b"10.0.0.1\x0040002\0"));
    stage.wait(3);
    assert_eq!(connects(&mut stage), [], "so soon after the last one");
    stage.wait(1);
    let [(second, 40_002)] = connects(&mut stage)[..] else { panic!("the last offer is to be fetched") };
    // What is offered while something is fetched waits as well, but for no longer than an offer does.
    says(&mut stage, offer(b"10.0.0.1\x0040003\0"));
    stage.wait(9);
    stream(&mut stage, StreamEvent::Closed { stream: second, why: "refused".to_owned() });
    stage.wait(0);
    let [(third, 40_003)] = connects(&mut stage)[..] else { panic!("it is to be fetched") };
    says(&mut stage, offer(b"10.0.0.1\x0040004\0"));
    stage.wait(21);
    stream(&mut stage, StreamEvent::Closed { stream: third, why: "refused".to_owned() });
    stage.wait(30);
    assert_eq!(connects(&mut stage), [], "nobody waits there any more");
}

fn client(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(host(2), port)
}

fn known(principal: &str, port: u16) -> Record<'_> {
    let key = key_of(principal).key().unwrap();
    Record::Client { principal: principal.as_bytes(), address: client(port), key: Key::Session(key) }
}

const FOO: Record<'static> = Record::Subscription([b"foo", b"*", b""]);
const BAR: Record<'static> = Record::Subscription([b"bar", b"*", b""]);

#[test]
fn what_a_dump_brings_is_here() {
    let mut stage = with_peer();
    let place = Place { machine: b"m", time: b"t", tty: b"y" };
    let location =
        Record::Location { user: BOB.as_bytes(), exposure: Exposure::NetVisible, address: client(6000), place };
    let without = Record::Client { principal: b"eve@R", address: client(6001), key: Key::None };
    let useless = Record::Client { principal: b"eve@R", address: client(6002), key: Key::Useless };
    meet(&mut stage, &[location, known(BOB, 6000), FOO, without, FOO, useless, FOO, Record::Realm(b"X")]);
    let gauges = stage.engine.gauges();
    assert_eq!((gauges.clients, gauges.subscriptions, gauges.locations), (1, 1, 1), "those that can be told nothing");
    let received = stage.send(here(), notice("foo", "x", "", ALICE), Yes);
    let delivered = received.iter().find(|it| it.to == SocketAddr::V4(client(6000))).expect("it is sent");
    assert!(key_of(BOB).check(&delivered.packet(), Direction::ToClient));
}

#[test]
fn what_other_realms_subscribed_to_is_told_too() {
    let servers = vec![RealmServer { name: "zo".into(), addresses: vec![(host(70), 2103).into()], sends: false }];
    let other = NeighbourRealm { name: b"OTHER.TEST"[..].into(), servers };
    let peer = PeerServer { name: "zc".into(), kind: PeerKind::C, addresses: vec![c_server()] };
    let mut stage = Stage::with(|config| {
        config.neighbours.peers = vec![peer];
        config.neighbours.realms = vec![other];
    });
    stage.settle();
    let held = Record::RealmSubscription([b"foo", b"*", b""]);
    meet(&mut stage, &[Record::Realm(b"OTHER.TEST"), held.clone(), Record::Realm(b"UNKNOWN"), held]);
    let known = |change: &&Change| matches!(change, Change::RealmSubscribed { .. });
    assert_eq!(stage.changes.iter().filter(known).count(), 1, "of the realm that is known");
    says(&mut stage, Notice { instance: b"1.2", body: b"10.0.0.1\x0040000\0", ..admin("DUMP_AVAIL") });
    let wanted = orders(&mut stage);
    let Some(&StreamOrder::Connect { stream: id, .. }) = wanted.last() else { panic!("{wanted:?}") };
    stream(&mut stage, StreamEvent::Open { stream: id });
    tells(&mut stage, id, &[]);
    let told = told(&orders(&mut stage), id);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("Realm(") && told[1].starts_with("RealmSubscription("), "{told:?}");
}

#[test]
fn a_record_without_a_key_takes_none_from_a_client() {
    let mut stage = together();
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    let offer = Notice { instance: b"1.2", body: b"10.0.0.1\x0040000\0", ..admin("DUMP_AVAIL") };
    says(&mut stage, offer);
    let wanted = orders(&mut stage);
    let Some(&StreamOrder::Connect { stream: id, .. }) = wanted.last() else { panic!("{wanted:?}") };
    stream(&mut stage, StreamEvent::Open { stream: id });
    let without = Record::Client { principal: BOB.as_bytes(), address: client(6000), key: Key::Useless };
    let of_another = Record::Client { principal: b"eve@R", address: client(6000), key: Key::Useless };
    tells(&mut stage, id, &[without, BAR, of_another, BAR]);
    assert_eq!(stage.list(there(), BOB, 6000), "bar|*||foo|*||");
    let received = stage.send(here(), notice("foo", "x", "", ALICE), Yes);
    let delivered = received.iter().find(|it| it.to == SocketAddr::V4(client(6000))).expect("it is sent");
    assert!(key_of(BOB).check(&delivered.packet(), Direction::ToClient));
    assert_eq!(
        told(&orders(&mut stage), id),
        [format!("{BOB} {}", client(6000)), "sub bar".into(), "sub foo".into(), "Done".into()]
    );
}

/// Its clock is wrong, or the packet was on its way for too long: it does not have what it was told.
#[test]
fn what_is_refused_there_or_comes_late_is_told_by_a_dump_and_counts_as_unknown_before() {
    for (kind, waits, dumps) in [(Kind::ServNak, 1, true), (Kind::ServAck, 250, true), (Kind::ServAck, 1, false)] {
        let (mut stage, planted) = in_agreement();
        let packet = made_at(&mut stage, host(2), Notice { port: 6002, ..control("SUBSCRIBE", BOB, b"baz\0*\0\0") });
        let received = stage.give(there(), &packet, Yes);
        let forwarded = received.into_iter().find(|it| it.to == c_server()).unwrap();
        for _ in 0..waits / 50 {
            stage.wait(50);
            hears(&mut stage);
        }
        let answer = Notice { kind, body: b"AUTH\0", ..forwarded.notice() };
        stage.give(c_server(), &answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap(), No);
        jobs(&mut stage);
        stage.wait(50);
        hears(&mut stage);
        stage.wait(11);
        let offers = orders(&mut stage).iter().filter(|it| matches!(it, StreamOrder::Offer { .. })).count();
        assert_eq!(offers, usize::from(dumps), "{kind:?} after {waits}");
        hears(&mut stage);
        // It is not fetched, and both are parted.
        let id = apart(&mut stage, |_| ());
        stream(&mut stage, StreamEvent::Open { stream: id });
        jobs(&mut stage);
        let witness = Record::read(&planted).unwrap();
        tells(&mut stage, id, &[witness, known(BOB, 6000), FOO, BAR, known(ALICE, 6001), FOO]);
        assert_eq!(held(&stage).len(), if dumps { 3 } else { 2 }, "{kind:?} after {waits}");
    }
}

/// Until the C server is dead, and there again: gives the stream that is offered to it.
fn apart(stage: &mut Stage, meanwhile: impl FnOnce(&mut Stage)) -> StreamId {
    stage.wait(700);
    assert_eq!(state(stage), "dead");
    meanwhile(stage);
    jobs(stage);
    hears(stage);
    offer(&orders(stage))
}

/// Bob has two subscriptions, alice one, and both servers know that. With the witness that was planted before.
fn in_agreement() -> (Stage, Bytes) {
    let (mut stage, witness) = together_with_witness();
    for (person, port, body) in [(BOB, 6000, &b"foo\0*\0\0bar\0*\0\0"[..]), (ALICE, 6001, b"foo\0*\0\0")] {
        let packet = made_at(&mut stage, host(2), Notice { port, ..control("SUBSCRIBE_NODEFS", person, body) });
        let received = stage.give(there(), &packet, Yes);
        let forwarded: Vec<_> = received.into_iter().filter(|it| it.to == c_server()).collect();
        assert_eq!(forwarded.len(), 1);
        acknowledges(&mut stage, &forwarded[0]);
    }
    (stage, witness)
}

fn held(stage: &Stage) -> Vec<String> {
    let clients = stage.engine.clients(stage.now);
    clients.map(|it| format!("{} {}", String::from_utf8_lossy(it.principal), it.subscriptions)).collect()
}

/// What ended at a server that ran on does not come back from one that knows nothing of that: it learns before it tells.
#[test]
fn what_ended_there_meanwhile_has_ended_here() {
    let (mut stage, planted) = in_agreement();
    let id = apart(&mut stage, |_| ());
    stream(&mut stage, StreamEvent::Open { stream: id });
    let wanted = orders(&mut stage);
    assert_eq!(told(&wanted, id), ["Done"], "nothing that may be no longer true");
    assert_eq!(sent(&wanted, id).len(), 1, "no other witness before everything is told");
    // Alice has gone there, and bob has unsubscribed from something.
    tells(&mut stage, id, &[Record::read(&planted).unwrap(), known(BOB, 6000), FOO]);
    assert_eq!(held(&stage), [format!("{BOB} 1")]);
    // Then it is told everything.
    let wanted = orders(&mut stage);
    let id = offer(&wanted);
    stream(&mut stage, StreamEvent::Open { stream: id });
    let address = client(6000);
    let wanted = orders(&mut stage);
    assert_eq!(told(&wanted, id), [format!("{BOB} {address}"), "sub foo".into(), "Done".into()]);
    let newer = witness(&wanted, id);
    tells(&mut stage, id, &[known(BOB, 6000), FOO]);
    hears(&mut stage);
    assert_eq!((state(&stage), held(&stage)), ("up", vec![format!("{BOB} 1")]));
    // One that has an older witness has it from somebody who does not know everything.
    for (planted, left) in [(planted, 1), (newer, 0)] {
        let id = apart(&mut stage, |_| ());
        stream(&mut stage, StreamEvent::Open { stream: id });
        tells(&mut stage, id, &[Record::read(&planted).unwrap()]);
        assert_eq!(held(&stage).len(), left);
        stream(&mut stage, StreamEvent::Closed { stream: id, why: "over".to_owned() });
    }
}

/// The server was killed, and is started again ten seconds later with what was kept.
fn started_again(before: &Stage) -> Stage {
    let mut now = before.now;
    now.monotonic += Duration::from_secs(10);
    now.wall += Duration::from_secs(10);
    let mut stage = Stage::starting(now, |config| {
        config.neighbours.peers = vec![c_peer()];
        config.probe_secret = ProbeSecret::new(&[99; 32]);
        config.id = ServerId(before.engine.config().id.0 + 1);
    });
    stage.take_kept(before);
    stage.settle();
    stage
}

/// The C server answers one that was started again; gives the stream that it is offered.
fn met_again(stage: &mut Stage) -> StreamId {
    stage.wait(0);
    hears(stage);
    let id = offer(&orders(stage));
    stream(stage, StreamEvent::Open { stream: id });
    assert_eq!(told(&orders(stage), id), ["Done"], "nothing that may be no longer true");
    id
}

#[test]
fn what_ended_there_while_ours_was_dead_has_ended_here() {
    let (mut before, planted) = in_agreement();
    before.wait(1);
    let mut stage = started_again(&before);
    assert_eq!(held(&stage).len(), 2);
    let id = met_again(&mut stage);
    tells(&mut stage, id, &[Record::read(&planted).unwrap(), known(BOB, 6000), FOO]);
    assert_eq!(held(&stage), [format!("{BOB} 1")]);
}

/// The C server was told again what a client had ended there, before it could say so.
#[test]
fn what_ended_there_before_it_was_told_everything_ends_there_again() {
    let (mut before, _) = in_agreement();
    before.wait(1);
    let mut stage = started_again(&before);
    stage.wait(0);
    hears(&mut stage);
    let id = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Open { stream: id });
    jobs(&mut stage);
    tells(&mut stage, id, &[known(BOB, 6000), FOO, known(ALICE, 6001), FOO]);
    let id = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Open { stream: id });
    assert!(told(&orders(&mut stage), id).contains(&"sub bar".to_owned()), "nothing shows that it ran on");
    tells(&mut stage, id, &[known(BOB, 6000), FOO, known(ALICE, 6001), FOO]);
    jobs(&mut stage);
    let late = made_at(&mut stage, host(2), control("UNSUBSCRIBE", BOB, b"bar\0*\0\0"));
    let late = Packet::parse(&late).unwrap();
    let late = Notice { port: 6000, ..late.notice }.write(&late.claim, Limits::WHOLE_PACKET).unwrap();
    let received = stage.give(c_server(), &late, Yes);
    let kill = received.iter().find(|it| it.notice().opcode == b"KILL_CLIENT").expect("it forgets bob").clone();
    assert_eq!(kill.body(), format!("{}|6000|", host(2)));
    acknowledges(&mut stage, &kill);
    stage.wait(2);
    let id = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Open { stream: id });
    let told = told(&orders(&mut stage), id);
    assert_eq!(told.iter().filter(|it| it.starts_with("sub")).collect::<Vec<_>>(), ["sub foo", "sub foo"], "{told:?}");
    // What is ended there from now on it knows.
    tells(&mut stage, id, &[known(BOB, 6000), FOO, known(ALICE, 6001), FOO]);
    stage.wait(1);
    let packet = made_at(&mut stage, host(2), Notice { port: 6001, ..control("UNSUBSCRIBE", ALICE, b"foo\0*\0\0") });
    let packet = Packet::parse(&packet).unwrap();
    let uid = Uid { seconds: packet.notice.uid.seconds + 1000, ..packet.notice.uid };
    let later = Notice { uid, multiuid: uid, ..packet.notice }.write(&packet.claim, Limits::WHOLE_PACKET).unwrap();
    let received = stage.give(c_server(), &later, Yes);
    assert!(received.iter().all(|it| it.notice().opcode != b"KILL_CLIENT"), "{received:?}");
}

/// What was not acknowledged before the end is told again.
#[test]
fn what_was_on_its_way_when_ours_died_stays() {
    let (mut before, planted) = in_agreement();
    before.wait(1);
    before.subscribe(there(), "carol@ATHENA.TEST", 6002, b"foo\0*\0\0");
    before.wait(10);
    let mut stage = started_again(&before);
    let id = met_again(&mut stage);
    tells(&mut stage, id, &[Record::read(&planted).unwrap(), known(BOB, 6000), FOO, BAR, known(ALICE, 6001), FOO]);
    assert_eq!(held(&stage).len(), 3);
}

/// Its address can be forged, so only what it tells with proof shows that it ran on.
#[test]
fn a_server_that_has_forgotten_everything_ends_nothing_whatever_is_said_by_udp() {
    for restarts in [false, true] {
        let (mut stage, planted) = in_agreement();
        stage.wait(1);
        let id = if restarts {
            stage = started_again(&stage);
            met_again(&mut stage)
        } else {
            let id = apart(&mut stage, |_| ());
            stream(&mut stage, StreamEvent::Open { stream: id });
            id
        };
        let body = b"Zephyr Server 3.1.2/x\x0012 pkts\x001000000 seconds operational\0";
        for kind in [Kind::Unsafe, Kind::Unacked, Kind::ServAck] {
            says(&mut stage, Notice { kind, body, ..admin("STATUS") });
        }
        // Nor is the witness a location that anybody could tell, who knows its mark or not.
        let Record::Location { user, place, .. } = Record::read(&planted).unwrap() else { panic!("{planted:?}") };
        let body = [place.machine, place.time, place.tty, b""].join(&0);
        for (from, proof) in [(c_server(), No), (c_server(), Failed), (here(), No)] {
            let sender = str::from_utf8(user).unwrap();
            stage.send(from, Notice { port: 2103, body: &body, ..notice("LOGIN", sender, "OPSTAFF", sender) }, proof);
        }
        tells(&mut stage, id, &[]);
        assert_eq!(held(&stage).len(), 2, "{restarts}");
    }
}

#[test]
fn another_witness_than_the_own_one_shows_nothing() {
    let (_, planted) = in_agreement();
    let Record::Location { user, exposure, address, place } = Record::read(&planted).unwrap() else { panic!() };
    let right = Record::Location { user, exposure, address, place };
    assert_eq!((exposure, address), (Exposure::OpStaff, SocketAddrV4::new(host(100), 2103)));
    let at = |address| Record::Location { user, exposure, address, place };
    let other_user = b"zephyr-rs/0123456789abcdef@ATHENA.TEST";
    for (told, left) in [
        (right, 0),
        (Record::Location { user: other_user, exposure, address, place }, 2),
        (Record::Location { user, exposure: Exposure::NetVisible, address, place }, 2),
        (at(SocketAddrV4::new(host(100), 2104)), 2),
        (at(client(2103)), 2),
        (Record::Location { user, exposure, address, place: Place { time: b"t", ..place } }, 2),
        // A C server that has it already takes over no other machine.
        (Record::Location { user, exposure, address, place: Place { machine: b"m", ..place } }, 0),
    ] {
        let (mut stage, again) = in_agreement();
        assert_eq!(again, planted, "nothing but the clock and the secret makes it");
        let id = apart(&mut stage, |_| ());
        stream(&mut stage, StreamEvent::Open { stream: id });
        tells(&mut stage, id, std::slice::from_ref(&told));
        assert_eq!(held(&stage).len(), left, "{told:?}");
    }
}

#[test]
fn nobody_is_told_of_witnesses() {
    let (_, own) = together_with_witness();
    let mut stage = with_peer();
    let watch = request("SUBSCRIBE_NODEFS", ALICE, b"login\0*\0\0");
    stage.send(here(), watch, Yes);
    let Record::Location { user, address, place, .. } = Record::read(&own).unwrap() else { panic!("{own:?}") };
    let of_another = b"zephyr-rs/0123456789abcdef@ATHENA.TEST";
    let location = |user| Record::Location { user, exposure: Exposure::NetAnnounced, address, place };
    stage.wait(0);
    hears(&mut stage);
    let id = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Open { stream: id });
    stage.changes.clear();
    let received = tells(&mut stage, id, &[Record::read(&own).unwrap(), location(user), location(of_another)]);
    assert!(received.iter().all(|it| it.to == c_server()), "{received:?}");
    assert_eq!((stage.engine.gauges().locations, stage.published.len()), (0, 0));
    assert!(!stage.changes.iter().any(|change| matches!(change, Change::Located(_))));
}

#[test]
fn what_ended_here_meanwhile_ends_there_and_does_not_come_back() {
    let (mut stage, planted) = in_agreement();
    let id = apart(&mut stage, |stage| {
        stage.send(there(), Notice { port: 6001, ..control("CLEARSUB", ALICE, b"") }, Yes);
        stage.send(there(), Notice { port: 6000, ..control("UNSUBSCRIBE", BOB, b"bar\0*\0\0") }, Yes);
    });
    stream(&mut stage, StreamEvent::Open { stream: id });
    jobs(&mut stage);
    let witness = Record::read(&planted).unwrap();
    let received = tells(&mut stage, id, &[witness, known(BOB, 6000), FOO, BAR, known(ALICE, 6001), FOO]);
    assert_eq!(held(&stage), [format!("{BOB} 1")]);
    let kills: Vec<_> = received.into_iter().filter(|it| it.notice().opcode == b"KILL_CLIENT").collect();
    assert_eq!(kills.len(), 2, "both are not as it has them");
    assert_eq!(orders(&mut stage), [StreamOrder::Close { stream: id }], "first it forgets");
    for kill in &kills {
        acknowledges(&mut stage, kill);
    }
    let wanted = orders(&mut stage);
    let id = offer(&wanted);
    stream(&mut stage, StreamEvent::Open { stream: id });
    let address = client(6000);
    assert_eq!(told(&orders(&mut stage), id), [format!("{BOB} {address}"), "sub foo".into(), "Done".into()]);
}

#[test]
fn what_is_new_there_or_here_is_new_at_both() {
    let (mut stage, planted) = in_agreement();
    let id = apart(&mut stage, |stage| {
        stage.subscribe(there(), "carol@ATHENA.TEST", 6002, b"foo\0*\0\0");
    });
    stream(&mut stage, StreamEvent::Open { stream: id });
    let dave = known("dave@ATHENA.TEST", 6003);
    let witness = Record::read(&planted).unwrap();
    tells(&mut stage, id, &[witness, known(BOB, 6000), FOO, BAR, known(ALICE, 6001), FOO, dave, FOO]);
    assert_eq!(held(&stage).len(), 4);
}

/// Both have taken back what they offered to fetch what the other offers: a C server stays so for minutes.
#[test]
fn two_that_dump_at_once_are_not_stuck() {
    let mut stage = with_peer();
    stage.wait(0);
    hears(&mut stage);
    let own = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Offered { stream: own, port: 40_000 });
    says(&mut stage, Notice { instance: b"1.2", body: b"10.0.0.1\x0041000\0", ..admin("DUMP_AVAIL") });
    let wanted = orders(&mut stage);
    let [StreamOrder::Connect { stream: others, .. }] = wanted[..] else { panic!("the own offer stays: {wanted:?}") };
    // The one that comes to be counts.
    stream(&mut stage, StreamEvent::Open { stream: own });
    assert_eq!(orders(&mut stage)[0], StreamOrder::Close { stream: others });
    stream(&mut stage, StreamEvent::Open { stream: others });
    assert_eq!(orders(&mut stage), [], "it is not known any more");
    tells(&mut stage, own, &[]);
    hears(&mut stage);
    assert_eq!(state(&stage), "up");

    // And if none comes to be, there is another offer soon.
    let mut stage = with_peer();
    stage.wait(0);
    hears(&mut stage);
    let own = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Closed { stream: own, why: "nobody came".to_owned() });
    assert_eq!(orders(&mut stage), []);
    stage.wait(10);
    offer(&orders(&mut stage));
}

#[test]
fn a_server_that_is_stuck_is_left_after_ten_seconds() {
    let mut stage = with_peer();
    stage.wait(0);
    hears(&mut stage);
    let id = offer(&orders(&mut stage));
    stream(&mut stage, StreamEvent::Open { stream: id });
    stage.wait(9);
    assert_eq!(state(&stage), "dumping");
    // Others are served meanwhile.
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    stream(&mut stage, StreamEvent::Record { stream: id, record: record(&known(ALICE, 6001)) });
    jobs(&mut stage);
    stage.wait(10);
    assert!(orders(&mut stage).contains(&StreamOrder::Close { stream: id }));
    assert!(stage.events.contains(&LogEvent::DumpFailed { name: "zc".into(), why: "it takes too long".into() }));
    assert_eq!(stage.engine.peers(stage.now)[0].remarks, ["it takes too long"]);
    assert_eq!(stage.engine.gauges().clients, 1, "half a dump is none");
}

#[test]
fn what_no_c_server_sends_ends_a_dump() {
    let junk = |octets: &'static [u8]| Bytes::from_static(octets);
    for octets in [junk(b"junk"), record(&FOO)] {
        let mut stage = with_peer();
        stage.wait(0);
        hears(&mut stage);
        let id = offer(&orders(&mut stage));
        // Nothing is done before the other has proven itself.
        stream(&mut stage, StreamEvent::Record { stream: id, record: record(&known(BOB, 6000)) });
        assert!(orders(&mut stage).contains(&StreamOrder::Close { stream: id }));
        stage.wait(10);
        let id = offer(&orders(&mut stage));
        stream(&mut stage, StreamEvent::Open { stream: id });
        stream(&mut stage, StreamEvent::Record { stream: id, record: octets });
        assert!(orders(&mut stage).contains(&StreamOrder::Close { stream: id }));
        assert_eq!(stage.engine.gauges().clients, 0);
    }
}

#[test]
fn who_takes_nothing_is_told_little_at_once() {
    let mut stage = together();
    for port in 0..500 {
        let body = format!("class-{port}\0*\0\0{}\0*\0\0", "x".repeat(200));
        let packet = made_at(
            &mut stage,
            host(2),
            Notice { port: 6000 + port, ..control("SUBSCRIBE_NODEFS", BOB, body.as_bytes()) },
        );
        let received = stage.give(there(), &packet, Yes);
        received.iter().filter(|it| it.to == c_server()).for_each(|it| drop(acknowledges(&mut stage, it)));
    }
    says(&mut stage, Notice { instance: b"1.2", body: b"10.0.0.1\x0040000\0", ..admin("DUMP_AVAIL") });
    let wanted = orders(&mut stage);
    let Some(&StreamOrder::Connect { stream: id, .. }) = wanted.last() else { panic!("{wanted:?}") };
    stream(&mut stage, StreamEvent::Open { stream: id });
    tells(&mut stage, id, &[]);
    let mut sent = 0;
    let mut orders_now = orders(&mut stage);
    let mut rounds = 0;
    while !told(&orders_now, id).contains(&"Done".to_owned()) {
        let octets: usize = orders_now
            .iter()
            .map(|order| match order {
                StreamOrder::Send { record, .. } => record.len(),
                _ => 0,
            })
            .sum();
        assert!(octets > 0 && octets < 200_000, "{octets}");
        sent += told(&orders_now, id).len();
        stream(&mut stage, StreamEvent::Drained { stream: id, octets });
        orders_now = orders(&mut stage);
        rounds += 1;
    }
    sent += told(&orders_now, id).len();
    assert_eq!(sent, 500 * 3 + 1);
    assert!(rounds > 2, "{rounds}");
}

#[test]
fn the_end_waits_for_what_was_forwarded() {
    let mut stage = together();
    let received = stage.send(here(), request("SUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes);
    let forwarded = received.into_iter().find(|it| it.to == c_server()).unwrap();
    assert_eq!(opcodes(&stage.command(Command::Shutdown)), [""; 0]);
    assert!(!stage.engine.has_left());
    assert_eq!(opcodes(&acknowledges(&mut stage, &forwarded)), ["GOODBYE"]);
    assert!(stage.engine.has_left());

    // But not for ever.
    let mut stage = together();
    stage.send(here(), request("SUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes);
    stage.command(Command::Shutdown);
    let sent = packets(stage.wait(2));
    assert_eq!(opcodes(&sent), ["SUBSCRIBE", "GOODBYE"]);
    assert!(stage.engine.has_left());
    let mut stage = together();
    assert_eq!(opcodes(&stage.command(Command::Shutdown)), ["GOODBYE"], "nothing is waited for");
}

#[test]
fn a_list_with_other_servers_is_taken_over() {
    let mut stage = together();
    let peer = |name: &str, addresses| PeerServer { name: name.into(), kind: PeerKind::C, addresses };
    let other = SocketAddr::from((host(51), 2103));
    let peers = vec![peer("zc", vec![c_server()]), peer("zd", vec![other])];
    stage.command(Command::Peers { peers, believe: Default::default() });
    let sent = packets(stage.wait(0));
    assert_eq!(sent.iter().map(|it| it.to).collect::<Vec<_>>(), [other], "who is known is not asked again");
    assert_eq!(state(&stage), "up");
    let peers = vec![peer("zd", vec![other])];
    stage.command(Command::Peers { peers, believe: Default::default() });
    assert!(stage.events.contains(&LogEvent::PeerRemoved { name: "zc".into() }));
    assert_eq!(says(&mut stage, admin("HELLO"))[0].answer(), "SERVACK LOST");
    // One without an address is waited for.
    stage.command(Command::Peers { peers: vec![peer("ze", vec![])], believe: Default::default() });
    assert_eq!(packets(stage.wait(1000)), []);
    assert_eq!(stage.engine.peers(stage.now)[0].state, "dead");
}

/// A site puts a server of ours in the place of a C one, and tells the others.
#[test]
fn a_c_server_that_becomes_ours_is_another_peer_at_once() {
    let mut stage = together();
    stage.send(here(), request("SUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes);
    says(&mut stage, Notice { instance: b"1.2", body: b"10.0.0.1\x0040000\0", ..admin("DUMP_AVAIL") });
    let wanted = orders(&mut stage);
    let Some(&StreamOrder::Connect { stream: of_c, .. }) = wanted.last() else { panic!("{wanted:?}") };
    let ours = PeerServer { kind: PeerKind::Ours, ..c_peer() };
    stage.command(Command::Peers { peers: vec![ours], believe: Belief::Proven });
    stage.wait(10);
    let wanted = orders(&mut stage);
    assert!(wanted.contains(&StreamOrder::Close { stream: of_c }), "{wanted:?}");
    let connects = wanted.iter().any(|it| matches!(it, StreamOrder::Connect { to, .. } if *to == c_server()));
    assert!(connects, "at its own port: {wanted:?}");
    assert_eq!(stage.engine.peers(stage.now)[0].kind, PeerKind::Ours);
    assert!(stage.wait(120).iter().all(|(_, it)| it.to != c_server()), "nothing of C's protocol");
    says(&mut stage, Notice { instance: b"1.2", body: b"10.0.0.1\x0040000\0", ..admin("DUMP_AVAIL") });
    assert!(!orders(&mut stage).iter().any(|it| matches!(it, StreamOrder::Connect { to, .. } if to.port() == 40_000)));
    // And back.
    stage.command(Command::Peers { peers: vec![c_peer()], believe: Belief::Proven });
    assert_eq!(opcodes(&packets(stage.wait(0))), ["HELLO"]);
    assert_eq!((state(&stage), stage.engine.peers(stage.now)[0].kind), ("dead", PeerKind::C));
}

/// Whoever comes to a server that is drained is answered, and sent on as long as there is another one.
#[test]
fn hosts_that_come_to_a_drained_server_are_sent_on() {
    let boot = || Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", "BOOT", "hm") };
    let attach = || Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", "ATTACH", "hm") };
    let mut stage = together();
    let to_host = |received: Vec<Received>| -> Vec<String> {
        let to_host = received.into_iter().filter(|packet| packet.to == here());
        to_host.map(|packet| String::from_utf8(packet.notice().opcode.to_vec()).unwrap()).collect()
    };
    assert_eq!(state(&stage), "up");
    assert_eq!(to_host(stage.send(here(), boot(), No)), ["BOOT"]);
    assert_eq!(to_host(stage.command(Command::Drain)), ["SHUTDOWN"]);
    assert!(stage.engine.is_draining());
    assert_eq!(to_host(stage.send(here(), boot(), No)), ["BOOT", "SHUTDOWN"]);
    assert_eq!(to_host(stage.send(here(), attach(), No)), ["ATTACH", "SHUTDOWN"]);
    // Others go on.
    stage.subscribe(there(), ALICE, 5000, b"c\0*\0\0");
    assert_eq!(to_host(stage.command(Command::EndDrain)), Vec::<String>::new());
    assert_eq!(to_host(stage.send(here(), attach(), No)), ["ATTACH"]);
}

/// A list of servers names a C server, and the settings do not say that it is one.
#[test]
fn who_speaks_as_c_servers_do_and_is_listed_as_ours_is_hinted_at() {
    let ours = PeerServer { kind: PeerKind::Ours, ..c_peer() };
    let mut stage = together();
    stage.command(Command::Peers { peers: vec![ours], believe: Belief::Proven });
    let hint = LogEvent::PeerSpeaksAsC { name: "zc".into() };
    let hints = |stage: &Stage| stage.events.iter().filter(|event| **event == hint).count();
    assert_eq!(hints(&stage), 0);
    for opcode in ["HELLO", "IHEARDYOU", "HELLO"] {
        says(&mut stage, admin(opcode));
        stage.wait(10);
    }
    assert_eq!(hints(&stage), 1, "not each time");
    let peer = stage.engine.peers(stage.now).remove(0);
    assert_eq!((peer.kind, peer.is_known), (PeerKind::Ours, false), "it proves nothing");
    assert_eq!(peer.remarks, ["speaks as C servers do: if it is one, name it in c of section peers"]);
}
