//! The files of a user, as users have them: zwgc reads what is meant, says what it cannot read, and receives all the rest.

use anyhow::Result;
use std::fs;
use zephyr_e2e::{person::TIMEOUT, stack::Stack};
use zephyr_testkit::realm::{Engine, RealmOptions};

#[test]
fn a_bad_line_costs_itself_alone_and_is_named() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let long = "x".repeat(900);
    let lines = [
        "\u{feff}first,*,*\r",
        ",*,*",
        "half",
        &format!("{},*,*", "y".repeat(9000)),
        &format!("{long},*,*"),
        "\tsecond,*,*",
        "third,*,* \r",
        "message,*,%me%",
    ];
    fs::write(bob.home().join(".zephyr.subs"), lines.join("\n"))?;
    fs::write(bob.home().join(".zephyr.vars"), "\u{feff}exposure realm-visible\r\nexposure = net-announced\r\n")?;
    let zwgc = bob.zwgc_by_its_files(&bob.recipient())?;
    for class in ["first", "second", "third"] {
        let message = format!("to the {class}");
        alice.send(&["-c", class, "-m", &message])?;
        zwgc.wait_for(TIMEOUT, |line| line.trim() == message)?;
    }
    let said = zwgc.transcript().text();
    for line in [
        format!("zwgc: line 2 of {}/.zephyr.subs is skipped: a subscription needs a class", bob.home().display()),
        format!(
            "zwgc: line 3 of {}/.zephyr.subs is skipped: class,instance,recipient is expected",
            bob.home().display()
        ),
        format!("zwgc: line 4 of {}/.zephyr.subs is skipped: it is too long for a packet", bob.home().display()),
        format!("zwgc: {}/.zephyr.vars:1: expected NAME = VALUE", bob.home().display()),
        format!("zwgc: not all of the subscriptions: {}...,*,* is too long to be sent", "x".repeat(32)),
    ] {
        assert!(said.lines().any(|said| said.starts_with(&line)), "{line}:\n{said}");
    }
    Ok(())
}

#[test]
fn what_is_no_file_keeps_nobody_from_his_messages() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    fs::create_dir(bob.home().join(".zephyr.subs"))?;
    fs::create_dir(bob.home().join(".zephyr.vars"))?;
    let zwgc = bob.zwgc_by_its_files(&bob.recipient())?;
    alice.send(&["bob", "-m", "still there?"])?;
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "still there?")?;
    let said = zwgc.transcript().text();
    let home = bob.home().display();
    for line in [
        format!("zwgc: error while opening {home}/.zephyr.subs for reading: this is a directory, not a file"),
        "zwgc: subscribing to the server's default subscriptions alone.".to_owned(),
        format!("zwgc: {home}/.zephyr.vars: this is a directory, not a file"),
    ] {
        assert!(said.lines().any(|said| said == line), "{line}:\n{said}");
    }
    // zwrite says so, and sends.
    let sent = bob.zwrite(&["-c", "talk", "-m", "x"])?;
    assert!(sent.stderr.contains(&format!("zwrite: {home}/.zephyr.vars: this is a directory, not a file\n")), "{sent}");
    Ok(())
}
