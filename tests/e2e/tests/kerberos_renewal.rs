//! Expiry and renewal of tickets while zwgc runs.

use anyhow::Result;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};
use zephyr_e2e::{
    middle::{Way, contains},
    person::TIMEOUT,
    stack::Stack,
};
use zephyr_testkit::{deadline::wait_until, realm::RealmOptions};

/// Requests with a new key that have reached the server.
static RENEWALS: AtomicUsize = AtomicUsize::new(0);

/// A warning before the end, and one after it; new tickets are taken up without a restart, and what is said to bob is
/// proven all the time.
#[test]
fn new_tickets_are_taken_up() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), |way, packet: &mut Vec<u8>| {
        if matches!(way, Way::ToServer) && contains(packet, b"\0SUBSCRIBE_NODEFS\0") {
            RENEWALS.fetch_add(1, Ordering::Relaxed);
        }
        true
    })?;
    let realm = stack.realm()?;
    let alice = stack.login("alice")?;
    let (user, bob) = (realm.user("bob")?, stack.person("bob")?);
    let life = Duration::from_secs(16);
    realm.kinit(&user, Some(life))?;
    let zwgc = bob.zwgc(&[("news", "*", "*")])?;
    let tell = |text: &str| -> Result<()> {
        alice.send(&["-c", "news", "-m", text])?;
        let shown = zwgc.wait_for(TIMEOUT, |line| line.contains(text))?;
        assert!(shown.starts_with("  "), "{shown}");
        Ok(())
    };
    tell("with the first tickets")?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("your tickets end at 20"))?;
    let too_late = |line: &String| line.contains("your tickets have ended");
    assert!(!zwgc.transcript().lines_after(0).iter().any(too_late), "the warning came too late");
    assert_eq!(RENEWALS.load(Ordering::Relaxed), 0);

    // In time: before the old ones end.
    let second = SystemTime::now();
    realm.kinit(&user, Some(life))?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("there are new tickets"))?;
    wait_until("the new key reaches the server", TIMEOUT, || Ok((RENEWALS.load(Ordering::Relaxed) > 0).then_some(())))?;
    tell("with the second tickets")?;

    // And too late.
    let mark = zwgc.transcript().lines_after(0).len();
    zwgc.wait_after(mark, TIMEOUT, |line| line.contains("your tickets have ended"))?;
    // Times in tickets are whole seconds, by the clock on the wall.
    assert!(second.elapsed()? + Duration::from_secs(1) >= life, "they have not");
    tell("to somebody without tickets")?;
    realm.kinit(&user, None)?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.contains("there are new tickets"))?;
    wait_until("the new key reaches the server", TIMEOUT, || Ok((RENEWALS.load(Ordering::Relaxed) > 1).then_some(())))?;
    tell("with the third tickets")?;

    let shown = zwgc.transcript().text();
    let headers = shown.lines().filter(|line| line.contains(" class news "));
    let headers: Vec<&str> = headers.map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(headers, ["AUTHENTIC"; 4], "{shown}");
    Ok(())
}

/// Who starts without tickets gets the subscriptions when there are some.
#[test]
fn tickets_that_come_later() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), |_, _: &mut Vec<u8>| true)?;
    let bob = stack.person("bob")?;
    let mut command = bob.command(zephyr_testkit::bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]);
    let zwgc = zephyr_testkit::process::Daemon::spawn(command, bob.home().join("zwgc.log"))?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("kinit"))?;
    stack.realm()?.kinit(&stack.realm()?.user("bob")?, None)?;
    zwgc.wait_for(TIMEOUT, |line| line.contains("there are new tickets"))?;
    let alice = stack.login("alice")?;
    wait_until("bob is reached", TIMEOUT, || {
        Ok(alice.zwrite(&["-q", "bob", "-m", "at last"])?.status.success().then_some(()))
    })?;
    zwgc.wait_for(TIMEOUT, |line| line.starts_with("AUTHENTIC class MESSAGE instance PERSONAL"))?;
    Ok(())
}
