//! The client's shell on real sockets, with a host manager and server of a few lines on the other side.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};
use zephyr_client::{
    Answer, Authentication, Client, ClientError, Options,
    engine::{Proof, Sending},
    location::{Exposure, Location},
    subscription::{Request, Subscription},
};
use zephyr_core::{
    auth::Verdict,
    fragment::Cutter,
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    names,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};
use zephyr_domain::{Backend, policy_file::PolicyFile};
use zephyr_testkit::loopback::Network;

const DEADLINE: Duration = Duration::from_secs(20);

/// What the other side does with a client's request, besides acknowledging it.
#[derive(Clone)]
enum Server {
    /// Answers with this kind and body.
    Answers(Kind, &'static [u8]),
    /// Answers SENT, and then sends the request's sender this body.
    Replies(Vec<u8>),
    /// Answers SENT; but the host manager has only just started, and must first find a server.
    Starts,
}

fn packet(notice: &Notice<'_>) -> Bytes {
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

/// A host manager with a server behind it.
struct Side {
    address: SocketAddr,
    /// The packets that came, but for questions about the host manager itself.
    requests: Arc<Mutex<Vec<Bytes>>>,
    task: JoinHandle<()>,
    /// The addresses of both sides.
    _network: Network,
}

impl Side {
    async fn new(server: Server) -> Self {
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).await.unwrap();
        let (address, requests) = (socket.local_addr().unwrap(), Arc::default());
        let task = tokio::spawn(serve(socket, server, Arc::clone(&requests)));
        Self { address, requests, task, _network: network }
    }

    fn requests(&self) -> Vec<Bytes> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, server: Server, requests: Arc<Mutex<Vec<Bytes>>>) {
    let mut buffer = [0; 2 * MAX_PACKET];
    let mut questions = 0;
    loop {
        let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
        let request = Packet::parse(&buffer[..len]).unwrap().notice;
        let ack = Notice { kind: Kind::HmAck, multinotice: b"", body: b"", ..request };
        if request.kind == Kind::Stat {
            questions += 1;
            let (version, searching) = match &server {
                // Deaf at first, then without a server, then with one.
                Server::Starts if questions == 1 => continue,
                Server::Starts if questions < 4 => ("0.1.0 (5) zephyr-rs", "yes"),
                Server::Starts => ("0.1.0 (5) zephyr-rs long-headers", "no"),
                _ => ("0.1.0 (5) zephyr-rs", "no"),
            };
            let body = format!("zsrv.athena.example\x000\x000\x000\x000\x00{version}\0{searching}\x000\x000\0x\0");
            socket.send_to(&packet(&Notice { body: body.as_bytes(), ..ack }), client).await.unwrap();
            continue;
        }
        if request.kind.is_acknowledgement() {
            continue;
        }
        requests.lock().unwrap().push(Bytes::copy_from_slice(&buffer[..len]));
        socket.send_to(&packet(&ack), client).await.unwrap();
        let (kind, body) = match &server {
            Server::Answers(kind, body) => (*kind, *body),
            Server::Replies(_) | Server::Starts => (Kind::ServAck, &b"SENT\0"[..]),
        };
        socket.send_to(&packet(&Notice { kind, body, ..ack }), client).await.unwrap();
        let Server::Replies(body) = &server else { continue };
        let mut cutter = Cutter::new(Notice { kind: Kind::Acked, body, ..ack });
        let mut write = |piece: &Notice<'_>| Ok(piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?);
        for micros in 0.. {
            let uid = Uid { micros, ..request.uid };
            let Some(piece) = cutter.next_packet(uid, &mut write).unwrap() else { break };
            socket.send_to(&piece, client).await.unwrap();
        }
    }
}

/// A client at the host manager's address.
async fn open(host_manager: SocketAddr) -> Result<Client, ClientError> {
    let IpAddr::V4(here) = host_manager.ip() else { panic!("not an IPv4 address") };
    open_at(Some(here), host_manager).await
}

async fn open_at(address: Option<Ipv4Addr>, host_manager: SocketAddr) -> Result<Client, ClientError> {
    let authentication =
        Authentication::ByPolicy { policies: PolicyFile::default(), file: None, backend: Some(Backend::NONE) };
    Client::open(Options { host_manager, address, authentication, login: Some("alice".to_owned()) }).await
}

fn message(body: &[u8]) -> Notice<'_> {
    Notice {
        kind: Kind::Acked,
        class: names::MESSAGE,
        instance: names::PERSONAL,
        recipient: b"bob",
        body,
        ..Notice::EMPTY
    }
}

#[tokio::test]
async fn the_host_manager_says_who_we_are() {
    let side = Side::new(Server::Answers(Kind::ServAck, b"SENT\0")).await;
    // Who does not say where to receive does so at every address, and finds out which to be known by. No other test sends
    // there, as each sends to addresses of its own.
    let mut client = open_at(None, side.address).await.unwrap();
    let (realm, sender) = (client.realm().to_owned(), client.sender().to_vec());
    assert_eq!(sender, format!("alice@{realm}").into_bytes());
    assert!(!realm.is_empty() && client.address().is_loopback());
    client.send(&Sending::new(message(b"Alice\0hello\n"), Proof::With)).await.unwrap();
    assert_eq!(timeout(DEADLINE, client.answer()).await.unwrap().unwrap(), Answer::Sent);
    let sent = side.requests();
    let notice = Packet::parse(&sent[0]).unwrap().notice;
    assert_eq!(notice.recipient, format!("bob@{realm}").as_bytes());
    assert_eq!((notice.sender, notice.port, notice.body), (&sender[..], client.port(), &b"Alice\0hello\n"[..]));
}

#[tokio::test]
async fn long_headers_are_used_once_the_host_manager_knows_of_them() {
    let side = Side::new(Server::Starts).await;
    let mut client = open(side.address).await.unwrap();
    let format = "x".repeat(700);
    let long = Notice { default_format: format.as_bytes(), ..message(b"hello") };
    client.send(&Sending::new(long, Proof::Without)).await.unwrap();
    assert_eq!(timeout(DEADLINE, client.answer()).await.unwrap().unwrap(), Answer::Sent);
    assert!(Packet::parse(&side.requests()[0]).unwrap().header_len() > Limits::COMPATIBLE.header);
}

#[tokio::test]
async fn headers_that_stay_too_long_are_an_error() {
    let side = Side::new(Server::Answers(Kind::ServAck, b"SENT\0")).await;
    let mut client = open(side.address).await.unwrap();
    let format = "x".repeat(700);
    let long = Notice { default_format: format.as_bytes(), ..message(b"hello") };
    let error = client.send(&Sending::new(long, Proof::Without)).await.unwrap_err();
    assert!(error.to_string().starts_with("Notice header too large"), "{error}");
    assert!(side.requests().is_empty());
}

#[tokio::test]
async fn a_long_notice_arrives_in_order() {
    let body: Vec<u8> = (0..25_000_u32).flat_map(u32::to_be_bytes).collect();
    let side = Side::new(Server::Answers(Kind::ServAck, b"LOST\0")).await;
    let mut client = open(side.address).await.unwrap();
    client.send(&Sending::new(message(&body), Proof::Without)).await.unwrap();
    assert_eq!(timeout(DEADLINE, client.answer()).await.unwrap().unwrap(), Answer::Lost);
    let packets = side.requests();
    let joined: Vec<u8> = packets.iter().flat_map(|sent| Packet::parse(sent).unwrap().notice.body.to_vec()).collect();
    assert!(joined == body && packets.iter().all(|sent| sent.len() <= MAX_PACKET));
}

#[tokio::test]
async fn long_lists_become_several_whole_requests() {
    let list: Vec<_> =
        (0..100).map(|number| Subscription::new(format!("class{number}"), "instance", "someone else")).collect();
    let side = Side::new(Server::Answers(Kind::ServAck, b"SENT\0")).await;
    let mut client = open(side.address).await.unwrap();
    timeout(DEADLINE, client.subscribe(Request::Subscribe, &list, 5555)).await.unwrap().unwrap();
    let mut classes = Vec::new();
    for sent in side.requests() {
        let notice = Packet::parse(&sent).unwrap().notice;
        assert_eq!((notice.class, notice.opcode, notice.port), (names::ZEPHYR_CTL, names::SUBSCRIBE, 5555));
        assert_eq!(notice.multinotice, format!("0/{}", notice.body.len()).as_bytes());
        for triple in notice.body.split(|&octet| octet == 0).collect::<Vec<_>>().chunks_exact(3) {
            assert_eq!(triple[2], client.sender());
            classes.push(triple[0].to_vec());
        }
    }
    assert_eq!(classes, list.into_iter().map(|wanted| wanted.class).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_subscription_that_is_too_long_is_an_error() {
    let side = Side::new(Server::Answers(Kind::ServAck, b"SENT\0")).await;
    let mut client = open(side.address).await.unwrap();
    let error = client.subscribe(Request::Subscribe, &[Subscription::new("x".repeat(2000), "", "*")], 1).await;
    assert_eq!(error.unwrap_err().to_string(), "Too many subscriptions to transmit");
}

#[tokio::test]
async fn refusals_have_names() {
    for (answer, subscribing, locating) in [
        (&b"LOST\0"[..], "SERVNAK received", "Server could not verify authentication"),
        (b"FAIL\0", "SERVNAK received", "Not logged-in"),
        (b"", "SERVNAK received", "SERVNAK received"),
    ] {
        let side = Side::new(Server::Answers(Kind::ServNak, answer)).await;
        let mut client = open(side.address).await.unwrap();
        let refused = timeout(DEADLINE, client.subscribe(Request::Subscribe, &[], 1)).await.unwrap().unwrap_err();
        assert_eq!(refused.to_string(), subscribing);
        let location = Location { host: "h".to_owned(), tty: "t".to_owned() };
        let refused = timeout(DEADLINE, client.set_location(Exposure::NetVisible, &location, 1)).await.unwrap();
        assert_eq!(refused.unwrap_err().to_string(), locating);
        let sent = side.requests();
        assert_eq!(Packet::parse(&sent[0]).unwrap().notice.body, b"", "an empty list is sent for the defaults");
        assert_eq!(Packet::parse(&sent[1]).unwrap().notice.opcode, b"NET-VISIBLE");
    }
}

#[tokio::test]
async fn subscriptions_are_listed_however_long_the_list() {
    let list: Vec<_> = (0..200).map(|number| Subscription::new(format!("class{number}"), "*", "*@ELSEWHERE")).collect();
    let body = zephyr_client::subscription::encode(&list, b"");
    let side = Side::new(Server::Replies(body)).await;
    let mut client = open(side.address).await.unwrap();
    assert_eq!(timeout(DEADLINE, client.subscriptions(0x9C40)).await.unwrap().unwrap(), list);
    assert_eq!(Packet::parse(&side.requests()[0]).unwrap().notice.body, b"0x9C40\0");
}

#[tokio::test]
async fn what_arrives_while_sending_waits_to_be_received() {
    let side = Side::new(Server::Replies(b"Bob\0hello".to_vec())).await;
    let mut client = open(side.address).await.unwrap();
    client.send(&Sending::new(message(b"hi"), Proof::Without)).await.unwrap();
    assert_eq!(client.answer().await.unwrap(), Answer::Sent);
    let arrival = timeout(DEADLINE, client.receive()).await.unwrap().unwrap();
    assert_eq!((arrival.delivered.notice().body, arrival.from), (&b"Bob\0hello"[..], side.address));
    assert_eq!(arrival.delivered.verdict(), &Verdict::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_manager_is_given_up() {
    let network = Network::claim().unwrap();
    let silent = UdpSocket::bind((network.here(), 0)).await.unwrap();
    let start = tokio::time::Instant::now();
    let error = open(silent.local_addr().unwrap()).await.err().unwrap();
    assert_eq!(error.to_string(), "Hostmanager not responding");
    assert_eq!(start.elapsed().as_secs(), 10);
}
