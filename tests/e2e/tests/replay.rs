//! Replay protection: what was proven once is done once, whoever sends it again.

#![allow(clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result};
use std::{
    net::UdpSocket,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    notice::{Notice, Packet},
};
use zephyr_e2e::{
    listener::Origin,
    middle::{Way, contains, unchanged},
    person::TIMEOUT,
    stack::Stack,
};
use zephyr_testkit::{
    heimdal,
    realm::{Engine, RealmOptions},
};

/// A machine of somebody who listened on the way: its number on the network.
const THIEF: u8 = 66;

type Stolen = Arc<Mutex<Vec<Vec<u8>>>>;

fn lock(stolen: &Stolen) -> MutexGuard<'_, Vec<Vec<u8>>> {
    stolen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A domain, and every packet to its server with these octets in it.
fn capture_packet(engine: Engine, needle: &'static [u8]) -> Result<(Stack, Stolen)> {
    let stack = Stack::with_middle_on(engine, RealmOptions::default(), unchanged)?;
    let stolen = Stolen::default();
    let copies = Arc::clone(&stolen);
    stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        if way == Way::ToServer && contains(packet, needle) {
            lock(&copies).push(packet.clone());
        }
        true
    });
    Ok((stack, stolen))
}

/// Sends a packet from the thief's machine; the answer's kind and first word.
fn replayed(stack: &Stack, thief: &UdpSocket, packet: &[u8]) -> Result<(Kind, Vec<u8>)> {
    thief.set_read_timeout(Some(TIMEOUT))?;
    thief.send_to(packet, stack.server())?;
    let mut buffer = [0; MAX_PACKET];
    let length = thief.recv(&mut buffer).context("no answer")?;
    let notice = Packet::parse(buffer.get(..length).unwrap_or_default())?.notice;
    let word = notice.body.split(|&octet| octet == 0).next().unwrap_or_default();
    Ok((notice.kind, word.to_vec()))
}

#[test]
fn a_stolen_message_is_delivered_once() -> Result<()> {
    nothing_comes_of_a_stolen_message(Engine::Native)
}

#[test]
fn a_stolen_message_is_delivered_once_with_heimdals_tickets() -> Result<()> {
    if heimdal::or_skip()?.is_none() {
        return Ok(());
    }
    nothing_comes_of_a_stolen_message(Engine::Heimdal)
}

fn nothing_comes_of_a_stolen_message(engine: Engine) -> Result<()> {
    let (stack, stolen) = capture_packet(engine, b"only once")?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob", "-m", "only once"])?;
    listener.expect("only once", Origin::Authentic)?;

    let packet = lock(&stolen).first().cloned().context("nothing passed")?;
    let thief = UdpSocket::bind((stack.network().host(THIEF), 0))?;
    for _ in 0..3 {
        assert_eq!(replayed(&stack, &thief, &packet)?, (Kind::ServAck, b"SENT".to_vec()));
    }
    // With another message, or in another notice, the authenticator proves nothing.
    let original = Packet::parse(&packet)?;
    let other = Notice { body: b"\0forged\n", multinotice: b"0/8", ..original.notice };
    replayed(&stack, &thief, &other.write(&original.claim, Limits::WHOLE_PACKET)?)?;
    // Nor do the same octets with one of them changed on the way.
    stack.middle()?.change(|way, packet: &mut Vec<u8>| {
        if let (Way::ToServer, Some(at)) = (way, packet.windows(8).position(|part| part == b"harmless")) {
            packet[at..at + 8].copy_from_slice(b"harmful!");
        }
        true
    });
    alice.zwrite(&["bob", "-m", "harmless"])?;
    assert_ne!(listener.receive("harmful!")?.origin, Origin::Authentic);
    stack.middle()?.change(unchanged);

    alice.send(&["bob", "-m", "after"])?;
    listener.expect("after", Origin::Authentic)?;
    let received = listener.all_before("after")?;
    let authentic: Vec<String> = received
        .iter()
        .filter(|received| received.origin == Origin::Authentic)
        .map(|received| received.message())
        .collect();
    assert_eq!(authentic, ["only once"], "{received:?}");
    Ok(())
}

#[test]
fn a_stolen_subscription_lets_nobody_read() -> Result<()> {
    let (stack, stolen) = capture_packet(Engine::Native, b"SUBSCRIBE")?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("secret", "*", "*")])?;
    let subscription = lock(&stolen).first().cloned().context("nothing passed")?;
    // Where the server would send to, if it took the subscription for the thief's.
    let ear = UdpSocket::bind((stack.network().host(THIEF), Packet::parse(&subscription)?.notice.port))?;
    let thief = UdpSocket::bind((stack.network().host(THIEF), 0))?;
    assert_eq!(replayed(&stack, &thief, &subscription)?, (Kind::ServAck, b"SENT".to_vec()));

    alice.send(&["-c", "secret", "-m", "password"])?;
    listener.expect("password", Origin::Authentic)?;
    // The server has sent to everybody before bob acknowledged; the machine is one.
    ear.set_read_timeout(Some(Duration::from_millis(50)))?;
    assert!(ear.recv(&mut [0; MAX_PACKET]).is_err(), "the thief reads along");
    Ok(())
}

#[test]
fn what_a_host_manager_sends_again_is_acknowledged_and_delivered_once() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), unchanged)?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    // The first answer is lost on the way.
    let passed = Stolen::default();
    let seen = Arc::clone(&passed);
    let mut lost = false;
    stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        if way == Way::ToServer && contains(packet, b"patience") {
            lock(&seen).push(packet.clone());
        }
        let is_answer = Packet::parse(packet).is_ok_and(|packet| packet.notice.kind == Kind::ServAck);
        let loses = !lost && is_answer && !lock(&seen).is_empty();
        lost |= loses;
        !loses
    });
    let sent = alice.send(&["bob", "-m", "patience"])?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n", "{sent}");
    {
        let passed = lock(&passed);
        assert!(passed.len() >= 2 && passed.iter().all(|packet| *packet == passed[0]), "it was sent again");
    }
    alice.send(&["bob", "-m", "after"])?;
    listener.expect("after", Origin::Authentic)?;
    let received: Vec<String> = listener.all().iter().map(|received| received.message()).collect();
    assert_eq!(received, ["patience", "after"]);
    Ok(())
}
