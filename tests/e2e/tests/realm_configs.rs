//! The ready-made domains of `realm-configs`, each started as a realm and compared with its README.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Claim, Notice, Packet},
};
use zephyr_e2e::{
    listener::{Listener, Origin},
    middle::{Way, contains, places, unchanged},
    neighbours,
    person::{Person, TIMEOUT},
    stack::{READY, Stack, copy_files},
    stranger::Stranger,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::Daemon,
    realm::{Engine, Keys, Realm, RealmOptions},
    reference::{self, HOST_MANAGER_PORT, Lan, SERVER_PORT},
};

/// What is said to whoever sends without proof where that is wanted.
const SEND_NEEDS_PROOF: &str = "you must prove who you are to send here: run kinit, and try again with proof";
const SUBSCRIBE_NEEDS_PROOF: &str = "you must prove who you are to subscribe here: run kinit, and try again with proof";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../realm-configs").join(name)
}

fn of_realm(name: &str) -> RealmOptions {
    RealmOptions { realm: name.to_owned(), ..RealmOptions::default() }
}

/// A domain as configured in the folder of this name.
fn stack(name: &str, options: RealmOptions) -> Result<Stack> {
    Stack::configured(&folder(name), Some(Realm::start_on(Engine::Native, options)?))
}

/// Somebody whose programs go by no policy, as those in C: only the server can refuse them anything.
fn carefree(person: Person) -> Result<Person> {
    let nothing = person.home().join("no-policy.toml");
    fs::write(&nothing, "")?;
    Ok(person.with_variable("ZEPHYR_POLICY", &nothing.display().to_string()))
}

/// A stranger's request to receive a class, without proof: the answer's kind, and its reason.
fn subscribe_unproven(stack: &Stack, class: &str, name: &str) -> Result<(Kind, String)> {
    let mut stranger = Stranger::at(stack.network().here())?;
    let body = format!("{class}\0*\0\0");
    let request = Notice {
        kind: Kind::Acked,
        port: stranger.address()?.port(),
        class: names::ZEPHYR_CTL,
        instance: names::CLIENT,
        opcode: names::SUBSCRIBE_NODEFS,
        sender: name.as_bytes(),
        body: body.as_bytes(),
        ..Notice::EMPTY
    };
    let uid = stranger.send_notice(stack.server(), request, &Claim::NONE)?;
    let answer = stranger.receive(|packet| packet.notice.uid == uid)?;
    let answer = Packet::parse(&answer)?.notice;
    Ok((answer.kind, String::from_utf8_lossy(answer.body).trim_end_matches('\0').replace('\0', "|")))
}

/// Makes the server read its files again, and waits for what it says.
fn reload(stack: &mut Stack, said: &str) -> Result<()> {
    let mark = stack.zephyrd().transcript().mark();
    stack.zephyrd().signal(Signal::SIGHUP)?;
    stack.zephyrd().wait_after(mark, TIMEOUT, |line| line.contains(said))?;
    Ok(())
}

/// A user, and what they receive.
#[derive(Clone, Copy)]
struct Participant<'a> {
    person: &'a Person,
    listener: &'a Listener,
}

/// The two can talk, and each sees that it is the other.
fn talk(one: Participant<'_>, other: Participant<'_>) -> Result<()> {
    for (from, to) in [(one, other), (other, one)] {
        let message = format!("hello from {}", from.person.name());
        from.person.send(&[to.person.name(), "-m", &message])?;
        to.listener.expect(&message, Origin::Authentic)?;
    }
    Ok(())
}

fn personal(person: &Person) -> Result<Listener> {
    person.listen(&[("MESSAGE", "*", person.name()), ("talk", "*", "*")])
}

#[test]
fn isu_nobody_sends_or_receives_without_proof() -> Result<()> {
    let mut stack = stack("isu", of_realm("IASTATE.EDU"))?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let (at_alice, at_bob) = (personal(&alice)?, personal(&bob)?);
    talk(Participant { person: &alice, listener: &at_alice }, Participant { person: &bob, listener: &at_bob })?;

    // Without a ticket nothing is sent, and the reason is told.
    let carol = stack.person("carol")?;
    let refused = carol.zwrite(&["-d", "bob", "-m", "psst"])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("failed: you must prove who you are to send here\n"), "{refused}");
    let refused = carol.zwrite(&["bob", "-m", "psst"])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("No credentials cache found"), "{refused}");
    assert!(refused.stderr.contains("Run kinit first: this domain demands proof"), "{refused}");
    // Whose programs know nothing of policies is refused by the server, in the text of C and in ours.
    let unaware = carefree(carol.clone())?;
    let refused = unaware.zwrite(&["-d", "bob", "-m", "psst"])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.contains("Received authorization failure while sending to bob"), "{refused}");
    assert_eq!(refused.stderr.trim_end().rsplit(": ").take(2).count(), 2, "{refused}");
    assert!(refused.stderr.contains(SEND_NEEDS_PROOF), "{refused}");
    // Nor does anybody receive.
    let answer = subscribe_unproven(&stack, "talk", "carol@IASTATE.EDU")?;
    assert_eq!(answer, (Kind::ServNak, format!("LOST|{SUBSCRIBE_NEEDS_PROOF}")));
    alice.send(&["-c", "talk", "-m", "who hears this?"])?;
    at_bob.expect("who hears this?", Origin::Authentic)?;
    let before = at_bob.all_before("who hears this?")?;
    assert!(before.iter().all(|received| received.origin == Origin::Authentic), "{before:?}");

    // The same file, with "optional" in it: nothing is started again, neither the server nor who listens.
    let policy = stack.config().join("policy.toml");
    let strict = fs::read_to_string(&policy)?;
    fs::write(&policy, strict.replace("\"required\"", "\"optional\""))?;
    reload(&mut stack, "reloaded: ")?;
    unaware.send(&["-d", "bob", "-m", "now?"])?;
    at_bob.expect("now?", Origin::Unauthenticated)?;
    carol.send(&["-d", "bob", "-m", "and now?"])?;
    at_bob.expect("and now?", Origin::Unauthenticated)?;
    let at_carol = personal(&carol)?;
    alice.send(&["-c", "talk", "-m", "hello, all"])?;
    at_carol.receive("hello, all")?;

    // And back: who subscribed without proof receives no more.
    fs::write(&policy, &strict)?;
    reload(&mut stack, "reloaded: ")?;
    let refused = unaware.zwrite(&["-d", "bob", "-m", "psst"])?;
    assert!(refused.stderr.contains(SEND_NEEDS_PROOF), "{refused}");
    alice.send(&["-c", "talk", "-m", "just us"])?;
    at_bob.expect("just us", Origin::Authentic)?;
    let sent = alice.zwrite(&["carol", "-m", "are you there?"])?;
    assert_eq!(sent.stderr, "carol: Not logged in or not subscribing to messages\n", "{sent}");
    assert!(at_carol.all().iter().all(|received| received.message() != "just us"));
    Ok(())
}

#[test]
fn isu_zwgc_says_why_it_receives_nothing_and_hides_what_nobody_proved() -> Result<()> {
    let stack = stack("isu", of_realm("IASTATE.EDU"))?;
    let carol = stack.person("carol")?;
    let mut command = carol.command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]);
    let mut unproven = Daemon::spawn(command, carol.home().join("zwgc.log"))?;
    unproven.wait_for(TIMEOUT, |line| line.contains("No credentials cache found while subscribing"))?;
    unproven.wait_for(TIMEOUT, |line| {
        line == "zwgc: Run kinit first: this domain demands proof of who you are for that."
    })?;
    // As with programs that know nothing of policies: the server refuses, and zwgc shows its text.
    let unaware = stack.login("alice")?;
    let mut command = carefree(unaware)?.with_variable("KRB5CCNAME", "FILE:/nonexistent").command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]);
    let mut other = Daemon::spawn(command, carol.home().join("zwgc-2.log"))?;
    other.wait_for(TIMEOUT, |line| line.contains("No credentials cache found"))?;

    // Somebody who does not ask the server sends straight to bob's zwgc.
    let bob = stack.login("bob")?;
    let zwgc = bob.zwgc(&[])?;
    let mut stranger = Stranger::at(stack.network().here())?;
    let port = zephyr_client::windowgram_port::read(&bob.wgfile())?;
    let forged = Notice {
        kind: Kind::Unacked,
        class: names::MESSAGE,
        instance: names::PERSONAL,
        sender: b"alice@IASTATE.EDU",
        recipient: b"bob@IASTATE.EDU",
        body: b"\0send me your password\n",
        multinotice: b"0/23",
        ..Notice::EMPTY
    };
    stranger.send_notice((stack.network().here(), port).into(), forged, &Claim::NONE)?;
    zwgc.wait_for(TIMEOUT, |line| {
        line.starts_with("zwgc: not showing a notice") && line.contains("nothing proves who sent it")
    })?;
    let alice = stack.login("alice")?;
    alice.send(&["bob", "-m", "the end"])?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("the end"))?;
    assert!(!zwgc.transcript().text().contains("password"), "{}", zwgc.transcript().text());
    for daemon in [&mut unproven, &mut other] {
        assert_eq!(daemon.ended()?, None);
    }
    Ok(())
}

#[test]
fn an_invalid_file_leaves_the_policy_in_force() -> Result<()> {
    let mut stack = stack("isu", of_realm("IASTATE.EDU"))?;
    let policy = stack.config().join("policy.toml");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/domain/tests/corpus");
    let expected = fs::read_to_string(corpus.join("EXPECTED"))?;
    let mut tried = 0;
    for entry in fs::read_dir(&corpus)? {
        let file = entry?.path();
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = file.file_stem().and_then(|name| name.to_str()).context("a name")?;
        fs::copy(&file, &policy)?;
        let mark = stack.zephyrd().transcript().mark();
        reload(&mut stack, "nothing changed")?;
        // The log says each problem with its place.
        let said = stack.zephyrd().transcript().lines_after(mark).join("\n");
        let problems = expected.lines().filter_map(|line| line.strip_prefix(&format!("{name} ")));
        for problem in problems {
            let (place, text) = problem.split_once(' ').context("a place")?;
            assert!(said.contains(&format!("policy.toml:{place}: ")), "{name} {place}: {said}");
            assert!(said.contains(text), "{name}: {text}: {said}");
        }
        let answer = subscribe_unproven(&stack, "talk", "carol@IASTATE.EDU")?;
        assert_eq!(answer, (Kind::ServNak, format!("LOST|{SUBSCRIBE_NEEDS_PROOF}")), "{name}");
        tried += 1;
    }
    assert!(tried >= 40);
    Ok(())
}

#[test]
fn athena_shows_what_is_proven_and_keeps_its_lists() -> Result<()> {
    let realm =
        RealmOptions { people: ["alice", "bob", "carol"].map(str::to_owned).to_vec(), ..of_realm("ATHENA.MIT.EDU") };
    let stack = stack("athena", realm)?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let (at_alice, at_bob) =
        (personal(&alice)?, bob.listen(&[("MESSAGE", "*", "bob"), ("helpdesk", "*", "*"), ("operations", "*", "*")])?);
    talk(Participant { person: &alice, listener: &at_alice }, Participant { person: &bob, listener: &at_bob })?;
    let carol = stack.person("carol")?;
    carol.send(&["-d", "bob", "-m", "no ticket"])?;
    at_bob.expect("no ticket", Origin::Unauthenticated)?;
    let answer = subscribe_unproven(&stack, "talk", "carol@ATHENA.MIT.EDU")?;
    assert_eq!(answer, (Kind::ServNak, format!("LOST|{SUBSCRIBE_NEEDS_PROOF}")));
    // The lists: everybody writes to the help desk, who helps reads it; operations are the operators'.
    alice.send(&["-c", "helpdesk", "-m", "help"])?;
    at_bob.expect("help", Origin::Authentic)?;
    let nosy = alice.listen(&[("helpdesk", "*", "*"), ("end", "*", "*")])?;
    bob.send(&["-c", "helpdesk", "-m", "not for alice"])?;
    bob.send(&["-c", "end", "-m", "end"])?;
    assert_eq!(nosy.all_before("end")?, []);
    let refused = alice.zwrite(&["-c", "operations", "-m", "going down"])?;
    assert!(refused.stdout.contains("Received authorization failure"), "{refused}");
    // The policy comes before the lists.
    let unaware = carefree(carol)?;
    let refused = unaware.zwrite(&["-d", "-c", "operations", "-m", "going down"])?;
    assert!(refused.stderr.contains(SEND_NEEDS_PROOF), "{refused}");
    Ok(())
}

/// The machines of the athena domain, by the names in its files: the three servers, and two with a host manager.
const ATHENA_SERVERS: [&str; 3] = ["z1.mit.edu", "z2.mit.edu", "z3.mit.edu"];
const ATHENA_STATIONS: [&str; 2] = ["w1.mit.edu", "w2.mit.edu"];

/// The folder's files as they stand, on machines that have the names in them: any of the three servers reaches everybody.
#[test]
fn athena_is_served_by_three_servers() -> Result<()> {
    if reference::is_skipped()? {
        return Ok(());
    }
    let lan = Lan::new(&[&ATHENA_SERVERS[..], &ATHENA_STATIONS].concat())?;
    let realm = lan.realm(&of_realm("ATHENA.MIT.EDU"))?;
    realm.add_settings("site", "[domain_realm]\n.mit.edu = ATHENA.MIT.EDU\n")?;
    let mut running = Vec::new();
    for name in ATHENA_SERVERS {
        let host = lan.host(name)?;
        host.enrol(&realm)?;
        copy_files(&folder("athena"), &host.etc_zephyr())?;
        host.entrust(&realm)?;
        // What it keeps, it keeps for itself.
        let settings = fs::read_to_string(host.etc_zephyr().join("zephyr.toml"))?;
        let state = host.folder().join("state.db");
        fs::write(host.etc_zephyr().join("zephyr.toml"), format!("{settings}\n[state]\nfile = {state:?}\n"))?;
        let daemon = host.spawn_at_port("zephyrd", host.command(&realm, bins::path("zephyrd")?), SERVER_PORT)?;
        daemon.wait_for(TIMEOUT, |line| line.contains(READY))?;
        let said = daemon.transcript().text();
        assert!(!said.contains("renegade") && !said.contains("hostname failed"), "{said}");
        running.push((daemon, host));
    }
    let mut people = Vec::new();
    for ((name, person), server) in ATHENA_STATIONS.into_iter().zip(["alice", "bob"]).zip([0, 2]) {
        let host = lan.host(name)?;
        host.enrol(&realm)?;
        // Each begins with another server than the other.
        let mut command = host.command(&realm, bins::path("zhm")?);
        command.args(["-n", ATHENA_SERVERS[server]]);
        let zhm = host.spawn_at_port("zhm", command, HOST_MANAGER_PORT)?;
        zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
        let policy = host.etc_zephyr().join("policy.toml");
        fs::copy(folder("athena").join("policy.toml"), &policy)?;
        let environment = vec![("ZEPHYR_POLICY".to_owned(), policy.display().to_string())];
        people.push(Person::of_realm(host.login(&realm, person)?, environment));
        running.push((zhm, host));
    }
    let (alice, bob) = (&people[0], &people[1]);
    let at_bob = bob.listen(&[("MESSAGE", "*", "bob"), ("helpdesk", "*", "*")])?;
    wait_until("what the third server was told the first one knows", TIMEOUT, || {
        Ok(alice.zwrite(&["bob", "-m", "through two servers"])?.status.success().then_some(()))
    })?;
    at_bob.expect("through two servers", Origin::Authentic)?;
    alice.send(&["-c", "helpdesk", "-m", "help"])?;
    at_bob.expect("help", Origin::Authentic)?;
    Ok(())
}

#[test]
fn open_lets_everybody_talk_and_proves_nothing() -> Result<()> {
    let stack = Stack::configured(&folder("open"), None)?;
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    let listener = bob.listen(&[("talk", "*", "*")])?;
    alice.send(&["-c", "talk", "-m", "hello"])?;
    listener.expect("hello", Origin::Unauthenticated)?;
    assert_eq!(subscribe_unproven(&stack, "talk", "anybody@WHEREVER")?, (Kind::ServAck, "SENT".to_owned()));
    // A claim is not believed.
    let mut stranger = Stranger::at(stack.network().here())?;
    let notice = Notice {
        kind: Kind::Acked,
        class: b"talk",
        instance: b"i",
        sender: b"root@WHEREVER",
        body: b"\0believe me\n",
        multinotice: b"0/12",
        ..Notice::EMPTY
    };
    stranger.send_notice(stack.server(), notice, &Claim { auth: 1, ..Claim::NONE })?;
    listener.expect("believe me", Origin::Unauthenticated)?;
    Ok(())
}

/// Somebody of another realm who uses the stack's servers.
fn visitor(home: &Realm, stack: &Stack, name: &str) -> Result<Person> {
    let away = stack.realm()?;
    let settings = format!("[domain_realm]\n{} = {}\n{}", stack.server_name(), away.name(), away.whereabouts());
    home.add_settings("away", &settings)?;
    let environment = [
        ("ZEPHYR_HM", stack.host_manager().to_string()),
        ("ZEPHYR_ADDRESS", stack.network().here().to_string()),
        ("ZEPHYR_POLICY", stack.config().join("policy.toml").display().to_string()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Ok(Person::of_realm(home.login(name)?, environment))
}

const NORTH: &str = "NORTH.EXAMPLE.ORG";
const SOUTH: &str = "SOUTH.EXAMPLE.ORG";

fn people_of(realm: &str) -> RealmOptions {
    RealmOptions { people: ["alice", "bob", "staff-ann"].map(str::to_owned).to_vec(), ..of_realm(realm) }
}

#[test]
fn cross_realm_believes_whom_it_names() -> Result<()> {
    for (here, there, believed, other) in
        [(NORTH, SOUTH, &["bob", "staff-ann"][..], None), (SOUTH, NORTH, &["staff-ann"], Some("bob"))]
    {
        let home = Realm::start_on(Engine::Native, people_of(there))?;
        let stack = stack("cross-realm", people_of(here))?;
        stack.realm()?.trust(&home)?;
        let listener = personal(&stack.login("alice")?)?;
        for name in believed {
            let message = format!("greetings from {name}");
            visitor(&home, &stack, name)?.send(&["-c", "talk", "-m", &message])?;
            let received = listener.expect(&message, Origin::Authentic)?;
            assert_eq!(received.sender, format!("{name}@{there}"));
        }
        if let Some(name) = other {
            // Carefree, so that it is the server that refuses.
            let refused = carefree(visitor(&home, &stack, name)?)?.zwrite(&["-c", "talk", "-m", "me too"])?;
            assert!(refused.stdout.contains("Received authorization failure"), "{refused}");
            assert!(refused.stderr.contains(&format!("realm {there} may not speak for this sender")), "{refused}");
        }
    }
    Ok(())
}

/// Both domains of the folder, as its README has them: one `realm.list` for both, in which the hosts are those of this machine.
fn north_and_south() -> Result<(Stack, Stack)> {
    let (mut north, mut south) = (stack("cross-realm", people_of(NORTH))?, stack("cross-realm", people_of(SOUTH))?);
    neighbours::marry(&north, &south)?;
    let shipped = fs::read_to_string(folder("cross-realm").join("realm.list"))?;
    let here = shipped
        .replace("zephyr.north.example.org", &north.server().to_string())
        .replace("zephyr.south.example.org", &south.server().to_string());
    assert_ne!(here, shipped);
    for stack in [&mut north, &mut south] {
        neighbours::list(stack, &here)?;
    }
    neighbours::wait_for_realm(&north, SOUTH, "up")?;
    neighbours::wait_for_realm(&south, NORTH, "up")?;
    Ok((north, south))
}

/// Everybody uses his own server, and is believed in the other domain as far as that says.
#[test]
fn cross_realm_hands_notices_from_server_to_server() -> Result<()> {
    let (north, south) = north_and_south()?;
    let (alice, ann, bob) = (north.login("alice")?, north.login("staff-ann")?, south.login("bob")?);
    let (at_alice, at_bob) = (personal(&alice)?, personal(&bob)?);
    // The south is careful: of the north, only the staff.
    ann.send(&["bob@SOUTH.EXAMPLE.ORG", "-m", "from the staff"])?;
    let received = at_bob.expect("from the staff", Origin::Authentic)?;
    assert_eq!(received.sender, "staff-ann@NORTH.EXAMPLE.ORG");
    let refused = alice.zwrite(&["bob@SOUTH.EXAMPLE.ORG", "-m", "from anybody"])?;
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stdout.contains("Received authorization failure"), "{refused}");
    assert!(refused.stderr.contains("realm NORTH.EXAMPLE.ORG may not speak for this sender"), "{refused}");
    // The north believes everybody of the south, and nobody without proof.
    bob.send(&["alice@NORTH.EXAMPLE.ORG", "-m", "from the south"])?;
    at_alice.expect("from the south", Origin::Authentic)?;
    let unaware = carefree(south.person("staff-ann")?)?;
    let refused = unaware.zwrite(&["-d", "alice@NORTH.EXAMPLE.ORG", "-m", "psst"])?;
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    bob.send(&["alice@NORTH.EXAMPLE.ORG", "-m", "end"])?;
    let before = at_alice.all_before("end")?;
    assert!(before.iter().all(|received| received.message() != "psst"), "{before:?}");

    // What is sent to everybody in one domain, somebody of the other reads who asked for it.
    let reader = bob.listen(&[("talk", "*", "*@NORTH.EXAMPLE.ORG")])?;
    wait_until("the south gets the north's talk", TIMEOUT, || {
        ann.zwrite(&["-c", "talk", "-m", "to everybody"])?;
        Ok(reader.all().iter().find(|received| received.message() == "to everybody").cloned())
    })?;
    let received = reader.expect("to everybody", Origin::Authentic)?;
    assert_eq!((&*received.sender, &*received.recipient), ("staff-ann@NORTH.EXAMPLE.ORG", "@NORTH.EXAMPLE.ORG"));
    Ok(())
}

#[test]
fn modern_takes_new_keys_and_nothing_that_is_changed_or_replayed() -> Result<()> {
    let stack = stack("modern", RealmOptions { keys: Keys::Sha2Only, pac: true, ..of_realm("EXAMPLE.ORG") })?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let (at_alice, at_bob) = (personal(&alice)?, personal(&bob)?);
    talk(Participant { person: &alice, listener: &at_alice }, Participant { person: &bob, listener: &at_bob })?;
    let tickets = stack.realm()?.user("alice")?.tickets()?;
    assert!(tickets.contains("aes256-cts-hmac-sha384-192") && !tickets.contains("hmac-sha1"), "{tickets}");

    // Changed on its way: refused, and its sender is told.
    stack.middle()?.change(|way, packet: &mut Vec<u8>| {
        if way == Way::ToServer
            && contains(packet, b"I owe you 10")
            && let Some((_, body)) = places(packet)
            && let Some(digit) = packet.get_mut(body).and_then(|body| body.iter_mut().find(|octet| **octet == b'1'))
        {
            *digit = b'9';
        }
        true
    });
    let refused = alice.zwrite(&["bob", "-m", "I owe you 10"])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("the proof of who you are does not hold (wrong checksum)"), "{refused}");

    // An authenticator that has served does not serve for something else.
    let stolen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let copy = std::sync::Arc::clone(&stolen);
    stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        if way == Way::ToServer && contains(packet, b"the real one") {
            *copy.lock().unwrap() = Some(packet.clone());
        }
        true
    });
    alice.send(&["bob", "-m", "the real one"])?;
    at_bob.expect("the real one", Origin::Authentic)?;
    stack.middle()?.change(unchanged);
    let stolen = stolen.lock().unwrap().clone().context("nothing passed")?;
    let original = Packet::parse(&stolen)?;
    let mut thief = Stranger::at(stack.network().here())?;
    let forged = Notice { body: b"\0another\n", multinotice: b"0/9", ..original.notice };
    let uid = thief.send_notice(stack.server(), forged, &original.claim)?;
    let answer = thief.receive(|packet| packet.notice.uid == uid)?;
    let answer = Packet::parse(&answer)?.notice;
    let said = String::from_utf8_lossy(answer.body);
    assert!(answer.kind == Kind::ServNak && said.contains("authenticator used before"), "{said}");
    alice.send(&["bob", "-m", "end"])?;
    let before = at_bob.all_before("end")?;
    assert!(
        before.iter().all(|received| received.message() != "another" && !received.message().contains("owe")),
        "{before:?}"
    );
    Ok(())
}

#[test]
fn modern_refuses_yesterdays_keys() -> Result<()> {
    // The same domain on a KDC that still makes AES keys with SHA-1.
    let stack = stack("modern", of_realm("EXAMPLE.ORG"))?;
    let alice = stack.login("alice")?;
    let refused = alice.zwrite(&["-c", "talk", "-m", "old"])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("of type aes256-cts-hmac-sha1-96, which is not permitted here"), "{refused}");
    Ok(())
}
