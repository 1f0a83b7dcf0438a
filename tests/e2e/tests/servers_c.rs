//! Debian's C servers in twos and in two realms: that the rig in which ours are tried is right. What C does wrong is not
//! asserted.

use anyhow::Result;
use zephyr_e2e::{
    domain::{self, Domain, Keeps},
    person::{Make, TIMEOUT},
};
use zephyr_testkit::{deadline::wait_until, reference::Lan};

const C: Make = Make::C;

/// Two servers that have found each other, and a machine for each.
fn two() -> Result<Option<(Lan, Domain)>> {
    let Some((lan, mut domain)) = domain::alone(&[C, C], Keeps::Nothing)? else { return Ok(None) };
    joined(&mut domain)?;
    for server in [0, 1] {
        domain.add_station(&lan, C, &[server])?;
    }
    Ok(Some((lan, domain)))
}

fn joined(domain: &mut Domain) -> Result<()> {
    for (number, peer) in [(0, 1), (1, 0)] {
        let address = domain.server(peer).host().address();
        domain.server(number).wait_for_peer(address)?;
    }
    Ok(())
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
