//! Bounds of one source, one principal or all together: beyond them there is a clear refusal and a number, and others
//! notice nothing.

use crate::stage::*;
use zephyr_core::{
    limits::MAX_NOTICE,
    notice::Notice,
    policy::{Demand, Policy},
};
use zephyr_engine::server::Bounds;

fn bounded(change: impl FnOnce(&mut Bounds)) -> Stage {
    Stage::with(|config| change(&mut config.bounds))
}

/// How a subscription of a client is answered.
fn subscribed(stage: &mut Stage, host: std::net::SocketAddr, person: &str, port: u16, class: &str) -> String {
    let body = format!("{class}\0*\0\0");
    let received = stage.send(host, Notice { port, ..control("SUBSCRIBE_NODEFS", person, body.as_bytes()) }, Yes);
    received[0].answer()
}

const SENT: &str = "SERVACK SENT";
const LOST: &str = "SERVACK LOST";

#[test]
fn clients_of_a_host_of_a_principal_and_in_all() {
    let mut stage = bounded(|bounds| {
        (bounds.clients, bounds.clients_per_host, bounds.clients_per_principal) = (5, 3, 2);
    });
    assert_eq!([1, 2].map(|port| subscribed(&mut stage, here(), ALICE, port, "c")), [SENT; 2]);
    assert_eq!(subscribed(&mut stage, there(), ALICE, 3, "c"), LOST, "alice has two");
    assert_eq!(subscribed(&mut stage, here(), BOB, 4, "c"), SENT);
    assert_eq!(subscribed(&mut stage, here(), "carol@ATHENA.TEST", 5, "c"), LOST, "the host has three");
    assert_eq!(subscribed(&mut stage, there(), "carol@ATHENA.TEST", 5, "c"), SENT);
    assert_eq!(subscribed(&mut stage, there(), "dave@ATHENA.TEST", 6, "c"), SENT);
    assert_eq!(subscribed(&mut stage, there(), "erin@ATHENA.TEST", 7, "c"), LOST, "there are five");
    assert_eq!(subscribed(&mut stage, here(), ALICE, 1, "d"), SENT, "who is there goes on");
    assert_eq!((stage.engine.counters().clients_full, stage.engine.gauges().clients), (3, 5));
}

#[test]
fn subscriptions_of_a_client_of_a_principal_and_of_a_host() {
    let mut stage = bounded(|bounds| {
        bounds.subscriptions_per_client = 2;
        bounds.subscriptions_per_principal = 3;
        bounds.subscriptions_per_host = 4;
    });
    assert_eq!(["a", "b"].map(|class| subscribed(&mut stage, here(), ALICE, 1, class)), [SENT; 2]);
    assert_eq!(subscribed(&mut stage, here(), ALICE, 1, "c"), LOST, "the client has two");
    let told = |stage: &mut Stage, host, port| {
        let request = control("SUBSCRIBE_NODEFS", ALICE, b"a\0*\0\0C\0*\0\0d\0*\0\0");
        stage.send(host, Notice { port, ..request }, Yes)[0].reason()
    };
    let left_out = "the server takes at most 2 subscriptions of one client: those from class c on are left out";
    assert_eq!(told(&mut stage, here(), 1).as_deref(), Some(left_out));
    assert_eq!(subscribed(&mut stage, here(), ALICE, 1, "a"), SENT, "this is one of them");
    assert_eq!(subscribed(&mut stage, there(), ALICE, 1, "c"), SENT);
    assert_eq!(subscribed(&mut stage, there(), ALICE, 1, "d"), LOST, "alice has three");
    let left_out = "the server takes no more subscriptions of you or your host: those from class a on are left out";
    assert_eq!(told(&mut stage, there(), 1).as_deref(), Some(left_out));
    assert_eq!(["a", "b"].map(|class| subscribed(&mut stage, here(), BOB, 2, class)), [SENT; 2]);
    assert_eq!(subscribed(&mut stage, here(), "carol@ATHENA.TEST", 3, "a"), LOST, "the host has four");
    assert_eq!(subscribed(&mut stage, there(), "carol@ATHENA.TEST", 3, "a"), SENT, "another has not");
    assert_eq!((stage.engine.counters().subscriptions_full, stage.engine.gauges().subscriptions), (5, 6));
    stage.send(here(), Notice { port: 1, ..control("CLEARSUB", ALICE, b"") }, Yes);
    assert_eq!(subscribed(&mut stage, here(), "carol@ATHENA.TEST", 3, "a"), SENT, "what is given back can be had");
}

#[test]
fn names_that_are_only_claimed_use_up_nothing_of_the_proven_ones() {
    let mut stage = Stage::with(|config| {
        config.policy = Policy { receive: Demand::Optional, login: Demand::Optional, ..Policy::KERBEROS };
        (config.bounds.clients_per_principal, config.bounds.subscriptions_per_principal) = (2, 3);
        config.bounds.locations_per_user = 2;
    });
    let claimed = |stage: &mut Stage, port, class: &str| {
        let body = format!("{class}\0*\0\0");
        stage.send(there(), Notice { port, ..control("SUBSCRIBE_NODEFS", ALICE, body.as_bytes()) }, No)[0].answer()
    };
    assert_eq!([1, 2, 3].map(|port| claimed(&mut stage, port, "c")), [SENT, SENT, LOST], "claimed names have bounds");
    assert_eq!(["d", "e"].map(|class| claimed(&mut stage, 1, class)), [SENT, LOST]);
    assert_eq!([1, 2, 3].map(|port| subscribed(&mut stage, here(), ALICE, port, "c")), [SENT, SENT, LOST]);
    assert_eq!(["d", "e"].map(|class| subscribed(&mut stage, here(), ALICE, 1, class)), [SENT, LOST]);
    assert_eq!(subscribed(&mut stage, there(), ALICE, 2, "c"), LOST, "nor does proving them later go round the bounds");

    let mut told = |host, port, proof| {
        let place = Notice { port, body: b"m\0t\0y\0", ..notice("LOGIN", ALICE, "REALM-VISIBLE", ALICE) };
        stage.send(host, place, proof)[0].answer()
    };
    assert_eq!([1, 2, 3].map(|port| told(there(), port, No)), [SENT, SENT, LOST]);
    assert_eq!([1, 2, 3].map(|port| told(here(), port, Yes)), [SENT, SENT, LOST]);
}

#[test]
fn who_asks_much_leaves_room_for_the_answers_to_others() {
    let asked = |stage: &mut Stage, host, person, proof| {
        let pending = stage.engine.gauges().pending;
        let received = stage.send(host, control("GIMMEDEFS", person, b""), proof);
        let remembered = stage.engine.gauges().pending > pending;
        assert_eq!(received.len(), 1 + usize::from(remembered), "what is not remembered is not sent");
        remembered
    };
    let mut stage = bounded(|bounds| bounds.answer_octets = 100_000);
    let strangers = (0..=255).filter(|&number| {
        let host = std::net::SocketAddr::from(([10, 66, 0, number], 2104));
        asked(&mut stage, host, BOB, No)
    });
    assert!((10..100).contains(&strangers.count()), "they share a part");
    let alices = (0..200).filter(|_| asked(&mut stage, here(), ALICE, Yes)).count();
    assert!((10..100).contains(&alices), "so does she");
    assert!(asked(&mut stage, there(), BOB, Yes), "and bob is answered");
    assert!(stage.engine.counters().answers_full > 0);
    stage.wait(60);
    assert!(stage.engine.gauges().pending_octets == 0 && asked(&mut stage, here(), ALICE, Yes), "given back");
}

#[test]
fn a_list_is_no_longer_than_receivers_take() {
    let mut stage = Stage::new();
    let mut expected = String::new();
    for request in 0..550 {
        let body: String = (0..4).map(|n| format!("{:x<200}\0i\0\0", format!("{request}-{n}"))).collect();
        stage.subscribe(here(), ALICE, 5000, body.as_bytes());
        expected.insert_str(0, &body.replace('\0', "|"));
    }
    let list = stage.list(here(), ALICE, 5000);
    assert!(list.len() <= MAX_NOTICE && list.len() > MAX_NOTICE - 204, "{}", list.len());
    assert!(expected.starts_with(&list) && list.ends_with("|i||"), "whole entries, the newest");
}

/// Notices of class foo until nobody of `silent` gets one any more, while bob acknowledges and gets all.
fn flood(stage: &mut Stage, notices: usize) -> (usize, usize) {
    let (mut silent, mut bobs) = (0, 0);
    for _ in 0..notices {
        let received = stage.send(there(), Notice { body: &[b'x'; 300], ..notice("foo", "bar", "", BOB) }, Yes);
        for delivery in received.iter().filter(|packet| !packet.notice().kind.is_acknowledgement()) {
            if delivery.to == at(there(), 6000) {
                bobs += 1;
                stage.acknowledge(delivery);
            } else {
                silent += 1;
            }
        }
    }
    (silent, bobs)
}

#[test]
fn who_never_acknowledges_costs_bounded_memory_and_bounded_sends() {
    let mut stage = bounded(|bounds| bounds.pending_per_destination = 10);
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    assert_eq!(flood(&mut stage, 100), (10, 100), "bob notices nothing");
    assert_eq!(stage.engine.counters().client_pending_full, 90);
    assert_eq!(stage.engine.gauges().pending, 10);
    let resent = stage.wait(2000).len();
    assert_eq!(resent, 10 * 11, "each is sent twelve times in all");
    assert_eq!(stage.engine.gauges().clients, 1, "and then she is given up");
    assert_eq!(stage.engine.gauges().pending_octets, 0);
}

#[test]
fn octets_that_wait_for_a_host_and_for_a_principal() {
    let mut stage = bounded(|bounds| {
        bounds.pending_octets_per_host = 20_000;
        bounds.pending_octets_per_principal = 8_000;
    });
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    let (silent, bobs) = flood(&mut stage, 60);
    assert!((5..=10).contains(&silent) && bobs == 60, "{silent} {bobs}");
    assert!(stage.engine.gauges().pending_octets <= 8_000);
    assert_eq!(stage.engine.counters().principal_pending_full, 60 - silent as u64);
    for number in 0..10_u16 {
        stage.subscribe(here(), &format!("user{number}@ATHENA.TEST"), 5001 + number, b"foo\0*\0\0");
    }
    assert_eq!(flood(&mut stage, 60).1, 60, "bob's host is another");
    // And a few packets for each, whatever waits for others.
    assert!(stage.engine.gauges().pending_octets <= 20_000 + 11 * 8 * 1500);
    assert!(stage.engine.counters().host_pending_full > 0);
}

#[test]
fn leaving_costs_no_more_when_much_waits() {
    let mut stage = bounded(|bounds| bounds.pending_per_destination = 5000);
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    for _ in 0..2000 {
        stage.send(there(), notice("foo", "bar", "", BOB), Yes);
    }
    assert_eq!(stage.engine.gauges().pending, 2000);
    assert_eq!(stage.ask(control("CLEARSUB", ALICE, b""), Yes), SENT);
    assert!(stage.engine.gauges().pending > 1000, "not everything at once");
    assert_eq!(stage.wait(2000), [], "but nothing of it is sent again");
    assert_eq!((stage.engine.gauges().pending, stage.engine.gauges().pending_octets), (0, 0));
}

#[test]
fn names_that_grow_when_they_are_folded_are_refused_before_anything_is_proven() {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 1, b"c\0*\0\0");
    // One character of three octets that folds to eighteen of thirty-three.
    let [short, long] = [31, 32].map(|count| "\u{FDFA}".repeat(count));
    for (class, instance, what) in [(&*long, "x", "class"), ("c", &*long, "instance")] {
        let judged = stage.judged;
        let refused = &stage.send(here(), notice(class, instance, "", ALICE), Yes)[..];
        assert_eq!((refused.len(), refused[0].answer()), (1, "SERVNAK LOST".to_owned()));
        let reason = format!("the {what} is too long: its folded form has more than 1024 octets");
        assert_eq!(refused[0].reason(), Some(reason));
        assert_eq!(stage.judged, judged, "it is not worth a proof");
    }
    assert_eq!(stage.engine.counters().names_too_long, 2);
    assert_eq!(stage.ask(notice(&short, &short, "", ALICE), Yes), "SERVACK LOST", "names that fit are taken");
    assert_eq!(stage.send(here(), notice("c", &short, "", ALICE), Yes).len(), 2, "and delivered");
}

#[test]
fn a_packet_with_a_name_that_grows_gets_the_same_answer_when_it_comes_again() {
    let mut stage = Stage::new();
    let packet = stage.packet(notice("c", &"\u{FDFA}".repeat(200), "", ALICE), No);
    let first = stage.give(here(), &packet, No);
    assert_eq!((first.len(), stage.give(here(), &packet, No)), (1, first));
    assert_eq!((stage.engine.counters().names_too_long, stage.engine.counters().repeated), (1, 1));
}

#[test]
fn subscriptions_with_names_that_grow_are_passed_over() {
    let mut stage = Stage::new();
    let long = "\u{FDFA}".repeat(32);
    let ask = |stage: &mut Stage, body: String| {
        let answer = stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, body.as_bytes()), Yes).swap_remove(0);
        (answer.answer(), answer.reason().is_some_and(|reason| reason.contains("too long")))
    };
    let of = |text: &str| (text.to_owned(), true);
    assert_eq!(ask(&mut stage, format!("{long}\0*\0\0c\0{long}\0\0")), of("SERVNAK LOST"));
    assert_eq!(stage.engine.gauges().subscriptions, 0);
    assert_eq!(ask(&mut stage, format!("a\0*\0\0{long}\0*\0\0b\0*\0\0")), of("SERVACK SENT"));
    assert_eq!(stage.list(here(), ALICE, 5000), "a|*||b|*||", "the others are taken");
    assert_eq!(stage.engine.counters().names_too_long, 3);
}
