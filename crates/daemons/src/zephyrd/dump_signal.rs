//! A state dump on SIGFPE, as C servers make one.
//!
//! It is blocked, and a thread of its own waits for it: a handler for it cannot be had safely, because the same signal
//! also tells of faulty arithmetic. Such a fault of the program itself ends it as before.

use nix::sys::signal::{SigSet, Signal};
use std::{io, sync::Arc, thread};
use tokio::sync::Notify;

/// The requests to write a dump.
pub(super) struct DumpSignal(Arc<Notify>);

impl DumpSignal {
    /// Starts waiting for the signal; several at once are one. To be called before there are other threads, which must
    /// inherit that the signal is blocked.
    pub(super) fn new() -> io::Result<Self> {
        let mut requests = SigSet::empty();
        requests.add(Signal::SIGFPE);
        requests.thread_block()?;
        let notify = Arc::new(Notify::new());
        let noticed = notify.clone();
        thread::Builder::new().name("dump signal".to_owned()).spawn(move || {
            while requests.wait().is_ok() {
                noticed.notify_one();
            }
        })?;
        Ok(Self(notify))
    }

    /// Waits for the next request. Nothing is lost when this is cancelled.
    pub(super) async fn next(&self) {
        self.0.notified().await;
    }
}
