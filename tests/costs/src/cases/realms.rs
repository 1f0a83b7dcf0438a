//! Packets from a server of another realm.

use super::{
    Case, Step,
    server::{Bench, different, unproven, with_proof},
};
use crate::packets::message;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use zephyr_core::notice::Notice;
use zephyr_engine::server::{NeighbourRealm, RealmServer};

/// The server of the other realm.
const OTHER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 2103);
/// Entries of a list that fills a packet with its proof.
const ENTRIES: usize = 60;

/// A server that knows another realm.
fn bench() -> Bench {
    Bench::new(|config| {
        let server = RealmServer { name: "z.other.test".to_owned(), addresses: vec![OTHER], sends: true };
        config.neighbours.realms = vec![NeighbourRealm { name: b"OTHER.TEST"[..].into(), servers: vec![server] }];
    })
}

fn of_realm(opcode: &'static [u8], body: &[u8], proof: bool) -> Step {
    giving(Notice { class: b"ZEPHYR_CTL", instance: b"REALM", opcode, body, ..from_realm() }, proof)
}

fn from_realm() -> Notice<'static> {
    Notice { port: 2103, sender: b"eve@OTHER.TEST", default_format: b"", multinotice: b"", ..message() }
}

fn giving(notice: Notice<'_>, proof: bool) -> Step {
    let packets = if proof { with_proof(notice) } else { unproven(notice) };
    bench().giving_from(vec![OTHER; packets.len()], packets)
}

/// A list of subscriptions of a client.
fn list(count: usize) -> Vec<u8> {
    [&b"10.1.0.9\x000x1388\0"[..], &different(count)].concat()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::odd("server", "REQ_SUBSCRIBE of another realm", || of_realm(b"REQ_SUBSCRIBE", &list(1), true)),
        Case::odd("server", "REQ_SUBSCRIBE of another realm, as long as can be", || {
            of_realm(b"REQ_SUBSCRIBE", &list(ENTRIES), true)
        })
        .per("subscription", ENTRIES),
        Case::odd("server", "REQ_SUBSCRIBE of another realm without proof", || {
            of_realm(b"REQ_SUBSCRIBE", &list(ENTRIES), false)
        }),
        Case::odd("server", "ADD_SUBSCRIBE that nobody asked for, as long as can be", || {
            of_realm(b"ADD_SUBSCRIBE", &list(ENTRIES), true)
        }),
        Case::odd("server", "RLM_UNSUBSCRIBE of nothing, as long as can be", || {
            of_realm(b"RLM_UNSUBSCRIBE", &different(ENTRIES), true)
        }),
        Case::odd("server", "ANS_LOCATE that nobody asked for", || {
            let body = "machine\0time\0tty\0".repeat(20);
            let notice = Notice { class: b"USER_LOCATE", instance: b"sender@ATHENA.TEST", ..from_realm() };
            giving(Notice { opcode: b"ANS_LOCATE", body: body.as_bytes(), ..notice }, true)
        }),
        Case::odd("server", "REQ_LOCATE of nobody", || {
            let notice = Notice { class: b"USER_LOCATE", instance: b"nobody@ATHENA.TEST", ..from_realm() };
            giving(Notice { opcode: b"REQ_LOCATE", body: b"", ..notice }, true)
        }),
    ]
}
