//! What others may do to a user's zwgc without being the user.

use anyhow::Result;
use nix::sys::signal::Signal;
use std::{fs, os::unix::fs::chown, time::Instant};
use zephyr_e2e::{
    person::{Person, TIMEOUT},
    stack::Stack,
};
use zephyr_testkit::{
    bins,
    process::{Daemon, run},
    realm::{Engine, RealmOptions},
};

/// A server forgets all clients of a host at the word of its host manager, which takes root's.
fn flush(stack: &mut Stack) -> Result<()> {
    stack.zhm().signal(Signal::SIGHUP)
}

fn is_reached(alice: &Person, text: &str) -> Result<bool> {
    Ok(alice.zwrite(&["bob", "-m", text])?.status.success())
}

#[test]
fn a_windowgram_client_whose_host_was_flushed_subscribes_again() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.clone().with_variable("ZEPHYR_CHECK", "1").zwgc(&[("news", "*", "*")])?;
    assert!(is_reached(&alice, "before")?);
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "before")?;
    let mark = zwgc.transcript().mark();
    flush(&mut stack)?;
    zwgc.wait_after(mark, TIMEOUT, |line| line == "zwgc: the server had forgotten you: subscribed again.")?;
    alice.send(&["bob", "-m", "after"])?;
    alice.send(&["-c", "news", "-m", "also after"])?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.trim() == "also after")?;
    let lines = zwgc.transcript().lines_after(mark);
    assert_eq!(lines.iter().filter(|line| line.starts_with("AUTHENTIC class ")).count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("forgotten")).count(), 1, "{lines:?}");
    Ok(())
}

#[test]
fn a_windowgram_client_that_never_asks_stays_forgotten() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let _zwgc = bob.clone().with_variable("ZEPHYR_CHECK", "0").zwgc(&[])?;
    assert!(is_reached(&alice, "before")?);
    flush(&mut stack)?;
    let deadline = Instant::now() + TIMEOUT;
    while is_reached(&alice, "after")? {
        assert!(Instant::now() < deadline, "it was flushed");
    }
    Ok(())
}

#[test]
fn somebody_elses_port_file_keeps_no_windowgram_client_from_starting() -> Result<()> {
    const SOMEBODY: u32 = 54321;
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    fs::write(bob.wgfile(), "1\n")?;
    // The user's own file does: another one may be running.
    let mut command = bob.command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]);
    let refused = run(command, TIMEOUT)?;
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("windowgram file already exists"), "{refused}");
    if chown(bob.wgfile(), Some(SOMEBODY), None).is_err() {
        eprintln!("passed over: only root can make a file somebody else's");
        return Ok(());
    }
    let mut zwgc = bob.zwgc(&[])?;
    alice.send(&["bob", "-m", "hello"])?;
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "hello")?;
    let warning = format!("{} belongs to uid {SOMEBODY}: other programs will not find", bob.wgfile().display());
    zwgc.wait_for(TIMEOUT, |line| line.contains(&warning))?;
    let error = zephyr_client::windowgram_port::read(&bob.wgfile()).unwrap_err();
    assert!(error.to_string().contains("belongs to uid 54321"), "{error}");
    end(&mut zwgc)?;
    assert_eq!(fs::read_to_string(bob.wgfile())?, "1\n", "nothing of somebody else's is touched");
    Ok(())
}

fn end(zwgc: &mut Daemon) -> Result<()> {
    assert!(zwgc.stop(TIMEOUT)?.success());
    Ok(())
}
