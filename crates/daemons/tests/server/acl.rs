//! The rows of the semantics table about access control (section C, and those of D, F and G that depend on lists).

use crate::stage::*;
use std::net::SocketAddr;
use zephyr_core::{
    auth::{Direction, Session},
    notice::Notice,
    policy::{Demand, Policy},
};
use zephyr_engine::level::Level;
use zephyr_engine::server::{
    Command, LogEvent, access,
    acl::{Act, Who},
};

const CAROL: &str = "carol@ATHENA.TEST";
const PLACE: &[u8] = b"machine\0time\0tty\0";

/// A stage with these lists.
fn with(lists: &[(&str, &str)]) -> Stage {
    Stage::with(|config| config.rules = rules(lists))
}

fn shipped() -> Stage {
    with(&shipped_rules())
}

fn login<'a>(user: &'a str, opcode: &'a str, sender: &'a str) -> Notice<'a> {
    Notice { body: PLACE, ..notice("LOGIN", user, opcode, sender) }
}

impl Stage {
    /// The answer to a notice that nobody subscribed to: LOST when it is admitted.
    fn admits(&mut self, from: SocketAddr, notice: Notice<'_>, proof: Proof) -> bool {
        let received = self.send(from, notice, proof);
        assert_eq!(received.len(), 1);
        match received[0].answer().as_str() {
            "SERVACK LOST" => true,
            "SERVNAK LOST" => false,
            other => panic!("{other}"),
        }
    }

    /// The log line of the only event since the last look.
    fn line(&mut self) -> String {
        let of_rules = self.events.drain(..).filter(|event| !matches!(event, LogEvent::FailedProof { .. }));
        let lines: Vec<String> = of_rules.map(|event| event.to_string()).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.concat()
    }
}

#[test]
fn s28_s29_operations_is_for_nobody() {
    let mut stage = shipped();
    stage.subscribe(there(), BOB, 6000, b"operations\0*\0\0");
    assert_eq!(stage.ask(notice("Operations", "message", "", ALICE), Yes), "SERVNAK LOST");
    assert_eq!(stage.line(), as_here("sendit unauthorized Operations from alice@ATHENA.TEST (127.77.0.1:2104)"));
    for proof in [No, Failed] {
        let refused = stage.send(here(), notice("operations", "message", "", ALICE), proof).remove(0);
        assert_eq!(refused.answer(), "SERVNAK LOST");
        assert_eq!(refused.reason().as_deref(), Some("you may not send to class operations here"));
        let line = "sendit unauthorized operations from alice@ATHENA.TEST (unauth) (127.77.0.1:2104)";
        assert_eq!(stage.line(), as_here(line));
    }
    assert_eq!(stage.engine.counters().send_refused, 3);
}

/// What an operator is told beforehand is what requests get: whoever asks, about whatever class, under whichever policy.
#[test]
fn what_is_decided_beforehand_is_what_requests_get() {
    let carol_reads = [
        ("sub-login", CAROL),
        ("sub-hm_ctl", CAROL),
        ("xmt-hm_ctl", ""),
        ("sub-secret", CAROL),
        ("xmt-secret", "alice@ATHENA.TEST\nbob@ATHENA.TEST"),
        ("iui-secret", "bob@ATHENA.TEST"),
        ("xmt-login", "*.*@*"),
        ("iui-login", "*.*@*"),
        ("sub-half", "*.*@*"),
        ("iws-half", CAROL),
    ];
    let closed = Policy { send: Demand::Required, ..Policy::KERBEROS };
    let classes = ["talk", "secret", "half", "LOGIN", "hm_ctl", "Zephyr_Ctl", "user_locate", "zephyr_admin", "wg_ctl"];
    for policy in [Policy::KERBEROS, closed] {
        let stage = || {
            Stage::with(|config| {
                config.rules = rules(&carol_reads);
                config.policy = policy.clone();
            })
        };
        let beforehand = |class: &str, act, (person, proof): (&str, Proof)| {
            let principal = (proof == Yes).then_some(person.as_bytes());
            let who = Who { principal, address: Some(here().ip()) };
            access(&policy, &rules(&carol_reads), REALM.as_bytes(), class.as_bytes(), act, who).is_allowed()
        };
        for class in classes {
            for who in [(ALICE, Yes), (BOB, Yes), (CAROL, Yes), (ALICE, No)] {
                let (person, proof) = who;
                for (act, instance) in [(Act::Send, person), (Act::OtherInstance, "other")] {
                    if proof == No && act == Act::Send {
                        // Without proof nobody has a name of his own.
                        continue;
                    }
                    let mut stage = stage();
                    stage.subscribe(there(), CAROL, 6000, format!("{class}\0{instance}\0\0").as_bytes());
                    let received = stage.send(here(), notice(class, instance, "", person), proof);
                    let arrives = received.iter().any(|received| received.to == at(there(), 6000));
                    assert_eq!(beforehand(class, act, who), arrives, "{who:?} {act:?} {class}: {received:?}");
                }
                for (act, instance) in [(Act::Subscribe, "other"), (Act::AnyInstance, "*")] {
                    let mut stage = stage();
                    let body = format!("{class}\0{instance}\0\0");
                    stage.send(here(), control("SUBSCRIBE_NODEFS", person, body.as_bytes()), proof);
                    let has = !stage.list(here(), person, 5000).is_empty();
                    assert_eq!(beforehand(class, act, who), has, "{who:?} {act:?} {class}");
                }
            }
        }
    }
}

#[test]
fn s30_s31_s32_only_a_proven_principal_is_one() {
    let mut stage = with(&[("xmt-testcl", "bob@ATHENA.TEST")]);
    assert!(!stage.admits(here(), notice("testcl", "i", "", ALICE), Yes));
    assert!(stage.admits(here(), notice("testcl", "i", "", BOB), Yes));
    for proof in [No, Failed] {
        assert!(!stage.admits(here(), notice("testcl", "i", "", BOB), proof), "{proof:?}");
    }
    stage.subscribe(there(), ALICE, 6000, b"testcl\0i\0\0");
    let received = stage.send(here(), notice("TESTCL", "i", "", BOB), Yes);
    assert_eq!((received[0].to, received[1].answer().as_str()), (at(there(), 6000), "SERVACK SENT"));
}

#[test]
fn s33_s34_patterns() {
    for (list, far) in [("*@ATHENA.TEST", false), ("*.*@*", true)] {
        let mut stage = with(&[("xmt-testcl", list)]);
        for sender in [ALICE, "x/root@ATHENA.TEST"] {
            assert!(stage.admits(here(), notice("testcl", "i", "", sender), Yes), "{list} {sender}");
        }
        assert_eq!(stage.admits(here(), notice("testcl", "i", "", "eve@ELSEWHERE.TEST"), Yes), far, "{list}");
    }
}

#[test]
fn s35_who_is_refused_is_not_admitted_by_another_line() {
    for list in ["*@*\n!carol@ATHENA.TEST", "!carol@ATHENA.TEST\n*@*\n@0.0.0.0/0"] {
        let mut stage = with(&[("xmt-testcl", list)]);
        assert!(!stage.admits(here(), notice("testcl", "i", "", CAROL), Yes), "{list}");
        assert!(stage.admits(here(), notice("testcl", "i", "", ALICE), Yes));
    }
}

#[test]
fn s36_s37_hosts() {
    let mut stage = with(&[("xmt-hostcl", "@127.77.0.0/24\n!@127.77.0.2\nbob@ATHENA.TEST\n")]);
    assert!(stage.admits(here(), notice("hostcl", "i", "", ALICE), No), "an admitted host needs no proof");
    assert!(!stage.admits(outside(), notice("hostcl", "i", "", ALICE), No));
    assert!(!stage.admits(outside(), notice("hostcl", "i", "", ALICE), Yes));
    assert!(stage.admits(outside(), notice("hostcl", "i", "", BOB), Yes));
    assert!(
        !stage.admits(there(), notice("hostcl", "i", "", BOB), Yes),
        "a refused host wins over an admitted principal"
    );
    assert!(!stage.admits(there(), notice("hostcl", "i", "", BOB), No));
}

#[test]
fn s38_s39_an_instance_that_is_not_ones_name() {
    let mut stage = with(&[("xmt-iuicl", "*@*"), ("iui-iuicl", "")]);
    assert!(!stage.admits(here(), notice("iuicl", "other", "", ALICE), Yes));
    let line = "sendit unauth uid alice@ATHENA.TEST to iuicl instance other (127.77.0.1:2104)";
    assert_eq!(stage.line(), as_here(line));
    assert!(stage.admits(here(), notice("iuicl", ALICE, "", ALICE), Yes));
    assert!(!stage.admits(here(), notice("iuicl", "Alice@ATHENA.TEST", "", ALICE), Yes), "names are exact");
    assert_eq!(stage.engine.counters().instance_refused, 2);
}

#[test]
fn a_name_that_is_only_claimed_is_not_ones_name() {
    // C servers compare the instance with what an unproven notice says of its sender.
    let mut stage = with(&[("xmt-iuicl", "@127.77.0.1"), ("iui-iuicl", "")]);
    for proof in [No, Failed] {
        assert!(!stage.admits(here(), notice("iuicl", ALICE, "", ALICE), proof));
    }
    assert!(stage.admits(here(), notice("iuicl", ALICE, "", ALICE), Yes));
}

#[test]
fn s40_a_class_without_lists_is_free() {
    let mut stage = with(&[("all-anyreg", "")]);
    assert!(stage.admits(here(), notice("anyreg", "i", "", ALICE), No));
    stage.subscribe(here(), ALICE, 5000, b"anyreg\0*\0\0");
    assert_eq!(stage.list(here(), ALICE, 5000), "anyreg|*||");
}

#[test]
fn s41_s42_s43_rules_are_read_again_as_a_whole() {
    let mut stage = with(&[("all-anyreg", ""), ("xmt-second", "")]);
    assert!(stage.admits(here(), notice("anyreg", "i", "", ALICE), Yes));
    assert!(!stage.admits(here(), notice("second", "i", "", ALICE), Yes));
    assert!(stage.admits(here(), notice("newreg", "i", "", ALICE), Yes));
    stage.command(Command::Reload(rules(&[("xmt-anyreg", ""), ("all-second", ""), ("xmt-newreg", BOB)])));
    assert!(!stage.admits(here(), notice("anyreg", "i", "", ALICE), Yes), "a list that is new counts");
    assert!(stage.admits(here(), notice("second", "i", "", ALICE), Yes), "a list that is gone no longer does");
    assert!(!stage.admits(here(), notice("newreg", "i", "", ALICE), Yes));
    assert!(stage.admits(here(), notice("newreg", "i", "", BOB), Yes));
    stage.command(Command::Reload(rules(&[])));
    assert!(stage.admits(here(), notice("anyreg", "i", "", ALICE), No), "classes leave the registry");
}

#[test]
fn classes_are_the_same_in_any_spelling() {
    let mut stage = with(&[("xmt-Straße", "")]);
    assert!(!stage.admits(here(), notice("STRASSE", "i", "", ALICE), Yes));
}

#[test]
fn s55_s56_s57_subscriptions() {
    let mut stage = with(&[("sub-hidden", ""), ("sub-login", "*@*"), ("iws-login", "bob@ATHENA.TEST")]);
    let body = b"hidden\0i\0\0Login\0*\0\0login\0bob@ATHENA.TEST\0\0free\0*\0\0";
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, body), Yes), "SERVACK SENT");
    let lines: Vec<String> = stage.events.drain(..).map(|event| event.to_string()).collect();
    let refusal = as_here("subscr unauth alice@ATHENA.TEST class hidden (127.77.0.1:5000) and 1 more");
    assert_eq!(lines, [refusal], "a line for the request");
    assert_eq!(
        stage.list(here(), ALICE, 5000),
        "login|bob@athena.test||free|*||",
        "whoever asks sees what was refused"
    );
    assert_eq!(stage.engine.counters().subscription_refused, 2);
    stage.subscribe(there(), BOB, 6000, b"login\0*\0\0");
    assert_eq!(stage.list(there(), BOB, 6000), "login|*||");
}

#[test]
fn what_a_request_names_again_counts_once() {
    let mut stage = with(&[("sub-hidden", "")]);
    let body = b"hidden\0i\0\0free\0*\0\0".repeat(20);
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, &body), Yes), "SERVACK SENT");
    assert_eq!(stage.line(), as_here("subscr unauth alice@ATHENA.TEST class hidden (127.77.0.1:5000)"));
    assert_eq!(stage.list(here(), ALICE, 5000), "free|*||");
    assert_eq!(stage.engine.counters().subscription_refused, 1);
}

#[test]
fn what_a_list_refuses_is_told() {
    let mut stage = with(&[("sub-hidden", ""), ("iws-login", "")]);
    for (body, reason) in [
        (&b"hidden\0i\0\0"[..], Some("you may not subscribe to class hidden here")),
        (b"free\0i\0\0Hidden\0i\0\0", Some("you may not subscribe to class hidden here")),
        (b"login\0*\0\0", Some("you may not subscribe to all instances of class login here")),
        (b"login\0x\0\0free\0*\0\0", None),
    ] {
        let received = stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, body), Yes);
        assert_eq!((received[0].answer().as_str(), received[0].reason().as_deref()), ("SERVACK SENT", reason));
    }
    let long = [&[b'x'; 700][..], b"\0i\0\0"].concat();
    let mut stage = with(&[(&format!("sub-{}", "x".repeat(700)), "")]);
    let received = stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, &long), Yes);
    assert!(received[0].reason().is_some_and(|reason| reason.len() <= 200));
}

#[test]
fn hosts_subscribe_too() {
    let mut stage = Stage::with(|config| {
        config.policy = Policy::OPEN;
        config.rules = rules(&[("sub-lab", "@127.77.0.1"), ("sub-staff", "alice@ATHENA.TEST")]);
    });
    for (host, held) in [(here(), "lab|i||"), (there(), "")] {
        let received = stage.send(host, control("SUBSCRIBE_NODEFS", ALICE, b"lab\0i\0\0staff\0i\0\0"), No);
        assert_eq!(received[0].answer(), "SERVACK SENT");
        let received = stage.send(host, control("GIMME", ALICE, b"0x1388\0"), No);
        assert_eq!(received[1].body(), held, "a claimed name admits to nothing, even where no proof is wanted");
    }
}

#[test]
fn default_subscriptions_are_no_way_around() {
    let mut stage = with(&[("sub-operations", "bob@ATHENA.TEST")]);
    assert_eq!(stage.ask(control("SUBSCRIBE", ALICE, b""), Yes), "SERVACK SENT");
    assert_eq!(stage.events[0].level(), Level::Debug, "which nobody asked for");
    assert_eq!(stage.line(), as_here("subscr unauth alice@ATHENA.TEST class operations (127.77.0.1:5000)"));
    assert_eq!(stage.ask(control("SUBSCRIBE", ALICE, b"operations\0*\0\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.events[0].level(), Level::Warning);
    assert_eq!(stage.list(here(), ALICE, 5000), "message|personal|alice@ATHENA.TEST|message|urgent|alice@ATHENA.TEST|");
}

#[test]
fn new_rules_end_what_they_forbid() {
    let mut stage = with(&[]);
    stage.subscribe(here(), ALICE, 5000, b"secret\0a\0\0free\0*\0\0secret\0*\0\0");
    stage.subscribe(there(), BOB, 6000, b"secret\0*\0\0");
    let new = rules(&[("sub-secret", "*@*\n!@127.77.0.2"), ("iws-secret", BOB)]);
    assert_eq!(stage.command(Command::Reload(new.clone())), []);
    let lines: Vec<String> = stage.events.drain(..).map(|event| event.to_string()).collect();
    assert_eq!(lines.len(), 2);
    for line in [
        "1 subscription of alice@ATHENA.TEST ended by the new rules (127.77.0.1:5000)",
        "1 subscription of bob@ATHENA.TEST ended by the new rules (127.77.0.2:6000)",
    ] {
        assert!(lines.contains(&as_here(line)));
    }
    assert_eq!(stage.list(here(), ALICE, 5000), "secret|a||free|*||");
    assert_eq!(stage.list(there(), BOB, 6000), "");
    assert_eq!(stage.send(here(), notice("secret", "b", "", ALICE), Yes).len(), 1, "nobody receives it any more");
    assert_eq!(stage.engine.gauges().subscriptions, 2);
    stage.command(Command::Reload(new));
    assert_eq!(stage.events, [], "what is admitted stays");
}

#[test]
fn s71_operators_flush_others() {
    let mut stage = with(&[("opstaff", "bob@ATHENA.TEST")]);
    stage.subscribe(here(), ALICE, 5000, b"a\0b\0\0");
    stage.subscribe(there(), BOB, 6000, b"a\0b\0\0");
    assert_eq!(stage.ask(control("FLUSHSUBS", CAROL, b"alice@ATHENA.TEST\0"), Yes), "SERVNAK LOST");
    assert_eq!(stage.line(), "unauth flushsubs for alice@ATHENA.TEST by carol@ATHENA.TEST");
    assert_eq!(stage.ask(control("FLUSHSUBS", BOB, b"alice@ATHENA.TEST\0"), No), "SERVNAK LOST");
    assert_eq!(stage.engine.gauges().clients, 2);
    assert_eq!(stage.ask(control("FLUSHSUBS", BOB, b"alice@ATHENA.TEST\0"), Yes), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().clients, 1, "alice's");
    assert_eq!(stage.list(there(), BOB, 6000), "a|b||");
}

#[test]
fn s98_s99_operators_tell_of_others() {
    let mut stage = with(&[("opstaff", "*/admin@ATHENA.TEST")]);
    let admin = "bob/admin@ATHENA.TEST";
    assert_eq!(stage.ask(login(ALICE, "REALM-VISIBLE", BOB), Yes), "SERVNAK LOST");
    assert_eq!(stage.line(), "unauth location of alice@ATHENA.TEST by bob@ATHENA.TEST");
    assert_eq!(stage.ask(login(ALICE, "REALM-VISIBLE", admin), No), "SERVNAK LOST");
    assert_eq!(stage.ask(login(ALICE, "REALM-VISIBLE", admin), Yes), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().locations, 1);
    assert_eq!(stage.ask(login(ALICE, "USER_FLUSH", admin), Yes), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().locations, 0);
    assert_eq!(stage.engine.counters().operator_refused, 1);
}

/// Alice at the first host with an announced location, under the shipped lists, watched by bob.
fn watched() -> Stage {
    let mut stage = shipped();
    stage.subscribe(there(), BOB, 6000, b"login\0alice@ATHENA.TEST\0\0");
    let received = stage.send(here(), login(ALICE, "REALM-ANNOUNCED", ALICE), Yes);
    assert_eq!((received[0].to, received[1].answer().as_str()), (at(there(), 6000), "SERVACK SENT"));
    stage.acknowledge(&received[0]);
    stage
}

#[test]
fn s103_with_the_shipped_lists() {
    let mut stage = watched();
    let received = stage.send(here(), login(ALICE, "USER_LOGOUT", ALICE), No);
    assert_eq!((received[0].to, received[1].answer().as_str()), (at(there(), 6000), "SERVACK SENT"));
    assert!(!key_of(BOB).check(&received[0].packet(), Direction::ToClient), "it proves nothing");
    assert_eq!(received[0].packet().claim.auth, 0);
    assert_eq!(stage.engine.gauges().locations, 0);
}

#[test]
fn s105_a_logout_in_another_name_is_not_announced() {
    let mut stage = watched();
    assert_eq!(stage.ask(login(ALICE, "USER_LOGOUT", "eve@ATHENA.TEST"), No), "SERVNAK LOST");
    assert_eq!(stage.engine.gauges().locations, 0, "the location is gone");
    assert!(matches!(stage.events.as_slice(), [LogEvent::InstanceRefused { .. }]));
}

#[test]
fn an_announcement_for_another_needs_the_iui_list() {
    for (iui, answer) in [("", "SERVNAK LOST"), ("bob@ATHENA.TEST", "SERVACK LOST")] {
        let mut stage = with(&[("opstaff", BOB), ("xmt-login", "*@*"), ("iui-login", iui)]);
        assert_eq!(stage.ask(login(ALICE, "NET-VISIBLE", BOB), Yes), answer);
        assert_eq!(stage.engine.gauges().locations, 1, "it is stored all the same");
    }
}

#[test]
fn s114_s115_operators_see_what_is_only_for_them() {
    let mut stage = with(&[("opstaff", "bob@ATHENA.TEST\n*@ELSEWHERE.TEST")]);
    stage.ask(login(ALICE, "OPSTAFF", ALICE), Yes);
    for (sender, proof, seen) in [
        (BOB, Yes, "machine|time|tty|"),
        (BOB, No, ""),
        (BOB, Failed, ""),
        (CAROL, Yes, ""),
        ("bob@ELSEWHERE.TEST", Yes, ""),
    ] {
        let received = stage.send(there(), notice("USER_LOCATE", ALICE, "LOCATE", sender), proof);
        assert_eq!(
            (received[0].answer().as_str(), received[1].body().as_str()),
            ("SERVACK SENT", seen),
            "{sender} {proof:?}"
        );
    }
}

#[test]
fn nobody_speaks_as_a_realm_by_what_the_header_says() {
    // C servers take the address in the uid and the port field for where a notice comes from.
    let mut stage = shipped();
    for opcode in ["REQ_SUBSCRIBE", "ADD_SUBSCRIBE", "RLM_UNSUBSCRIBE", "SENDSUBS", "SHUTDOWN"] {
        let body = b"message\0personal\0alice@ATHENA.TEST\0bob@ATHENA.TEST\0";
        let request = Notice { port: 2103, ..control(opcode, "zephyr/zephyr@ELSEWHERE.TEST", body) };
        assert_eq!(stage.ask(request, Yes), "SERVACK LOST", "{opcode}");
    }
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().subscriptions), (0, 0));
}
