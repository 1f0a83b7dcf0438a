//! The server's I/O: one socket, one clock, the signals and the log.

use super::{
    engine::{Command, Engine, Outbox},
    event::{Event, Level},
    judge::Judge,
    options::Options,
    start::{self, StartError},
};
use crate::{
    logging::{self, DebugSwitch, RateLimit},
    sending::{Sent, send_some},
    signals::{Signal, Signals, sleep_until},
};
use std::{
    collections::VecDeque,
    mem::{Discriminant, discriminant},
    net::SocketAddr,
    process::ExitCode,
    time::Instant,
};
use tokio::net::UdpSocket;
use zephyr_core::{kind::Kind, limits::MAX_PACKET, notice::Packet};
use zephyr_net::{clock::Clock, socket};

/// Packets heard in one turn.
const HEARD_PER_TURN: usize = 256;
/// Packets sent in one turn: acknowledgements are heard in between, so that a large fan-out does not drown them.
const SENT_PER_TURN: usize = 64;
/// Packets in the outbox beyond which only acknowledgements are handled.
const ENOUGH_TO_SEND: usize = 1024;
/// Packets that wait for the outbox to empty; later ones are dropped, and host managers send them again.
const MOST_WAITING: usize = 8192;

/// Runs a server until it is told to stop: exit status 0 then, 1 when it cannot begin.
pub fn run(options: &Options) -> ExitCode {
    let debug = logging::start(options.debug);
    match serve(options, debug) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zephyrd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options, debug: DebugSwitch) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = start::listen_address(options);
        let socket = socket::bind(address).map_err(|error| StartError::Listen { address, error })?;
        let listening = socket.local_addr()?;
        let (config, acceptor) = start::prepare(options, listening)?;
        let realm = String::from_utf8_lossy(config.realms.local()).into_owned();
        tracing::info!(
            "serving realm {realm} with authentication {}, {} default subscriptions",
            options.auth,
            config.defaults.len()
        );
        let clock = Clock::new();
        let mut shell = Shell {
            socket,
            clock,
            engine: Engine::new(config, clock.now()),
            judge: Judge::new(acceptor),
            outbox: Outbox::new(),
            waiting: VecDeque::new(),
            lines: RateLimit::new(),
        };
        let mut signals = Signals::new()?;
        tracing::info!("Ready for action on {listening}");
        shell.work(options, &debug, &mut signals).await;
        Ok(())
    })
}

/// Kinds of lines that are counted together.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Line {
    Event(Discriminant<Event>),
    BadPacket,
    CannotJudge,
}

struct Shell {
    socket: UdpSocket,
    clock: Clock,
    engine: Engine,
    judge: Judge,
    outbox: Outbox,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    lines: RateLimit<Line>,
}

impl Shell {
    async fn work(&mut self, options: &Options, debug: &DebugSwitch, signals: &mut Signals) {
        loop {
            let heard_all = self.hear();
            self.catch_up();
            self.write_log();
            let sent = send_some(&self.socket, &mut self.outbox, SENT_PER_TURN);
            let busy = !heard_all || sent == Sent::Some || (sent == Sent::All && !self.waiting.is_empty());
            let deadline = self.engine.next_timeout().map(|due| self.clock.instant(due).into());
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Stop(number) => return self.stop(number).await,
                    Signal::Reload => self.reload(options),
                    Signal::DebugOn => {
                        debug.set(true);
                        tracing::debug!("debugging on: {:?} {:?}", self.engine.counters(), self.engine.census());
                    }
                    Signal::DebugOff => {
                        tracing::debug!("debugging off");
                        debug.set(options.debug);
                    }
                },
                () = tokio::task::yield_now(), if busy => {}
                _ = self.socket.readable(), if !busy => {}
                _ = self.socket.writable(), if sent == Sent::Blocked => {}
                () = sleep_until(deadline), if !busy => {}
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
                if self.may_write(Line::BadPacket) {
                    tracing::warn!("bad notice parse ({from}): {error}");
                }
                return;
            }
        };
        let is_ack = packet.notice.kind == Kind::ClientAck;
        if is_ack || (self.outbox.waiting() < ENOUGH_TO_SEND && self.waiting.is_empty()) {
            self.handle(from, packet);
        } else if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back((from, octets.to_vec()));
        }
    }

    fn handle(&mut self, from: SocketAddr, packet: Packet<'_>) {
        let now = self.clock.now();
        let (judged, error) = self.judge.judge(packet, now);
        if let Some(error) = error
            && self.may_write(Line::CannotJudge)
        {
            tracing::error!("cannot judge a notice from {from}: {error}");
        }
        self.engine.handle(now, from, judged, &mut self.outbox);
    }

    /// Handles what waited and what is due, as long as there is little to send.
    fn catch_up(&mut self) {
        while self.outbox.waiting() < ENOUGH_TO_SEND
            && let Some((from, octets)) = self.waiting.pop_front()
        {
            if let Ok(packet) = Packet::parse(&octets) {
                self.handle(from, packet);
            }
        }
        let now = self.clock.now();
        if self.outbox.waiting() < ENOUGH_TO_SEND && self.engine.next_timeout().is_some_and(|due| due <= now.monotonic)
        {
            self.engine.handle_timeout(now, &mut self.outbox);
        }
    }

    fn write_log(&mut self) {
        for event in self.outbox.take_events() {
            match event.level() {
                Level::Debug => tracing::debug!("{event}"),
                level => {
                    if self.may_write(Line::Event(discriminant(&event))) {
                        match level {
                            Level::Warning => tracing::warn!("{event}"),
                            Level::Info | Level::Debug => tracing::info!("{event}"),
                        }
                    }
                }
            }
        }
    }

    fn may_write(&mut self, line: Line) -> bool {
        let (may, suppressed) = self.lines.admit(line, Instant::now());
        if suppressed > 0 {
            tracing::warn!("{suppressed} more lines of these kinds were not written");
        }
        may
    }

    fn reload(&mut self, options: &Options) {
        match start::read_defaults(&options.config_dir) {
            Ok(defaults) => {
                tracing::info!("restart completed, {} default subscriptions", defaults.len());
                self.engine.command(self.clock.now(), Command::Reload(defaults), &mut self.outbox);
            }
            Err(error) => tracing::error!("nothing changed: {error}"),
        }
    }

    async fn stop(&mut self, signal: i32) {
        self.engine.command(self.clock.now(), Command::Shutdown, &mut self.outbox);
        self.write_log();
        while send_some(&self.socket, &mut self.outbox, SENT_PER_TURN) != Sent::All {
            if self.socket.writable().await.is_err() {
                break;
            }
        }
        tracing::info!("goodbye (sig {signal})");
    }
}
