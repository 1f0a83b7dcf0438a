//! Tests with a KDC that does not answer: a client on real sockets goes on receiving.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};
use zephyr_client::{Authentication, Inbox, Message, Options, Zephyr};
use zephyr_core::{
    auth::{AuthError, Direction, Initiator, Session},
    coding::zcode,
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    notice::{Claim, Notice, Packet},
    policy::Policy,
    time::Now,
    uid::Uid,
};
use zephyr_testkit::loopback::Network;

const DEADLINE: Duration = Duration::from_secs(20);

/// A session whose checksum is a hash.
struct Key;

impl Session for Key {
    fn seal(&self, notice: &Notice<'_>, way: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        let unsealed = notice.unsealed(0, b"")?;
        let checksum = checksum(unsealed.covered(), way);
        Ok(unsealed.seal(&checksum, limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, way: Direction) -> Option<Cow<'a, [u8]>> {
        let claimed = zcode::decode(packet.claim.checksum, 8).ok()?;
        (claimed == checksum(packet.covered()?, way)).then_some(Cow::Borrowed(packet.notice.body))
    }
}

fn checksum(covered: [&[u8]; 3], way: Direction) -> [u8; 8] {
    let mut hash = DefaultHasher::new();
    (way, covered.concat()).hash(&mut hash);
    hash.finish().to_be_bytes()
}

/// A KDC that answers once, and from then on only when the test releases an answer.
struct Kdc {
    requests: AtomicUsize,
    answers: Mutex<Receiver<()>>,
}

impl Initiator for Kdc {
    fn principal(&self) -> Result<Option<String>, AuthError> {
        Ok(Some("alice@TEST".to_owned()))
    }

    fn realm_of(&self, _: &str) -> Result<String, AuthError> {
        Ok("TEST".to_owned())
    }

    fn session(&self, _: &str) -> Result<Arc<dyn Session>, AuthError> {
        if self.requests.fetch_add(1, Ordering::SeqCst) > 0 {
            self.answers.lock().unwrap().recv().unwrap();
        }
        Ok(Arc::new(Key))
    }
}

fn write(notice: &Notice<'_>) -> Bytes {
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

/// Acknowledges everything, as a host manager and as a server.
async fn acknowledge(socket: Arc<UdpSocket>) {
    let mut buffer = [0; MAX_PACKET];
    loop {
        let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
        let request = Packet::parse(buffer.get(..len).unwrap()).unwrap().notice;
        if request.kind.is_acknowledgement() {
            continue;
        }
        let status = b"localhost\x000\x000\x000\x000\x000.1.0\0no\x00";
        let body = if request.kind == Kind::Stat { &status[..] } else { b"" };
        let answer = Notice { kind: Kind::HmAck, multinotice: b"", body, ..request };
        socket.send_to(&write(&answer), client).await.unwrap();
        let answer = Notice { kind: Kind::ServAck, body: b"SENT\0", ..answer };
        socket.send_to(&write(&answer), client).await.unwrap();
    }
}

struct Harness {
    zephyr: Zephyr,
    inbox: Inbox,
    kdc: Arc<Kdc>,
    release: Sender<()>,
    server: Arc<UdpSocket>,
    network: Network,
}

impl Harness {
    async fn new() -> Self {
        let network = Network::claim().unwrap();
        let server = Arc::new(UdpSocket::bind((network.here(), 0)).await.unwrap());
        tokio::spawn(acknowledge(Arc::clone(&server)));
        let (release, answers) = channel();
        let kdc = Arc::new(Kdc { requests: AtomicUsize::new(0), answers: Mutex::new(answers) });
        let initiator: Arc<dyn Initiator> = kdc.clone();
        let policy = Box::new(Policy::KERBEROS);
        let options = Options::new(server.local_addr().unwrap(), Authentication::Given { initiator, policy });
        // The watch over the tickets would ask the KDC, too.
        let options = Options { address: Some(network.here()), renews_tickets: false, ..options };
        let (zephyr, inbox) = options.connect().await.unwrap();
        zephyr.subscribe(("help", "*")).await.unwrap();
        Self { zephyr, inbox, kdc, release, server, network }
    }

    /// A notice to the client: sealed with the key that it has subscribed with, or plain.
    async fn deliver(&self, number: u32, sealed: bool) {
        let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: number };
        let body = number.to_be_bytes();
        let kind = Kind::Acked;
        let notice =
            Notice { kind, uid, multiuid: uid, class: b"help", sender: b"bob@TEST", body: &body, ..Notice::EMPTY };
        let now = Now { monotonic: Duration::ZERO, wall: std::time::UNIX_EPOCH };
        let packet = match sealed {
            true => Key.seal(&notice, Direction::ToClient, Limits::WHOLE_PACKET, now).unwrap(),
            false => write(&notice),
        };
        let client = SocketAddr::from((self.network.here(), self.zephyr.port()));
        self.server.send_to(&packet, client).await.unwrap();
    }
}

#[tokio::test]
async fn a_hundred_notices_come_while_the_kdc_is_silent() {
    let mut harness = Harness::new().await;
    let sending = harness.zephyr.begin(Message::to_user("bob").text("hi"));
    while harness.kdc.requests.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for number in 0..100 {
        harness.deliver(number, number % 2 == 0).await;
        let came = timeout(DEADLINE, harness.inbox.next()).await.unwrap().unwrap().unwrap();
        assert_eq!((came.notice().body, came.is_authentic()), (&number.to_be_bytes()[..], number % 2 == 0));
    }
    harness.release.send(()).unwrap();
    assert!(timeout(DEADLINE, sending.receipt()).await.unwrap().unwrap().is_delivered());
    assert_eq!(harness.kdc.requests.load(Ordering::SeqCst), 2);
}
