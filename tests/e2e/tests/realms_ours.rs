//! Two realms, each with a KDC, a server and a host manager of its own: what people of one have of the other, what is told to
//! whom when a server is away, and what somebody achieves who only has the right address.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::{
    fs::File,
    sync::{Arc, Mutex},
    time::SystemTime,
};
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Claim, Notice, Packet},
};
use zephyr_e2e::{
    between::Between,
    listener::Origin,
    middle::{Way, contains, places, unchanged},
    neighbours::{introduce, know, line, list, marry, wait_for_realm},
    person::TIMEOUT,
    stack::Stack,
    stranger::Stranger,
};
use zephyr_testkit::{
    deadline::wait_until,
    process::Output,
    realm::{Engine, RealmOptions},
};

const NORTH: &str = "NORTH.TEST";
const SOUTH: &str = "SOUTH.TEST";

/// Whether zwrite has said that a notice reached nobody.
fn reached_nobody(output: &Output) -> bool {
    let words = ["Not logged in or not subscribing to messages", "No one subscribing to class"];
    output.status.code() == Some(1) && words.iter().any(|words| output.stderr.contains(words))
}

fn domain(realm: &str) -> Result<Stack> {
    Stack::start(Engine::Native, RealmOptions { realm: realm.to_owned(), ..RealmOptions::default() })
}

/// Two domains that are in touch.
fn two() -> Result<(Stack, Stack)> {
    let (mut north, mut south) = (domain(NORTH)?, domain(SOUTH)?);
    introduce(&mut north, &mut south)?;
    Ok((north, south))
}

/// Where a user is, as a domain's server tells anybody: the body of its answer.
fn located(stack: &Stack, user: &str) -> Result<Vec<u8>> {
    let mut stranger = Stranger::at(stack.network().here())?;
    let query = Notice {
        kind: Kind::Acked,
        port: stranger.address()?.port(),
        class: names::USER_LOCATE,
        instance: user.as_bytes(),
        opcode: names::LOCATE,
        sender: b"nosy",
        ..Notice::EMPTY
    };
    let uid = stranger.send_notice(stack.server(), query, &Claim::NONE)?;
    let is_answer = |packet: &Packet<'_>| packet.notice.uid == uid && packet.notice.opcode == names::LOCATE;
    let answer = stranger.receive(|packet| is_answer(packet) && !packet.notice.kind.is_acknowledgement())?;
    Ok(Packet::parse(&answer)?.notice.body.to_vec())
}

#[test]
fn a_notice_reaches_somebody_of_another_realm_as_from_who_sent_it() -> Result<()> {
    let (north, south) = two()?;
    let (alice, bob) = (north.login("alice")?, south.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob"), ("talk", "*", "*")])?;
    alice.send(&["bob@SOUTH.TEST", "-m", "over there"])?;
    let received = listener.expect("over there", Origin::Authentic)?;
    assert_eq!((&*received.sender, &*received.recipient), ("alice@NORTH.TEST", "bob@SOUTH.TEST"));
    // The realm may be abbreviated, and a notice be long.
    alice.send(&["bob@south", "-m", "for short"])?;
    listener.expect("for short", Origin::Authentic)?;
    let long = "many words ".repeat(1000);
    alice.send(&["bob@SOUTH.TEST", "-m", long.trim_end()])?;
    listener.expect(long.trim_end(), Origin::Authentic)?;
    // Everybody of the realm who subscribed.
    alice.send(&["-c", "talk", "@SOUTH.TEST", "-m", "to all of you"])?;
    assert_eq!(listener.expect("to all of you", Origin::Authentic)?.recipient, "");
    // Who proves nothing is shown as such.
    north.person("carol")?.send(&["-d", "bob@SOUTH.TEST", "-m", "no ticket"])?;
    let received = listener.expect("no ticket", Origin::Unauthenticated)?;
    ensure!(received.sender.ends_with("@NORTH.TEST"), "{received:?}");
    // Nobody there: what the other server says is what the sender is told.
    let refused = alice.zwrite(&["carol@SOUTH.TEST", "-m", "anybody?"])?;
    ensure!(reached_nobody(&refused), "{refused}");
    Ok(())
}

#[test]
fn a_subscription_reaches_into_another_realm_and_ends_there() -> Result<()> {
    let (north, south) = two()?;
    let alice = north.login("alice")?;
    let mut bob = south.login("bob")?.client()?;
    bob.subscribe(("talk", "*", "*@NORTH.TEST"))?;
    // It is in force when the other realm has granted it.
    wait_until("the north sends its talk to the south", TIMEOUT, || {
        alice.zwrite(&["-c", "talk", "-m", "hello all"])?;
        Ok(bob.messages().contains(&"hello all".to_owned()).then_some(()))
    })?;
    let received = bob.receive("hello all")?;
    assert_eq!((received.origin, &*received.sender), (Origin::Authentic, "alice@NORTH.TEST"));
    assert_eq!(received.recipient, "@NORTH.TEST");
    ensure!(bob.subscriptions()?.contains(&"talk,*,*@NORTH.TEST".to_owned()), "{:?}", bob.subscriptions()?);
    bob.unsubscribe(("talk", "*", "*@NORTH.TEST"))?;
    wait_until("the north has ended it", TIMEOUT, || {
        let refused = alice.zwrite(&["-c", "talk", "-i", "x", "-m", "nobody hears"])?;
        Ok(reached_nobody(&refused).then_some(()))
    })?;
    Ok(())
}

#[test]
fn the_other_realm_says_where_its_people_are() -> Result<()> {
    let (north, south) = two()?;
    let mut bob = south.login("bob")?.client()?;
    bob.order(&["login", "NET-VISIBLE"])?;
    wait_until("bob is found from the north", TIMEOUT, || {
        Ok((!located(&north, "bob@SOUTH.TEST")?.is_empty()).then_some(()))
    })?;
    assert_eq!(located(&north, "bob@SOUTH.TEST")?, located(&south, "bob@SOUTH.TEST")?);
    bob.order(&["login", "REALM-VISIBLE"])?;
    assert_eq!(located(&north, "bob@SOUTH.TEST")?, b"", "what only his realm may see");
    assert_eq!(located(&north, "carol@SOUTH.TEST")?, b"");
    Ok(())
}

/// The sender hears in time that nobody has it, while her own server stays her server; and what she was told is lost does
/// not come later.
#[test]
fn who_writes_to_a_realm_that_is_away_is_told_and_her_own_server_is_not_blamed() -> Result<()> {
    let (mut north, mut south) = two()?;
    let alice = north.login("alice")?;
    let listener = south.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob@SOUTH.TEST", "-m", "before"])?;
    listener.receive("before")?;
    let mark = north.zhm().transcript().mark();
    // It is there and says nothing.
    south.zephyrd().signal(Signal::SIGSTOP)?;
    let refused = alice.zwrite(&["bob@SOUTH.TEST", "-m", "into silence"])?;
    south.zephyrd().signal(Signal::SIGCONT)?;
    ensure!(reached_nobody(&refused) && refused.stderr.contains("no server of that realm answers"), "{refused}");
    // Nothing listens there any more.
    south.zephyrd().stop(TIMEOUT)?;
    let refused = alice.zwrite(&["bob@SOUTH.TEST", "-m", "to a closed port"])?;
    ensure!(reached_nobody(&refused), "{refused}");
    alice.zwrite(&["alice", "-m", "her own server answers"])?;
    let blamed: Vec<String> = north.zhm().transcript().lines_after(mark);
    ensure!(blamed.is_empty(), "{blamed:?}");
    drop(listener);

    south.restart_zephyrd()?;
    let listener = south.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    wait_until("the south is there again", TIMEOUT, || {
        Ok(alice.zwrite(&["bob@SOUTH.TEST", "-m", "after"])?.status.success().then_some(()))
    })?;
    listener.receive("after")?;
    let messages: Vec<String> = listener.all().iter().map(|received| received.message()).collect();
    ensure!(messages.iter().all(|message| message == "after"), "{messages:?}");
    wait_for_realm(&north, SOUTH, "up")
}

/// The first server of the list is silent, and the second is there.
#[test]
fn another_server_of_the_realm_takes_over() -> Result<()> {
    let (mut north, mut south) = (domain(NORTH)?, domain(SOUTH)?);
    marry(&north, &south)?;
    let silent = Stranger::at(south.network().host(50))?;
    list(&mut south, &line(NORTH, north.server()))?;
    list(&mut north, &(line(SOUTH, silent.address()?) + &line(SOUTH, south.server())))?;
    let alice = north.login("alice")?;
    let listener = south.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    for message in ["first", "second"] {
        wait_until("the second server has it", TIMEOUT, || {
            Ok(alice.zwrite(&["bob@SOUTH.TEST", "-m", message])?.status.success().then_some(()))
        })?;
        listener.expect(message, Origin::Authentic)?;
    }
    wait_for_realm(&north, SOUTH, "up")
}

/// Somebody at an address that the list has for the other realm's second server, without its keys.
#[test]
fn an_address_alone_achieves_nothing() -> Result<()> {
    let (mut north, mut south) = (domain(NORTH)?, domain(SOUTH)?);
    marry(&north, &south)?;
    let mut spy = Stranger::at(south.network().host(50))?;
    list(&mut south, &line(NORTH, north.server()))?;
    let only_from = format!("{SOUTH} /{}\n", spy.address()?);
    list(&mut north, &(line(SOUTH, south.server()) + &only_from))?;
    let (alice, bob) = (north.login("alice")?, south.login("bob")?);
    let mut ear = alice.client()?;
    ear.subscribe(("MESSAGE", "*", "alice"))?;
    ear.subscribe(("talk", "*", "*"))?;
    // Something to be taken away.
    let mut reader = bob.client()?;
    reader.subscribe(("news", "*", "*@NORTH.TEST"))?;
    wait_until("the south hears the north's news", TIMEOUT, || {
        alice.zwrite(&["-c", "news", "-m", "good news"])?;
        Ok(reader.messages().contains(&"good news".to_owned()).then_some(()))
    })?;

    let port = spy.address()?.port();
    let control = |opcode: &'static [u8], body: Vec<u8>| (opcode, body);
    let triple = |class: &str, recipient: &str| format!("{class}\0*\0{recipient}\0").into_bytes();
    let at = |address: &str, port: u16| format!("{address}\0{port:#06X}\0").replace("0X", "0x").into_bytes();
    let here = north.network().here().to_string();
    let forged = [
        control(b"REQ_SUBSCRIBE", [at("10.0.0.9", 4000), triple("talk", "@NORTH.TEST")].concat()),
        control(b"ADD_SUBSCRIBE", [at(&here, ear.port()), triple("secret", "")].concat()),
        control(b"RLM_UNSUBSCRIBE", triple("news", "")),
        control(b"SENDSUBS", Vec::new()),
        control(b"SHUTDOWN", Vec::new()),
        control(b"NONSENSE", Vec::new()),
    ];
    for (opcode, body) in &forged {
        for claim in [Claim::NONE, Claim { auth: 1, ..Claim::NONE }] {
            let notice = Notice {
                kind: Kind::Acked,
                port,
                class: names::ZEPHYR_CTL,
                instance: b"REALM",
                opcode,
                sender: b"bob@SOUTH.TEST",
                recipient: b"@NORTH.TEST",
                body,
                ..Notice::EMPTY
            };
            let uid = spy.send_notice(north.server(), notice, &claim)?;
            let answer = spy.receive(|packet| packet.notice.uid == uid)?;
            let answer = Packet::parse(&answer)?.notice;
            ensure!(
                answer.kind == Kind::ServNak && answer.body.starts_with(b"LOST"),
                "{}: {:?} {}",
                opcode.escape_ascii(),
                answer.kind,
                answer.body.escape_ascii()
            );
        }
    }
    // An answer that nobody asked for.
    let lie = Notice {
        kind: Kind::Acked,
        port: ear.port(),
        class: names::USER_LOCATE,
        instance: b"bob@SOUTH.TEST",
        opcode: b"ANS_LOCATE",
        sender: b"bob@SOUTH.TEST",
        body: b"nowhere\0now\0tty\0",
        ..Notice::EMPTY
    };
    spy.send_notice(north.server(), lie, &Claim { auth: 1, ..Claim::NONE })?;
    // A word in somebody's name, of either realm.
    for (number, sender) in ["bob@SOUTH.TEST", "alice@NORTH.TEST"].into_iter().enumerate() {
        let body = format!("\0believe me {number}\n");
        let notice = Notice {
            kind: Kind::Acked,
            port,
            class: b"MESSAGE",
            instance: b"PERSONAL",
            sender: sender.as_bytes(),
            recipient: b"alice@NORTH.TEST",
            body: body.as_bytes(),
            ..Notice::EMPTY
        };
        let uid = spy.send_notice(north.server(), notice, &Claim { auth: 1, ..Claim::NONE })?;
        spy.receive(|packet| packet.notice.uid == uid)?;
    }

    bob.send(&["alice@NORTH.TEST", "-m", "the end"])?;
    ear.receive("the end")?;
    for received in ear.received() {
        let message = received.message();
        ensure!(message == "the end" || received.origin != Origin::Authentic, "{received:?}");
    }
    assert_eq!(ear.subscriptions()?, ["message,*,alice@NORTH.TEST", "talk,*,*"]);
    // What is sent to everybody does not go to the spy, and what the south holds it still holds.
    alice.send(&["-c", "talk", "-m", "among us"])?;
    ear.receive("among us")?;
    alice.send(&["-c", "news", "-m", "better news"])?;
    reader.receive("better news")?;
    let heard = spy.receive_within(std::time::Duration::from_millis(100), |packet| {
        contains(packet.octets(), b"among us") || contains(packet.octets(), b"news")
    });
    ensure!(heard.is_err(), "the spy heard something");
    Ok(())
}

/// A user of the realm who says that he is the other realm's server, by the address in the packet's identifier and by its port
/// field: what C goes by.
#[test]
fn a_user_does_not_speak_as_a_realm() -> Result<()> {
    let (north, south) = two()?;
    let alice = north.login("alice")?;
    let mut ear = alice.client()?;
    ear.subscribe(("MESSAGE", "*", "alice"))?;
    let mut liar = Stranger::at(north.network().here())?;
    let mut uid = liar.uid();
    uid.address = south.network().here();
    let body = format!("{}\0{:#06X}\0secret\0*\0\0", north.network().here(), ear.port()).replace("0X", "0x");
    let notice = Notice {
        kind: Kind::Acked,
        uid,
        port: south.server().port(),
        class: names::ZEPHYR_CTL,
        instance: b"REALM",
        opcode: b"ADD_SUBSCRIBE",
        sender: b"alice@NORTH.TEST",
        body: body.as_bytes(),
        ..Notice::EMPTY
    };
    liar.send_notice(north.server(), notice, &Claim { auth: 1, ..Claim::NONE })?;
    let answer = liar.receive(|packet| packet.notice.uid == uid)?;
    assert_eq!(Packet::parse(&answer)?.notice.kind, Kind::ServNak);
    assert_eq!(ear.subscriptions()?, ["message,*,alice@NORTH.TEST"]);
    Ok(())
}

/// Whoever stands between the servers sees everything, and can lose it; what he changes or repeats is not believed.
#[test]
fn who_is_between_the_servers_changes_nothing_unseen() -> Result<()> {
    let (mut north, mut south) = (domain(NORTH)?, domain(SOUTH)?);
    marry(&north, &south)?;
    let between = Between::start(&north, &south, unchanged)?;
    know(&mut north, between.as_other()?, &mut south, between.as_one()?)?;
    let (alice, bob) = (north.login("alice")?, south.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;

    let copies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&copies);
    between.change(move |way, packet: &mut Vec<u8>| {
        if way == Way::ToServer && contains(packet, b"the real one") {
            kept.lock().unwrap().push(packet.clone());
        }
        true
    });
    alice.send(&["bob@SOUTH.TEST", "-m", "the real one"])?;
    listener.expect("the real one", Origin::Authentic)?;

    // Changed on its way.
    between.change(|way, packet: &mut Vec<u8>| {
        if way == Way::ToServer
            && contains(packet, b"I owe you 10")
            && let Some((_, body)) = places(packet)
            && let Some(digit) = packet.get_mut(body).and_then(|body| body.iter_mut().find(|octet| **octet == b'1'))
        {
            *digit = b'9';
        }
        true
    });
    alice.zwrite(&["bob@SOUTH.TEST", "-m", "I owe you 10"])?;
    // The same again, and its proof on something else.
    between.change(unchanged);
    let copies = copies.lock().unwrap().clone();
    let copy = copies.first().context("nothing passed")?;
    between.send_to_other(copy)?;
    let original = Packet::parse(copy)?;
    let uid = zephyr_core::uid::Uid { micros: original.notice.uid.micros ^ 1, ..original.notice.uid };
    let forged = Notice { uid, multiuid: uid, body: b"\0the forged one\n", multinotice: b"0/16", ..original.notice };
    between.send_to_other(&forged.write(&original.claim, zephyr_core::limits::Limits::WHOLE_PACKET)?)?;

    alice.send(&["bob@SOUTH.TEST", "-m", "end"])?;
    listener.receive("end")?;
    let received = listener.all();
    let authentic = received.iter().filter(|one| one.origin == Origin::Authentic);
    let authentic: Vec<String> = authentic.map(|one| one.message()).collect();
    assert_eq!(authentic, ["the real one", "end"]);
    Ok(())
}

/// The servers cannot prove themselves before the KDCs trust each other. The log says what to do, and once it is done a reload is
/// enough.
#[test]
fn without_trust_the_log_says_what_is_missing() -> Result<()> {
    let (mut north, mut south) = (domain(NORTH)?, domain(SOUTH)?);
    list(&mut north, &line(SOUTH, south.server()))?;
    let said = north.zephyrd().wait_for(TIMEOUT, |line| line.contains("no ticket for zephyr/zephyr@SOUTH.TEST"))?;
    for part in ["WARN", "kvno zephyr/zephyr@SOUTH.TEST", "krbtgt/SOUTH.TEST@NORTH.TEST"] {
        ensure!(said.contains(part), "{said}");
    }
    let alice = north.login("alice")?;
    let refused = alice.zwrite(&["bob@SOUTH.TEST", "-m", "no way"])?;
    ensure!(reached_nobody(&refused), "{refused}");

    marry(&north, &south)?;
    list(&mut south, &line(NORTH, north.server()))?;
    // The Kerberos library sees that the file itself was changed, and not what it includes.
    let file = File::options().append(true).open(north.realm()?.krb5_conf())?;
    file.set_modified(SystemTime::now())?;
    north.zephyrctl(&["reload"])?.success()?;
    wait_for_realm(&north, SOUTH, "up")?;
    let listener = south.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob@SOUTH.TEST", "-m", "a way"])?;
    listener.expect("a way", Origin::Authentic)?;
    let messages: Vec<String> = listener.all().iter().map(|received| received.message()).collect();
    assert_eq!(messages, ["a way"], "what she was told is lost is lost");
    Ok(())
}
