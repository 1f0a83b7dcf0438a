//! Forged packets have no effect.

use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};
use zephyr_e2e::{
    listener::Origin,
    middle::{Way, contains, unchanged},
    stack::Stack,
    stranger::Stranger,
};
use zephyr_testkit::realm::{Engine, RealmOptions};

/// A request of `sender` to receive the class `secret` at `port`.
fn subscription<'a>(kind: Kind, port: u16, sender: &'a [u8]) -> Notice<'a> {
    Notice {
        kind,
        port,
        class: names::ZEPHYR_CTL,
        instance: names::CLIENT,
        opcode: names::SUBSCRIBE_NODEFS,
        sender,
        body: b"secret\0*\0\0",
        ..Notice::EMPTY
    }
}

/// What a packet may claim without being able to prove it.
fn claims() -> [Claim<'static>; 3] {
    [
        Claim::NONE,
        Claim { auth: 1, ..Claim::NONE },
        Claim { auth: 1, authent_len: 20, authenticator: b"Zn\x82\x01\x02nonsense", checksum: b"Zabcdefghijkl" },
    ]
}

#[test]
fn made_up_kinds_subscribe_nobody() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let alice = stack.login("alice")?;
    let mut stranger = Stranger::at(stack.network().here())?;
    let port = stranger.address()?.port();

    let nobody_receives = |what: &str| -> Result<()> {
        let lost = alice.zwrite(&["-c", "secret", "-m", "password"])?;
        assert_eq!(lost.stderr, "No one subscribing to class secret, instance PERSONAL\n", "{what}: {lost}");
        Ok(())
    };
    // Before anybody has authenticated: this crashed the C server.
    stranger.send_notice(stack.server(), subscription(Kind::ServAck, port, b"alice@ZEPHYR.TEST"), &Claim::NONE)?;
    nobody_receives("first")?;
    // Sent to the server, to the host manager as if by a client, and as if by the server.
    for to in [stack.server(), stack.host_manager()] {
        for kind in [Kind::ServAck, Kind::ServNak, Kind::HmAck, Kind::ClientAck, Kind::HmCtl, Kind::Other(9)] {
            for claim in claims() {
                stranger.send_notice(to, subscription(kind, port, b"alice@ZEPHYR.TEST"), &claim)?;
            }
            nobody_receives(&format!("{kind} to {to}"))?;
        }
    }
    // Nor is a location registered by such kinds, nor somebody logged out.
    for kind in [Kind::ServAck, Kind::ServNak] {
        let login = Notice {
            class: names::LOGIN,
            instance: b"alice@ZEPHYR.TEST",
            opcode: b"NET-ANNOUNCED",
            body: b"host\0now\0tty\0",
            ..subscription(kind, port, b"alice@ZEPHYR.TEST")
        };
        stranger.send_notice(stack.server(), login, &Claim::NONE)?;
    }

    // It is the proof that makes the difference.
    let listener = alice.listen(&[("secret", "*", "*")])?;
    alice.send(&["-c", "secret", "-m", "password"])?;
    listener.expect("password", Origin::Authentic)?;
    let leaked = stranger.receive_within(Duration::from_millis(1), |packet| contains(packet.notice.body, b"password"));
    assert!(leaked.is_err(), "a stranger received the secret");
    Ok(())
}

#[test]
fn a_subscription_without_proof_is_refused() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let alice = stack.login("alice")?;
    let listener = alice.listen(&[("open", "*", "*")])?;
    let mut stranger = Stranger::at(stack.network().here())?;
    let own = stranger.address()?.port();
    let requests = [names::SUBSCRIBE, names::SUBSCRIBE_NODEFS, names::UNSUBSCRIBE, names::CLEARSUB, names::FLUSHSUBS];
    for opcode in requests {
        for claim in claims() {
            // In alice's name for her own client, too: it must not be taken away from her.
            for port in [own, listener.port()] {
                let request = Notice { opcode, ..subscription(Kind::Acked, port, b"alice@ZEPHYR.TEST") };
                let uid = stranger.send_notice(stack.server(), request, &claim)?;
                let answer = stranger.receive(|packet| packet.notice.uid == uid)?;
                let answer = Packet::parse(&answer)?.notice;
                // More text may follow, which says why.
                let refused = answer.kind == Kind::ServNak && answer.body.starts_with(b"LOST\0");
                assert!(refused, "{} {claim:?}: {answer:?}", opcode.escape_ascii());
            }
        }
    }
    let lost = alice.zwrite(&["-c", "secret", "-m", "password"])?;
    assert_eq!(lost.status.code(), Some(1), "{lost}");
    alice.send(&["-c", "open", "-m", "still there"])?;
    listener.expect("still there", Origin::Authentic)?;
    Ok(())
}

#[test]
fn somebody_elses_acknowledgement_does_not_count() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), unchanged)?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    // Whoever has received something was confirmed before: a client that was not would get nothing.
    alice.send(&["bob", "-m", "before"])?;
    listener.receive("before")?;
    // Bob's acknowledgements are lost until further notice.
    let copies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&copies);
    stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        let ours = contains(packet, b"unheard");
        if way == Way::ToClient && ours {
            seen.lock().unwrap().push(packet.clone());
        }
        way != Way::FromClient
    });
    alice.send(&["bob", "-m", "unheard"])?;
    listener.expect("unheard", Origin::Authentic)?;

    let first = copies.lock().unwrap().first().cloned().context("nothing passed")?;
    let packet = Packet::parse(&first)?;
    let mut stranger = Stranger::at(stack.network().here())?;
    let ack = Notice { kind: Kind::ClientAck, body: b"", ..packet.notice };
    for to in [stack.server(), stack.host_manager()] {
        let multiuid: Uid = ack.multiuid;
        stranger.send_notice(to, Notice { multiuid, ..ack }, &packet.claim.echoed())?;
    }
    // So the server sends it again, after two seconds.
    zephyr_testkit::deadline::wait_until("it is sent again", zephyr_e2e::person::TIMEOUT, || {
        Ok((copies.lock().unwrap().len() > 1).then_some(()))
    })?;
    assert_eq!(copies.lock().unwrap()[1], first);

    stack.middle()?.change(unchanged);
    alice.send(&["bob", "-m", "after"])?;
    listener.receive("after")?;
    let received: Vec<String> = listener.all().iter().map(|received| received.message()).collect();
    assert_eq!(received, ["before", "unheard", "after"], "bob is told once");
    Ok(())
}

#[test]
fn a_made_up_answer_does_not_pass_the_host_manager() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), unchanged)?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    // The notice is held up, while somebody who has seen it answers in the server's place.
    let held: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let holder = Arc::clone(&held);
    stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        let ours = way == Way::ToServer && contains(packet, b"lost and found");
        // Sent again, it may pass.
        if !ours || holder.lock().unwrap().is_some() {
            return true;
        }
        *holder.lock().unwrap() = Some(packet.clone());
        false
    });
    let host_manager = stack.host_manager();
    let sent = std::thread::scope(|scope| -> Result<_> {
        let sending = scope.spawn(|| alice.zwrite(&["bob", "-m", "lost and found"]));
        let packet = zephyr_testkit::deadline::wait_until("it is held up", zephyr_e2e::person::TIMEOUT, || {
            Ok(held.lock().unwrap().clone())
        })?;
        let notice = Packet::parse(&packet)?.notice;
        let mut stranger = Stranger::at(stack.network().here())?;
        for (kind, body) in [(Kind::ServAck, &b"LOST\0"[..]), (Kind::ServNak, b"LOST\0"), (Kind::ServAck, b"SENT\0")] {
            stranger.send_notice(host_manager, Notice { kind, body, multinotice: b"", ..notice }, &Claim::NONE)?;
        }
        sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
    })?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n", "{sent}");
    listener.expect("lost and found", Origin::Authentic)?;
    Ok(())
}

/// A packet of `count` header fields that claims proof; the C programs corrupt their memory over sixteen.
fn packet_of_fields(count: usize, port: u16) -> Vec<u8> {
    let count_field = format!("0x{count:08X}");
    let port = format!("0x{port:04X}");
    let fields: [&[u8]; 17] = [
        b"ZEPH0.2",
        count_field.as_bytes(),
        b"0x00000002",
        b"0x7F000001 0x60000000 0x00000001",
        port.as_bytes(),
        b"0x00000001",
        b"0x00000004",
        b"Zn\x82\x01\x02",
        b"MESSAGE",
        b"PERSONAL",
        b"",
        b"alice@ZEPHYR.TEST",
        b"bob@ZEPHYR.TEST",
        b"",
        b"Zabcdefghijkl",
        b"0/4",
        b"0x7F000001 0x60000000 0x00000001",
    ];
    let header = fields.iter().take(count).flat_map(|field| [field, &b"\0"[..]]).flatten().copied();
    header.chain(*b"few\n").collect()
}

#[test]
fn short_headers_that_claim_proof_disturb_nobody() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let mut zwgc = bob.zwgc(&[])?;
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    let stranger = Stranger::at(stack.network().here())?;
    let port = zephyr_client::windowgram_port::read(&bob.wgfile())?;
    let here = |port| SocketAddr::from((stack.network().here(), port));
    let places = [stack.server(), stack.host_manager(), here(port), here(listener.port())];
    for to in places {
        for count in 0..=17 {
            stranger.send(to, &packet_of_fields(count, stranger.address()?.port()))?;
        }
    }
    let mark = zwgc.transcript().mark();
    alice.send(&["bob", "-m", "all is well"])?;
    zwgc.wait_after(mark, zephyr_e2e::person::TIMEOUT, |line| line.contains("all is well"))?;
    let before = listener.all_before("all is well")?;
    assert!(before.iter().all(|received| received.origin != Origin::Authentic), "{before:?}");
    listener.expect("all is well", Origin::Authentic)?;
    for daemon in [stack.zephyrd(), &mut zwgc] {
        assert_eq!(daemon.ended()?, None);
    }
    assert_eq!(stack.zhm().ended()?, None);
    Ok(())
}
