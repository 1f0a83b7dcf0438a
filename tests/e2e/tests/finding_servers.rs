//! How a host manager without servers on its command line finds them, with a real name server.

use anyhow::Result;
use std::{path::Path, time::Duration};
use zephyr_e2e::{
    machine::{ADDRESSES, Machine, SERVERS},
    person::TIMEOUT,
};
use zephyr_testkit::{
    bins,
    name_server::{Zone, ZoneClass},
    process::{Daemon, run},
};

/// The C program that shows a host manager's statistics.
const ZSTAT: &str = "/usr/bin/zstat";
/// Addresses of the servers' names.
const NAMES: [&str; 2] = ["one A 10.77.0.1", "two A 10.77.0.2"];
/// How long it may take until an answer of DNS is over, and a better server has answered twice. It is there for a test that fails.
const LONG: Duration = Duration::from_secs(300);

const fn internet<'a>(records: &'a [&'a str]) -> Zone<'a> {
    Zone { name: "open.test", class: ZoneClass::Internet, records }
}

const fn of_hesiod<'a>(records: &'a [&'a str]) -> Zone<'a> {
    Zone { name: "ns.open.test", class: ZoneClass::Hesiod, records }
}

/// A machine in the domain `open.test`, with a server at each of its addresses.
fn machine() -> Result<Option<(Machine, [Daemon; 2])>> {
    let Some(machine) = Machine::start()? else { return Ok(None) };
    machine.name_service(&format!("nameserver {}\nsearch open.test\n", ADDRESSES[0]))?;
    let servers = [
        machine.zephyrd_with("zephyrd-one", SERVERS[0], &["--hostname", "one.open.test"])?,
        machine.zephyrd_with("zephyrd-two", SERVERS[1], &["--hostname", "two.open.test"])?,
    ];
    Ok(Some((machine, servers)))
}

/// Waits until the host manager has found servers so, and this one answers.
fn finds(zhm: &Daemon, mark: usize, found: &str, server: &str) -> Result<()> {
    zhm.wait_after(mark, LONG, |line| line.ends_with(&format!("servers by {found}")))?;
    zhm.wait_after(mark, LONG, |line| line.ends_with(&format!("Server {server} answers"))).map(drop)
}

/// What a program for statistics is told.
fn statistics(machine: &Machine) -> Result<String> {
    let mut zstat = machine.command(ZSTAT);
    zstat.args(["-h", "127.0.0.1"]);
    Ok(run(zstat, TIMEOUT)?.success()?.stdout)
}

/// A notice goes to the server and its answer comes back.
fn is_served(machine: &Machine) -> Result<()> {
    let sent = machine.zwrite(&["-d", "-c", "nobody-there", "-m", "hello"])?;
    assert!(format!("{}{}", sent.stdout, sent.stderr).contains("subscribing to class nobody-there"), "{sent}");
    Ok(())
}

#[test]
fn by_hesiod_in_class_hs() -> Result<()> {
    let Some((machine, _servers)) = machine()? else { return Ok(()) };
    machine.hesiod("rhs=.open.test\n")?;
    let records = [
        "host.cluster TXT \"zephyr two.open.test\"",
        "host.cluster TXT \"zcluster west\"",
        "west.sloc TXT one.open.test",
        "west.sloc TXT two.open.test",
    ];
    let _names = machine.name_server(&[internet(&NAMES), of_hesiod(&records)])?;
    let zhm = machine.zhm("zhm", &[])?;
    finds(&zhm, 0, "Hesiod (west.sloc.ns.open.test): two.open.test, one.open.test", "two.open.test")?;
    if Path::new(ZSTAT).exists() {
        let shown = statistics(&machine)?;
        assert!(shown.contains("two.open.test"), "{shown}");
    }
    is_served(&machine)
}

#[test]
fn by_dns_and_an_operator_moves_machines_to_another_server() -> Result<()> {
    let Some((machine, _servers)) = machine()? else { return Ok(()) };
    let records = |one: &'static str, two: &'static str| [NAMES[0], NAMES[1], one, two];
    let before = records("_zephyr-clt._udp SRV 10 10 2103 one", "_zephyr-clt._udp SRV 20 10 2103 two");
    let mut names = machine.name_server(&[internet(&before)])?;
    let zhm = machine.zhm("zhm", &[])?;
    let source = "DNS (_zephyr-clt._udp.open.test)";
    finds(&zhm, 0, &format!("{source}: one.open.test, two.open.test"), "one.open.test")?;
    is_served(&machine)?;
    // The first is drained.
    let mark = zhm.transcript().mark();
    names.replace(&internet(&records("_zephyr-clt._udp SRV 30 10 2103 one", before[3])))?;
    finds(&zhm, mark, &format!("{source}: two.open.test, one.open.test"), "two.open.test")?;
    // The second one's record is taken out.
    let mark = zhm.transcript().mark();
    names.replace(&internet(&[NAMES[0], NAMES[1], before[2]]))?;
    finds(&zhm, mark, &format!("{source}: one.open.test"), "one.open.test")?;
    is_served(&machine)
}

#[test]
fn nobody_names_any_and_the_host_manager_says_who_was_asked() -> Result<()> {
    let Some((machine, _servers)) = machine()? else { return Ok(()) };
    let _names = machine.name_server(&[internet(&[])])?;
    // It is known within the time that one that goes into the background takes for it, and otherwise a little later.
    let mut zhm = machine.command(bins::path("zhm")?);
    zhm.args(["-n", "--listen", "127.0.0.1:2104", "--config-dir"]).arg(machine.folder().join("etc-zephyr"));
    let ended = run(zhm, TIMEOUT)?;
    assert_eq!(ended.status.code(), Some(16), "{ended}");
    for line in [
        "No valid primary server found, exiting.",
        "zhm: zephyr.toml: it names no server in section zhm; ",
        "; DNS (_zephyr-clt._udp.open.test): there is no such record\n",
        "zhm: Name the servers in ",
    ] {
        assert!(ended.stderr.contains(line), "{line} is not in {ended}");
    }
    let mut check = machine.command(bins::path("zephyrctl")?);
    check.arg("--config-dir").arg(machine.folder().join("etc-zephyr")).args(["check", "--servers"]);
    let checked = run(check, TIMEOUT)?;
    assert_eq!(checked.status.code(), Some(1), "{checked}");
    assert!(checked.stdout.contains("DNS (_zephyr-clt._udp.open.test): there is no such record\n"), "{checked}");
    Ok(())
}

#[test]
fn a_machine_that_starts_before_its_name_server_waits_for_it() -> Result<()> {
    let Some((machine, _servers)) = machine()? else { return Ok(()) };
    let zhm = machine.zhm("zhm", &[])?;
    zhm.wait_for(TIMEOUT, |line| line.contains("no name server answers"))?;
    let records = [NAMES[0], NAMES[1], "_zephyr-clt._udp SRV 0 0 2103 two"];
    let _names = machine.name_server(&[internet(&records)])?;
    finds(&zhm, 0, "DNS (_zephyr-clt._udp.open.test): two.open.test", "two.open.test")?;
    is_served(&machine)
}
