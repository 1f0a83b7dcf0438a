//! The server's I/O: its socket, clock, signals, log and listeners.

mod admin;

use super::{
    configuration::Configuration,
    dump_signal::DumpSignal,
    io_counters::IoCounters,
    listeners::Listeners,
    log_lines::LogLines,
    options::Options,
    published_counters::PublishedCounters,
    start::{self, StartError},
    subscriber::Subscriber,
    verifier::Verifier,
};
use crate::{
    logging::{self, DebugSwitch},
    notify::ServiceManager,
    plural,
    port_holder::{self, Transport},
    settings::{ServerSettings, StreamAddress},
    signals::{Signal, Signals},
};
use std::{process::ExitCode, time::Instant};
use zephyr_config::system_text;
use zephyr_core::{charset::Charset, sanitize, time::Now};
use zephyr_domain::server_domain::ServerDomain;
use zephyr_engine::{
    machine::Input,
    server::{Command, Event, Server, Verified, VerifyJob, acknowledgements_in_flight},
};
use zephyr_net::{
    clock::Clock,
    driver::{Driver, Environment, Failure},
    socket,
};
use zephyr_output::complain;

/// Runs a server until it is told to stop: exit status 0 then, 1 when it cannot begin.
pub fn run(options: &Options) -> ExitCode {
    match begin(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in sanitize::lines(error.to_string().as_bytes(), Charset::UTF8).lines() {
                complain!("zephyrd: {line}");
            }
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
        .map_err(|error| StartError::Listen { address, error: port_holder::explain(Transport::Udp, address, error) })?;
    let receive_buffer = socket::receive_buffer(&socket)?;
    tracing::debug!("the socket's receive buffer has {receive_buffer} octets");
    let listening = socket.local_addr()?;
    let domain = start::domain(&settings.zephyrd, &policies)?;
    let acceptor = start::acceptor(&domain, &settings.zephyrd, &options.config_dir)?;
    let mut config = start::prepare(&settings.zephyrd, &domain, settings.bounds, rules, listening)?;
    config.in_flight = acknowledgements_in_flight(receive_buffer);
    let realm = String::from_utf8_lossy(config.realms.local()).into_owned();
    tracing::info!(
        "serving realm {} with authentication {}, {}",
        realm.escape_debug(),
        domain.domain.backend,
        plural::rules(config.rules.defaults.len(), config.rules.registered())
    );
    tracing::info!("the policy is {}", domain.domain.origin());
    let listeners = open_listeners(options, &settings).await?;
    let clock = Clock::new();
    let environment = DriverEnvironment {
        verifier: Verifier::new(acceptor, settings.zephyrd.verify_threads)?,
        log: LogLines::new(),
        published: PublishedCounters::default(),
    };
    let mut shell = Shell {
        options: options.clone(),
        settings,
        domain,
        driver: Driver::new(Server::new(config, clock.now()), socket, clock),
        environment,
        io_counters: IoCounters::default(),
        listeners,
        debug,
        manager: ServiceManager::new(),
        status: format!("Serving realm {realm} on {listening}"),
    };
    let mut signals = Signals::new()?;
    tracing::info!("Ready for action on {listening}");
    shell.manager.ready(&shell.status);
    shell.work(&mut signals, &dumps).await;
    Ok(())
}

/// Opens the listeners for operators and collectors. Without operators a server still serves its users; without the
/// metrics that its settings promise it does not begin.
async fn open_listeners(options: &Options, settings: &ServerSettings) -> Result<Listeners, StartError> {
    let mut listeners = Listeners::new();
    let path = &settings.control.socket;
    if options.wants_control(settings) {
        match listeners.listen_for_control(path) {
            Ok(()) => tracing::debug!("zephyrctl is answered at {}", path.display()),
            Err(error) => {
                let why = system_text(&error);
                tracing::warn!("zephyrctl gets no answers, as there is no socket at {}: {why}", path.display());
            }
        }
    }
    if let Some(address) = &settings.metrics.listen {
        let opened = listeners.listen_for_metrics(address).await;
        let place = opened.map_err(|error| match address {
            StreamAddress::Tcp(tcp) => {
                let error = port_holder::explain(Transport::Tcp, *tcp, error);
                StartError::Metrics { place: tcp.to_string(), error }
            }
            StreamAddress::Unix(path) => StartError::Metrics { place: path.display().to_string(), error },
        })?;
        tracing::info!("metrics are offered on {place}");
    }
    Ok(listeners)
}

/// The environment of the server's driver: who does its jobs, and who listens to its events.
struct DriverEnvironment {
    verifier: Verifier,
    log: LogLines,
    published: PublishedCounters,
}

impl Environment<Server> for DriverEnvironment {
    fn job(&mut self, now: Now, job: VerifyJob) -> Option<Verified> {
        self.verifier.verify(now, job)
    }

    fn event(&mut self, event: Event) {
        let subscribers: [&mut dyn Subscriber; 2] = [&mut self.log, &mut self.published];
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
}

impl Shell {
    async fn work(&mut self, signals: &mut Signals, dumps: &DumpSignal) {
        loop {
            while let Some(verified) = self.environment.verifier.try_next() {
                self.driver.handle(Input::Done(verified));
            }
            let turn = self.driver.turn(&mut self.environment);
            let now = Instant::now();
            self.environment.log.flush(now);
            self.manager.watchdog(now);
            let deadline = [self.environment.log.next_summary(), self.manager.next_watchdog()];
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
                verified = self.environment.verifier.next() => self.driver.handle(Input::Done(verified)),
                () = self.driver.wait(&turn, deadline.into_iter().flatten().min()) => {}
            }
        }
    }

    async fn stop(&mut self, signal: i32) {
        self.manager.stopping();
        self.driver.handle(Input::Command(Command::Shutdown));
        self.driver.flush(&mut self.environment).await;
        tracing::info!("goodbye (sig {signal})");
    }
}
