//! Several servers of ours in one domain, in twos and threes.

use anyhow::{Result, ensure};
use zephyr_e2e::{
    agreement::{self, Down},
    domain::{self, Keeps},
    person::{Make, TIMEOUT},
};
use zephyr_testkit::deadline::wait_until;

const OURS: Make = Make::Ours;
const TWO: [Make; 2] = [OURS; 2];
const THREE: [Make; 3] = [OURS; 3];

#[test]
fn what_one_of_two_is_told_both_know() -> Result<()> {
    agreement::what_one_is_told_all_know(&TWO)
}

#[test]
fn what_one_of_three_is_told_all_know() -> Result<()> {
    agreement::what_one_is_told_all_know(&THREE)
}

#[test]
fn one_that_comes_back_without_a_disk_is_told_everything() -> Result<()> {
    agreement::one_that_comes_back_knows_everything(&TWO, Keeps::Nothing)
}

#[test]
fn one_that_comes_back_with_a_disk_knows_everything() -> Result<()> {
    agreement::one_that_comes_back_knows_everything(&THREE, Keeps::State)
}

#[test]
fn what_was_taken_back_while_one_was_dead_stays_away() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&TWO, Keeps::State, Down::Killed)
}

#[test]
fn what_was_taken_back_while_one_of_three_was_dead_stays_away() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&THREE, Keeps::State, Down::Killed)
}

#[test]
fn what_was_taken_back_while_one_was_away_stays_away() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&TWO, Keeps::State, Down::Ended)
}

#[test]
fn what_was_taken_back_while_one_was_frozen_stays_away() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&TWO, Keeps::Nothing, Down::Frozen)
}

#[test]
fn what_was_taken_back_while_one_was_cut_off_stays_away() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&TWO, Keeps::Nothing, Down::Unplugged)
}

#[test]
fn hosts_of_ours_find_another() -> Result<()> {
    agreement::hosts_find_another(&TWO, OURS)
}

#[test]
fn hosts_of_c_find_another() -> Result<()> {
    agreement::hosts_find_another(&TWO, Make::C)
}

#[test]
fn what_the_living_answer_arrives() -> Result<()> {
    agreement::what_the_living_answer_arrives(&THREE, 6)
}

#[test]
fn one_that_ends_sends_its_hosts_of_ours_away() -> Result<()> {
    agreement::one_that_ends_sends_its_hosts_away(&TWO, OURS)
}

#[test]
fn one_that_ends_sends_its_hosts_of_c_away() -> Result<()> {
    agreement::one_that_ends_sends_its_hosts_away(&TWO, Make::C)
}

/// Two halves of a domain go on by themselves, and agree when they find each other again: what was done in either is done.
#[test]
fn two_that_were_parted_agree_again() -> Result<()> {
    let Some((_lan, domain)) = agreement::agreeing(&THREE, Keeps::State)? else { return Ok(()) };
    let (mut bob, mut carol) = (domain.login(0, "bob")?.client()?, domain.login(1, "carol")?.client()?);
    bob.subscribe(("news", "*", "*"))?;
    carol.subscribe(("weather", "*", "*"))?;
    for class in ["news", "weather"] {
        agreement::everywhere(&domain, class, "sent")?;
    }
    // The third still talks with both.
    domain.part(0, 1)?;
    bob.unsubscribe(("news", "*", "*"))?;
    bob.subscribe(("sports", "*", "*"))?;
    carol.subscribe(("music", "*", "*"))?;
    carol.unsubscribe(("weather", "*", "*"))?;
    domain.meet(0, 1)?;
    for (class, wanted) in [("sports", "sent"), ("music", "sent"), ("news", "nobody"), ("weather", "nobody")] {
        agreement::everywhere(&domain, class, wanted)?;
    }
    Ok(())
}

/// All of them lose their power at once.
#[test]
fn all_are_killed_and_come_back_with_everything() -> Result<()> {
    let Some((_lan, mut domain)) = agreement::agreeing(&TWO, Keeps::State)? else { return Ok(()) };
    let (mut bob, mut carol) = (domain.login(0, "bob")?.client()?, domain.login(1, "carol")?.client()?);
    bob.subscribe(("news", "*", "*"))?;
    carol.subscribe(("weather", "*", "*"))?;
    bob.subscribe(("talk", "*", "*"))?;
    agreement::everywhere(&domain, "talk", "sent")?;
    bob.unsubscribe(("talk", "*", "*"))?;
    (0..2).try_for_each(|number| domain.server(number).kill())?;
    (0..2).try_for_each(|number| domain.start(number))?;
    for (class, wanted) in [("news", "sent"), ("weather", "sent"), ("talk", "nobody")] {
        agreement::everywhere(&domain, class, wanted)?;
    }
    Ok(())
}

/// Those that start at the same moment find each other as well.
#[test]
fn all_start_at_once() -> Result<()> {
    let Some((lan, mut domain)) = domain::quiet(&THREE, Keeps::Nothing)? else { return Ok(()) };
    domain.start_all()?;
    for server in 0..THREE.len() {
        domain.add_station(&lan, OURS, &[server])?;
    }
    domain.agree(&[0, 1, 2])
}

/// A server that does nothing holds up nobody for long, and nobody waits for it again and again.
#[test]
fn a_frozen_one_holds_up_nobody() -> Result<()> {
    let Some((_lan, mut domain)) = agreement::agreeing(&TWO, Keeps::Nothing)? else { return Ok(()) };
    let mut bob = domain.login(0, "bob")?.client()?;
    domain.server(1).freeze()?;
    for number in 0..20 {
        bob.subscribe((&format!("news-{number}"), "*", "*"))?;
    }
    bob.unsubscribe(("news-0", "*", "*"))?;
    domain.server(1).thaw()?;
    agreement::everywhere(&domain, "news-19", "sent")?;
    agreement::everywhere(&domain, "news-0", "nobody")
}

/// An operator sees the peers, and sends the hosts away before a server ends: nothing waits for it then.
#[test]
fn one_that_is_drained_is_not_missed() -> Result<()> {
    let Some((lan, mut domain)) = agreement::agreeing(&TWO, Keeps::State)? else { return Ok(()) };
    let station = domain.add_station(&lan, OURS, &[0, 1])?;
    let mut bob = domain.login(station, "bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    let peers = domain.zephyrctl(0, &["peers"])?.success()?;
    ensure!(peers.stdout.contains("s2.athena.test"), "{peers}");

    let mark = domain.station(station).zhm().transcript().mark();
    // Stations that know no other server stay, and it says so.
    domain.zephyrctl(0, &["drain", "--wait", "1"])?;
    let other = domain.server(1).host().address().to_string();
    let zhm = domain.station(station).zhm();
    zhm.wait_after(mark, TIMEOUT, |line| line.ends_with("answers") && (line.contains(&other) || line.contains("s2.")))?;
    domain.server(0).stop()?;
    let mut writer = domain.login(station, "alice")?.client()?;
    ensure!(writer.send("news", "today", "", "not missed")? == "sent", "not sent");
    bob.receive("not missed")?;
    ensure!(bob.subscriptions()? == ["news,*,*"], "{:?}", bob.subscriptions()?);
    Ok(())
}

/// A server is looked at by who may: the words of `zephyrctl peers` for one that is gone.
#[test]
fn an_operator_sees_that_one_is_gone() -> Result<()> {
    let Some((_lan, mut domain)) = agreement::agreeing(&TWO, Keeps::Nothing)? else { return Ok(()) };
    let up = domain.zephyrctl(0, &["peers"])?.success()?.stdout;
    domain.server(1).kill()?;
    wait_until("the other is seen to be gone", TIMEOUT, || {
        let now = domain.zephyrctl(0, &["peers"])?.success()?.stdout;
        let line = |text: &str| text.lines().find(|line| line.contains("s2.athena.test")).map(str::to_owned);
        ensure!(line(&up).is_some(), "{up}");
        Ok((line(&now) != line(&up)).then_some(()))
    })
}
