//! Fuzzing: libFuzzer with the compiler's own coverage feedback, which needs neither nightly nor `cargo fuzz`.

use crate::{
    cargo::{cargo, step, top},
    setup,
};
use anyhow::{Context, Result, bail};
use std::{fs, path::Path, process::Command};
use zephyr_testkit::packages;

/// Inputs that tests have, from which a target begins.
const SEEDS: [(&str, &str); 3] = [
    ("policy", "crates/domain/tests/corpus"),
    ("description", "crates/windowgram/descriptions"),
    ("interpreter", "crates/windowgram/descriptions"),
];

/// What makes the compiler count which parts of the code an input reaches.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Runs every target for so many seconds; what it finds interesting is kept in `fuzz/corpus`.
pub(crate) fn run(seconds: u32) -> Result<()> {
    setup::ensure(&[packages::BUILD])?;
    let folder = top().join("fuzz");
    let version = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let version = String::from_utf8_lossy(&version.stdout);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let mut build = cargo(["build", "--quiet", "--locked", "--release", "--target", host, "--target-dir", "target"]);
    // With --target the flags are not used for build scripts, which could not be linked with them.
    build.current_dir(&folder).env("RUSTFLAGS", COVERAGE).env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    step("building the fuzz targets", build)?;
    for target in &targets(&folder.join("fuzz_targets"))? {
        let corpus = folder.join("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        let mut fuzz = Command::new(folder.join("target").join(host).join("release").join(target));
        fuzz.current_dir(&folder).arg(format!("-max_total_time={seconds}"));
        fuzz.args(["-max_len=1500", "-verbosity=0", "-print_final_stats=1"]).arg(corpus);
        let seeds = SEEDS.iter().filter(|(seeded, _)| seeded == target);
        fuzz.args(seeds.map(|(_, seeds)| top().join(seeds)));
        step(&format!("fuzzing {target} for {seconds} s"), fuzz)?;
    }
    Ok(())
}

/// The programs, one for each decoder, by the names of their files.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    if targets.is_empty() {
        bail!("no fuzz targets in {}", folder.display());
    }
    Ok(targets)
}
