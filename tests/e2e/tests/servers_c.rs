//! Debian's C servers in twos: that the rig in which ours are tried is right. What C does wrong is not asserted.

use anyhow::Result;
use zephyr_e2e::{
    agreement::{self, Down},
    domain::Keeps,
    person::Make,
};

const C: Make = Make::C;
const TWO: [Make; 2] = [C; 2];

#[test]
fn what_one_is_told_all_know() -> Result<()> {
    agreement::what_one_is_told_all_know(&TWO)
}

#[test]
fn one_that_comes_back_knows_everything() -> Result<()> {
    agreement::one_that_comes_back_knows_everything(&TWO, Keeps::Nothing)
}

#[test]
fn what_was_taken_back_stays_away() -> Result<()> {
    agreement::what_was_taken_back_stays_away(&TWO, Keeps::Nothing, Down::Killed)
}

#[test]
fn hosts_of_ours_find_another() -> Result<()> {
    agreement::hosts_find_another(&TWO, Make::Ours)
}

#[test]
fn hosts_of_c_find_another() -> Result<()> {
    agreement::hosts_find_another(&TWO, C)
}

#[test]
fn what_the_living_answer_arrives() -> Result<()> {
    agreement::what_the_living_answer_arrives(&TWO, 2)
}

#[test]
fn one_that_ends_sends_its_hosts_away() -> Result<()> {
    agreement::one_that_ends_sends_its_hosts_away(&TWO, C)
}

/// What a server that comes back is told is what the other has, as it is written down there.
#[test]
fn a_dump_brings_clients_and_locations() -> Result<()> {
    let Some((_lan, mut domain)) = agreement::agreeing(&TWO, Keeps::Nothing)? else { return Ok(()) };
    let mut bob = domain.login(0, "bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    bob.order(&["login", "NET-ANNOUNCED"])?;
    let known = ["'news' '*' ''", "'bob@ATHENA.TEST'"];
    domain.server(1).wait_to_know(&known)?;
    domain.server(0).kill()?;
    domain.start(0)?;
    domain.server(0).wait_to_know(&known)
}
