//! Cost of verifying a notice whose ticket is in the cache, against a full AP-REQ verification by libkrb5, in the same
//! run.
//!
//! The C way is `krb5_rd_req` and `krb5_c_verify_checksum`, with nothing around them but the packet's decoding; its
//! keys are in memory, where C servers read a file for every notice. A table of CPU time per notice, and of how much of
//! the C way's ours is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/support/mod.rs"]
mod support;

use nix::time::{ClockId, clock_gettime};
use std::{
    hint::black_box,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{
    forge::{self, Draft, Secret},
    vectors::{self, made_at, unhex, vectors},
};
use zephyr_auth_krb::{Enctype, KerberosAcceptor, internals::Library};
use zephyr_core::{auth::Acceptor, coding::zcode, notice::Packet, time::Now};

/// Each measurement lasts about this long, and the best of some is taken: whatever else the machine does only adds.
const ROUND: Duration = Duration::from_millis(60);
const ROUNDS: usize = 15;

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Microseconds of CPU that one call takes.
fn measured(mut action: impl FnMut()) -> f64 {
    let mut calls = 16_u32;
    let took = |calls: u32, action: &mut dyn FnMut()| {
        let start = cpu();
        (0..calls).for_each(|_| action());
        cpu() - start
    };
    while took(calls, &mut action) < ROUND {
        calls *= 2;
    }
    let best = (0..ROUNDS).map(|_| took(calls, &mut action)).min().unwrap();
    best.as_secs_f64() * 1e6 / f64::from(calls)
}

fn the_c_way(library: &Library, octets: &[u8], now: Now) -> bool {
    let packet = Packet::parse(octets).unwrap();
    let request = zcode::decode(packet.claim.authenticator, 1024).unwrap();
    let proof = library.accept(&request, now).unwrap();
    let claimed = zcode::decode(packet.claim.checksum, 1024).unwrap();
    proof.client == packet.notice.sender && library.verify(&proof, &packet.covered().unwrap().concat(), &claimed)
}

fn our_way(acceptor: &KerberosAcceptor, octets: &[u8], now: Now) -> bool {
    let packet = Packet::parse(octets).unwrap();
    acceptor.judge(&packet, packet.notice.sender, now).unwrap().verdict.is_authentic()
}

/// A service with its keys, and packets for it.
struct Service {
    library: Library,
    known: KerberosAcceptor,
    new: KerberosAcceptor,
}

impl Service {
    fn new(realm: &str, keytab: &Path) -> Self {
        let acceptor = || KerberosAcceptor::new(Some(realm), Some(keytab)).unwrap();
        Self { library: Library::new(realm, keytab).unwrap(), known: acceptor(), new: acceptor().forgetting() }
    }

    fn report(&self, enctype: i32, octets: &[u8], now: Now) {
        let Self { library, known, new } = self;
        assert!(the_c_way(library, octets, now) && our_way(known, octets, now) && our_way(new, octets, now));
        let c = measured(|| assert!(black_box(the_c_way(library, black_box(octets), now))));
        let long = measured(|| assert!(black_box(our_way(new, black_box(octets), now))));
        let short = measured(|| assert!(black_box(our_way(known, black_box(octets), now))));
        let shown = |micros: f64| format!("{micros:.1} ({:.0} k/s)", 1e3 / micros);
        let name = Enctype::from_number(enctype).unwrap().to_string();
        println!("{name:<28} {:>16} {:>16} {:>18} {:>7.2}", shown(c), shown(long), shown(short), short / c);
    }
}

fn main() {
    println!("CPU per verified notice, in µs; notices per second of one core in brackets");
    println!("{:<28} {:>16} {:>16} {:>18} {:>7}", "session key", "C way", "ticket new", "ticket known", "share");
    // What C programs have sent; and for the keys that they do not know, what we make ourselves.
    let folder = tempfile::tempdir().unwrap();
    let vectors = vectors();
    let service = Service::new(vectors::REALM, &vectors::keytab(folder.path(), &vectors.service_keys));
    for enctype in [18, 17, 26, 25] {
        let name = format!("e{enctype}/c2s/personal");
        let vector = vectors.vectors.iter().find(|vector| vector.name == name).unwrap();
        let octets = unhex(&vector.packet_hex);
        service.report(enctype, &octets, made_at(&Packet::parse(&octets).unwrap()));
    }
    let (keytab, keys) = forge::keytab(folder.path());
    let service = Service::new(forge::REALM, &keytab);
    let wall = SystemTime::now();
    let now = Now { monotonic: Duration::ZERO, wall };
    for enctype in [20, 19] {
        let second = wall.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let draft = Draft::good(keys[1].clone(), Secret::of(enctype, 1), second);
        service.report(enctype, &draft.packet(&draft.request()), now);
    }
}
