//! What servers tell each other, step by step.

use crate::world::{Client, World, manager};
use std::time::{Duration, UNIX_EPOCH};
use zephyr_core::notice::Packet;
use zephyr_engine::server::{
    Bounds, Change, Command, LogEvent, ServerId, Stamp,
    peers::{
        ours::wire::{self, Hello, Key, Message, Part, Told, Version},
        stream::{StreamEvent, StreamId},
    },
};

const ALICE: Client<'static> = Client { host: 1, port: 5000, who: "alice@R.TEST" };

#[test]
fn what_one_is_told_the_other_knows() {
    let mut world = World::new(2, 1);
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"early\0*\0\0");
    world.pass(Duration::from_secs(3));
    assert!(world.has(1, ALICE, "early"), "{:?} {:?} {:?}", world.nodes[1].log, world.nodes[0].log, world.state(0));
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0bar\0x\0\0");
    world.login(0, ALICE, "NET-VISIBLE");
    world.pass(Duration::from_secs(1));
    assert!(world.has(1, ALICE, "foo") && world.has(1, ALICE, "bar"));
    world.check("told");
    world.control(1, ALICE, "UNSUBSCRIBE", b"foo\0*\0\0");
    world.login(1, ALICE, "USER_LOGOUT");
    world.pass(Duration::from_secs(1));
    assert!(!world.has(0, ALICE, "foo") && world.has(0, ALICE, "bar"));
    world.check("ended");
}

/// Two servers that have caught up.
fn two() -> World {
    let mut world = World::new(2, 1);
    world.pass(Duration::from_secs(3));
    let abreast = |world: &World, number: usize| {
        let server = world.nodes[number].server.as_ref().unwrap();
        server.peers(world.now).iter().all(|peer| peer.state == "up" && peer.behind == 0)
    };
    assert!(abreast(&world, 0) && abreast(&world, 1), "{:?}", world.nodes[0].log);
    world
}

#[test]
fn an_answer_leaves_when_the_other_has_it_or_is_late() {
    let mut world = two();
    let before = world.nodes[0].answers.len();
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    assert_eq!(world.nodes[0].answers.len(), before, "the other does not have it yet");
    while world.deliver_one() {}
    assert_eq!(world.nodes[0].answers.len(), before + 1);
    // It falls silent: one wait, and no more until it has caught up.
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"bar\0*\0\0");
    world.wait(Duration::from_millis(400));
    assert_eq!(world.nodes[0].answers.len(), before + 1);
    world.wait(Duration::from_millis(200));
    assert_eq!(world.nodes[0].answers.len(), before + 2);
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"more\0*\0\0");
    assert_eq!(world.nodes[0].answers.len(), before + 3);
    while world.deliver_one() {}
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"again\0*\0\0");
    assert_eq!(world.nodes[0].answers.len(), before + 3, "it has caught up, and is waited for");
}

#[test]
fn a_notice_reaches_those_who_subscribed_at_another_server() {
    let mut world = two();
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    while world.deliver_one() {}
    world.nodes[1].delivered.clear();
    let bob = Client { host: 2, port: 5001, who: "bob@R.TEST" };
    let body = b"hello";
    world.message(1, bob, "foo", body);
    while world.deliver_one() {}
    let got: Vec<_> = world.nodes[1].delivered.iter().map(|(to, _)| *to).collect();
    assert_eq!(got, [ALICE.address()], "confirmed once for all, and sent to at once");
}

#[test]
fn what_another_realm_subscribed_to_at_one_server_it_gets_from_each_and_once() {
    let mut world = two();
    let held = |world: &World, number: usize| {
        world.nodes[number].server.as_ref().unwrap().other_realms(world.now).next().unwrap().subscriptions
    };
    world.realm_subscribes(0, "eve@OTHER.TEST", b"foo\0*\0\0bar\0*\0\0");
    while world.deliver_one() {}
    assert_eq!((held(&world, 0), held(&world, 1)), (2, 2));
    world.nodes.iter_mut().for_each(|node| node.to_realm.clear());
    world.message(1, ALICE, "foo", b"hello");
    world.pass(Duration::from_secs(60));
    let copies = |world: &World, number: usize| {
        let sent = world.nodes[number].to_realm.iter();
        sent.filter(|packet| Packet::parse(packet).unwrap().notice.class == b"foo").count()
    };
    assert_eq!((copies(&world, 0), copies(&world, 1)), (0, 1));
    // It ends at the other one what it has begun at the one.
    world.realm(1, "", "RLM_UNSUBSCRIBE", b"foo\0*\0\0");
    while world.deliver_one() {}
    assert_eq!((held(&world, 0), held(&world, 1)), (1, 1));
    // Who has lost all, or was away, hears of the same.
    world.kill(0, false);
    world.realm_subscribes(1, "eve@OTHER.TEST", b"more\0*\0\0");
    world.realm(1, "", "RLM_UNSUBSCRIBE", b"bar\0*\0\0");
    world.heal();
    assert_eq!((held(&world, 0), held(&world, 1)), (1, 1));
    world.kill(0, true);
    world.realm_subscribes(1, "dora@OTHER.TEST", b"new\0*\0\0");
    world.realm(1, "", "RLM_UNSUBSCRIBE", b"more\0*\0\0");
    world.heal();
    assert_eq!((held(&world, 0), held(&world, 1)), (1, 1));
    world.check("the same");
}

#[test]
fn who_does_not_know_a_realm_keeps_what_it_has_for_the_others() {
    let mut world = two();
    world.command(1, Command::Realms(Vec::new()));
    world.realm_subscribes(0, "eve@OTHER.TEST", b"foo\0*\0\0");
    while world.deliver_one() {}
    let held = |world: &World, number: usize| {
        let server = world.nodes[number].server.as_ref().unwrap();
        server.gauges().realm_subscriptions
    };
    assert_eq!((held(&world, 0), held(&world, 1)), (1, 1));
    world.nodes[1].to_realm.clear();
    world.message(1, ALICE, "foo", b"hello");
    assert_eq!(world.nodes[1].to_realm.len(), 0, "it is not listed there");
    world.cut(0, 1);
    world.pass(Duration::from_secs(3));
    world.heal();
    assert_eq!((held(&world, 0), held(&world, 1)), (1, 1));
}

#[test]
fn a_realm_may_grant_to_another_server_what_it_was_asked_for_and_nothing_else() {
    let mut world = two();
    let granted = |world: &mut World, number: usize, port: &str, class: &str| {
        let body = [b"10.0.1.1\0", port.as_bytes(), b"\0", class.as_bytes(), b"\0*\0\0"].concat();
        world.realm(number, "alice@R.TEST", "ADD_SUBSCRIBE", &body);
        while world.deliver_one() {}
        [0, 1].map(|it| world.has(it, ALICE, class))
    };
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0@OTHER.TEST\0bar\0*\0@OTHER.TEST\0mine\0*\0\0");
    let asked = |world: &World| {
        let sent = world.nodes[0].to_realm.iter();
        sent.filter(|packet| Packet::parse(packet).unwrap().notice.opcode == b"REQ_SUBSCRIBE").count()
    };
    while world.deliver_one() {}
    assert_eq!(asked(&world), 0, "the other server knows before the realm does");
    world.wait(Duration::from_millis(200));
    assert_eq!(asked(&world), 2);
    assert_eq!(granted(&mut world, 1, "0x1389", "foo"), [false; 2], "to another client");
    assert_eq!(granted(&mut world, 1, "0x1388", "more"), [false; 2], "what nobody asked for");
    assert_eq!(granted(&mut world, 1, "0x1388", "foo"), [true; 2]);
    let wishes = |world: &World| [0, 1].map(|it| world.nodes[it].server.as_ref().unwrap().gauges().realm_wishes);
    assert_eq!(wishes(&world), [1; 2]);
    world.pass(Duration::from_secs(121));
    assert_eq!(granted(&mut world, 1, "0x1388", "bar"), [false; 2], "too late");
    assert_eq!(wishes(&world), [0; 2]);
}

#[test]
fn who_is_heard_of_by_one_is_not_given_up_by_both() {
    let mut world = two();
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    world.login(0, ALICE, "NET-VISIBLE");
    world.pass(Duration::from_secs(1));
    let bob = Client { host: 2, port: 5001, who: "bob@R.TEST" };
    // The way from the other server to her is broken.
    world.unreachable.push((1, ALICE.address()));
    world.message(1, bob, "foo", b"hello");
    for _ in 0..30 {
        world.pass(Duration::from_secs(60));
        world.message(0, bob, "foo", b"hello");
    }
    let given_up = |it: &LogEvent| matches!(it, LogEvent::ClientDead { .. });
    assert!(world.nodes[1].log.iter().any(given_up), "{:?}", world.nodes[1].log);
    assert!(world.has(0, ALICE, "foo") && world.has(1, ALICE, "foo"));
    assert!(world.state(0)[0].contains("alice"), "nor is her location");
    world.check("kept");
}

#[test]
fn what_has_changed_last_is_told_at_a_stop() {
    let mut world = two();
    // The first is under way, and the second waits behind it.
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"bar\0*\0\0");
    world.command(0, Command::Shutdown);
    world.nodes[0].server = None;
    while world.deliver_one() {}
    assert!(world.has(1, ALICE, "foo") && world.has(1, ALICE, "bar"));
}

#[test]
fn hosts_are_asked_to_go_to_another_server() {
    let mut world = two();
    world.boot(0, 1);
    world.pass(Duration::from_secs(1));
    let before = world.nodes[0].answers.len();
    world.command(0, Command::Drain);
    let asked = Packet::parse(&world.nodes[0].answers[before]).unwrap();
    assert_eq!((asked.notice.opcode, asked.notice.body), (&b"SHUTDOWN"[..], &b"10.0.0.2\0"[..]));
    assert!(!world.nodes[0].log.contains(&LogEvent::Drained));
    world.boot(1, 1);
    world.pass(Duration::from_secs(1));
    assert!(world.nodes[0].log.contains(&LogEvent::Drained));
    assert_eq!(world.nodes[1].server.as_ref().unwrap().gauges().hosts, 1);
}

#[test]
fn who_says_nothing_is_lost_and_connected_to_again() {
    let mut world = two();
    world.wait(Duration::from_secs(31));
    assert!(world.nodes[0].log.iter().any(|it| matches!(it, LogEvent::PeerLost { .. })), "{:?}", world.nodes[0].log);
    world.pass(Duration::from_secs(60));
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    world.pass(Duration::from_secs(1));
    assert!(world.has(1, ALICE, "foo"));
    // And as long as there is nothing to be told, both say that they are there.
    let lost = world.nodes[0].log.len();
    world.pass(Duration::from_secs(300));
    assert_eq!(world.nodes[0].log.len(), lost);
}

#[test]
fn what_is_no_message_ends_a_stream_and_what_is_unknown_does_not() {
    let hello = |major| {
        let version = Version { major, minor: 9 };
        let hello = Hello { version, server: ServerId(77), port: 2103, program: "later".to_owned() };
        let mut octets = Vec::new();
        wire::write(&Message::Hello(hello), &mut octets);
        octets
    };
    let mut unknown = vec![99, 0, 2, 1, 2];
    wire::write(&Message::Known([Stamp { time: 5, server: ServerId(77) }].into_iter().collect()), &mut unknown);
    let rows: [(Vec<u8>, Vec<u8>, bool); 5] = [
        (hello(1), unknown, true),
        (hello(2), vec![], false),
        (hello(1), vec![2, 0, 1, 7], false),
        (hello(1), vec![16, 255, 255], false),
        (hello(1), hello(1), false),
    ];
    for (first, second, stays) in rows {
        // Server 1 is not there: somebody who has proven to be a server speaks for it.
        let mut world = World::new(2, 1);
        world.kill(1, false);
        let stream = StreamId(StreamId::FIRST_OF_OTHERS.0 + 1000);
        world.stream(0, StreamEvent::Accepted { stream, from: [10, 0, 0, 2].into() });
        for record in [first, second.clone()] {
            world.stream(0, StreamEvent::Record { stream, record: record.into() });
        }
        let state = world.nodes[0].server.as_ref().unwrap().peers(world.now)[0].state;
        assert_eq!(state == "catching up", stays, "{second:?} {:?}", world.nodes[0].log);
    }
}

#[test]
fn used_authenticators_that_find_no_room_do_not_go_round_for_ever() {
    let bounds = Bounds { replay_cache_entries: 8, replay_cache_entries_per_principal: 8, ..Bounds::default() };
    let mut world = World::with(3, 1, bounds);
    world.pass(Duration::from_secs(3));
    for _ in 0..12 {
        world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
        world.control(1, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    }
    for _ in 0..5000 {
        if !world.deliver_one() {
            return;
        }
    }
    panic!("the servers tell each other more and more");
}

/// What somebody sends who has proven to be a server of ours.
fn stranger(world: &mut World, messages: &[Message]) {
    world.kill(1, false);
    let stream = StreamId(StreamId::FIRST_OF_OTHERS.0 + 1000);
    world.stream(0, StreamEvent::Accepted { stream, from: [10, 0, 0, 2].into() });
    let hello = Hello { version: wire::VERSION, server: ServerId(77), port: 2103, program: "other".to_owned() };
    let mut octets = Vec::new();
    wire::write(&Message::Hello(hello), &mut octets);
    messages.iter().for_each(|message| wire::write(message, &mut octets));
    world.stream(0, StreamEvent::Record { stream, record: octets.into() });
}

#[test]
fn a_server_whose_clock_is_far_ahead_is_not_merged() {
    let hour = 3_600_000_000;
    let rows =
        [(0, "catching up"), (160 * hour, "catching up"), (193 * hour, "clock ahead"), (u64::MAX, "clock ahead")];
    for (ahead, wanted) in rows {
        for is_known in [true, false] {
            let mut world = World::new(2, 1);
            let now = world.now.wall.duration_since(UNIX_EPOCH).unwrap().as_micros();
            let stamp = Stamp { time: u64::try_from(now).unwrap().saturating_add(ahead), server: ServerId(77) };
            let message = if is_known {
                Message::Known([stamp].into_iter().collect())
            } else {
                let change = Change::ProofsUndone { host: [10, 0, 1, 1].into() };
                let (part, goes_on, key) = (Part::Live, false, Key::None);
                Message::Told(Box::new(Told { stamp, part, goes_on, change, key }))
            };
            stranger(&mut world, &[message]);
            let server = world.nodes[0].server.as_ref().unwrap();
            assert_eq!(server.peers(world.now)[0].state, wanted, "{ahead} {:?}", world.nodes[0].log);
            if wanted == "clock ahead" {
                let said: Vec<String> = world.nodes[0].log.iter().map(ToString::to_string).collect();
                let days = if ahead == u64::MAX { "days ahead" } else { "8 days ahead of the one here" };
                assert!(said.iter().any(|line| line.contains(days)), "{said:?}");
            }
            // Its own stamps are what its own clock says.
            world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
            let server = world.nodes[0].server.as_ref().unwrap();
            let latest = server.versions().stamps().max().unwrap();
            assert_eq!(latest.days_ahead(world.now.wall), None);
        }
    }
}

/// A clock that was wrong for a while: what was made meanwhile is there, and others take it, once the server has begun anew.
#[test]
fn a_server_whose_clock_was_broken_is_taken_again_after_a_restart() {
    let mut world = World::new(2, 1);
    world.kill(1, false);
    world.nodes[1].ahead = Duration::from_secs(1000 * 24 * 3600);
    world.start(1);
    world.control(1, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
    world.pass(Duration::from_secs(60));
    assert!(!world.has(0, ALICE, "foo"));
    let state = |world: &World, number: usize| world.nodes[number].server.as_ref().unwrap().peers(world.now)[0].state;
    assert_eq!(state(&world, 0), "clock ahead");
    let tries = world.nodes[0].log.len();
    assert!(tries < 40, "not told each second: {tries}");
    world.kill(1, true);
    world.nodes[1].ahead = Duration::ZERO;
    world.start(1);
    assert!(world.nodes[1].log.iter().any(|it| matches!(it, LogEvent::KeptClockAhead { days: 999 })));
    world.pass(Duration::from_secs(60));
    assert!(world.has(0, ALICE, "foo") && world.has(1, ALICE, "foo"), "{:?}", world.nodes[0].log);
    assert_eq!([state(&world, 0), state(&world, 1)], ["up", "up"]);
    world.check("after a restart");
}

/// Whatever becomes of the servers between: what has proved something once does not do so again at another one.
#[test]
fn what_one_server_has_forgotten_early_proves_nothing_at_another() {
    for is_down in [false, true] {
        let bounds = Bounds { replay_cache_entries: 64, replay_cache_entries_per_principal: 4, ..Bounds::default() };
        let mut world = World::with(2, 1, bounds);
        world.pass(Duration::from_secs(3));
        if is_down {
            world.kill(1, true)
        } else {
            world.cut(0, 1)
        }
        let stolen = world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0");
        world.control(0, ALICE, "UNSUBSCRIBE", b"foo\0*\0\0");
        for _ in 0..6 {
            world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"bar\0*\0\0");
        }
        if is_down {
            world.start(1);
            world.give(1, manager(1), &stolen);
            assert!(!world.has(1, ALICE, "foo"), "before it has heard of anything");
        }
        world.heal();
        assert!(world.has(1, ALICE, "bar"));
        world.give(1, manager(1), &stolen);
        assert!(!world.has(1, ALICE, "foo"), "down: {is_down}");
        // What is made now is good.
        world.control(1, ALICE, "SUBSCRIBE_NODEFS", b"new\0*\0\0");
        assert!(world.has(1, ALICE, "new"));
    }
}

#[test]
fn who_comes_while_a_server_is_drained_is_sent_on() {
    let mut world = two();
    world.command(0, Command::Drain);
    let opcodes = |world: &World| -> Vec<Vec<u8>> {
        let answers = world.nodes[0].answers.iter();
        answers.map(|answer| Packet::parse(answer).unwrap().notice.opcode.to_vec()).collect()
    };
    let before = opcodes(&world).len();
    world.boot(0, 1);
    world.pass(Duration::from_secs(1));
    assert_eq!(opcodes(&world)[before..], [b"BOOT".to_vec(), b"SHUTDOWN".to_vec()], "answered first");
    // Whoever asks for it again and again is not told each time.
    for _ in 0..100 {
        world.boot(0, 1);
    }
    world.pass(Duration::from_secs(1));
    let sent = opcodes(&world).iter().filter(|opcode| *opcode == b"SHUTDOWN").count();
    assert!((2..60).contains(&sent), "{sent}");
    world.command(0, Command::EndDrain);
    let before = opcodes(&world).len();
    world.boot(0, 2);
    world.pass(Duration::from_secs(1));
    assert_eq!(opcodes(&world)[before..], [b"BOOT".to_vec()]);
    // There is nowhere else to go.
    world.command(0, Command::Drain);
    world.kill(1, true);
    world.pass(Duration::from_secs(40));
    let before = opcodes(&world).len();
    world.boot(0, 3);
    world.pass(Duration::from_secs(1));
    assert_eq!(opcodes(&world)[before..], [b"BOOT".to_vec()]);
}
