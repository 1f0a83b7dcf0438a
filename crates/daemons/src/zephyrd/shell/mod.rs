//! The server's I/O: its socket, clock, signals, log and listeners.

mod admin;
mod state;
mod streams;

use super::{
    configuration::Sources,
    dump_signal::DumpSignal,
    io_counters::IoCounters,
    kept_state::{self, KeptState},
    listeners::{self, Listeners},
    log_lines::LogLines,
    options::Options,
    peer_jobs::PeerJobs,
    peer_names::{self, PeerNames},
    published_counters::PublishedCounters,
    realms::{
        names::{self, RealmNames},
        tickets::{self, Tickets},
    },
    start::{self, Ready},
    streams::Streams,
    subscriber::Subscriber,
    verifier::Verifier,
};
use crate::{
    logging::{self, DebugSwitch, Identity},
    notify::ServiceManager,
    plural,
    problem::{Findings, Problem},
    settings::ServerSettings,
    signals::{Signal, Signals},
};
use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, time::Instant};
use zephyr_core::{auth::Service, charset::Charset, sanitize, time::Now};
use zephyr_domain::server_domain::ServerDomain;
use zephyr_engine::{
    machine::Input,
    server::{Command, Done, Event, Job, Neighbours, Server, SessionMaker},
};
use zephyr_net::{
    clock::Clock,
    driver::{Driver, Environment, Failure},
    services,
};
use zephyr_output::complain;

/// Runs a server until it is told to stop: exit status 0 then, 1 when it cannot begin.
pub fn run(options: &Options) -> ExitCode {
    match begin(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Findings { problems, warnings }) => {
            let say = |text: String| {
                for line in sanitize::lines(text.as_bytes(), Charset::UTF8).lines() {
                    complain!("zephyrd: {line}");
                }
            };
            problems.iter().for_each(|problem| say(problem.to_string()));
            warnings.iter().for_each(|warning| say(format!("warning: {warning}")));
            ExitCode::FAILURE
        }
    }
}

fn begin(options: &Options) -> Result<(), Findings> {
    let dumps = DumpSignal::new().map_err(of_system)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(of_system)?;
    runtime.block_on(async {
        let ready = start::gather(options, None).await.ready()?;
        let debug = logging::start(Identity::of("zephyrd"), &ready.settings.log, false);
        for warning in &ready.warnings {
            tracing::warn!("{warning}");
        }
        let mut listeners = Listeners::new();
        open_listeners(&mut listeners, options, &ready).await?;
        serve(options, ready, listeners, debug, dumps).await.map_err(of_system)
    })
}

/// An error of the system that leaves nothing more to be looked at.
fn of_system(error: io::Error) -> Findings {
    of_machine(error.to_string())
}

fn of_machine(text: String) -> Findings {
    Findings { problems: vec![Problem::of_machine(text)], ..Findings::default() }
}

async fn serve(
    options: &Options,
    ready: Ready,
    listeners: Listeners,
    debug: DebugSwitch,
    dumps: DumpSignal,
) -> io::Result<()> {
    let Ready {
        settings,
        rules,
        domain,
        acceptor,
        service,
        realm_list,
        socket,
        stream_listener,
        host,
        peers,
        sources,
        ..
    } = ready;
    let listening = socket.local_addr()?;
    let own = streams::own_address(listening, host.address.into());
    let found = kept_state::find(options, &settings, &domain.realm, Ok(service.clone()), start::server_id()?);
    let sessions = {
        let service = service.clone();
        SessionMaker::new(move |key| service.restore(key).ok())
    };
    let (peers_now, believe) = (peers.peers(), settings.peers.believe);
    let neighbours = Neighbours { peers: peers_now, believe, sessions, ..Neighbours::default() };
    let identity = start::Identity { neighbours, id: found.id() };
    let config = start::engine_config(host, &domain, settings.bounds, rules, &socket, identity)?;
    let realm = String::from_utf8_lossy(config.realms.local()).into_owned();
    tracing::info!(
        "serving realm {} with authentication {}, {}",
        realm.escape_debug(),
        domain.domain.backend,
        plural::rules(config.rules.defaults.len(), config.rules.registered())
    );
    tracing::info!("the policy is {}", domain.domain.origin());
    let clock = Clock::new();
    let mut server = Server::new(config, clock.now());
    let state = found.restore(&mut server, clock.now())?;
    let environment = DriverEnvironment {
        verifier: Verifier::new(acceptor, settings.zephyrd.verify_threads)?,
        tickets: Tickets::new(service.clone(), &realm),
        streams: streams::of_server(service.clone(), own, settings.peers.believe, clock),
        service,
        peer_jobs: PeerJobs::new(),
        log: LogLines::new(),
        published: PublishedCounters::default(),
        state,
    };
    let mut shell = Shell {
        options: options.clone(),
        settings,
        sources,
        peers,
        realms: RealmNames::new(realm_list, &realm, services::port(services::ZEPHYR_CLT)),
        domain,
        driver: Driver::new(server, socket, clock),
        environment,
        io_counters: IoCounters::default(),
        listeners,
        debug,
        manager: ServiceManager::new(),
        status: format!("Serving realm {realm} on {listening}"),
        listening,
    };
    shell.environment.streams.listen(stream_listener);
    shell.admit(&shell.peers.peers(), shell.settings.peers.believe);
    shell.tell_of_realms();
    let mut signals = Signals::new()?;
    tracing::info!("Ready for action on {listening}");
    shell.manager.ready(&shell.status);
    shell.work(&mut signals, &dumps).await;
    Ok(())
}

/// Opens the listeners for operators and collectors, which were examined before.
async fn open_listeners(
    listeners: &mut Listeners,
    options: &Options,
    Ready { settings, warnings, .. }: &Ready,
) -> Result<(), Findings> {
    let path = &settings.control.socket;
    if options.wants_control(settings) {
        match listeners.listen_for_control(path) {
            Ok(()) => tracing::debug!("zephyrctl is answered at {}", path.display()),
            Err(error) => {
                let warning = Problem::of_machine(listeners::unanswered(path, &error));
                if !warnings.contains(&warning) {
                    tracing::warn!("{warning}");
                }
            }
        }
    }
    if let Some(address) = &settings.metrics.listen {
        let problem = |error| of_machine(listeners::no_metrics(address, error));
        let place = listeners.listen_for_metrics(address).await.map_err(problem)?;
        tracing::info!("metrics are offered on {place}");
    }
    Ok(())
}

/// The environment of the server's driver: who does its jobs, and who listens to its events.
struct DriverEnvironment {
    verifier: Verifier,
    tickets: Tickets,
    streams: Streams,
    service: Arc<dyn Service>,
    peer_jobs: PeerJobs,
    log: LogLines,
    published: PublishedCounters,
    state: KeptState,
}

impl Environment<Server> for DriverEnvironment {
    fn job(&mut self, now: Now, job: Job) -> Option<Done> {
        match job {
            Job::Verify(job) => self.verifier.verify(now, job).map(Done::Verified),
            Job::Realm(job) => {
                self.tickets.begin(Instant::now(), job);
                None
            }
            Job::Restore(job) => self.peer_jobs.restore(&self.service, job),
            Job::Stream(order) => {
                self.streams.order(order);
                None
            }
        }
    }

    fn event(&mut self, event: Event) {
        let subscribers: [&mut dyn Subscriber; 3] = [&mut self.log, &mut self.published, &mut self.state];
        for subscriber in subscribers {
            subscriber.receive(&event);
        }
    }

    fn failed(&mut self, failure: Failure) {
        tracing::debug!("{failure}");
    }
}

struct Shell {
    options: Options,
    settings: ServerSettings,
    /// Which files are in force.
    sources: Sources,
    /// The servers of the realm.
    peers: PeerNames,
    /// The servers of other realms.
    realms: RealmNames,
    /// The domain that is served.
    domain: ServerDomain,
    driver: Driver<Server>,
    environment: DriverEnvironment,
    io_counters: IoCounters,
    listeners: Listeners,
    debug: DebugSwitch,
    manager: ServiceManager,
    /// The status for the service manager.
    status: String,
    /// Where it listens.
    listening: SocketAddr,
}

impl Shell {
    async fn work(&mut self, signals: &mut Signals, dumps: &DumpSignal) {
        loop {
            while let Some(verified) = self.environment.verifier.try_next() {
                self.driver.handle(Input::Done(Done::Verified(verified)));
            }
            if self.realms.ask(Instant::now()) {
                self.tell_of_realms();
            }
            self.environment.tickets.go_on(Instant::now());
            self.hear_state();
            self.hear_streams();
            let turn = self.driver.turn(&mut self.environment);
            self.hand_over();
            let now = Instant::now();
            self.peers.ask(now);
            self.environment.log.flush(now);
            self.manager.watchdog(now);
            let deadline = [
                self.environment.log.next_summary(),
                self.manager.next_watchdog(),
                self.peers.next_due(),
                self.realms.next_due(),
                self.environment.tickets.next_due(),
            ];
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Stop(number) => return self.stop(number).await,
                    Signal::Reload => {
                        self.reload();
                    }
                    Signal::DebugOn => {
                        self.debug.set(true);
                        let server = self.driver.machine();
                        tracing::debug!("debugging on: {:?} {:?}", server.counters(), server.gauges());
                    }
                    Signal::DebugOff => {
                        tracing::debug!("debugging off");
                        self.debug.set(self.settings.log.debug);
                    }
                },
                () = dumps.next() => self.dump_to_file(None),
                request = self.listeners.next() => self.serve_admin(request),
                report = self.environment.state.next() => self.take_report(report),
                answer = self.peers.next() => self.peer_named(answer),
                answer = self.realms.next() => self.realm_found(answer),
                attempt = self.environment.tickets.next() => self.session_ended(attempt),
                done = self.environment.peer_jobs.next() => self.driver.handle(Input::Done(done)),
                verified = self.environment.verifier.next() => self.driver.handle(Input::Done(Done::Verified(verified))),
                event = self.environment.streams.next() => self.driver.handle(Input::Done(Done::Stream(event))),
                () = self.driver.wait(&turn, deadline.into_iter().flatten().min()) => {}
            }
        }
    }

    /// Takes the answer to a look-up of a server's name.
    fn peer_named(&mut self, answer: peer_names::Answer) {
        for warning in self.peers.take(Instant::now(), answer) {
            tracing::warn!("{warning}");
        }
        self.tell_of_peers();
    }

    /// Tells the machine where the servers of the realm are.
    fn tell_of_peers(&mut self) {
        let (peers, believe) = (self.peers.peers(), self.settings.peers.believe);
        self.admit(&peers, believe);
        self.driver.handle(Input::Command(Command::Peers { peers, believe }));
    }

    /// Takes the answer to a look-up of a server of another realm.
    fn realm_found(&mut self, answer: names::Answer) {
        let names::Change { moved, warnings } = self.realms.take(Instant::now(), answer);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        if moved {
            self.tell_of_realms();
        }
    }

    /// Hands on what came of getting a session with another realm.
    fn session_ended(&mut self, attempt: tickets::Attempt) {
        let done = self.environment.tickets.ended(Instant::now(), attempt);
        self.driver.handle(Input::Done(Done::Realm(done)));
    }

    /// Tells the machine where the servers of other realms are.
    fn tell_of_realms(&mut self) {
        self.driver.handle(Input::Command(Command::Realms(self.realms.realms())));
    }

    /// Waits until other servers have acknowledged what was forwarded to them, or for as long as the machine does.
    async fn leave_peers(&mut self) {
        while !self.driver.machine().has_left() {
            let turn = self.driver.turn(&mut self.environment);
            self.driver.wait(&turn, None).await;
        }
        self.driver.flush(&mut self.environment).await;
    }

    async fn stop(&mut self, signal: i32) {
        self.manager.stopping();
        self.driver.handle(Input::Command(Command::Shutdown));
        self.driver.flush(&mut self.environment).await;
        self.leave_peers().await;
        self.environment.streams.finish().await;
        self.finish_state().await;
        tracing::info!("goodbye (sig {signal})");
    }
}
