//! zshutdown_notify beside the C program.

use anyhow::{Result, ensure};
use zephyr_e2e::{
    listener::Origin,
    person::Make,
    transcript::{Bench, Run, Said},
};

#[test]
fn who_has_subscribed_is_told_all_of_the_text() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?;
    let told = bench.person("bob", Make::Ours)?.listen(&[("filsrv", bench.lab().host_name(), "*")])?;
    let host = bench.lab().host_name();
    let silent = |said: &Said| said.status == Some(0) && said.stdout.is_empty() && said.stderr.is_empty();
    let short = "at five\nfor the new disk\n";
    let run = Run { program: "zshutdown_notify", input: short, ..Run::default() };
    let [c, ours] = bench.both(&alice, &run)?;
    ensure!(silent(&c) && silent(&ours), "{c:?} {ours:?}");
    // C's lines end at about a kilobyte; NULs would be fields of their own.
    let long = "another line\n".repeat(2000);
    let ours = bench.run(&alice, Make::Ours, &Run { input: &long, ..run })?;
    ensure!(silent(&ours), "{ours:?}");
    told.receive(&format!("{long}\0If you have attached file systems of it, detach them:\ndetach -host {host}\0"))?;
    let all = told.all();
    ensure!(all.len() == 3, "{all:?}");
    for (notice, text) in all.iter().zip([short, short, &long]) {
        let fields: Vec<&[u8]> = notice.body.split(|&octet| octet == 0).collect();
        ensure!(fields.len() == 4 && fields[..2] == [host.as_bytes(), text.as_bytes()], "{notice:?}");
        ensure!((notice.instance.as_str(), notice.opcode.as_str()) == (host, "SHUTDOWN"), "{notice:?}");
        ensure!(notice.origin == Origin::Authentic && notice.recipient.is_empty(), "{notice:?}");
    }
    Ok(())
}

#[test]
fn what_both_say_without_tickets_and_ours_of_what_cannot_be() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?;
    let run = Run { program: "zshutdown_notify", input: "x\n", ..Run::default() };
    let ticketless = alice.clone().with_variable("KRB5CCNAME", "FILE:/nonexistent");
    let [c, ours] = bench.both(&ticketless, &run)?;
    ensure!((c.status, ours.status) == (Some(1), Some(1)) && c.stderr.first() == ours.stderr.first(), "{c:?} {ours:?}");
    let endless = "x".repeat(500_000);
    let ours = bench.run(&alice, Make::Ours, &Run { input: &endless, ..run })?;
    let why = "zshutdown_notify: Packet too long or buffer too small while sending notice";
    ensure!(ours.status == Some(1) && ours.stderr.first().is_some_and(|line| line == why), "{ours:?}");
    let ours = bench.run(&alice, Make::Ours, &Run { arguments: &["now"], ..run })?;
    ensure!(ours.status == Some(1) && ours.stderr.len() == 1, "{ours:?}");
    Ok(())
}
