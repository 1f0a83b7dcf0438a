//! Folding of names, and patterns that they are compared with.

use super::{Case, Step};
use crate::packets::GROWING;
use std::hint::black_box;
use zephyr_core::{fold::FoldedName, limits::MAX_PACKET, policy::NamePattern};
use zephyr_engine::server::acl::{Acl, PrincipalPattern, Who};

/// Both names of a notice, and the rest of the packet that they leave room for is nothing.
fn folded(name: String) -> Step {
    let name = name.into_bytes();
    Box::new(move |_| {
        black_box(FoldedName::bounded(black_box(&name))).ok();
    })
}

fn filled(pattern: &str) -> Step {
    folded(pattern.repeat(MAX_PACKET / pattern.len()))
}

fn compared(pattern: &'static [u8], name: Vec<u8>) -> Step {
    let pattern = NamePattern::new(pattern);
    Box::new(move |_| {
        black_box(pattern.matches(black_box(&name)));
    })
}

fn principal(pattern: &'static [u8], name: Vec<u8>) -> Step {
    let pattern = PrincipalPattern::read(pattern).unwrap();
    Box::new(move |_| {
        black_box(pattern.matches(black_box(&name)));
    })
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        // What a packet costs besides: see the cases of the server, which fold as well.
        Case::plain("folding", "a packet of letters with accents", || filled("É")),
        Case::odd("folding", "a packet of ASCII", || filled("A")),
        Case::odd("folding", "as many as may grow eleven times", || folded(GROWING.repeat(31))),
        Case::odd("folding", "a packet of what grows eleven times", || filled(GROWING)),
        Case::odd("folding", "a packet of letters and marks", || filled("e\u{301}")),
        Case::odd("folding", "a packet of letters and marks out of order", || filled("a\u{301}\u{323}\u{328}")),
        Case::odd("folding", "a packet of marks that become two", || filled("\u{344}")),
        Case::odd("folding", "a packet of marks out of order", || filled("\u{345}\u{301}\u{323}\u{334}")),
        Case::odd("folding", "a packet of Hangul in parts", || filled("\u{1100}\u{1161}\u{11A8}")),
        Case::odd("folding", "a packet of vowels of Hangul", || filled("\u{1161}")),
        Case::odd("folding", "a packet of marks of four octets", || filled("\u{1D165}")),
        Case::odd("folding", "a packet and no text at its end", || folded("É".repeat(MAX_PACKET / 2 - 4) + "\u{FFFF}")),
        Case::plain("pattern of a class", "a usual name", || compared(b"*-private", b"project-private".to_vec())),
        Case::odd("pattern of a class", "a long name", || compared(b"*-private", b"-privat".repeat(140))),
        Case::plain("pattern of a principal", "a usual name", || principal(b"*/root", b"alice/root".to_vec())),
        Case::odd("pattern of a principal", "a long name", || principal(b"*/root", b"/roo".repeat(30))),
        Case::plain("list of rules", "a usual name", || rules(b"alice@ATHENA.TEST".to_vec())),
        Case::odd("list of rules", "a long name", || rules([&b"/roo".repeat(60)[..], b"@ATHENA.TEST"].concat())),
    ]
}

/// A list of what a domain has in its lists.
fn rules(name: Vec<u8>) -> Step {
    let acl = Acl::read(b"*/root@*\n*/admin@ATHENA.TEST\nbob@ATHENA.TEST\n!*.bad@*\n@10.0.0.0/8\n").unwrap();
    Box::new(move |_| {
        let who = Who { principal: Some(black_box(&name)), address: Some([10, 1, 2, 3].into()) };
        black_box(acl.decide(who));
    })
}
