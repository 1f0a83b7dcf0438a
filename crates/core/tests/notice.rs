//! Parsing undoes formatting, whatever the notice; and no input makes the parser panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use proptest::{collection::vec, prelude::*};
use std::net::{IpAddr, Ipv4Addr};
use zephyr_core::{
    charset::Charset,
    coding::zcode,
    kind::Kind,
    limits::Limits,
    notice::{Claim, FormatError, Notice, Packet, ParseError},
    uid::Uid,
};

/// Roomier than the wire, so that every notice of these tests can be written.
const ROOMY: Limits = Limits { header: 100_000, packet: 200_000 };

/// What a notice borrows from.
#[derive(Debug)]
struct Parts {
    numbers: (u32, u16, u16, u32, i32),
    uids: [[u8; 12]; 2],
    address: IpAddr,
    texts: Vec<Vec<u8>>,
    other: Vec<Vec<u8>>,
    field_count: u32,
    body: Vec<u8>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let text = || vec(1_u8..=255, 0..12);
    (
        (any::<u32>(), any::<u16>(), any::<u16>(), any::<u32>(), any::<i32>()),
        any::<[[u8; 12]; 2]>(),
        prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)],
        vec(text(), 9),
        vec(text(), 0..10),
        0_u32..40,
        vec(any::<u8>(), 0..200),
    )
        .prop_map(|(numbers, uids, address, texts, other, field_count, body)| Parts {
            numbers,
            uids,
            address,
            texts,
            other,
            field_count,
            body,
        })
}

impl Parts {
    fn notice(&self) -> Notice<'_> {
        Notice {
            field_count: self.field_count,
            kind: Kind::from(self.numbers.0),
            uid: Uid::from(self.uids[0]),
            port: self.numbers.1,
            class: &self.texts[0],
            instance: &self.texts[1],
            opcode: &self.texts[2],
            sender: &self.texts[3],
            recipient: &self.texts[4],
            default_format: &self.texts[5],
            multinotice: &self.texts[6],
            multiuid: Uid::from(self.uids[1]),
            address: self.address,
            charset: Charset(self.numbers.2),
            other: self.other.iter().map(Vec::as_slice).collect(),
            body: &self.body,
        }
    }

    fn claim(&self) -> Claim<'_> {
        let (_, _, _, auth, authent_len) = self.numbers;
        Claim { auth, authent_len, authenticator: &self.texts[7], checksum: &self.texts[8] }
    }

    /// The notice as a reader sees it when only `fields` header fields are written.
    fn as_read(&self, fields: u32) -> (Notice<'_>, Claim<'_>) {
        let (notice, claim) = (self.notice(), self.claim());
        let text = |index, text| if fields > index { text } else { &b""[..] };
        let read = Notice {
            field_count: fields,
            class: text(8, notice.class),
            instance: text(9, notice.instance),
            opcode: text(10, notice.opcode),
            sender: text(11, notice.sender),
            recipient: text(12, notice.recipient),
            default_format: text(13, notice.default_format),
            multinotice: text(15, notice.multinotice),
            multiuid: if fields > 16 { notice.multiuid } else { notice.uid },
            address: if fields > 17 { notice.address } else { IpAddr::V4(notice.uid.address) },
            charset: if fields > 18 { notice.charset } else { Charset::UNKNOWN },
            other: notice.other.as_slice().iter().copied().take(fields.saturating_sub(19) as usize).collect(),
            ..notice
        };
        (read, Claim { checksum: text(14, claim.checksum), ..claim })
    }
}

proptest! {
    #[test]
    fn reading_undoes_writing(parts in parts()) {
        let notice = parts.notice();
        let octets = notice.write(&parts.claim(), ROOMY).unwrap();
        let packet = Packet::parse(&octets).unwrap();
        let (read, claim) = parts.as_read(notice.written_fields());
        prop_assert_eq!(packet.notice, read);
        prop_assert_eq!(packet.claim, claim);
        prop_assert_eq!(packet.header_len() + read.body.len(), octets.len());
        prop_assert_eq!(packet.notice.write(&packet.claim, ROOMY).unwrap(), octets, "and writing undoes reading");
    }

    #[test]
    fn what_is_sealed_is_what_a_reader_sees_covered(parts in parts(), checksum in vec(any::<u8>(), 0..24)) {
        let notice = parts.notice();
        match notice.unsealed(7, b"Zticket") {
            Err(error) => prop_assert_eq!(error, FormatError::Unprovable(notice.written_fields())),
            Ok(unsealed) => {
                let covered = unsealed.covered().concat();
                let octets = unsealed.seal(&checksum, ROOMY).unwrap();
                let packet = Packet::parse(&octets).unwrap();
                prop_assert_eq!(packet.covered().unwrap().concat(), covered);
                prop_assert_eq!(zcode::decode(packet.claim.checksum, 24).unwrap(), checksum);
                prop_assert_eq!((packet.claim.auth, packet.claim.authent_len), (1, 7));
            }
        }
    }

    #[test]
    fn every_octet_but_the_checksum_is_covered(parts in parts(), place: prop::sample::Index) {
        let octets = parts.notice().write(&parts.claim(), ROOMY).unwrap();
        let packet = Packet::parse(&octets).unwrap();
        if let Some(covered) = packet.covered() {
            prop_assert_eq!(covered.concat().len() + packet.claim.checksum.len() + 1, octets.len());
            // A changed octet leaves what is covered as it was only if it belongs to the checksum.
            let place = place.index(octets.len());
            let mut changed = octets.to_vec();
            changed[place] ^= 1;
            if let Ok(packet) = Packet::parse(&changed)
                && packet.covered().is_some_and(|now| now.concat() == covered.concat())
            {
                let before = covered[0].len();
                prop_assert!((before..=before + parts.claim().checksum.len()).contains(&place));
            }
        }
    }

    #[test]
    fn no_octets_make_reading_panic(octets in vec(any::<u8>(), 0..300)) {
        let _ = Packet::parse(&octets);
    }

    #[test]
    fn no_damage_makes_reading_panic(parts in parts(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
                                     cut: prop::sample::Index) {
        let mut octets = parts.notice().write(&parts.claim(), ROOMY).unwrap().to_vec();
        for (place, octet) in changes {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        octets.truncate(cut.index(octets.len() + 1));
        if let Ok(packet) = Packet::parse(&octets) {
            prop_assert!(packet.header_len() <= octets.len());
        }
    }
}

#[test]
fn a_fresh_notice_is_written_as_released_programs_write_it() {
    let uid = Uid { address: Ipv4Addr::new(10, 77, 0, 1), seconds: 0x6B02_C9AA, micros: 0x0009_1668 };
    let notice = Notice {
        port: 0x978B,
        uid,
        multiuid: uid,
        class: b"c",
        sender: b"alice@ATHENA.TEST",
        recipient: b"joe@ATHENA.TEST",
        address: Ipv4Addr::new(10, 77, 0xFF, 0).into(),
        body: b"m",
        ..Notice::EMPTY
    };
    let uid = "0x0A4D0001 0x6B02C9AA 0x00091668";
    let header = [
        "ZEPH0.2",
        "0x00000013",
        "0x00000000",
        uid,
        "0x978B",
        "0x00000000",
        "0x00000000",
        "",
        "c",
        "",
        "",
        "alice@ATHENA.TEST",
        "joe@ATHENA.TEST",
        "",
        "0x00000000",
        "",
        uid,
    ];
    let expected = [header.join("\0").as_bytes(), b"\0Z\x0A\x4D\xFF\xF1\xFF\xF0\x000x0000\0m"].concat();
    assert_eq!(notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), expected);
}

#[test]
fn limits_and_bad_texts_are_refused() {
    let long = [b'x'; 800];
    let header = Notice { default_format: &long, ..Notice::EMPTY };
    let len = header.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap().len();
    assert_eq!(header.write(&Claim::NONE, Limits::COMPATIBLE), Err(FormatError::HeaderTooLong { len, limit: 832 }));
    let body = Notice { body: &[b'x'; 900], ..Notice::EMPTY };
    assert!(matches!(
        body.write(&Claim::NONE, Limits::COMPATIBLE),
        Err(FormatError::PacketTooLong { limit: 1024, .. })
    ));
    let nul = Notice { class: b"a\0b", ..Notice::EMPTY };
    assert_eq!(nul.write(&Claim::NONE, Limits::COMPATIBLE), Err(FormatError::NulInField));
}

#[test]
fn a_count_of_billions_costs_nothing() {
    let mut octets = Notice::EMPTY.write(&Claim::NONE, ROOMY).unwrap().to_vec();
    for count in ["0x7FFFFFFF", "0xFFFFFFFF", "0x80000000"] {
        octets[8..18].copy_from_slice(count.as_bytes());
        assert!(matches!(Packet::parse(&octets), Err(ParseError::EndOfHeader(_) | ParseError::TooFewFields(_))));
    }
}
