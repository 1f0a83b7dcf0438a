//! zlocate beside C's, and what it says where it cannot find out.

use anyhow::Result;
use nix::sys::signal::Signal;
use std::fs;
use zephyr_e2e::{
    neighbours::introduce,
    person::{Make, Person, TIMEOUT},
    stack::Stack,
    transcript::{Bench, Run, Said, mask},
};
use zephyr_testkit::{
    process,
    realm::{Engine, Realm, RealmOptions},
};

/// Nobody is at this port.
const NOBODY: &str = "127.0.0.1:9";
/// The advice to who has no tickets.
const KINIT: &str =
    "zlocate: Run kinit first; or zlocate -d asks without proof, about whoever shows himself to everybody.";

/// The same of a person of our domains.
fn run(person: &Person, arguments: &[&str]) -> Result<String> {
    let program = Make::Ours.program("zlocate")?;
    let mut command = person.command(&program);
    command.args(arguments);
    let output = process::run(command, TIMEOUT)?;
    let path = program.to_string_lossy().into_owned();
    let lines = |text: &str| text.replace(&path, "zlocate").lines().map(mask).collect();
    let (stdout, stderr) = (lines(&output.stdout), lines(&output.stderr));
    Ok(Said { stdout, stderr, status: output.status.code(), files: Default::default() }.text())
}

/// Command lines about which both say the same: of bob, who is at one place and seen by those of his realm, carol, whom everybody sees at
/// another, and dave, who is nowhere.
const SAME: &[&str] = &[
    "bob",
    "-a bob",
    "bob@ATHENA.TEST",
    "dave",
    "bob dave carol",
    "bob bob",
    "-1 bob",
    "-1 dave bob carol",
    "dave -1",
    "-p bob",
    "-p dave",
    "bob -p dave carol",
    "-p -1 carol dave bob",
    "-1 -1 -p -p bob",
    "-d bob",
    "-d carol bob",
    "-d -1 carol bob",
    "-p -d bob carol",
    "bob@athena.test",
    "bob@",
    "@ATHENA.TEST",
    "BOB",
    r"b\@ob",
];

#[test]
fn both_say_the_same_of_users() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let (mut bob, mut carol) =
        (bench.person("bob", Make::Ours)?.client()?, bench.person("carol", Make::Ours)?.client()?);
    bob.order(&["login", "REALM-VISIBLE"])?;
    carol.order(&["login", "NET-ANNOUNCED"])?;
    let alice = bench.person("alice", Make::Ours)?;
    for line in SAME {
        let arguments: Vec<&str> = line.split(' ').collect();
        let run = Run { program: "zlocate", arguments: &arguments, ..Run::default() };
        let [c, ours] = bench.both(&alice, &run)?;
        assert_eq!(c.text(), ours.text(), "{line}");
        assert!(!c.stdout.is_empty() || line.contains("dave"), "{line}");
    }
    let empty = Run { program: "zlocate", arguments: &[""], ..Run::default() };
    let [c, ours] = bench.both(&alice, &empty)?;
    assert_eq!(c.text(), ours.text());
    Ok(())
}

#[test]
fn where_they_differ() -> Result<()> {
    const USAGE: &str = "Usage: zlocate [ -a | -d ] [ -p ] [ -1 ] user ... \n";
    const FOUND: &str = "bob@ATHENA.TEST:\tzsrv.athena.test\tpts/1\tDATE\n";
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let mut bob = bench.person("bob", Make::Ours)?.client()?;
    bob.order(&["login", "NET-VISIBLE"])?;
    let long = "x".repeat(900);
    let alice = bench.person("alice", Make::Ours)?;
    let without = alice.clone().with_variable("KRB5CCNAME", "FILE:/nowhere/cc");
    let usage = |why: &str| format!("{USAGE}! zlocate: {why}\n= 1\n");
    let failed = |reason: &str| format!("! zlocate: {reason}\n= 1\n");
    let advised = |reason: &str| format!("! zlocate: {reason}\n! {KINIT}\n= 1\n");
    let rows: Vec<(&Person, Vec<&str>, String, String)> = vec![
        // A line that is wrong: what is wrong with it.
        (&alice, vec![], format!("{USAGE}= 1\n"), usage("nothing says who is to be located")),
        (&alice, vec!["-x", "bob"], format!("{USAGE}= 1\n"), usage("there is no option -x")),
        (
            &alice,
            vec!["-a", "-d", "bob"],
            format!("{USAGE}= 1\n"),
            usage("only one of -a and -d can be given, and once"),
        ),
        // Several letters behind one hyphen: all of them count.
        (&alice, vec!["-p1", "bob"], format!("{}= 0\n", bobs_place()), format!("{FOUND}= 0\n")),
        (&alice, vec!["-1x", "bob"], format!("{FOUND}= 0\n"), usage("there is no option -1x")),
        // No tickets: advice.
        (
            &without,
            vec!["bob", "carol"],
            failed("No credentials cache found while locating user bob@ATHENA.TEST"),
            advised("No credentials cache found while locating user bob@ATHENA.TEST"),
        ),
        (
            &without,
            vec!["-p", "bob", "carol"],
            failed("No credentials cache found requesting location of bob@ATHENA.TEST"),
            advised("No credentials cache found requesting location of bob@ATHENA.TEST"),
        ),
        // A user about whom it fails: the others are told of all the same, and the status is that of a failure.
        (
            &alice,
            vec!["-1", &long, "bob"],
            failed(&format!("Notice header too large while locating user {long}@ATHENA.TEST")),
            format!(
                "{FOUND}! zlocate: Notice header too large (a notice header of HEADER octets, more than 1024) while locating user {}...\n! zlocate: Class, instance, opcode, recipient, sender and format are too long together: they share one packet's header.\n= 1\n",
                "x".repeat(64)
            ),
        ),
    ];
    for (person, arguments, of_c, of_ours) in rows {
        let run = Run { program: "zlocate", arguments: &arguments, ..Run::default() };
        let [c, ours] = bench.both(person, &run)?;
        assert_eq!((c.text(), without_number(&ours.text())), (of_c, of_ours), "{arguments:?}");
    }
    Ok(())
}

/// bob's place as it is told without `-1`.
fn bobs_place() -> String {
    format!("{:<42} {:<7} DATE\n", "zsrv.athena.test", "pts/1")
}

/// A text without the length of a header, which depends on a ticket's.
fn without_number(text: &str) -> String {
    match text.split_once("a notice header of ") {
        Some((before, rest)) => {
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}a notice header of HEADER{rest}")
        }
        None => text.to_owned(),
    }
}

#[test]
fn users_of_another_realm_are_asked_for_there() -> Result<()> {
    let domain =
        |realm: &str| Stack::start(Engine::Native, RealmOptions { realm: realm.to_owned(), ..RealmOptions::default() });
    let (mut north, mut south) = (domain("NORTH.TEST")?, domain("SOUTH.TEST")?);
    introduce(&mut north, &mut south)?;
    let mut bob = south.login("bob")?.client()?;
    bob.order(&["login", "NET-VISIBLE"])?;
    let mut carol = south.login("carol")?.client()?;
    carol.order(&["login", "REALM-VISIBLE"])?;
    let said = run(&north.login("alice")?, &["-1", "carol@SOUTH.TEST", "bob@SOUTH.TEST", "bob"])?;
    assert!(said.starts_with("bob@SOUTH.TEST:\t") && said.ends_with("\tpts/1\tDATE\n= 0\n"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    Ok(())
}

#[test]
fn a_refusal_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("policy.toml"), "[domain.\"*\"]\nlocate = \"required\"\n")?;
    let realm = Realm::start_on(Engine::Native, RealmOptions::default())?;
    let stack = Stack::configured(folder.path(), Some(realm))?;
    let mut bob = stack.login("bob")?.client()?;
    bob.order(&["login", "NET-VISIBLE"])?;
    let alice = stack.login("alice")?;
    assert!(run(&alice, &["bob"])?.ends_with("= 0\n"));
    // Her own program goes by the policy, too.
    let said = run(&alice, &["-d", "bob"])?;
    assert!(said.starts_with("! zlocate: locating user bob@"), "{said}");
    let lax = folder.path().join("lax.toml");
    fs::write(&lax, "")?;
    let said = run(&alice.with_variable("ZEPHYR_POLICY", &lax.to_string_lossy()), &["-d", "bob", "bob"])?;
    assert!(said.starts_with("! zlocate: locating user bob@") && said.contains(" was refused: "), "{said}");
    assert!(said.ends_with("= 1\n"), "{said}");
    Ok(())
}

#[test]
fn nobody_who_answers() -> Result<()> {
    let mut stack = Stack::without_kerberos()?;
    let alice = stack.bare_person("alice")?;
    let alone = alice.clone().with_variable("ZEPHYR_HM", NOBODY);
    let said = run(&alone, &["bob"])?;
    assert!(said.starts_with("! zlocate: Hostmanager not responding while initializing\n! zlocate: "), "{said}");
    assert!(said.ends_with("= 1\n"), "{said}");
    stack.zephyrd().signal(Signal::SIGSTOP)?;
    // One after the other would take longer than this waits.
    let users = ["bob", "carol", "dave", "erin", "frank"];
    let said = run(&alice, &users)?;
    stack.zephyrd().signal(Signal::SIGCONT)?;
    let lines: Vec<&str> = said.lines().collect();
    // Each of them is named, and the advice is given once.
    for (line, user) in lines[..1].iter().chain(&lines[2..]).zip(users) {
        assert!(line.starts_with(&format!("! zlocate: Connection timed out while locating user {user}@")), "{said}");
    }
    assert_eq!((lines.len(), lines[6]), (7, "= 1"), "{said}");
    Ok(())
}
