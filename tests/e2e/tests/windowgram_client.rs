//! What others may do to a user's zwgc without being the user.

use anyhow::Result;
use nix::sys::signal::Signal;
use std::{fs, net::UdpSocket, os::unix::fs::chown, time::Instant};
use zephyr_client::windowgram_port;
use zephyr_e2e::{
    person::{Person, TIMEOUT},
    stack::Stack,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{Daemon, Output, run},
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
    zwgc.wait_after(mark, TIMEOUT, |line| line.starts_with("zwgc: the server had forgotten you: subscribed again."))?;
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
    if chown(bob.wgfile(), Some(SOMEBODY), None).is_err() {
        eprintln!("passed over: only root can make a file somebody else's");
        return Ok(());
    }
    let mut zwgc = bob.zwgc(&[])?;
    alice.send(&["bob", "-m", "hello"])?;
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "hello")?;
    let warning = format!("{} belongs to uid {SOMEBODY}: other programs will not find", bob.wgfile().display());
    zwgc.wait_for(TIMEOUT, |line| line.contains(&warning))?;
    let error = windowgram_port::read(&bob.wgfile()).unwrap_err();
    assert!(error.to_string().contains("belongs to uid 54321"), "{error}");
    end(&mut zwgc)?;
    assert_eq!(fs::read_to_string(bob.wgfile())?, "1\n", "nothing of somebody else's is touched");
    Ok(())
}

/// A second zwgc of the same user: it asks the first one.
fn second_zwgc(bob: &Person, options: &[&str]) -> Result<Output> {
    let mut command = bob.command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]).args(options);
    run(command, TIMEOUT)
}

#[test]
fn a_second_windowgram_client_ends_without_a_word_unless_asked() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc(&[])?;
    let silent = second_zwgc(&bob, &[])?;
    assert_eq!((silent.status.code(), silent.stdout.as_str(), silent.stderr.as_str()), (Some(1), "", ""));
    let asked = second_zwgc(&bob, &["-debug"])?;
    let file = bob.wgfile();
    let expected = format!(
        "zwgc: windowgram file already exists.  If you are\nzwgc: not already running zwgc, delete {}\nzwgc: and try again.\nzwgc: One runs, on port {}: end that one first.\n",
        file.display(),
        u16::from_be(std::fs::read_to_string(&file)?.trim().parse()?)
    );
    assert_eq!((asked.status.code(), asked.stderr.as_str()), (Some(1), expected.as_str()));
    // Who types it waits for an answer, and is told.
    let mut command = bob.command("script");
    command.args(["-qec", &format!("'{}' -ttymode", bins::path("zwgc")?.display()), "/dev/null"]);
    let typed = run(command, TIMEOUT)?;
    assert!(typed.stdout.contains("windowgram file already exists"), "{typed}");
    // The first one has not noticed, and is there.
    alice.send(&["bob", "-m", "hello"])?;
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "hello")?;
    assert!(!zwgc.transcript().text().contains("not showing"), "{}", zwgc.transcript().text());
    Ok(())
}

/// What is left when it is killed, when the machine has lost its power, and when there was no room for the number.
#[test]
fn what_is_left_in_a_port_file_keeps_nobody_from_starting() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let mut zwgc = bob.zwgc(&[])?;
    zwgc.signal(Signal::SIGKILL)?;
    zwgc.wait_for_end(TIMEOUT)?;
    let left = fs::read_to_string(bob.wgfile())?;
    // Of another program, which does not answer.
    let other = UdpSocket::bind((stack.network().here(), 0))?;
    let of_another = format!("{}\n", other.local_addr()?.port().to_be());
    for left in [left.as_str(), "", "12", "\0\0\0\0", &of_another] {
        fs::write(bob.wgfile(), left)?;
        let mut zwgc = bob.zwgc(&[])?;
        let said =
            format!("zwgc: {} was left by a windowgram client that does not run any more", bob.wgfile().display());
        zwgc.wait_for(TIMEOUT, |line| line.starts_with(&said))?;
        let port = windowgram_port::read(&bob.wgfile())?;
        assert!(format!("{}\n", port.to_be()) != left, "{left:?}");
        // The server may still count the one that was killed as somebody who has received it.
        wait_until("it is reached", TIMEOUT, || {
            alice.zwrite(&["bob", "-m", "hello"])?;
            Ok(zwgc.transcript().text().contains("hello").then_some(()))
        })?;
        end(&mut zwgc)?;
        assert!(!bob.wgfile().exists());
    }
    // What it cannot write, and what is not a port file at all.
    fs::create_dir(bob.wgfile())?;
    let mut zwgc = bob.zwgc(&[])?;
    zwgc.wait_for(TIMEOUT, |line| {
        line.contains("no file with a port, so it is left alone: other programs will not find")
    })?;
    end(&mut zwgc)?;
    Ok(())
}

/// As cron and bots write.
#[test]
fn what_is_written_without_a_locale_is_shown_as_it_was_written() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?.with_variable("LC_ALL", "C"), stack.login("bob")?);
    let zwgc = bob.zwgc(&[])?;
    alice.send(&["bob", "-s", "Jürgen", "-m", "Grüße, 世界"])?;
    zwgc.wait_for(TIMEOUT, |line| line == "  Grüße, 世界")?;
    zwgc.wait_for(TIMEOUT, |line| line.ends_with(" (Jürgen)"))?;
    // The label that C programs give without a locale.
    alice.send(&["bob", "-x", "iso-8859-1", "-m", "Grüße, auch von C"])?;
    zwgc.wait_for(TIMEOUT, |line| line == "  Grüße, auch von C")?;
    Ok(())
}

fn end(zwgc: &mut Daemon) -> Result<()> {
    assert!(zwgc.stop(TIMEOUT)?.success());
    Ok(())
}
