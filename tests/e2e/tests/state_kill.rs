//! A server that keeps its state is killed, again and again, in the middle of what real clients tell it: what was answered is
//! there afterwards, and the clients do nothing for it.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::{
    collections::BTreeSet,
    fs,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use zephyr_e2e::{
    client::{Client, Order},
    person::TIMEOUT,
    stack::Stack,
};
use zephyr_testkit::{
    deadline::wait_until,
    realm::{Engine, Realm, RealmOptions},
};

const ROUNDS: usize = 50;
/// How many clients there are, and what each is told in a round: 1,000 orders in all.
const CLIENTS: usize = 8;
const ORDERS: usize = 125;
/// How many orders of a client are under way at a time.
const WINDOW: usize = 10;

/// A client, and what its server has answered that it has.
struct Reader {
    client: Client,
    name: String,
    /// The instances that it has subscribed to.
    held: BTreeSet<String>,
    /// Those of which that is not known, as their requests were not done.
    unknown: BTreeSet<String>,
    /// What it was told instead.
    refused: Vec<String>,
}

/// What a client has been told, until it is answered.
enum Told {
    Subscribe(String),
    Unsubscribe(String),
    Send,
}

impl Reader {
    /// Everything of one round; counts what is answered.
    fn work(&mut self, round: usize, answered: &AtomicUsize) -> Result<()> {
        let mut older: Vec<String> = self.held.iter().filter(|instance| *instance != "fixed").cloned().collect();
        let mut under_way: Vec<(Order, Told)> = Vec::new();
        for number in 0..ORDERS {
            if under_way.len() == WINDOW {
                self.settle(under_way.remove(0), answered)?;
            }
            let (order, told) = match number % 4 {
                0 => self.subscribe(format!("{round}.{number}"))?,
                1 if !older.is_empty() => self.unsubscribe(older.remove(0))?,
                3 if round == 0 => self.subscribe(format!("{round}.{number}"))?,
                _ => (self.client.begin(&["send", &self.name, "fixed", "", "one of many"])?, Told::Send),
            };
            under_way.push((order, told));
        }
        under_way.into_iter().try_for_each(|order| self.settle(order, answered))
    }

    fn subscribe(&mut self, instance: String) -> Result<(Order, Told)> {
        Ok((self.client.begin(&["subscribe", &self.name, &instance, "*"])?, Told::Subscribe(instance)))
    }

    fn unsubscribe(&mut self, instance: String) -> Result<(Order, Told)> {
        Ok((self.client.begin(&["unsubscribe", &self.name, &instance, "*"])?, Told::Unsubscribe(instance)))
    }

    /// Waits for an outcome. What is not done may be done in part: a server that was killed may not have answered what it did.
    fn settle(&mut self, (order, told): (Order, Told), answered: &AtomicUsize) -> Result<()> {
        let outcome = self.client.outcome(order)?;
        answered.fetch_add(1, Ordering::Relaxed);
        let is_answered = outcome == if matches!(told, Told::Send) { "sent" } else { "done" };
        if !is_answered {
            self.refused.push(outcome);
        }
        match told {
            Told::Subscribe(instance) if is_answered => drop(self.held.insert(instance)),
            Told::Unsubscribe(instance) if is_answered => drop(self.held.remove(&instance)),
            Told::Subscribe(instance) => drop(self.unknown.insert(instance)),
            Told::Unsubscribe(instance) => {
                self.held.remove(&instance);
                self.unknown.insert(instance);
            }
            Told::Send => {}
        }
        Ok(())
    }

    /// Checks that the server has exactly what it has answered, and that notices come.
    fn check(&mut self, round: usize) -> Result<()> {
        let name = &self.name;
        let listed = self.client.subscriptions()?;
        let instance = |line: &String| Some(line.strip_prefix(name)?.split(',').nth(1)?.to_owned());
        let listed: BTreeSet<String> = listed.iter().filter_map(instance).collect();
        let missing: Vec<_> = self.held.difference(&listed).collect();
        let extra: Vec<_> = listed.difference(&self.held).filter(|it| !self.unknown.contains(*it)).collect();
        ensure!(missing.is_empty() && extra.is_empty(), "{name}: missing {missing:?}, extra {extra:?}");
        self.held = listed;
        self.unknown.clear();
        for instance in ["fixed", self.held.last().map_or("fixed", String::as_str)] {
            let text = format!("after round {round} to {instance}");
            wait_until(&text, TIMEOUT, || {
                let sent = self.client.send(name, instance, "", &text)?;
                Ok((sent == "sent").then_some(()))
            })?;
            self.client.receive(&text)?;
        }
        Ok(())
    }
}

/// A domain whose server keeps its state.
fn stack() -> Result<(tempfile::TempDir, Stack)> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("etc");
    fs::create_dir(&config)?;
    let file = folder.path().join("state.db").display().to_string();
    fs::write(config.join("zephyr.toml"), format!("[state]\nfile = {file:?}\n"))?;
    let stack = Stack::configured(&config, Some(Realm::start_on(Engine::Native, RealmOptions::default())?))?;
    Ok((folder, stack))
}

fn kill(stack: &mut Stack) -> Result<()> {
    stack.zephyrd().signal(Signal::SIGKILL)?;
    stack.zephyrd().wait_for_end(TIMEOUT).map(drop)
}

#[test]
fn what_was_answered_survives_fifty_kills() -> Result<()> {
    let (_folder, mut stack) = stack()?;
    let mut readers = Vec::new();
    for number in 0..CLIENTS {
        let name = format!("class-{number}");
        let person = stack.login(["alice", "bob", "carol"][number % 3])?;
        let held = BTreeSet::from(["fixed".to_owned()]);
        let mut reader = Reader { client: person.client()?, name, held, unknown: BTreeSet::new(), refused: Vec::new() };
        reader.client.subscribe((&reader.name, "fixed", "*"))?;
        readers.push(reader);
    }
    for round in 0..ROUNDS {
        let answered = AtomicUsize::new(0);
        // In the middle: at another place in each run.
        let random = usize::try_from(RandomState::new().hash_one(round) % 800)?;
        thread::scope(|scope| -> Result<()> {
            let working: Vec<_> =
                readers.iter_mut().map(|reader| scope.spawn(|| reader.work(round, &answered))).collect();
            wait_until("the middle", TIMEOUT, || {
                let ended = working.iter().all(thread::ScopedJoinHandle::is_finished);
                Ok((ended || answered.load(Ordering::Relaxed) > 50 + random).then_some(()))
            })?;
            kill(&mut stack)?;
            stack.restart_zephyrd()?;
            working.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Ok(())))
        })
        .with_context(|| format!("round {round}"))?;
        if round % 10 == 9 {
            // Once more, when nothing is under way: now all of it is from the disk.
            kill(&mut stack)?;
            stack.restart_zephyrd()?;
        }
        for reader in &mut readers {
            reader.check(round).with_context(|| format!("after round {round}"))?;
        }
    }
    // Those that were under way at a kill may be refused, and no others: none is twice under way.
    let refused: Vec<&String> = readers.iter().flat_map(|reader| &reader.refused).collect();
    eprintln!("{} of {} requests were refused, such as: {:?}", refused.len(), ROUNDS * 1000, refused.first());
    ensure!(refused.len() <= ROUNDS * CLIENTS * WINDOW, "{} requests were refused", refused.len());
    Ok(())
}

/// Nobody notices that the server was killed and started again: what was under way then and what comes at once after it is done.
#[test]
fn a_kill_is_no_reason_to_refuse() -> Result<()> {
    let (_folder, mut stack) = stack()?;
    let mut bob = stack.login("bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    for round in 0..3 {
        kill(&mut stack)?;
        let under_way = bob.begin(&["subscribe", "talk", &format!("under way {round}"), "*"])?;
        stack.restart_zephyrd()?;
        let after = bob.begin(&["subscribe", "talk", &format!("after {round}"), "*"])?;
        for (order, what) in [(under_way, "under way"), (after, "after the restart")] {
            let outcome = bob.outcome(order)?;
            ensure!(outcome == "done", "{what}: {outcome}");
        }
        let sent = bob.send("news", "any", "", &format!("after kill {round}"))?;
        ensure!(sent == "sent", "{sent}");
        bob.receive(&format!("after kill {round}"))?;
    }
    Ok(())
}

/// A clean end keeps everything, too.
#[test]
fn what_was_answered_survives_an_end() -> Result<()> {
    let (_folder, mut stack) = stack()?;
    let mut bob = stack.login("bob")?.client()?;
    bob.subscribe(("news", "*", "*"))?;
    bob.subscribe(("talk", "*", "*"))?;
    bob.unsubscribe(("news", "*", "*"))?;
    stack.zephyrd().stop(TIMEOUT)?;
    stack.restart_zephyrd()?;
    ensure!(bob.subscriptions()? == ["talk,*,*"], "{:?}", bob.subscriptions()?);
    let mut alice = stack.login("alice")?.client()?;
    ensure!(alice.send("talk", "any", "", "after the end")? == "sent", "not sent");
    ensure!(alice.send("news", "any", "", "taken back")? == "nobody", "what was taken back is there");
    bob.receive("after the end").map(drop)
}
