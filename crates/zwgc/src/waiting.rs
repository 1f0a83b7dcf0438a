//! What is said to whoever waits.

use std::{
    io::{IsTerminal as _, stderr},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use zephyr_output::complain;

/// How long nothing need be said about what is waited for.
const HINT_DELAY: Duration = Duration::from_secs(5);

/// Whether somebody waits for this program.
static IS_AWAITED: AtomicBool = AtomicBool::new(true);

/// From now on nobody waits for this program, as it is in the background.
pub(crate) fn nobody_waits() {
    IS_AWAITED.store(false, Ordering::Relaxed);
}

/// Waits for something; whoever sits before a terminal is told what takes so long.
pub(crate) async fn telling<T>(awaited: &str, waiting: impl Future<Output = T>) -> T {
    let mut waiting = pin!(waiting);
    tokio::select! {
        done = &mut waiting => return done,
        () = tokio::time::sleep(HINT_DELAY), if stderr().is_terminal() => {}
    }
    if IS_AWAITED.load(Ordering::Relaxed) {
        complain!("zwgc: still waiting for {awaited}");
    }
    waiting.await
}
