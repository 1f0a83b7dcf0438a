//! Servers with several addresses: what answers goes from the one that was asked, and nobody can change that for others.

use crate::stage::*;
use std::net::IpAddr;
use zephyr_core::{kind::Kind, notice::Notice};
use zephyr_engine::server::Command;

const MALLORY: &str = "mallory@ATHENA.TEST";

/// The server's address by its name, and another one of it.
fn usual() -> IpAddr {
    host(100).into()
}

fn alias() -> IpAddr {
    host(101).into()
}

fn sources(received: &[Received]) -> Vec<IpAddr> {
    received.iter().filter_map(|packet| packet.from).collect()
}

#[test]
fn answers_go_from_the_address_that_was_asked() {
    let mut stage = Stage::new();
    for server in [alias(), usual()] {
        stage.ask_at(server);
        let hm = |opcode| Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", opcode, "hm") };
        assert_eq!(sources(&stage.send(here(), hm("BOOT"), No)), [server]);
        // Lost, and with a name that is too long when it is folded.
        for asked in [notice("c", "i", "", ALICE), notice("c", &"\u{fdfa}".repeat(100), "", ALICE)] {
            assert_eq!(sources(&stage.send(here(), asked, No)), [server]);
        }
        // The answer, and the list in a notice of its own, also when that is sent again.
        let received = stage.send(here(), control("GIMMEDEFS", ALICE, b""), Yes);
        assert_eq!(sources(&received), [server; 2]);
        let again: Vec<Received> = stage.wait(2).into_iter().map(|(_, packet)| packet).collect();
        assert_eq!(sources(&again), [server]);
        stage.acknowledge(&received[1]);
    }
}

#[test]
fn a_packet_that_comes_again_is_answered_from_where_it_came_to_then() {
    let mut stage = Stage::new();
    for proof in [No, Yes] {
        let octets = stage.packet(notice("c", "i", "", ALICE), proof);
        for server in [alias(), usual(), alias()] {
            stage.ask_at(server);
            assert_eq!(sources(&stage.give(here(), &octets, proof)), [server]);
        }
        // Known by its authenticator alone.
        if proof == Yes {
            stage.ask_at(usual());
            assert_eq!(sources(&stage.give(there(), &octets, proof)), [usual()]);
        }
    }
}

#[test]
fn readers_get_everything_from_the_address_at_which_they_subscribed() {
    let mut stage = Stage::new();
    stage.absent.push(there().ip());
    stage.ask_at(alias());
    let body = b"c\0*\0\0";
    let received = stage.send(there(), Notice { port: 6000, ..control("SUBSCRIBE_NODEFS", BOB, body) }, Yes);
    assert_eq!(sources(&received), [alias(); 2], "the answer and the probe");
    stage.ask_at(usual());
    let held = stage.send(here(), notice("c", "held", "", ALICE), Yes);
    assert_eq!(sources(&held), [usual()], "only the answer");
    let released = stage.give(received[1].to, &received[1].acknowledgement(), No);
    assert_eq!((released.len(), sources(&released)), (1, vec![alias()]), "what was held");
    stage.acknowledge(&released[0]);
    let received = stage.send(here(), notice("c", "i", "", ALICE), Yes);
    let of = |to| received.iter().find(|packet| packet.to == to).and_then(|packet| packet.from);
    assert_eq!((of(at(there(), 6000)), of(here())), (Some(alias()), Some(usual())));
    let again: Vec<Received> = stage.wait(10).into_iter().map(|(_, packet)| packet).collect();
    assert_eq!(sources(&again), vec![alias(); again.len()]);
    assert!(again.len() > 1, "sent again");

    // Subscribing anew at another address changes it.
    stage.subscribe(there(), BOB, 6000, b"d\0*\0\0");
    let received = stage.send(here(), notice("c", "i", "", ALICE), Yes);
    assert_eq!(sources(&received), [usual(); 2]);
}

#[test]
fn nobody_else_changes_from_where_a_reader_is_served() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"c\0*\0\0");
    let serves = |stage: &mut Stage| {
        let received = stage.send(here(), notice("c", "i", "", ALICE), Yes);
        let delivered = received.iter().find(|packet| packet.to == at(there(), 6000)).expect("to the reader");
        stage.acknowledge(delivered);
        delivered.from
    };
    stage.ask_at(alias());
    let body = b"c\0*\0\0";
    for (sender, proof) in [(BOB, No), (BOB, Failed), (MALLORY, Yes), (MALLORY, No)] {
        stage.send(there(), Notice { port: 6000, ..control("SUBSCRIBE_NODEFS", sender, body) }, proof);
        stage.send(there(), Notice { port: 6000, ..control("GIMME", sender, b"") }, proof);
        stage.send(at(there(), 6000), notice("x", "i", "", sender), proof);
        assert_eq!(serves(&mut stage), Some(usual()), "{sender} {proof:?}");
    }
    // A packet of his own that somebody sends again, elsewhere.
    let octets = stage.packet(Notice { port: 6000, ..control("SUBSCRIBE_NODEFS", BOB, body) }, Yes);
    stage.ask_at(usual());
    stage.give(there(), &octets, Yes);
    stage.ask_at(alias());
    stage.give(there(), &octets, Yes);
    assert_eq!(serves(&mut stage), Some(usual()));
}

#[test]
fn host_managers_are_told_of_the_end_from_the_address_that_they_use() {
    let mut stage = Stage::new();
    let hm = |opcode| Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", opcode, "hm") };
    stage.ask_at(alias());
    stage.send(here(), hm("BOOT"), No);
    stage.ask_at(usual());
    stage.send(there(), hm("ATTACH"), No);
    // Another program of the host changes nothing.
    stage.send(at(here(), 7000), hm("ATTACH"), No);
    let told = stage.command(Command::Shutdown);
    let of = |to| told.iter().find(|packet| packet.to == to).and_then(|packet| packet.from);
    assert_eq!((told.len(), of(here()), of(there())), (2, Some(alias()), Some(usual())));
}
