//! Instructions, counted by valgrind.

use crate::{PACKETS, cases::Case};
use anyhow::{Context, Result, bail};
use std::{
    env,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// The instructions of each case, per packet or per whatever it is counted by.
pub(crate) fn all(cases: &[&Case]) -> Result<Vec<f64>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, f64)>> {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(number) else { return Ok(done) };
            done.push((number, cost(case).with_context(|| case.name())?));
        }
    };
    let mut costs = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut costs = Vec::new();
        for worker in workers {
            costs.extend(worker.join().expect("no worker panics")?);
        }
        anyhow::Ok(costs)
    })?;
    costs.sort_by_key(|(number, _)| *number);
    Ok(costs.into_iter().map(|(_, cost)| cost).collect())
}

#[expect(clippy::cast_precision_loss, reason = "instructions, in the millions")]
fn cost(case: &Case) -> Result<f64> {
    let (once, twice) = (instructions(case, PACKETS)?, instructions(case, 2 * PACKETS)?);
    let packets = twice.checked_sub(once).context("twice as many packets took less")?;
    Ok(packets as f64 / (PACKETS * case.units) as f64)
}

/// The instructions of a run with so many packets, from the start of the program to its end.
fn instructions(case: &Case, packets: usize) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe()?).args(["--run", &case.name(), &packets.to_string()]);
    let output = valgrind.output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}: {said}", output.status);
    }
    let count = said.lines().find_map(|line| line.split_once("I   refs:").or_else(|| line.split_once("I refs:")));
    let (_, count) = count.with_context(|| format!("valgrind counts nothing: {said}"))?;
    Ok(count.trim().replace(',', "").parse()?)
}
