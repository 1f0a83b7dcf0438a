//! Long outages: what becomes of everything that programs send meanwhile, and how much of it is kept.

use super::*;
use std::collections::{BTreeMap, HashMap};

/// How long no server answers.
const OUTAGE: Duration = Duration::from_secs(300);
/// How many packets programs send meanwhile, evenly.
const PACKETS: u32 = 10_000;
/// How long a packet waits for an answer.
const LIFE: Duration = Duration::from_secs(300);
/// The most octets of the packets that are kept.
const MAX_OCTETS: usize = MAX_QUEUED_PACKETS * zephyr_core::limits::MAX_PACKET;

/// Four users, and a few whom nobody knows.
fn owner(port: u16) -> Owner {
    if port.is_multiple_of(11) { Owner::Unknown } else { Owner::User(1000 + u32::from(port % 4)) }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    from: Option<SocketAddr>,
    kind: Option<Kind>,
    sent_at: Duration,
    /// The host manager has said that it has it.
    taken: u32,
    /// The server has it.
    arrived: u32,
    /// Its program was told the server's answer.
    told: u32,
    /// The host manager has given it up, and said so.
    expired: u32,
}

/// A host, its programs' packets, and a server: of what goes there a tenth is lost, and of what comes back a twentieth.
struct Host {
    stage: Stage,
    fates: BTreeMap<u32, Fate>,
    up: bool,
    chance: u64,
    /// What was sent to the server, and not looked at yet.
    octets: HashMap<u32, usize>,
}

/// The number of a packet is its opcode.
fn number_of(opcode: &[u8]) -> Option<u32> {
    std::str::from_utf8(opcode).ok()?.parse().ok()
}

impl Host {
    fn new(servers: u8) -> Self {
        let stage = Stage { owner, ..Stage::settled_with(servers, b"SENT\0") };
        Self { stage, fates: BTreeMap::new(), up: true, chance: 1, octets: HashMap::new() }
    }

    /// What the host manager has sent reaches programs and, if there is one, the server, whose answers come back at once.
    fn carry(&mut self, sent: Vec<Sent>) {
        let mut sent: std::collections::VecDeque<Sent> = sent.into();
        while let Some(packet) = sent.pop_front() {
            let notice = packet.notice();
            let number = number_of(notice.opcode);
            if packet.to.ip().is_loopback() {
                let fate = self.fates.get_mut(&number.unwrap()).unwrap();
                assert_eq!(Some(packet.to), fate.from, "nobody else's");
                match notice.kind {
                    Kind::HmAck => fate.taken += 1,
                    Kind::ServAck => fate.told += 1,
                    kind => panic!("{kind:?} for a program"),
                }
                continue;
            }
            if !self.up || packet.to != server(1) || matches!(notice.opcode, b"DETACH" | b"FLUSH") {
                continue;
            }
            if self.is_lost(10) {
                continue;
            }
            if let Some(fate) = number.and_then(|number| self.fates.get_mut(&number)) {
                fate.arrived += 1;
            }
            if !self.is_lost(20) {
                sent.extend(self.stage.answer(&packet, Kind::ServAck, b"SENT\0"));
            }
        }
        for event in std::mem::take(&mut self.stage.events) {
            if let Event::Log(LogEvent::Expired { opcode, .. }) = event
                && let Some(fate) = number_of(&opcode).and_then(|number| self.fates.get_mut(&number))
            {
                fate.expired += 1;
            }
        }
        assert_eq!(self.stage.machine.outputs(), 0, "nothing is kept twice");
        assert!(self.stage.machine.queued() <= MAX_QUEUED_PACKETS);
    }

    /// One of so many, by chance.
    fn is_lost(&mut self, of: u64) -> bool {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33).is_multiple_of(of)
    }

    /// Lets time pass.
    fn pass(&mut self, until: Duration) {
        while let Some(due) = self.stage.due.filter(|due| *due <= until) {
            self.stage.now.monotonic = self.stage.now.monotonic.max(due);
            self.stage.machine.handle(self.stage.now, Input::Timeout);
            let sent = self.stage.drain();
            self.carry(sent);
        }
        self.stage.now.monotonic = until;
    }

    /// A program sends the packet of this number.
    fn send(&mut self, number: u32) {
        let from = program(u16::try_from(number % 200).unwrap());
        let kind = [Kind::Unsafe, Kind::Unacked, Kind::Acked, Kind::Acked, Kind::Acked][number as usize % 5];
        let sent_at = self.stage.now.monotonic;
        self.fates.insert(number, Fate { from: Some(from), kind: Some(kind), sent_at, ..Fate::default() });
        let opcode = number.to_string();
        let octets = self.stage.packet(Notice { kind, port: from.port(), ..notice("message", &opcode) });
        self.octets.insert(number, octets.len());
        let sent = self.stage.give(from, &octets);
        self.carry(sent);
    }

    /// How many were told an answer, were given up, and were refused.
    fn ends(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Fate) -> bool| self.fates.values().filter(|fate| is(fate)).count();
        (
            count(|fate| fate.expired == 0 && fate.arrived > 0),
            count(|fate| fate.expired > 0),
            count(|fate| fate.arrived == 0 && fate.expired == 0),
        )
    }

    /// Each packet has ended, in one way.
    fn check(&self) {
        for (number, fate) in &self.fates {
            let acks = u32::from(fate.kind != Some(Kind::Unsafe));
            assert!(fate.taken <= acks && fate.expired <= 1, "{number}: {fate:?}");
            match fate.kind {
                Some(Kind::Acked) if fate.taken > 0 => {
                    assert_eq!(fate.told + fate.expired, 1, "one answer, or given up: {number}: {fate:?}");
                }
                Some(Kind::Acked) => {
                    assert_eq!((fate.told, fate.expired, fate.arrived), (0, 0, 0), "{number}: {fate:?}")
                }
                _ => assert_eq!(fate.told, 0, "nobody wants to know: {number}: {fate:?}"),
            }
            if acks == 1 && fate.taken == 0 {
                assert_eq!((fate.arrived, fate.expired), (0, 0), "refused is refused: {number}: {fate:?}");
            }
        }
    }
}

/// No server answers for five minutes while programs of several users send ten thousand packets. All are taken; each ends
/// by the server's answer, unless it has waited for so long that no server would believe it any more.
#[test]
fn ten_thousand_packets_through_five_minutes_all_end() {
    for servers in [1, 3] {
        let mut host = Host::new(servers);
        let start = host.stage.now.monotonic;
        host.up = false;
        for number in 0..PACKETS {
            host.pass(start + OUTAGE * number / PACKETS);
            host.send(number);
        }
        assert_eq!(host.stage.machine.queued(), PACKETS as usize, "all are kept");
        let octets: usize = host.octets.values().sum();
        assert!(octets < MAX_OCTETS, "{octets} octets");
        assert!(
            host.fates.values().all(|fate| fate.taken == u32::from(fate.kind != Some(Kind::Unsafe))),
            "and acknowledged"
        );
        host.pass(start + OUTAGE);
        host.up = true;
        host.pass(start + OUTAGE + Duration::from_secs(600));
        assert_eq!((host.stage.machine.queued(), host.stage.machine.is_looking()), (0, false));
        let (answered, expired, refused) = host.ends();
        println!("{servers} servers: {answered} answered, {expired} given up, {refused} refused");
        assert_eq!(refused, 0);
        host.check();
        // The server is found when it is greeted next, within 40 s and what chance adds; what is lost then is sent again.
        let found = start + OUTAGE + Duration::from_secs(60 * u64::from(servers) + 30);
        for (number, fate) in &host.fates {
            assert!(fate.expired == 0 || fate.sent_at + LIFE <= found, "{number} was given up too soon: {fate:?}");
        }
    }
}

/// More than is kept: nobody is told that a packet is taken that is then lost without a word.
#[test]
fn what_does_not_fit_is_refused_and_not_lost() {
    let mut host = Host::new(1);
    let start = host.stage.now.monotonic;
    host.up = false;
    let packets = u32::try_from(MAX_QUEUED_PACKETS).unwrap() + 4000;
    for number in 0..packets {
        host.pass(start + Duration::from_secs(200) * number / packets);
        host.send(number);
    }
    assert_eq!(host.stage.machine.queued(), MAX_QUEUED_PACKETS);
    let (.., refused) = host.ends();
    assert!(refused >= MAX_QUEUED_PACKETS, "nothing has arrived");
    host.up = true;
    host.pass(start + Duration::from_secs(1000));
    host.check();
    let (answered, expired, refused) = host.ends();
    println!("{answered} answered, {expired} given up, {refused} refused");
    assert_eq!(answered + expired + refused, packets as usize);
    assert!(answered >= MAX_QUEUED_PACKETS - 4000 && refused > 0 && refused <= 4000, "{answered} {expired} {refused}");
}
