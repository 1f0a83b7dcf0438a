//! Policy decisions, row by row. The whole table of demands is compared with the documentation in `policy_table.rs`.

use zephyr_core::{
    auth::{Identity, Reason, Verdict},
    fold::FoldedName,
    kind::Kind,
    notice::Notice,
    policy::{
        Action, ClassPolicy, Demand, FailedProof, ForeignRule, NamePattern, Parties, Policy, Rule, Ruling, Section,
        Setting, Shown, Why, decide,
    },
};

const HOME: Parties<'static> = Parties::direct(b"HOME");

fn authentic(principal: &str) -> Verdict {
    Verdict::Authentic(Identity::new(principal.as_bytes()))
}

fn class_rules(classes: &str) -> ClassPolicy {
    ClassPolicy { classes: NamePattern::new(classes.as_bytes()), send: None, receive: None, failed_proof: None }
}

#[test]
fn classes_differ_from_their_domain() {
    let policy = Policy {
        send: Demand::Required,
        classes: vec![
            ClassPolicy { send: Some(Demand::Optional), ..class_rules("public-*") },
            ClassPolicy { send: Some(Demand::Closed), receive: Some(Demand::Optional), ..class_rules("public-news") },
        ],
        ..Policy::KERBEROS
    };
    let of_class = |number, action| Rule { section: Section::Class(number), setting: Setting::Demand(action) };
    let of_domain = |action| Rule { section: Section::Domain, setting: Setting::Demand(action) };
    for (action, class, allowed, rule) in [
        (Action::Send, Some("other"), false, of_domain(Action::Send)),
        (Action::Send, None, false, of_domain(Action::Send)),
        (Action::Send, Some("PUBLIC-talk"), true, of_class(0, Action::Send)),
        (Action::Send, Some("Public-News"), false, of_class(1, Action::Send)),
        (Action::Receive, Some("public-talk"), false, of_domain(Action::Receive)),
        (Action::Receive, Some("public-news"), true, of_class(1, Action::Receive)),
    ] {
        let class = class.map(|class| FoldedName::new(class.as_bytes()));
        let decision = decide(&policy, action, &Verdict::Unauthenticated, class.as_ref(), &HOME);
        assert_eq!((decision.allows(), decision.rule), (allowed, rule), "{action:?} {class:?}");
    }
    let closed = decide(&policy, Action::Send, &authentic("alice@HOME"), Some(&FoldedName::new(b"public-news")), &HOME);
    assert_eq!(closed.refusal().map(|refusal| &refusal.why), Some(&Why::Closed));
    assert!(policy.allows_somewhere(Action::Receive, &Verdict::Unauthenticated, &HOME));
    assert!(policy.allows_somewhere(Action::Send, &Verdict::Unauthenticated, &HOME));
    assert!(!policy.allows_somewhere(Action::Login, &Verdict::Unauthenticated, &HOME));
}

#[test]
fn a_class_has_its_own_way_with_failed_proofs() {
    let policy = Policy {
        classes: vec![ClassPolicy { failed_proof: Some(FailedProof::Refuse), ..class_rules("alarm") }],
        failed_proof: FailedProof::Drop,
        ..Policy::KERBEROS
    };
    let failed = Verdict::Failed(Reason::Checksum);
    let refused = decide(&policy, Action::Send, &failed, Some(&FoldedName::new(b"ALARM")), &HOME);
    assert_eq!(refused.refusal().map(|refusal| &refusal.why), Some(&Why::Failed(Reason::Checksum)));
    assert_eq!(refused.rule, Rule { section: Section::Class(0), setting: Setting::FailedProof });
    assert_eq!(decide(&policy, Action::Send, &failed, Some(&FoldedName::new(b"other")), &HOME).ruling, Ruling::Drop);
    assert_eq!(policy.failed_proof_in(&FoldedName::new(b"Alarm")), FailedProof::Refuse);
    assert_eq!(policy.failed_proof_in(&FoldedName::new(b"other")), FailedProof::Drop);
}

#[test]
fn foreign_realms_speak_for_whom_they_may() {
    let pattern = |text: &str| NamePattern::new(text.as_bytes());
    let foreign = |realms, speaks_for: &[&str]| ForeignRule {
        realms: pattern(realms),
        speaks_for: speaks_for.iter().map(|text| pattern(text)).collect(),
    };
    let ruled = Policy {
        foreign: vec![
            foreign("FRIEND", &["*"]),
            foreign("SOME", &["staff-*", "root@OTHER"]),
            foreign("NOBODY", &[]),
            foreign("HUB", &["*@SPOKE?"]),
            foreign("*.EVIL", &[]),
            foreign("GOOD.EVIL", &["*"]),
        ],
        ..Policy::KERBEROS
    };
    let free = Policy::KERBEROS;
    for (policy, principal, relay, trusted) in [
        (&free, "alice@HOME", None, true),
        (&free, "alice", None, true),
        (&free, "bob@AWAY", None, true),
        (&free, "bob@AWAY", Some("AWAY"), true),
        (&free, "alice@HOME", Some("AWAY"), false),
        (&free, "carol@THIRD", Some("AWAY"), false),
        (&free, "alice@HOME", Some("HOME"), true),
        (&ruled, "bob@FRIEND", None, true),
        (&ruled, "bob@FRIEND", Some("FRIEND"), true),
        (&ruled, "alice@HOME", Some("FRIEND"), false),
        (&ruled, "bob@UNNAMED", None, true),
        (&ruled, "staff-bob@SOME", None, true),
        (&ruled, "bob@SOME", None, false),
        (&ruled, "root@OTHER", Some("SOME"), true),
        (&ruled, "staff-x@OTHER", Some("SOME"), false),
        (&ruled, "bob@NOBODY", None, false),
        (&ruled, "x@SPOKE1", Some("HUB"), true),
        (&ruled, "x@HUB", Some("HUB"), false),
        (&ruled, "x@VERY.EVIL", None, false),
        (&ruled, "x@GOOD.EVIL", None, true),
        (&ruled, r"x\@HOME@NOBODY", None, false),
        (&ruled, r"x\\@NOBODY", None, false),
        (&ruled, r"staff-\@x@SOME", None, true),
        (&ruled, "x@HOME@FRIEND", Some("FRIEND"), false),
    ] {
        let parties = Parties { home: b"HOME", relay: relay.map(str::as_bytes) };
        let decision = decide(policy, Action::Send, &authentic(principal), Some(&FoldedName::new(b"c")), &parties);
        let shown = if trusted { Shown::Authentic } else { Shown::Failed };
        assert_eq!((decision.allows(), decision.shown_as), (true, shown), "{principal} by {relay:?}");
        let received = decide(policy, Action::Receive, &authentic(principal), Some(&FoldedName::new(b"c")), &parties);
        assert_eq!(received.allows(), trusted, "{principal} by {relay:?}");
    }
    let refusing = Policy { failed_proof: FailedProof::Refuse, ..ruled };
    let decision = decide(&refusing, Action::Send, &authentic("bob@NOBODY"), None, &HOME);
    assert_eq!(decision.rule, Rule { section: Section::Foreign(2), setting: Setting::SpeaksFor });
    let text = decision.refusal().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains("realm NOBODY may not speak for this sender"), "{text}");
}

#[test]
fn what_a_notice_asks_for() {
    let notice = |class: &'static str, instance: &'static str, opcode: &'static str| Notice {
        kind: Kind::Acked,
        class: class.as_bytes(),
        instance: instance.as_bytes(),
        opcode: opcode.as_bytes(),
        ..Notice::EMPTY
    };
    for (class, instance, opcode, action) in [
        ("MESSAGE", "PERSONAL", "", Some(Action::Send)),
        ("hm_stat", "x", "", None),
        ("Zephyr_Ctl", "CLIENT", "SUBSCRIBE", Some(Action::Receive)),
        ("ZEPHYR_CTL", "CLIENT", "GIMME", Some(Action::Receive)),
        ("ZEPHYR_CTL", "CLIENT", "GIMMEDEFS", None),
        ("ZEPHYR_CTL", "hm", "FLUSH", None),
        ("LOGIN", "alice@HOME", "USER_LOGOUT", Some(Action::Logout)),
        ("login", "alice@HOME", "NET-VISIBLE", Some(Action::Login)),
        ("USER_LOCATE", "alice@HOME", "LOCATE", Some(Action::Locate)),
        ("HM_CTL", "", "", None),
        ("WG_CTL", "", "", None),
        ("zephyr_admin", "", "STATUS", None),
    ] {
        assert_eq!(Action::of(&notice(class, instance, opcode)), action, "{class} {instance} {opcode}");
    }
}
