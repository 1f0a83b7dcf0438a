//! What is decoded of a proof before a key is used, and of what a key has opened.

use super::{Case, Step};
use std::hint::black_box;
use zephyr_auth_krb::internals::{authenticator, inspect, parts};

const REALM: &[u8] = b"ATHENA.TEST";

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let length = match contents.len() {
        0..=0x7F => vec![low],
        0x80..=0xFF => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], &length[..], contents].concat()
}

/// An AP-REQ with a service of so many components.
fn request(components: usize, cipher: usize) -> Vec<u8> {
    let encrypted = |kvno: &[u8], cipher: &[u8]| {
        let cipher = element(0xA2, &element(0x04, cipher));
        element(0x30, &[b"\xa0\x03\x02\x01\x12", kvno, &cipher].concat())
    };
    let names = element(0xA1, &element(0x30, &b"\x1b\x06zephyr".repeat(components)));
    let name = element(0xA2, &element(0x30, &[&b"\xa0\x03\x02\x01\x01"[..], &names].concat()));
    let realm = element(0xA1, &element(0x1B, REALM));
    let ticket = element(0xA3, &encrypted(b"\xa1\x03\x02\x01\x03", &vec![0x5A; cipher]));
    let ticket = element(0x30, &[b"\xa0\x03\x02\x01\x05", &realm[..], &name, &ticket].concat());
    let ticket = element(0xA3, &element(0x61, &ticket));
    let authenticator = element(0xA4, &encrypted(b"", &[0xA5; 90]));
    let beginning = b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\xa2\x07\x03\x05\0\0\0\0\0";
    element(0x6E, &element(0x30, &[&beginning[..], &ticket, &authenticator].concat()))
}

fn looked_at(request: Vec<u8>) -> Step {
    Box::new(move |_| {
        black_box(parts(black_box(&request)));
        black_box(inspect(black_box(&request), REALM)).ok();
    })
}

fn opened(plain: Vec<u8>) -> Step {
    Box::new(move |_| {
        black_box(authenticator(black_box(&plain)));
    })
}

const AUTHENTICATOR: &[u8] = b"\x62\x41\x30\x3f\xa0\x03\x02\x01\x05\xa1\x0d\x1b\x0bZEPHYR.TEST\xa2\x10\x30\x0e\xa0\x03\x02\x01\x01\xa1\x07\x30\x05\x1b\x03bob\
    \xa4\x04\x02\x02\x01\x00\xa5\x11\x18\x0f20270115080000Z";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::plain("AP-REQ", "of a user", || looked_at(request(2, 150))),
        Case::odd("AP-REQ", "a long ticket", || looked_at(request(2, 600))),
        Case::odd("AP-REQ", "a name of many parts", || looked_at(request(75, 1))),
        Case::odd("AP-REQ", "deeply nested", || {
            looked_at((0..240).fold(vec![0x05, 0x00], |inner, _| element(0x30, &inner)))
        }),
        Case::odd("AP-REQ", "a length in many octets", || {
            looked_at([&[0x6E, 0xFE][..], &[0; 125], &[0x30; 600]].concat())
        }),
        Case::odd("AP-REQ", "cut off", || {
            let mut request = request(2, 600);
            request.truncate(700);
            looked_at(request)
        }),
        Case::plain("authenticator", "of a user", || opened(AUTHENTICATOR.to_vec())),
        Case::odd("authenticator", "of many parts", || {
            opened(element(0x62, &element(0x30, &AUTHENTICATOR[4..].repeat(11))))
        }),
    ]
}
