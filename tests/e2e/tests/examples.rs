//! The client library's examples, in a realm with a real KDC.

use anyhow::Result;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use zephyr_e2e::{
    listener::Origin,
    middle::{Way, contains},
    person::{Person, TIMEOUT},
    stack::Stack,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{self, Daemon},
    realm::{Engine, RealmOptions},
};

/// Starts an example that stays.
fn start(person: &Person, example: &str, arguments: &[&str]) -> Result<Daemon> {
    let mut command = person.command(bins::example(example)?);
    command.args(arguments);
    Daemon::spawn(command, person.home().join(format!("{example}.log")))
}

/// Runs `sender`, and gives what it says.
fn send(person: &Person, recipient: &str, text: &str) -> Result<String> {
    let mut command = person.command(bins::example("sender")?);
    command.args([recipient, text]);
    Ok(process::run(command, TIMEOUT)?.success()?.stdout)
}

#[test]
fn sender_and_tail() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    assert_eq!(send(&alice, "bob", "Lunch?")?, "bob is not there\n");
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    assert_eq!(send(&alice, "bob", "Lunch?")?, "bob has received it\n");
    let received = listener.expect("Lunch?", Origin::Authentic)?;
    assert_eq!(received.body, b"sender\0Lunch?");

    let tail = start(&bob, "tail", &["help"])?;
    tail.wait_for(TIMEOUT, |line| line == "subscribed to help")?;
    alice.send(&["-c", "Help", "-i", "printers", "-m", "one"])?;
    alice.send(&["-d", "-c", "help", "-m", "two"])?;
    tail.wait_for(TIMEOUT, |line| line.ends_with("two"))?;
    assert_eq!(
        tail.transcript().lines_after(1),
        [
            "[Help printers] alice@ZEPHYR.TEST: one",
            "[help PERSONAL] alice@ZEPHYR.TEST (who says so, but nothing proves it): two"
        ]
    );
    Ok(())
}

/// Subscription requests that have reached the server.
static SUBSCRIPTIONS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_bot_answers_whoever_is_proven_and_takes_up_new_tickets() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), |way, packet: &mut Vec<u8>| {
        if matches!(way, Way::ToServer) && contains(packet, b"\0SUBSCRIBE_NODEFS\0") {
            SUBSCRIPTIONS.fetch_add(1, Ordering::Relaxed);
        }
        true
    })?;
    let realm = stack.realm()?;
    let (alice, user, robot) = (stack.login("alice")?, realm.user("bob")?, stack.person("bob")?);
    realm.kinit(&user, Some(Duration::from_secs(16)))?;
    let bot = start(&robot, "bot", &[])?;
    bot.wait_for(TIMEOUT, |line| line == "ready")?;
    let listener = alice.listen(&[("help", "*", "*")])?;
    let ask = |text: &str, answer: &str| -> Result<()> {
        alice.send(&["-c", "help", "-i", "printers", "-m", text])?;
        let received = listener.expect(answer, Origin::Authentic)?;
        assert_eq!((received.sender.as_str(), received.instance.as_str()), ("bob@ZEPHYR.TEST", "printers"));
        Ok(())
    };
    ask("ping", "pong")?;
    alice.send(&["-d", "-c", "help", "-m", "anonymous"])?;
    ask("where is paper?", "I do not know: where is paper?")?;
    let received = listener.all();
    assert!(!received.iter().any(|received| received.message().ends_with(": anonymous")), "{received:?}");
    assert_eq!(received.len(), 5, "it does not answer itself: {received:?}");

    let before = SUBSCRIPTIONS.load(Ordering::Relaxed);
    realm.kinit(&user, None)?;
    wait_until("the new key reaches the server", TIMEOUT, || {
        Ok((SUBSCRIPTIONS.load(Ordering::Relaxed) > before).then_some(()))
    })?;
    ask("and now?", "I do not know: and now?")
}

#[test]
fn presence_sees_others_come() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let watcher = start(&bob, "presence", &["alice@ZEPHYR.TEST"])?;
    watcher.wait_for(TIMEOUT, |line| line.starts_with("bob@ZEPHYR.TEST is on "))?;
    let _present = start(&alice, "presence", &[])?;
    let line = watcher.wait_for(TIMEOUT, |line| line.starts_with("alice@ZEPHYR.TEST has come: "))?;
    assert!(line.ends_with(", unknown"), "host, time and terminal: {line}");
    Ok(())
}
