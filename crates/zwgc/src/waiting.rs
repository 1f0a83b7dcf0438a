//! What is said to whoever waits.

use std::{
    io::{IsTerminal as _, stderr},
    pin::pin,
    time::Duration,
};
use zephyr_output::complain;

/// How long nothing need be said about what is waited for.
const HINT_DELAY: Duration = Duration::from_secs(5);

/// Waits for something; whoever sits before a terminal is told what takes so long.
pub(crate) async fn telling<T>(awaited: &str, waiting: impl Future<Output = T>) -> T {
    let mut waiting = pin!(waiting);
    tokio::select! {
        done = &mut waiting => return done,
        () = tokio::time::sleep(HINT_DELAY), if stderr().is_terminal() => {}
    }
    complain!("zwgc: still waiting for {awaited}");
    waiting.await
}
