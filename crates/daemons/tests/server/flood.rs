//! A hundred thousand random and mutated packets: both machines go on serving, and hold no more than they may.

use crate::{running::*, stage::*};
use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    notice::{Notice, Packet},
};
use zephyr_engine::{
    host_manager::{Config, Done, HostManager, Job, Owner, Server, Servers},
    machine::{Input, Machine, Output},
    server::Bounds,
};

const PACKETS: usize = 100_000;

/// Random numbers that are the same every time (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

const KINDS: [Kind; 10] = [
    Kind::Unsafe,
    Kind::Unacked,
    Kind::Acked,
    Kind::HmAck,
    Kind::HmCtl,
    Kind::ServAck,
    Kind::ServNak,
    Kind::ClientAck,
    Kind::Stat,
    Kind::Other(9),
];

/// Packets of every class and opcode with a meaning, and then bits and pieces of them exchanged, added and cut off.
fn mutated(random: &mut Random, stage: &mut Stage, proof: Proof) -> Vec<u8> {
    let class =
        random.one(&["c1", "c2", "ZEPHYR_CTL", "ZEPHYR_CTL", "HM_CTL", "LOGIN", "USER_LOCATE", "ZEPHYR_ADMIN", "x"]);
    let opcode = random.one(&[
        "SUBSCRIBE",
        "SUBSCRIBE",
        "SUBSCRIBE",
        "SUBSCRIBE",
        "SUBSCRIBE_NODEFS",
        "UNSUBSCRIBE",
        "CLEARSUB",
        "FLUSHSUBS",
        "GIMME",
        "GIMMEDEFS",
        "BOOT",
        "ATTACH",
        "DETACH",
        "FLUSH",
        "NEWSERV",
        "SHUTDOWN",
        "PING",
        "STATUS",
        "LOCATE",
        "NET-ANNOUNCED",
        "REALM-VISIBLE",
        "NONE",
        "USER_LOGOUT",
        "USER_FLUSH",
        "",
    ]);
    let senders: Vec<String> = (0..50).map(|number| format!("user{number}@ATHENA.TEST")).collect();
    let sender = senders[random.below(50)].as_str();
    let names: String = (0..random.below(12)).map(|_| format!("c{}\0*\0\0", random.below(20))).collect();
    let instance = random.one(&["CLIENT", "CLIENT", "CLIENT", "HM", "c1", "personal", sender]);
    let body = match random.below(3) {
        0 => names.as_bytes(),
        1 => b"machine\0time\0tty\0",
        _ => b"0x1388\0",
    };
    let recipient = random.one(&["", sender, "@", "@ATHENA.TEST", "nobody"]);
    let notice = Notice {
        kind: KINDS[random.below(KINDS.len())],
        port: u16::try_from(random.below(65536)).unwrap(),
        recipient: recipient.as_bytes(),
        multinotice: random.one(&[
            &b""[..],
            b"",
            b"",
            b"",
            b"",
            b"0/5",
            b"9/3",
            b"-1/5",
            b"0/99999999999999999999",
            b"/",
        ]),
        body,
        ..notice(class, instance, opcode, sender)
    };
    let mut octets = stage.packet(notice, proof).to_vec();
    for _ in 0..random.below(5).saturating_sub(2) {
        let at = random.below(octets.len());
        match random.below(5) {
            0 => octets[at] ^= 1 << random.below(8),
            1 => octets[at] = 0,
            2 => octets.truncate(at.max(1)),
            3 => octets.insert(at, u8::try_from(random.below(256)).unwrap()),
            _ => {
                let piece = octets[at..(at + random.below(40)).min(octets.len())].to_vec();
                let to = random.below(octets.len());
                octets.splice(to..to, piece);
            }
        }
    }
    octets.truncate(1024);
    octets
}

fn anything(random: &mut Random) -> Vec<u8> {
    let len = random.below(1024);
    let mut octets: Vec<u8> = (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
    if random.below(2) == 0 {
        let start = b"ZEPH0.2\x000x00000013\x000x00000002\0";
        let end = start.len().min(len);
        octets[..end].copy_from_slice(&start[..end]);
    }
    octets
}

fn source(random: &mut Random) -> SocketAddr {
    let number = u8::try_from(random.below(30)).unwrap();
    SocketAddr::from((
        [10, 0, u8::try_from(random.below(3)).unwrap(), number],
        if random.below(2) == 0 { 2104 } else { 5000 },
    ))
}

#[test]
fn a_server_survives() {
    let bounds = Bounds {
        clients: 2000,
        clients_per_host: 50,
        subscriptions_per_client: 40,
        subscription_octets: 4 << 20,
        pending_per_destination: 20,
        delivery_octets: 4 << 20,
        answer_octets: 1 << 20,
        locations: 1000,
        hosts: 500,
        replay_cache_entries: 5000,
        ..Bounds::default()
    };
    let mut stage = Stage::with(|config| config.bounds = bounds);
    let mut random = Random(20_261_124);
    let mut understood = 0;
    for number in 0..PACKETS {
        // What claims no proof is taken for unproven without a look at it.
        let proof = [Yes, Yes, No, Failed][random.below(4)];
        let octets = if number % 4 == 0 { anything(&mut random) } else { mutated(&mut random, &mut stage, proof) };
        let from = source(&mut random);
        if Packet::parse(&octets).is_ok_and(|packet| packet.notice.sender.is_ascii()) {
            understood += 1;
            let received = stage.give(from, &octets, proof);
            for packet in received.iter().filter(|packet| packet.to.port() != 2104) {
                if random.below(2) == 0 {
                    stage.acknowledge(packet);
                }
            }
            assert!(received.len() < 3000, "a single packet causes no avalanche: {}", received.len());
        }
        if number % 1000 == 0 {
            stage.wait(3);
            stage.events.clear();
        }
        let gauges = stage.engine.gauges();
        assert!(
            gauges.clients <= bounds.clients && gauges.hosts <= bounds.hosts && gauges.locations <= bounds.locations,
            "{gauges:?}"
        );
        assert!(gauges.pending_octets <= bounds.delivery_octets + bounds.answer_octets, "{gauges:?}");
        assert!(gauges.subscription_octets <= bounds.subscription_octets + 1024 && gauges.recent <= 8192, "{gauges:?}");
        assert!(gauges.replays <= bounds.replay_cache_entries, "{gauges:?}");
    }
    assert!(understood > PACKETS / 4, "{understood}");
    assert!(stage.engine.counters().delivered > 1000, "{:?}", stage.engine.counters());
    assert!(stage.engine.gauges().clients > 100, "the flood had an effect: {:?}", stage.engine.gauges());

    stage.wait(4000);
    assert_eq!(stage.engine.gauges().pending, 0, "in the end nothing waits");
    stage.send(here(), Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") }, No);
    stage.subscribe(here(), ALICE, 5000, b"foo\0bar\0\0");
    assert_eq!(stage.send(there(), notice("foo", "bar", "", BOB), Yes).len(), 2, "still serving");
}

#[test]
fn a_host_manager_survives() {
    let server = SocketAddr::from(([10, 0, 0, 1], 2103));
    let config = Config {
        servers: Servers::new(vec![Server::at("s", server)], 0).unwrap(),
        address: std::net::Ipv4Addr::LOCALHOST,
        port: 2104,
        version: "test".to_owned(),
        machine: "test".to_owned(),
        attach: false,
        refuse_flush: false,
        own_address: None,
    };
    let mut stage = Stage::new();
    let mut machine = HostManager::new(config, stage.now);
    let mut random = Random(42);
    for number in 0..PACKETS {
        let octets = if number % 4 == 0 { anything(&mut random) } else { mutated(&mut random, &mut stage, No) };
        let from = match random.below(3) {
            0 => server,
            1 => source(&mut random),
            _ => SocketAddr::from(([127, 0, 0, 1], u16::try_from(random.below(65536)).unwrap())),
        };
        machine.handle(stage.now, Input::Datagram { from, local: None, octets: &octets });
        if number % 100 == 0 {
            stage.now.monotonic += Duration::from_secs(1);
            machine.handle(stage.now, Input::Timeout);
        }
        assert!(machine.queued() <= 4096);
        loop {
            match machine.poll(stage.now) {
                Output::Wait(_) => break,
                Output::Job(Job::Owner(query)) => {
                    let owner = Owner::User(u32::from(query.program.port() % 5));
                    machine.handle(stage.now, Input::Done(Done::Owner(query.answer(owner))));
                }
                Output::Job(Job::Lookup(lookup)) => {
                    let found = Err("nobody knows".into());
                    machine.handle(stage.now, Input::Done(Done::Lookup(lookup.answer(found))));
                }
                Output::Job(Job::Discover) | Output::Transmit(_) | Output::Event(_) => {}
            }
        }
    }
    assert!(machine.statistics().client_packets > 1000 && machine.statistics().server_packets > 1000);
    stage.now.monotonic += Duration::from_secs(301);
    machine.handle(stage.now, Input::Timeout);
    assert_eq!(machine.queued(), 0, "in the end nothing waits");
}

/// Octets of memory that a process holds.
fn resident(daemon: &Daemon) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn running_daemons_survive_and_do_not_grow() {
    const AT_ONCE: usize = 100;
    let server = server(&[]);
    let manager = host_manager(&server, &[]);
    // What the server sends to the ports that the flood names reaches no program there.
    let flood = UdpSocket::bind((server.network.host(66), 0)).unwrap();
    let mut alice = Program::new(manager.address, "alice@OPEN.TEST");
    let mut straight = Program::new(server.address, "alice@OPEN.TEST");
    let mut random = Random(7);
    let mut stage = Stage::new();
    let mut halfway = Vec::new();
    for round in 0..2 * PACKETS / AT_ONCE {
        for number in 0..AT_ONCE {
            let octets = if number % 4 == 0 { anything(&mut random) } else { mutated(&mut random, &mut stage, No) };
            let to = if number % 2 == 0 { server.address } else { manager.address };
            flood.send_to(&octets, to).unwrap();
        }
        // Its answer shows that the server has read all that came before.
        straight.ask(acked(b"nobody", b"there", b"", b""));
        alice.ask(Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") });
        if round == PACKETS / AT_ONCE {
            halfway = vec![resident(&server), resident(&manager)];
        }
    }
    let grown = [
        resident(&server) - halfway[0].min(resident(&server)),
        resident(&manager) - halfway[1].min(resident(&manager)),
    ];
    println!("resident halfway {halfway:?}, grown {grown:?}");
    assert!(grown.iter().all(|&octets| octets < 16 << 20), "grown by {grown:?} from {halfway:?}");

    // On a host where the flood has taken no ports: it did so where it came from, and through the host manager where
    // that is.
    let mut bob = Program::at(server.network.host(77).into(), server.address, "bob@OPEN.TEST");
    bob.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"survived\0*\0\0"));
    assert_eq!(bob.receive().2, b"SENT\0");
    straight.send(acked(b"survived", b"x", b"", b"yes\0"));
    assert_eq!(bob.receive().2, b"yes\0");
}
