//! Packets to a server that holds little: every class and opcode, and every kind of packet that is none of them.

use super::{Case, Step};
use crate::{
    PACKETS,
    packets::{GROWING, SENDER, filling, message, plain, proven},
};
use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use zephyr_auth_krb::KeySession;
use zephyr_core::{
    auth::{Identity, Judgement, Session, Verdict},
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    policy::{ClassPolicy, Demand, NamePattern, Policy},
    realm::Realms,
    time::Now,
};
use zephyr_engine::{
    machine::{Input, Machine, Output, Transmit},
    server::{
        Bounds, Config, Done, Job, Neighbours, ProbeSecret, Server, ServerId, Verified,
        acl::{Acl, ClassAcls, Rules},
    },
};

/// The host manager that packets come from.
pub(super) const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 2104);

/// A server whose clock stands still, and a driver that knows who has sent a packet.
pub(super) struct Bench {
    server: Server,
    now: Now,
    session: Arc<dyn Session>,
    packets: usize,
}

impl Bench {
    /// A server that takes subscriptions and locations without proof, so that nothing is refused for the want of it.
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            host: "zsrv.test".to_owned(),
            address: Ipv4Addr::new(10, 255, 0, 1),
            port: 2103,
            version: "costs".to_owned(),
            realms: Realms::local_only(b"ATHENA.TEST"),
            policy: Policy { receive: Demand::Optional, login: Demand::Optional, ..Policy::KERBEROS },
            rules: Arc::new(Rules::default()),
            bounds: Bounds::default(),
            neighbours: Neighbours::default(),
            id: ServerId(1),
            in_flight: usize::MAX,
            host_manager_port: 2104,
            probe_secret: ProbeSecret::new(&[7; 32]),
        };
        change(&mut config);
        let now = Now { monotonic: Duration::from_secs(1000), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        let session = Arc::new(KeySession::from_raw(18, &[7; 32]).unwrap()).at_rest();
        Self { server: Server::new(config, now), now, session, packets: 1_000_000 - PACKETS }
    }

    /// Gives a packet to the server; what is sent is given back.
    pub(super) fn give(&mut self, from: SocketAddr, octets: &[u8]) -> Vec<Transmit> {
        self.server.handle(self.now, Input::Datagram { from, local: None, octets });
        self.drain()
    }

    fn drain(&mut self) -> Vec<Transmit> {
        let mut sent = Vec::new();
        loop {
            match self.server.poll(self.now) {
                Output::Transmit(transmit) => sent.push(transmit),
                Output::Job(Job::Verify(job)) => {
                    let verdict = Verdict::Authentic(Identity::new(&job.expected));
                    let judgement =
                        Judgement { verdict, session: Some(self.session.clone()), opened: None, lifetime: None };
                    let done = Verified { id: job.id, result: Ok(judgement) };
                    self.server.handle(self.now, Input::Done(Done::Verified(done)));
                }
                Output::Event(_) | Output::Job(_) => {}
                Output::Wait(_) => return sent,
            }
        }
    }

    /// A packet beside those that are counted, for the state of the server; its answer must be SENT. What is sent is given
    /// back.
    pub(super) fn prepare(&mut self, from: SocketAddr, notice: Notice<'_>, proof: bool) -> Vec<Transmit> {
        let packet = self.next(notice, proof);
        let sent = self.give(from, &packet);
        let answer = Packet::parse(&sent.first().expect("an answer").payload).unwrap().notice;
        assert!(answer.body.starts_with(b"SENT"), "{answer:?}");
        sent
    }

    /// The packet of a notice, with a uid that no counted one has.
    pub(super) fn next(&mut self, notice: Notice<'_>, proof: bool) -> Bytes {
        self.packets -= 1;
        if proof { proven(notice, self.packets) } else { plain(notice, self.packets) }
    }

    /// A client at a port of a host subscribes to this list, and acknowledges its probe.
    pub(super) fn subscribe(&mut self, from: SocketAddr, port: u16, sender: &str, list: &[u8], proof: bool) {
        let notice = Notice { port, sender: sender.as_bytes(), ..control(b"SUBSCRIBE_NODEFS", list) };
        let mut sent = self.prepare(from, notice, proof);
        self.server.handle(self.now, Input::Timeout);
        sent.append(&mut self.drain());
        for transmit in sent.iter().filter(|transmit| transmit.to.port() == port) {
            self.give(transmit.to, &acknowledgement(transmit));
        }
        assert_eq!(self.server.gauges().unconfirmed, 0, "it has shown that it receives");
    }

    /// Packets that have come and are not looked at yet.
    pub(super) fn waiting(&self) -> usize {
        self.server.queue_lengths().ingress
    }

    /// Gives these packets from the usual host.
    pub(super) fn giving(self, packets: Vec<Bytes>) -> Step {
        let from = vec![HERE; packets.len()];
        self.giving_from(from, packets)
    }

    pub(super) fn giving_from(mut self, from: Vec<SocketAddr>, packets: Vec<Bytes>) -> Step {
        Box::new(move |number| {
            self.give(from[number], &packets[number]);
        })
    }
}

/// A request about the client's subscriptions.
pub(super) fn control<'a>(opcode: &'a [u8], body: &'a [u8]) -> Notice<'a> {
    Notice {
        class: b"ZEPHYR_CTL",
        instance: b"CLIENT",
        opcode,
        default_format: b"",
        multinotice: b"",
        body,
        ..message()
    }
}

/// So many packets of a notice, which differ in their uids.
pub(super) fn unproven(notice: Notice<'_>) -> Vec<Bytes> {
    (0..2 * PACKETS).map(|number| plain(notice, number)).collect()
}

pub(super) fn with_proof(notice: Notice<'_>) -> Vec<Bytes> {
    (0..2 * PACKETS).map(|number| proven(notice, number)).collect()
}

/// A server with one reader of class MESSAGE, who has proven who he is or has not.
fn one_reader(proof: bool) -> Bench {
    let mut bench = Bench::new(|_| ());
    bench.subscribe(SocketAddr::from(([10, 0, 0, 2], 2104)), 5000, "reader@ATHENA.TEST", b"message\0*\0\0", proof);
    bench
}

fn to_nobody(notice: Notice<'_>) -> Step {
    Bench::new(|_| ()).giving(unproven(notice))
}

/// A policy with rules for so many classes, of which some have wildcards.
fn class_rules(config: &mut Config) {
    let patterns =
        (0..20).map(|number| format!("class-{number}")).chain(["public-*", "*-private", "x-*-log"].map(str::to_owned));
    let rules = |pattern: String| ClassPolicy {
        classes: NamePattern::new(pattern.as_bytes()),
        send: Some(Demand::Optional),
        receive: Some(Demand::Optional),
        failed_proof: None,
    };
    config.policy.classes = patterns.map(rules).collect();
    config.policy.receive = Demand::Required;
}

/// Lists for class MESSAGE as a domain may have them.
fn with_lists(config: &mut Config) {
    let acl =
        || Some(Acl::read(b"*/root@*\n*/admin@ATHENA.TEST\n!*.bad@*\nbob@ATHENA.TEST\n*@*\n@10.0.0.0/8\n").unwrap());
    let mut rules = Rules::default();
    rules.register(b"message", ClassAcls { xmt: acl(), sub: acl(), iws: acl(), iui: acl() });
    config.rules = Arc::new(rules);
}

fn long(notice: Notice<'_>, pattern: &str) -> String {
    filling(notice, pattern)
}

fn messages() -> Vec<Case> {
    vec![
        Case::plain("server", "a message to one reader", || one_reader(false).giving(unproven(message()))),
        Case::odd("server", "a message to nobody", || to_nobody(Notice { class: b"nothing", ..message() })),
        Case::odd("server", "a proven message to a proven reader", || one_reader(true).giving(with_proof(message()))),
        Case::odd("server", "a proven message as long as can be, to a proven reader", || {
            let body = "x".repeat(420);
            one_reader(true).giving(with_proof(Notice { body: body.as_bytes(), multinotice: b"", ..message() }))
        }),
        Case::odd("server", "a message as long as can be", || {
            let body = long(Notice { body: b"", ..message() }, "x");
            one_reader(false).giving(unproven(Notice { body: body.as_bytes(), multinotice: b"", ..message() }))
        }),
        Case::odd("server", "a message that a longer recipient makes two packets of", || {
            let mut bench = Bench::new(|_| ());
            let list = b"message\0personal\0reader@ATHENA.TEST\0";
            bench.subscribe(SocketAddr::from(([10, 0, 0, 2], 2104)), 5000, "reader@ATHENA.TEST", list, false);
            let body = long(Notice { recipient: b"reader", body: b"", multinotice: b"", ..message() }, "x");
            let notice = Notice { recipient: b"reader", body: body.as_bytes(), multinotice: b"", ..message() };
            bench.giving(unproven(notice))
        }),
        Case::odd("server", "a message with a class of U+FDFA that fits", || {
            to_nobody(Notice {
                class: GROWING.repeat(31).as_bytes(),
                instance: GROWING.repeat(31).as_bytes(),
                ..message()
            })
        }),
        Case::odd("server", "a message with a class of U+FDFA that is too long", || {
            let class = long(message(), GROWING);
            to_nobody(Notice { class: class.as_bytes(), ..message() })
        }),
        Case::odd("server", "a proven message with an instance of U+FDFA that is too long", || {
            let instance = GROWING.repeat(120);
            Bench::new(|_| ()).giving(with_proof(Notice { instance: instance.as_bytes(), ..message() }))
        }),
        Case::odd("server", "a message with a class of marks", || {
            let class = long(message(), "\u{345}\u{301}\u{323}\u{334}");
            to_nobody(Notice { class: class.as_bytes(), ..message() })
        }),
        Case::odd("server", "a message with an instance of marks that become two", || {
            let instance = long(message(), "\u{344}");
            to_nobody(Notice { instance: instance.as_bytes(), ..message() })
        }),
        Case::odd("server", "a message with an instance of letters and marks", || {
            let instance = long(message(), "e\u{301}");
            to_nobody(Notice { instance: instance.as_bytes(), ..message() })
        }),
        Case::odd("server", "a long class where 23 classes have rules", || {
            let class = long(message(), "-privat");
            Bench::new(class_rules).giving(unproven(Notice { class: class.as_bytes(), ..message() }))
        }),
        Case::odd("server", "a long sender where the class has lists", || {
            let sender = "/roo".repeat(80) + "@ATHENA.TEST";
            Bench::new(with_lists).giving(with_proof(Notice { sender: sender.as_bytes(), ..message() }))
        }),
        Case::odd("server", "a message without the proof that is wanted", || {
            let strict = |config: &mut Config| config.policy.send = Demand::Required;
            let sender = long(message(), "\u{1}");
            Bench::new(strict).giving(unproven(Notice { sender: sender.as_bytes(), ..message() }))
        }),
    ]
}

fn odd_packets() -> Vec<Case> {
    vec![
        Case::odd("server", "no packet", || {
            Bench::new(|_| ()).giving(vec![Bytes::from(vec![b'Z'; 1024]); 2 * PACKETS])
        }),
        Case::odd("server", "the same packet again", || {
            let mut bench = one_reader(false);
            let packet = plain(message(), 0);
            bench.give(HERE, &packet);
            bench.giving(vec![packet; 2 * PACKETS])
        }),
        Case::odd("server", "a proven packet again, from elsewhere", || {
            let mut bench = one_reader(true);
            let packet = proven(message(), 0);
            bench.give(HERE, &packet);
            let from = (0..2 * PACKETS).map(|_| SocketAddr::from(([10, 0, 9, 9], 2104))).collect();
            bench.giving_from(from, vec![packet; 2 * PACKETS])
        }),
        Case::odd("server", "an authenticator on another notice", || {
            let mut bench = one_reader(true);
            let claim = Claim { auth: 1, authent_len: 3, authenticator: b"Zabc", checksum: b"Zsum" };
            let packet = |number| crate::packets::claiming(message(), number, &claim);
            bench.give(HERE, &packet(1_000_000 - 1));
            bench.giving((0..2 * PACKETS).map(packet).collect())
        }),
        Case::odd("server", "a fragment that contradicts itself", || {
            to_nobody(Notice { multinotice: b"399999/400000", ..message() })
        }),
        Case::odd("server", "a kind that no server takes", || to_nobody(Notice { kind: Kind::Other(99), ..message() })),
        Case::odd("server", "an answer that nobody asked for", || {
            to_nobody(Notice { kind: Kind::ServAck, ..message() })
        }),
        Case::odd("server", "an acknowledgement of nothing", || {
            to_nobody(Notice { kind: Kind::ClientAck, ..message() })
        }),
        Case::odd("server", "each packet from another source", || {
            let from = (0..2 * PACKETS).map(|number| {
                let [.., high, low] = u32::try_from(number).unwrap().to_be_bytes();
                SocketAddr::from(([10, 7, high, low], 2104))
            });
            one_reader(false).giving_from(from.collect(), unproven(message()))
        }),
    ]
}

fn requests() -> Vec<Case> {
    let mut cases = vec![
        Case::odd("server", "SUBSCRIBE to one thing that is subscribed to, many times", || {
            subscribed_to(&b"c\0i\0\0".repeat(room_for_list() / 5), b"c\0i\0\0")
        }),
        Case::odd("server", "SUBSCRIBE to one thing in many spellings", || {
            // As many of the 128 as fit.
            let spelling = |number: usize| -> Vec<u8> {
                let letter = |bit: usize| if number >> bit & 1 == 0 { b'c' } else { b'C' };
                (0..7).map(letter).chain(*b"\0i\0\0").collect()
            };
            let list: Vec<u8> = (0..room_for_list() / 11).flat_map(spelling).collect();
            subscribed_to(&list, b"ccccccc\0i\0\0")
        }),
        Case::odd("server", "SUBSCRIBE to many things that are subscribed to", || {
            let list = different(room_for_list() / 6);
            subscribed_to(&list, &list)
        }),
        Case::odd("server", "SUBSCRIBE to somebody else's", || {
            let entry = |number: usize| format!("c\0i\0{number:02x}\0").into_bytes();
            let body: Vec<u8> = (0..room_for_list() / 7).flat_map(entry).collect();
            to_nobody(control(b"SUBSCRIBE_NODEFS", &body))
        }),
        Case::odd("server", "SUBSCRIBE with names that are too long", || {
            let entry = |number: usize| [GROWING.repeat(32).as_bytes(), format!("\0{number}\0\0").as_bytes()].concat();
            let body: Vec<u8> = (0..8).flat_map(entry).collect();
            to_nobody(control(b"SUBSCRIBE_NODEFS", &body))
        }),
        Case::odd("server", "SUBSCRIBE that is refused, where 23 classes have rules", || {
            let body = b"c\0i\0\0".repeat(150);
            Bench::new(class_rules).giving(unproven(control(b"SUBSCRIBE_NODEFS", &body)))
        }),
        Case::odd("server", "SUBSCRIBE to many things that are refused, where 23 classes have rules", || {
            let body = different(room_for_list() / 6);
            Bench::new(class_rules).giving(unproven(control(b"SUBSCRIBE_NODEFS", &body)))
        }),
        Case::odd("server", "SUBSCRIBE to all of a class that has lists, for many recipients", || {
            // The proof takes its room as well.
            let entry = |number: usize| format!("message\0*\0@{number:02x}\0").into_bytes();
            let body: Vec<u8> = (0..30).flat_map(entry).collect();
            Bench::new(with_lists).giving(with_proof(control(b"SUBSCRIBE_NODEFS", &body)))
        }),
        Case::odd("server", "SUBSCRIBE that ends in the middle", || to_nobody(control(b"SUBSCRIBE", &[b'x'; 700]))),
        Case::odd("server", "UNSUBSCRIBE from what is not subscribed to", || {
            let mut bench = Bench::new(|_| ());
            bench.subscribe(HERE, 5000, SENDER, b"c\0i\0\0", false);
            bench.giving(unproven(control(b"UNSUBSCRIBE", &different(room_for_list() / 6))))
        }),
        Case::odd("server", "CLEARSUB of nothing", || to_nobody(control(b"CLEARSUB", b""))),
        Case::odd("server", "FLUSHSUBS of nothing", || to_nobody(control(b"FLUSHSUBS", b""))),
        Case::odd("server", "FLUSHSUBS of a long name", || to_nobody(control(b"FLUSHSUBS", &[b'x'; 700]))),
        Case::odd("server", "GIMME of nothing", || to_nobody(control(b"GIMME", b"0x1388\0"))),
        Case::odd("server", "GIMMEDEFS", || to_nobody(control(b"GIMMEDEFS", b""))),
        Case::odd("server", "ZEPHYR_CTL with another opcode", || {
            let opcode = long(control(b"", b""), "\u{1}");
            to_nobody(control(opcode.as_bytes(), b""))
        }),
    ];
    cases.extend([
        Case::odd("server", "LOGIN", || to_nobody(location(b"REALM-VISIBLE"))),
        Case::odd("server", "LOGIN that is announced", || to_nobody(location(b"NET-ANNOUNCED"))),
        Case::odd("server", "LOGIN with long texts", || {
            let text = "x".repeat(200);
            let body = [text.as_bytes(), b"\0", text.as_bytes(), b"\0", text.as_bytes(), b"\0"].concat();
            to_nobody(Notice { body: &body, ..location(b"NET-VISIBLE") })
        }),
        Case::odd("server", "LOGIN for somebody else", || {
            to_nobody(Notice { instance: b"x", ..location(b"NET-VISIBLE") })
        }),
        Case::odd("server", "LOGIN with another opcode", || to_nobody(location(b"nothing"))),
        Case::odd("server", "LOGIN that ends in the middle", || {
            to_nobody(Notice { body: b"x", ..location(b"NET-VISIBLE") })
        }),
        Case::odd("server", "USER_LOGOUT of nobody", || to_nobody(location(b"USER_LOGOUT"))),
        Case::odd("server", "USER_FLUSH of nothing", || to_nobody(location(b"USER_FLUSH"))),
        Case::odd("server", "LOCATE of nobody", || {
            to_nobody(Notice { class: b"USER_LOCATE", body: b"", ..location(b"LOCATE") })
        }),
        Case::odd("server", "USER_LOCATE with another opcode", || {
            to_nobody(Notice { class: b"USER_LOCATE", ..location(b"x") })
        }),
        Case::odd("server", "STATUS", || {
            to_nobody(Notice { class: b"ZEPHYR_ADMIN", instance: b"", body: b"", ..location(b"STATUS") })
        }),
        Case::odd("server", "ZEPHYR_ADMIN with another opcode", || {
            to_nobody(Notice { class: b"ZEPHYR_ADMIN", ..location(b"x") })
        }),
    ]);
    cases.extend([
        Case::odd("server", "BOOT", || to_nobody(of_host(b"BOOT"))),
        Case::odd("server", "ATTACH", || to_nobody(of_host(b"ATTACH"))),
        Case::odd("server", "FLUSH", || to_nobody(of_host(b"FLUSH"))),
        Case::odd("server", "DETACH", || to_nobody(of_host(b"DETACH"))),
        Case::odd("server", "HM_CTL with another opcode", || to_nobody(of_host(b"x"))),
    ]);
    cases
}

/// Octets of a list of subscriptions that a packet has room for.
fn room_for_list() -> usize {
    long(Notice { multinotice: b"", ..control(b"SUBSCRIBE_NODEFS", b"") }, "c").len()
}

/// A list of so many subscriptions, six octets each.
pub(super) fn different(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number:02x}\0i\0\0").into_bytes()).collect()
}

/// Gives this list again and again for a client that is subscribed to everything in it.
fn subscribed_to(list: &[u8], all: &[u8]) -> Step {
    let mut bench = Bench::new(|_| ());
    bench.subscribe(HERE, 5000, SENDER, all, false);
    bench.giving(unproven(control(b"SUBSCRIBE_NODEFS", list)))
}

/// A notice about where its sender is.
pub(super) fn location(opcode: &[u8]) -> Notice<'_> {
    Notice {
        class: b"LOGIN",
        instance: SENDER.as_bytes(),
        opcode,
        default_format: b"",
        multinotice: b"",
        body: b"machine.test\0now\0pts/1\0",
        ..message()
    }
}

/// What a host manager says of its host.
pub(super) fn of_host(opcode: &[u8]) -> Notice<'_> {
    Notice {
        kind: Kind::HmCtl,
        class: b"ZEPHYR_CTL",
        instance: b"HM",
        opcode,
        body: b"",
        multinotice: b"",
        ..message()
    }
}

pub(super) fn cases() -> Vec<Case> {
    let all = [messages(), odd_packets(), requests()];
    all.into_iter().flatten().collect()
}

/// The acknowledgement of a packet by its receiver.
pub(super) fn acknowledgement(sent: &Transmit) -> Bytes {
    let notice = Packet::parse(&sent.payload).unwrap().notice;
    Notice { kind: Kind::ClientAck, body: b"", ..notice }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}
