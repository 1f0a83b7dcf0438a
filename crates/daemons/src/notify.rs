//! Notifications to systemd: readiness, reloads, stopping and the watchdog.
//!
//! Without systemd nobody listens and nothing happens.

use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// The service manager that started this daemon, if there is one.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// How often it wants a sign of life.
    interval: Option<Duration>,
    last_watchdog: Option<Instant>,
}

impl ServiceManager {
    pub(crate) fn new() -> Self {
        // Twice as often as it must be, as the manager itself advises.
        let interval = sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|interval| !interval.is_zero());
        Self { interval, last_watchdog: None }
    }

    /// The daemon works, or works again after a reload.
    pub(crate) fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// What the daemon is doing, for people.
    pub(crate) fn status(&self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// The daemon begins to read its files again.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The daemon is about to end.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// The time of the next watchdog notification.
    pub(crate) fn next_watchdog(&self) -> Option<Instant> {
        Some(self.last_watchdog? + self.interval?)
    }

    /// Sends a watchdog notification when it is due. To be called by the loop that does the work, and by nothing else:
    /// a loop that hangs must be noticed.
    pub(crate) fn watchdog(&mut self, now: Instant) {
        if self.interval.is_some() && self.next_watchdog().is_none_or(|due| due <= now) {
            self.last_watchdog = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// A manager that cannot be told is only worth a debug line: it will act as it sees fit.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("cannot tell the service manager: {error}");
    }
}
