//! The golden vectors of the authentication protocol, made with the C library: every checksum, and every client packet
//! before a whole acceptor.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::{fs, path::Path, time::Duration};
use support::vectors::{REALM, Vector, keytab, later, made_at, unhex, vectors};
use zephyr_auth_krb::{Enctype, KerberosAcceptor, KeySession};
use zephyr_core::{
    auth::{Acceptor, Direction, Identity, Reason, Session, Verdict},
    notice::Packet,
};

/// The types that are only taken when asked for.
const WEAK: [i32; 2] = [16, 23];

fn with_configuration(test: &str, settings: &str, body: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    if support::is_inside() {
        return body(folder.path());
    }
    let configuration = folder.path().join("krb5.conf");
    fs::write(&configuration, format!("[libdefaults]\ndefault_realm = {REALM}\n{settings}\n")).unwrap();
    support::rerun(test, [("KRB5_CONFIG", configuration)]).unwrap();
}

const ALLOW_WEAK: &str = "allow_rc4 = true\nallow_des3 = true\nallow_weak_crypto = true";

#[test]
fn every_checksum() {
    with_configuration("every_checksum", "", |_| check_all_checksums());
}

#[test]
fn every_checksum_with_weak_types_allowed() {
    with_configuration("every_checksum_with_weak_types_allowed", ALLOW_WEAK, |_| check_all_checksums());
}

fn check_all_checksums() {
    let vectors = vectors().vectors;
    assert!(vectors.len() >= 114);
    for vector in &vectors {
        let octets = unhex(&vector.packet_hex);
        let packet = Packet::parse(&octets);
        // A broken multinotice field is refused by the receiver, not by the parser.
        assert!(packet.is_ok() || vector.parse != "ZERR_NONE", "{}", vector.name);
        let Ok(packet) = packet else { continue };
        let direction = match vector.key_usage {
            1027 => Direction::ToServer,
            1029 => Direction::ToClient,
            other => panic!("key usage {other}"),
        };
        let session = KeySession::from_raw(vector.enctype, &unhex(&vector.session_key_hex)).unwrap();
        assert_eq!(session.check(&packet, direction), vector.expect == "valid", "{}", vector.name);
    }
}

/// What the acceptor must say of a client's packet.
fn expected(vector: &Vector, packet: &Packet<'_>) -> Result<Identity, Reason> {
    let name = &vector.name;
    // Checked with the wrong usage on purpose; as a packet it is a good one.
    let is_good = vector.expect == "valid" || name.ends_with("/wrong-usage");
    match packet.notice.sender {
        // Whoever claims to be another is found out before the checksum is; and nobody is the principal "".
        b"" => Err(Reason::WrongPrincipal),
        _ if name.ends_with("/flip-sender") => Err(Reason::WrongPrincipal),
        sender if is_good => Ok(Identity::new(sender)),
        _ => Err(Reason::Checksum),
    }
}

fn judge_all(folder: &Path, weak_allowed: bool) {
    let vectors = vectors();
    let mut acceptor = KerberosAcceptor::new(Some(REALM), Some(&keytab(folder, &vectors.service_keys))).unwrap();
    if weak_allowed {
        let weak = WEAK.map(|number| Enctype::from_number(number).unwrap());
        acceptor = acceptor.permitting(&[&Enctype::DEFAULT[..], &weak].concat());
    }
    let mut authentic = 0;
    for vector in vectors.vectors.iter().filter(|vector| vector.is_from_client()) {
        let name = &vector.name;
        let octets = unhex(&vector.packet_hex);
        let packet = Packet::parse(&octets).unwrap();
        let judgement = acceptor.judge(&packet, packet.notice.sender, made_at(&packet)).unwrap();
        if !weak_allowed && WEAK.contains(&vector.enctype) {
            let Verdict::Failed(Reason::Refused(refusal)) = judgement.verdict else { panic!("{name}") };
            assert!(refusal.ends_with("which is not permitted here"), "{name}: {refusal}");
            continue;
        }
        match expected(vector, &packet) {
            Ok(identity) => {
                assert_eq!(judgement.verdict, Verdict::Authentic(identity), "{name}");
                assert!(judgement.session.unwrap().check(&packet, Direction::ToServer));
                authentic += 1;
                for (seconds, reason) in [(310, "Clock skew too great"), (100 * 3600, "Ticket expired")] {
                    let refused = Verdict::Failed(Reason::Refused(reason.to_owned()));
                    let now = later(&packet, Duration::from_secs(seconds));
                    let judgement = acceptor.judge(&packet, packet.notice.sender, now).unwrap();
                    assert_eq!(judgement.verdict, refused, "{name} {seconds} seconds later");
                    assert!(judgement.session.is_none());
                }
                let other = acceptor.judge(&packet, b"mallory@ATHENA.TEST", made_at(&packet)).unwrap();
                assert_eq!(other.verdict, Verdict::Failed(Reason::WrongPrincipal), "{name}");
            }
            Err(reason) => {
                assert_eq!(judgement.verdict, Verdict::Failed(reason), "{name}");
                assert!(judgement.session.is_none());
            }
        }
    }
    assert!(authentic >= if weak_allowed { 24 } else { 16 }, "{authentic}");
}

#[test]
fn every_client_packet_before_an_acceptor() {
    with_configuration("every_client_packet_before_an_acceptor", "", |folder| judge_all(folder, false));
}

#[test]
fn every_client_packet_before_an_acceptor_with_weak_types_allowed() {
    let name = "every_client_packet_before_an_acceptor_with_weak_types_allowed";
    with_configuration(name, ALLOW_WEAK, |folder| judge_all(folder, true));
}

/// Every octet of a good packet changed in several ways: what still parses is never authentic, and nothing panics.
#[test]
fn no_changed_packet_is_authentic() {
    with_configuration("no_changed_packet_is_authentic", "", |folder| {
        let vectors = vectors();
        let acceptor = KerberosAcceptor::new(Some(REALM), Some(&keytab(folder, &vectors.service_keys))).unwrap();
        let vector = vectors.vectors.iter().find(|vector| vector.name == "e18/c2s/personal").unwrap();
        let good = unhex(&vector.packet_hex);
        let packet = Packet::parse(&good).unwrap();
        let (sender, now) = (packet.notice.sender, made_at(&packet));
        assert!(acceptor.judge(&packet, sender, now).unwrap().verdict.is_authentic());

        let (mut changed, mut judged) = (good.clone(), 0);
        for (at, &octet) in good.iter().enumerate() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 0xFF, octet].into_iter().filter(|&change| change != 0) {
                changed[at] = octet ^ change;
                if let Ok(packet) = Packet::parse(&changed) {
                    judged += 1;
                    // As the sender it was, and as the one it now says.
                    for expected in [sender, packet.notice.sender] {
                        let judgement = acceptor.judge(&packet, expected, now).unwrap();
                        assert!(!judgement.verdict.is_authentic(), "octet {at} changed by {change:#x}");
                        assert!(judgement.session.is_none());
                    }
                }
                changed[at] = octet;
            }
        }
        for len in 0..good.len() {
            if let Ok(packet) = Packet::parse(&good[..len]) {
                assert!(!acceptor.judge(&packet, sender, now).unwrap().verdict.is_authentic(), "cut to {len} octets");
            }
        }
        assert!(judged > 4000, "only {judged} still parsed");
    });
}
