//! Debian's C programs in a domain that requires proof: they are refused by our server, and take no harm from its
//! refusals.

use anyhow::Result;
use std::fs;
use zephyr_e2e::{
    person::{Make, Person, TIMEOUT},
    stack::READY,
};
use zephyr_testkit::{
    bins,
    reference::{self, LabOptions, SERVER_PORT},
};

#[test]
fn c_programs_are_refused_without_proof_and_served_with_it() -> Result<()> {
    let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "[domain.\"*\"]\nsend = \"required\"\nlocate = \"required\"\nfailed-proof = \"refuse\"\n")?;
    let mut command = lab.command(bins::path("zephyrd")?);
    command.arg("-n").env("ZEPHYR_POLICY", &policy);
    let zephyrd = lab.spawn_at_port("zephyrd", command, SERVER_PORT)?;
    zephyrd.wait_for(TIMEOUT, |line| line.contains(READY))?;
    let _zhm = lab.start_c_zhm()?;

    let person = |name| -> Result<Person> { Ok(Person::of_realm(lab.user(name)?, Vec::new()).with(Make::C)) };
    let (alice, bob) = (person("alice")?, person("bob")?);
    let zwgc = bob.zwgc(&[("news", "*", "*"), ("message", "personal", "%me%")])?;
    let mark = zwgc.transcript().mark();
    let sent = alice.send(&["bob", "-m", "with-proof"])?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n", "{sent}");
    zwgc.wait_after(mark, TIMEOUT, |line| line.trim() == "with-proof")?;

    let refused = alice.zwrite(&["-d", "bob", "-m", "without-proof"])?;
    let said = "Message queued for bob... Received authorization failure while sending to bob\n";
    assert_eq!((refused.stdout.as_str(), refused.stderr.as_str()), (said, ""), "{refused}");
    zephyrd.wait_for(TIMEOUT, |line| line.contains("unauthenticated  message purportedly from alice@"))?;
    // Its host manager goes on, and so does everybody else.
    alice.send(&["bob", "-m", "after-all"])?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.trim() == "after-all")?;
    assert!(!zwgc.transcript().text().contains("without-proof"));
    Ok(())
}
