//! A datagram is read or refused; one that is read says the same after being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_core::{
    limits::Limits,
    notice::{Notice, Packet},
};

const ROOMY: Limits = Limits { header: usize::MAX, packet: usize::MAX };

fuzz_target!(|datagram: &[u8]| {
    let Ok(packet) = Packet::parse(datagram) else { return };
    assert!(packet.header_len() + packet.notice.body.len() == datagram.len());
    if let Some(covered) = packet.covered() {
        assert!(covered.iter().map(|part| part.len()).sum::<usize>() < datagram.len());
    }
    let written = packet.notice.write(&packet.claim, ROOMY).expect("what was read can be written");
    let again = Packet::parse(&written).expect("what was written can be read");
    // More other fields than are kept lower the count; nothing else may change.
    let field_count = packet.notice.written_fields();
    assert_eq!(again.notice, Notice { field_count, ..packet.notice });
    assert_eq!(again.claim, packet.claim);
});
