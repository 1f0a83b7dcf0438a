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

    /// Waits for an outcome. The host manager asks until the server answers, so that it was killed is no excuse.
    fn settle(&mut self, (order, told): (Order, Told), answered: &AtomicUsize) -> Result<()> {
        let outcome = self.client.outcome(order)?;
        answered.fetch_add(1, Ordering::Relaxed);
        let wanted = if matches!(told, Told::Send) { "sent" } else { "done" };
        ensure!(outcome == wanted, "{}: {outcome}", self.name);
        match told {
            Told::Subscribe(instance) => drop(self.held.insert(instance)),
            Told::Unsubscribe(instance) => drop(self.held.remove(&instance)),
            Told::Send => {}
        }
        Ok(())
    }

    /// Checks that the server has exactly what it has answered, and that notices come.
    fn check(&mut self, round: usize) -> Result<()> {
        let expected: BTreeSet<String> =
            self.held.iter().map(|instance| format!("{},{instance},*", self.name)).collect();
        let listed: BTreeSet<String> = self.client.subscriptions()?.into_iter().collect();
        let missing: Vec<_> = expected.difference(&listed).collect();
        let extra: Vec<_> = listed.difference(&expected).collect();
        ensure!(missing.is_empty() && extra.is_empty(), "{}: missing {missing:?}, extra {extra:?}", self.name);
        let text = format!("after round {round}");
        for instance in ["fixed", self.held.last().map_or("fixed", String::as_str)] {
            let text = format!("{text} to {instance}");
            let sent = self.client.send(&self.name, instance, "", &text)?;
            ensure!(sent == "sent", "{}: {text}: {sent}", self.name);
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
        let mut reader = Reader { client: person.client()?, name, held: BTreeSet::from(["fixed".to_owned()]) };
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
        // Once more, when nothing is under way: now all of it is from the disk.
        kill(&mut stack)?;
        stack.restart_zephyrd()?;
        for reader in &mut readers {
            reader.check(round).with_context(|| format!("after round {round}"))?;
        }
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
