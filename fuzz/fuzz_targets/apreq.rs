//! AP-REQ messages are accepted or refused; whenever the short parser finds the ticket of one that was accepted, the
//! strict parser accepts it, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_auth_krb::internals::{inspect, parts};

const REALM: &[u8] = b"ATHENA.TEST";

const BEGINNING: &[u8] = b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\xa2\x07\x03\x05\0\0\0\0\0";

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).expect("short enough").to_be_bytes();
    let length = match contents.len() {
        0..=0x7F => vec![low],
        0x80..=0xFF => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], &length[..], contents].concat()
}

/// The ticket of an AP-REQ with an authenticator that the strict look takes.
fn with_plain_authenticator(ticket: &[u8]) -> Vec<u8> {
    const AUTHENTICATOR: &[u8] = b"\xa4\x10\x30\x0e\xa0\x03\x02\x01\x12\xa2\x07\x04\x05abcde";
    element(0x6E, &element(0x30, &[BEGINNING, &element(0xA3, ticket), AUTHENTICATOR].concat()))
}

fn good() -> Vec<u8> {
    let encrypted = |kvno: &[u8], cipher: &[u8]| {
        let cipher = element(0xA2, &element(0x04, cipher));
        element(0x30, &[b"\xa0\x03\x02\x01\x12", kvno, &cipher].concat())
    };
    let name = b"\xa2\x1b\x30\x19\xa0\x03\x02\x01\x01\xa1\x12\x30\x10\x1b\x06zephyr\x1b\x06zephyr";
    let realm = element(0xA1, &element(0x1B, REALM));
    let ticket = element(0xA3, &encrypted(b"\xa1\x03\x02\x01\x03", &[0x5A; 150]));
    let ticket = element(0x30, &[b"\xa0\x03\x02\x01\x05", &realm[..], name, &ticket].concat());
    let ticket = element(0xA3, &element(0x61, &ticket));
    let authenticator = element(0xA4, &encrypted(b"", &[0xA5; 90]));
    element(0x6E, &element(0x30, &[BEGINNING, &ticket, &authenticator].concat()))
}

/// Either any octets, or a good one with some octets changed.
fn meant(input: &[u8]) -> Vec<u8> {
    let Some((b'=', changes)) = input.split_first().map(|(first, rest)| (*first, rest)) else { return input.to_vec() };
    let mut octets = good();
    for change in changes.as_chunks::<3>().0 {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % octets.len();
        octets[at] = change[2];
    }
    octets
}

fuzz_target!(|input: &[u8]| {
    assert!(inspect(&good(), REALM).is_ok());
    let octets = &*meant(input);
    let taken = inspect(octets, REALM);
    let Some((ticket, enctype, cipher)) = parts(octets) else { return };
    assert!(!cipher.is_empty());
    if let Ok((_, session)) = taken {
        assert_eq!(session, enctype);
    } else {
        assert!(inspect(&with_plain_authenticator(ticket), REALM).is_err(), "the short look takes too much");
    }
});
