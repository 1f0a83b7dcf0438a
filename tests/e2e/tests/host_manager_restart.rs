//! A host manager that is restarted, or has crashed, takes nothing from the programs of its host; one that starts after the
//! host does tells the server that all of them are gone.

use anyhow::Result;
use nix::sys::signal::Signal;
use zephyr_e2e::{
    machine::{Machine, SERVERS},
    person::TIMEOUT,
};
use zephyr_testkit::{deadline::wait_until, process::Daemon};

fn host_manager(machine: &Machine, label: &str) -> Result<Daemon> {
    let zhm = machine.zhm(label, &[SERVERS[0]])?;
    zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
    Ok(zhm)
}

fn is_read(machine: &Machine, text: &str) -> Result<bool> {
    Ok(machine.zwrite(&["-d", "-c", "news", "-m", text])?.status.success())
}

#[test]
fn a_restart_of_the_host_manager_makes_nobody_deaf() -> Result<()> {
    let Some(machine) = Machine::start()? else { return Ok(()) };
    let zephyrd = machine.zephyrd("zephyrd", SERVERS[0])?;
    let mut zhm = host_manager(&machine, "zhm")?;
    // The host has just started.
    zephyrd.wait_after(0, TIMEOUT, |line| line.contains(" flushed, "))?;
    let zwgc = machine.zwgc(&[("news", "*", "*")])?;
    wait_until("zwgc subscribed", TIMEOUT, || Ok(is_read(&machine, "first")?.then_some(())))?;

    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        zhm.signal(signal)?;
        zhm.wait_for_end(TIMEOUT)?;
        zhm = host_manager(&machine, &format!("zhm-after-{signal}"))?;
        let text = format!("after {signal}");
        assert!(is_read(&machine, &text)?, "{signal}");
        zwgc.wait_for(TIMEOUT, |line| line.contains(&text))?;
    }

    let mark = zephyrd.transcript().mark();
    zhm.signal(Signal::SIGKILL)?;
    zhm.wait_for_end(TIMEOUT)?;
    machine.boots(2)?;
    let _zhm = host_manager(&machine, "zhm-after-reboot")?;
    let is_of_zwgc = |line: &str| line.contains(" flushed, 1 client gone");
    zephyrd.wait_after(mark, TIMEOUT, is_of_zwgc)?;
    // Had the server said so of a restart, it would be before that.
    let flushes: Vec<_> = zephyrd.transcript().lines_after(0).into_iter().filter(|line| is_of_zwgc(line)).collect();
    assert_eq!(flushes.len(), 1, "{flushes:?}");
    assert!(!is_read(&machine, "nobody is there")?);
    Ok(())
}
