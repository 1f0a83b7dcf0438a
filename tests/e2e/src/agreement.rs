//! What must be so in a domain of several servers, whoever made them. Each machine's host manager uses one server, that of
//! the same number, unless something else is said.

use crate::{
    client::Client,
    domain::{self, Domain, Keeps},
    listener::Received,
    person::{Make, TIMEOUT},
};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use zephyr_testkit::{deadline::wait_until, reference::Lan};

/// Whom somebody is found as by the C zlocate who is not logged in.
const NOT_FOUND: &str = "Hidden or not logged-in";

/// A domain with servers of these makes, which have found each other, and a machine for each.
///
/// # Errors
/// When they do not find each other.
pub fn agreeing(makes: &[Make], keeps: Keeps) -> Result<Option<(Lan, Domain)>> {
    let Some((lan, mut domain)) = domain::alone(makes, keeps)? else { return Ok(None) };
    for server in 0..makes.len() {
        domain.add_station(&lan, Make::Ours, &[server])?;
    }
    domain.agree(&(0..makes.len()).collect::<Vec<_>>())?;
    Ok(Some((lan, domain)))
}

/// Sends to a class until this becomes of it.
///
/// # Errors
/// When it never does.
pub fn becomes(writer: &mut Client, class: &str, wanted: &str) -> Result<()> {
    let mut last = String::new();
    wait_until(&format!("{class}: {wanted}"), TIMEOUT, || {
        last = writer.send(class, "any", "", "probe")?;
        Ok((last == wanted).then_some(()))
    })
    .with_context(|| format!("last: {last}"))
}

/// Waits until the C zlocate at this machine says this of somebody.
///
/// # Errors
/// When it never does.
pub fn locating(domain: &Domain, station: usize, name: &str, says: &str) -> Result<()> {
    let person = domain.login(station, "carol")?.with(Make::C);
    let mut last = String::new();
    wait_until(&format!("{name} at station {station}: {says}"), TIMEOUT, || {
        last = person.run("zlocate", &[name])?.to_string();
        Ok(last.contains(says).then_some(()))
    })
    .with_context(|| format!("last: {last}\n{}", domain.said()))
}

/// Who subscribes and logs in at one server is reached through the others and found there, and all of it can be taken back.
///
/// # Errors
/// When it is not so.
pub fn what_one_is_told_all_know(makes: &[Make]) -> Result<()> {
    let Some((_lan, domain)) = agreeing(makes, Keeps::Nothing)? else { return Ok(()) };
    for here in 0..makes.len() {
        let others: Vec<usize> = (0..makes.len()).filter(|other| *other != here).collect();
        let (mut bob, mut carol) = (domain.login(here, "bob")?.client()?, domain.login(here, "carol")?.client()?);
        bob.subscribe(("news", "*", "*"))?;
        bob.subscribe(("talk", "*", "*"))?;
        carol.subscribe(("weather", "*", "*"))?;
        bob.order(&["login", "NET-ANNOUNCED"])?;
        for &there in &others {
            let mut writer = domain.login(there, "alice")?.client()?;
            for class in ["news", "talk", "weather"] {
                becomes(&mut writer, class, "sent").with_context(|| domain.said())?;
            }
            let text = format!("from {there}");
            ensure!(writer.send("news", "today", "", &text)? == "sent", "{text} is not sent");
            bob.receive(&text)?;
            locating(&domain, there, "bob", domain.station_name(here))?;
        }
        bob.unsubscribe(("news", "*", "*"))?;
        carol.order(&["cancel"])?;
        bob.order(&["logout"])?;
        for &there in &others {
            let mut writer = domain.login(there, "alice")?.client()?;
            becomes(&mut writer, "news", "nobody")?;
            becomes(&mut writer, "weather", "nobody")?;
            becomes(&mut writer, "talk", "sent")?;
            locating(&domain, there, "bob", NOT_FOUND)?;
        }
        bob.order(&["cancel"])?;
        let messages = bob.messages();
        for &there in &others {
            let text = format!("from {there}");
            let count = messages.iter().filter(|message| **message == text).count();
            ensure!(count == 1, "{text} came {count} times");
        }
    }
    Ok(())
}

/// A server that is killed and started again knows what the others know, and what it was told itself, and nobody need do
/// anything.
///
/// # Errors
/// When it is not so.
pub fn one_that_comes_back_knows_everything(makes: &[Make], keeps: Keeps) -> Result<()> {
    for killed in 0..makes.len() {
        let Some((_lan, mut domain)) = agreeing(makes, keeps)? else { return Ok(()) };
        let (mut bob, mut carol) = (domain.login(0, "bob")?.client()?, domain.login(1, "carol")?.client()?);
        bob.subscribe(("news", "*", "*"))?;
        bob.order(&["login", "NET-ANNOUNCED"])?;
        carol.subscribe(("weather", "*", "*"))?;
        everywhere(&domain, "news", "sent")?;
        everywhere(&domain, "weather", "sent")?;
        domain.server(killed).kill()?;
        domain.start(killed)?;
        everywhere(&domain, "news", "sent").with_context(|| domain.said())?;
        everywhere(&domain, "weather", "sent")?;
        let mut writer = domain.login(killed, "alice")?.client()?;
        ensure!(writer.send("news", "today", "", "after the restart")? == "sent", "not sent after the restart");
        bob.receive("after the restart")?;
        locating(&domain, killed, "bob", domain.station_name(0))?;
    }
    Ok(())
}

/// Checks that this becomes of what is sent to a class, at every machine.
///
/// # Errors
/// When it never does.
pub fn everywhere(domain: &Domain, class: &str, wanted: &str) -> Result<()> {
    for station in 0..domain.stations() {
        becomes(&mut domain.login(station, "alice")?.client()?, class, wanted)
            .with_context(|| format!("at station {station}"))?;
    }
    Ok(())
}

/// What was unsubscribed, cancelled or logged out while a server was down does not come back with it, anywhere; what was
/// subscribed meanwhile does come.
///
/// # Errors
/// When it is not so.
pub fn what_was_taken_back_stays_away(makes: &[Make], keeps: Keeps, down: Down) -> Result<()> {
    for absent in 0..makes.len() {
        let Some((_lan, mut domain)) = agreeing(makes, keeps)? else { return Ok(()) };
        let here = usize::from(absent == 0);
        let (mut bob, mut carol) = (domain.login(here, "bob")?.client()?, domain.login(here, "carol")?.client()?);
        bob.subscribe(("news", "*", "*"))?;
        bob.subscribe(("talk", "*", "*"))?;
        bob.order(&["login", "NET-ANNOUNCED"])?;
        carol.subscribe(("weather", "*", "*"))?;
        for class in ["news", "talk", "weather"] {
            everywhere(&domain, class, "sent")?;
        }
        (0..makes.len()).try_for_each(|station| locating(&domain, station, "bob", domain.station_name(here)))?;
        down.away(&mut domain, absent)?;
        bob.unsubscribe(("news", "*", "*"))?;
        carol.order(&["cancel"])?;
        bob.order(&["logout"])?;
        bob.subscribe(("sports", "*", "*"))?;
        down.back(&mut domain, absent)?;
        // When this is known everywhere, the servers have told each other what they know.
        everywhere(&domain, "sports", "sent").with_context(|| domain.said())?;
        domain.agree(&(0..makes.len()).collect::<Vec<_>>())?;
        for (class, wanted) in [("news", "nobody"), ("weather", "nobody"), ("talk", "sent")] {
            everywhere(&domain, class, wanted)
                .with_context(|| format!("{class}: server {absent} was away\n{}", domain.said()))?;
        }
        (0..makes.len()).try_for_each(|station| locating(&domain, station, "bob", NOT_FOUND))?;
        let subscriptions = bob.subscriptions()?;
        ensure!(subscriptions == ["sports,*,*", "talk,*,*"], "{subscriptions:?}");
    }
    Ok(())
}

/// How a server is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// It was killed.
    Killed,
    /// It was ended.
    Ended,
    /// It does nothing.
    Frozen,
    /// Nothing reaches it.
    Unplugged,
}

impl Down {
    /// Takes a server away.
    ///
    /// # Errors
    /// When it is not there, or the system refuses.
    pub fn away(self, domain: &mut Domain, number: usize) -> Result<()> {
        let server = domain.server(number);
        match self {
            Self::Killed => server.kill(),
            Self::Ended => server.stop(),
            Self::Frozen => server.freeze(),
            Self::Unplugged => server.host().unplug(),
        }
    }

    /// Brings it back.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn back(self, domain: &mut Domain, number: usize) -> Result<()> {
        match self {
            Self::Killed | Self::Ended => domain.start(number),
            Self::Frozen => domain.server(number).thaw(),
            Self::Unplugged => domain.server(number).host().plug_in(),
        }
    }
}

/// A host manager whose server is killed goes on with another one, and all that is answered after that, is received once.
///
/// # Errors
/// When it is not so.
pub fn hosts_find_another(makes: &[Make], host_manager: Make) -> Result<()> {
    let Some((lan, mut domain)) = agreeing(makes, Keeps::Nothing)? else { return Ok(()) };
    let station = domain.add_station(&lan, host_manager, &(0..makes.len()).collect::<Vec<_>>())?;
    let mut bob = domain.login(1, "bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    let mut carol = domain.login(station, "carol")?.client()?;
    carol.subscribe(("news", "*", "*"))?;
    let mut writer = domain.login(station, "alice")?.client()?;
    becomes(&mut writer, "news", "sent")?;
    everywhere(&domain, "news", "sent")?;

    let texts: Vec<String> = (0..40).map(|number| format!("notice {number}")).collect();
    let orders: Result<Vec<_>> = texts.iter().map(|text| writer.begin(&["send", "news", "today", "", text])).collect();
    domain.server(0).kill()?;
    let outcomes: Result<Vec<String>> = orders?.into_iter().map(|order| writer.outcome(order)).collect();
    let outcomes = outcomes?;
    ensure!(writer.send("news", "today", "", "the last one")? == "sent", "the last one is not sent");
    for reader in [&bob, &carol] {
        reader.receive("the last one").with_context(|| domain.said())?;
        // What the killed server has answered it may have taken with it, but nothing comes twice.
        let counts = counts(&reader.received());
        ensure!(counts.values().all(|&count| count == 1), "twice: {counts:?}");
    }
    ensure!(outcomes.iter().all(|outcome| outcome == "sent"), "{outcomes:?}");

    // What is taken back there now is gone everywhere when the killed one is back.
    carol.unsubscribe(("news", "*", "*"))?;
    bob.unsubscribe(("news", "*", "*"))?;
    domain.start(0)?;
    domain.agree(&(0..makes.len()).collect::<Vec<_>>())?;
    everywhere(&domain, "news", "nobody")
}

/// How often each message came.
fn counts(received: &[Received]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in received.iter().map(Received::message).filter(|message| message.starts_with("notice ")) {
        *counts.entry(message).or_default() += 1;
    }
    counts
}

/// A server is killed in the middle of many sends through the others and itself: each notice that is answered once it is dead
/// is received by all readers, once.
///
/// # Errors
/// When it is not so.
pub fn what_the_living_answer_arrives(makes: &[Make], rounds: usize) -> Result<()> {
    let Some((_lan, mut domain)) = agreeing(makes, Keeps::Nothing)? else { return Ok(()) };
    let mut readers = Vec::new();
    for station in 0..makes.len() {
        let mut reader = domain.login(station, "bob")?.client()?;
        reader.subscribe(("news", "*", "*"))?;
        readers.push(reader);
        everywhere(&domain, "news", "sent")?;
    }
    let mut expected = BTreeSet::new();
    for round in 0..rounds {
        let killed = round % makes.len();
        let living: Vec<usize> = (0..makes.len()).filter(|other| *other != killed).collect();
        let mut writers = Vec::new();
        for &station in &living {
            writers.push(domain.login(station, "alice")?.client()?);
        }
        let mut orders = Vec::new();
        for number in 0..50 {
            if number == 25 {
                domain.server(killed).kill()?;
            }
            for (writer, client) in writers.iter_mut().enumerate() {
                let text = format!("notice {round}.{writer}.{number}");
                orders.push((writer, client.begin(&["send", "news", "today", "", &text])?, text));
            }
        }
        for (writer, order, text) in orders {
            let outcome = writers.get(writer).context("no such writer")?.outcome(order)?;
            ensure!(outcome == "sent", "{text}: {outcome}\n{}", domain.said());
            expected.insert(text);
        }
        domain.start(killed)?;
        everywhere(&domain, "news", "sent")?;
    }
    for (number, reader) in readers.iter().enumerate() {
        for text in &expected {
            reader.receive(text).with_context(|| format!("reader {number}"))?;
        }
        let counts = counts(&reader.received());
        ensure!(counts.values().all(|&count| count == 1), "twice at reader {number}: {counts:?}");
    }
    Ok(())
}

/// A host manager is told where to go by a server that ends, and goes there at once.
///
/// # Errors
/// When it is not so.
pub fn one_that_ends_sends_its_hosts_away(makes: &[Make], host_manager: Make) -> Result<()> {
    let Some((lan, mut domain)) = agreeing(makes, Keeps::Nothing)? else { return Ok(()) };
    let station = domain.add_station(&lan, host_manager, &(0..makes.len()).collect::<Vec<_>>())?;
    let mut bob = domain.login(1, "bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    let mut writer = domain.login(station, "alice")?.client()?;
    becomes(&mut writer, "news", "sent")?;
    domain.server(0).stop()?;
    ensure!(writer.send("news", "today", "", "by the other")? == "sent", "not sent by the other");
    bob.receive("by the other").map(drop)
}
