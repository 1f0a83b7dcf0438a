//! Tests of the lab: the C programs run in it with authentication, and nothing stays behind.

use anyhow::Result;
use std::{fs, time::Duration};
use zephyr_testkit::{
    deadline::wait_until,
    process::{self, run},
    realm::RealmOptions,
    reference::{self, Lab, LabOptions},
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends a personal message with the C zwrite; gives its output.
fn zwrite(lab: &Lab, from: &str, to: &str, text: &str) -> Result<process::Output> {
    let mut zwrite = lab.as_user(from, "/usr/bin/zwrite")?;
    zwrite.args([to, "-m", text]);
    run(zwrite, TIMEOUT)
}

#[test]
fn a_c_zwrite_reaches_a_c_zwgc() -> Result<()> {
    let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(()) };
    let _zephyrd = lab.start_c_zephyrd()?;
    let _zhm = lab.start_c_zhm()?;
    let zwgc = lab.start_c_zwgc("alice")?;
    assert_eq!(zwgc.transcript().text(), "", "the ping is not shown");

    let sent = zwrite(&lab, "bob", "alice", "hello from bob")?.success()?;
    assert_eq!(sent.stdout, "Message queued for alice... sent\n");
    zwgc.wait_for(TIMEOUT, |line| line == "hello from bob")?;
    let shown = zwgc.transcript().text();
    assert!(shown.starts_with("Authentic Personal message at "), "{shown}");

    let lost = zwrite(&lab, "bob", "carol", "anybody there?")?;
    assert_eq!(lost.status.code(), Some(1), "{lost}");
    assert!(lost.stderr.contains("carol: Not logged in"), "{lost}");

    // The daemons log to the lab's syslog.
    assert!(lab.syslog().text().contains("Ready for action"));
    Ok(())
}

#[test]
fn a_pac_makes_the_c_zwrite_fail() -> Result<()> {
    let realm = RealmOptions { pac: true, ..LabOptions::default().realm };
    let Some(lab) = reference::or_skip(LabOptions { realm, ..LabOptions::default() })? else { return Ok(()) };
    let _zephyrd = lab.start_c_zephyrd()?;
    let _zhm = lab.start_c_zhm()?;
    let sent = zwrite(&lab, "bob", "alice", "too large")?;
    // Which of the two limits is met first depends on how many octets of the ticket need an escape.
    let complaints = ["header too large", "Field too long for buffer"];
    let complains = complaints.iter().any(|complaint| sent.stderr.contains(complaint));
    assert!(!sent.status.success() && complains, "{sent}");
    Ok(())
}

#[test]
fn everything_inside_ends_with_the_lab() -> Result<()> {
    let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(()) };
    // Not ours to stop: a grandchild that has left our session and ignores what it can.
    let mut escape = lab.command("setsid");
    escape.args(["sh", "-c", "trap '' TERM HUP; echo $$; while :; do sleep 1; done"]);
    let escaped = lab.spawn("escaped", escape)?;
    let pid: u32 = escaped.wait_for(TIMEOUT, |_| true)?.parse()?;
    std::mem::forget(escaped);
    assert!(lab.namespace().processes()?.contains(&pid));

    let (inside, folder) = (lab.namespace().processes()?, lab.folder().to_owned());
    drop(lab);
    wait_until("all processes ended", TIMEOUT, || {
        // Those that nobody has waited for yet have no program any more.
        let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        Ok((!inside.iter().any(runs)).then_some(()))
    })?;
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn labs_are_separate() -> Result<()> {
    let Some(one) = reference::or_skip(LabOptions::default())? else { return Ok(()) };
    let two = Lab::start(LabOptions {
        more_hosts: vec![([10, 77, 0, 2].into(), "zsrv2.athena.test".into())],
        ..LabOptions::default()
    })?;
    let _both = (one.start_c_zephyrd()?, two.start_c_zephyrd()?);
    let hosts = |lab: &Lab| -> Result<String> {
        let mut getent = lab.command("getent");
        getent.args(["hosts", "zsrv2.athena.test"]);
        Ok(run(getent, TIMEOUT)?.stdout)
    };
    assert!(hosts(&two)?.contains("10.77.0.2") && hosts(&one)?.is_empty());
    let mut name = one.command("hostname");
    name.arg("-f");
    assert_eq!(run(name, TIMEOUT)?.success()?.stdout.trim(), one.host_name());
    Ok(())
}
