//! zwrite beside C's, line by line; and what it says to programs.

use anyhow::{Result, ensure};
use zephyr_e2e::{
    person::{Make, Person, TIMEOUT},
    stack::Stack,
    transcript::{Bench, Run},
};
use zephyr_testkit::realm::{Engine, RealmOptions};

/// Command lines of alice, and what is typed into a pipe.
const COMMANDS: [(&[&str], &str); 27] = [
    (&["bob", "-m", "hello"], ""),
    (&["-v", "bob", "-m", "hello"], ""),
    (&["-q", "bob", "-m", "hello"], ""),
    (&["-d", "bob", "-m", "hello"], ""),
    (&["-v", "-d", "bob", "-m", "hello"], ""),
    (&["bob"], "a line\n.\nanother\n"),
    (&["bob"], ""),
    (&["bob", "carol"], "hello\n"),
    (&["carol", "bob", "-m", "hello"], ""),
    (&["-C", "bob", "bob", "-m", "hello"], ""),
    (&["carol"], "hello\n"),
    (&["-v", "carol", "-m", "hello"], ""),
    (&["-q", "carol", "-m", "hello"], ""),
    (&["-n", "carol"], "hello\n"),
    (&["-c", "nobody", "-m", "hello"], ""),
    (&["-c", "nobody", "-i", "here", "-m", "hello"], ""),
    (&["-c", "nobody", "bob", "-m", "hello"], ""),
    (&["-i", "nobody", "-m", "hello"], ""),
    (&["-c", "MESSAGE", "-i", "urgent", "-m", "hello"], ""),
    (&["-u", "bob", "-m", "hello"], ""),
    (&["-O", "AUTO", "bob", "-m", "hello"], ""),
    (&["-s", "", "-t", "bob", "-m", "a\tb"], ""),
    (&["-r", "ELSEWHERE", "bob", "-m", "hello"], ""),
    (&["-o", "bob", "-m", "hello"], ""),
    (&["*", "-m", "hello"], ""),
    (&["-S", "eve", "bob", "-m", "hello"], ""),
    (&["-f", "no.such.host:x", "-m", "hello"], ""),
];

/// Command lines that are wrong. Ours says in a last line what is wrong.
const WRONG: [&[&str]; 8] = [
    &[],
    &["-z", "bob"],
    &["-nv", "bob"],
    &["bob", "-m"],
    &["-c"],
    &["-f", "host", "-c", "x"],
    &["-m", "hello"],
    &["-u"],
];

/// Somebody who is there, and of whose zwgc C's finds nothing wrong.
fn with_bob(bench: &Bench) -> Result<(Person, zephyr_testkit::process::Daemon)> {
    let bob = bench.person("bob", Make::Ours)?;
    let zwgc = bob.zwgc(&[])?;
    Ok((bob, zwgc))
}

#[test]
fn every_line_is_that_of_c() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let _bob = with_bob(&bench)?;
    let alice = bench.person("alice", Make::Ours)?;
    for (arguments, input) in COMMANDS {
        let [c, mut ours] = bench.both(&alice, &Run { program: "zwrite", arguments, input, files: &[] })?;
        // What our server says besides its answer, C's zwrite does not show.
        let words = ours.stderr.iter().position(|line| line == "zwrite: this server knows no realm ELSEWHERE");
        ensure!(words.is_some() == arguments.contains(&"ELSEWHERE"), "{arguments:?}: {ours:#?}");
        words.map(|line| ours.stderr.remove(line));
        ensure!(c == ours, "{arguments:?}: C {c:#?}, ours {ours:#?}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_said_after_the_usage() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?;
    for arguments in WRONG {
        let [c, ours] = bench.both(&alice, &Run { program: "zwrite", arguments, input: "", files: &[] })?;
        ensure!(
            (c.status, ours.status) == (Some(1), Some(1)) && ours.stdout.is_empty(),
            "{arguments:?}: {c:?} {ours:?}"
        );
        let [c, ours] =
            [&c, &ours].map(|said| said.stderr.iter().find(|line| line.contains("sage: zwrite ")).is_some());
        ensure!(c && ours, "{arguments:?}");
    }
    Ok(())
}

/// An object for each destination, and nothing else on standard output.
#[test]
fn programs_are_told_what_became_of_a_message() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc(&[])?;
    let said = alice.zwrite_with_input(&["--json", "bob", "carol"], "Grüße\n".as_bytes())?;
    zwgc.wait_for(TIMEOUT, |line| line.trim() == "Grüße")?;
    let expected = |recipient: &str, status: &str| {
        format!(
            "{{\"recipient\":\"{recipient}\",\"class\":\"MESSAGE\",\"instance\":\"PERSONAL\",\"authenticated\":true,\"status\":\"{status}\"}}"
        )
    };
    let lines: Vec<&str> = said.stdout.lines().collect();
    ensure!(lines == [expected("bob", "sent"), expected("carol", "nobody")] && said.status.success(), "{said}");
    let said = alice.zwrite(&["--json", "-U", "-c", "x", "-m", "hello"])?;
    ensure!(said.stdout.trim_end().ends_with("\"status\":\"queued\"}") && said.status.success(), "{said}");
    let said = alice.zwrite(&["--json", "carol", "-m", "hello"])?;
    ensure!(said.stdout.contains("\"nobody\"") && said.status.code() == Some(1) && said.stderr.is_empty(), "{said}");
    let said = alice.clone().with_variable("KRB5CCNAME", "/nowhere").zwrite(&["--json", "bob", "-m", "hello"])?;
    ensure!(said.stdout.contains("\"status\":\"failed\",\"message\":") && said.status.code() == Some(1), "{said}");
    ensure!(said.stderr.contains("while sending notice to bob"), "{said}");
    Ok(())
}
