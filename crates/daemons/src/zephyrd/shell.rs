//! The server's I/O: one socket, one clock, the signals, the log, and those who ask.

use super::{
    configuration::Configuration,
    dump_signal::DumpSignal,
    judge::Judge,
    listeners::Listeners,
    log_lines::{Cause, LogLines},
    options::Options,
    start::{self, StartError},
};
use crate::{
    logging::{self, DebugSwitch},
    notify::ServiceManager,
    plural,
    sending::Sent,
    settings::ServerSettings,
    signals::{Signal, Signals, sleep_until},
};
use std::{io, net::SocketAddr, process::ExitCode, time::Instant};
use tokio::net::UdpSocket;
use zephyr_core::{kind::Kind, limits::MAX_PACKET, notice::Packet};
use zephyr_domain::server_domain::ServerDomain;
use zephyr_engine::server::{Command, IoCounters, Outbox, Server, event::Event, ingress::FairQueue, pacer::Pacer};
use zephyr_net::{clock::Clock, socket};

mod admin;
mod rehearsal;

#[doc(hidden)]
pub use rehearsal::Rehearsal;

/// Packets heard in one turn.
const HEARD_PER_TURN: usize = 256;
/// Packets sent in one turn; what has come is heard in between.
const SENT_PER_TURN: usize = 64;
/// Packets in the outbox beyond which only acknowledgements are handled.
const ENOUGH_TO_SEND: usize = 1024;

/// Runs a server until it is told to stop: exit status 0 then, 1 when it cannot begin.
pub fn run(options: &Options) -> ExitCode {
    match begin(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zephyrd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(options: &Options) -> Result<(), StartError> {
    let dumps = DumpSignal::new()?;
    let mut configuration = Configuration::load(&options.config_dir)?;
    configuration.settings = options.overrule(configuration.settings);
    let debug = logging::start("zephyrd", &configuration.settings.log, false);
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options, configuration, debug, dumps))
}

async fn serve(
    options: &Options,
    configuration: Configuration,
    debug: DebugSwitch,
    dumps: DumpSignal,
) -> Result<(), StartError> {
    let Configuration { settings, rules, policies, .. } = configuration;
    let address = start::listen_address(&settings.zephyrd);
    let socket = socket::bind_with(address, settings.zephyrd.receive_buffer)
        .map_err(|error| StartError::Listen { address, error })?;
    let receive_buffer = socket::receive_buffer(&socket)?;
    tracing::debug!("the socket's receive buffer has {receive_buffer} octets");
    let listening = socket.local_addr()?;
    let side = start::side(&settings.zephyrd, &policies)?;
    let acceptor = start::acceptor(&side, &settings.zephyrd, &options.config_dir)?;
    let config = start::prepare(&settings.zephyrd, &side, settings.bounds, rules, listening)?;
    let realm = String::from_utf8_lossy(config.realms.local()).into_owned();
    tracing::info!(
        "serving realm {} with authentication {}, {}",
        realm.escape_debug(),
        side.domain.backend,
        plural::rules(config.rules.defaults.len(), config.rules.registered())
    );
    tracing::info!("the policy is {}", side.domain.origin());
    let listeners = open_doors(options, &settings).await?;
    let clock = Clock::new();
    let mut shell = Shell {
        options: options.clone(),
        settings,
        side,
        socket,
        engine: Server::new(config, clock.now()),
        clock,
        judge: Judge::new(acceptor),
        outbox: Outbox::new(),
        pace: Pacer::new(receive_buffer),
        waiting: FairQueue::default(),
        lines: LogLines::new(),
        io_counters: IoCounters::default(),
        listeners,
        debug,
        manager: ServiceManager::new(),
        status: format!("Serving realm {realm} on {listening}"),
        witness: None,
    };
    let mut signals = Signals::new()?;
    tracing::info!("Ready for action on {listening}");
    shell.manager.ready(&shell.status);
    shell.work(&mut signals, &dumps).await;
    Ok(())
}

/// Lets operators and collectors in. Without operators a server still serves its users; without the metrics that its
/// settings promise it does not begin.
async fn open_doors(options: &Options, settings: &ServerSettings) -> Result<Listeners, StartError> {
    let mut listeners = Listeners::new();
    let path = &settings.control.socket;
    if options.wants_control(settings) {
        match listeners.admit_operators(path) {
            Ok(()) => tracing::debug!("zephyrctl is answered at {}", path.display()),
            Err(error) => tracing::warn!("zephyrctl is not answered: {}: {error}", path.display()),
        }
    }
    if let Some(address) = &settings.metrics.listen {
        let place = listeners.admit_collectors(address).await.map_err(StartError::Metrics)?;
        tracing::info!("metrics are offered on {place}");
    }
    Ok(listeners)
}

struct Shell {
    options: Options,
    settings: ServerSettings,
    /// The domain that is served.
    side: ServerDomain,
    socket: UdpSocket,
    clock: Clock,
    engine: Server,
    judge: Judge,
    outbox: Outbox,
    pace: Pacer,
    waiting: FairQueue,
    lines: LogLines,
    io_counters: IoCounters,
    listeners: Listeners,
    debug: DebugSwitch,
    manager: ServiceManager,
    /// What the service manager shows.
    status: String,
    /// Who looks on, in tests.
    witness: Option<rehearsal::Witness>,
}

impl Shell {
    async fn work(&mut self, signals: &mut Signals, dumps: &DumpSignal) {
        loop {
            let heard_all = self.hear();
            self.catch_up();
            let now = Instant::now();
            self.lines.flush(now);
            self.manager.watchdog(now);
            let sent = self.send();
            let waiting = !self.waiting.is_empty() && self.has_little_to_send();
            let busy = !heard_all || sent == Sent::Some || (sent == Sent::All && waiting);
            let due = if self.may_repeat() { self.engine.next_timeout() } else { None };
            let [due, chance] = [due, self.pace.next_chance()].map(|due| Some(self.clock.instant(due?)));
            let deadline =
                [due, chance, self.lines.next_summary(), self.manager.next_watchdog()].into_iter().flatten().min();
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Stop(number) => return self.stop(number).await,
                    Signal::Reload => {
                        self.reload();
                    }
                    Signal::DebugOn => {
                        self.debug.set(true);
                        tracing::debug!("debugging on: {:?} {:?}", self.engine.counters(), self.engine.gauges());
                    }
                    Signal::DebugOff => {
                        tracing::debug!("debugging off");
                        self.debug.set(self.settings.log.debug);
                    }
                },
                () = dumps.next() => self.dump_to_file(None),
                request = self.listeners.next() => self.serve_admin(request),
                () = tokio::task::yield_now(), if busy => {}
                _ = self.socket.readable(), if !busy => {}
                _ = self.socket.writable(), if sent == Sent::Blocked => {}
                () = sleep_until(deadline.map(Into::into)), if !busy => {}
            }
        }
    }

    /// Takes what has come; false when there may be more.
    fn hear(&mut self) -> bool {
        // As long as a packet may be: what is longer is cut off, as by every Zephyr program.
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..HEARD_PER_TURN {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((len, from)) => self.take(from, buffer.get(..len).unwrap_or_default()),
                Err(_) => return true,
            }
        }
        false
    }

    /// Handles a packet now if there is little to send or if it is an acknowledgement, else keeps it for later.
    fn take(&mut self, from: SocketAddr, octets: &[u8]) {
        let packet = match Packet::parse(octets) {
            Ok(packet) => packet,
            Err(error) => {
                self.io_counters.malformed += 1;
                return self.lines.bad_packet(from, &error);
            }
        };
        let is_ack = packet.notice.kind == Kind::ClientAck;
        if is_ack {
            self.pace.acknowledged(from, packet.notice.uid);
        }
        if is_ack || (self.has_little_to_send() && self.waiting.is_empty()) {
            self.handle(from, packet);
        } else if !self.waiting.enter(from, octets, self.settings.bounds.waiting_packets) {
            // Host managers send it again.
            self.io_counters.overload += 1;
        }
    }

    fn handle(&mut self, from: SocketAddr, packet: Packet<'_>) {
        let now = self.clock.now();
        let cause = || Cause::new(from, &packet);
        let (judge, lines, io_counters) = (&self.judge, &mut self.lines, &mut self.io_counters);
        let mut ask = |packet: &Packet<'_>| {
            let (judgement, error) = judge.judge(packet, now);
            if let Some(error) = error {
                io_counters.not_judged += 1;
                lines.cannot_judge(&cause(), &error);
            }
            judgement
        };
        self.engine.handle(now, from, packet, &mut ask, &mut self.outbox);
        // Whatever is reported now was caused by this packet.
        let events = self.outbox.take_events();
        if !events.is_empty() {
            self.report(events, Some(&cause()));
        }
    }

    fn report(&mut self, events: Vec<Event>, cause: Option<&Cause>) {
        if let Some(witness) = &mut self.witness {
            witness.events.extend(events.iter().cloned());
        }
        self.lines.write(events, cause);
    }

    /// Handles what waited and what is due, as long as there is little to send.
    fn catch_up(&mut self) {
        while self.has_little_to_send()
            && let Some((from, octets)) = self.waiting.pop()
        {
            if let Ok(packet) = Packet::parse(&octets) {
                self.handle(from, packet);
            }
        }
        let now = self.clock.now();
        if self.may_repeat() && self.engine.next_timeout().is_some_and(|due| due <= now.monotonic) {
            self.engine.handle_timeout(now, &mut self.outbox);
            let events = self.outbox.take_events();
            self.report(events, None);
        }
    }

    fn has_little_to_send(&self) -> bool {
        self.outbox.waiting() + self.pace.waiting() < ENOUGH_TO_SEND
    }

    /// What was not acknowledged is not sent again while there is much to send, nor before everything is sent once.
    fn may_repeat(&self) -> bool {
        self.has_little_to_send()
            && self.pace.repetitions() < ENOUGH_TO_SEND
            && !self.pace.is_behind(self.clock.now().monotonic)
    }

    /// Sends what may go, but not all of it at once: acknowledgements are heard in between.
    fn send(&mut self) -> Sent {
        let now = self.clock.now();
        for _ in 0..SENT_PER_TURN {
            let Some(departure) = self.pace.next(now.monotonic, &mut self.outbox) else {
                return Sent::All;
            };
            let transmit = &departure.transmit;
            match self.socket.try_send_to(&transmit.payload, transmit.to) {
                Ok(_) => self.witness.iter_mut().for_each(|witness| witness.sent.push(transmit.to)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pace.not_yet(departure);
                    return Sent::Blocked;
                }
                // It is lost, as it could be on its way.
                Err(error) => tracing::debug!("cannot send to {}: {error}", transmit.to),
            }
            if let Some((to, uid)) = departure.late {
                self.engine.sent_late(now, to, uid);
            }
        }
        Sent::Some
    }

    async fn stop(&mut self, signal: i32) {
        self.manager.stopping();
        self.engine.command(self.clock.now(), Command::Shutdown, &mut self.outbox);
        self.lines.write(self.outbox.take_events(), None);
        loop {
            match self.send() {
                Sent::All => break,
                Sent::Some => {}
                Sent::Blocked if self.socket.writable().await.is_err() => break,
                Sent::Blocked => {}
            }
        }
        tracing::info!("goodbye (sig {signal})");
    }
}
