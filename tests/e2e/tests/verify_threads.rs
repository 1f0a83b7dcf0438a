//! A server whose authenticators are verified by threads of their own, on a real KDC: what people see is the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::Result;
use std::fs;
use zephyr_e2e::{
    listener::Origin,
    middle::{Way, contains, unchanged},
    stack::Stack,
};
use zephyr_testkit::realm::{Engine, Realm, RealmOptions};

const THREADS: usize = 3;
const CLASS: &str = "threads";

fn stack() -> Result<Stack> {
    let config = tempfile::tempdir()?;
    fs::write(config.path().join("zephyr.toml"), format!("[zephyrd]\nverify-threads = {THREADS}\n"))?;
    Stack::configured(config.path(), Some(Realm::start_on(Engine::Native, RealmOptions::default())?))
}

#[test]
fn threads_verify_what_people_send() -> Result<()> {
    let mut stack = stack()?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let bobs = bob.listen(&[(CLASS, "*", "*")])?;

    alice.send(&["-c", CLASS, "-m", "proven"])?;
    bobs.expect("proven", Origin::Authentic)?;
    alice.send(&["-d", "-c", CLASS, "-m", "not proven"])?;
    bobs.expect("not proven", Origin::Unauthenticated)?;

    // Many at a time, of one host: each once, and in order.
    let texts: Vec<String> = (0..40).map(|number| format!("number {number}")).collect();
    for text in &texts {
        alice.send(&["-c", CLASS, "-m", text])?;
    }
    for text in &texts {
        bobs.expect(text, Origin::Authentic)?;
    }
    alice.send(&["-c", CLASS, "-m", &"long ".repeat(1000)])?;
    bobs.expect(&"long ".repeat(1000), Origin::Authentic)?;

    stack.middle()?.change(|way, packet: &mut Vec<u8>| {
        if way == Way::ToServer && contains(packet, b"changed") {
            let at = packet.windows(7).position(|window| window == b"changed").unwrap();
            packet[at] = b'C';
        }
        true
    });
    alice.send(&["-c", CLASS, "-m", "changed"])?;
    bobs.expect("Changed", Origin::Unauthenticated)?;
    stack.middle()?.change(unchanged);

    let tasks = format!("/proc/{}/task", stack.zephyrd().pid());
    let names = fs::read_dir(tasks)?.map(|task| Ok(fs::read_to_string(task?.path().join("comm"))?));
    let verifiers = names.filter(|name: &Result<String>| name.as_ref().is_ok_and(|name| name.starts_with("verify")));
    assert_eq!(verifiers.count(), THREADS);
    Ok(())
}
