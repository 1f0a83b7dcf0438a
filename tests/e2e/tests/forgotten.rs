//! What becomes of zwgc when its server forgets it, refuses it, or was never there for it: nobody need do anything.

use anyhow::Result;
use nix::sys::signal::Signal;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use zephyr_e2e::{
    middle::{Way, contains, places},
    person::{Person, TIMEOUT},
    stack::Stack,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{self, Daemon},
    realm::RealmOptions,
};

/// A domain, and how many requests to set a location with exposure `net-announced` have reached its server.
fn stack() -> Result<(Stack, Arc<AtomicUsize>)> {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let stack = Stack::with_middle(RealmOptions::default(), move |way, packet: &mut Vec<u8>| {
        if matches!(way, Way::ToServer) && contains(packet, b"\0LOGIN\0") && contains(packet, b"\0NET-ANNOUNCED\0") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        true
    })?;
    Ok((stack, logins))
}

fn is_announced(person: &Person) -> Result<()> {
    Ok(fs::write(person.home().join(".zephyr.vars"), "exposure = net-announced\n")?)
}

/// Waits for so many requests to set a location; the host manager may have sent one twice.
fn wait_for_logins(logins: &AtomicUsize, count: usize) -> Result<()> {
    wait_until("a location is set", TIMEOUT, || Ok((logins.load(Ordering::Relaxed) >= count).then_some(())))
}

/// Sends until it is shown.
fn tell(alice: &Person, zwgc: &Daemon, text: &str) -> Result<()> {
    wait_until(text, TIMEOUT, || {
        alice.zwrite(&["bob", "-m", text])?;
        Ok(zwgc.transcript().lines_after(0).iter().any(|line| line.trim() == text).then_some(()))
    })
}

fn restart_server(stack: &mut Stack) -> Result<()> {
    stack.zephyrd().signal(Signal::SIGKILL)?;
    stack.zephyrd().wait_for_end(TIMEOUT)?;
    stack.restart_zephyrd()
}

/// A server that was killed tells nobody.
#[test]
fn after_a_restart_of_the_server_all_is_as_before() -> Result<()> {
    let (mut stack, logins) = stack()?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    is_announced(&bob)?;
    let zwgc = bob.clone().with_variable("ZEPHYR_CHECK", "1").zwgc(&[("news", "*", "*")])?;
    tell(&alice, &zwgc, "before")?;
    wait_for_logins(&logins, 1)?;
    let before = logins.load(Ordering::Relaxed);
    let mark = zwgc.transcript().mark();
    restart_server(&mut stack)?;
    let said = zwgc.wait_after(mark, TIMEOUT, |line| line.contains("forgotten you: subscribed again"))?;
    assert!(said.contains("not subscribed for up to") && said.ends_with("notices in between are lost."), "{said}");
    wait_for_logins(&logins, before + 1)?;
    tell(&alice, &zwgc, "after")?;
    alice.send(&["-c", "news", "-m", "also after"])?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.trim() == "also after")?;
    let lines = zwgc.transcript().lines_after(mark);
    assert_eq!(lines.iter().filter(|line| line.contains("forgotten")).count(), 1, "{lines:?}");
    Ok(())
}

/// One that is never asked finds the client again when that has new tickets: they come with all subscriptions.
#[test]
fn new_tickets_bring_back_who_was_forgotten() -> Result<()> {
    let (mut stack, logins) = stack()?;
    let alice = stack.login("alice")?;
    let (user, bob) = (stack.realm()?.user("bob")?, stack.person("bob")?);
    stack.realm()?.kinit(&user, None)?;
    is_announced(&bob)?;
    let zwgc = bob.clone().with_variable("ZEPHYR_CHECK", "0").zwgc(&[("news", "*", "*")])?;
    tell(&alice, &zwgc, "before")?;
    wait_for_logins(&logins, 1)?;
    let before = logins.load(Ordering::Relaxed);
    restart_server(&mut stack)?;
    stack.realm()?.kinit(&user, None)?;
    wait_for_logins(&logins, before + 1)?;
    tell(&alice, &zwgc, "after")?;
    alice.send(&["-c", "news", "-m", "also after"])?;
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "also after")?;
    Ok(())
}

/// Nothing can be proven to the new server, which tells that it knows nobody there.
#[test]
fn who_is_forgotten_without_tickets_is_told() -> Result<()> {
    let (mut stack, _) = stack()?;
    let alice = stack.login("alice")?;
    let (user, bob) = (stack.realm()?.user("bob")?, stack.person("bob")?);
    stack.realm()?.kinit(&user, None)?;
    let zwgc = bob.clone().with_variable("ZEPHYR_CHECK", "1").zwgc(&[("news", "*", "*")])?;
    tell(&alice, &zwgc, "before")?;
    process::run(user.command("kdestroy"), TIMEOUT)?.success()?;
    restart_server(&mut stack)?;
    let deaf = "zwgc: the server has forgotten you, and you have no tickets: nothing reaches you until you run kinit.";
    zwgc.wait_for(TIMEOUT, |line| line == deaf)?;
    stack.realm()?.kinit(&user, None)?;
    let again = zwgc.wait_for(TIMEOUT, |line| line.contains("the server had forgotten you: subscrib"))?;
    assert!(again.contains("You were not subscribed for up to"), "{again}");
    tell(&alice, &zwgc, "after")?;
    let lines = zwgc.transcript().lines_after(0);
    assert_eq!(lines.iter().filter(|line| *line == deaf).count(), 1, "{lines:?}");
    Ok(())
}

#[test]
fn who_had_no_tickets_is_logged_in_when_they_come() -> Result<()> {
    let (stack, logins) = stack()?;
    let alice = stack.login("alice")?;
    let (user, bob) = (stack.realm()?.user("bob")?, stack.person("bob")?);
    is_announced(&bob)?;
    let mut command = bob.command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]);
    let zwgc = Daemon::spawn(command, bob.home().join("zwgc.log"))?;
    zwgc.wait_for(TIMEOUT, |line| line.ends_with("while setting location"))?;
    zwgc.wait_for(TIMEOUT, |line| line.ends_with("while subscribing"))?;
    assert_eq!(logins.load(Ordering::Relaxed), 0);
    stack.realm()?.kinit(&user, None)?;
    zwgc.wait_for(TIMEOUT, |line| line == "zwgc: the server has taken your location now.")?;
    zwgc.wait_for(TIMEOUT, |line| line == "zwgc: the server has taken your subscriptions now.")?;
    assert!(logins.load(Ordering::Relaxed) > 0);
    tell(&alice, &zwgc, "after")?;
    let lines = zwgc.transcript().lines_after(0);
    for context in ["while setting location", "while subscribing"] {
        assert_eq!(lines.iter().filter(|line| line.ends_with(context)).count(), 1, "said once: {lines:?}");
    }
    Ok(())
}

/// As when the server still has somebody else's client there, which has ended without a word.
#[test]
fn who_is_refused_at_a_port_takes_another() -> Result<()> {
    let refused = Arc::new(AtomicBool::new(false));
    let stack = Stack::with_middle(RealmOptions::default(), move |way, packet: &mut Vec<u8>| {
        if matches!(way, Way::ToHost) && contains(packet, b"\0SUBSCRIBE\0") {
            refuse_once(packet, &refused);
        }
        true
    })?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc(&[])?;
    let said = zwgc.wait_for(TIMEOUT, |line| line.contains("another user's to it: trying port "))?;
    tell(&alice, &zwgc, "hello")?;
    let port: u16 = said.trim_end_matches('.').rsplit(' ').next().unwrap_or_default().parse()?;
    assert_eq!(zephyr_client::windowgram_port::read(&bob.wgfile())?, port);
    let lines = zwgc.transcript().lines_after(0);
    assert!(!lines.iter().any(|line| line.contains("klist")), "it is no matter of tickets: {lines:?}");
    Ok(())
}

/// Makes a SERVACK a SERVNAK, the first one.
fn refuse_once(packet: &mut [u8], refused: &AtomicBool) {
    const KIND: usize = 2;
    let Some((fields, _)) = places(packet) else { return };
    let Some(kind) = fields.get(KIND).and_then(|place| packet.get_mut(place.clone())) else { return };
    if kind.ends_with(b"5") && !refused.swap(true, Ordering::Relaxed) {
        let last = kind.len() - 1;
        kind.iter_mut().skip(last).for_each(|digit| *digit = b'6');
    }
}
