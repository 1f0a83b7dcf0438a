//! zaway beside the C program: what is answered, how, and what both say.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;
use zephyr_e2e::{
    listener::{Listener, Origin, Received},
    person::{Make, Person, TIMEOUT},
    transcript::{Bench, Run},
};
use zephyr_testkit::{deadline::wait_until, process::Daemon};

const BOTH: [Make; 2] = [Make::C, Make::Ours];

/// Somebody who is away, and another who writes and listens.
struct Stage {
    bench: Bench,
    bob: Person,
    answers: Listener,
}

impl Stage {
    fn open() -> Result<Option<Self>> {
        let Some(bench) = Bench::open()? else { return Ok(None) };
        let bob = bench.person("bob", Make::Ours)?;
        let answers = bob.listen(&[("message", "*", &bob.recipient())])?;
        Ok(Some(Self { bench, bob, answers }))
    }

    /// Alice's zaway, once it has subscribed.
    fn away(&self, make: Make, arguments: &[&str]) -> Result<Daemon> {
        let alice = self.bench.person("alice", make)?;
        let mut command = alice.command(make.program("zaway")?);
        command.args(arguments).env("RUST_LOG", "zephyr_tools=debug");
        let zaway = Daemon::spawn(command, alice.home().join("zaway.log"))?;
        let is_reached = || {
            let ping = self.bob.zwrite(&["-q", "-O", "PING", &alice.recipient(), "-m", ""])?;
            Ok(ping.status.success().then_some(()))
        };
        wait_until("zaway subscribed", TIMEOUT, is_reached)
            .with_context(|| format!("zaway said:\n{}", zaway.transcript().text()))?;
        Ok(zaway)
    }

    fn write(&self, arguments: &[&str]) -> Result<()> {
        self.bob.send(&[&["alice"], arguments].concat()).map(drop)
    }

    /// The answers that have come when a message of bob's to himself has come.
    fn answers(&self, mark: &str) -> Result<Vec<Received>> {
        self.bob.send(&["bob", "-m", mark])?;
        let all = self.answers.all_before(mark)?;
        Ok(all.into_iter().filter(|received| received.sender.starts_with("alice@")).collect())
    }
}

/// Ends it as its user would, and gives the exit status.
fn end(mut zaway: Daemon, signal: Signal) -> Result<(Option<i32>, String)> {
    zaway.signal(signal)?;
    let status = zaway.wait_for_end(TIMEOUT)?;
    Ok((status.code(), zaway.transcript().text()))
}

#[test]
fn answers_are_those_of_c_with_proof() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    let file = stage.bob.home().join("away");
    let path = file.to_string_lossy().into_owned();
    let files = [
        (">bob\nOne: hi bob\n>%\nunknown\n>*\ncommon\n", "One: hi bob\ncommon\n\0"),
        (">carol\n>bob@ELSEWHERE\nTwo: no end", "Two: no end\0"),
        ("before\n>tony\nx\n>%\nThree: unknown\n\n>%\nno more\n", "Three: unknown\n\n\0"),
    ];
    for (contents, text) in files {
        fs::write(&file, contents)?;
        let mut bodies = Vec::new();
        for make in BOTH {
            let zaway = stage.away(make, &[&path])?;
            stage.write(&["-i", "lunch", "-m", "are you there?"])?;
            // What a listener has had before is of the other make.
            let answer = wait_until("an answer", TIMEOUT, || {
                let answers = stage.answers.all().into_iter().filter(|answer| answer.body.ends_with(text.as_bytes()));
                Ok(answers.skip(bodies.len()).last())
            })?;
            ensure!(answer.body == [b"Automated reply:\0", text.as_bytes()].concat(), "{answer:?}");
            let (status, said) = end(zaway, Signal::SIGTERM)?;
            ensure!(said.is_empty(), "{said}");
            let (origin, expected) = match make {
                Make::C => (Origin::Unauthenticated, 1),
                Make::Ours => (Origin::Authentic, 0),
            };
            ensure!((answer.origin, status) == (origin, Some(expected)), "{make:?}: {answer:?}, {status:?}");
            bodies.push(Received { origin: Origin::Unauthenticated, ..answer });
        }
        ensure!(bodies.first() == bodies.last(), "{bodies:?}");
    }
    Ok(())
}

#[test]
fn programs_are_not_answered_and_nobody_twice() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    let carol = stage.bench.person("carol", Make::Ours)?;
    let others = carol.listen(&[("message", "*", &carol.recipient())])?;
    for make in BOTH {
        let text = format!("gone, says {make:?}");
        let zaway = stage.away(make, &["-m", &text])?;
        for unanswered in [&["-O", "AUTO", "-m", "x"][..], &["-s", "Automated reply:", "-m", "x"]] {
            stage.write(unanswered)?;
        }
        stage.write(&["-m", "one"])?;
        stage.answers.receive(&(text.clone() + "\0"))?;
        stage.write(&["-m", "two"])?;
        // In order: when this is answered, the others were, or never will be.
        stage.write(&["-S", &carol.recipient(), "-m", "and me?"])?;
        others.receive(&(text.clone() + "\0"))?;
        let (status, said) = end(zaway, Signal::SIGINT)?;
        ensure!(said.is_empty(), "{said}");
        ensure!(status == Some(i32::from(make == Make::C)), "{status:?}");
        let answers = stage.answers(&format!("end of {make:?}"))?;
        let count = answers.iter().filter(|answer| answer.message().contains(&text)).count();
        ensure!(count == if make == Make::C { 2 } else { 1 }, "{make:?}: {answers:?}");
    }
    Ok(())
}

#[test]
fn what_both_say() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?;
    for arguments in [&["-z"][..], &["-m"], &["-wz"], &["/nonexistent"], &["-m", "x", "/nonexistent"]] {
        let [c, ours] = bench.both(&alice, &Run { program: "zaway", arguments, ..Run::default() })?;
        ensure!(c == ours && c.status == Some(1), "{arguments:?}: {c:?} {ours:?}");
    }
    let run = Run { program: "zaway", arguments: &["-h"], ..Run::default() };
    let [c, ours] = bench.both(&alice, &run)?;
    ensure!(c.status == Some(0) && ours.status == Some(0));
    // More options, and more words about them.
    let options: Vec<&String> = c.stdout.iter().filter(|line| !line.contains("-h ")).collect();
    ensure!(options.iter().all(|line| ours.stdout.contains(line)), "{c:?} {ours:?}");
    // C answers nobody then, and says nothing.
    let ours = bench.run(&alice, Make::Ours, &Run { arguments: &["/"], ..run })?;
    ensure!(ours.status == Some(1) && ours.stderr == ["zaway: /: this is a directory, not a file"], "{ours:?}");
    Ok(())
}

#[test]
fn without_tickets_it_does_not_begin() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?.with_variable("KRB5CCNAME", "FILE:/nonexistent");
    let [c, ours] = bench.both(&alice, &Run { program: "zaway", arguments: &["-m", "x"], ..Run::default() })?;
    ensure!((c.status, ours.status) == (Some(1), Some(1)), "{c:?} {ours:?}");
    ensure!(c.stderr.first() == ours.stderr.first(), "{c:?} {ours:?}");
    Ok(())
}

#[test]
fn who_is_there_is_not_answered_for() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    let alice = stage.bench.person("alice", Make::Ours)?;
    // His own location is shown to himself, who has proven it, and C's zaway asks without.
    fs::write(alice.home().join(".zephyr.vars"), "exposure = realm-visible\n")?;
    let carol = stage.bench.person("carol", Make::Ours)?;
    let others = carol.listen(&[("message", "*", &carol.recipient())])?;
    let zaway = stage.away(Make::Ours, &["-w", "-m", "gone"])?;
    // What reaches alice may reach zaway alone: only zwgc has this class.
    let zwgc = alice.zwgc(&[("there", "*", "*")])?;
    let is_there = || Ok(carol.zwrite(&["-q", "-c", "there", "-m", "x"])?.status.success().then_some(()));
    wait_until("zwgc subscribed", TIMEOUT, is_there)?;
    carol.send(&["alice", "-m", "are you there?"])?;
    zaway.wait_for(TIMEOUT, |line| line.contains("not answered: the user is there"))?;
    drop(zwgc);
    let unlocated = || {
        let found = alice.with(Make::C).run("zlocate", &["alice"])?;
        Ok(found.stdout.contains("Hidden or not logged-in").then_some(()))
    };
    wait_until("alice gone", TIMEOUT, unlocated)?;
    stage.write(&["-m", "and now?"])?;
    stage.answers.receive("gone\0")?;
    carol.send(&["carol", "-m", "end"])?;
    let answers = others.all_before("end")?;
    ensure!(answers.is_empty(), "{answers:?}");
    end(zaway, Signal::SIGTERM)?;
    Ok(())
}
