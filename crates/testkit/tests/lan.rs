//! Tests of a local network of several machines: they reach each other and their KDC unless they are cut off, and nothing of it
//! stays behind.

use anyhow::Result;
use std::{fs, time::Duration};
use zephyr_testkit::{
    deadline::wait_until,
    process::run,
    realm::RealmOptions,
    reference::{self, Host, Lan},
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Whether one machine reaches the other: that refuses a connection at once, as nothing listens there. Who is cut off hears
/// nothing at all.
fn reaches(from: &Host, to: &Host) -> Result<bool> {
    let mut command = from.namespace().command("timeout");
    let connect = format!("exec 3<>/dev/tcp/{}/9", to.address());
    command.args(["1", "bash", "-c", &connect]);
    let tried = run(command, TIMEOUT)?;
    assert!(matches!(tried.status.code(), Some(1 | 124)), "{tried}");
    Ok(tried.stderr.contains("refused"))
}

#[test]
fn machines_reach_each_other_unless_they_are_cut_off() -> Result<()> {
    if reference::is_skipped()? {
        return Ok(());
    }
    let names = ["one.a.test", "two.a.test", "three.b.test"];
    let lan = Lan::new(&names)?;
    let hosts = names.map(|name| lan.host(name));
    let [one, two, three] = &hosts;
    let (Ok(one), Ok(two), Ok(three)) = (one, two, three) else { panic!("{hosts:?}") };
    let reach = |wanted: [bool; 3], when: &str| -> Result<()> {
        for (pair, wanted) in [(one, two), (one, three), (two, three)].into_iter().zip(wanted) {
            let name = format!("{when}: from {} to {}", pair.0.name(), pair.1.name());
            // A machine that was just plugged in may need a moment to be found.
            wait_until(&name, TIMEOUT, || Ok((reaches(pair.0, pair.1)? == wanted).then_some(())))?;
            wait_until(&name, TIMEOUT, || Ok((reaches(pair.1, pair.0)? == wanted).then_some(())))?;
        }
        Ok(())
    };
    reach([true, true, true], "at first")?;
    one.unplug()?;
    reach([false, false, true], "unplugged")?;
    one.plug_in()?;
    reach([true, true, true], "plugged in")?;
    one.part_from(two)?;
    reach([false, true, true], "parted")?;
    one.meet(two)?;
    reach([true, true, true], "met")?;

    // Each has its own name, and knows those of the others.
    for host in [one, two, three] {
        let mut name = host.namespace().command("hostname");
        name.arg("-f");
        assert_eq!(run(name, TIMEOUT)?.success()?.stdout.trim(), host.name());
    }
    let mut getent = three.namespace().command("getent");
    getent.args(["hosts", "two.a.test"]);
    assert!(run(getent, TIMEOUT)?.stdout.contains(&two.address().to_string()));
    assert!(lan.host("four.a.test").is_err());
    Ok(())
}

#[test]
fn realms_that_trust_each_other_are_reached_from_everywhere() -> Result<()> {
    if reference::is_skipped()? {
        return Ok(());
    }
    let lan = Lan::new(&["one.a.test", "two.b.test"])?;
    let options = |name: &str| RealmOptions { realm: name.to_owned(), ..RealmOptions::default() };
    let (a, b) = (lan.realm(&options("A.TEST"))?, lan.realm(&options("B.TEST"))?);
    lan.introduce(&a, &b)?;
    let (one, two) = (lan.host("one.a.test")?, lan.host("two.b.test")?);
    for (host, realm, other) in [(&one, &a, &b), (&two, &b, &a)] {
        let user = host.login(realm, "alice")?;
        let mut kvno = user.command("kvno");
        kvno.arg(other.service());
        run(kvno, TIMEOUT)?.success()?;
    }
    Ok(())
}

#[test]
fn everything_ends_with_its_machine() -> Result<()> {
    if reference::is_skipped()? {
        return Ok(());
    }
    let lan = Lan::new(&["one.a.test"])?;
    let host = lan.host("one.a.test")?;
    let mut frozen = host.namespace().command("sh");
    frozen.args(["-c", "kill -STOP $$"]);
    let frozen = zephyr_testkit::process::Daemon::spawn(frozen, host.folder().join("frozen.log"))?;
    // It has to get in first.
    let (inside, folder) = (
        wait_until("the frozen process is inside", TIMEOUT, || {
            Ok(Some(host.namespace().processes()?).filter(|inside| inside.contains(&frozen.pid())))
        })?,
        host.folder().to_owned(),
    );
    std::mem::forget(frozen);
    drop(host);
    wait_until("all processes ended", TIMEOUT, || {
        // Those that nobody has waited for yet have no program any more.
        let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        Ok((!inside.iter().any(runs)).then_some(()))
    })?;
    assert!(!folder.exists());
    // The name is free again.
    lan.host("one.a.test").map(drop)
}
