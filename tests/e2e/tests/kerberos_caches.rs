//! Credential caches of every type, with tickets of every origin.

use anyhow::{Context, Result, bail};
use std::{env, time::Duration};
use zephyr_e2e::{listener::Origin, stack::Stack};
use zephyr_testkit::{
    heimdal::{self, Kcm},
    process,
    realm::{Engine, RealmOptions},
};

/// Says why something cannot be tested here; where nothing may be skipped, that is an error.
fn skip(what: &str, reason: &anyhow::Error) -> Result<()> {
    if env::var("CI").is_ok_and(|value| value == "true") {
        bail!("{what} cannot be tested here: {reason:#}");
    }
    eprintln!("skipped: {what} cannot be had here: {reason:#}");
    Ok(())
}

/// Alice, with tickets in this cache and nowhere else, subscribes and receives her own notice.
fn alice_receives_her_own(stack: &Stack, cache: &str) -> Result<()> {
    let user = stack.realm()?.user("alice")?.with_cache(cache);
    let alice = stack.person("alice")?.with_variable("KRB5CCNAME", cache);
    let listener = alice.listen(&[("MESSAGE", "*", "alice")])?;
    alice.send(&["alice", "-m", cache])?;
    let received = listener.expect(cache, Origin::Authentic)?;
    assert_eq!(received.sender, "alice@ZEPHYR.TEST");
    let tickets = user.tickets()?;
    let kind = cache.split(':').next().unwrap_or_default();
    assert!(tickets.starts_with(&format!("Ticket cache: {kind}:")), "{tickets}");
    assert!(tickets.contains("zephyr/zephyr@ZEPHYR.TEST"), "{tickets}");

    let gone = process::run(user.command("kdestroy"), Duration::from_secs(20))?.success();
    gone.context("the cache cannot be destroyed")?;
    let failed = alice.zwrite(&["alice", "-m", "without tickets"])?;
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    Ok(())
}

/// As [`alice_receives_her_own`], after getting her the tickets.
fn works_with(stack: &Stack, cache: &str) -> Result<()> {
    let realm = stack.realm()?;
    realm.kinit(&realm.user("alice")?.with_cache(cache), None)?;
    alice_receives_her_own(stack, cache)
}

#[test]
fn in_files_and_folders() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let folder = stack.realm()?.folder().display().to_string();
    works_with(&stack, &format!("FILE:{folder}/another-cache"))?;
    std::fs::create_dir(format!("{folder}/caches"))?;
    works_with(&stack, &format!("DIR:{folder}/caches"))?;
    works_with(&stack, &format!("DIR::{folder}/caches/tkt-of-alice"))
}

#[test]
fn in_the_kernels_keyrings() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    for kind in ["user", "session"] {
        let cache = format!("KEYRING:{kind}:zephyr-test-{}", std::process::id());
        let user = stack.realm()?.user("alice")?.with_cache(&cache);
        // Some containers forbid keyrings.
        match stack.realm()?.kinit(&user, None) {
            Ok(()) => alice_receives_her_own(&stack, &cache)?,
            Err(error) => skip(&cache, &error)?,
        }
    }
    Ok(())
}

#[test]
fn in_a_kcm_daemon() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let kcm = match Kcm::start(stack.realm()?.folder()) {
        Ok(kcm) => kcm,
        Err(error) => return skip("a KCM daemon", &error),
    };
    stack.realm()?.add_settings("kcm", &kcm.settings())?;
    works_with(&stack, "KCM:")
}

#[test]
fn made_by_heimdal() -> Result<()> {
    if heimdal::or_skip()?.is_none() {
        return Ok(());
    }
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let cache = format!("FILE:{}/made-by-heimdal", stack.realm()?.folder().display());
    stack.realm()?.kinit_by_heimdal(&stack.realm()?.user("alice")?.with_cache(&cache))?;
    alice_receives_her_own(&stack, &cache)
}

/// Everything on Heimdal's KDC: alice's tickets by MIT's command, bob's by Heimdal's.
#[test]
fn in_a_realm_of_heimdals() -> Result<()> {
    if heimdal::or_skip()?.is_none() {
        return Ok(());
    }
    let sha2 = ["aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha256-128"].map(str::to_owned).to_vec();
    for keys in [zephyr_testkit::realm::Keys::Default, zephyr_testkit::realm::Keys::These(sha2)] {
        let stack = Stack::start(Engine::Heimdal, RealmOptions { keys, ..RealmOptions::default() })?;
        let (alice, bob) = (stack.login("alice")?, stack.person("bob")?);
        stack.realm()?.kinit_by_heimdal(&stack.realm()?.user("bob")?)?;
        let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
        alice.send(&["bob", "-m", "to Heimdal's"])?;
        listener.expect("to Heimdal's", Origin::Authentic)?;
        bob.send(&["bob", "-m", "from Heimdal's"])?;
        listener.expect("from Heimdal's", Origin::Authentic)?;
    }
    Ok(())
}
