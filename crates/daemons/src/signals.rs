//! Signals of a daemon.

use std::io;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A request to the daemon by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// INT or TERM, with its number.
    Stop(i32),
    /// HUP.
    Reload,
    /// USR1.
    DebugOn,
    /// USR2.
    DebugOff,
}

/// The signals since this was made, one at a time.
pub(crate) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next signal. Nothing is lost when this is cancelled.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop(SignalKind::interrupt().as_raw_value()),
            _ = self.terminate.recv() => Signal::Stop(SignalKind::terminate().as_raw_value()),
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.user1.recv() => Signal::DebugOn,
            _ = self.user2.recv() => Signal::DebugOff,
        }
    }
}
