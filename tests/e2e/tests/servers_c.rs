//! Debian's C servers in twos and in two realms: that the rig in which ours are tried is right. What C does wrong is not
//! asserted.

use anyhow::Result;
use zephyr_e2e::{
    client::Client,
    domain::{self, Domain, Keeps},
    person::{Make, TIMEOUT},
};
use zephyr_testkit::{deadline::wait_until, reference::Lan};

const C: Make = Make::C;

/// Two servers that have found each other, and a machine for each.
fn two() -> Result<Option<(Lan, Domain)>> {
    let Some((lan, mut domain)) = domain::alone(&[C, C], Keeps::Nothing)? else { return Ok(None) };
    for server in [0, 1] {
        domain.add_station(&lan, C, &[server])?;
    }
    // Which of the two says that the other is up depends on who is first: one is at times left in another state.
    domain.agree(&[0, 1])?;
    Ok(Some((lan, domain)))
}

/// Who subscribes at one server is reached through the other, and found there.
#[test]
fn what_one_server_is_told_the_other_knows() -> Result<()> {
    let Some((_lan, domain)) = two()? else { return Ok(()) };
    let mut bob = domain.login(0, "bob")?.client()?;
    let alice = domain.login(1, "alice")?;
    bob.subscribe(("news", "*", "*"))?;
    bob.order(&["login", "NET-ANNOUNCED"])?;
    let mut writer = alice.client()?;
    wait_until("the other server knows", TIMEOUT, || {
        Ok((writer.send("news", "today", "", "first")? == "sent").then_some(()))
    })?;
    bob.receive("first")?;
    wait_until("bob is found", TIMEOUT, || {
        let found = alice.with(C).run("zlocate", &["bob"])?;
        Ok(found.stdout.contains(domain.station_name(0)).then_some(()))
    })?;
    Ok(())
}

/// What is taken back at one server is gone at the other.
#[test]
fn what_is_taken_back_at_one_server_is_gone_at_the_other() -> Result<()> {
    let Some((_lan, domain)) = two()? else { return Ok(()) };
    let (mut bob, mut carol) = (domain.login(0, "bob")?.client()?, domain.login(0, "carol")?.client()?);
    let alice = domain.login(1, "alice")?;
    let mut writer = alice.client()?;
    bob.subscribe(("news", "*", "*"))?;
    bob.subscribe(("talk", "*", "*"))?;
    bob.order(&["login", "NET-ANNOUNCED"])?;
    carol.subscribe(("weather", "*", "*"))?;
    for class in ["news", "talk", "weather"] {
        answers(&mut writer, class, "sent")?;
    }
    bob.unsubscribe(("news", "*", "*"))?;
    carol.order(&["cancel"])?;
    bob.order(&["logout"])?;
    answers(&mut writer, "news", "nobody")?;
    answers(&mut writer, "weather", "nobody")?;
    answers(&mut writer, "talk", "sent")?;
    wait_until("bob is not found", TIMEOUT, || {
        let found = alice.with(C).run("zlocate", &["bob"])?;
        Ok(found.stdout.contains("Hidden or not logged-in").then_some(()))
    })
}

/// Sends to a class until this becomes of it.
fn answers(writer: &mut Client, class: &str, wanted: &str) -> Result<()> {
    wait_until(&format!("{class}: {wanted}"), TIMEOUT, || {
        Ok((writer.send(class, "any", "", "probe")? == wanted).then_some(()))
    })
}

/// A server that is started again has everything from the other, and nobody need do anything.
#[test]
fn a_server_that_comes_back_is_told_everything() -> Result<()> {
    for killed in [0, 1] {
        let Some((_lan, mut domain)) = two()? else { return Ok(()) };
        let mut bob = domain.login(0, "bob")?.client()?;
        bob.subscribe(("news", "*", "*"))?;
        bob.order(&["login", "NET-ANNOUNCED"])?;
        let known = ["'news' '*' ''", "'bob@ATHENA.TEST'"];
        domain.server(1).wait_to_know(&known)?;
        domain.server(killed).kill()?;
        domain.start(killed)?;
        domain.server(killed).wait_to_know(&known)?;
        let alice = domain.login(killed, "alice")?;
        assert_eq!(alice.client()?.send("news", "today", "", "after the restart")?, "sent");
        bob.receive("after the restart")?;
        let found = alice.with(C).run("zlocate", &["bob"])?;
        assert!(found.stdout.contains(domain.station_name(0)), "{found}");
    }
    Ok(())
}

/// Host managers of both makes look for another server when theirs is gone.
#[test]
fn a_host_manager_finds_the_other_server() -> Result<()> {
    for make in [C, Make::Ours] {
        let Some((lan, mut domain)) = two()? else { return Ok(()) };
        let station = domain.add_station(&lan, make, &[0, 1])?;
        let mut bob = domain.login(1, "bob")?.client()?;
        bob.subscribe(("news", "*", "*"))?;
        let mut writer = domain.login(station, "alice")?.client()?;
        answers(&mut writer, "news", "sent")?;
        domain.server(0).kill()?;
        assert_eq!(writer.send("news", "today", "", "by the other")?, "sent", "{make:?}");
        bob.receive("by the other")?;
    }
    Ok(())
}

/// A server that says goodbye names another one to its hosts.
#[test]
fn a_server_that_ends_sends_its_hosts_away() -> Result<()> {
    let Some((lan, mut domain)) = two()? else { return Ok(()) };
    let station = domain.add_station(&lan, C, &[0, 1])?;
    let mut bob = domain.login(1, "bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    let mut writer = domain.login(station, "alice")?.client()?;
    answers(&mut writer, "news", "sent")?;
    domain.server(0).stop()?;
    assert_eq!(writer.send("news", "today", "", "by the other")?, "sent");
    bob.receive("by the other")?;
    Ok(())
}
