//! What must be so at a host manager whose server goes, and comes back, whoever made host manager, servers and programs.

use crate::{
    agreement::{self, Down},
    client::Client,
    domain::{Domain, Keeps},
    person::{Make, Person, TIMEOUT},
};
use anyhow::{Context, Result, ensure};
use std::time::Instant;
use zephyr_testkit::{deadline::wait_until, process::Daemon};

/// The class that all of it is about.
const CLASS: &str = "news";

/// Who is there, and how the host manager's server goes.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The servers, that of the host manager first.
    pub servers: &'a [Make],
    /// The host manager that has to find another one.
    pub host_manager: Make,
    /// The programs at its machine.
    pub programs: Make,
    /// What happens to its server.
    pub down: Down,
}

/// A reader at the host manager's machine, and one elsewhere.
struct Readers {
    here: Daemon,
    there: Client,
}

impl Readers {
    /// Waits until both were shown a text.
    fn were_shown(&self, text: &str) -> Result<()> {
        self.here.wait_for(TIMEOUT, |line| line.contains(text)).context("the reader at this machine")?;
        self.there.receive(text).map(drop).context("the reader at another machine")
    }

    /// Checks that nobody was shown any of these texts twice.
    fn saw_nothing_twice(&self, texts: &[String]) -> Result<()> {
        let (here, there) = (self.here.transcript().text(), self.there.messages());
        for text in texts {
            let counts = [here.matches(text.as_str()).count(), there.iter().filter(|it| *it == text).count()];
            ensure!(counts.iter().all(|count| *count <= 1), "{text} was shown {counts:?} times");
        }
        Ok(())
    }
}

/// Writes until a server has taken it; gives everything that was written on the way, the last of which was taken.
fn write(writer: &Person, what: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut last = String::new();
    let began = Instant::now();
    wait_until(what, TIMEOUT, || {
        let text = format!("<{what} {}>", texts.len());
        let output = writer.zwrite(&["-c", CLASS, "-i", "today", "-m", &text])?;
        texts.push(text);
        last = output.to_string();
        Ok(output.status.success().then_some(()))
    })
    .with_context(|| last.clone())?;
    println!("{what}: taken after {:.1} s, {} times written", began.elapsed().as_secs_f64(), texts.len());
    Ok(texts)
}

/// What a program sends while its server is gone goes to another one, and is shown once; also when the server comes back, with
/// all that it was sent before.
///
/// # Errors
/// When it is not so.
pub fn a_waiting_notice_goes_to_another(row: Row<'_>) -> Result<()> {
    let Row { servers, host_manager, programs, down } = row;
    let Some((lan, mut domain)) = agreement::agreeing(servers, Keeps::Nothing)? else { return Ok(()) };
    let all: Vec<usize> = (0..servers.len()).collect();
    let station = domain.add_station(&lan, host_manager, &all)?;
    let mut there = domain.login(1, "carol")?.client()?;
    there.subscribe((CLASS, "*", "*"))?;
    let here = domain.login(station, "bob")?.with(programs).zwgc(&[(CLASS, "*", "*")])?;
    let readers = Readers { here, there };
    let writer = domain.login(station, "alice")?.with(programs);
    let mut texts = write(&writer, "before")?;
    readers.were_shown(texts.last().context("nothing was written")?)?;
    agreement::everywhere(&domain, CLASS, "sent")?;

    down.away(&mut domain, 0)?;
    for what in ["while it is gone", "at once"] {
        texts.extend(write(&writer, what).with_context(|| said(&mut domain, station))?);
        readers.were_shown(texts.last().context("nothing was written")?).with_context(|| said(&mut domain, station))?;
    }
    readers.saw_nothing_twice(&texts)?;

    down.back(&mut domain, 0)?;
    domain.agree(&all)?;
    texts.extend(write(&writer, "after its return")?);
    readers.were_shown(texts.last().context("nothing was written")?)?;
    readers.saw_nothing_twice(&texts)
}

/// What the servers and the host manager have said, for messages.
fn said(domain: &mut Domain, station: usize) -> String {
    let zhm = domain.station(station).zhm().transcript().text();
    format!("{}== the host manager:\n{zhm}", domain.said())
}

/// A host manager of ours goes back to its first server when that is there again, and everybody on its machine is still known.
///
/// # Errors
/// When it is not so.
pub fn it_goes_back_to_its_first_server(servers: &[Make], down: Down) -> Result<()> {
    let Some((lan, mut domain)) = agreement::agreeing(servers, Keeps::State)? else { return Ok(()) };
    let all: Vec<usize> = (0..servers.len()).collect();
    let station = domain.add_station(&lan, Make::Ours, &all)?;
    let mut bob = domain.login(station, "bob")?.client()?;
    bob.subscribe((CLASS, "*", "*"))?;
    agreement::everywhere(&domain, CLASS, "sent")?;
    let mut writer = domain.login(station, "alice")?.client()?;
    let first = domain.server(0).host().name().to_owned();

    let mark = domain.station(station).zhm().transcript().mark();
    down.away(&mut domain, 0)?;
    ensure!(writer.send(CLASS, "today", "", "by another")? == "sent", "not sent by another");
    bob.receive("by another").with_context(|| said(&mut domain, station))?;
    let is_other = |line: &str| line.ends_with("answers") && !line.contains(&first);
    domain.station(station).zhm().wait_after(mark, TIMEOUT, is_other)?;

    let mark = domain.station(station).zhm().transcript().mark();
    let began = Instant::now();
    down.back(&mut domain, 0)?;
    let is_first = |line: &str| line.ends_with("answers") && line.contains(&first);
    domain.station(station).zhm().wait_after(mark, TIMEOUT, is_first).with_context(|| said(&mut domain, station))?;
    println!("back after {:.1} s", began.elapsed().as_secs_f64());
    ensure!(writer.send(CLASS, "today", "", "by the first again")? == "sent", "not sent by the first");
    bob.receive("by the first again").with_context(|| said(&mut domain, station))?;
    for text in ["by another", "by the first again"] {
        let count = bob.messages().iter().filter(|message| *message == text).count();
        ensure!(count == 1, "{text} came {count} times");
    }
    ensure!(bob.subscriptions()? == ["news,*,*"], "{:?}", bob.subscriptions()?);
    Ok(())
}

/// While no server is there at all, everything is kept; all of it is answered and shown once when one is there.
///
/// # Errors
/// When it is not so.
pub fn what_waits_for_any_server_arrives_once(servers: &[Make], host_manager: Make) -> Result<()> {
    let Some((lan, mut domain)) = agreement::agreeing(servers, Keeps::State)? else { return Ok(()) };
    let all: Vec<usize> = (0..servers.len()).collect();
    let station = domain.add_station(&lan, host_manager, &all)?;
    let mut bob = domain.login(station, "bob")?.client()?;
    bob.subscribe((CLASS, "*", "*"))?;
    agreement::everywhere(&domain, CLASS, "sent")?;
    let mut writer = domain.login(station, "alice")?.client()?;
    all.iter().try_for_each(|&number| domain.server(number).kill())?;
    let texts: Vec<String> = (0..20).map(|number| format!("notice {number}")).collect();
    let orders: Result<Vec<_>> = texts.iter().map(|text| writer.begin(&["send", CLASS, "today", "", text])).collect();
    let last = all.last().copied().context("no servers")?;
    domain.start(last)?;
    for (order, text) in orders?.into_iter().zip(&texts) {
        let outcome = writer.outcome(order)?;
        ensure!(outcome == "sent", "{text}: {outcome}\n{}", said(&mut domain, station));
        bob.receive(text).with_context(|| said(&mut domain, station))?;
    }
    let messages = bob.messages();
    for text in &texts {
        let count = messages.iter().filter(|message| *message == text).count();
        ensure!(count == 1, "{text} came {count} times");
    }
    Ok(())
}
