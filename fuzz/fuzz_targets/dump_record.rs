//! A record of a C server's dump is read or refused; one that is read says the same after being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::Ipv4Addr;
use zephyr_core::uid::Uid;
use zephyr_engine::server::peers::c::{Record, Sender};

fuzz_target!(|octets: &[u8]| {
    let Ok(record) = Record::read(octets) else { return };
    let sender = Sender { host: b"zsrv.test", port: 2103, address: Ipv4Addr::LOCALHOST };
    let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: 1 };
    // What fits into a packet of another shape need not fit into ours.
    let Some(written) = record.write(&sender, uid) else { return };
    let again = Record::read(&written).expect("what was written can be read");
    // A key that nobody can use is none.
    if !matches!(record, Record::Client { .. }) {
        assert_eq!(again, record);
    }
});
