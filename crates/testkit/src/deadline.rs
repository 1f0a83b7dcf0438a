//! Waiting for a condition that nothing announces, never longer than allowed.

use anyhow::{Result, bail};
use std::{
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` again and again until it answers with a value, for at most `within`.
///
/// # Errors
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
        thread::sleep(PAUSE);
    }
}
