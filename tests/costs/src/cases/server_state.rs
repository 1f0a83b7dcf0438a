//! Packets to a server that holds as much of their sender, and of others, as its bounds allow.

use super::{
    Case,
    server::{Bench, HERE, acknowledgement, control, location, of_host, unproven},
};
use crate::{
    PACKETS,
    packets::{SENDER, message, plain},
};
use std::net::SocketAddr;
use zephyr_core::notice::Notice;

const READER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 2104);

/// A list of so many subscriptions, from this number on, whose names are all of one length.
fn list(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).flat_map(|number| format!("c{number:05}\0i\0\0").into_bytes()).collect()
}

/// A server with a client of the sender that has so many subscriptions.
fn subscribed(count: usize) -> Bench {
    let mut bench = Bench::new(|_| ());
    for start in (0..count).step_by(50) {
        bench.subscribe(HERE, 5000, SENDER, &list(start, 50.min(count - start)), false);
    }
    bench
}

/// A server with so many clients of the sender, each with one subscription.
fn clients(count: u16) -> Bench {
    let mut bench = Bench::new(|_| ());
    for port in 0..count {
        bench.subscribe(HERE, 10_000 + port, SENDER, b"message\0*\0\0", false);
    }
    bench
}

/// A server with as many locations as a user may have.
fn located(texts: usize) -> Bench {
    let mut bench = Bench::new(|_| ());
    let body = [&b"m".repeat(texts)[..], b"\0now\0pts/1\0"].concat();
    for port in 0..64 {
        // Announced to nobody, so that it is answered LOST.
        let packet = bench.next(Notice { port: 6000 + port, body: &body, ..location(b"NET-VISIBLE") }, false);
        bench.give(HERE, &packet);
    }
    bench
}

/// So many packets, of which each ends or makes something of its own.
fn each(packet: impl Fn(usize) -> bytes::Bytes) -> Vec<bytes::Bytes> {
    (0..2 * PACKETS).map(packet).collect()
}

fn subscriptions() -> Vec<Case> {
    vec![
        Case::odd("server", "SUBSCRIBE to what is new", || {
            let mut bench = Bench::new(|_| ());
            bench.subscribe(HERE, 5000, SENDER, b"", false);
            bench.giving(each(|number| plain(control(b"SUBSCRIBE_NODEFS", &list(number * 40, 40)), number)))
        })
        .per("subscription", 40),
        Case::odd("server", "SUBSCRIBE to nothing by a client with 4,000 subscriptions", || {
            subscribed(4000).giving(unproven(control(b"SUBSCRIBE_NODEFS", b"")))
        }),
        Case::odd("server", "SUBSCRIBE by one of a principal's 1,000 clients", || {
            clients(1000).giving(unproven(Notice { port: 10_000, ..control(b"SUBSCRIBE_NODEFS", b"message\0*\0\0") }))
        }),
        Case::odd("server", "SUBSCRIBE by whose bounds are reached", || {
            clients(1024).giving(unproven(Notice { port: 9000, ..control(b"SUBSCRIBE_NODEFS", b"message\0*\0\0") }))
        }),
        Case::odd("server", "UNSUBSCRIBE of one of 4,000 subscriptions", || {
            subscribed(4000).giving(each(|number| plain(control(b"UNSUBSCRIBE", &list(number, 1)), number)))
        }),
        Case::odd("server", "UNSUBSCRIBE of 40 of 4,000 subscriptions", || {
            subscribed(4000).giving(each(|number| plain(control(b"UNSUBSCRIBE", &list(number * 40, 40)), number)))
        })
        .per("subscription", 40),
        Case::odd("server", "UNSUBSCRIBE of none of 4,000 subscriptions", || {
            subscribed(4000).giving(unproven(control(b"UNSUBSCRIBE", &list(9000, 60))))
        }),
        Case::odd("server", "CLEARSUB of 40 subscriptions", || {
            let mut bench = Bench::new(|_| ());
            for number in 0..2 * PACKETS {
                let port = 5000 + u16::try_from(number).unwrap();
                bench.subscribe(HERE, port, SENDER, &list(number * 40, 40), false);
            }
            bench.giving(each(|number| {
                let port = 5000 + u16::try_from(number).unwrap();
                plain(Notice { port, ..control(b"CLEARSUB", b"") }, number)
            }))
        })
        .per("subscription", 40),
        Case::odd("server", "GIMME of 4,000 subscriptions", || {
            subscribed(4000).giving(unproven(control(b"GIMME", b"0x1388\0")))
        })
        .per("subscription", 4000),
        Case::odd("server", "FLUSHSUBS of ten clients", || {
            let mut bench = Bench::new(|_| ());
            for number in 0..2 * PACKETS {
                let sender = format!("user{number:04}@ATHENA.TEST");
                for port in 0..10 {
                    let port = 1000 + 10 * u16::try_from(number).unwrap() + port;
                    bench.subscribe(READER, port, &sender, b"message\0*\0\0", false);
                }
            }
            bench.giving(each(|number| {
                let sender = format!("user{number:04}@ATHENA.TEST");
                plain(Notice { sender: sender.as_bytes(), ..control(b"FLUSHSUBS", b"") }, number)
            }))
        })
        .per("client", 10),
    ]
}

fn readers(count: u16) -> Bench {
    let mut bench = Bench::new(|_| ());
    for number in 0..count {
        let sender = format!("reader{number:04}@ATHENA.TEST");
        bench.subscribe(READER, 10_000 + number, &sender, b"message\0*\0\0", false);
    }
    bench
}

fn others() -> Vec<Case> {
    vec![
        Case::odd("server", "a message to 500 readers", || readers(500).giving(unproven(message()))).per("reader", 500),
        Case::odd("server", "a message to a reader for whom 1,900 wait", || {
            let mut bench = readers(1);
            for _ in 0..1900 {
                let packet = bench.next(message(), false);
                bench.give(HERE, &packet);
            }
            bench.giving(unproven(message()))
        }),
        Case::odd("server", "an acknowledgement of one of 1,900 packets", || {
            let mut bench = readers(1);
            let mut acknowledgements = Vec::new();
            for _ in 0..1900 {
                let packet = bench.next(message(), false);
                let sent = bench.give(HERE, &packet);
                acknowledgements.extend(sent.iter().filter(|sent| sent.to.port() == 10_000).map(acknowledgement));
            }
            let client = SocketAddr::new(READER.ip(), 10_000);
            bench.giving_from(vec![client; 2 * PACKETS], acknowledgements.split_off(1900 - 2 * PACKETS))
        }),
        Case::odd("server", "LOGIN of somebody with 64 locations", || {
            located(4).giving(unproven(Notice { port: 6000, ..location(b"NET-VISIBLE") }))
        }),
        Case::odd("server", "LOGIN of somebody with too many locations", || {
            located(4).giving(unproven(Notice { port: 7000, ..location(b"NET-VISIBLE") }))
        }),
        Case::odd("server", "USER_LOGOUT of the wrong place, with 64 locations", || {
            located(4).giving(unproven(Notice { port: 7000, ..location(b"USER_LOGOUT") }))
        }),
        Case::odd("server", "LOCATE of somebody with 64 locations", || {
            let locate = Notice { class: b"USER_LOCATE", body: b"", ..location(b"LOCATE") };
            located(600).giving(unproven(locate))
        })
        .per("location", 64),
        Case::odd("server", "BOOT of a host that may not be flushed again", || {
            let mut bench = clients(100);
            let other = SocketAddr::from(([10, 0, 0, 3], 2104));
            bench.subscribe(other, 5000, SENDER, b"message\0*\0\0", false);
            for _ in 0..100 {
                let packet = bench.next(of_host(b"BOOT"), false);
                bench.give(HERE, &packet);
            }
            for port in 0..100 {
                bench.subscribe(HERE, 10_000 + port, SENDER, b"message\0*\0\0", false);
            }
            bench.giving(unproven(of_host(b"BOOT")))
        }),
    ]
}

/// Notices of one address that may be under way at a time.
const UNDER_WAY: usize = 1024;
/// Senders enough for them.
const SENDERS: usize = 8;

fn waiting() -> Vec<Case> {
    vec![Case::odd("server", "a packet that waits", || {
        // One packet is on its way, and its reader does not acknowledge it.
        let mut bench = Bench::new(|config| config.in_flight = 1);
        bench.subscribe(READER, 10_000, "reader@ATHENA.TEST", b"message\0*\0\0", false);
        for number in 0..=UNDER_WAY {
            let sender = format!("sender{}@ATHENA.TEST", number % SENDERS);
            let packet = bench.next(Notice { sender: sender.as_bytes(), ..message() }, true);
            bench.give(HERE, &packet);
        }
        let packet = bench.next(message(), false);
        bench.give(HERE, &packet);
        assert!(bench.waiting() > 0, "packets wait before they are looked at");
        bench.giving(unproven(message()))
    })]
}

pub(super) fn cases() -> Vec<Case> {
    [subscriptions(), others(), waiting()].into_iter().flatten().collect()
}
