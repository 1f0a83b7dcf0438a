//! A server for tests over sockets: it works as far as it can without waiting and only when it is told, by a clock that
//! its audience sets, and its audience learns where it sent packets and what it reported.

use super::Shell;
use crate::{
    logging::DebugSwitch,
    notify::ServiceManager,
    settings::ServerSettings,
    signals::Signals,
    zephyrd::{
        dump_signal::DumpSignal, judge::Judge, listeners::Listeners, log_lines::LogLines, options::Options,
        start::StartError,
    },
};
use clap::Parser;
use std::{net::SocketAddr, sync::Arc};
use tokio::runtime::Runtime;
use zephyr_core::{auth::Acceptor, time::Now};
use zephyr_domain::{Backend, policy_file::PolicyFile, server_domain::ServerDomain};
use zephyr_engine::server::{
    Command, Config, IoCounters, Outbox, Server, event::Event, ingress::FairQueue, pacer::Pacer,
};
use zephyr_net::{clock::Clock, socket};

/// What the audience has not heard of yet.
#[derive(Default)]
pub(super) struct Witness {
    /// Where packets went, in order.
    pub(super) sent: Vec<SocketAddr>,
    pub(super) events: Vec<Event>,
}

/// A server, and what it runs in.
pub struct Rehearsal {
    shell: Shell,
    signals: Signals,
    runtime: Runtime,
}

impl Rehearsal {
    /// A server at the address that `config` names, on a port of its own, for which `acceptor` judges.
    ///
    /// # Errors
    ///
    /// When the system refuses the socket.
    pub fn new(config: Config, acceptor: Arc<dyn Acceptor>, now: Now) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (settings, address) = (ServerSettings::default(), SocketAddr::from((config.address, 0)));
        let socket = socket::bind_with(address, settings.zephyrd.receive_buffer)
            .map_err(|error| StartError::Listen { address, error })?;
        let realm = String::from_utf8_lossy(config.realms.local()).into_owned();
        let shell = Shell {
            options: Options::parse_from(["zephyrd"]),
            side: ServerDomain::find(&PolicyFile::default(), Some(Backend::NONE), Some(&realm))?,
            pace: Pacer::new(socket::receive_buffer(&socket)?),
            settings,
            socket,
            engine: Server::new(config, now),
            clock: Clock::stopped(now),
            judge: Judge::new(acceptor),
            outbox: Outbox::new(),
            waiting: FairQueue::default(),
            lines: LogLines::new(),
            io_counters: IoCounters::default(),
            listeners: Listeners::new(),
            debug: DebugSwitch::none(),
            manager: ServiceManager::new(),
            status: String::new(),
            witness: Some(Witness::default()),
        };
        let signals = Signals::new()?;
        drop(entered);
        Ok(Self { shell, signals, runtime })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr, StartError> {
        Ok(self.shell.socket.local_addr()?)
    }

    /// Its engine.
    pub fn engine(&self) -> &Server {
        &self.shell.engine
    }

    /// Its engine.
    pub fn engine_mut(&mut self) -> &mut Server {
        &mut self.shell.engine
    }

    /// It is now that time.
    pub fn set_clock(&mut self, now: Now) {
        self.shell.clock = Clock::stopped(now);
    }

    /// Does what an operator asks.
    pub fn command(&mut self, command: Command) {
        self.shell.engine.command(self.shell.clock.now(), command, &mut self.shell.outbox);
        let events = self.shell.outbox.take_events();
        self.shell.report(events, None);
    }

    /// Works as far as it goes without waiting. False when it was told to stop.
    pub fn turn(&mut self) -> bool {
        let Self { shell, signals, runtime } = self;
        let dumps = DumpSignal::none();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = shell.work(signals, &dumps) => false,
                // The system is asked in between what has come.
                () = tokio::task::yield_now() => true,
            }
        })
    }

    /// Packets that it is done with since the start, those that are no notices included.
    pub fn heard(&self) -> u64 {
        let IoCounters { malformed, overload, .. } = self.shell.io_counters;
        self.shell.engine.counters().received + malformed + overload
    }

    /// What is counted around the engine.
    pub fn io_counters(&self) -> &IoCounters {
        &self.shell.io_counters
    }

    /// Whether everything is sent that may be sent now.
    pub fn is_idle(&self) -> bool {
        let Shell { outbox, pace, waiting, engine, clock, .. } = &self.shell;
        let due = engine.next_timeout().is_some_and(|due| due <= clock.now().monotonic);
        outbox.waiting() + pace.waiting() + pace.repetitions() + waiting.len() == 0 && !due
    }

    /// Where packets went since the last call, in order, and what was reported.
    pub fn take_news(&mut self) -> (Vec<SocketAddr>, Vec<Event>) {
        let Witness { sent, events } = self.shell.witness.replace(Witness::default()).unwrap_or_default();
        (sent, events)
    }
}
