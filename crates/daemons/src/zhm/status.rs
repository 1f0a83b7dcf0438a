//! What the service manager shows of a host manager: whose answer it waits for, or which server it has.

use crate::notify::ServiceManager;
use std::net::SocketAddr;
use zephyr_engine::host_manager::{HostManager, Waiting};

/// The status line, told when it changes.
#[derive(Debug)]
pub(super) struct Status {
    listening: SocketAddr,
    last: Option<(Option<Waiting>, Box<str>)>,
}

impl Status {
    /// Of a host manager that listens there.
    pub(super) const fn new(listening: SocketAddr) -> Self {
        Self { listening, last: None }
    }

    /// Tells the service manager what has changed.
    pub(super) fn update(&mut self, machine: &HostManager, manager: &ServiceManager) {
        let waiting = machine.waiting();
        let is_last = |(told, name): &(Option<Waiting>, Box<str>)| *told == waiting && **name == *machine.server_name();
        if self.last.as_ref().is_some_and(is_last) {
            return;
        }
        manager.status(&self.text(machine));
        self.last = Some((waiting, machine.server_name().into()));
    }

    fn text(&self, machine: &HostManager) -> String {
        let listening = self.listening;
        match machine.waiting() {
            Some(waiting) => format!("Listening on {listening}, {waiting}"),
            None => {
                let source = machine.servers().source().map(|source| format!(" by {source}")).unwrap_or_default();
                format!("Listening on {listening}, server {}{source}", machine.server_name())
            }
        }
    }
}
