//! All checks that must pass before a change lands.

use crate::{
    cargo::{cargo, has, step},
    completions, demo, fuzz, setup, zwgc_vectors,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;
use zephyr_testkit::{container, heimdal, packages, realm::KDC_VARIABLE, reference};

/// How long each fuzz target runs within the tests.
const FUZZ_SECONDS: u32 = 5;

#[derive(Args)]
pub(crate) struct Options {
    /// Where test KDCs run, for tests that do not say it themselves: container or native.
    #[arg(long, value_name = "HOW", value_parser = ["container", "native"])]
    kdc: Option<String>,
}

/// Installs, checks, builds, tests.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut wanted = vec![packages::BUILD, packages::KERBEROS_CLIENT, packages::KDC, packages::REFERENCE];
    wanted.extend([packages::HEIMDAL, packages::SITES, packages::NAME_SERVER, packages::COSTS]);
    let docker = container::engine_answers();
    if docker {
        wanted.push(packages::CONTAINER);
    }
    setup::ensure(&wanted)?;

    step("formatting", cargo(["fmt", "--all", "--check"]))?;
    step("lints", cargo(["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    let mut doc = cargo(["doc", "--quiet", "--workspace", "--no-deps", "--locked"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step("documentation", doc)?;
    if has("deny") {
        step("licences and sources of dependencies", cargo(["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        println!(
            "── licences of dependencies: not checked, for want of cargo-deny (cargo install --locked cargo-deny)"
        );
    }

    step("building", cargo(["build", "--quiet", "--workspace", "--bins", "--locked"]))?;
    if docker {
        println!("── the KDC's image: {}", container::image()?);
    }
    completions::check()?;
    tell_what_is_skipped(docker);
    let mut tests = if has("nextest") {
        cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
    } else {
        cargo(["test", "--quiet", "--workspace", "--locked", "--no-fail-fast"])
    };
    if let Some(kdc) = &options.kdc {
        tests.env(KDC_VARIABLE, kdc);
    }
    step("tests", tests)?;
    vectors(None)?;
    if reference::available().is_ok() {
        zwgc_vectors::run(&zwgc_vectors::Options::default())?;
    }
    costs(None)?;
    demo::show_all()?;
    fuzz::run(FUZZ_SECONDS)
}

/// Says which tests will pass without having run, and why: the same reasons for which they do. With `CI=true` those
/// that want the C programs or Heimdal fail instead; those that want a container are skipped there, too, because not
/// every machine can have a Docker engine, and each has a twin that runs on a native KDC.
fn tell_what_is_skipped(docker: bool) {
    if !docker {
        println!("── tests on a KDC in a container: skipped, for want of a Docker engine");
    }
    if let Err(reason) = reference::available() {
        println!("── tests with the C programs: not run: {reason:#}");
    }
    if let Err(reason) = heimdal::folder() {
        println!("── tests with Heimdal: not run: {reason:#}");
    }
}

/// Counts what each kind of packet costs, or those with a word in their names; an error when one costs too much.
pub(crate) fn costs(word: Option<&str>) -> Result<()> {
    setup::ensure(&[packages::BUILD, packages::COSTS])?;
    let build = ["build", "--quiet", "--locked", "--profile", "costs", "--package", "zephyr-costs"];
    step("building what counts instructions", cargo(build))?;
    let mut command = cargo(["run", "--quiet", "--locked", "--profile", "costs", "--package", "zephyr-costs", "--"]);
    command.args(word);
    step("the costliest packet", command)
}

/// Runs the golden vectors of `dir`, or the project's own.
pub(crate) fn vectors(dir: Option<PathBuf>) -> Result<()> {
    setup::ensure(&[packages::BUILD])?;
    let mut command = cargo(["run", "--quiet", "--locked", "--package", "zephyr-vectors", "--"]);
    if let Some(dir) = dir {
        command.arg(std::path::absolute(dir)?);
    }
    // Its own last line is the result.
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("golden vectors: {status}");
    }
    Ok(())
}
