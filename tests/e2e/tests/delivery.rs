//! Delivery of messages, complete and with their origin, on a real KDC.

use anyhow::{Context, Result};
use zephyr_e2e::{
    engines::{in_a_container, natively},
    listener::Origin,
    person::TIMEOUT,
    stack::Stack,
};
use zephyr_testkit::realm::{Engine, RealmOptions};

/// What the whole is for: zwrite, zhm, zephyrd, zwgc, with tickets.
fn people_talk(engine: Engine) -> Result<()> {
    let stack = Stack::start(engine, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc(&[("weather", "*", "*")])?;
    let listener = bob.listen(&[("MESSAGE", "*", "bob"), ("weather", "*", "*")])?;
    let mark = zwgc.transcript().mark();

    // Personal.
    let sent = alice.send(&["bob", "-m", "hello"])?;
    assert_eq!((sent.stdout.as_str(), sent.stderr.as_str()), ("Message queued for bob... sent\n", ""));
    let received = listener.expect("hello", Origin::Authentic)?;
    assert_eq!((received.sender.as_str(), received.recipient.as_str()), ("alice@ZEPHYR.TEST", "bob@ZEPHYR.TEST"));
    assert_eq!(
        (received.class.as_str(), received.instance.as_str(), received.opcode.as_str()),
        ("MESSAGE", "PERSONAL", "")
    );
    zwgc.wait_after(mark, TIMEOUT, |line| line.contains("hello"))?;
    let shown = zwgc.transcript().lines_after(mark).join("\n");
    assert!(says(&shown, "AUTHENTIC") && shown.contains("alice"), "{shown}");
    assert!(!says(&shown, "UNAUTHENTICATED") && !says(&shown, "FAILED"), "{shown}");

    // To a class, whatever its instance.
    let sent = alice.send(&["-c", "weather", "-i", "snow", "-m", "it", "snows"])?;
    assert_eq!(sent.stdout, "Message queued for class \"weather\", instance \"snow\"... sent\n");
    let received = listener.expect("it snows", Origin::Authentic)?;
    assert_eq!(
        (received.class.as_str(), received.instance.as_str(), received.recipient.as_str()),
        ("weather", "snow", "")
    );

    // Without proof, on request.
    let mark = zwgc.transcript().mark();
    let sent = alice.send(&["-d", "bob", "-m", "believe me"])?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n");
    listener.expect("believe me", Origin::Unauthenticated)?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.contains("believe me"))?;
    let shown = zwgc.transcript().lines_after(mark).join("\n");
    let shown = shown.rsplit_once("it snows").map_or(shown.as_str(), |(_, after)| after);
    assert!(says(shown, "UNAUTHENTICATED") && !says(shown, "AUTHENTIC"), "{shown}");

    // Somebody who is not there, and a class that nobody wants.
    let lost = alice.zwrite(&["carol", "-m", "anybody there?"])?;
    assert_eq!(lost.status.code(), Some(1), "{lost}");
    assert_eq!(lost.stdout, "Message queued for carol... ", "{lost}");
    assert_eq!(lost.stderr, "carol: Not logged in or not subscribing to messages\n", "{lost}");
    let lost = alice.zwrite(&["-c", "nobodys", "-i", "business", "-m", "x"])?;
    assert_eq!(lost.status.code(), Some(1), "{lost}");
    assert_eq!(lost.stderr, "No one subscribing to class nobodys, instance business\n", "{lost}");
    Ok(())
}

#[test]
fn people_talk_natively() -> Result<()> {
    natively(people_talk)
}

#[test]
fn people_talk_in_a_container() -> Result<()> {
    in_a_container(people_talk)
}

/// Whether a word stands in a text by itself.
fn says(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphabetic()).any(|found| found.eq_ignore_ascii_case(word))
}

/// A text of `length` octets in which every line is another, so that nothing can be misplaced unseen.
fn long_text(length: usize) -> String {
    let lines = (0_u32..).map(|number| format!("{number:08} {:08x}\n", number.wrapping_mul(0x9E37_79B1)));
    let mut text: String = lines.take(length / 18 + 1).collect();
    text.truncate(length);
    text
}

fn long_messages_arrive_whole(engine: Engine) -> Result<()> {
    let stack = Stack::start(engine, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("long", "*", "*")])?;
    for length in [1, 700, 900, 1024, 5_000, 100_000] {
        let text = long_text(length);
        let instance = length.to_string();
        let sent =
            alice.zwrite_with_input(&["-s", "sig", "-c", "long", "-i", &instance], text.as_bytes())?.success()?;
        assert_eq!(sent.stdout, format!("Message queued for class \"long\", instance \"{length}\"... sent\n"));
        let received = listener.expect(text.strip_suffix('\n').unwrap_or(&text), Origin::Authentic)?;
        assert_eq!(received.instance, instance);
        assert!(received.body == [b"sig\0", text.as_bytes()].concat(), "{length} octets changed on the way");
    }

    // The same without proof.
    let text = long_text(20_000);
    alice.zwrite_with_input(&["-d", "-s", "", "-c", "long", "-i", "plain"], text.as_bytes())?.success()?;
    let received = listener.expect(&text, Origin::Unauthenticated)?;
    assert!(received.body == [b"\0", text.as_bytes()].concat());
    Ok(())
}

#[test]
fn long_messages_arrive_whole_natively() -> Result<()> {
    natively(long_messages_arrive_whole)
}

#[test]
fn long_messages_arrive_whole_in_a_container() -> Result<()> {
    in_a_container(long_messages_arrive_whole)
}

#[test]
fn text_in_utf_8_is_shown_as_it_was_written() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc(&[])?;
    let listener = bob.listen(&[("MESSAGE", "*", "bob"), ("grüße", "*", "*")])?;

    let text = "Grüße aus Zürich — 日本語 🙂";
    alice.send(&["-s", "Ålice", "bob", "-m", text])?;
    let received = listener.expect(text, Origin::Authentic)?;
    assert_eq!(received.body, format!("Ålice\0{text}\n").into_bytes());
    zwgc.wait_for(TIMEOUT, |line| line.contains(text))?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("Ålice"))?;

    alice.send(&["-c", "grüße", "-i", "世界", "-m", "in a class of its own"])?;
    let received = listener.expect("in a class of its own", Origin::Authentic)?;
    assert_eq!(received.instance, "世界".as_bytes().escape_ascii().to_string());

    // What could steer the terminal is shown, not sent to it.
    let mark = zwgc.transcript().mark();
    alice.send(&["bob", "-m", "clear\u{1b}[2Jscreen"])?;
    let line = zwgc.wait_after(mark, TIMEOUT, |line| line.contains("screen"))?;
    assert!(!line.contains('\u{1b}'), "{line:?}");
    Ok(())
}

#[test]
fn on_a_terminal_no_text_comes_to_the_beginning_of_a_row() -> Result<()> {
    const COLUMNS: usize = 40;
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc_on_terminal(COLUMNS as u16)?;
    // Two columns are the indentation's.
    alice.send(&["bob", "-m", &format!("{}AUTHENTIC class MESSAGE", "x".repeat(COLUMNS - 2))])?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("xAUTHENTIC class MESSAGE"))?;
    let shown = zwgc.transcript().text();
    let rows = shown.lines().map(|row| row.trim_end_matches('\r').replace("\u{1b}[1;32m", "").replace("\u{1b}[0m", ""));
    let (ours, others): (Vec<String>, Vec<String>) = rows.partition(|row| row.starts_with("AUTHENTIC"));
    assert_eq!(ours.len(), 1, "{shown}");
    assert!(others.iter().all(|row| row.len() < COLUMNS), "{shown}");
    Ok(())
}

#[test]
fn only_what_was_asked_for_is_received() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob, carol) = (stack.login("alice")?, stack.login("bob")?, stack.login("carol")?);
    let bobs = bob.listen(&[("news", "local", "*"), ("news", "*", "bob"), ("end", "*", "*")])?;
    let carols = carol.listen(&[("NEWS", "*", "*"), ("end", "*", "*")])?;

    alice.send(&["-c", "news", "-i", "local", "-m", "one"])?;
    alice.send(&["-c", "News", "-i", "Abroad", "-m", "two"])?;
    alice.send(&["-c", "news", "-i", "abroad", "bob", "-m", "three"])?;
    // The wildcard is for subscriptions: as an instance of a notice it is a name like any other.
    alice.send(&["-c", "news", "-i", "*", "-m", "four"])?;
    let lost = alice.zwrite(&["-c", "news", "-i", "local", "carol", "-m", "five"])?;
    assert_eq!(lost.status.code(), Some(1), "{lost}");
    assert_eq!(lost.stderr, "carol: Not logged in or not subscribing to class news, instance local\n", "{lost}");
    alice.send(&["-c", "end", "-m", "end"])?;

    let messages = |listener: &zephyr_e2e::listener::Listener| -> Result<Vec<String>> {
        Ok(listener.all_before("end")?.iter().map(|received| received.message()).collect())
    };
    assert_eq!(messages(&bobs)?, ["one", "three"]);
    assert_eq!(messages(&carols)?, ["one", "two", "four"]);
    Ok(())
}

#[test]
fn stacks_live_side_by_side() -> Result<()> {
    let realm = |name: &str| RealmOptions { realm: name.to_owned(), ..RealmOptions::default() };
    let one = Stack::start(Engine::Native, realm("ONE.TEST"))?;
    let two = Stack::start(Engine::Native, realm("TWO.TEST"))?;
    let mut listeners = Vec::new();
    for stack in [&one, &two] {
        listeners.push(stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?);
    }
    for (stack, name) in [(&one, "ONE.TEST"), (&two, "TWO.TEST")] {
        let alice = stack.login("alice")?;
        alice.send(&["bob", "-m", &format!("only in {name}")])?;
        alice.send(&["bob", "-m", "end"])?;
    }
    for (listener, name) in listeners.iter().zip(["ONE.TEST", "TWO.TEST"]) {
        let received = listener.all_before("end")?;
        let said: Vec<_> =
            received.iter().map(|received| (received.origin, received.sender.clone(), received.message())).collect();
        assert_eq!(said, [(Origin::Authentic, format!("alice@{name}"), format!("only in {name}"))]);
    }
    Ok(())
}

#[test]
fn without_kerberos_messages_arrive_and_claim_nothing() -> Result<()> {
    let stack = Stack::without_kerberos()?;
    // To the system both are whoever runs this test, and so that is who they are to Zephyr.
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    let listener = bob.listen(&[("open", "*", "*")])?;
    let sent = alice.send(&["-c", "open", "-i", "door", "-m", "come in"])?;
    assert_eq!(sent.stdout, "Message queued for class \"open\", instance \"door\"... sent\n");
    let received = listener.expect("come in", Origin::Unauthenticated)?;
    let me = received.sender.clone();
    // Before anybody else takes the pings for it.
    let zwgc = bob.zwgc_as(&me, &[("open", "*", "*")])?;
    let listener = bob.listen(&[("MESSAGE", "*", "me")])?;
    let (_, realm) = me.split_once('@').context("a sender without realm")?;
    let guest = format!("guest@{realm}");

    alice.send(&["-S", &guest, &me, "-m", "personally"])?;
    let received = listener.expect("personally", Origin::Unauthenticated)?;
    assert_eq!((received.sender.as_str(), received.recipient.as_str()), (guest.as_str(), me.as_str()));
    let lost = alice.zwrite(&["nobody-at-all", "-m", "x"])?;
    assert_eq!(lost.status.code(), Some(1), "{lost}");

    alice.send(&["-c", "open", "-m", "look"])?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("look"))?;
    let shown = zwgc.transcript().text();
    assert!(says(&shown, "UNAUTHENTICATED") && !says(&shown, "AUTHENTIC"), "{shown}");
    Ok(())
}
