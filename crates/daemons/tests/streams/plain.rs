//! Streams of servers without authentication: everything but the proof.

use crate::stage::{
    Host, LONG_HANDSHAKE, ONE, SHORT_HANDSHAKE, SHORT_STALL, Stranger, TIMEOUT, accepted, connected,
    without_authentication,
};
use std::time::Duration;
use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};
use zephyr_daemons::zephyrd::streams::Limits;
use zephyr_engine::server::{
    Belief,
    peers::stream::{MAX_RECORD, StreamEvent, StreamId, StreamOrder},
};
use zephyr_testkit::loopback::Network;

fn two(network: &Network) -> (Host, Host) {
    let [one, other] = [1, 2].map(|number| Host::new(network, number));
    (one.letting_in([network.host(2)]), other.letting_in([network.host(1)]))
}

#[tokio::test]
async fn records_go_both_ways_in_their_order() {
    let network = Network::claim().unwrap();
    let (mut one, mut other) = two(&network);
    let theirs = connected(&mut one, &mut other).await;
    let record = |number: usize| vec![u8::try_from(number % 256).unwrap(); 1 + number * (MAX_RECORD - 1) / 999];
    let mut sent = 0;
    for number in 0..1000 {
        one.send(ONE, &record(number));
        other.send(theirs, &record(999 - number));
        sent += record(number).len();
    }
    let (mut came, mut drained) = (0, 0);
    let at_one = async {
        while came < 1000 || drained < sent {
            match one.next().await {
                StreamEvent::Record { stream: ONE, record: theirs } => {
                    assert_eq!(theirs, record(999 - came), "{came}");
                    came += 1;
                }
                StreamEvent::Drained { stream: ONE, octets } => drained += octets,
                unexpected => panic!("{unexpected:?}"),
            }
        }
    };
    let at_other = async {
        for number in 0..1000 {
            assert_eq!(other.next_record().await, record(number), "{number}");
        }
    };
    tokio::join!(at_one, at_other);
    assert_eq!((came, drained), (1000, sent));
}

#[tokio::test]
async fn what_was_to_be_sent_is_sent_before_a_stream_closes() {
    let network = Network::claim().unwrap();
    let (mut one, mut other) = two(&network);
    let theirs = connected(&mut one, &mut other).await;
    for _ in 0..500 {
        one.send(ONE, &[7; MAX_RECORD]);
        // Nobody reads these any more, which takes nothing from those.
        other.send(theirs, &[8; MAX_RECORD]);
    }
    one.close(ONE);
    one.send(ONE, b"too late");
    let at_other = async {
        for _ in 0..500 {
            assert_eq!(other.next_record().await, [7; MAX_RECORD][..]);
        }
        assert_eq!(other.closed(theirs).await, "the other end has closed it");
    };
    tokio::select! {
        event = one.streams.next() => panic!("of a closed stream nothing is told: {event:?}"),
        () = at_other => {}
    }
    other.send(theirs, b"nobody is there");
    let other_stream = StreamId(2);
    one.streams.order(StreamOrder::Connect { stream: other_stream, to: other.address });
    assert_eq!(one.next().await, StreamEvent::Open { stream: other_stream });
}

#[tokio::test]
async fn a_server_that_ends_sends_what_was_to_be_sent() {
    let network = Network::claim().unwrap();
    let (mut one, mut other) = two(&network);
    let theirs = connected(&mut one, &mut other).await;
    for _ in 0..500 {
        one.send(ONE, &[7; MAX_RECORD]);
    }
    let taken = tokio::spawn(async move {
        for _ in 0..500 {
            assert_eq!(other.next_record().await, [7; MAX_RECORD][..]);
        }
        other.closed(theirs).await
    });
    one.streams.finish().await;
    assert_eq!(taken.await.unwrap(), "the other end has closed it");
}

#[tokio::test]
async fn orders_for_unknown_streams_are_left_alone() {
    let network = Network::claim().unwrap();
    let (mut one, mut other) = two(&network);
    for unknown in [StreamId(7), StreamId::FIRST_OF_OTHERS] {
        one.send(unknown, b"x");
        one.close(unknown);
    }
    one.connect(other.address);
    // Not open yet.
    one.send(ONE, b"too early");
    // Nor a second time.
    one.connect(other.address);
    accepted(&mut one, &mut other).await;
}

#[tokio::test]
async fn nobody_is_there() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1);
    let nobody = std::net::TcpListener::bind((network.host(9), 0)).unwrap().local_addr().unwrap();
    one.connect(nobody);
    let why = one.closed(ONE).await;
    assert_eq!(why, format!("cannot connect to {nobody}: Connection refused"));
}

/// Who listens and says nothing is given up after its time, and the server goes on meanwhile.
#[tokio::test]
async fn a_silent_listener() {
    let network = Network::claim().unwrap();
    let mut one = Host::with(&network, 1, without_authentication(), Belief::Addresses, SHORT_HANDSHAKE);
    let silent = TcpListener::bind((network.host(9), 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    one.connect(address);
    let why = one.closed(ONE).await;
    assert_eq!(why, format!("{address}: nothing was proven within 0 seconds"));
}

#[tokio::test]
async fn what_a_listener_says_instead_of_an_answer() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1);
    let listener = TcpListener::bind((network.host(9), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    for (answer, why) in [
        (&b"220 mail.example.org ESMTP\r\n"[..], "what came begins no connection between servers"),
        (b"V5-8 no proof!", "the other end has closed it"),
        (b"V5-9 no proof!", "the other server has another authentication backend than none"),
        (b"V5-99999999999999 ", "a token of 99999999999999 octets, not of 1 to 16384"),
        (b"V5-16384 and then not so many", "the other end has closed it in the middle"),
        (b"V5", "the other end has closed it in the middle"),
        (b"", "the other end has closed it in the middle"),
    ] {
        one.connect(address);
        let (mut stream, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), one.address.ip(), "it connects from its own address");
        let mut token = [0; 13];
        stream.read_exact(&mut token).await.unwrap();
        assert_eq!(&token, b"V5-8 no proof");
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        if answer.ends_with(b"proof!") && answer.contains(&b'8') {
            // An answer it is, and half of a record after it.
            assert_eq!(one.next().await, StreamEvent::Open { stream: ONE });
            assert_eq!(one.closed(ONE).await, "the other end has closed it in the middle");
        } else {
            assert_eq!(one.closed(ONE).await, format!("{address}: {why}"), "{}", answer.escape_ascii());
        }
    }
}

/// Only servers of the realm are listened to. Whoever else comes is sent away, whatever he says.
#[tokio::test]
async fn who_is_no_server_is_not_let_in() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1).letting_in([network.host(2)]);
    let mut stranger = Stranger::connect(network.host(3), one.address).await;
    stranger.say(b"V5-8 no proof\0\x05hello").await;
    assert_eq!(stranger.rest().await, b"");

    // Who was one is sent away when he is none any more.
    let mut other = Host::new(&network, 2).letting_in([network.host(1)]);
    let theirs = connected(&mut other, &mut one).await;
    let mut waiting = Stranger::connect(network.host(2), one.address).await;
    let mut one = one.letting_in([network.host(3)]);
    assert_eq!(one.closed(theirs).await, "it is of no server of this realm any more");
    assert!(!other.closed(ONE).await.is_empty());
    assert_eq!(waiting.rest().await, b"");
}

/// Without authentication a server is only believed where somebody has said so.
#[tokio::test]
async fn addresses_are_not_believed_by_themselves() {
    let network = Network::claim().unwrap();
    let mut one =
        Host::with(&network, 1, without_authentication(), Belief::Proven, Limits::USUAL).letting_in([network.host(2)]);
    one.connect(one.address);
    assert!(one.closed(ONE).await.contains("no server can prove that it is one"));
    one.streams.order(StreamOrder::Offer { stream: ONE, to: network.host(2).into() });
    assert!(matches!(one.next().await, StreamEvent::Offered { .. }));
    one.close(ONE);
    let mut stranger = Stranger::connect(network.host(2), one.address).await;
    stranger.say(b"V5-8 no proof\0\x05hello").await;
    assert_eq!(stranger.rest().await, b"");
    one.streams.believe(Belief::Addresses);
    let mut other = Host::new(&network, 2);
    connected(&mut other, &mut one).await;
}

/// Whoever is on the machine of a server may connect as well, and say nothing, or say it slowly; that keeps the server itself
/// from nothing, nor another one.
#[tokio::test]
async fn silent_and_slow_connectors_harm_nobody() {
    let network = Network::claim().unwrap();
    let peers = [2, 3, 4, 5].map(|number| network.host(number));
    let mut one =
        Host::with(&network, 1, without_authentication(), Belief::Addresses, LONG_HANDSHAKE).letting_in(peers);
    // Of one address no more than a few: the oldest gives way.
    let mut oldest = Stranger::connect(peers[0], one.address).await;
    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(Stranger::connect(peers[0], one.address).await);
    }
    assert_eq!(oldest.rest().await, b"");
    for round in 0..20 {
        for from in peers {
            let mut stranger = Stranger::connect(from, one.address).await;
            stranger.say(&b"V5-8 no pro"[..round % 11]).await;
            strangers.push(stranger);
        }
    }
    for number in [2, 5] {
        let mut other = Host::new(&network, number);
        let theirs = connected(&mut other, &mut one).await;
        one.close(theirs);
        other.closed(ONE).await;
    }
    assert_eq!(strangers[0].rest().await, b"");
}

/// Who proves nothing in time is sent away; nothing is told of it.
#[tokio::test]
async fn who_proves_nothing_in_time() {
    let network = Network::claim().unwrap();
    let mut one = Host::with(&network, 1, without_authentication(), Belief::Addresses, SHORT_HANDSHAKE)
        .letting_in([network.host(2)]);
    let mut silent = Stranger::connect(network.host(2), one.address).await;
    let mut no_record = Stranger::connect(network.host(2), one.address).await;
    no_record.say(b"V5-8 no proof").await;
    let mut half = Stranger::connect(network.host(2), one.address).await;
    half.say(b"V5-8 no proof\0\x05hel").await;
    assert_eq!(silent.rest().await, b"");
    for mut other in [no_record, half] {
        assert_eq!(other.rest().await, b"V5-8 no proof");
    }
    assert_eq!(one.streams.try_next(), None);
}

#[tokio::test]
async fn garbage_begins_nothing() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1).letting_in([network.host(2), network.host(3)]);
    let endless = [&b"V5-"[..], &[b'1'; 100_000]].concat();
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: z\r\n\r\n"[..],
        b"V5-0 ",
        b"V5-16385 ",
        b"V5-4294967304 no proof",
        b"V5-18446744073709551624 no proof",
        b"V5--8 no proof",
        b"V5-8\nno proof",
        b"V4-8 no proof",
        b"8 no proof",
        b"V5-8 NO PROOF\0\x05hello",
        b"V5-8 no proof\0\0",
        b"V5-8 no proof\x08\x01",
        b"V5-8 no proof\xff\xff",
        &endless,
        &[0; 5000],
    ] {
        let mut stranger = Stranger::connect(network.host(2), one.address).await;
        stranger.say(garbage).await;
        let said = stranger.rest().await;
        assert!(said.is_empty() || said == b"V5-8 no proof", "{}", said.escape_ascii());
    }
    // A record that is longer than any may be, and one that is longer than a packet.
    for record in [&b"\xff\xff"[..], &[&b"\x04\x01"[..], &[0; 1025]].concat(), b"\0\0"] {
        let mut stranger = Stranger::connect(network.host(2), one.address).await;
        stranger.introduce(b"hello").await;
        let StreamEvent::Accepted { stream, .. } = one.next().await else { panic!("it is let in") };
        assert_eq!(one.next_record().await, "hello");
        stranger.say(record).await;
        let why = one.closed(stream).await;
        assert!(why.starts_with("a record of "), "{why}");
        stranger.rest().await;
    }
    let mut other = Host::new(&network, 3);
    connected(&mut other, &mut one).await;
}

/// A server that has connected anew has not closed its old connection, perhaps because it crashed.
#[tokio::test]
async fn a_new_connection_replaces_an_old_one() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1).letting_in([network.host(2)]);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stranger = Stranger::connect(network.host(2), one.address).await;
        stranger.introduce(b"hello").await;
        let accepted = loop {
            match one.next().await {
                StreamEvent::Accepted { stream, .. } => break stream,
                StreamEvent::Closed { stream, why } => {
                    assert_eq!((stream, &*why), (open.remove(0), "the other server has connected anew"));
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(one.next_record().await, "hello");
        open.push(accepted);
        assert!(open.len() <= 2, "{open:?}");
        std::mem::forget(stranger);
    }
}

/// The machine is never kept waiting, and learns that nothing is taken: first by silence, then by the end.
#[tokio::test]
async fn a_server_that_stops_reading() {
    let network = Network::claim().unwrap();
    let mut one =
        Host::with(&network, 1, without_authentication(), Belief::Addresses, SHORT_STALL).letting_in([network.host(2)]);
    let mut stranger = Stranger::connect(network.host(2), one.address).await;
    stranger.introduce(b"hello").await;
    let StreamEvent::Accepted { stream, .. } = one.next().await else { panic!("it is let in") };
    assert_eq!(one.next_record().await, "hello");
    let (mut sent, mut drained) = (0, 0);
    let why = loop {
        // As a machine does that waits for what it has sent.
        while sent - drained < 1 << 20 {
            one.send(stream, &[7; MAX_RECORD]);
            sent += MAX_RECORD;
        }
        match one.next().await {
            StreamEvent::Drained { octets, .. } => drained += octets,
            StreamEvent::Closed { why, .. } => break why,
            other => panic!("{other:?}"),
        }
    };
    assert!(why == "the other end has taken nothing for 0 seconds" || why == "Connection timed out", "{why}");
    assert!(drained < sent);
    drop(stranger);
}

#[tokio::test]
async fn what_waits_to_be_sent_is_bounded() {
    let network = Network::claim().unwrap();
    let (mut one, mut other) = two(&network);
    let theirs = connected(&mut one, &mut other).await;
    let mut orders = 0;
    // Nobody hears what has left, so all of it may still be here.
    for _ in 0..16 << 10 {
        one.send(ONE, &[7; MAX_RECORD]);
        orders += 1;
    }
    assert_eq!(one.closed(ONE).await, "too much waits to be sent");
    assert!(orders > 8 << 10);
    // Those before are sent, as after any order to close. Whoever has closed still takes events: of what is sent, among others.
    let end = async {
        for _ in 0..7 << 10 {
            assert_eq!(other.next_record().await.len(), MAX_RECORD);
        }
        let end = timeout(TIMEOUT, async {
            while !matches!(other.next().await, StreamEvent::Closed { stream, .. } if stream == theirs) {}
        });
        end.await.unwrap();
    };
    tokio::select! {
        () = end => {}
        event = one.streams.next() => panic!("{event:?} is of no interest any more"),
    }
}

/// A connection that breaks off is an end like any other.
#[tokio::test]
async fn a_connection_that_breaks_off() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1).letting_in([network.host(2)]);
    for (rest, why) in [
        (&b""[..], "the other end has closed it"),
        (b"\0\x05hel", "the other end has closed it in the middle"),
        (b"\0", "the other end has closed it in the middle"),
    ] {
        let mut stranger = Stranger::connect(network.host(2), one.address).await;
        stranger.introduce(b"hello").await;
        let StreamEvent::Accepted { stream, .. } = one.next().await else { panic!("it is let in") };
        assert_eq!(one.next_record().await, "hello");
        stranger.say(rest).await;
        tokio::io::AsyncWriteExt::shutdown(&mut stranger.0).await.unwrap();
        assert_eq!(one.closed(stream).await, why);
    }
    let mut stranger = Stranger::connect(network.host(2), one.address).await;
    stranger.introduce(b"hello").await;
    let StreamEvent::Accepted { stream, .. } = one.next().await else { panic!("it is let in") };
    assert_eq!(one.next_record().await, "hello");
    stranger.0.set_zero_linger().unwrap();
    drop(stranger);
    assert_eq!(one.closed(stream).await, "Connection reset by peer");
}

/// Half of a record, and nothing more.
#[tokio::test]
async fn a_record_that_never_ends() {
    let network = Network::claim().unwrap();
    let mut one =
        Host::with(&network, 1, without_authentication(), Belief::Addresses, SHORT_STALL).letting_in([network.host(2)]);
    let mut stranger = Stranger::connect(network.host(2), one.address).await;
    stranger.introduce(b"hello").await;
    let StreamEvent::Accepted { stream, .. } = one.next().await else { panic!("it is let in") };
    assert_eq!(one.next_record().await, "hello");
    stranger.say(b"\0\x05hel").await;
    assert_eq!(one.closed(stream).await, "half of a record came, and nothing more for 0 seconds");
}

#[tokio::test]
async fn streams_are_bounded() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1);
    let silent = TcpListener::bind((network.host(9), 0)).await.unwrap();
    let to = silent.local_addr().unwrap();
    for number in 0..200 {
        one.streams.order(StreamOrder::Connect { stream: StreamId(number), to });
    }
    let mut refused = 0;
    while let Ok(StreamEvent::Closed { why, .. }) = timeout(Duration::ZERO, one.streams.next()).await {
        assert_eq!(why, "there are too many streams");
        refused += 1;
    }
    assert_eq!(refused, 200 - 128);
}
