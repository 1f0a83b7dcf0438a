//! The rows of the semantics table about locations and administration (sections F, G and H).

use crate::stage::*;
use zephyr_core::{
    auth::{Direction, Session},
    kind::Kind,
    notice::Notice,
    policy::{Demand, Policy},
};
use zephyr_engine::server::{Bounds, LogEvent};

const PLACE: &[u8] = b"machine\0Tue Nov 24 22:08:04 2026\0pts/1\0";

fn login<'a>(user: &'a str, opcode: &'a str, sender: &'a str) -> Notice<'a> {
    Notice { body: PLACE, ..notice("LOGIN", user, opcode, sender) }
}

fn locate<'a>(user: &'a str, sender: &'a str) -> Notice<'a> {
    Notice { kind: Kind::Unacked, port: 7000, ..notice("USER_LOCATE", user, "LOCATE", sender) }
}

impl Stage {
    /// What somebody sees of alice's locations.
    fn seen(&mut self, user: &str, sender: &str, proof: Proof) -> String {
        let received = self.send(there(), locate(user, sender), proof);
        assert_eq!((received[0].answer().as_str(), received[1].to), ("SERVACK SENT", at(there(), 7000)));
        assert_eq!((received[1].notice().kind, received[1].packet().claim.auth), (Kind::Acked, 0));
        received[1].body()
    }

    /// Logs alice in with this exposure.
    fn exposed(exposure: &str) -> Self {
        let mut stage = Self::new();
        let answer = stage.ask(login(ALICE, exposure, ALICE), Yes);
        assert!(answer.starts_with("SERVACK"), "{answer}");
        stage
    }

    /// With bob watching alice.
    fn watched() -> Self {
        let mut stage = Self::new();
        stage.subscribe(there(), BOB, 6000, b"login\0alice@ATHENA.TEST\0\0");
        stage
    }
}

const SEEN: &str = "machine|Tue Nov 24 22:08:04 2026|pts/1|";

#[test]
fn s91_s92_visible_is_not_announced() {
    for exposure in ["REALM-VISIBLE", "OPSTAFF"] {
        let mut stage = Stage::watched();
        assert_eq!(stage.ask(login(ALICE, exposure, ALICE), Yes), "SERVACK SENT");
        assert_eq!(stage.engine.gauges().locations, 1);
    }
}

#[test]
fn s93_s94_s95_s96_announced() {
    for exposure in ["REALM-ANNOUNCED", "NET-VISIBLE", "NET-ANNOUNCED"] {
        let mut stage = Stage::new();
        let received = stage.send(here(), login(ALICE, exposure, ALICE), Yes);
        assert_eq!((received[0].answer().as_str(), received[0].notice().opcode), ("SERVACK LOST", &b"USER_LOGIN"[..]));

        let mut stage = Stage::watched();
        let received = stage.send(here(), login(ALICE, exposure, ALICE), Yes);
        assert_eq!(
            (received[0].to, received[0].notice().opcode, received[0].notice().body),
            (at(there(), 6000), &b"USER_LOGIN"[..], PLACE)
        );
        assert!(key_of(BOB).check(&received[0].packet(), Direction::ToClient));
        assert_eq!((received[1].answer().as_str(), received[1].notice().opcode), ("SERVACK SENT", &b"USER_LOGIN"[..]));
    }
}

#[test]
fn s97_a_new_location_needs_three_texts() {
    let mut stage = Stage::new();
    let short = Notice { body: b"machine\0time\0", ..login(ALICE, "REALM-VISIBLE", ALICE) };
    assert_eq!(stage.ask(short, Yes), "SERVACK LOST");
    assert_eq!(stage.events, [LogEvent::MalformedLocation { sender: ALICE.as_bytes().into() }]);
}

#[test]
fn an_update_changes_all_or_nothing() {
    // C servers keep the machine, and of a malformed update take the exposure.
    let mut stage = Stage::exposed("REALM-VISIBLE");
    for body in [&b""[..], b"other\0later\0", b"other\0later\0pts/2"] {
        assert_eq!(stage.ask(Notice { body, ..login(ALICE, "NET-VISIBLE", ALICE) }, Yes), "SERVACK LOST");
        assert_eq!(stage.events.pop(), Some(LogEvent::MalformedLocation { sender: ALICE.as_bytes().into() }));
        assert_eq!(stage.seen(ALICE, BOB, No), "", "the exposure has not changed");
        assert_eq!(stage.seen(ALICE, BOB, Yes), SEEN);
    }
    let update = Notice { body: b"other\0later\0pts/2\0", ..login(ALICE, "REALM-VISIBLE", ALICE) };
    assert_eq!(stage.ask(update, Yes), "SERVACK SENT");
    assert_eq!(stage.seen(ALICE, BOB, Yes), "other|later|pts/2|");
    assert_eq!(stage.engine.gauges().locations, 1);
}

#[test]
fn newest_first_and_one_for_each_place() {
    let mut stage = Stage::new();
    for (host, port, machine) in [(here(), 1, "one"), (there(), 1, "two"), (here(), 2, "three"), (here(), 1, "four")] {
        let body = format!("{machine}\0t\0y\0");
        let told = Notice { port, body: body.as_bytes(), ..login(ALICE, "NET-VISIBLE", ALICE) };
        stage.send(host, told, Yes);
    }
    assert_eq!(stage.seen(ALICE, BOB, No), "three|t|y|two|t|y|four|t|y|");
}

#[test]
fn nobody_is_logged_out_by_another_who_proves_that_he_is_another() {
    let mut stage = Stage::watched();
    stage.send(here(), login(ALICE, "NET-ANNOUNCED", ALICE), Yes);
    assert_eq!(stage.ask(login(ALICE, "USER_LOGOUT", BOB), Yes), "SERVNAK LOST");
    assert!(matches!(stage.events.pop(), Some(LogEvent::LoginRefused { .. })));
    assert_eq!(stage.engine.gauges().locations, 1);
}

#[test]
fn a_domain_may_want_proof_of_logouts() {
    let mut stage = Stage::with(|config| config.policy.logout = Demand::Required);
    stage.send(here(), login(ALICE, "NET-VISIBLE", ALICE), Yes);
    for proof in [No, Failed] {
        assert_eq!(stage.ask(login(ALICE, "USER_LOGOUT", ALICE), proof), "SERVNAK LOST");
        assert!(matches!(stage.events.pop(), Some(LogEvent::Unauthenticated { .. })));
    }
    assert_eq!(stage.engine.gauges().locations, 1);
    assert_eq!(stage.ask(login(ALICE, "USER_LOGOUT", ALICE), Yes), "SERVACK LOST", "gone, and nobody watches");
    assert_eq!(stage.engine.gauges().locations, 0);
}

#[test]
fn where_sending_needs_proof_an_unproven_logout_is_not_told() {
    let mut stage = Stage::with(|config| config.policy.send = Demand::Required);
    stage.subscribe(there(), BOB, 6000, b"login\0alice@ATHENA.TEST\0\0");
    stage.send(here(), login(ALICE, "NET-VISIBLE", ALICE), Yes);
    assert_eq!(stage.ask(login(ALICE, "USER_LOGOUT", ALICE), No), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().locations, 0);
}

#[test]
fn what_was_told_with_proof_is_not_changed_without() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    stage.send(here(), login(ALICE, "NET-VISIBLE", ALICE), Yes);
    for opcode in ["NONE", "OPSTAFF"] {
        assert_eq!(stage.ask(login(ALICE, opcode, ALICE), No), "SERVNAK LOST", "{opcode}");
    }
    assert_eq!(stage.ask(login(ALICE, "USER_FLUSH", ALICE), No), "SERVACK SENT");
    assert_eq!(stage.seen(ALICE, BOB, No), SEEN);
    let elsewhere = Notice { port: 9, ..login(ALICE, "NET-VISIBLE", ALICE) };
    assert_eq!(stage.ask(elsewhere, No), "SERVACK LOST");
    assert_eq!(stage.ask(Notice { opcode: b"NONE", ..elsewhere }, No), "SERVACK SENT", "what was not, is");
}

#[test]
fn locations_are_bounded_per_user_and_per_host() {
    let bounds = Bounds { locations_per_user: 2, locations_per_host: 3, ..Bounds::default() };
    let mut stage = Stage::with(|config| config.bounds = bounds);
    let mut tell = |host, user: &str, port| {
        stage.send(host, Notice { port, ..login(user, "REALM-VISIBLE", user) }, Yes)[0].answer()
    };
    assert_eq!(tell(here(), ALICE, 1), "SERVACK SENT");
    assert_eq!(tell(here(), ALICE, 2), "SERVACK SENT");
    assert_eq!(tell(there(), ALICE, 3), "SERVACK LOST", "the user's limit");
    assert_eq!(tell(here(), ALICE, 2), "SERVACK SENT", "an update is none more");
    assert_eq!(tell(here(), BOB, 1), "SERVACK SENT");
    assert_eq!(tell(here(), "carol@ATHENA.TEST", 1), "SERVACK LOST", "the host's limit");
    assert_eq!(tell(there(), "carol@ATHENA.TEST", 1), "SERVACK SENT", "others are not concerned");
    assert_eq!(stage.engine.gauges().locations, 4);
}

#[test]
fn where_nobody_can_prove_anything_the_realm_is_who_says_so() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    assert_eq!(stage.ask(login(ALICE, "REALM-VISIBLE", ALICE), No), "SERVACK SENT");
    assert_eq!(stage.seen(ALICE, BOB, No), SEEN);
    assert_eq!(stage.seen(ALICE, "bob@ELSEWHERE.TEST", No), "");
    // With Kerberos it is not, however much is open.
    let policy = Policy { receive: Demand::Optional, ..Policy::KERBEROS };
    let mut stage = Stage::with(|config| config.policy = policy);
    stage.ask(login(ALICE, "REALM-VISIBLE", ALICE), Yes);
    assert_eq!((stage.seen(ALICE, BOB, No), stage.seen(ALICE, BOB, Yes)), (String::new(), SEEN.to_owned()));
}

#[test]
fn s98_s100_s107_only_for_oneself_and_with_proof() {
    let mut stage = Stage::new();
    for opcode in ["REALM-VISIBLE", "USER_FLUSH", "NONE"] {
        assert_eq!(stage.ask(login(BOB, opcode, ALICE), Yes), "SERVNAK LOST");
        assert_eq!(stage.ask(login(ALICE, opcode, ALICE), No), "SERVNAK LOST");
    }
    assert_eq!(stage.engine.gauges().locations, 0);
}

#[test]
fn s101_s102_none() {
    let mut stage = Stage::exposed("NET-ANNOUNCED");
    assert_eq!(stage.ask(Notice { port: 9, ..login(ALICE, "NONE", ALICE) }, Yes), "SERVNAK FAIL");
    assert_eq!(stage.ask(login(ALICE, "NONE", ALICE), Yes), "SERVACK SENT");
    assert_eq!(stage.ask(login(ALICE, "NONE", ALICE), Yes), "SERVNAK FAIL");
}

#[test]
fn s103_s104_a_logout_is_shown_as_what_it_is() {
    for proof in [No, Yes] {
        let mut stage = Stage::watched();
        stage.send(here(), login(ALICE, "REALM-ANNOUNCED", ALICE), Yes);
        assert_eq!(
            stage.send(there(), login(ALICE, "USER_LOGOUT", ALICE), proof)[0].answer(),
            "SERVNAK FAIL",
            "another host"
        );
        assert_eq!(stage.ask(Notice { port: 9, ..login(ALICE, "USER_LOGOUT", ALICE) }, proof), "SERVNAK FAIL");
        let received = stage.send(here(), login(ALICE, "USER_LOGOUT", ALICE), proof);
        assert_eq!((received[0].to, received[0].notice().opcode), (at(there(), 6000), &b"USER_LOGOUT"[..]));
        assert_eq!(key_of(BOB).check(&received[0].packet(), Direction::ToClient), proof == Yes);
        assert_eq!(received[1].answer(), "SERVACK SENT");
        assert_eq!(stage.ask(login(ALICE, "USER_LOGOUT", ALICE), proof), "SERVNAK FAIL");
    }
}

#[test]
fn s106_user_flush_takes_all_of_one_user() {
    let mut stage = Stage::new();
    for (host, user, port) in [
        (here(), ALICE, 1),
        (there(), ALICE, 2),
        (here(), ALICE, 3),
        (here(), BOB, 4),
        (there(), "carol@ATHENA.TEST", 5),
    ] {
        stage.send(host, Notice { port, ..login(user, "NET-VISIBLE", user) }, Yes);
    }
    assert_eq!(stage.ask(login(ALICE, "USER_FLUSH", ALICE), Yes), "SERVACK SENT");
    assert_eq!(stage.ask(login(ALICE, "USER_FLUSH", ALICE), Yes), "SERVACK SENT", "also of none");
    assert_eq!(stage.seen(ALICE, BOB, Yes), "");
    assert_eq!(stage.seen(BOB, ALICE, Yes), SEEN);
    assert_eq!(stage.seen("carol@ATHENA.TEST", ALICE, Yes), SEEN);
}

#[test]
fn s108_s109_opcodes_that_are_none() {
    let mut stage = Stage::new();
    assert_eq!(stage.ask(login(ALICE, "USER_LOGIN", ALICE), Yes), "SERVACK LOST");
    assert_eq!(stage.events, []);
    assert_eq!(stage.ask(login(ALICE, "BOGUS", ALICE), Yes), "SERVACK LOST");
    assert!(matches!(stage.events.as_slice(), [LogEvent::UnknownOpcode { class: "ulog", .. }]));
}

#[test]
fn s110_s111_s112_s113_s114_who_sees_whom() {
    let far = "bob@ELSEWHERE.TEST";
    for (exposure, stranger, local, foreign) in [
        ("NET-VISIBLE", true, true, true),
        ("NET-ANNOUNCED", true, true, true),
        ("REALM-VISIBLE", false, true, false),
        ("REALM-ANNOUNCED", false, true, false),
        ("OPSTAFF", false, false, false),
    ] {
        let mut stage = Stage::exposed(exposure);
        let expected = |visible| if visible { SEEN } else { "" };
        assert_eq!(stage.seen(ALICE, BOB, No), expected(stranger), "{exposure}");
        assert_eq!(stage.seen(ALICE, BOB, Failed), expected(stranger), "{exposure}");
        assert_eq!(stage.seen(ALICE, BOB, Yes), expected(local), "{exposure}");
        assert_eq!(stage.seen(ALICE, far, Yes), expected(foreign), "{exposure}");
    }
}

#[test]
fn s116_names_are_exact() {
    assert_eq!(Stage::exposed("NET-VISIBLE").seen("Alice@ATHENA.TEST", BOB, Yes), "");
}

#[test]
fn s118_hiding_is_not_done_this_way() {
    let mut stage = Stage::exposed("NET-VISIBLE");
    assert_eq!(stage.ask(notice("USER_LOCATE", ALICE, "USER_HIDE", ALICE), Yes), "SERVACK LOST");
    assert_eq!(stage.seen(ALICE, BOB, No), SEEN);
}

#[test]
fn s119_status() {
    let mut stage = Stage::new();
    stage.wait(61);
    let received = stage.send(
        at(here(), 7777),
        Notice { kind: Kind::Unsafe, port: 0, ..notice("ZEPHYR_ADMIN", "", "STATUS", ALICE) },
        No,
    );
    assert_eq!((received.len(), received[0].to), (1, at(here(), 7777)), "to the source, whatever the port says");
    let status = received[0].notice();
    assert_eq!(
        (status.kind, status.class, status.opcode, status.port),
        (Kind::Unsafe, &b"ZEPHYR_ADMIN"[..], &b"STATUS"[..], 2103)
    );
    assert_eq!((status.sender, status.recipient), (&b"zsrv.zlab.example"[..], &b""[..]));
    let body = "Zephyr Server test|1 pkts|61 seconds operational|127.77.0.100/SERV_UP|";
    assert_eq!(received[0].body(), as_here(body));
    assert_eq!(stage.wait(2).len(), 1);
    stage.acknowledge(&received[0]);
    assert_eq!(stage.wait(3600), []);
}

#[test]
fn s120_s121_nobody_else_administers() {
    let mut stage = Stage::new();
    for (kind, opcode) in
        [(Kind::Unsafe, "HELLO"), (Kind::Acked, "GOODBYE"), (Kind::Acked, "KILL_CLIENT"), (Kind::Acked, "DUMP_AVAIL")]
    {
        // C servers say nothing, and whoever sends this through a host manager makes it look for another server.
        assert_eq!(stage.ask(Notice { kind, ..notice("ZEPHYR_ADMIN", "", opcode, ALICE) }, Yes), "SERVACK LOST");
        assert!(matches!(stage.events.pop(), Some(LogEvent::UnknownOpcode { class: "admin", .. })));
    }
}

#[test]
fn a_status_notice_that_its_host_manager_waits_for_is_acknowledged() {
    for kind in [Kind::Acked, Kind::Unacked] {
        let mut stage = Stage::new();
        let octets = stage.packet(Notice { kind, ..notice("ZEPHYR_ADMIN", "", "STATUS", ALICE) }, No);
        let received = stage.give(here(), &octets, No);
        let got: Vec<String> = received.iter().map(Received::answer).collect();
        assert_eq!(got, ["SERVACK SENT", "UNSAFE Zephyr Server test"], "{kind:?}");
        assert_eq!(stage.give(here(), &octets, No).len(), 1, "and acknowledged again");
    }
}
