//! A host manager whose server's name is not known yet, or has another address by now, and a server that starts without a
//! name service, on a machine whose names the test decides.

use anyhow::Result;
use nix::sys::signal::Signal;
use std::path::Path;
use zephyr_e2e::{
    machine::{ADDRESSES, Machine, SERVERS},
    person::TIMEOUT,
};
use zephyr_testkit::process::{Daemon, run};

const NAME: &str = "zephyr.open.test";
/// The C program that shows a host manager's statistics.
const ZSTAT: &str = "/usr/bin/zstat";

fn answers(zhm: &Daemon, mark: usize) -> Result<()> {
    zhm.wait_after(mark, TIMEOUT, |line| line.ends_with("answers")).map(drop)
}

/// A notice goes to the server and its answer comes back.
fn is_served(machine: &Machine) -> Result<()> {
    let sent = machine.zwrite(&["-d", "-c", "nobody-there", "-m", "hello"])?;
    assert!(format!("{}{}", sent.stdout, sent.stderr).contains("subscribing to class nobody-there"), "{sent}");
    Ok(())
}

#[test]
fn a_name_that_is_not_known_at_boot_is_found_later() -> Result<()> {
    let Some(machine) = Machine::start()? else { return Ok(()) };
    let _zephyrd = machine.zephyrd("zephyrd", SERVERS[0])?;
    let zhm = machine.zhm("zhm", &[NAME])?;
    zhm.wait_for(TIMEOUT, |line| line.contains(&format!("Unknown server name: {NAME} (")))?;
    if Path::new(ZSTAT).exists() {
        let mut zstat = machine.command(ZSTAT);
        zstat.args(["-h", "127.0.0.1"]);
        let shown = run(zstat, TIMEOUT)?.success()?.stdout;
        assert!(shown.contains(&format!("Looking for a new server: yes (looking up {NAME}: ")), "{shown}");
    }
    machine.names(&[&format!("{} {NAME}", ADDRESSES[0])])?;
    answers(&zhm, 0)?;
    is_served(&machine)
}

#[test]
fn a_server_is_found_again_at_the_new_address_of_its_name() -> Result<()> {
    let Some(machine) = Machine::start()? else { return Ok(()) };
    machine.names(&[&format!("{} {NAME}", ADDRESSES[0])])?;
    let mut old = machine.zephyrd("zephyrd", SERVERS[0])?;
    let zhm = machine.zhm("zhm", &[NAME])?;
    answers(&zhm, 0)?;
    let mark = zhm.transcript().mark();
    old.stop(TIMEOUT)?;
    zhm.wait_after(mark, TIMEOUT, |line| line.contains("went down"))?;
    machine.names(&[&format!("{} {NAME}", ADDRESSES[1])])?;
    let _new = machine.zephyrd("zephyrd-elsewhere", SERVERS[1])?;
    zhm.wait_after(mark, TIMEOUT, |line| line.ends_with(&format!("has another address: {}", SERVERS[1])))?;
    answers(&zhm, mark)?;
    is_served(&machine)
}

/// A name service that never answers: the resolver of the C library waits for longer than tests do.
fn hang(machine: &Machine) -> Result<Daemon> {
    let somebody = machine.zephyrd("somebody-else", &format!("{}:53", ADDRESSES[1]))?;
    machine.name_service(&format!("nameserver {}\noptions timeout:30 attempts:5\n", ADDRESSES[1]))?;
    Ok(somebody)
}

#[test]
fn a_name_service_that_hangs_keeps_no_server_from_starting() -> Result<()> {
    let Some(machine) = Machine::start()? else { return Ok(()) };
    let _silent = hang(&machine)?;
    let zephyrd = machine.zephyrd_with("zephyrd", "0.0.0.0:2103", &[])?;
    zephyrd.wait_for(TIMEOUT, |line| line.contains("(the name service does not answer), so clients are told "))?;
    let _zhm = machine.zhm("zhm", &[ADDRESSES[0]])?;
    is_served(&machine)
}

#[test]
fn a_name_service_that_hangs_holds_up_nothing() -> Result<()> {
    let Some(machine) = Machine::start()? else { return Ok(()) };
    let _silent = hang(&machine)?;
    let _zephyrd = machine.zephyrd("zephyrd", SERVERS[0])?;
    let mut zhm = machine.zhm("zhm", &[NAME, ADDRESSES[0]])?;
    answers(&zhm, 0)?;
    is_served(&machine)?;
    zhm.signal(Signal::SIGTERM)?;
    assert!(zhm.wait_for_end(TIMEOUT)?.success());
    Ok(())
}
