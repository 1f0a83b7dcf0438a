//! Changes of this host's network: addresses, routes and links that come and go, and times in which it slept.
//!
//! A change says that what was known of the network may be wrong: which address is this host's, which server is near, whether
//! one that was silent can be reached. It does not say what is right; whoever is told looks again.
//!
//! On Linux the kernel tells (`rtnetlink(7)`), so nobody is woken while nothing happens. A sleep is seen by the clocks:
//! the time of day went on, the monotonic clock did not. Where a system tells nothing, nothing is told, and nothing
//! fails.

mod burst;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod messages;

pub use burst::INTERVAL;
use burst::{Burst, Clocks};
#[cfg(target_os = "linux")]
use linux as system;
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant, SystemTime},
};
use tokio::io::{Interest, unix::AsyncFd};

/// A watch of the network for programs that wait for file descriptors themselves. [`NetworkChanges`] is the same for
/// tokio.
#[derive(Debug)]
pub struct NetworkWatch {
    /// `None`: this system tells nothing.
    kernel: Option<system::Kernel>,
    burst: Burst,
    /// When the last look was, if it did not take all that was told.
    interrupted: Option<Instant>,
}

impl NetworkWatch {
    /// Watches from now on.
    #[expect(clippy::new_without_default, reason = "asks the system, so two of them differ")]
    pub fn new() -> Self {
        Self { kernel: system::Kernel::new().ok(), burst: Burst::new(clocks()), interrupted: None }
    }

    /// What is readable when [`NetworkWatch::drain`] is to be called; `None` where the system tells nothing.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.kernel.as_ref().map(AsFd::as_fd)
    }

    /// When [`NetworkWatch::drain`] is to be called though the descriptor is not readable: a burst of changes is told once it
    /// is over, [`INTERVAL`] after it began.
    pub fn due(&self) -> Option<Instant> {
        [self.burst.due(), self.interrupted].into_iter().flatten().min()
    }

    /// Takes what the system has told, without waiting; whether the network has changed. True at most once in an
    /// [`INTERVAL`].
    pub fn drain(&mut self, now: Instant) -> bool {
        if self.kernel.as_mut().is_some_and(system::Kernel::take_changes) {
            self.burst.note(now);
        }
        self.interrupted = self.kernel.as_ref().is_some_and(system::Kernel::has_more).then_some(now);
        self.burst.is_over(now, clocks())
    }
}

/// A watch of the network for tokio.
#[derive(Debug)]
pub struct NetworkChanges {
    watch: NetworkWatch,
    /// The descriptor of the watch's, for tokio to wait for.
    readiness: Option<AsyncFd<OwnedFd>>,
}

impl NetworkChanges {
    /// Watches from now on, in the tokio runtime that this is called in.
    pub fn new() -> Self {
        let watch = NetworkWatch::new();
        let duplicate = watch.descriptor().and_then(|descriptor| descriptor.try_clone_to_owned().ok());
        // What it is deprecated for, that a descriptor be closed while it is registered, no `OwnedFd` lets happen.
        #[expect(deprecated, reason = "what replaces it is `unsafe`")]
        let readiness = duplicate.and_then(|descriptor| AsyncFd::with_interest(descriptor, Interest::READABLE).ok());
        Self { watch, readiness }
    }

    /// Waits until the network has changed. Nothing is lost when this is cancelled; where the system tells nothing, it
    /// takes for ever.
    pub async fn changed(&mut self) {
        loop {
            let due = self.watch.due();
            let over = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            let told = async {
                match &self.readiness {
                    // What is behind it is read at once, and what is left then as if it were due.
                    Some(readiness) => match readiness.readable().await {
                        Ok(mut ready) => ready.clear_ready(),
                        Err(_) => std::future::pending().await,
                    },
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = told => {}
                () = over => {}
            }
            if self.watch.drain(Instant::now()) {
                return;
            }
        }
    }
}

impl Default for NetworkChanges {
    fn default() -> Self {
        Self::new()
    }
}

/// Both clocks at one moment: a thread that is held up between the two looks again.
fn clocks() -> Clocks {
    const MOMENT: Duration = Duration::from_millis(100);
    loop {
        let monotonic = Instant::now();
        let time_of_day = SystemTime::now();
        if monotonic.elapsed() < MOMENT {
            return Clocks { monotonic, time_of_day };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{
        io,
        os::fd::{AsFd, BorrowedFd},
    };

    /// Nothing, as no kernel but Linux is asked yet.
    #[derive(Debug)]
    pub(super) enum Kernel {}

    impl Kernel {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn take_changes(&mut self) -> bool {
            match *self {}
        }

        pub(super) const fn has_more(&self) -> bool {
            match *self {}
        }
    }

    impl AsFd for Kernel {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
