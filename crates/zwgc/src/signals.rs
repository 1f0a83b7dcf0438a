//! The signals that end the program, and those that do not (zwgc, section 6).

use crate::background::Background;
use nix::sys::signal::{SigSet, Signal as Number};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Lets a program in the background not be stopped by what is typed at its terminal, nor by writing to it. To be called before there
/// are threads. They are blocked and not ignored, so programs that it starts are as usual.
pub(crate) fn block_those_of_terminal() -> io::Result<()> {
    let blocked = [Number::SIGQUIT, Number::SIGTSTP, Number::SIGTTOU];
    Ok(blocked.into_iter().collect::<SigSet>().thread_block()?)
}

/// The signals that end the program cleanly.
pub(crate) struct Signals<'a> {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    background: &'a Background,
}

impl<'a> Signals<'a> {
    pub(crate) fn new(background: &'a Background) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            background,
        })
    }

    /// Waits for one that ends the program. In the background INT does not, as it is meant for what is in the foreground.
    pub(crate) async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {
                    if !self.background.is_there() {
                        return;
                    }
                }
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => return,
            }
        }
    }
}
