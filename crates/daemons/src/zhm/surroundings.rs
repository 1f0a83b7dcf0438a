//! What a host manager's machine has around it: whose programs there are, look-ups, the log, and the record of the host's
//! start.

use super::{boot_record::BootRecord, discovery::Discoveries, lookups::Lookups};
use crate::logging::RateLimit;
use std::{
    io,
    mem::{Discriminant, discriminant},
    net::SocketAddr,
    time::Instant,
};
use zephyr_config::system_text;
use zephyr_core::time::Now;
use zephyr_engine::{
    host_manager::{
        Certainty, Done, HostManager, Job, Owner,
        event::{Event, LogEvent, ServerChange},
    },
    level::Level,
};
use zephyr_net::{
    driver::{Environment, Failure},
    socket_owner::SocketOwners,
};

/// Kinds of lines that are counted together.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Line {
    Log(Discriminant<LogEvent>),
    Server(Discriminant<ServerChange>),
}

/// Logs the events of the host manager.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) lines: RateLimit<Line>,
}

impl Log {
    pub(super) fn flush(&mut self) {
        for summary in self.lines.summaries(Instant::now()) {
            tracing::warn!("{summary}");
        }
    }

    fn may_write(&mut self, line: Line, text: impl FnOnce() -> String) -> bool {
        self.lines.admit(line, Instant::now(), text)
    }

    fn write(&mut self, event: &LogEvent) {
        let level = event.level();
        // Detail is not counted: who asked for it wants all of it.
        if level != Level::Debug && !self.may_write(Line::Log(discriminant(event)), || event.to_string()) {
            return;
        }
        match level {
            Level::Debug => tracing::debug!("{event}"),
            Level::Info => tracing::info!("{event}"),
            Level::Warning => tracing::warn!("{event}"),
            Level::Error => tracing::error!("{event}"),
        }
    }
}

/// What the host manager's machine needs beside its socket.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) log: Log,
    /// What was not sent in this turn, and why.
    pub(super) unsent: Vec<(SocketAddr, String)>,
    listening: SocketAddr,
    lookups: Lookups,
    pub(super) discoveries: Discoveries,
    /// Why there is no server, if that is so: the host manager ends.
    pub(super) no_server: Option<Box<str>>,
    /// Where it is kept whether the server knows of the host's start.
    record: Option<BootRecord>,
    /// Whose programs there are; `None` on a system that does not tell.
    owners: Option<SocketOwners>,
}

impl Surroundings {
    pub(super) fn new(
        listening: SocketAddr,
        lookups: Lookups,
        discoveries: Discoveries,
        record: Option<BootRecord>,
    ) -> Self {
        let owners = match SocketOwners::new(listening) {
            Ok(owners) => Some(owners),
            Err(error) => {
                tracing::warn!(
                    "the system does not say whose programs there are, so all count as one user's: {}",
                    system_text(&error)
                );
                None
            }
        };
        Self {
            log: Log::default(),
            unsent: Vec::new(),
            listening,
            lookups,
            discoveries,
            no_server: None,
            record,
            owners,
        }
    }

    /// What the system says about a packet that it did not send, and why, where that is known.
    fn explain(&self, to: SocketAddr, error: &io::Error) -> String {
        let text = system_text(error);
        if self.listening.ip().is_loopback() && !to.ip().is_loopback() {
            return format!("{text} (zhm listens at {}, from where no other host can be reached)", self.listening);
        }
        text
    }
}

impl Environment<HostManager> for Surroundings {
    fn job(&mut self, _: Now, job: Job) -> Option<Done> {
        let query = match job {
            Job::Owner(query) => query,
            Job::Lookup(lookup) => return self.lookups.run(lookup).map(Done::Lookup),
            Job::Discover => return self.discoveries.run().map(Done::Discovered),
        };
        let user = self.owners.as_mut().and_then(|owners| match query.certainty {
            Certainty::Usual => owners.owner(query.program),
            Certainty::Sole => owners.sole_owner(query.program),
        });
        Some(Done::Owner(query.answer(user.map_or(Owner::Unknown, Owner::User))))
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Log(event) => self.log.write(&event),
            Event::Boot(boot) => {
                if let Some(record) = &self.record {
                    record.note(boot);
                }
            }
            Event::NoServer { reason } => self.no_server = Some(reason),
            Event::Server(change) => {
                if self.log.may_write(Line::Server(discriminant(&change)), || change.to_string()) {
                    tracing::info!("{change}");
                }
            }
        }
    }

    fn failed(&mut self, failure: Failure) {
        tracing::debug!("{failure}");
        if let Failure::Send { to, error } = failure {
            let text = self.explain(to, &error);
            self.unsent.push((to, text));
        }
    }
}
