//! znol beside C's: what it says, and what it has the user's windowgram client subscribed to.

use anyhow::Result;
use std::path::Path;
use zephyr_e2e::{
    neighbours::introduce,
    person::{Make, Person, TIMEOUT},
    stack::Stack,
    transcript::{Bench, Run},
};
use zephyr_testkit::{
    deadline::wait_until,
    realm::{Engine, RealmOptions},
};

/// A file that both read in the same way.
const PEOPLE: &str = "bob\n# who is away\ncarol # a friend\n\n@later\ndave  \nerin@ELSEWHERE.TEST\n";

/// A realm in which bob and carol can be seen, and alice has a windowgram client.
struct Scene {
    bench: Bench,
    alice: Person,
    _others: Vec<zephyr_e2e::client::Client>,
    _zwgc: zephyr_testkit::process::Daemon,
}

impl Scene {
    fn open() -> Result<Option<Self>> {
        let Some(bench) = Bench::open()? else { return Ok(None) };
        let mut others = Vec::new();
        for (name, exposure) in [("bob", "REALM-VISIBLE"), ("carol", "NET-ANNOUNCED")] {
            let mut client = bench.person(name, Make::Ours)?.client()?;
            client.order(&["login", exposure])?;
            others.push(client);
        }
        let alice = bench.person("alice", Make::Ours)?;
        let zwgc = alice.zwgc(&[])?;
        Ok(Some(Self { bench, alice, _others: others, _zwgc: zwgc }))
    }

    /// What znol of a make says with these arguments, a blank between two, and this `~/.anyone`; and which people alice's windowgram client
    /// is subscribed to then. Nothing of that is left.
    fn znol(&self, make: Make, arguments: &str, input: &str, anyone: &str) -> Result<(String, Vec<String>)> {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let files = [(".anyone", anyone)];
        let run = Run { program: "znol", arguments: &arguments, input, files: &files };
        let said = self.bench.run(&self.alice, make, &run)?;
        let people = self.people()?;
        // By its own zctl: what has been subscribed to in whatever way is gone.
        for person in &people {
            let words: Vec<&str> = person.split(' ').collect();
            let arguments = [&["unsub", "login"], words.as_slice()].concat();
            self.bench.run(&self.alice, Make::C, &Run { program: "zctl", arguments: &arguments, ..Run::default() })?;
        }
        assert_eq!(self.people()?, [""; 0]);
        Ok((said.text(), people))
    }

    fn people(&self) -> Result<Vec<String>> {
        let run = Run { program: "zctl", arguments: &["retrieve"], ..Run::default() };
        let said = self.bench.run(&self.alice, Make::C, &run)?;
        let person =
            |line: &String| line.strip_prefix("Class login Instance ").map(|rest| rest.replace("Recipient ", ""));
        let mut people: Vec<String> = said.stdout.iter().filter_map(person).collect();
        people.sort_unstable();
        Ok(people)
    }

    fn both(&self, arguments: &str, input: &str, anyone: &str) -> Result<[(String, Vec<String>); 2]> {
        Ok([self.znol(Make::C, arguments, input, anyone)?, self.znol(Make::Ours, arguments, input, anyone)?])
    }
}

#[test]
fn both_do_the_same() -> Result<()> {
    let Some(scene) = Scene::open()? else { return Ok(()) };
    for arguments in [
        "",
        "on",
        "off on",
        "-q",
        "off",
        "off -q",
        "on -q -q",
        "-l",
        "-l on",
        "-l -u bob",
        "-l -u carol@ATHENA.TEST",
        "-l -u dave",
        "-u bob",
        "-q -u bob -u dave",
        "-f -",
        "-l -f -",
        "off -f -",
    ] {
        // At ELSEWHERE.TEST, of which nobody knows, nobody is to be asked.
        let [c, ours] = scene.both(arguments, "carol\nbob\n", &PEOPLE.replace("erin@ELSEWHERE.TEST\n", ""))?;
        assert_eq!(c, ours, "{arguments}");
        let subscribes = !arguments.contains("-l") && !arguments.starts_with("off") || arguments == "off on";
        assert_eq!(!c.1.is_empty(), subscribes, "{arguments}: {c:?}");
    }
    let [c, ours] = scene.both("-q", "", PEOPLE)?;
    assert_eq!(c, ours);
    assert_eq!(c.1.len(), 4, "{c:?}");
    Ok(())
}

#[test]
fn a_removal_takes_what_was_subscribed_to() -> Result<()> {
    let Some(scene) = Scene::open()? else { return Ok(()) };
    for (on, off) in [(Make::C, Make::Ours), (Make::Ours, Make::C), (Make::Ours, Make::Ours)] {
        for (make, arguments, people) in [(on, "-q", 3), (off, "off", 0)] {
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let files = [(".anyone", "bob\ncarol\ndave\n")];
            let run = Run { program: "znol", arguments: &arguments, files: &files, ..Run::default() };
            let said = scene.bench.run(&scene.alice, make, &run)?;
            assert_eq!((said.text(), scene.people()?.len()), ("= 0\n".to_owned(), people), "{make:?}");
        }
    }
    Ok(())
}

/// More people than one request of C's, or one packet, has room for.
#[test]
fn many_people() -> Result<()> {
    let Some(scene) = Scene::open()? else { return Ok(()) };
    let many: String = (0..60).map(|number| format!("somebody-with-a-long-name-{number}\n")).collect();
    let [c, ours] = scene.both("", "", &(many + "bob\n"))?;
    assert_eq!(c, ours);
    assert_eq!(ours.1.len(), 61);
    assert!(ours.0.starts_with("bob: zsrv.athena.test\tpts/1\tDATE\n"), "{}", ours.0);
    Ok(())
}

#[test]
fn where_they_differ() -> Result<()> {
    const USAGE: &str = "! Usage: znol [on|off] [-q | -l] [-f file | -u username]\n";
    let place = |who: &str| format!("{who}: zsrv.athena.test\tpts/1\tDATE\n");
    let Some(scene) = Scene::open()? else { return Ok(()) };
    let usage = |why: &str| format!("{USAGE}! znol: {why}\n= 1\n");
    let rows: [(&str, &str, String, String); 8] = [
        // A last line without an end: C takes its last letter away.
        ("-l", "carol\nbob", format!("{}= 0\n", place("carol")), format!("{}{}= 0\n", place("carol"), place("bob"))),
        // A comment without a blank before it: the same.
        ("-l", "bob#friend\n", "= 0\n".to_owned(), format!("{}= 0\n", place("bob"))),
        // Blanks before a name are a part of it.
        ("-l", "  bob\n", "= 0\n".to_owned(), format!("{}= 0\n", place("bob"))),
        // What is wrong is said.
        ("-z", "", format!("{USAGE}= 1\n"), usage("there is no option -z")),
        ("-s", "", format!("{USAGE}= 1\n"), usage("there is no option -s")),
        // To list and to remove: C does neither.
        ("off -l", "bob\n", "= 0\n".to_owned(), usage("off and -l cannot both be used")),
        (
            "-l -f /nowhere",
            "",
            "! Can't open /nowhere for input\n= 1\n".to_owned(),
            "! Can't open /nowhere for input\n! znol: /nowhere: No such file or directory\n= 1\n".to_owned(),
        ),
        // A line that is not what it looks like.
        (
            "-l",
            "bo\u{200b}b\ncarol\n",
            format!("{}= 0\n", place("carol")),
            format!(
                "{}! znol: $HOME/.anyone:1: passed over: a character that cannot be seen: \\u{{200b}}\n= 1\n",
                place("carol")
            ),
        ),
    ];
    for (arguments, anyone, of_c, of_ours) in rows {
        let [(c, _), (ours, _)] = scene.both(arguments, "", anyone)?;
        assert_eq!((c, ours), (of_c, of_ours), "{arguments} {anyone:?}");
    }
    // The same in both.
    for (arguments, why) in [
        ("-q -l", "-q and -l cannot both be used"),
        ("-u bob -f x", "-u and -f cannot both be used"),
        ("-f", "No file name specified"),
        ("-u", "No username specified"),
    ] {
        let [(c, _), (ours, _)] = scene.both(arguments, "", "")?;
        assert_eq!((&c, &ours), (&format!("! {why}\n{USAGE}= 1\n"), &c), "{arguments}");
    }
    Ok(())
}

#[test]
fn what_is_missing_is_said() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?;
    let run = |person: &Person, arguments: &[&str]| -> Result<String> {
        Ok(bench.run(person, Make::Ours, &Run { program: "znol", arguments, ..Run::default() })?.text())
    };
    let none = "! znol: No such file or directory while getting WindowGram port\n! znol: It is zwgc ";
    assert!(run(&alice, &["-u", "bob"])?.starts_with(none));
    assert_eq!(run(&alice, &["-l", "-u", "bob"])?, "= 0\n");
    std::fs::write(alice.wgfile(), "no port\n")?;
    let odd = run(&alice, &["off", "-u", "bob"])?;
    assert!(odd.starts_with("! znol: getting WindowGram port failed: $HOME/wgfile has no port\n"), "{odd}");
    let without = alice.clone().with_variable("KRB5CCNAME", "FILE:/nowhere/cc");
    let said = run(&without, &["-l", "-u", "bob", "on"])?;
    assert!(said.starts_with("! znol: No credentials cache found locating user bob@ATHENA.TEST\n"), "{said}");
    assert!(said.ends_with("= 1\n"));
    let alone = alice.clone().with_variable("ZEPHYR_HM", "127.0.0.1:9");
    let said = run(&alone, &["-l", "-u", "bob"])?;
    assert!(said.starts_with("! znol: Hostmanager not responding initializing\n"), "{said}");
    let homeless = alice.with_variable("HOME", "/nowhere");
    assert_eq!(
        run(&homeless, &["-l"])?,
        "! Can't open /nowhere/.anyone for input\n! znol: /nowhere/.anyone: No such file or directory\n= 1\n"
    );
    assert!(!Path::new("/nowhere").exists());
    Ok(())
}

/// Who logs in is told of by the windowgram client, from another realm as well.
#[test]
fn who_logs_in_is_told_of() -> Result<()> {
    let domain =
        |realm: &str| Stack::start(Engine::Native, RealmOptions { realm: realm.to_owned(), ..RealmOptions::default() });
    let (mut north, mut south) = (domain("NORTH.TEST")?, domain("SOUTH.TEST")?);
    introduce(&mut north, &mut south)?;
    let alice = north.login("alice")?;
    let zwgc = alice.zwgc(&[])?;
    for user in ["bob", "carol@SOUTH.TEST"] {
        alice.run("znol", &["-q", "-u", user])?.success()?;
    }
    let (mut bob, mut carol) = (north.login("bob")?.client()?, south.login("carol")?.client()?);
    bob.order(&["login", "NET-ANNOUNCED"])?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("bob@NORTH.TEST"))?;
    // Until the other realm knows that somebody here wants it.
    wait_until("carol is told of", TIMEOUT, || {
        carol.order(&["login", "NET-ANNOUNCED"])?;
        let is_told = zwgc.transcript().text().contains("carol@SOUTH.TEST");
        carol.order(&["logout"])?;
        Ok(is_told.then_some(()))
    })
}
