//! The end of a thread that shows notices, as whoever gives them to it is told.

use std::future::pending;
use tokio::sync::oneshot;
use zephyr_output::Unwritten;

/// Why nothing can be shown any more.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The reader has closed the pipe.
    NobodyReads,
    /// What was to be shown cannot be written.
    Unwritten(Unwritten),
}

/// What a thread says when it ends: nothing, when it was to end.
pub(crate) struct Ending {
    /// `None` once it was told.
    end: Option<oneshot::Receiver<Option<Ended>>>,
}

impl Ending {
    pub(crate) const fn new(end: oneshot::Receiver<Option<Ended>>) -> Self {
        Self { end: Some(end) }
    }

    /// Waits until nothing can be shown any more; told once. Cancel safe.
    pub(crate) async fn told(&mut self) -> Ended {
        let Some(end) = &mut self.end else { return pending().await };
        let reason = end.await;
        self.end = None;
        match reason {
            Ok(Some(reason)) => reason,
            _ => pending().await,
        }
    }

    /// Waits for the thread's end.
    pub(crate) async fn come(self) {
        if let Some(end) = self.end {
            let _ = end.await;
        }
    }
}
