//! Waiting for a condition by polling, with a time limit.

use anyhow::{Result, bail};
use std::{
    thread,
    time::{Duration, Instant},
};

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `probe` repeatedly until it gives a value, for at most `within`.
///
/// # Errors
///
/// Those of `probe` at once; or that `what` did not happen in time.
pub fn wait_until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {within:?}");
        }
        thread::sleep(POLL_INTERVAL);
    }
}
