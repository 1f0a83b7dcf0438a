//! Programs on machines without a host manager, which speak to servers directly; beside others that have one, and to C servers.

use anyhow::{Result, ensure};
use std::time::Instant;
use zephyr_e2e::{
    domain::{self, Domain, Keeps},
    listener::Origin,
    person::{Make, Person, TIMEOUT},
};
use zephyr_testkit::{deadline::wait_until, process::Daemon, reference::Lan};

/// An address at which no host manager is.
const NOBODY: &str = "127.0.0.1:9";

/// A domain with servers of these makes, and a machine with a host manager.
fn scene(makes: &[Make]) -> Result<Option<(Lan, Domain)>> {
    let Some((lan, mut domain)) = domain::alone(makes, Keeps::Nothing)? else { return Ok(None) };
    domain.add_station(&lan, Make::Ours, &[0])?;
    Ok(Some((lan, domain)))
}

/// A person whose programs find no host manager, and are told of these servers.
fn directly(domain: &mut Domain, name: &str, servers: &[usize]) -> Result<Person> {
    let person = domain.login(0, name)?;
    let names: Vec<String> = servers.iter().map(|&number| domain.server(number).host().name().to_owned()).collect();
    Ok(person.with_variable("ZEPHYR_HM", NOBODY).with_variable("ZEPHYR_SERVERS", &names.join(",")))
}

/// Sends until it is shown.
fn tell(sender: &Person, zwgc: &Daemon, text: &str) -> Result<()> {
    wait_until(text, TIMEOUT, || {
        sender.zwrite(&["bob", "-m", text])?;
        Ok(zwgc.transcript().lines_after(0).iter().any(|line| line.trim() == text).then_some(()))
    })
}

fn authentic_both_ways(make: Make) -> Result<()> {
    let Some((_lan, mut domain)) = scene(&[make])? else { return Ok(()) };
    let (alice, bob) = (directly(&mut domain, "alice", &[0])?, directly(&mut domain, "bob", &[0])?);
    let mut reader = bob.client()?;
    reader.subscribe(("news", "*", "*"))?;
    let began = Instant::now();
    let said = alice.send(&["-v", "-a", "-c", "news", "-m", "no daemon"])?.stdout;
    eprintln!("zwrite without a host manager took {:?}", began.elapsed());
    let server = domain.server(0).host().name().to_owned();
    let line = said.lines().next().unwrap_or_default();
    assert!(line.starts_with(&format!("No host manager: speaking to {server} (")), "{said}");
    assert!(line.ends_with(":2103) directly, found by ZEPHYR_SERVERS"), "{said}");
    let received = reader.receive("no daemon")?;
    assert_eq!((received.origin, &*received.sender), (Origin::Authentic, "alice@ATHENA.TEST"));
    let long = "long".repeat(1000);
    alice.send(&["-a", "-c", "news", "-m", &long])?;
    ensure!(reader.receive(&long)?.origin == Origin::Authentic, "its pieces are not");
    Ok(())
}

#[test]
fn what_is_sent_without_host_managers_is_authentic() -> Result<()> {
    authentic_both_ways(Make::Ours)
}

#[test]
fn what_a_c_server_takes_without_host_managers_is_authentic() -> Result<()> {
    authentic_both_ways(Make::C)
}

/// Programs that come and go without a host manager end nothing of those that have one, and no server of theirs.
fn others_are_left_alone(make: Make) -> Result<()> {
    let Some((_lan, mut domain)) = scene(&[make])? else { return Ok(()) };
    let mut carol = domain.login(0, "carol")?.client()?;
    carol.subscribe(("news", "*", "*"))?;
    carol.order(&["login", "NET-ANNOUNCED"])?;
    let (alice, bob) = (directly(&mut domain, "alice", &[0])?, directly(&mut domain, "bob", &[0])?);
    for text in ["first", "second"] {
        let mut reader = bob.client()?;
        reader.subscribe(("news", "*", "*"))?;
        alice.send(&["-c", "news", "-m", text])?;
        carol.receive(text)?;
        reader.receive(text)?;
    }
    ensure!(carol.send("news", "x", "", "by the host manager")? == "sent", "the host manager's server");
    carol.receive("by the host manager").map(drop)
}

#[test]
fn who_has_a_host_manager_keeps_everything() -> Result<()> {
    others_are_left_alone(Make::Ours)
}

#[test]
fn who_has_a_host_manager_keeps_everything_of_a_c_server() -> Result<()> {
    others_are_left_alone(Make::C)
}

#[test]
fn a_server_that_starts_anew_is_subscribed_with_again() -> Result<()> {
    let Some((_lan, mut domain)) = scene(&[Make::Ours])? else { return Ok(()) };
    let (alice, bob) = (directly(&mut domain, "alice", &[0])?, directly(&mut domain, "bob", &[0])?);
    let zwgc = bob.with_variable("ZEPHYR_CHECK", "1").zwgc(&[])?;
    tell(&alice, &zwgc, "before")?;
    domain.server(0).kill()?;
    domain.start(0)?;
    tell(&alice, &zwgc, "after")
}

#[test]
fn another_server_is_spoken_to_when_one_is_dead() -> Result<()> {
    let Some((_lan, mut domain)) = scene(&[Make::Ours; 2])? else { return Ok(()) };
    let (alice, bob) = (directly(&mut domain, "alice", &[0, 1])?, directly(&mut domain, "bob", &[0, 1])?);
    let zwgc = bob.zwgc(&[])?;
    tell(&alice, &zwgc, "before")?;
    domain.server(0).kill()?;
    let began = Instant::now();
    let said = alice.send(&["-v", "bob", "-m", "after"])?.stdout;
    eprintln!("zwrite beside a dead server took {:?}", began.elapsed());
    let second = domain.server(1).host().name().to_owned();
    assert!(said.contains(&format!("speaking to {second} (")), "{said}");
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "after").map(drop)
}

#[test]
fn who_wants_nothing_direct_hears_of_the_host_manager() -> Result<()> {
    let Some((_lan, mut domain)) = scene(&[Make::Ours])? else { return Ok(()) };
    let alice = directly(&mut domain, "alice", &[0])?;
    let refused = alice.zwrite(&["--no-direct", "alice", "-m", "x"])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("Hostmanager not responding while initializing"), "{}", refused.stderr);
    let refused = alice.with_variable("ZEPHYR_DIRECT", "0").run("zwgc", &["-nofork", "-ttymode"])?;
    assert_eq!(refused.status.code(), Some(3));
    Ok(())
}
