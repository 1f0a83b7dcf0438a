//! Tests in an environment of their own: libkrb5 takes its settings from variables, which a process with threads cannot
//! change.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub(crate) mod foreign;
pub(crate) mod forge;
pub(crate) mod pure;
pub(crate) mod vectors;

use std::{env, ffi::OsStr, process::Command};

const INSIDE: &str = "ZEPHYR_TEST_INSIDE";

/// True in the process that [`rerun`] starts.
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs the test called `name` again, in a process with these variables; fails when it fails there.
pub(crate) fn rerun<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    name: &str,
    environment: impl IntoIterator<Item = (K, V)>,
) -> anyhow::Result<()> {
    let output = Command::new(env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .envs(environment)
        .env(INSIDE, "1")
        .output()?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    anyhow::ensure!(output.status.success(), "inside {name}, {}: {said}", output.status);
    anyhow::ensure!(said.contains("1 passed"), "there is no test {name}: {said}");
    Ok(())
}
