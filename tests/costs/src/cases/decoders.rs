//! Decoders of core: headers, codings, fragment spans, lists and character sets.

use super::{Case, Step};
use crate::packets::{filling, message, plain, proven};
use std::hint::black_box;
use zephyr_core::{
    body::SubscriptionList,
    charset::Charset,
    coding::{ascii, zcode},
    fragment::Span,
    limits::MAX_PACKET,
    notice::{Notice, Packet},
};

/// A header of this notice, read.
fn header(packet: impl AsRef<[u8]> + 'static) -> Step {
    Box::new(move |_| {
        let packet = Packet::parse(black_box(packet.as_ref()));
        black_box(packet.is_ok_and(|packet| Span::of(&packet).is_ok()));
    })
}

fn many_fields() -> Vec<u8> {
    let usual = plain(message(), 0);
    let mut fields: Vec<&[u8]> = usual.split(|&octet| octet == 0).take(19).collect();
    fields[1] = b"0x00000300";
    let mut packet = fields.join(&0);
    packet.resize(MAX_PACKET, 0);
    packet
}

/// A uid that is taken, so that all of it is read.
fn uid_of(text: &'static [u8]) -> Step {
    ascii::decode::<12>(text).unwrap();
    Box::new(move |_| {
        black_box(ascii::decode::<12>(black_box(text))).ok();
    })
}

/// So many subscriptions that differ in two octets.
fn entries(rest: &str, count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number:02x}{rest}\0\0").into_bytes()).collect()
}

fn list(body: Vec<u8>) -> Step {
    Box::new(move |_| {
        black_box(SubscriptionList::read(black_box(&body)));
    })
}

fn text(octets: Vec<u8>, charset: Charset) -> Step {
    Box::new(move |_| {
        black_box(charset.decode(black_box(&octets)));
    })
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::plain("header", "a message", || header(plain(message(), 0))),
        Case::odd("header", "a message with proof", || header(proven(message(), 0))),
        Case::odd("header", "one long field", || {
            let class = filling(message(), "a");
            header(plain(Notice { class: class.as_bytes(), ..message() }, 0))
        }),
        Case::odd("header", "as many fields as fit", || header(many_fields())),
        Case::odd("header", "a long number in the span", || {
            let digits = filling(message(), "1");
            header(plain(Notice { multinotice: format!("{digits}/1").as_bytes(), ..message() }, 0))
        }),
        Case::odd("header", "a version of many digits", || {
            let packet = plain(message(), 0);
            header([b"ZEPH", &b"0".repeat(600)[..], &packet[5..]].concat())
        }),
        Case::plain("coding", "a uid", || uid_of(b"0x0A000001 0x6B49D200 0x00000001")),
        Case::odd("coding", "a uid with a blank and 0x before each octet", || {
            uid_of(b" 0x0A 0x00 0x00 0x01 0x6B 0x49 0xD2 0x00 0x00 0x00 0x00 0x01")
        }),
        Case::odd("coding", "a uid of nothing but blanks", || {
            let text = b" ".repeat(MAX_PACKET);
            Box::new(move |_| {
                black_box(ascii::decode::<12>(black_box(&text))).ok();
            })
        }),
        Case::plain("zcode", "an authenticator", || {
            let text = zcode::encoded(&(0..=255).cycle().take(600).collect::<Vec<u8>>());
            Box::new(move |_| {
                black_box(zcode::decode(black_box(&text), MAX_PACKET)).ok();
            })
        }),
        Case::odd("zcode", "a packet of escapes", || {
            let text = zcode::encoded(&[0; MAX_PACKET / 2]);
            Box::new(move |_| {
                black_box(zcode::decode(black_box(&text), MAX_PACKET)).ok();
            })
        }),
        Case::plain("list", "of twenty subscriptions", || list(entries("-name\0instance", 20))),
        Case::odd("list", "of as many as fit", || list(entries("\0", MAX_PACKET / 5))),
        Case::odd("list", "that is not terminated", || list([entries("\0", 150), vec![b'x'; 270]].concat())),
        Case::plain("character set", "UTF-8", || text("Grüße ".repeat(60).into_bytes(), Charset::UTF8)),
        Case::odd("character set", "Latin-1", || text(vec![0xE9; 480], Charset::LATIN1)),
        Case::odd("character set", "octets that are no text", || text(vec![0xFF; 480], Charset::UTF8)),
    ]
}
