//! Credential caches of every type, with tickets of every origin.

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, chown, geteuid};
use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};
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

/// Somebody leaves a cache where another person's programs look for one: what that person sends would be said by him. The
/// library asks nobody whose a cache is.
#[test]
fn a_cache_of_somebody_else_speaks_for_nobody() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let realm = stack.realm()?;
    let folder = realm.folder().join("everybodys");
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o1777))?;
    let planted = folder.join("krb5cc");
    let cache = format!("FILE:{}", planted.display());
    realm.kinit(&realm.user("carol")?.with_cache(&cache), None)?;
    let listener = stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    let victim = stack.person("alice")?.with_variable("KRB5CCNAME", &cache);
    let refused = |why: &str, reason: &str| -> Result<()> {
        let output = victim.zwrite(&["bob", "-m", why])?;
        assert_eq!(output.status.code(), Some(1), "{why}: {output}");
        assert!(output.stderr.contains(reason) && output.stderr.contains("KRB5CCNAME"), "{why}: {output}");
        Ok(())
    };

    // With nothing wrong, whose tickets these are is who speaks.
    victim.send(&["bob", "-m", "my own cache"])?;
    assert_eq!(listener.expect("my own cache", Origin::Authentic)?.sender, "carol@ZEPHYR.TEST");

    fs::set_permissions(&planted, Permissions::from_mode(0o606))?;
    refused("anybody can write to it", "can be written to by others")?;
    fs::set_permissions(&planted, Permissions::from_mode(0o600))?;
    fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
    refused("anybody can exchange it", "can put another file in its place")?;
    fs::set_permissions(&folder, Permissions::from_mode(0o1777))?;
    if geteuid().is_root() {
        belongs_to_another(&planted)?;
        refused("it belongs to another", "belongs to")?;
        // In the victim's own folder it is a link to it.
        let link = victim.home().join("link");
        symlink(&planted, &link)?;
        let linked = victim.clone().with_variable("KRB5CCNAME", &format!("FILE:{}", link.display()));
        assert_eq!(linked.zwrite(&["bob", "-m", "by a link"])?.status.code(), Some(1));
        // A link of somebody else's chooses among the files that are one's own.
        chown(&planted, Some(geteuid()), None)?;
        linked.send(&["bob", "-m", "by my own link"])?;
        std::os::unix::fs::lchown(&link, Some(NOBODY), None)?;
        assert_eq!(linked.zwrite(&["bob", "-m", "by his link"])?.status.code(), Some(1));
        listener.expect("by my own link", Origin::Authentic)?;
    }

    // A folder of caches, of which another file says which is meant.
    let folder = realm.folder().join("caches");
    fs::create_dir(&folder)?;
    let cache = format!("DIR:{}", folder.display());
    realm.kinit(&realm.user("carol")?.with_cache(&cache), None)?;
    let victim = stack.person("alice")?.with_variable("KRB5CCNAME", &cache);
    victim.send(&["bob", "-m", "my own folder"])?;
    fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
    assert_eq!(victim.zwrite(&["bob", "-m", "everybody's folder"])?.status.code(), Some(1));
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    victim.send(&["bob", "-m", "my own again"])?;
    listener.expect("my own again", Origin::Authentic)?;
    let bodies: Vec<String> = listener.all().iter().map(|received| received.message()).collect();
    let controls = ["my own cache", "by my own link", "my own folder", "my own again"];
    assert!(bodies.iter().all(|body| controls.contains(&body.as_str())), "{bodies:?}");
    Ok(())
}

const NOBODY: u32 = 65_534;

fn belongs_to_another(path: &Path) -> Result<()> {
    let nobody = Uid::from_raw(NOBODY);
    User::from_uid(nobody)?.context("no user 65534 here")?;
    Ok(chown(path, Some(nobody), None)?)
}

/// Whoever can change the server's keys says who is proven: the server does not start with them.
#[test]
fn a_keytab_that_others_can_change_proves_nothing() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let keytab = stack.realm()?.service_keytab();
    stack.zephyrd().stop(zephyr_e2e::person::TIMEOUT)?;
    fs::set_permissions(&keytab, Permissions::from_mode(0o666))?;
    let refused = stack.restart_zephyrd().err().context("it started")?;
    assert!(format!("{refused:#}").contains("can be written to by others"), "{refused:#}");
    fs::set_permissions(&keytab, Permissions::from_mode(0o644))?;
    stack.restart_zephyrd()?;
    stack
        .zephyrd()
        .wait_for(zephyr_e2e::person::TIMEOUT, |line| line.contains("every user of this machine can read"))
        .map(drop)
}
