//! The KDCs that a test runs on: a container where a Docker engine answers, and always a native one.

use anyhow::Result;
use zephyr_testkit::{container, realm::Engine};

/// Runs `scenario` on a native KDC.
///
/// # Errors
/// Those of the scenario.
pub fn natively(scenario: impl FnOnce(Engine) -> Result<()>) -> Result<()> {
    scenario(Engine::Native)
}

/// Runs `scenario` on a KDC in a container, or says why not.
///
/// That is no error even in continuous integration (`CI=true`), because not every machine can have a Docker engine;
/// `cargo xtask test` says that such tests are skipped. Each has a twin that runs [`natively`].
///
/// # Errors
/// Those of the scenario.
pub fn in_a_container(scenario: impl FnOnce(Engine) -> Result<()>) -> Result<()> {
    if !container::engine_answers() {
        eprintln!("skipped: no Docker engine answers");
        return Ok(());
    }
    scenario(Engine::Container)
}
