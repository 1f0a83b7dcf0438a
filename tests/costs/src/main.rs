//! The costliest packet: `costs` measures what each kind of packet costs a decoder or a machine, in instructions, and
//! fails when one costs more than ten times what a plain one costs there.
//!
//! Each case runs twice under valgrind, with N and with 2N packets: what they differ by is what N packets cost, without
//! the start and without the state that was made before. Instructions and not time, so that it says the same on any
//! machine and under any load. `costs WORD` measures only the cases whose names have the word.
//!
//! What a packet makes somebody do once for each thing that others, or its sender, had to make before and had to be
//! granted room for, is counted per thing: a notice for each of its readers, CLEARSUB for each subscription of the client,
//! FLUSHSUBS for each client, a list for each of its entries, SUBSCRIBE and UNSUBSCRIBE for each subscription that they
//! really make and end. Those who sent the packets for that were counted for them, and the bounds say how many there can
//! be. Everything else is counted per packet, however long its lists are.
//!
//! Verifying a proof is outside of this: it is paid for by `proofs-per-second`, where a failed one counts as ten. What is
//! done before it, down to the strict reading of the AP-REQ, is in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark of what tests have checked"
)]

mod cases;
mod measure;
mod packets;

use anyhow::{Context, Result, bail};
use cases::Case;
use std::{env, process::ExitCode};

/// How many times as much as a plain packet another may cost.
pub(crate) const MAX_RATIO: f64 = 10.0;
/// Packets that a case is given once, and twice.
pub(crate) const PACKETS: usize = 48;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["--run", name, count] => run(name, count),
        [] => judge(""),
        [word] => judge(word),
        _ => Err(anyhow::anyhow!("usage: costs [WORD]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives a case so many packets: what valgrind looks at.
fn run(name: &str, count: &str) -> Result<()> {
    let case = cases::all().into_iter().find(|case| case.name() == name).context("no such case")?;
    let count: usize = count.parse()?;
    let mut give = (case.prepare)();
    (0..count).for_each(&mut *give);
    // What was made for it is left to the system: freeing it is no packet's work.
    std::mem::forget(give);
    Ok(())
}

/// Measures the cases whose names have a word, prints what they cost, and fails when one costs too much.
fn judge(word: &str) -> Result<()> {
    let cases = cases::all();
    let wanted: Vec<&Case> = cases.iter().filter(|case| case.is_plain || case.name().contains(word)).collect();
    let costs = measure::all(&wanted)?;
    let plain = |of: &str| {
        let found = wanted.iter().zip(&costs).find(|(case, _)| case.is_plain && case.of == of);
        found.map_or(f64::NAN, |(_, cost)| *cost)
    };
    let mut beyond = Vec::new();
    println!("{:<72} {:>12} {:>7}", "packet", "instructions", "ratio");
    for (case, cost) in wanted.iter().zip(&costs) {
        let ratio = cost / plain(case.of);
        let per = if case.per == "packet" { String::new() } else { format!(", per {}", case.per) };
        println!("{:<72} {cost:>12.0} {ratio:>7.2}", format!("{}{per}", case.name()));
        // Not a number would be no good either.
        let is_within = ratio <= MAX_RATIO;
        if !is_within {
            beyond.push(case.name());
        }
    }
    if !beyond.is_empty() {
        bail!("more than {MAX_RATIO} times what a plain packet costs: {}", beyond.join(", "));
    }
    Ok(())
}
