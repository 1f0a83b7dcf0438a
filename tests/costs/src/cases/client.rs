//! Packets to the client machine: of its server, and of strangers to its port.

use super::{Case, Step};
use crate::{
    PACKETS,
    packets::{GROWING, filling, message, plain, uid},
};
use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::AuthError,
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice},
    policy::{ClassPolicy, Demand, NamePattern, Policy},
    time::Now,
};
use zephyr_engine::{
    client::{Client, Done, Endpoint, Event, Job, Settings},
    machine::{Input, Machine, Output},
};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 2103);

struct Bench {
    client: Client,
    now: Now,
}

impl Bench {
    /// A client of a user without tickets.
    fn new(policy: Policy) -> Self {
        let endpoint = Endpoint {
            realm: "ATHENA.TEST".to_owned(),
            sender: b"alice@ATHENA.TEST".to_vec(),
            limits: Limits::COMPATIBLE,
            address: Ipv4Addr::new(10, 0, 0, 5),
            port: 4321,
            host_manager: SocketAddr::from((Ipv4Addr::LOCALHOST, 2104)),
            server: None,
        };
        let now = Now { monotonic: Duration::from_secs(50), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        Self { client: Client::ready(endpoint, policy, Settings::default()), now }
    }

    fn give(&mut self, octets: &[u8]) {
        self.client.handle(self.now, Input::Datagram { from: SERVER, local: None, octets });
        loop {
            match self.client.poll(self.now) {
                Output::Job(Job::Session { .. }) => {
                    self.client.handle(self.now, Input::Done(Done::Session(Err(AuthError::NoCredentials))));
                }
                Output::Job(Job::Principal) => {
                    self.client.handle(self.now, Input::Done(Done::Principal(Ok(None))));
                }
                Output::Event(Event::Received(received)) => drop(received),
                Output::Transmit(_) | Output::Event(_) | Output::Job(_) => {}
                Output::Wait(_) => return,
            }
        }
    }

    fn giving(mut self, packets: Vec<Bytes>) -> Step {
        Box::new(move |number| self.give(&packets[number]))
    }
}

fn given(notice: Notice<'_>) -> Step {
    Bench::new(Policy::KERBEROS).giving((0..2 * PACKETS).map(|number| plain(notice, number)).collect())
}

/// A part of the notice whose first packet has this uid.
fn part(multiuid: usize, number: usize, offset: usize, total: usize, body: &[u8]) -> Bytes {
    let multinotice = format!("{offset}/{total}");
    let notice = Notice { multinotice: multinotice.as_bytes(), body, ..message() };
    let notice = Notice { uid: uid(number), multiuid: uid(multiuid), ..notice };
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::plain("client", "a message", || given(message())),
        Case::odd("client", "a message as long as can be", || {
            let body = filling(Notice { body: b"", ..message() }, "x");
            given(Notice { body: body.as_bytes(), multinotice: b"", ..message() })
        }),
        Case::odd("client", "a class that grows", || {
            let class = filling(message(), GROWING);
            given(Notice { class: class.as_bytes(), ..message() })
        }),
        Case::odd("client", "a class of marks", || {
            let class = filling(message(), "\u{345}\u{301}\u{323}\u{334}");
            given(Notice { class: class.as_bytes(), ..message() })
        }),
        Case::odd("client", "a class of marks that become two", || {
            let class = filling(message(), "\u{344}");
            given(Notice { class: class.as_bytes(), ..message() })
        }),
        Case::odd("client", "a class of letters and marks", || {
            let class = filling(message(), "e\u{301}");
            given(Notice { class: class.as_bytes(), ..message() })
        }),
        Case::odd("client", "a long class where classes have rules", || {
            let rules = ["public-*", "*-private", "x-*-log"].map(|pattern| ClassPolicy {
                classes: NamePattern::new(pattern.as_bytes()),
                send: Some(Demand::Optional),
                receive: None,
                failed_proof: None,
            });
            let class = filling(message(), "-privat");
            let notice = Notice { class: class.as_bytes(), ..message() };
            let policy = Policy { classes: rules.into(), ..Policy::KERBEROS };
            Bench::new(policy).giving((0..2 * PACKETS).map(|number| plain(notice, number)).collect())
        }),
        Case::odd("client", "the same packet again", || {
            let mut bench = Bench::new(Policy::KERBEROS);
            let packet = plain(message(), 0);
            bench.give(&packet);
            bench.giving(vec![packet; 2 * PACKETS])
        }),
        Case::odd("client", "an acknowledgement of nothing", || given(Notice { kind: Kind::ServAck, ..message() })),
        Case::odd("client", "no packet", || {
            Bench::new(Policy::KERBEROS).giving(vec![Bytes::from(vec![b'Z'; 1024]); 2 * PACKETS])
        }),
        Case::odd("client", "a claim that proves nothing", || {
            let packets = (0..2 * PACKETS).map(|number| crate::packets::proven(message(), number));
            Bench::new(Policy::KERBEROS).giving(packets.collect())
        }),
        Case::odd("client", "a part of one octet between many others", || {
            let mut bench = Bench::new(Policy::KERBEROS);
            for number in 0..8000 {
                bench.give(&part(1, 1_000 + number, 4 * number, 400_000, b"x"));
            }
            bench.giving(
                (0..2 * PACKETS).map(|number| part(1, 100_000 + number, 4 * number + 2, 400_000, b"x")).collect(),
            )
        }),
        Case::odd("client", "a part within much that has come", || {
            let mut bench = Bench::new(Policy::KERBEROS);
            for number in 0..700 {
                bench.give(&part(1, 1_000 + number, 500 * number, 400_000, &[b'x'; 500]));
            }
            bench.giving(
                (0..2 * PACKETS).map(|number| part(1, 100_000 + number, 1_000 + number, 400_000, b"y")).collect(),
            )
        }),
        Case::odd("client", "a part before much that has come", || {
            let mut bench = Bench::new(Policy::KERBEROS);
            for number in 0..700 {
                bench.give(&part(1, 1_000 + number, 399_500 - 500 * number, 400_000, &[b'x'; 500]));
            }
            bench.giving(
                (0..2 * PACKETS).map(|number| part(1, 100_000 + number, 49_999 - number, 400_000, b"y")).collect(),
            )
        }),
        Case::odd("client", "a message while many others are incomplete", || {
            let mut bench = Bench::new(Policy::KERBEROS);
            for number in 0..1400 {
                bench.give(&part(1_000 + number, 1_000 + number, 0, 2, b"x"));
            }
            bench.giving((0..2 * PACKETS).map(|number| plain(message(), number)).collect())
        }),
    ]
}
