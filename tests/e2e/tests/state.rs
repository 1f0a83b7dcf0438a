//! A server that keeps its state, on a real KDC: those who use it, C's programs among them, notice nothing of its restarts.

use anyhow::Result;
use nix::sys::signal::Signal;
use zephyr_e2e::{
    domain::{self, Keeps},
    person::{Make, TIMEOUT},
};
use zephyr_testkit::process::Daemon;

const NEWS: [(&str, &str, &str); 1] = [("news", "*", "*")];

fn shows(zwgc: &Daemon, text: &str) -> Result<()> {
    zwgc.wait_for(TIMEOUT, |line| line.trim() == text).map(drop)
}

#[test]
fn nobody_need_do_anything_when_a_killed_server_comes_back() -> Result<()> {
    let Some((lan, mut domain)) = domain::alone(&[Make::Ours], Keeps::State)? else { return Ok(()) };
    domain.add_station(&lan, Make::Ours, &[0])?;
    let (alice, bob, carol) = (domain.login(0, "alice")?, domain.login(0, "bob")?, domain.login(0, "carol")?);
    // Neither finds out by itself that a server does not know it.
    let readers = [bob.with(Make::C).zwgc(&NEWS)?, carol.with_variable("ZEPHYR_CHECK", "0").zwgc(&NEWS)?];
    alice.send(&["-c", "news", "-m", "before"])?;
    readers.iter().try_for_each(|zwgc| shows(zwgc, "before"))?;
    for text in ["after a kill", "after another"] {
        domain.server(0).kill()?;
        domain.start(0)?;
        alice.send(&["-c", "news", "-m", text])?;
        readers.iter().try_for_each(|zwgc| shows(zwgc, text))?;
        let found = alice.with(Make::C).run("zlocate", &["bob"])?;
        assert!(found.stdout.contains(domain.station_name(0)), "{}", found.stdout);
    }
    domain.server(0).stop()?;
    domain.start(0)?;
    alice.send(&["-c", "news", "-m", "after a stop"])?;
    readers.iter().try_for_each(|zwgc| shows(zwgc, "after a stop"))?;
    let said = readers[1].transcript().lines_after(0);
    assert!(!said.iter().any(|line| line.contains("forgotten")), "{said:?}");
    Ok(())
}

#[test]
fn who_stands_still_over_a_restart_gets_what_he_has_not_acknowledged() -> Result<()> {
    let Some((lan, mut domain)) = domain::alone(&[Make::Ours], Keeps::State)? else { return Ok(()) };
    domain.add_station(&lan, Make::Ours, &[0])?;
    let (alice, bob) = (domain.login(0, "alice")?, domain.login(0, "bob")?);
    let mut zwgc = bob.zwgc(&NEWS)?;
    alice.send(&["-c", "news", "-m", "before"])?;
    shows(&zwgc, "before")?;
    zwgc.signal(Signal::SIGSTOP)?;
    alice.send(&["-c", "news", "-m", "meanwhile"])?;
    domain.server(0).stop()?;
    domain.start(0)?;
    zwgc.signal(Signal::SIGCONT)?;
    shows(&zwgc, "meanwhile")?;
    alice.send(&["-c", "news", "-m", "after"])?;
    shows(&zwgc, "after")?;
    let shown = zwgc.transcript().lines_after(0);
    assert_eq!(shown.iter().filter(|line| line.trim() == "meanwhile").count(), 1, "{shown:?}");
    Ok(())
}
