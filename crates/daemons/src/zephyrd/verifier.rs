//! Verification of authenticators, in place or on worker threads.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zephyr_core::{
    auth::{Acceptor, AuthError, Judgement},
    time::Now,
};
use zephyr_engine::server::{Verified, VerifyJob};

/// Verifies packets with the keys of one domain.
pub struct Verifier {
    acceptor: Arc<dyn Acceptor>,
    threads: Option<Threads>,
}

/// A packet to be verified. The acceptor goes with it, so that a reload does not concern what is under way.
struct Work {
    acceptor: Arc<dyn Acceptor>,
    now: Now,
    job: VerifyJob,
}

/// Worker threads, and their results. They end when this is dropped.
struct Threads {
    work: Sender<Work>,
    results: UnboundedReceiver<Verified>,
}

impl Verifier {
    /// Verifies with `acceptor`, on so many threads; with none, whoever asks verifies.
    ///
    /// # Errors
    ///
    /// When the system gives no threads.
    pub fn new(acceptor: Arc<dyn Acceptor>, threads: usize) -> io::Result<Self> {
        Ok(Self { acceptor, threads: (threads > 0).then(|| Threads::start(threads)).transpose()? })
    }

    /// Verifies with another acceptor from now on.
    pub fn replace(&mut self, acceptor: Arc<dyn Acceptor>) {
        self.acceptor = acceptor;
    }

    /// Runs a job: gives its result, or `None` when a thread does it and [`Verifier::next`] will give it.
    pub fn verify(&self, now: Now, job: VerifyJob) -> Option<Verified> {
        let work = Work { acceptor: self.acceptor.clone(), now, job };
        match &self.threads {
            None => Some(work.done()),
            // Without threads any more there is still somebody who can do it.
            Some(threads) => threads.work.send(work).err().map(|unsent| unsent.0.done()),
        }
    }

    /// Waits for the next result of a thread, for ever when there are none. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> Verified {
        match &mut self.threads {
            Some(threads) => match threads.results.recv().await {
                Some(verified) => verified,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// The next result of a thread that is there already.
    pub fn try_next(&mut self) -> Option<Verified> {
        self.threads.as_mut()?.results.try_recv().ok()
    }
}

impl Threads {
    fn start(count: usize) -> io::Result<Self> {
        let (work, wanted) = channel();
        let (done, results) = unbounded_channel();
        let wanted = Arc::new(Mutex::new(wanted));
        for number in 0..count {
            let (wanted, done) = (Arc::clone(&wanted), done.clone());
            let thread = thread::Builder::new().name(format!("verify {number}"));
            thread.spawn(move || work_off(&wanted, &done))?;
        }
        Ok(Self { work, results })
    }
}

fn work_off(wanted: &Mutex<Receiver<Work>>, done: &UnboundedSender<Verified>) {
    loop {
        // One thread waits for work, the others for it.
        let next = wanted.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        if done.send(work.done()).is_err() {
            return;
        }
    }
}

impl Work {
    /// Verifies that a packet is from who must have made it. A backend that breaks down says nothing about it, and must not leave
    /// what the same source sends waiting for ever.
    fn done(self) -> Verified {
        let Self { acceptor, now, job } = self;
        let packet = job.packet.packet();
        let judge = || acceptor.judge(&packet, &job.expected, now);
        let result: Result<Judgement, AuthError> = catch_unwind(AssertUnwindSafe(judge))
            .unwrap_or_else(|_| Err(AuthError::Backend("the authentication backend broke down".to_owned())));
        Verified { id: job.id, result }
    }
}
