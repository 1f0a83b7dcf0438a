//! Clean shutdown of every program, with nothing left behind.

use anyhow::Result;
use nix::sys::signal::Signal;
use std::{fs, os::unix::process::ExitStatusExt as _};
use zephyr_e2e::{person::TIMEOUT, stack::Stack};
use zephyr_testkit::{
    process::{self, Daemon},
    realm::{Engine, RealmOptions},
};

fn end(daemon: &mut Daemon, signal: Signal) -> Result<()> {
    daemon.signal(signal)?;
    let status = daemon.wait_for_end(TIMEOUT)?;
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", daemon.transcript().text());
    Ok(())
}

#[test]
fn zwgc_takes_its_port_file_with_it() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut zwgc = bob.zwgc(&[])?;
        assert!(bob.wgfile().exists());
        // `timeout` signals twice, and a log-out may.
        zwgc.signal(signal)?;
        zwgc.signal(signal)?;
        zwgc.wait_for_end(TIMEOUT)?;
        assert!(!bob.wgfile().exists(), "{signal}");
        // It has also told the server.
        let lost = alice.zwrite(&["bob", "-m", "gone?"])?;
        assert_eq!(lost.stderr, "bob: Not logged in or not subscribing to messages\n", "{signal}: {lost}");
    }
    Ok(())
}

#[test]
fn daemons_end_with_success() -> Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
        let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
        let _listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
        alice.send(&["bob", "-m", "hello"])?;
        end(stack.zephyrd(), signal)?;
        if signal == Signal::SIGTERM {
            end(stack.zhm(), signal)?;
        }
    }
    Ok(())
}

#[test]
fn zhm_ends_while_its_server_is_away() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    end(stack.zephyrd(), Signal::SIGTERM)?;
    end(stack.zhm(), Signal::SIGTERM)
}

#[test]
fn nothing_is_left_of_a_stack() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let bob = stack.login("bob")?;
    let zwgc = bob.zwgc(&[])?;
    let places = [stack.config(), bob.home().to_owned()];
    let numbers = [stack.zephyrd().pid(), stack.zhm().pid(), stack.realm()?.kdc().pid(), zwgc.pid()];
    assert!(numbers.iter().all(|&number| process::exists(number)) && places.iter().all(|place| place.exists()));
    drop(zwgc);
    drop(stack);
    assert!(!numbers.iter().any(|&number| process::exists(number)));
    assert!(!places.iter().any(|place| fs::exists(place).unwrap_or(true)));
    Ok(())
}

#[test]
fn a_host_manager_finds_a_server_that_comes_back() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let alice = stack.login("alice")?;
    end(stack.zephyrd(), Signal::SIGTERM)?;
    // What is written meanwhile waits for the server.
    let alice_writes = alice.clone();
    let waiting = std::thread::spawn(move || alice_writes.zwrite(&["bob", "-m", "later"]));
    stack.restart_zephyrd()?;
    let outcome = waiting.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    assert_eq!(outcome.stderr, "bob: Not logged in or not subscribing to messages\n", "{outcome}");
    let bob = stack.login("bob")?;
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob", "-m", "now"])?;
    listener.receive("now")?;
    Ok(())
}
