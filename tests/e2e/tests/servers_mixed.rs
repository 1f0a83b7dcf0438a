//! A server of ours and one of C's in one domain, as when a site changes one server at a time.

use anyhow::Result;
use zephyr_e2e::{
    agreement::{self, Down},
    domain::{self, Keeps},
    person::Make,
};

const C: Make = Make::C;
const OURS: Make = Make::Ours;
/// In the order in which they start.
const OURS_FIRST: [Make; 2] = [OURS, C];
const C_FIRST: [Make; 2] = [C, OURS];

#[test]
fn what_one_is_told_both_know_ours_first() -> Result<()> {
    agreement::what_one_is_told_all_know(&OURS_FIRST)
}

#[test]
fn what_one_is_told_both_know_c_first() -> Result<()> {
    agreement::what_one_is_told_all_know(&C_FIRST)
}

#[test]
fn what_one_is_told_all_know_two_of_ours_and_one_of_c() -> Result<()> {
    agreement::what_one_is_told_all_know(&[OURS, C, OURS])
}

#[test]
fn what_one_is_told_all_know_two_of_c_and_one_of_ours() -> Result<()> {
    agreement::what_one_is_told_all_know(&[C, OURS, C])
}

#[test]
fn one_that_comes_back_knows_everything_ours_first() -> Result<()> {
    agreement::one_that_comes_back_knows_everything(&OURS_FIRST, Keeps::Nothing)
}

#[test]
fn one_that_comes_back_knows_everything_c_first() -> Result<()> {
    agreement::one_that_comes_back_knows_everything(&C_FIRST, Keeps::State)
}

/// That C's server comes back with what it was told before is not so: it keeps nothing.
#[test]
fn what_was_taken_back_stays_away_ours_first() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&OURS_FIRST, Keeps::State, Down::Killed)
}

#[test]
fn what_was_taken_back_stays_away_c_first() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&C_FIRST, Keeps::Nothing, Down::Ended)
}

#[test]
fn hosts_of_ours_find_another_after_ours() -> Result<()> {
    agreement::hosts_find_another(&OURS_FIRST, OURS)
}

#[test]
fn hosts_of_c_find_another_after_c() -> Result<()> {
    agreement::hosts_find_another(&C_FIRST, C)
}

#[test]
fn what_the_living_answer_arrives() -> Result<()> {
    agreement::what_the_living_answer_arrives(&OURS_FIRST, 4)
}

#[test]
fn one_that_ends_sends_its_hosts_away_ours() -> Result<()> {
    agreement::one_that_ends_sends_its_hosts_away(&OURS_FIRST, C)
}

#[test]
fn one_that_ends_sends_its_hosts_away_c() -> Result<()> {
    agreement::one_that_ends_sends_its_hosts_away(&C_FIRST, OURS)
}

#[test]
fn both_start_at_once() -> Result<()> {
    for _ in 0..3 {
        let Some((lan, mut domain)) = domain::quiet(&OURS_FIRST, Keeps::Nothing)? else { return Ok(()) };
        domain.start_all()?;
        for server in 0..2 {
            domain.add_station(&lan, OURS, &[server])?;
        }
        domain.agree(&[0, 1])?;
    }
    Ok(())
}

/// A site with two servers of C's puts ours in place of one, and then of the other: who has subscribed before is there
/// afterwards and need do nothing.
#[test]
fn a_site_changes_one_server_at_a_time() -> Result<()> {
    let Some((_lan, mut domain)) = agreement::agreeing(&[C, C], Keeps::State)? else { return Ok(()) };
    let (mut bob, mut carol) = (domain.login(0, "bob")?.client()?, domain.login(1, "carol")?.client()?);
    bob.subscribe(("news", "*", "*"))?;
    carol.subscribe(("weather", "*", "*"))?;
    for changed in 0..2 {
        for class in ["news", "weather"] {
            agreement::everywhere(&domain, class, "sent")?;
        }
        domain.server(changed).stop()?;
        domain.server(changed).make = OURS;
        domain.start(changed)?;
        // The other one must be told that it is no longer C's.
        domain.reload()?;
        domain.agree(&[0, 1])?;
    }
    for class in ["news", "weather"] {
        agreement::everywhere(&domain, class, "sent")?;
    }
    let mut writer = domain.login(1, "alice")?.client()?;
    writer.send("news", "today", "", "with new servers")?;
    bob.receive("with new servers").map(drop)
}
