//! Packets to a host manager: of programs and of servers.

use super::{Case, Step};
use crate::{
    PACKETS,
    packets::{filling, message, plain, uid},
};
use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{kind::Kind, notice::Notice, time::Now};
use zephyr_engine::{
    host_manager::{Config, Done, HostManager, Job, Owner, Server, Servers},
    machine::{Input, Machine, Output},
};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), 2103);

struct Bench {
    machine: HostManager,
    now: Now,
}

/// The program at this port.
fn program(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Bench {
    /// A host manager whose server answers.
    fn new() -> Self {
        let config = Config {
            servers: Servers::new(vec![Server::at("zsrv.test", SERVER)], 1).unwrap(),
            address: Ipv4Addr::new(10, 77, 0, 9),
            port: 2104,
            version: "costs".to_owned(),
            machine: "costs".to_owned(),
            attach: true,
            refuse_flush: false,
            own_address: None,
        };
        let now = Now { monotonic: Duration::from_secs(50), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        let mut bench = Self { machine: HostManager::new(config, now), now };
        let greeting = bench.drain().remove(0);
        let notice = zephyr_core::notice::Packet::parse(&greeting).unwrap().notice;
        let answer = Notice { kind: Kind::ServAck, body: b"SENT\0", ..notice };
        bench.give(SERVER, &crate::packets::claiming_as(answer, notice.uid));
        assert!(!bench.machine.is_looking());
        bench
    }

    /// One with so many packets that wait for an answer, of as many programs.
    fn waiting(count: u16) -> Self {
        let mut bench = Self::new();
        for number in 0..count {
            bench.give(program(20_000 + number), &plain(message(), 10_000 + usize::from(number)));
        }
        bench
    }

    fn give(&mut self, from: SocketAddr, octets: &[u8]) {
        self.machine.handle(self.now, Input::Datagram { from, local: None, octets });
        self.drain();
    }

    fn drain(&mut self) -> Vec<Bytes> {
        let mut sent = Vec::new();
        loop {
            match self.machine.poll(self.now) {
                Output::Transmit(transmit) => sent.push(transmit.payload),
                Output::Job(Job::Owner(query)) => {
                    self.machine.handle(self.now, Input::Done(Done::Owner(query.answer(Owner::User(1000)))));
                }
                // As one that takes long.
                Output::Job(Job::Lookup(_) | Job::Discover) | Output::Event(_) => {}
                Output::Wait(_) => return sent,
            }
        }
    }

    fn giving(mut self, from: SocketAddr, packets: Vec<Bytes>) -> Step {
        Box::new(move |number| self.give(from, &packets[number]))
    }
}

fn packets(notice: Notice<'_>) -> Vec<Bytes> {
    (0..2 * PACKETS).map(|number| plain(notice, number)).collect()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::plain("host manager", "a message of a program", || {
            Bench::new().giving(program(40_000), packets(message()))
        }),
        Case::odd("host manager", "a message as long as can be", || {
            let body = filling(Notice { body: b"", ..message() }, "x");
            Bench::new()
                .giving(program(40_000), packets(Notice { body: body.as_bytes(), multinotice: b"", ..message() }))
        }),
        Case::odd("host manager", "a long header", || {
            let class = filling(message(), "x");
            Bench::new().giving(program(40_000), packets(Notice { class: class.as_bytes(), ..message() }))
        }),
        Case::odd("host manager", "a message while 4,000 wait", || {
            Bench::waiting(4000).giving(program(40_000), packets(message()))
        }),
        Case::odd("host manager", "a message while the queue is full", || {
            Bench::waiting(4096).giving(program(40_000), packets(message()))
        }),
        Case::odd("host manager", "the same message again while 4,000 wait", || {
            let mut bench = Bench::waiting(4000);
            let packet = plain(message(), 0);
            bench.give(program(40_000), &packet);
            bench.giving(program(40_000), vec![packet; 2 * PACKETS])
        }),
        Case::odd("host manager", "an answer of the server while 4,000 wait", || {
            let answers = (0..2 * PACKETS).map(|number| {
                let uid = uid(10_000 + number * 13);
                let answer = Notice { kind: Kind::ServAck, body: b"SENT\0", ..message() };
                crate::packets::claiming_as(answer, uid)
            });
            Bench::waiting(4000).giving(SERVER, answers.collect())
        }),
        Case::odd("host manager", "an answer to nothing", || {
            let answer = Notice { kind: Kind::ServAck, body: b"SENT\0", ..message() };
            Bench::new().giving(SERVER, packets(answer))
        }),
        Case::odd("host manager", "an answer of somebody else", || {
            let answer = Notice { kind: Kind::ServAck, body: b"SENT\0", ..message() };
            Bench::new().giving(program(40_000), packets(answer))
        }),
        Case::odd("host manager", "no packet", || {
            Bench::new().giving(program(40_000), vec![Bytes::from(vec![b'Z'; 1024]); 2 * PACKETS])
        }),
        Case::odd("host manager", "a question for statistics", || {
            let question = Notice { kind: Kind::Stat, class: b"HM_STAT", opcode: b"GIMMESTATS", ..message() };
            Bench::new().giving(program(40_000), packets(question))
        }),
        Case::odd("host manager", "an order that is none", || {
            let order = Notice { kind: Kind::HmCtl, class: b"HM_CTL", ..message() };
            let opcode = filling(order, "\u{1}");
            Bench::new().giving(program(40_000), packets(Notice { opcode: opcode.as_bytes(), ..order }))
        }),
        Case::odd("host manager", "orders for another server", || {
            let order = Notice { kind: Kind::HmCtl, class: b"HM_CTL", opcode: b"NEWSERV", ..message() };
            Bench::waiting(1000).giving(program(40_000), packets(order))
        }),
        Case::odd("host manager", "an order of the server that is none", || {
            Bench::new().giving(SERVER, packets(Notice { kind: Kind::HmCtl, class: b"HM_CTL", ..message() }))
        }),
    ]
}
