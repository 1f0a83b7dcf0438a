//! Servers with streams on a loopback network, and strangers who speak TCP by hand.

use bytes::Bytes;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use zephyr_core::{auth::Service, framing};
use zephyr_daemons::zephyrd::streams::{Limits, Options, Streams};
use zephyr_domain::{AcceptorOptions, Backend};
use zephyr_engine::server::{
    Belief,
    peers::stream::{StreamEvent, StreamId, StreamOrder},
};
use zephyr_net::clock::Clock;
use zephyr_testkit::loopback::Network;

/// How long what must come may take. Only tests that fail wait so long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
/// The stream that a test's connector numbers.
pub(crate) const ONE: StreamId = StreamId(1);
/// What servers without Kerberos say to each other at first.
pub(crate) const NO_PROOF: &[u8] = b"no proof";

/// A time that a test need not wait long for. Nothing that must succeed is limited by it.
const SHORT: Duration = Duration::from_millis(300);

/// The limits of servers who wait only a moment for a proof.
pub(crate) const SHORT_HANDSHAKE: Limits = Limits { handshake: SHORT, ..Limits::USUAL };
/// And of servers who wait longer than any test.
pub(crate) const LONG_HANDSHAKE: Limits = Limits { handshake: Duration::from_secs(3600), ..Limits::USUAL };
/// For who an offer is made to, and for its proof.
pub(crate) const SHORT_OFFER: Limits = Limits { offer: SHORT, handshake: SHORT, ..Limits::USUAL };
/// For an open stream to go on.
pub(crate) const SHORT_STALL: Limits = Limits { stall: SHORT, ..Limits::USUAL };

pub(crate) fn without_authentication() -> Arc<dyn Service> {
    Backend::NONE.service(&AcceptorOptions::default()).unwrap()
}

/// A server's streams, and where it listens.
pub(crate) struct Host {
    pub(crate) streams: Streams,
    pub(crate) address: SocketAddr,
}

impl Host {
    /// One that believes addresses, with the usual limits.
    pub(crate) fn new(network: &Network, number: u8) -> Self {
        Self::with(network, number, without_authentication(), Belief::Addresses, Limits::USUAL)
    }

    pub(crate) fn with(
        network: &Network,
        number: u8,
        service: Arc<dyn Service>,
        belief: Belief,
        limits: Limits,
    ) -> Self {
        let own = IpAddr::from(network.host(number));
        let listener = TcpListener::bind((own, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut streams = Streams::new(Options { service, belief, own, clock: Clock::new(), limits });
        streams.listen(Some(listener));
        Self { streams, address }
    }

    /// The same, which lets in the servers at these addresses.
    pub(crate) fn letting_in(mut self, peers: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        self.streams.set_peers(peers.into_iter().map(IpAddr::from).collect());
        self
    }

    pub(crate) async fn next(&mut self) -> StreamEvent {
        timeout(TIMEOUT, self.streams.next()).await.expect("something happens")
    }

    /// The next event that is not about what was sent.
    pub(crate) async fn next_but_drained(&mut self) -> StreamEvent {
        loop {
            match self.next().await {
                StreamEvent::Drained { .. } => {}
                event => return event,
            }
        }
    }

    pub(crate) async fn next_record(&mut self) -> Bytes {
        match self.next_but_drained().await {
            StreamEvent::Record { record, .. } => record,
            other => panic!("{other:?}"),
        }
    }

    /// Why the stream is closed, which is the next that is told.
    pub(crate) async fn closed(&mut self, of: StreamId) -> String {
        match self.next_but_drained().await {
            StreamEvent::Closed { stream, why } if stream == of => why,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn connect(&mut self, to: SocketAddr) {
        self.streams.order(StreamOrder::Connect { stream: ONE, to });
    }

    pub(crate) fn send(&mut self, stream: StreamId, record: &[u8]) {
        self.streams.order(StreamOrder::Send { stream, record: Bytes::copy_from_slice(record) });
    }

    pub(crate) fn close(&mut self, stream: StreamId) {
        self.streams.order(StreamOrder::Close { stream });
    }
}

/// Connects two servers; the stream as the one sees it that was connected to.
pub(crate) async fn connected(one: &mut Host, other: &mut Host) -> StreamId {
    one.connect(other.address);
    accepted(one, other).await
}

/// As [`connected`], after the order to connect.
pub(crate) async fn accepted(one: &mut Host, other: &mut Host) -> StreamId {
    assert_eq!(one.next().await, StreamEvent::Open { stream: ONE });
    one.send(ONE, b"hello");
    assert_eq!(one.next().await, StreamEvent::Drained { stream: ONE, octets: 5 });
    let StreamEvent::Accepted { stream, from } = other.next().await else { panic!("nobody connects") };
    assert_eq!(from, one.address.ip());
    assert!(stream >= StreamId::FIRST_OF_OTHERS);
    let record = Bytes::from_static(b"hello");
    assert_eq!(other.next().await, StreamEvent::Record { stream, record });
    stream
}

/// A connection that somebody makes by hand.
pub(crate) struct Stranger(pub(crate) TcpStream);

impl Stranger {
    pub(crate) async fn connect(from: Ipv4Addr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        Self(socket.connect(to).await.unwrap())
    }

    pub(crate) async fn say(&mut self, octets: &[u8]) {
        // The other end may have had enough already.
        let _ = self.0.write_all(octets).await;
    }

    /// What the other end still says, until it closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        let _ = timeout(TIMEOUT, self.0.read_to_end(&mut said)).await.expect("it is closed");
        said
    }

    /// Does what a server without authentication does to connect, with this first record.
    pub(crate) async fn introduce(&mut self, first: &[u8]) {
        self.say(&framing::token(NO_PROOF)).await;
        let mut answer = vec![0; framing::token(NO_PROOF).len()];
        self.0.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, framing::token(NO_PROOF));
        self.say(&framing::record(first).unwrap()).await;
    }
}
