//! Whoever has many readers, and readers who do not acknowledge: nobody else waits for them.

use crate::stage::*;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice},
    policy::Policy,
};
use zephyr_engine::server::{Bounds, acknowledgements_in_flight};

/// The receive buffer that Linux gives a socket by itself, in octets.
const RECEIVE_BUFFER: usize = 212_992;
/// The longest that a delivery may wait for others: somewhat more than what a packet in flight may take.
const SOON: Duration = Duration::from_millis(25);
/// Clients of one host, in these tests.
const PER_HOST: usize = 4000;

/// Where the notices to many come from.
fn crowd_host() -> SocketAddr {
    here()
}

/// Readers of class `all` who acknowledge never or late, and a reader of class `quiet` who acknowledges at once.
struct Crowd {
    stage: Stage,
    /// Whether what is sent is proven.
    proof: Proof,
    /// How long after a delivery its reader acknowledges it; never without.
    late: Option<Duration>,
    /// Acknowledgements on their way.
    on_their_way: VecDeque<(Duration, SocketAddr, Bytes)>,
    /// Bodies of what class `quiet` has received, and answers that its sender has, with when.
    read: Vec<(Duration, String)>,
    answered: Vec<(Duration, String)>,
    /// Deliveries to the crowd: to whom, and the body.
    crowd: Vec<(SocketAddr, String)>,
}

fn reader(number: usize) -> SocketAddr {
    let host = u8::try_from(10 + number / PER_HOST).unwrap();
    SocketAddr::from((crate::stage::host(host), u16::try_from(10_000 + number % PER_HOST).unwrap()))
}

fn quiet() -> SocketAddr {
    at(there(), 5000)
}

impl Crowd {
    fn new(readers: usize, late: Option<Duration>) -> Self {
        let bounds = Bounds { deliveries_per_second: 1_000_000, delivery_burst: 1_000_000, ..Bounds::default() };
        let mut stage = Stage::with(|config| {
            config.policy = Policy::OPEN;
            config.bounds = bounds;
            config.in_flight = acknowledgements_in_flight(RECEIVE_BUFFER);
        });
        let subscribe = |stage: &mut Stage, at: SocketAddr, body: &[u8]| {
            let sender = format!("reader{}-{}", at.ip(), at.port() / 1000);
            let notice = Notice { port: at.port(), ..control("SUBSCRIBE_NODEFS", &sender, body) };
            assert_eq!(stage.send(SocketAddr::new(at.ip(), 2104), notice, No)[0].answer(), "SERVACK SENT");
        };
        (0..readers).for_each(|number| subscribe(&mut stage, reader(number), b"all\0*\0\0"));
        subscribe(&mut stage, quiet(), b"quiet\0*\0\0");
        stage.changes.clear();
        Self {
            stage,
            proof: No,
            late,
            on_their_way: VecDeque::new(),
            read: Vec::new(),
            answered: Vec::new(),
            crowd: Vec::new(),
        }
    }

    fn send(&mut self, from: SocketAddr, class: &str, body: &str) {
        let sent = Notice { body: body.as_bytes(), ..notice(class, "x", "", "somebody") };
        let octets = self.stage.packet(sent, self.proof);
        self.stage.engine.give(self.stage.now, from, &octets, self.proof);
        self.drain();
    }

    fn drain(&mut self) {
        let before = self.stage.engine.queue_lengths().readers;
        let (received, _) = self.stage.engine.drain(self.stage.now);
        let now = self.stage.now.monotonic;
        let mut acknowledged = false;
        for packet in received {
            let notice = packet.notice();
            if matches!(notice.kind, Kind::ServAck | Kind::ServNak) {
                self.answered.push((now, packet.answer()));
                continue;
            }
            let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
            let ack = ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
            if packet.to == quiet() {
                self.read.push((now, packet.body()));
                self.stage.engine.give(self.stage.now, packet.to, &ack, No);
                acknowledged = true;
            } else {
                self.crowd.push((packet.to, packet.body()));
                let late = self.late.map(|late| (now + late, packet.to, ack));
                self.on_their_way.extend(late);
            }
        }
        // It may have gone on only a part of the way.
        if acknowledged || self.stage.engine.queue_lengths().readers < before {
            self.drain();
        }
    }

    /// Lets time pass; whatever is due happens when it is due.
    fn pass(&mut self, time: Duration) {
        let end = self.stage.now.monotonic + time;
        loop {
            let timeout = self.stage.engine.next_timeout(self.stage.now);
            let arrival = self.on_their_way.front().map(|(at, ..)| *at);
            let next = [timeout, arrival].into_iter().flatten().min().filter(|next| *next <= end).unwrap_or(end);
            let next = next.max(self.stage.now.monotonic);
            self.stage.now.wall += next - self.stage.now.monotonic;
            self.stage.now.monotonic = next;
            while let Some((_, from, ack)) = self.on_their_way.pop_front_if(|(at, ..)| *at <= next) {
                self.stage.engine.give(self.stage.now, from, &ack, No);
                self.drain();
            }
            self.stage.engine.timeout(self.stage.now);
            self.drain();
            let timeout = self.stage.engine.next_timeout(self.stage.now);
            if next == end && timeout.is_none_or(|timeout| timeout > end) {
                return;
            }
        }
    }

    /// Sends a notice of class `quiet`: how long it takes until it is there, and until its sender knows.
    fn takes(&mut self, from: SocketAddr, body: &str) -> [Duration; 2] {
        let start = self.stage.now.monotonic;
        let (read, answered) = (self.read.len(), self.answered.len());
        self.send(from, "quiet", body);
        for _ in 0..60_000 {
            if self.read.len() > read && self.answered.len() > answered {
                break;
            }
            self.pass(Duration::from_millis(1));
        }
        let (at, received) = self.read.get(read).expect("it is read");
        assert_eq!(received, body);
        let (answered_at, answer) = self.answered.last().expect("it is answered");
        assert_eq!(answer, "SERVACK SENT");
        [*at - start, *answered_at - start]
    }
}

/// A host that has nothing to do with it.
fn bystander() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 99, 0, 7), 2104))
}

#[test]
fn who_is_alone_waits_for_nobody() {
    let mut crowd = Crowd::new(10, None);
    assert_eq!(crowd.takes(bystander(), "hello"), [Duration::ZERO; 2]);
}

#[test]
fn a_notice_to_many_who_never_acknowledge_holds_up_nobody() {
    const READERS: usize = 2500;
    let mut crowd = Crowd::new(READERS, None);
    crowd.send(crowd_host(), "all", "to everybody");
    for number in 0..50 {
        // Both from elsewhere and from the very host.
        for from in [bystander(), at(crowd_host(), 2104)] {
            let takes = crowd.takes(from, &format!("hello {number}"));
            assert!(takes.iter().all(|takes| *takes <= SOON), "{number}: {takes:?} from {from}");
        }
        crowd.pass(Duration::from_millis(50));
    }
    crowd.pass(Duration::from_secs(4));
    let mut reached: Vec<SocketAddr> = crowd.crowd.iter().map(|(to, _)| *to).collect();
    reached.sort_unstable();
    reached.dedup();
    assert_eq!(reached.len(), READERS, "everybody gets it all the same");
}

#[test]
fn forged_acknowledgements_do_not_change_that() {
    let mut crowd = Crowd::new(2000, Some(Duration::from_millis(3)));
    for number in 0..10 {
        crowd.send(crowd_host(), "all", "again");
        // From now on nobody acknowledges, and then somebody does it in their name.
        crowd.late = if number % 2 == 0 { None } else { Some(Duration::from_millis(3)) };
        let takes = crowd.takes(bystander(), &format!("hello {number}"));
        assert!(takes.iter().all(|takes| *takes <= SOON), "{number}: {takes:?}");
        crowd.pass(Duration::from_millis(300));
    }
}

#[test]
fn readers_who_acknowledge_late_hold_up_nobody() {
    let mut crowd = Crowd::new(1000, Some(Duration::from_millis(2600)));
    for number in 0..60 {
        crowd.send(crowd_host(), "all", "late");
        let takes = crowd.takes(bystander(), &format!("hello {number}"));
        assert!(takes.iter().all(|takes| *takes <= SOON), "{number}: {takes:?}");
        crowd.pass(Duration::from_millis(100));
    }
}

#[test]
fn many_notices_to_readers_who_never_acknowledge_hold_up_nobody() {
    let mut crowd = Crowd::new(2000, None);
    for number in 0..300 {
        // Each from another address.
        let from = SocketAddr::from((Ipv4Addr::new(10, 98, 0, u8::try_from(number % 200).unwrap()), 2104));
        crowd.send(from, "all", &format!("flood {number}"));
    }
    for number in 0..10 {
        let takes = crowd.takes(bystander(), &format!("hello {number}"));
        // More than two hundred take turns now, and so few may be on their way at once.
        assert!(takes.iter().all(|takes| *takes <= Duration::from_millis(250)), "{number}: {takes:?}");
    }
}

#[test]
fn everybody_receives_the_notices_of_one_source_in_their_order() {
    const READERS: usize = 300;
    let mut crowd = Crowd::new(READERS, Some(Duration::from_millis(30)));
    for number in 0..20 {
        crowd.send(crowd_host(), "all", &format!("{number:02}"));
    }
    crowd.pass(Duration::from_secs(30));
    for number in 0..READERS {
        let to = reader(number);
        let mut bodies: Vec<&str> =
            crowd.crowd.iter().filter(|(at, _)| *at == to).map(|(_, body)| body.as_str()).collect();
        assert_eq!(bodies.len(), 20, "each once: they acknowledge before it would be sent again");
        assert!(bodies.is_sorted(), "{bodies:?}");
        bodies.dedup();
        assert_eq!(bodies.len(), 20);
    }
}

#[test]
fn a_flood_to_readers_who_are_not_there_leaves_their_own_host_alone() {
    let mut crowd = Crowd::new(1000, None);
    crowd.send(crowd_host(), "all", "to everybody");
    crowd.pass(Duration::from_secs(10));
    for number in 0..200 {
        crowd.send(crowd_host(), "all", &format!("flood {number}"));
        crowd.pass(Duration::from_millis(20));
    }
    for number in 0..5 {
        let takes = crowd.takes(crowd_host(), &format!("hello {number}"));
        assert!(takes.iter().all(|takes| *takes <= SOON), "{number}: {takes:?}");
    }
}

#[test]
fn one_of_many_readers_gets_other_notices_in_time_and_in_their_order() {
    let mut crowd = Crowd::new(2000, None);
    let subscribe = Notice { port: quiet().port(), ..control("SUBSCRIBE_NODEFS", "reader", b"all\0*\0\0") };
    let owner = format!("reader{}-{}", quiet().ip(), quiet().port() / 1000);
    crowd.stage.send(at(quiet(), 2104), Notice { sender: owner.as_bytes(), ..subscribe }, No);
    for number in 0..3 {
        crowd.send(crowd_host(), "all", &format!("to everybody {number}"));
    }
    crowd.send(crowd_host(), "quiet", "to few");
    crowd.pass(4 * SOON);
    let read: Vec<&str> = crowd.read.iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(read, ["to everybody 0", "to everybody 1", "to everybody 2", "to few"]);
}

#[test]
fn who_proves_himself_does_not_wait_for_others_of_his_host() {
    let mut crowd = Crowd::new(1000, None);
    for number in 0..100 {
        crowd.send(crowd_host(), "all", &number.to_string());
    }
    crowd.proof = Yes;
    let [read, answered] = crowd.takes(crowd_host(), "hello");
    assert!(read <= SOON && answered <= SOON, "{read:?} {answered:?}");
}
