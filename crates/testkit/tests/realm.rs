//! Tests of realms: the KDC answers, tickets follow the options, and nothing stays behind.

use anyhow::Result;
use std::{fs, time::Duration};
use zephyr_testkit::{
    container,
    deadline::wait_until,
    heimdal, packages, process,
    realm::{Engine, Keys, Realm, RealmOptions},
};

fn native(options: RealmOptions) -> Result<Realm> {
    Realm::start_on(Engine::Native, options)
}

/// The size in octets of what alice's cache holds besides her ticket-granting ticket.
fn service_ticket_size(realm: &Realm) -> Result<u64> {
    let alice = realm.login("alice")?;
    let before = fs::metadata(alice.ccache())?.len();
    realm.fetch_service_ticket(&alice)?;
    Ok(fs::metadata(alice.ccache())?.len() - before)
}

/// Checks that a realm serves tickets and is removed when dropped.
fn serves_and_is_removed(engine: Engine) -> Result<()> {
    let realm = Realm::start_on(engine, RealmOptions { realm: "SMOKE.TEST".into(), ..Default::default() })?;
    assert_eq!(realm.engine(), engine);
    let alice = realm.login("alice")?;
    realm.fetch_service_ticket(&alice)?;
    let tickets = alice.tickets()?;
    assert!(tickets.contains("alice@SMOKE.TEST") && tickets.contains("zephyr/zephyr@SMOKE.TEST"), "{tickets}");
    assert!(alice.has_valid_ticket()? && !realm.user("bob")?.has_valid_ticket()?);

    // The service's keytab opens what the KDC issued.
    let mut check = realm.command("kvno");
    check.envs(alice.env()).arg("-k").arg(realm.service_keytab()).arg(realm.service());
    process::run(check, Duration::from_secs(10))?.success()?;

    let (folder, kdc) = (realm.folder().to_owned(), realm.kdc().pid());
    drop(realm);
    assert!(!folder.exists() && !process::exists(kdc));
    Ok(())
}

#[test]
fn a_native_realm_serves_and_is_removed() -> Result<()> {
    serves_and_is_removed(Engine::Native)
}

#[test]
fn a_contained_realm_serves_and_is_removed() -> Result<()> {
    if !container::engine_answers() {
        eprintln!("skipped: no Docker engine answers");
        return Ok(());
    }
    serves_and_is_removed(Engine::Container)?;
    let ours = format!("zephyr-kdc-{}-", std::process::id());
    wait_until("the container is removed", Duration::from_secs(20), || {
        let mut list = std::process::Command::new("docker");
        list.args(["ps", "--all", "--format", "{{.Names}}"]);
        let names = process::run(list, Duration::from_secs(10))?.success()?.stdout;
        Ok((!names.contains(&ours)).then_some(()))
    })
}

#[test]
fn the_database_of_a_contained_realm_can_be_changed() -> Result<()> {
    if !container::engine_answers() {
        eprintln!("skipped: no Docker engine answers");
        return Ok(());
    }
    changes_take_effect(&Realm::start_on(Engine::Container, RealmOptions::default())?)
}

#[test]
fn the_database_of_a_native_realm_can_be_changed() -> Result<()> {
    changes_take_effect(&native(RealmOptions::default())?)
}

fn changes_take_effect(realm: &Realm) -> Result<()> {
    let large = service_ticket_size(realm)?;
    realm.kadmin("modprinc +no_auth_data_required zephyr/zephyr")?;
    let small = service_ticket_size(realm)?;
    assert!(small < large, "{small} octets without, {large} with PAC");
    let nobody = realm.kadmin("modprinc -maxlife 5min nobody-at-all");
    assert!(nobody.is_err_and(|error| error.to_string().contains("nobody-at-all")));
    Ok(())
}

#[test]
fn a_pac_makes_tickets_larger() -> Result<()> {
    let with = native(RealmOptions::default())?;
    let without = native(RealmOptions { pac: false, ..Default::default() })?;
    let (large, small) = (service_ticket_size(&with)?, service_ticket_size(&without)?);
    // A PAC takes some 200 octets at least; names and ports account for no more than a few.
    assert!(large > small + 150, "{large} octets with, {small} without");
    Ok(())
}

#[test]
fn session_keys_follow_the_keys_of_the_realm() -> Result<()> {
    let sha2 = native(RealmOptions { keys: Keys::Sha2Only, ..Default::default() })?;
    let alice = sha2.login("alice")?;
    sha2.fetch_service_ticket(&alice)?;
    let tickets = alice.tickets()?;
    assert!(tickets.contains("aes256-cts-hmac-sha384-192") && !tickets.contains("sha1"), "{tickets}");

    let camellia = "camellia128-cts-cmac".to_owned();
    let rc4 = native(RealmOptions {
        keys: Keys::These(vec!["aes256-cts-hmac-sha1-96".into(), camellia]),
        session_enctypes: vec!["arcfour-hmac".into()],
        weak: true,
        ..Default::default()
    })?;
    rc4.add_settings("wanted", "[libdefaults]\n default_tgs_enctypes = rc4-hmac aes\n")?;
    let alice = rc4.login("alice")?;
    rc4.fetch_service_ticket(&alice)?;
    let tickets = alice.tickets()?;
    assert!(tickets.contains("arcfour-hmac"), "{tickets}");
    Ok(())
}

#[test]
fn tickets_end_when_they_should() -> Result<()> {
    let realm = native(RealmOptions { max_life: Duration::from_secs(2), ..Default::default() })?;
    let alice = realm.login("alice")?;
    let bob = realm.user("bob")?;
    realm.kinit(&bob, Some(Duration::from_secs(1)))?;
    for user in [&alice, &bob] {
        wait_until("the ticket ends", Duration::from_secs(20), || Ok((!user.has_valid_ticket()?).then_some(())))?;
    }
    Ok(())
}

#[test]
fn more_principals_have_keytabs_and_several_realms_can_run() -> Result<()> {
    let options = RealmOptions {
        realm: "ONE.TEST".into(),
        people: vec!["dora".into()],
        principals: vec!["host/zsrv.one.test".into()],
        ..Default::default()
    };
    let one = native(options.clone())?;
    let two = native(RealmOptions { realm: "TWO.TEST".into(), ..options })?;
    assert!(one.keytab("host/zsrv.one.test").is_file());
    for realm in [&one, &two] {
        assert_eq!(realm.login("dora")?.principal(), format!("dora@{}", realm.name()));
    }
    assert!(one.login("alice").is_err());
    Ok(())
}

#[test]
fn nothing_is_left_when_a_test_panics() -> Result<()> {
    let realm = native(RealmOptions::default())?;
    let (folder, kdc) = (realm.folder().to_owned(), realm.kdc().pid());
    let result = std::thread::spawn(move || {
        let _realm = realm;
        std::panic::resume_unwind(Box::new("a failing test"));
    })
    .join();
    assert!(result.is_err() && !folder.exists() && !process::exists(kdc));
    Ok(())
}

#[test]
fn what_these_tests_need_is_installed() {
    let missing = packages::missing(&[packages::KERBEROS_CLIENT, packages::KDC].concat());
    assert_eq!(packages::install_line(&missing), None);
}

/// A realm with Heimdal's KDC, and tickets by the commands of both: each library reads the other's.
#[test]
fn a_realm_of_heimdals() -> Result<()> {
    if heimdal::or_skip()?.is_none() {
        return Ok(());
    }
    serves_and_is_removed(Engine::Heimdal)?;
    let realm = Realm::start_on(Engine::Heimdal, RealmOptions { realm: "HEIMDAL.TEST".into(), ..Default::default() })?;
    let bob = realm.user("bob")?;
    realm.kinit_by_heimdal(&bob)?;
    realm.fetch_service_ticket(&bob)?;
    let tickets = bob.tickets()?;
    assert!(tickets.contains("bob@HEIMDAL.TEST") && tickets.contains("zephyr/zephyr@HEIMDAL.TEST"), "{tickets}");
    Ok(())
}
