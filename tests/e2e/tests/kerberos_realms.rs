//! Cross-realm authentication, by trusted and untrusted paths.

use anyhow::Result;
use std::fs;
use zephyr_e2e::{
    listener::{Listener, Origin},
    person::Person,
    stack::Stack,
};
use zephyr_testkit::{
    deadline::wait_until,
    realm::{Engine, Realm, RealmOptions},
};

const HOME: &str = "HOME.TEST";
const MIDDLE: &str = "MIDDLE.ORG";
const AWAY: &str = "AWAY.EDU";

fn realm(name: &str) -> RealmOptions {
    RealmOptions { realm: name.to_owned(), ..RealmOptions::default() }
}

/// Alice of `home`, who is set to use the servers of the stack.
fn visitor(home: &Realm, stack: &Stack) -> Result<Person> {
    // Her realm's settings say that this machine is at home; here it is a server of the other realm.
    let away = stack.realm()?;
    let settings = format!("[domain_realm]\n{} = {}\n{}", stack.server_name(), away.name(), away.whereabouts());
    home.add_settings("away", &settings)?;
    let environment = [
        ("ZEPHYR_HM", stack.host_manager().to_string()),
        ("ZEPHYR_ADDRESS", stack.network().here().to_string()),
        ("ZEPHYR_AUTH", "kerberos".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Ok(Person::of_realm(home.login("alice")?, environment))
}

#[test]
fn a_neighbour_is_believed() -> Result<()> {
    let home = Realm::start_on(Engine::Native, realm(HOME))?;
    let stack = Stack::start(Engine::Native, realm(AWAY))?;
    stack.realm()?.trust(&home)?;
    let alice = visitor(&home, &stack)?;
    let listener = stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob", "-m", "from far away"])?;
    let received = listener.expect("from far away", Origin::Authentic)?;
    assert_eq!(received.sender, "alice@HOME.TEST");

    // She is not this realm's alice, even if she says so.
    let claimed = alice.zwrite(&["-S", "alice@AWAY.EDU", "bob", "-m", "as another"])?;
    if claimed.status.success() {
        let received = listener.receive("as another")?;
        assert!(received.origin != Origin::Authentic || received.sender == "alice@HOME.TEST", "{received:?}");
    }
    Ok(())
}

/// Whoever comes from a trusted realm is proven, and nobody of ours: not in lists, not among operators, not for what only the
/// realm may see.
#[test]
fn a_neighbour_is_nobody_of_ours() -> Result<()> {
    let home = Realm::start_on(Engine::Native, realm(HOME))?;
    let mut stack = Stack::start(Engine::Native, realm(AWAY))?;
    stack.realm()?.trust(&home)?;
    let acl = stack.config().join("acl");
    fs::create_dir(&acl)?;
    let files = [
        ("class-registry.acl", "ours:\n"),
        ("xmt-ours.acl", "*@AWAY.EDU\n"),
        ("sub-ours.acl", "*@AWAY.EDU\n"),
        ("opstaff.acl", "alice@AWAY.EDU\n"),
    ];
    for (name, content) in files {
        fs::write(acl.join(name), content)?;
    }
    stack.zephyrd().stop(zephyr_e2e::person::TIMEOUT)?;
    stack.restart_zephyrd()?;
    let (visitor, alice, bob) = (visitor(&home, &stack)?, stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("ours", "*", "*"), ("MESSAGE", "*", "bob")])?;
    let ear = visitor.listen(&[
        ("everybodys", "*", "*"),
        ("ours", "*", "*"),
        ("MESSAGE", "*", "alice"),
        ("MESSAGE", "*", "alice@AWAY.EDU"),
    ])?;

    let refused = visitor.zwrite(&["-c", "ours", "-m", "among you"])?;
    assert_ne!(refused.status.code(), Some(0), "{refused}");
    alice.send(&["-c", "ours", "-m", "among us"])?;
    listener.expect("among us", Origin::Authentic)?;
    alice.send(&["bob", "-m", "the end"])?;
    listener.expect("the end", Origin::Authentic)?;
    visitor.send(&["bob", "-m", "as myself"])?;
    assert_eq!(listener.expect("as myself", Origin::Authentic)?.sender, "alice@HOME.TEST");
    let heard =
        |listener: &Listener| -> Vec<String> { listener.all().iter().map(|received| received.message()).collect() };
    assert_eq!(heard(&listener), ["among us", "the end", "as myself"]);

    // What is for the alice of this realm is not for her.
    bob.zwrite(&["alice@AWAY.EDU", "-m", "for our alice"])?;
    alice.send(&["-c", "everybodys", "-m", "for everybody"])?;
    ear.expect("for everybody", Origin::Authentic)?;
    assert_eq!(heard(&ear), ["for everybody"]);

    // People see which alice it is.
    let zwgc = bob.zwgc(&[("MESSAGE", "*", "bob")])?;
    // The listener is reached as well, so that it is there says nothing about zwgc.
    wait_until("bob sees it", zephyr_e2e::person::TIMEOUT, || {
        visitor.send(&["bob", "-m", "seen by bob"])?;
        Ok(zwgc.transcript().text().contains("seen by bob").then_some(()))
    })?;
    let shown = zwgc.transcript().text();
    assert!(shown.contains("alice@HOME.TEST") && !shown.contains("alice@AWAY.EDU"), "{shown}");
    Ok(())
}

/// Home is trusted by a realm in the middle, and that one by us; whether that is a way from home to us, our settings
/// say. The KDC here leaves that question to the server.
#[test]
fn the_way_through_another_realm_must_be_trusted() -> Result<()> {
    let home = Realm::start_on(Engine::Native, realm(HOME))?;
    let middle = Realm::start_on(Engine::Native, realm(MIDDLE))?;
    let settings = format!("[realms]\n{AWAY} = {{\nreject_bad_transit = false\n}}\n");
    let mut stack = Stack::start(Engine::Native, RealmOptions { settings, ..realm(AWAY) })?;
    middle.trust(&home)?;
    stack.realm()?.trust(&middle)?;
    let alice = visitor(&home, &stack)?;
    home.add_settings("way", &format!("[capaths]\n{HOME} = {{\n{AWAY} = {MIDDLE}\n}}\n{}", middle.whereabouts()))?;
    let listener = stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;

    alice.send(&["bob", "-m", "by a way nobody trusts"])?;
    let tickets = home.user("alice")?.tickets()?;
    for name in ["krbtgt/MIDDLE.ORG@HOME.TEST", "krbtgt/AWAY.EDU@MIDDLE.ORG", "zephyr/zephyr@AWAY.EDU"] {
        assert!(tickets.contains(name), "{name}: {tickets}");
    }
    assert_ne!(listener.receive("by a way nobody trusts")?.origin, Origin::Authentic);

    let trusted = format!("[capaths]\n{HOME} = {{\n{AWAY} = {MIDDLE}\n}}\n");
    stack.realm()?.add_settings("way", &trusted)?;
    stack.zephyrd().stop(zephyr_e2e::person::TIMEOUT)?;
    stack.restart_zephyrd()?;
    let listener = stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob", "-m", "by a trusted way"])?;
    let received = listener.expect("by a trusted way", Origin::Authentic)?;
    assert_eq!(received.sender, "alice@HOME.TEST");
    Ok(())
}
