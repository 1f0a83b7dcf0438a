//! Machines whose network changes under running programs. Nobody types anything, and regular questions to the server are off: only
//! that the programs notice the change brings their users back.

use anyhow::{Context, Result};
use std::{
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};
use zephyr_e2e::{
    domain::{self, Domain, Keeps},
    person::{Make, Person, TIMEOUT},
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::Daemon,
    reference::{HOST_MANAGER_PORT, Host, Lan},
};

/// An address of the network that belongs to no name.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);
/// The machine that comes late to the network.
const LATE: &str = "h2.athena.test";

/// Alice's machine, which stays where it is, in a domain with one server of this make.
fn home(make: Make) -> Result<Option<(Lan, Domain, Person)>> {
    let Some((lan, mut domain)) = domain::alone(&[make], Keeps::Nothing)? else { return Ok(None) };
    let station = domain.add_station(&lan, Make::Ours, &[0])?;
    let alice = domain.login(station, "alice")?;
    Ok(Some((lan, domain, alice)))
}

/// Sends until it is shown; gives how long that took.
fn tell(alice: &Person, zwgc: &Daemon, text: &str) -> Result<Duration> {
    let began = Instant::now();
    wait_until(text, TIMEOUT, || {
        alice.zwrite(&["bob", "-m", text])?;
        Ok(zwgc.transcript().lines_after(0).iter().any(|line| line.trim() == text).then_some(()))
    })
    .with_context(|| format!("zwgc said:\n{}", zwgc.transcript().text()))?;
    let took = began.elapsed();
    eprintln!("{text:?} was shown after {took:?}");
    Ok(took)
}

/// A zwgc that asks nothing at regular times. It need not reach anybody yet.
fn zwgc_of(bob: &Person) -> Result<Daemon> {
    let mut command = bob.command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]).env("ZEPHYR_CHECK", "0");
    Daemon::spawn(command, bob.home().join("zwgc.log"))
}

fn of_make(make: Make) -> Result<()> {
    let Some((lan, mut domain, alice)) = home(make)? else { return Ok(()) };
    let station = domain.add_station(&lan, Make::Ours, &[0])?;
    let bob = domain.login(station, "bob")?;
    let zwgc = bob.clone().with_variable("ZEPHYR_CHECK", "0").zwgc(&[])?;
    tell(&alice, &zwgc, "at home")?;

    let mark = zwgc.transcript().mark();
    let host = domain.station(station).host();
    host.leave_network()?;
    host.join_network(ELSEWHERE)?;
    tell(&alice, &zwgc, "elsewhere")?;
    let said = zwgc.wait_after(mark, TIMEOUT, |line| line.contains("network has changed: subscribed again"))?;
    assert!(said.starts_with("zwgc: this machine's network has changed: subscribed again."), "{said}");

    // A cable that is pulled and put back changes nothing at the server.
    let mark = zwgc.transcript().mark();
    let host = domain.station(station).host();
    host.set_link(false)?;
    host.set_link(true)?;
    tell(&alice, &zwgc, "still elsewhere")?;
    // And back, where the server may still have the first registration.
    let host = domain.station(station).host();
    let address = host.address();
    host.leave_network()?;
    host.join_network(address)?;
    tell(&alice, &zwgc, "at home again")?;
    // The other way is used as well: bob can send.
    bob.send(&["bob", "-m", "to myself"])?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.trim() == "to myself")?;
    let lines = zwgc.transcript().lines_after(mark);
    assert!(!lines.iter().any(|line| line.contains("forgotten")), "{lines:?}");
    Ok(())
}

#[test]
fn who_changes_the_address_is_reached_at_the_new_one() -> Result<()> {
    of_make(Make::Ours)
}

#[test]
fn who_changes_the_address_is_reached_at_the_new_one_by_a_c_server() -> Result<()> {
    of_make(Make::C)
}

#[test]
fn so_it_is_without_a_host_manager() -> Result<()> {
    let Some((lan, domain, alice)) = home(Make::Ours)? else { return Ok(()) };
    let host = lan.host(LATE)?;
    host.enrol(domain.realm())?;
    let bob = Person::of_realm(host.login(domain.realm(), "bob")?, Vec::new());
    let bob = bob.with_variable("ZEPHYR_SERVERS", "s1.athena.test");
    let zwgc = zwgc_of(&bob)?;
    tell(&alice, &zwgc, "at home")?;
    let mark = zwgc.transcript().mark();
    host.leave_network()?;
    host.join_network(ELSEWHERE)?;
    tell(&alice, &zwgc, "elsewhere")?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.contains("network has changed: subscribed again")).map(drop)
}

/// Nothing tells C's zwgc, so its user has to.
#[test]
fn a_zwgc_of_c_subscribes_again_when_it_is_told_to() -> Result<()> {
    let Some((lan, mut domain, alice)) = home(Make::Ours)? else { return Ok(()) };
    let station = domain.add_station(&lan, Make::Ours, &[0])?;
    let bob = domain.login(station, "bob")?.with(Make::C);
    let zwgc = bob.zwgc(&[])?;
    tell(&alice, &zwgc, "at home")?;
    let host = domain.station(station).host();
    host.leave_network()?;
    host.join_network(ELSEWHERE)?;
    // Its host manager has found the way, so this is taken.
    bob.run("zctl", &["load"])?.success()?;
    tell(&alice, &zwgc, "elsewhere").map(drop)
}

/// Starts a host manager on a machine without a network.
fn start_zhm(domain: &Domain, host: &Host) -> Result<Daemon> {
    let mut command = host.command(domain.realm(), bins::path("zhm")?);
    command.args(["-n", "-d", "s1.athena.test"]);
    host.spawn_at_port("zhm", command, HOST_MANAGER_PORT)
}

#[test]
fn programs_that_came_before_the_network_are_there_when_it_is() -> Result<()> {
    let Some((lan, domain, alice)) = home(Make::Ours)? else { return Ok(()) };
    let host = lan.host(LATE)?;
    host.enrol(domain.realm())?;
    // With a ticket from yesterday, as it were.
    let bob = Person::of_realm(host.login(domain.realm(), "bob")?, Vec::new());
    host.leave_network()?;
    let _zhm = start_zhm(&domain, &host)?;
    let zwgc = zwgc_of(&bob)?;
    zwgc.wait_for(TIMEOUT, |line| line.starts_with("zwgc: "))?;
    host.join_network(host.address())?;
    tell(&alice, &zwgc, "good morning").map(drop)
}

/// The network is there, and the names are not.
#[test]
fn programs_that_came_before_name_service_are_there_when_it_is() -> Result<()> {
    let Some((lan, domain, alice)) = home(Make::Ours)? else { return Ok(()) };
    let host = lan.host(LATE)?;
    host.enrol(domain.realm())?;
    let bob = Person::of_realm(host.login(domain.realm(), "bob")?, Vec::new());
    let hosts = host.folder().join("hosts");
    let names = fs::read_to_string(&hosts)?;
    // Written, not replaced: it is mounted.
    fs::write(&hosts, "127.0.0.1 localhost\n")?;
    let _zhm = start_zhm(&domain, &host)?;
    let zwgc = zwgc_of(&bob)?;
    zwgc.wait_for(TIMEOUT, |line| line.starts_with("zwgc: "))?;
    fs::write(&hosts, names)?;
    tell(&alice, &zwgc, "names have come").map(drop)
}
