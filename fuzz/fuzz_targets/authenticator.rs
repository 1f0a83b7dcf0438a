//! A decrypted authenticator is parsed or left to libkrb5; what is parsed is really in there. And whatever is decrypted
//! was encrypted with the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_auth_krb::internals::{authenticator, decrypt};

fn good() -> Vec<u8> {
    b"\x62\x41\x30\x3f\xa0\x03\x02\x01\x05\xa1\x0d\x1b\x0bZEPHYR.TEST\xa2\x10\x30\x0e\xa0\x03\x02\x01\x01\xa1\x07\x30\x05\x1b\x03bob\
        \xa4\x04\x02\x02\x01\x00\xa5\x11\x18\x0f20270115080000Z"
        .to_vec()
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
    assert!(authenticator(&good()).is_some());
    let octets = &*meant(input);
    if let Some((realm, name, _)) = authenticator(octets) {
        for part in [realm, name] {
            assert!(part.is_empty() || octets.windows(part.len()).any(|window| window == part));
        }
        // Every octet counts: without its last, or with one more, it is not one.
        assert!(authenticator(&octets[..octets.len() - 1]).is_none());
        assert!(authenticator(&[octets, b"\0"].concat()).is_none());
    }
    for (enctype, len) in [(17, 16), (18, 32), (19, 16), (20, 32)] {
        assert!(decrypt(enctype, &vec![7; len], 11, octets).is_none());
    }
});
