//! Jobs about C servers, each on a thread of its own: the sessions of the keys that they tell.

use std::{io, sync::Arc, thread};
use tokio::sync::mpsc;
use zephyr_core::auth::Service;
use zephyr_engine::server::{
    Done,
    peers::c::{RestoreJob, Restored},
};

/// Runs jobs. The machine wants few at a time for each server.
#[derive(Debug)]
pub(super) struct PeerJobs {
    results: mpsc::UnboundedSender<Done>,
    queue: mpsc::UnboundedReceiver<Done>,
}

impl PeerJobs {
    pub(super) fn new() -> Self {
        let (results, queue) = mpsc::unbounded_channel();
        Self { results, queue }
    }

    /// Makes sessions; gives the result where that takes no thread.
    pub(super) fn restore(&self, service: &Arc<dyn Service>, job: RestoreJob) -> Option<Done> {
        if job.keys.is_empty() {
            return Some(Done::Restored(Restored { id: job.id, sessions: Vec::new() }));
        }
        let (service, id, count) = (service.clone(), job.id, job.keys.len());
        let work = move || {
            let sessions = job.keys.iter().map(|key| service.restore(key).ok()).collect();
            Done::Restored(Restored { id: job.id, sessions })
        };
        let none = || Done::Restored(Restored { id, sessions: vec![None; count] });
        self.on_thread(work).err().map(|_| none())
    }

    fn on_thread(&self, work: impl FnOnce() -> Done + Send + 'static) -> io::Result<()> {
        let results = self.results.clone();
        let run = move || {
            // When nobody wants it any more, the server has ended.
            let _ = results.send(work());
        };
        thread::Builder::new().name("peer job".to_owned()).spawn(run).map(drop)
    }

    /// The next result. May be cancelled.
    pub(super) async fn next(&mut self) -> Done {
        match self.queue.recv().await {
            Some(done) => done,
            // The other end is here as well.
            None => std::future::pending().await,
        }
    }
}
