//! Tests with a backend that encrypts: a program gets the decrypted body.

use super::*;
use crate::client::{
    SubscriptionRequest,
    doubles::{at, notice, uid},
};
use bytes::Bytes;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::{borrow::Cow, sync::Arc};
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    coding::zcode,
    fragment::Cutter,
    notice::{Notice, Packet},
};

/// A session that encrypts bodies; the tag is in the checksum field, and the nonce is the uid.
struct Cipher(LessSafeKey);

impl Cipher {
    fn new(key: u8) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[key; 32]).unwrap()))
    }

    /// The nonce of a packet: its uid, which is unique.
    fn nonce(notice: &Notice<'_>) -> Nonce {
        Nonce::assume_unique_for_key(notice.uid.to_octets())
    }

    fn header(covered: [&[u8]; 3]) -> Aad<Vec<u8>> {
        let [before, after, _] = covered;
        Aad::from([before, after].concat())
    }
}

impl Session for Cipher {
    fn seal(&self, notice: &Notice<'_>, _: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        let header = Self::header(notice.unsealed(0, b"")?.covered());
        let mut body = notice.body.to_vec();
        let tag = self.0.seal_in_place_separate_tag(Self::nonce(notice), header, &mut body).unwrap();
        let sealed = Notice { body: &body, ..*notice };
        Ok(sealed.unsealed(0, b"")?.seal(tag.as_ref(), limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, _: Direction) -> Option<Cow<'a, [u8]>> {
        let tag = zcode::decode(packet.claim.checksum, 64).ok()?;
        let header = Self::header(packet.covered()?);
        let mut body = [packet.notice.body, &tag].concat();
        let opened = self.0.open_in_place(Self::nonce(&packet.notice), header, &mut body).ok()?;
        Some(Cow::Owned(opened.to_vec()))
    }
}

struct Encrypting;

impl Initiator for Encrypting {
    fn principal(&self) -> Result<Option<String>, AuthError> {
        Ok(Some("alice@TEST".to_owned()))
    }

    fn realm_of(&self, _: &str) -> Result<String, AuthError> {
        Ok("TEST".to_owned())
    }

    fn session(&self, _: &str) -> Result<Arc<dyn Session>, AuthError> {
        Ok(Arc::new(Cipher::new(7)))
    }
}

/// The packets of a body from a server, sealed with a key.
fn packets(key: u8, body: &[u8]) -> Vec<Bytes> {
    let session = Cipher::new(key);
    let mut cutter = Cutter::new(notice(body));
    let mut write = |piece: &Notice<'_>| session.seal(piece, Direction::ToClient, Limits::WHOLE_PACKET, at(0));
    (1..).map_while(|number| cutter.next_packet(uid(number), &mut write).unwrap()).collect()
}

#[test]
fn the_program_gets_what_was_opened() {
    let long: Vec<u8> = (0..2000_u32).flat_map(u32::to_be_bytes).collect();
    for body in [&b"Alice\0a secret"[..], b"", &long] {
        // With a key that is remembered, and with the credentials of this moment.
        for remembered in [true, false] {
            let mut harness = Harness::new(Encrypting);
            if remembered {
                let request = SubscriptionRequest::Subscribe;
                harness.begin(at(0), Operation::Subscribe { request, list: Vec::new(), port: None });
            }
            for packet in packets(7, body) {
                assert!(body.is_empty() || !packet.windows(8).any(|window| body.windows(8).next() == Some(window)));
                harness.datagram(at(0), SERVER, &packet);
            }
            let came = harness.received.pop_front().unwrap();
            assert!(came.is_authentic() && came.notice().body == body, "{} octets", body.len());
        }
    }
    let mut harness = Harness::new(Encrypting);
    harness.datagram(at(0), SERVER, &packets(7, b"Alice\0a secret")[0]);
    assert_eq!(harness.received.pop_front().unwrap().text(), "a secret");
}

#[test]
fn what_cannot_be_opened_stays_closed() {
    let mut harness = Harness::new(Encrypting);
    for packet in packets(8, b"for somebody else") {
        harness.datagram(at(0), SERVER, &packet);
    }
    let came = harness.received.pop_front().unwrap();
    assert!(!came.is_authentic() && came.notice().body != b"for somebody else");
}

#[test]
fn what_is_sent_is_sealed() {
    let mut harness = Harness::new(Encrypting);
    harness.send(at(0), Message::to_user("bob").text("a secret"));
    let sent = harness.sent.pop_front().unwrap().payload;
    let packet = Packet::parse(&sent).unwrap();
    assert_ne!(packet.notice.body, b"\0a secret");
    assert_eq!(Cipher::new(7).open(&packet, Direction::ToServer).as_deref(), Some(&b"\0a secret"[..]));
}
