//! Tests of a client on real sockets, with a fake host manager and server.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};
use zephyr_client::{
    Authentication, DeliveryStatus, Direct, Discovery, Exposure, Inbox, Location, Message, Operation, Options, Outcome,
    Raw, Result, ServerName, Subscription, SubscriptionRequest, Zephyr, blocking,
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

/// The reaction of the fake server to a client's request.
#[derive(Clone)]
enum Behaviour {
    /// Answers with this kind and body.
    Answers(Kind, &'static [u8]),
    /// Answers SENT, and then sends the request's sender this body.
    Replies(Vec<u8>),
    /// Says nothing: the host manager alone answers.
    Silent,
    /// Answers SENT; but the host manager has only just started, and must first find a server.
    Starts,
}

fn packet(notice: &Notice<'_>) -> Bytes {
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

/// A fake host manager with a server behind it.
struct FakeServer {
    address: SocketAddr,
    /// The packets received, without queries of the host manager's status.
    requests: Arc<Mutex<Vec<Bytes>>>,
    task: JoinHandle<()>,
    /// The addresses of client and server.
    _network: Network,
}

impl FakeServer {
    async fn new(behaviour: Behaviour) -> Self {
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).await.unwrap();
        let (address, requests) = (socket.local_addr().unwrap(), Arc::default());
        let task = tokio::spawn(serve(socket, behaviour, Arc::clone(&requests)));
        Self { address, requests, task, _network: network }
    }

    fn requests(&self) -> Vec<Bytes> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, behaviour: Behaviour, requests: Arc<Mutex<Vec<Bytes>>>) {
    let mut buffer = [0; 2 * MAX_PACKET];
    let mut queries = 0;
    loop {
        let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
        let request = Packet::parse(&buffer[..len]).unwrap().notice;
        let ack = Notice { kind: Kind::HmAck, multinotice: b"", body: b"", ..request };
        if request.kind == Kind::Stat {
            queries += 1;
            let (version, searching) = match &behaviour {
                // Does not answer at first; then without a server, then with one.
                Behaviour::Starts if queries == 1 => continue,
                Behaviour::Starts if queries < 4 => ("0.1.0 (5) zephyr-rs", "yes"),
                Behaviour::Starts => ("0.1.0 (5) zephyr-rs long-headers", "no"),
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
        let (kind, body) = match &behaviour {
            Behaviour::Answers(kind, body) => (*kind, *body),
            Behaviour::Silent => continue,
            Behaviour::Replies(_) | Behaviour::Starts => (Kind::ServAck, &b"SENT\0"[..]),
        };
        socket.send_to(&packet(&Notice { kind, body, ..ack }), client).await.unwrap();
        let Behaviour::Replies(body) = &behaviour else { continue };
        let mut cutter = Cutter::new(Notice { kind: Kind::Acked, sender: b"bob", body, ..ack });
        let mut write = |piece: &Notice<'_>| Ok(piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?);
        for micros in 0.. {
            let uid = Uid { micros, ..request.uid };
            let Some(piece) = cutter.next_packet(uid, &mut write).unwrap() else { break };
            socket.send_to(&piece, client).await.unwrap();
        }
    }
}

/// The options of a client at the host manager's address.
fn options(host_manager: SocketAddr) -> Options {
    let IpAddr::V4(here) = host_manager.ip() else { panic!("not an IPv4 address") };
    let authentication =
        Authentication::ByPolicy { policies: PolicyFile::default(), file: None, backend: Some(Backend::NONE) };
    let options = Options::new(host_manager, authentication);
    Options { address: Some(here), login: Some("alice".to_owned()), direct: Direct::Never, ..options }
}

/// Options of a client on a machine without a host manager, that is told of this server.
fn without_host_manager(server: SocketAddr) -> Options {
    let options = options(server);
    let closed = std::net::UdpSocket::bind((server.ip(), 0)).unwrap().local_addr().unwrap();
    let host = Network::name_of(options.address.unwrap());
    let name = ServerName { host, port: Some(server.port()) };
    let discovery = Discovery::of_names(&[name], "a test");
    Options { host_manager: closed, direct: Direct::Fallback, discovery, ..options }
}

async fn open(host_manager: SocketAddr) -> Result<(Zephyr, Inbox)> {
    options(host_manager).connect().await
}

fn message(body: &[u8]) -> Message {
    Message::to_user("bob").body(body)
}

fn subscribe(list: Vec<Subscription>, port: u16) -> Operation {
    Operation::Subscribe { request: SubscriptionRequest::Subscribe, list, port: Some(port) }
}

#[tokio::test]
async fn the_endpoint_follows_from_the_host_managers_status() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    // Without a local address, the client binds all addresses and determines its own. No other test sends to it, as each
    // sends to addresses of its own.
    let (zephyr, _) = Options { address: None, ..options(server.address) }.connect().await.unwrap();
    let (realm, sender) = (zephyr.realm(), zephyr.endpoint().sender);
    assert_eq!(sender, format!("alice@{realm}").into_bytes());
    // Where the server is, name service does not say.
    let outward = zephyr_net::address::outward().unwrap_or(Ipv4Addr::LOCALHOST);
    assert_eq!((realm.is_empty(), zephyr.address()), (false, outward));
    let mut sending = zephyr.begin(Message::to_user("bob").signature("Alice").text("hello\n"));
    timeout(DEADLINE, sending.queued()).await.unwrap().unwrap();
    let receipt = timeout(DEADLINE, sending.receipt()).await.unwrap().unwrap();
    assert_eq!((receipt.is_delivered(), receipt.text), (true, None));
    let sent = server.requests();
    let notice = Packet::parse(&sent[0]).unwrap().notice;
    assert_eq!(notice.recipient, format!("bob@{realm}").as_bytes());
    assert_eq!((notice.sender, notice.port, notice.body), (&sender[..], zephyr.port(), &b"Alice\0hello\n"[..]));
}

#[tokio::test]
async fn long_headers_are_used_once_the_host_manager_knows_of_them() {
    let server = FakeServer::new(Behaviour::Starts).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    let format = "x".repeat(700);
    let long = message(b"hello").default_format(format).authenticated(false);
    assert!(timeout(DEADLINE, zephyr.send(long)).await.unwrap().unwrap().is_delivered());
    assert!(Packet::parse(&server.requests()[0]).unwrap().header_len() > Limits::COMPATIBLE.header);
}

/// The opcodes of the requests that have reached the server, once there are so many.
async fn opcodes(server: &FakeServer, count: usize) -> Vec<String> {
    let came = async {
        while server.requests().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, came).await.unwrap();
    let opcode = |sent: &Bytes| String::from_utf8(Packet::parse(sent).unwrap().notice.opcode.to_vec()).unwrap();
    server.requests().iter().map(opcode).collect()
}

#[tokio::test]
async fn a_client_that_is_told_that_the_network_has_changed_asks_whether_it_is_known() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let options = Options { subscription_check: None, renews_tickets: false, ..options(server.address) };
    let (zephyr, _inbox) = options.clone().connect().await.unwrap();
    zephyr.subscribe(("help", "*")).await.unwrap();
    zephyr.network_changed();
    assert_eq!(opcodes(&server, 2).await, ["SUBSCRIBE_NODEFS", "UNSUBSCRIBE"]);
    let blocking = tokio::task::spawn_blocking(move || {
        let mut client = blocking::Client::connect(options).unwrap();
        client.subscribe(("help", "*")).unwrap();
        client.network_changed();
        client.receive(Duration::ZERO).unwrap();
    });
    blocking.await.unwrap();
    assert_eq!(opcodes(&server, 4).await.split_off(2), ["SUBSCRIBE_NODEFS", "UNSUBSCRIBE"]);
}

#[tokio::test]
async fn headers_that_stay_too_long_are_an_error() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    let format = "x".repeat(700);
    let long = message(b"hello").default_format(format).authenticated(false);
    let error = zephyr.send(long).await.unwrap_err();
    assert!(error.to_string().starts_with("Notice header too large"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_long_notice_arrives_in_order() {
    let body: Vec<u8> = (0..25_000_u32).flat_map(u32::to_be_bytes).collect();
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"LOST\0")).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    let receipt = timeout(DEADLINE, zephyr.send(message(&body))).await.unwrap().unwrap();
    assert_eq!(receipt.status, DeliveryStatus::NobodyThere);
    let packets = server.requests();
    let joined: Vec<u8> = packets.iter().flat_map(|sent| Packet::parse(sent).unwrap().notice.body.to_vec()).collect();
    assert!(joined == body && packets.iter().all(|sent| sent.len() <= MAX_PACKET));
}

#[tokio::test]
async fn long_lists_become_several_whole_requests() {
    let list: Vec<_> =
        (0..100).map(|number| Subscription::new(format!("class{number}"), "instance", "someone else")).collect();
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    timeout(DEADLINE, zephyr.perform(subscribe(list.clone(), 5555))).await.unwrap().unwrap();
    let mut classes = Vec::new();
    for sent in server.requests() {
        let notice = Packet::parse(&sent).unwrap().notice;
        assert_eq!((notice.class, notice.opcode, notice.port), (names::ZEPHYR_CTL, names::SUBSCRIBE, 5555));
        assert_eq!(notice.multinotice, format!("0/{}", notice.body.len()).as_bytes());
        for triple in notice.body.split(|&octet| octet == 0).collect::<Vec<_>>().chunks_exact(3) {
            assert_eq!(triple[2], zephyr.sender().as_bytes());
            classes.push(triple[0].to_vec());
        }
    }
    assert_eq!(classes, list.into_iter().map(|wanted| wanted.class).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_subscription_that_is_too_long_is_an_error() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    let error = zephyr.subscribe(("x".repeat(2000), "")).await;
    assert_eq!(error.unwrap_err().to_string(), "Too many subscriptions to transmit");
}

#[tokio::test]
async fn refusals_have_names() {
    for (answer, subscribing, locating) in [
        (&b"LOST\0"[..], "SERVNAK received", "Server could not verify authentication"),
        (b"FAIL\0", "SERVNAK received", "Not logged-in"),
        (b"", "SERVNAK received", "SERVNAK received"),
    ] {
        let server = FakeServer::new(Behaviour::Answers(Kind::ServNak, answer)).await;
        let (zephyr, _) = open(server.address).await.unwrap();
        let refused = timeout(DEADLINE, zephyr.perform(subscribe(Vec::new(), 1))).await.unwrap().unwrap_err();
        assert_eq!(refused.to_string(), subscribing);
        let location = Location { host: "h".to_owned(), tty: "t".to_owned() };
        let refused = timeout(DEADLINE, zephyr.set_location(Exposure::NetVisible, &location)).await.unwrap();
        assert_eq!(refused.unwrap_err().to_string(), locating);
        let sent = server.requests();
        assert_eq!(Packet::parse(&sent[0]).unwrap().notice.body, b"", "an empty list is sent for the defaults");
        assert_eq!(Packet::parse(&sent[1]).unwrap().notice.opcode, b"NET-VISIBLE");
    }
}

#[tokio::test]
async fn subscriptions_are_listed_however_long_the_list() {
    let list: Vec<_> = (0..200).map(|number| Subscription::new(format!("class{number}"), "*", "*@ELSEWHERE")).collect();
    let texts = list.iter().flat_map(|wanted| [&wanted.class[..], &wanted.instance, b"@ELSEWHERE"]);
    let body = zephyr_core::body::of_texts(texts);
    let server = FakeServer::new(Behaviour::Replies(body)).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    let listed = zephyr.perform(Operation::ListSubscriptions { port: Some(0x9C40) });
    assert_eq!(timeout(DEADLINE, listed).await.unwrap().unwrap(), Outcome::Subscriptions(list));
    assert_eq!(Packet::parse(&server.requests()[0]).unwrap().notice.body, b"0x9C40\0");
}

#[tokio::test]
async fn a_notice_that_arrives_while_sending_is_kept() {
    let server = FakeServer::new(Behaviour::Replies(b"Bob\0hello".to_vec())).await;
    let (zephyr, mut inbox) = open(server.address).await.unwrap();
    assert!(zephyr.send(message(b"hi")).await.unwrap().is_delivered());
    let received = timeout(DEADLINE, inbox.next()).await.unwrap().unwrap().unwrap();
    assert_eq!((received.notice().body, received.from()), (&b"Bob\0hello"[..], server.address));
    assert_eq!(received.verdict(), &Verdict::Unauthenticated);
    zephyr.close();
    assert!(timeout(DEADLINE, inbox.next()).await.unwrap().unwrap().is_none());
    assert_eq!(zephyr.send(message(b"hi")).await.unwrap_err().to_string(), "the Zephyr client was closed");
}

#[tokio::test(start_paused = true)]
async fn a_host_manager_that_does_not_answer_is_an_error() {
    let network = Network::claim().unwrap();
    let silent = UdpSocket::bind((network.here(), 0)).await.unwrap();
    let start = tokio::time::Instant::now();
    let error = open(silent.local_addr().unwrap()).await.err().unwrap();
    assert_eq!(error.to_string(), "Hostmanager not responding");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn several_messages_are_sent_at_a_time() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let (zephyr, _) = open(server.address).await.unwrap();
    let sending: Vec<_> = (0..100).map(|_| zephyr.begin(message(b"hi"))).collect();
    for sending in sending.into_iter().rev() {
        assert!(timeout(DEADLINE, sending.receipt()).await.unwrap().unwrap().is_delivered());
    }
    assert_eq!(server.requests().len(), 100);
}

#[tokio::test]
async fn in_raw_mode_acknowledgements_are_received() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServNak, b"LOST\0no\0")).await;
    let (zephyr, mut inbox) = Options { raw: true, ..options(server.address) }.connect().await.unwrap();
    let receipt = zephyr.send(message(b"hi")).await.unwrap();
    assert_eq!((receipt.is_delivered(), receipt.text.as_deref()), (false, Some("no")));
    for expected in [Kind::HmAck, Kind::ServNak] {
        let Some(Raw::Acknowledgement(came)) = inbox.next_raw().await.unwrap() else { panic!("a notice") };
        assert_eq!((came.from, came.packet.notice().kind), (server.address, expected));
    }
}

#[tokio::test]
async fn without_a_runtime() {
    let server = FakeServer::new(Behaviour::Replies(b"Bob\0hello".to_vec())).await;
    let address = server.address;
    let work = tokio::task::spawn_blocking(move || {
        let mut client = blocking::Client::connect(options(address))?;
        let id = client.begin(Operation::Send(message(b"hi")));
        client.queued(id)?;
        assert!(client.receipt(id)?.is_delivered());
        client.subscribe(("help", "*"))?;
        assert!(client.as_fd().as_raw_fd() >= 0 && client.timeout().is_none_or(|timeout| timeout <= DEADLINE * 2));
        let received = client.receive(DEADLINE)?.map(|received| received.text());
        assert!(client.finish(id).is_err(), "its outcome was asked for already");
        Result::Ok(received)
    });
    assert_eq!(timeout(DEADLINE, work).await.unwrap().unwrap().unwrap().as_deref(), Some("hello"));
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let failed = tokio::task::spawn_blocking(move || blocking::Client::connect(options(nowhere)).err().unwrap());
    assert_eq!(failed.await.unwrap().to_string(), "Invalid argument");
}

/// A program can tell its user what it waits for.
#[tokio::test]
async fn whoever_waits_without_a_runtime_learns_what_for() {
    let silent = FakeServer::new(Behaviour::Silent).await;
    let answering = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let (silent, answering) = (silent.address, answering.address);
    let work = tokio::task::spawn_blocking(move || {
        let mut hints = 0;
        let mut client = blocking::Client::connect_slowly(options(silent), Duration::ZERO, || hints += 1)?;
        let id = client.begin(Operation::Send(message(b"hi")));
        assert!(client.is_queued_within(id, DEADLINE)? && !client.is_finished_within(id, Duration::ZERO)?);
        let mut client = blocking::Client::connect_slowly(options(answering), DEADLINE, || hints += 100)?;
        let id = client.begin(Operation::Send(message(b"hi")));
        assert!(client.is_finished_within(id, DEADLINE)? && client.receipt(id)?.is_delivered());
        assert!(client.is_finished_within(id, DEADLINE).is_err(), "its outcome was asked for already");
        Result::Ok(hints)
    });
    assert_eq!(timeout(DEADLINE * 2, work).await.unwrap().unwrap().unwrap(), 1, "one hint, where it took longer");
}

/// Each packet of this flood is an event, and none of them a notice.
#[tokio::test]
async fn a_flood_does_not_keep_a_blocking_program_from_going_on() {
    let server = FakeServer::new(Behaviour::Answers(Kind::ServAck, b"SENT\0")).await;
    let address = server.address;
    let work = tokio::task::spawn_blocking(move || {
        let mut client = blocking::Client::connect(options(address))?;
        let to = SocketAddr::from((address.ip(), client.endpoint().port));
        let stranger = std::net::UdpSocket::bind((address.ip(), 0))?;
        for _ in 0..100 {
            stranger.send_to(b"nonsense", to)?;
        }
        let hello = Notice { kind: Kind::Unacked, class: b"help", body: b"hello", ..Notice::EMPTY };
        stranger.send_to(&packet(&hello), to)?;
        let first = client.receive(Duration::ZERO)?.map(|received| received.text());
        let second = client.receive(Duration::ZERO)?.map(|received| received.text());
        Result::Ok((first, second))
    });
    let (first, second) = timeout(DEADLINE, work).await.unwrap().unwrap().unwrap();
    assert_eq!((first, second.as_deref()), (None, Some("hello")));
}

#[tokio::test]
async fn without_a_host_manager_a_server_is_spoken_to() {
    let server = FakeServer::new(Behaviour::Replies(b"Bob\0hello".to_vec())).await;
    let (zephyr, mut inbox) = without_host_manager(server.address).connect().await.unwrap();
    assert!(zephyr.send(message(b"hi")).await.unwrap().is_delivered());
    let received = timeout(DEADLINE, inbox.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(received.text(), "hello");
    let spoken_to = zephyr.endpoint().server.unwrap();
    assert_eq!((spoken_to.address, &*spoken_to.source), (Some(server.address), "a test"));
    let first = server.requests()[0].clone();
    let greeting = Packet::parse(&first).unwrap().notice;
    assert_eq!((greeting.kind, greeting.opcode), (Kind::HmCtl, names::ATTACH));
    let large = "x".repeat(5 * MAX_PACKET);
    assert!(zephyr.send(message(large.as_bytes())).await.unwrap().is_delivered(), "in pieces");
}

#[tokio::test]
async fn without_a_host_manager_and_a_runtime() {
    let server = FakeServer::new(Behaviour::Replies(b"Bob\0hello".to_vec())).await;
    let options = without_host_manager(server.address);
    let work = tokio::task::spawn_blocking(move || {
        let mut client = blocking::Client::connect(options)?;
        assert!(client.send(message(b"hi"))?.is_delivered());
        Result::Ok((client.receive(DEADLINE)?.map(|received| received.text()), client.endpoint().server.is_some()))
    });
    assert_eq!(timeout(DEADLINE, work).await.unwrap().unwrap().unwrap(), (Some("hello".to_owned()), true));
}

/// Nobody is at the one port nor the other.
#[tokio::test]
async fn without_host_manager_and_server_the_error_names_both() {
    let network = Network::claim().unwrap();
    let closed = std::net::UdpSocket::bind((network.here(), 0)).unwrap().local_addr().unwrap();
    let discovery = Discovery::of_names(&[], "a test");
    let error = Options { discovery, ..without_host_manager(closed) }.connect().await.err().unwrap();
    assert_eq!(error.describe("while initializing"), "Hostmanager not responding while initializing");
    let advice = error.advice().unwrap();
    assert!(advice.contains("No host manager answers") && advice.contains("ZEPHYR_SERVERS"), "{advice}");
}
