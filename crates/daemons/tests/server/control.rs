//! The rows of the semantics table about subscriptions and host managers (sections D and E).

use crate::stage::*;
use std::{net::SocketAddr, sync::Arc};
use zephyr_core::{kind::Kind, notice::Notice, policy::Policy};
use zephyr_engine::server::{Bounds, Command, LogEvent};

/// A stage on which alice, at port 5000 of the first host, wants (a,b).
fn with_alice() -> Stage {
    let mut stage = Stage::new();
    stage.subscribe(here(), ALICE, 5000, b"a\0b\0\0");
    stage
}

const DEFAULTS: &str = "operations|message||message|personal|alice@ATHENA.TEST|message|urgent|alice@ATHENA.TEST|";

#[test]
fn s44_s45_newest_request_first_then_the_defaults() {
    let mut stage = Stage::new();
    let body = b"A\0One\0\0B\0Two\0\0a\0one\0\0";
    assert_eq!(stage.ask(control("SUBSCRIBE", ALICE, body), Yes), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), format!("a|one||b|two||{DEFAULTS}"));
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, b"C\0*\0\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), format!("c|*||a|one||b|two||{DEFAULTS}"));
}

#[test]
fn s46_s47_s73_s81_without_proof_nothing_is_changed() {
    let mut stage = with_alice();
    for opcode in ["SUBSCRIBE", "SUBSCRIBE_NODEFS", "UNSUBSCRIBE", "CLEARSUB", "FLUSHSUBS", "NOSUCH"] {
        for proof in [No, Failed] {
            assert_eq!(stage.ask(control(opcode, ALICE, b"a\0b\0\0"), proof), "SERVNAK LOST", "{opcode}");
            let unauthenticated = LogEvent::Unauthenticated {
                opcode: opcode.as_bytes().into(),
                sender: ALICE.as_bytes().into(),
                from: here(),
            };
            assert_eq!(stage.events.pop(), Some(unauthenticated));
        }
    }
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||");
}

#[test]
fn s48_a_client_has_a_port() {
    let mut stage = Stage::new();
    assert_eq!(stage.ask(Notice { port: 0, ..control("SUBSCRIBE", ALICE, b"a\0b\0\0") }, Yes), "SERVNAK LOST");
    assert_eq!(stage.engine.gauges().clients, 0);
}

#[test]
fn s49_s65_s68_a_port_belongs_to_one_principal() {
    let mut stage = with_alice();
    for opcode in ["SUBSCRIBE", "SUBSCRIBE_NODEFS", "UNSUBSCRIBE", "CLEARSUB"] {
        assert_eq!(stage.ask(control(opcode, BOB, b"a\0b\0\0"), Yes), "SERVNAK LOST", "{opcode}");
        assert!(matches!(stage.events.pop(), Some(LogEvent::PortTaken { .. })));
    }
    let told = stage.send(here(), control("SUBSCRIBE", BOB, b"a\0b\0\0"), Yes);
    assert_eq!(told[0].reason().as_deref(), Some("another user has subscribed for this port of your host"));
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||", "not even the owner's defaults were added");
    let received = stage.send(here(), notice("a", "b", "", BOB), Yes);
    let proven = zephyr_core::auth::Session::check(
        &key_of(ALICE),
        &received[0].packet(),
        zephyr_core::auth::Direction::ToClient,
    );
    assert!(proven, "the owner's key is still the client's");
}

#[test]
fn s50_s51_s52_s53_s54_recipients() {
    let mut stage = Stage::new();
    let body = b"a\0bob\0bob@ATHENA.TEST\0b\0case\0Alice@athena.test\0c\0star\0*\0d\0all\0@ATHENA.TEST\0e\0far\0@UNKNOWN\0f\0me\0alice@ATHENA.TEST\0";
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, body), Yes), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), "d|all||e|far|@UNKNOWN|f|me|alice@ATHENA.TEST|");
    let refused = stage.events.iter().filter_map(|event| match event {
        LogEvent::RecipientRefused { more, .. } => Some(1 + more),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<usize>>(), [3], "in one line");
    assert_eq!(stage.engine.counters().recipient_refused, 3);
    let far = stage.send(there(), Notice { recipient: b"@unknown", ..notice("e", "far", "", BOB) }, Yes);
    assert_eq!(far[0].to, at(here(), 5000));
}

#[test]
fn s58_what_precedes_a_cut_off_triple_counts() {
    let mut stage = Stage::new();
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, b"a\0b\0\0class\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.events, [LogEvent::MalformedSubscription { sender: ALICE.as_bytes().into(), number: 2 }]);
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||");
}

#[test]
fn a_subscription_without_a_class_costs_no_other() {
    let mut stage = Stage::new();
    let body = b"a\0b\0\0\0*\0\0c\0d\0\0\0x\0\0e\0f\0\0";
    let received = stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, body), Yes);
    assert_eq!(received[0].answer(), "SERVACK SENT");
    assert_eq!(received[0].reason().as_deref(), Some("a subscription without a class was passed over"));
    assert_eq!(stage.events, [LogEvent::SubscriptionWithoutClass { sender: ALICE.as_bytes().into(), more: 1 }]);
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||c|d||e|f||");
    // Of a list to be ended, too.
    stage.ask(control("UNSUBSCRIBE", ALICE, b"a\0b\0\0\0*\0\0e\0f\0\0"), Yes);
    assert_eq!(stage.list(here(), ALICE, 5000), "c|d||");
    assert_eq!(stage.send(there(), notice("c", "d", "", BOB), Yes)[0].to, at(here(), 5000));
}

#[test]
fn s59_no_default_subscriptions() {
    let mut stage = Stage::with(|config| config.rules = Arc::default());
    assert_eq!(stage.ask(control("SUBSCRIBE", ALICE, b"a\0b\0\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||");
    stage.command(Command::Reload(with_defaults(b"new,one,*")));
    stage.ask(control("SUBSCRIBE", ALICE, b""), Yes);
    assert_eq!(stage.list(here(), ALICE, 5000), "new|one||a|b||");
}

#[test]
fn s60_the_instance_does_not_matter() {
    let mut stage = Stage::new();
    let received = Notice { body: b"a\0b\0\0", ..notice("zephyr_ctl", "anything", "SUBSCRIBE_NODEFS", ALICE) };
    assert_eq!(stage.ask(received, Yes), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||");
}

#[test]
fn s61_s79_s80_s82_unknown_opcodes_are_answered() {
    let mut stage = Stage::new();
    for (instance, opcode) in
        [("CLIENT", "subscribe"), ("CLIENT", "SUPPRESS"), ("CLIENT", "NOSUCH"), ("REALM", "NOSUCH")]
    {
        assert_eq!(stage.ask(notice("ZEPHYR_CTL", instance, opcode, ALICE), Yes), "SERVACK LOST");
        assert!(matches!(stage.events.pop(), Some(LogEvent::UnknownOpcode { class: "ctl", .. })));
    }
}

#[test]
fn s62_s63_s64_unsubscribe() {
    let mut stage = with_alice();
    stage.subscribe(here(), ALICE, 5000, b"c\0d\0alice@ATHENA.TEST\0e\0f\0\0");
    assert_eq!(
        stage.ask(control("UNSUBSCRIBE", ALICE, b"C\0D\0ALICE@athena.test\0A\0B\0@ATHENA.TEST\0"), Yes),
        "SERVACK SENT"
    );
    assert_eq!(stage.list(here(), ALICE, 5000), "e|f||");
    assert_eq!(stage.ask(notice("a", "b", "", BOB), Yes), "SERVACK LOST");
    assert_eq!(stage.ask(control("UNSUBSCRIBE", ALICE, b"never\0held\0\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.ask(Notice { port: 9, ..control("UNSUBSCRIBE", ALICE, b"e\0f\0\0") }, Yes), "SERVACK LOST");
}

#[test]
fn s66_s67_clear_forgets_the_client_and_what_waits_for_it() {
    let mut stage = with_alice();
    stage.subscribe(there(), BOB, 6000, b"a\0b\0\0");
    stage.ask_login(ALICE);
    stage.send(here(), notice("a", "b", "", BOB), Yes);
    assert_eq!(stage.engine.gauges().pending, 2);
    assert_eq!(stage.ask(control("CLEARSUB", ALICE, b""), Yes), "SERVACK SENT");
    assert_eq!(stage.ask(control("CLEARSUB", ALICE, b""), Yes), "SERVACK LOST");
    let gauges = stage.engine.gauges();
    assert_eq!(
        (gauges.clients, gauges.subscriptions, gauges.pending, gauges.locations),
        (1, 1, 1, 1),
        "bob's, and the location"
    );
    assert!(stage.wait(30).iter().all(|(_, packet)| packet.to == at(there(), 6000)));
}

#[test]
fn s69_s70_s71_s72_flushsubs() {
    let mut stage = with_alice();
    stage.subscribe(there(), ALICE, 5001, b"a\0b\0\0");
    stage.subscribe(there(), BOB, 6000, b"a\0b\0\0");
    assert_eq!(stage.ask(control("FLUSHSUBS", ALICE, b"bob@ATHENA.TEST\0"), Yes), "SERVNAK LOST");
    assert_eq!(stage.ask(control("FLUSHSUBS", ALICE, b"alice@ATHENA.TEST"), Yes), "SERVACK LOST", "no NUL");
    assert_eq!(stage.engine.gauges().clients, 3);
    assert_eq!(stage.ask(control("FLUSHSUBS", ALICE, b""), Yes), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().clients, 1, "on all hosts");
    assert_eq!(stage.ask(control("FLUSHSUBS", BOB, b"bob@ATHENA.TEST\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().clients, 0);
    assert_eq!(stage.ask(control("FLUSHSUBS", BOB, b"\0"), Yes), "SERVACK SENT", "also of nothing");
}

#[test]
fn s74_gimme_is_answered_to_the_program() {
    let mut stage = with_alice();
    let request = Notice { port: 5050, kind: Kind::Unacked, ..control("GIMME", ALICE, b"0x1388\0") };
    let received = stage.send(here(), request, Yes);
    assert_eq!((received[0].to, received[0].answer().as_str()), (here(), "SERVACK SENT"));
    let list = received[1].packet();
    assert_eq!((received[1].to, received.len()), (at(here(), 5050), 2));
    assert_eq!((list.notice.kind, list.claim.auth, list.notice.body), (Kind::Acked, 0, &b"a\0b\0\0"[..]));
    assert_eq!((list.notice.multinotice, list.notice.opcode), (&b"0/5"[..], &b"GIMME"[..]));
    assert_eq!(list.notice.uid, received[0].notice().uid);
}

#[test]
fn s75_s76_s77_gimme_tells_nothing_to_others() {
    let mut stage = with_alice();
    for (person, proof, body) in [
        (ALICE, No, &b"0x1388\0"[..]),
        (ALICE, Failed, b"0x1388\0"),
        (BOB, Yes, b"0x1388\0"),
        (ALICE, Yes, b"5000\0"),
        (ALICE, Yes, b""),
        (ALICE, Yes, b"0x1389\0"),
    ] {
        let received = stage.send(here(), control("GIMME", person, body), proof);
        assert_eq!((received[0].answer().as_str(), received.len()), ("SERVACK SENT", 2));
        assert_eq!((received[1].notice().body, received[1].notice().multinotice), (&b""[..], &b"0/0"[..]));
    }
}

#[test]
fn s78_default_subscriptions_last_line_first() {
    let mut stage = Stage::new();
    let received = stage.send(here(), control("GIMMEDEFS", ALICE, b""), No);
    assert_eq!(received[0].answer(), "SERVACK SENT");
    assert_eq!(
        received[1].body(),
        "message|urgent|alice@ATHENA.TEST|message|personal|alice@ATHENA.TEST|operations|message||"
    );
}

#[test]
fn a_long_list_comes_in_fragments() {
    let mut stage = Stage::new();
    let mut expected = String::new();
    for request in 0..20 {
        let body: String = (0..10).map(|n| format!("class-{request}-{n}\0instance\0\0")).collect();
        stage.subscribe(here(), ALICE, 5000, body.as_bytes());
        expected.insert_str(0, &body.replace('\0', "|"));
    }
    assert_eq!(stage.list(here(), ALICE, 5000), expected);
    assert_eq!(stage.wait(3600), [], "every fragment is acknowledged on its own");
}

#[test]
fn a_stranger_cannot_make_the_server_flood_somebody() {
    let many: String = (0..200).map(|n| format!("class-{n},instance,*\n")).collect();
    let mut stage = Stage::with(|config| config.rules = with_defaults(many.as_bytes()));
    let request = stage.packet(control("GIMMEDEFS", ALICE, b""), No);
    let received = stage.give(here(), &request, No);
    assert_eq!(received.len(), 2, "one acknowledgement, one packet of answer");
    let list = received[1].notice();
    assert!(list.body.len() > 150 && list.body.ends_with(b"\0instance\0\0"), "whole entries");
    assert_eq!(list.multinotice, format!("0/{}", list.body.len()).as_bytes());
    let answered: usize = received.iter().map(|packet| packet.octets.len()).sum();
    let resent: usize = stage.wait(7200).iter().map(|(_, packet)| packet.octets.len()).sum();
    assert!(answered + resent <= 4 * request.len(), "{answered} and {resent} for {}", request.len());
    assert!(stage.send(here(), control("GIMMEDEFS", ALICE, b""), Yes).len() > 4, "who proves himself gets all");
    let resent = stage.wait(7200);
    assert_eq!(resent.last().unwrap().0, 28, "as long as clients wait");
}

#[test]
fn a_list_waiting_for_its_reader_survives_the_end_of_the_client() {
    let mut stage = with_alice();
    stage.send(here(), control("GIMME", ALICE, b"0x1388\0"), Yes);
    stage.ask(control("CLEARSUB", ALICE, b""), Yes);
    assert_eq!(stage.wait(2).len(), 1);
}

impl Stage {
    fn ask_login(&mut self, person: &str) {
        let login = Notice { body: b"m\0t\0y\0", ..notice("LOGIN", person, "REALM-VISIBLE", person) };
        assert_eq!(self.ask(login, Yes), "SERVACK SENT");
    }

    fn hm(&mut self, from: SocketAddr, class: &str, instance: &str, opcode: &str) -> Vec<Received> {
        let notice = Notice { kind: Kind::HmCtl, port: 2104, ..notice(class, instance, opcode, "HM") };
        self.send(from, notice, No)
    }

    /// Clients and locations.
    fn state(&self) -> (usize, usize) {
        (self.engine.gauges().clients, self.engine.gauges().locations)
    }
}

/// Alice at the first host with a location, bob at the second.
fn two_hosts() -> Stage {
    let mut stage = with_alice();
    stage.ask_login(ALICE);
    stage.subscribe(there(), BOB, 6000, b"a\0b\0\0");
    stage
}

#[test]
fn s83_s88_boot_removes_the_hosts_state_and_no_other() {
    for (class, instance) in [("ZEPHYR_CTL", "HM"), ("zephyr_ctl", "hm"), ("HM_CTL", "whatever")] {
        let mut stage = two_hosts();
        let received = stage.hm(here(), class, instance, "BOOT");
        assert_eq!((received[0].to, received[0].notice().body), (here(), &b"SENT\0long-headers\0"[..]));
        assert_eq!(received[0].notice().kind, Kind::ServAck);
        assert_eq!((stage.state(), stage.engine.gauges().hosts), ((1, 0), 1));
    }
}

#[test]
fn s84_unknown_host_control() {
    let mut stage = two_hosts();
    assert_eq!(stage.hm(here(), "ZEPHYR_CTL", "hm", "NOSUCH"), []);
    assert!(matches!(stage.events.pop(), Some(LogEvent::UnknownOpcode { class: "hm", .. })));
}

#[test]
fn s85_flush_is_not_answered() {
    let mut stage = two_hosts();
    assert_eq!(stage.hm(here(), "ZEPHYR_CTL", "HM", "FLUSH"), []);
    assert_eq!((stage.state(), stage.engine.gauges().hosts), ((1, 0), 0));
}

#[test]
fn s86_s87_attach_and_detach_remove_nothing() {
    let mut stage = two_hosts();
    let received = stage.hm(here(), "ZEPHYR_CTL", "HM", "ATTACH");
    assert_eq!(received[0].notice().body, b"SENT\0long-headers\0");
    assert_eq!((stage.state(), stage.engine.gauges().hosts), ((2, 1), 1));
    let goodbye = stage.command(Command::Shutdown);
    assert_eq!(goodbye.len(), 1);
    let farewell = goodbye[0].notice();
    assert_eq!((goodbye[0].to, farewell.kind, farewell.port), (here(), Kind::HmCtl, 2104));
    assert_eq!(
        (farewell.class, farewell.instance, farewell.opcode),
        (&b"HM_CTL"[..], &b"SERVER"[..], &b"SHUTDOWN"[..])
    );
    assert_eq!(
        (farewell.sender, farewell.recipient, farewell.body),
        (&b"SERVER"[..], &b"hm@ATHENA.TEST"[..], &b""[..])
    );
    assert_eq!(stage.hm(here(), "ZEPHYR_CTL", "HM", "DETACH"), []);
    assert_eq!((stage.state(), stage.engine.gauges().hosts), ((2, 1), 0));
    assert_eq!(stage.command(Command::Shutdown), []);
}

#[test]
fn s89_s90_host_control_has_its_own_kind() {
    let mut stage = two_hosts();
    let flush = notice("ZEPHYR_CTL", "HM", "FLUSH", ALICE);
    let refused = stage.send(here(), flush, Yes).remove(0);
    assert_eq!(refused.answer(), "SERVNAK LOST");
    assert_eq!(refused.reason().as_deref(), Some("only host managers may send this to class ZEPHYR_CTL"));
    assert_eq!(stage.send(here(), Notice { kind: Kind::HmAck, ..flush }, Yes), []);
    assert_eq!(stage.state(), (2, 1));
}

#[test]
fn limits_refuse_and_leave_others_alone() {
    let bounds = Bounds { clients: 3, clients_per_host: 2, subscriptions_per_client: 2, ..Bounds::default() };
    let mut stage = Stage::with(|config| config.bounds = bounds);
    let mut subscribe = |host, port, body: &[u8]| {
        let received = stage.send(host, Notice { port, ..control("SUBSCRIBE_NODEFS", ALICE, body) }, Yes);
        received[0].answer()
    };
    assert_eq!(subscribe(here(), 5001, b"a\0b\0\0"), "SERVACK SENT");
    assert_eq!(subscribe(here(), 5002, b"a\0b\0\0"), "SERVACK SENT");
    assert_eq!(subscribe(here(), 5003, b"a\0b\0\0"), "SERVACK LOST", "the host's limit");
    assert_eq!(subscribe(there(), 5001, b"a\0b\0\0"), "SERVACK SENT");
    assert_eq!(subscribe(there(), 5002, b"a\0b\0\0"), "SERVACK LOST", "everybody's limit");
    assert_eq!(subscribe(here(), 5001, b"c\0d\0\0e\0f\0\0"), "SERVACK LOST", "the client's limit");
    assert_eq!(subscribe(here(), 5002, b"c\0d\0\0"), "SERVACK SENT", "others are not concerned");
    assert_eq!(stage.list(here(), ALICE, 5001), "c|d||a|b||");
}

#[test]
fn what_was_set_up_with_proof_is_not_changed_without() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    stage.subscribe(here(), ALICE, 5000, b"a\0b\0\0");
    for opcode in ["SUBSCRIBE", "UNSUBSCRIBE", "CLEARSUB"] {
        assert_eq!(stage.ask(control(opcode, ALICE, b"a\0b\0\0"), No), "SERVNAK LOST");
    }
    assert_eq!(stage.ask(control("FLUSHSUBS", ALICE, b""), No), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||");
}

#[test]
fn who_has_lost_his_tickets_hears_that_he_was_forgotten() {
    for policy in [Policy::KERBEROS, Policy::OPEN] {
        let mut stage = Stage::with(|config| config.policy = policy);
        stage.subscribe(here(), ALICE, 5000, b"a\0b\0\0");
        stage.events.clear();
        let known = stage.ask(control("UNSUBSCRIBE", ALICE, b""), No);
        assert_eq!((known.as_str(), stage.events.len()), ("SERVNAK LOST", 0), "he asks often");
        stage.hm(here(), "ZEPHYR_CTL", "HM", "FLUSH");
        stage.events.clear();
        assert_eq!(stage.ask(control("UNSUBSCRIBE", ALICE, b""), No), "SERVACK LOST");
        assert_eq!(stage.engine.gauges().clients, 0);
    }
    let mut stage = Stage::new();
    assert_eq!(stage.ask(control("UNSUBSCRIBE", ALICE, b""), Failed), "SERVNAK LOST");
    assert_eq!(stage.ask(control("UNSUBSCRIBE", ALICE, b"a\0b\0\0"), No), "SERVNAK LOST");
}

#[test]
fn after_a_flush_what_is_sent_again_is_done_again() {
    let mut stage = Stage::new();
    let subscribe = stage.packet(control("SUBSCRIBE_NODEFS", ALICE, b"a\0b\0\0"), Yes);
    stage.give(here(), &subscribe, Yes);
    stage.hm(there(), "ZEPHYR_CTL", "HM", "FLUSH");
    assert_eq!(stage.give(here(), &subscribe, Yes).len(), 1);
    assert_eq!(stage.engine.counters().repeated, 1, "another host's flush changes nothing");
    stage.hm(here(), "ZEPHYR_CTL", "HM", "BOOT");
    assert_eq!(stage.give(here(), &subscribe, Yes)[0].answer(), "SERVACK SENT");
    assert_eq!(stage.list(here(), ALICE, 5000), "a|b||");
}
