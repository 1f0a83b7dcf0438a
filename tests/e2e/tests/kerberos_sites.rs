//! Kerberos as sites have it: clock skew, new service keys, old enctypes, and tickets that another program renews.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::{fs, time::Duration};
use zephyr_e2e::{
    listener::Origin,
    person::{Person, TIMEOUT},
    stack::{READY, Stack},
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    packages,
    process::Daemon,
    realm::{Engine, Keys, RealmOptions},
};

/// Whether what these tests need is there; says what is not.
fn can_be_tested() -> Result<bool> {
    let Some(line) = packages::install_line(&packages::missing(packages::SITES)) else { return Ok(true) };
    anyhow::ensure!(std::env::var("CI").is_err(), "packages are missing: {line}");
    eprintln!("skipped: {line}");
    Ok(false)
}

/// The same person at a machine whose clock is off.
fn with_clock(person: Person, offset: &str) -> Result<Person> {
    let library = packages::find_file("libfaketime").context("no libfaketime")?;
    Ok(person
        .with_variable("LD_PRELOAD", &library.display().to_string())
        .with_variable("FAKETIME", offset)
        .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

/// Four minutes are forgiven, six are not; unless the library has seen at kinit what the KDC's clock says.
#[test]
fn clocks_that_are_wrong() -> Result<()> {
    if !can_be_tested()? {
        return Ok(());
    }
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let realm = stack.realm()?;
    let listener = stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    let alice = stack.login("alice")?;
    realm.fetch_service_ticket(&realm.user("alice")?)?;
    with_clock(alice.clone(), "+4m")?.send(&["bob", "-m", "ahead"])?;
    listener.expect("ahead", Origin::Authentic)?;
    // What a clock that is behind makes now is from before the server started: it may be a repetition.
    with_clock(alice.clone(), "-4m")?.send(&["bob", "-m", "behind"])?;
    let received = listener.receive("behind")?;
    assert_ne!(received.origin, Origin::Authentic);
    for offset in ["+6m", "-6m"] {
        with_clock(alice.clone(), offset)?.send(&["bob", "-m", offset])?;
        let received = listener.receive(offset)?;
        assert_ne!(received.origin, Origin::Authentic, "{offset}");
    }
    for offset in ["+6m", "-6m", "+3h"] {
        let carol = with_clock(stack.person("carol")?, offset)?;
        let mut kinit = carol.command("kinit");
        kinit.arg("-k").arg("-t").arg(realm.keytab("carol")).arg("carol");
        zephyr_testkit::process::run(kinit, TIMEOUT)?.success()?;
        // The KDC tells the time in whole seconds: what is made in the second of the server's start may be from before it.
        let mut number = 0;
        wait_until(&format!("corrected from {offset}"), TIMEOUT, || {
            number += 1;
            let text = format!("corrected from {offset}, {number}");
            carol.send(&["bob", "-m", &text])?;
            Ok((listener.receive(&text)?.origin == Origin::Authentic).then_some(()))
        })?;
    }
    Ok(())
}

/// The service gets a new key while everybody goes on talking; nothing is lost, and nothing is unproven.
#[test]
fn a_new_key_for_the_service() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let realm = stack.realm()?;
    let keytab = realm.service_keytab().display().to_string();
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    let mut number = 0;
    let mut talk = |sender: &Person| -> Result<()> {
        for _ in 0..5 {
            number += 1;
            sender.send(&["bob", "-m", &format!("number {number}")])?;
        }
        Ok(())
    };
    talk(&alice)?;
    // From now on there are two versions in the keytab.
    realm.kadmin(&format!("ktadd -k {keytab} zephyr/zephyr"))?;
    talk(&alice)?;
    let carol = stack.login("carol")?;
    talk(&carol)?;
    talk(&alice)?;
    let fresh = stack.login("alice")?;
    talk(&fresh)?;
    // Once the tickets of before have ended, the old version goes.
    realm.kadmin(&format!("ktremove -k {keytab} zephyr/zephyr old"))?;
    talk(&fresh)?;
    talk(&carol)?;
    listener.receive("number 35")?;
    let received: Vec<_> = listener.all().iter().map(|received| (received.message(), received.origin)).collect();
    let expected: Vec<_> = (1..=35).map(|number| (format!("number {number}"), Origin::Authentic)).collect();
    assert_eq!(received, expected);

    // Bob has a ticket of before: what is delivered to him is proven as before, what he sends is not believed any more.
    bob.send(&["bob", "-m", "from the past"])?;
    let received = listener.receive("from the past")?;
    assert_ne!(received.origin, Origin::Authentic);
    Ok(())
}

#[test]
fn rc4_is_refused_unless_asked_for() -> Result<()> {
    let options = RealmOptions {
        keys: Keys::These(["aes256-cts-hmac-sha1-96", "arcfour-hmac"].map(str::to_owned).to_vec()),
        weak: true,
        ..RealmOptions::default()
    };
    let mut stack = Stack::start(Engine::Native, options)?;
    let bob = stack.login("bob")?;
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    let realm = stack.realm()?;
    realm.kadmin("setstr zephyr/zephyr session_enctypes arcfour-hmac")?;
    realm.add_settings(
        "wanted",
        "[libdefaults]\ndefault_tgs_enctypes = arcfour-hmac aes\npermitted_enctypes = arcfour-hmac aes\n",
    )?;
    let alice = stack.login("alice")?;
    alice.send(&["bob", "-m", "with RC4"])?;
    let tickets = realm.user("alice")?.tickets()?;
    assert!(tickets.contains("arcfour-hmac"), "{tickets}");
    let received = listener.receive("with RC4")?;
    assert_ne!(received.origin, Origin::Authentic);

    let policy = "[domain.\"ZEPHYR.TEST\"]\nenctypes = [\"aes256-cts\", \"arcfour-hmac\"]\n";
    fs::write(stack.config().join("policy.toml"), policy)?;
    stack.zephyrd().signal(Signal::SIGHUP)?;
    let mut number = 0;
    wait_until("RC4 is taken after a reload", TIMEOUT, || {
        number += 1;
        let text = format!("with RC4, {number}");
        alice.send(&["bob", "-m", &text])?;
        Ok((listener.receive(&text)?.origin == Origin::Authentic).then_some(()))
    })
}

/// `k5start` gets the tickets, keeps them fresh, and runs the program that needs them: a server, and somebody's
/// listener.
#[test]
fn under_k5start() -> Result<()> {
    if !can_be_tested()? {
        return Ok(());
    }
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    stack.zephyrd().stop(TIMEOUT)?;
    let (folder, server, config) = (stack.realm()?.folder().to_owned(), stack.server(), stack.config());

    let mut command = stack.realm()?.command("k5start");
    command.args(["-q", "-K", "1", "-f"]).arg(stack.realm()?.service_keytab());
    command.arg("-k").arg(folder.join("zephyrd.tkt")).arg("zephyr/zephyr").arg("--").arg(bins::path("zephyrd")?);
    command.args(["-n", "--hostname", "localhost", "--listen", &server.to_string()]);
    command.arg("--config-dir").arg(config).arg("--keytab").arg(stack.realm()?.service_keytab());
    let mut zephyrd = Daemon::spawn(command, folder.join("k5start-zephyrd.log"))?;
    zephyrd.wait_for(TIMEOUT, |line| line.contains(READY))?;
    assert!(folder.join("zephyrd.tkt").exists());

    let bob = stack.person("bob")?;
    let mut command = bob.command("k5start");
    command.args(["-q", "-K", "1", "-f"]).arg(stack.realm()?.keytab("bob"));
    command.arg("-k").arg(bob.home().join("k5start.tkt")).arg("bob").arg("--");
    command.arg(bins::path("e2e-listener")?).args(["MESSAGE", "*", "bob"]);
    let mut listener = Daemon::spawn(command, bob.home().join("k5start-listener.log"))?;
    listener.wait_for(TIMEOUT, |line| line.contains("subscribed"))?;

    let alice = stack.login("alice")?;
    alice.send(&["bob", "-m", "to a daemon"])?;
    let is_received = |line: &str| line.starts_with("authentic\talice@ZEPHYR.TEST\t");
    listener.wait_for(TIMEOUT, is_received)?;
    for daemon in [&mut listener, &mut zephyrd] {
        daemon.signal(Signal::SIGTERM)?;
        daemon.wait_for_end(Duration::from_secs(20))?;
    }
    Ok(())
}
