//! `vectors [DIR]`: runs the vector files of a folder, the project's own by default.

use anyhow::Result;
use std::{path::PathBuf, process::ExitCode};
use zephyr_vectors::run;

fn main() -> Result<ExitCode> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data");
    let report = run(&std::env::args_os().nth(1).map_or(own, PathBuf::from))?;
    for skipped in &report.skipped {
        println!("skipped: {}: {}", skipped.case, skipped.text);
    }
    for failed in &report.failed {
        println!("FAILED: {}: {}", failed.case, failed.text);
    }
    println!("{} passed, {} failed, {} skipped", report.passed, report.failed.len(), report.skipped.len());
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
