//! Servers that die, freeze or are cut off under a host manager with a packet in its queue, in every mixture of ours and C's.

use anyhow::Result;
use zephyr_e2e::{
    agreement::Down,
    failover::{self, Row},
    person::Make,
};

const C: Make = Make::C;
const OURS: Make = Make::Ours;

#[test]
fn ours_under_c_programs_leaves_a_frozen_server() -> Result<()> {
    let row = Row { servers: &[OURS, OURS], host_manager: OURS, programs: C, down: Down::Frozen };
    failover::a_waiting_notice_goes_to_another(row)
}

#[test]
fn ours_under_c_programs_leaves_a_killed_server_of_c() -> Result<()> {
    let row = Row { servers: &[C, C], host_manager: OURS, programs: C, down: Down::Killed };
    failover::a_waiting_notice_goes_to_another(row)
}

#[test]
fn ours_under_c_programs_leaves_a_server_of_c_for_ours() -> Result<()> {
    let row = Row { servers: &[C, OURS], host_manager: OURS, programs: C, down: Down::Killed };
    failover::a_waiting_notice_goes_to_another(row)
}

#[test]
fn ours_leaves_a_server_that_is_cut_off() -> Result<()> {
    let row = Row { servers: &[OURS, OURS, OURS], host_manager: OURS, programs: OURS, down: Down::Unplugged };
    failover::a_waiting_notice_goes_to_another(row)
}

#[test]
fn that_of_c_leaves_a_frozen_server_of_ours() -> Result<()> {
    let row = Row { servers: &[OURS, OURS], host_manager: C, programs: OURS, down: Down::Frozen };
    failover::a_waiting_notice_goes_to_another(row)
}

#[test]
fn that_of_c_leaves_a_server_of_ours_for_cs() -> Result<()> {
    let row = Row { servers: &[OURS, C], host_manager: C, programs: C, down: Down::Killed };
    failover::a_waiting_notice_goes_to_another(row)
}

#[test]
fn ours_goes_back_to_its_first_server_of_ours() -> Result<()> {
    failover::it_goes_back_to_its_first_server(&[OURS, OURS], Down::Frozen)
}

#[test]
fn ours_goes_back_to_its_first_server_of_c() -> Result<()> {
    failover::it_goes_back_to_its_first_server(&[C, OURS], Down::Killed)
}

#[test]
fn what_waits_at_ours_for_any_server_arrives_once() -> Result<()> {
    failover::what_waits_for_any_server_arrives_once(&[OURS, OURS], OURS)
}

#[test]
fn what_waits_at_cs_for_any_server_arrives_once() -> Result<()> {
    failover::what_waits_for_any_server_arrives_once(&[OURS, OURS], C)
}
