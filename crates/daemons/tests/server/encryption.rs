//! An encrypting backend: the server decrypts what came, and encrypts it anew for each reader.

use crate::stage::{ALICE, BOB, control, here, notice, there};
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::{
    borrow::Cow,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Direction, Identity, Judgement, Reason, Session, Verdict},
    coding::zcode,
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    policy::Policy,
    realm::Realms,
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    machine::{Input, Machine, Output},
    server::{Bounds, Config, Done, Job, Neighbours, ProbeSecret, Server, ServerId, Verified, acl::Rules},
};

/// A key that encrypts bodies; the tag stands where others have a checksum.
struct Encrypting([u8; 32]);

/// Octets of a tag.
const TAG: usize = 16;

impl Encrypting {
    fn of(person: &[u8]) -> Self {
        let mut key = [7; 32];
        key.iter_mut().zip(person).for_each(|(octet, name)| *octet ^= name);
        Self(key)
    }

    fn key(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).unwrap())
    }

    /// No two packets have one uid, and each direction has a nonce of its own.
    fn nonce(uid: Uid, direction: Direction) -> Nonce {
        let mut nonce = uid.to_octets();
        nonce[0] ^= u8::from(direction == Direction::ToClient);
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Session for Encrypting {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        let mut body = notice.body.to_vec();
        // What the header says is proven as well.
        let [head, tail, _] = notice.unsealed(0, b"")?.covered().map(<[u8]>::to_vec);
        let aad = Aad::from([head, tail].concat());
        let tag = self.key().seal_in_place_separate_tag(Self::nonce(notice.uid, direction), aad, &mut body).unwrap();
        Ok(Notice { body: &body, ..*notice }.unsealed(0, b"")?.seal(tag.as_ref(), limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        let tag = zcode::decode(packet.claim.checksum, TAG).ok()?;
        let [head, tail, body] = packet.covered()?;
        let mut text = [body, &tag].concat();
        let aad = Aad::from([head, tail].concat());
        let len = self.key().open_in_place(Self::nonce(packet.notice.uid, direction), aad, &mut text).ok()?.len();
        text.truncate(len);
        Some(Cow::Owned(text))
    }
}

/// What the server's side of the backend says.
fn judge(packet: &Packet<'_>) -> Judgement {
    let sender = packet.notice.sender;
    let session = Encrypting::of(sender);
    match session.open(packet, Direction::ToServer) {
        _ if packet.claim.auth == 0 => Judgement::bare(Verdict::Unauthenticated),
        None => Judgement::bare(Verdict::Failed(Reason::Checksum)),
        Some(body) => {
            let opened = Some(Bytes::from(body.into_owned()));
            Judgement { opened, ..Judgement::authentic(Identity::new(sender), Arc::new(session)) }
        }
    }
}

const NOW: Now = Now { monotonic: Duration::from_secs(5), wall: UNIX_EPOCH };

fn server() -> Server {
    let config = Config {
        host: "zsrv.test".to_owned(),
        address: Ipv4Addr::new(10, 0, 0, 1),
        port: 2103,
        version: "test".to_owned(),
        realms: Realms::local_only(b"ATHENA.TEST"),
        policy: Policy::KERBEROS,
        rules: Arc::new(Rules::default()),
        host_manager_port: 2104,
        probe_secret: ProbeSecret::new(&[7; 32]),
        bounds: Bounds::default(),
        neighbours: Neighbours::default(),
        id: ServerId(1),
        in_flight: 100,
    };
    Server::new(config, NOW)
}

/// Sends a packet; what the server sends then, and where to.
fn give(server: &mut Server, from: SocketAddr, octets: &[u8]) -> Vec<(SocketAddr, Bytes)> {
    server.handle(NOW, Input::Datagram { from, local: None, octets });
    let mut sent = Vec::new();
    loop {
        match server.poll(NOW) {
            Output::Transmit(transmit) => {
                let notice = Packet::parse(&transmit.payload).unwrap().notice;
                if notice.opcode == b"PROBE" {
                    let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
                    let octets = ack.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
                    server.handle(NOW, Input::Datagram { from: transmit.to, local: None, octets: &octets });
                } else {
                    sent.push((transmit.to, transmit.payload));
                }
            }
            Output::Job(Job::Verify(job)) => {
                let result = Ok(judge(&job.packet.packet()));
                server.handle(NOW, Input::Done(Done::Verified(Verified { id: job.id, result })));
            }
            Output::Event(_) | Output::Job(_) => {}
            Output::Wait(_) => return sent,
        }
    }
}

fn sealed(person: &str, number: u32, notice: Notice<'_>) -> Bytes {
    let uid = Uid { address: Ipv4Addr::new(10, 0, 0, 9), seconds: 1, micros: number };
    let notice = Notice { uid, multiuid: uid, ..notice };
    Encrypting::of(person.as_bytes()).seal(&notice, Direction::ToServer, Limits::COMPATIBLE, NOW).unwrap()
}

#[test]
fn what_is_encrypted_for_the_server_is_encrypted_anew_for_each_reader() {
    let mut server = server();
    let subscription = sealed(ALICE, 1, control("SUBSCRIBE_NODEFS", ALICE, b"secret\0*\0\0"));
    assert!(!subscription.windows(6).any(|window| window == b"secret"), "the list is encrypted");
    let answer = give(&mut server, there(), &subscription);
    assert_eq!(Packet::parse(&answer[0].1).unwrap().notice.body, b"SENT\0");

    let text = b"meet me at noon";
    let message = sealed(BOB, 2, Notice { body: text, ..notice("secret", "x", "", BOB) });
    let hidden = |octets: &[u8]| !octets.windows(text.len()).any(|window| window == text);
    assert!(hidden(&message));
    let sent = give(&mut server, here(), &message);
    let (to, delivery) = &sent[0];
    assert_eq!(*to, SocketAddr::new(there().ip(), 5000));
    assert!(hidden(delivery), "nobody on the way reads it");
    let packet = Packet::parse(delivery).unwrap();
    let opened = Encrypting::of(ALICE.as_bytes()).open(&packet, Direction::ToClient);
    assert_eq!(opened.as_deref(), Some(&text[..]), "the reader does");
    assert!(Encrypting::of(BOB.as_bytes()).open(&packet, Direction::ToClient).is_none(), "nobody else does");
}

#[test]
fn what_was_changed_on_its_way_is_not_opened() {
    let mut server = server();
    give(&mut server, there(), &sealed(ALICE, 1, control("SUBSCRIBE_NODEFS", ALICE, b"secret\0*\0\0")));
    let message = sealed(BOB, 2, Notice { body: b"meet me", ..notice("secret", "x", "", BOB) });
    let mut changed = message.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let sent = give(&mut server, here(), &changed);
    let packet = Packet::parse(&sent[0].1).unwrap();
    assert_eq!(packet.claim.auth, Claim::NONE.auth, "shown as what proves nothing");
    assert_ne!(packet.notice.body, b"meet me");
    assert_eq!(server.counters().failed_checksum, 1);
}
