//! Writing notices to standard output, on a thread of its own: a terminal that is stopped, or a reader who does not read, keeps the
//! program from nothing else.

use std::{future::pending, io, thread};
use tokio::sync::{mpsc, oneshot};
use zephyr_client::Received;
use zephyr_output::{Printed, Unwritten};

/// The maximum number of notices that wait to be written.
const MAX_WAITING: usize = 16;

/// Why nothing can be shown any more.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The reader has closed the pipe.
    NobodyReads,
    /// What was to be shown cannot be written.
    Unwritten(Unwritten),
}

/// Writes notices to standard output.
pub(crate) struct Writer {
    waiting: mpsc::Sender<Received>,
    /// `None` once it was given.
    end: Option<oneshot::Receiver<Option<Ended>>>,
}

impl Writer {
    /// Starts the thread that writes each notice as `render` has it.
    ///
    /// # Errors
    ///
    /// When the system has no thread.
    pub(crate) fn start(render: impl FnMut(&Received) -> String + Send + 'static) -> io::Result<Self> {
        Self::start_with(render, zephyr_output::print)
    }

    fn start_with(
        mut render: impl FnMut(&Received) -> String + Send + 'static,
        mut print: impl FnMut(String) -> Result<Printed, Unwritten> + Send + 'static,
    ) -> io::Result<Self> {
        let (waiting, mut notices) = mpsc::channel::<Received>(MAX_WAITING);
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("writer".to_owned()).spawn(move || {
            let reason = loop {
                let Some(received) = notices.blocking_recv() else { break None };
                match print(render(&received)) {
                    Ok(Printed::Written) => {}
                    Ok(Printed::NobodyReads) => break Some(Ended::NobodyReads),
                    Err(error) => break Some(Ended::Unwritten(error)),
                }
            };
            // The program may have ended.
            let _ = ended.send(reason);
        })?;
        Ok(Self { waiting, end: Some(end) })
    }

    /// Has a notice written; waits while too many wait already.
    pub(crate) async fn show(&self, received: Received) {
        // Where nothing can be written any more, the end says so.
        let _ = self.waiting.send(received).await;
    }

    /// Waits until nothing can be written any more. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        let Some(end) = &mut self.end else { return pending().await };
        let reason = end.await;
        self.end = None;
        match reason {
            Ok(Some(reason)) => reason,
            _ => pending().await,
        }
    }

    /// Waits until all is written that was given.
    pub(crate) async fn finish(self) {
        drop(self.waiting);
        if let Some(end) = self.end {
            let _ = end.await;
        }
    }
}
