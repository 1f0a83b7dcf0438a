//! The rows of the semantics table about packets and messages (sections A and B).

use crate::stage::*;
use zephyr_core::{
    auth::{Direction, Session},
    kind::Kind,
    notice::Notice,
    policy::{Demand, Policy},
};
use zephyr_engine::server::LogEvent;

/// A stage on which bob wants (foo,bar) at port 6000.
fn with_bob() -> Stage {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"foo\0bar\0\0");
    stage
}

fn foo<'a>() -> Notice<'a> {
    Notice { body: b"hello\0", ..notice("foo", "bar", "x", ALICE) }
}

/// Checks that bob gets the packet first, and the sender the answer after it.
fn delivered(received: &[Received]) -> &Received {
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!((received[0].to, received[1].to), (at(there(), 6000), here()));
    assert_eq!(received[1].answer(), "SERVACK SENT");
    &received[0]
}

fn shown_authentic(received: &Received, person: &str) -> bool {
    let packet = received.packet();
    let authentic = key_of(person).check(&packet, Direction::ToClient);
    assert_eq!(packet.claim.auth, u32::from(authentic));
    assert_eq!((packet.claim.authent_len, packet.claim.authenticator), (0, &b""[..]));
    assert!(authentic || packet.claim.checksum == b"0x00000000");
    authentic
}

#[test]
fn s1_s2_kinds_that_no_server_takes() {
    let mut stage = with_bob();
    for kind in [Kind::Stat, Kind::Other(9), Kind::Other(u32::MAX)] {
        assert_eq!(stage.send(here(), Notice { kind, ..foo() }, Yes), []);
        assert_eq!(stage.events.pop(), Some(LogEvent::BadKind { kind, from: here() }));
    }
}

#[test]
fn s3_s4_what_is_no_notice_of_this_version() {
    let mut stage = with_bob();
    let good = stage.packet(foo(), Yes);
    assert!(good.starts_with(b"ZEPH0.2\0"));
    let rest = &good[b"ZEPH0.2".len()..];
    for version in ["", "Z", "ZEPH", "zeph0.2", "XEPH0.2", " ZEPH0.2", "ZEPH1.2", "ZEPH9.0"] {
        let octets = [version.as_bytes(), rest].concat();
        assert_eq!(stage.give(here(), &octets, Yes), [], "{version}");
    }
    for octets in [&b""[..], b"\0", b"ZEPH", b"ZEPH0.2", b"ZEPH0.2\0"] {
        assert_eq!(stage.give(here(), octets, Yes), [], "{octets:?}");
    }
    assert_eq!(
        (stage.malformed, stage.judged, stage.engine.counters().received),
        (13, 1, 2),
        "only bob's subscription, and what shows that he is there"
    );
    delivered(&stage.give(here(), &good, Yes));
}

#[test]
fn s5_fragments_that_contradict_themselves() {
    let mut stage = with_bob();
    for multinotice in ["0/400001", "0/5", "3/8", "0/5x"] {
        assert_eq!(
            stage.send(here(), Notice { multinotice: multinotice.as_bytes(), ..foo() }, Yes),
            [],
            "{multinotice}"
        );
    }
    assert_eq!(stage.engine.counters().dropped, 4);
    for multinotice in ["0/6", "399994/400000", "", "junk", "7/6"] {
        let received = stage.send(here(), Notice { multinotice: multinotice.as_bytes(), ..foo() }, Yes);
        assert_eq!(delivered(&received).notice().multinotice, multinotice.as_bytes());
    }
}

#[test]
fn s6_s7_an_acknowledgement_counts_from_its_client_alone() {
    let mut stage = with_bob();
    let received = stage.send(here(), foo(), Yes);
    let packet = delivered(&received);
    stage.acknowledge(&Received { to: at(there(), 6001), ..packet.clone() });
    stage.acknowledge(&Received { to: at(here(), 6000), ..packet.clone() });
    assert_eq!(stage.wait(2).len(), 1, "neither another port nor another host can acknowledge");
    stage.acknowledge(packet);
    assert_eq!(stage.wait(3600), []);
    stage.acknowledge(packet);
    assert_eq!(stage.engine.counters().acknowledged, 1);
}

#[test]
fn s8_packets_that_only_answer_are_never_handled() {
    let mut stage = with_bob();
    for kind in [Kind::ServAck, Kind::ServNak, Kind::HmAck] {
        assert_eq!(stage.send(here(), Notice { kind, ..foo() }, Yes), []);
        assert_eq!(stage.send(here(), Notice { kind, ..control("SUBSCRIBE", ALICE, b"a\0b\0\0") }, Yes), []);
        assert_eq!(stage.events.pop(), Some(LogEvent::StrayAnswer { kind, from: here() }));
    }
    assert_eq!(stage.engine.gauges().clients, 1);
}

#[test]
fn s9_s10_s11_every_other_kind_is_delivered_as_it_is() {
    let mut stage = with_bob();
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked, Kind::HmCtl] {
        let received = stage.send(here(), Notice { kind, port: 0, ..foo() }, No);
        assert_eq!((delivered(&received).notice().kind, delivered(&received).notice().port), (kind, 0));
    }
}

#[test]
fn s12_proven_is_delivered_with_the_recipients_own_proof() {
    let mut stage = with_bob();
    let received = stage.send(here(), foo(), Yes);
    let packet = delivered(&received);
    assert!(shown_authentic(packet, BOB));
    assert!(!key_of(ALICE).check(&packet.packet(), Direction::ToClient));
    let got = packet.notice();
    assert_eq!((got.class, got.instance, got.opcode, got.body), (&b"foo"[..], &b"bar"[..], &b"x"[..], &b"hello\0"[..]));
    assert_eq!((got.sender, got.port, got.uid, got.multiuid), (ALICE.as_bytes(), 5000, got.multiuid, got.uid));
    let ack = received[1].packet();
    assert_eq!((ack.notice.class, ack.notice.uid, ack.notice.multinotice), (&b"foo"[..], got.uid, &b""[..]));
    assert_eq!((ack.claim.authenticator, ack.claim.checksum), (&b"Z002"[..], &b"0x00000000"[..]));
}

#[test]
fn s13_s14_unproven_and_failed_are_delivered_as_proving_nothing() {
    let mut stage = with_bob();
    for proof in [No, Failed] {
        let received = stage.send(here(), foo(), proof);
        assert!(!shown_authentic(delivered(&received), BOB));
    }
}

#[test]
fn s15_spelling_is_kept_and_does_not_matter() {
    let mut stage = with_bob();
    let received = stage.send(here(), notice("FOO", "BAR", "x", ALICE), Yes);
    assert_eq!(
        (delivered(&received).notice().class, delivered(&received).notice().instance),
        (&b"FOO"[..], &b"BAR"[..])
    );
}

#[test]
fn s16_nobody_there() {
    assert_eq!(with_bob().ask(notice("nobody", "x", "x", ALICE), Yes), "SERVACK LOST");
}

#[test]
fn s17_any_instance_and_each_client_once() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"baz\0*\0\0baz\0one\0\0BAZ\0One\0\0");
    for instance in ["one", "anything", "*"] {
        let received = stage.send(here(), notice("baz", instance, "x", ALICE), Yes);
        delivered(&received);
    }
}

#[test]
fn s18_s19_s20_recipients_in_any_case_with_any_short_realm() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, format!("message\0personal\0{BOB}\0").as_bytes());
    for recipient in ["BOB@athena.test", "bob@ath", "bob@", BOB] {
        let personal = Notice { recipient: recipient.as_bytes(), ..notice("message", "personal", "", ALICE) };
        let received = stage.send(here(), personal, Yes);
        assert_eq!(delivered(&received).notice().recipient, recipient.as_bytes(), "as it was written");
    }
    assert_eq!(stage.ask(notice("message", "personal", "", ALICE), Yes), "SERVACK LOST", "not for everybody");
}

#[test]
fn s21_unknown_realm() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, format!("message\0personal\0{BOB}\0").as_bytes());
    let personal = Notice { recipient: b"bob@NOWHERE", ..notice("message", "personal", "", ALICE) };
    assert_eq!(stage.ask(personal, Yes), "SERVACK LOST");
}

#[test]
fn s22_a_recipient_without_realm_is_completed_only_in_writing() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, format!("message\0personal\0{BOB}\0").as_bytes());
    let received = stage.send(here(), Notice { recipient: b"bob", ..notice("message", "personal", "", ALICE) }, Yes);
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].answer().as_str(), received[0].notice().recipient), ("SERVACK LOST", BOB.as_bytes()));
}

#[test]
fn s23_the_whole_local_realm_is_everybody() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"c9\0x\0\0");
    let received = stage.send(here(), Notice { recipient: b"@ATHENA.TEST", ..notice("c9", "x", "", ALICE) }, Yes);
    assert_eq!(delivered(&received).notice().recipient, b"");
    assert_eq!(received[1].notice().recipient, b"");
}

#[test]
fn s24_s25_classes_are_folded() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, "STRAßE\0i\0\0ﬁx\0i\0\0".as_bytes());
    for class in ["strasse", "FIX"] {
        let received = stage.send(here(), notice(class, "i", "", ALICE), No);
        delivered(&received);
    }
}

#[test]
fn s26_a_long_body_in_one_packet() {
    let mut stage = with_bob();
    let received = stage.send(here(), Notice { body: &[b'x'; 780], multinotice: b"0/780", ..foo() }, No);
    assert_eq!(delivered(&received).notice().body.len(), 780);
}

#[test]
fn s27_other_classes_are_nothing_special() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"wg_ctl2\0USER\0\0");
    delivered(&stage.send(here(), notice("wg_ctl2", "USER", "REREAD", ALICE), No));
    assert_eq!(stage.ask(notice("hm_stat", "HMST_CLIENT", "GIMMESTATS", ALICE), No), "SERVACK LOST");
}

/// Sends a packet of exactly 1024 octets that grows on the way, and checks that bob gets all of it.
fn grows(mut stage: Stage, recipient: &str, proof: Proof) {
    let mut body: Vec<u8> = (0..=255).cycle().take(1024).collect();
    let whole = Notice { recipient: recipient.as_bytes(), multinotice: b"300/3000", ..foo() };
    body.truncate(1024 - stage.packet(Notice { body: b"", ..whole }, proof).len());
    let octets = stage.packet(Notice { body: &body, ..whole }, proof);
    assert_eq!(octets.len(), 1024);
    let received = stage.give(here(), &octets, proof);
    let [first, second, ack] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(ack.answer(), "SERVACK SENT");
    for piece in [first, second] {
        assert_eq!(shown_authentic(piece, BOB), proof == Yes);
        assert_eq!(piece.notice().multiuid, ack.notice().uid);
    }
    assert_eq!(first.notice().uid, ack.notice().uid);
    assert_ne!(second.notice().uid, ack.notice().uid);
    assert_eq!(first.notice().multinotice, b"300/3000");
    assert_eq!(second.notice().multinotice, format!("{}/3000", 300 + first.notice().body.len()).as_bytes());
    assert_eq!([first.notice().body, second.notice().body].concat(), body);
    stage.acknowledge(first);
    assert!(stage.wait(2).iter().all(|(_, packet)| packet == second), "every piece is acknowledged on its own");
    stage.acknowledge(second);
    assert_eq!(stage.wait(3600), []);
}

#[test]
fn what_the_proof_makes_too_long_is_cut_and_not_lost() {
    grows(with_bob(), "", Yes);
}

#[test]
fn what_the_realm_makes_too_long_is_cut() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    stage.send(there(), Notice { port: 6000, ..control("SUBSCRIBE_NODEFS", "bob", b"foo\0bar\0bob\0") }, No);
    grows(stage, "bob", No);
}

#[test]
fn a_packet_sent_again_is_answered_again_and_delivered_once() {
    let mut stage = with_bob();
    let octets = stage.packet(foo(), Yes);
    let first = stage.give(here(), &octets, Yes);
    delivered(&first);
    let again = stage.give(here(), &octets, Yes);
    assert_eq!(again, first[1..], "the same answer, and nothing else");
    let elsewhere = stage.give(there(), &octets, Yes);
    assert_eq!((elsewhere.len(), elsewhere[0].to), (1, there()), "from elsewhere too");
    assert_eq!(elsewhere[0].octets, first[1].octets);
    assert_eq!(stage.judged, 2, "bob's subscription and the notice: nothing else is asked of Kerberos");
    stage.wait(2000);
    assert_eq!((stage.engine.counters().repeated, stage.engine.counters().copies), (1, 1));
}

#[test]
fn where_sending_needs_proof_the_unproven_are_told() {
    let mut stage = Stage::with(|config| config.policy = Policy { send: Demand::Required, ..Policy::KERBEROS });
    stage.subscribe(there(), BOB, 6000, b"foo\0bar\0\0");
    for proof in [No, Failed] {
        assert_eq!(stage.ask(foo(), proof), "SERVNAK LOST");
    }
    delivered(&stage.send(here(), foo(), Yes));
}

#[test]
fn in_an_open_domain_nobody_proves_and_everybody_receives() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    let received = stage.send(there(), Notice { port: 6000, ..control("SUBSCRIBE", BOB, b"foo\0bar\0\0") }, No);
    assert_eq!(received[0].answer(), "SERVACK SENT");
    let received = stage.send(here(), foo(), No);
    assert!(!shown_authentic(delivered(&received), BOB));
    let personal = Notice { recipient: BOB.as_bytes(), ..notice("message", "personal", "", ALICE) };
    delivered(&stage.send(here(), personal, No));
    assert_eq!(stage.ask(Notice { port: 7, ..control("CLEARSUB", ALICE, b"") }, No), "SERVACK LOST");
    let other = stage.send(there(), Notice { port: 6000, ..control("CLEARSUB", ALICE, b"") }, No);
    assert_eq!(other[0].answer(), "SERVNAK LOST", "a port still belongs to one person");
}
