//! The host manager's I/O: its socket, clock, signals and log.

use super::{
    background::{self, Starting},
    boot_record::{self, BootRecord},
    discovery::{self, Discoveries},
    lookups::Lookups,
    options::Options,
    pid_file::{self, PidFile},
    sockets,
    status::Status,
    surroundings::Surroundings,
    unresolved::Unresolved,
};
use crate::{
    logging::{self, DebugSwitch, Identity},
    notify::ServiceManager,
    problem::Problems,
    settings::{HostManagerSettings, LoadedSettings},
    signals::{Signal, Signals},
};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{self, IpAddr, Ipv4Addr, SocketAddrV4},
    path::{self, Path},
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, sync::mpsc};
use zephyr_config::system_text;
use zephyr_core::{charset::Charset, sanitize};
use zephyr_discovery::{Discovery, Survey};
use zephyr_engine::{
    host_manager::{Command, Config, Discovered, Done, HostManager, LookupAnswer, NotFound, Servers},
    machine::Input,
};
use zephyr_net::{address, clock::Clock, driver::Driver, network_watch::NetworkChanges};
use zephyr_output::complain;

/// Exit status when no server is named.
const NO_SERVER: u8 = 16;
/// How long a discovery may keep one from the background.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Its names: the C host manager is `hm` in the system's log.
const IDENTITY: Identity = Identity { program: "zhm", syslog: "hm" };

/// Runs a host manager until it is told to stop, or starts one in the background: exit status 0 then, 16 when no server is
/// named, 1 when it cannot begin for another reason. That a server's name is not known at the moment is none, unless it is only
/// to say that the host has started.
pub fn run(options: &Options) -> ExitCode {
    if options.in_background {
        background::close_inherited();
    }
    let options = &in_any_folder(options.clone());
    let LoadedSettings { settings, warnings } = match HostManagerSettings::load(&options.config_dir) {
        Ok(loaded) => loaded,
        Err(findings) => {
            let problems = Problems(findings.problems).to_string();
            for line in sanitize::lines(problems.as_bytes(), Charset::UTF8).lines() {
                complain!("zhm: {line}");
            }
            return ExitCode::FAILURE;
        }
    };
    let goes_into_background = background::is_wanted(options);
    let discovery = discovery::of(options, &settings.zhm);
    let advice = discovery::advice(&settings.zhm, &options.config_dir);
    // In the background nobody reads any more what is said, so what can be said soon is waited for.
    let within = if goes_into_background { DISCOVERY_TIMEOUT } else { Duration::ZERO };
    let first = discovery.survey(within).result;
    if let Err(NotFound::NoServer(reason)) = &first {
        discovery::complain_of_none(reason, &advice);
        return NO_SERVER.into();
    }
    let socket = match sockets::open(options, &settings) {
        Ok(socket) => socket,
        Err(error) => return fail(&error),
    };
    if goes_into_background {
        for warning in &warnings {
            complain!("zhm: {warning}");
        }
        return background::start(socket);
    }
    let log = background::log(&settings.log, options.in_background);
    let debug = logging::start(IDENTITY, &log, options.debug);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    match serve(
        options,
        socket,
        Finding { discovery, first, advice },
        Debug { switch: debug, usual: options.debug || log.debug },
    ) {
        Ok(status) => status,
        Err(error) => fail(&error),
    }
}

fn fail(error: &io::Error) -> ExitCode {
    complain!("zhm: {}", system_text(error));
    ExitCode::FAILURE
}

/// The options, good in any folder: the background's is another.
fn in_any_folder(mut options: Options) -> Options {
    fn absolute(path: path::PathBuf) -> path::PathBuf {
        path::absolute(&path).unwrap_or(path)
    }
    options.config_dir = absolute(options.config_dir);
    options.pid_file = options.pid_file.map(absolute);
    options
}

/// Debug lines, as they are and as they were asked for.
struct Debug {
    switch: DebugSwitch,
    usual: bool,
}

/// How servers are found, and what was found on the spot.
struct Finding {
    discovery: Discovery,
    first: Result<Discovered, NotFound>,
    /// What to do when no source names any.
    advice: String,
}

fn serve(options: &Options, socket: net::UdpSocket, finding: Finding, debug: Debug) -> io::Result<ExitCode> {
    let starting = options.in_background.then(Starting::leave).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = UdpSocket::from_std(socket)?;
        let listening = socket.local_addr()?;
        let signals = Signals::new()?;
        let pid_file = pid_file::path(options);
        let record = pid_file.as_deref().and_then(|file| BootRecord::beside(file, Path::new(boot_record::KERNEL)));
        let _pid_file = PidFile::write(pid_file);
        let config = Config {
            address: own_address(&finding.first),
            port: listening.port(),
            version: format!("{} (5) zephyr-rs", env!("CARGO_PKG_VERSION")),
            machine: std::env::consts::ARCH.to_owned(),
            attach: attaches(options, record.as_ref()),
            refuse_flush: options.refuse_flush,
            own_address: programs_address(listening.ip()),
            servers: Servers::to_discover(RandomState::new().hash_one(std::process::id())),
        };
        let clock = Clock::new();
        let machine = HostManager::new(config, clock.now());
        let (lookups, answers) = Lookups::new();
        let (discoveries, surveys) = Discoveries::new(finding.discovery);
        let mut shell = Shell {
            driver: Driver::new(machine, socket, clock),
            surroundings: Surroundings::new(listening, lookups, discoveries, record),
            answers,
            surveys,
            manager: ServiceManager::new(),
            status: Status::new(listening),
            network: NetworkChanges::new(),
            signals,
            debug,
        };
        tracing::info!("Ready for action on {listening}");
        shell.manager.ready(&format!("Listening on {listening}"));
        if let Some(starting) = starting {
            starting.ready()?;
        }
        let status = shell.work(options, &finding.advice).await;
        shell.manager.stopping();
        Ok(status)
    })
}

/// This host's address towards the first server, if that is named by its address.
fn own_address(first: &Result<Discovered, NotFound>) -> Ipv4Addr {
    let candidate = first.as_ref().ok().and_then(|found| found.candidates.first());
    let address = candidate.and_then(|server| Some(SocketAddrV4::new(server.host.parse().ok()?, server.port)));
    address.and_then(|server| address::towards(server).ok()).unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// The address that programs send from beside the loopback ones: where the host manager is bound to one address of the
/// host, what they send there comes from that address.
fn programs_address(listening: IpAddr) -> Option<IpAddr> {
    if listening.is_loopback() || listening.is_unspecified() {
        return None;
    }
    if !address::own_are_unforgeable() {
        tracing::warn!(
            "programs cannot ask at {listening}, as this system takes packets of other hosts from its own addresses \
             (accept_local): listen at 127.0.0.1 or 0.0.0.0"
        );
        return None;
    }
    Some(listening)
}

/// Whether the server is to keep what it has of this host: as the options say, else when it knows of the host's start
/// already.
fn attaches(options: &Options, record: Option<&BootRecord>) -> bool {
    let is_known = !options.boot_only && record.is_some_and(BootRecord::is_acknowledged);
    if is_known && !options.attach {
        tracing::info!("this host was not rebooted: the server keeps its subscriptions");
    }
    options.attach || is_known
}

struct Shell {
    driver: Driver<HostManager>,
    surroundings: Surroundings,
    /// The answers of look-ups.
    answers: mpsc::UnboundedReceiver<LookupAnswer>,
    manager: ServiceManager,
    status: Status,
    network: NetworkChanges,
    signals: Signals,
    debug: Debug,
    /// The answers of discoveries.
    surveys: mpsc::UnboundedReceiver<Survey>,
}

impl Shell {
    async fn work(&mut self, options: &Options, advice: &str) -> ExitCode {
        let mut unresolved = Unresolved::default();
        loop {
            let turn = self.driver.turn(&mut self.surroundings);
            self.surroundings.log.flush();
            for (to, error) in self.surroundings.unsent.drain(..) {
                self.driver.machine_mut().note_unsent(to, &error);
            }
            self.manager.watchdog(Instant::now());
            self.status.update(self.driver.machine(), &self.manager);
            if let Some(reason) = self.surroundings.no_server.take() {
                tracing::error!("no server is named: {reason}");
                discovery::complain_of_none(&reason, advice);
                return NO_SERVER.into();
            }
            let all_done = !turn.busy && !turn.blocked;
            if options.boot_only && all_done && !self.driver.machine().is_looking() {
                return ExitCode::SUCCESS;
            }
            let deadline =
                [self.surroundings.log.lines.next_summary(), self.manager.next_watchdog()].into_iter().flatten().min();
            tokio::select! {
                biased;
                signal = self.signals.next() => match signal {
                    Signal::Stop(_) => {
                        tracing::info!("Terminate signal caught...");
                        return ExitCode::SUCCESS;
                    }
                    Signal::Reload if options.stop_on_hangup || options.inetd => {
                        tracing::info!("Hangup signal caught, stopping");
                        return ExitCode::SUCCESS;
                    }
                    Signal::Reload => self.driver.handle(Input::Command(Command::Flush)),
                    Signal::DebugOn => self.debug.switch.set(true),
                    Signal::DebugOff => self.debug.switch.set(self.debug.usual),
                },
                () = self.network.changed() => self.driver.handle(Input::Command(Command::NetworkChanged)),
                Some(answer) = self.answers.recv() => {
                    if options.boot_only && unresolved.note(&answer, self.driver.machine().servers().len()) {
                        tracing::error!("{unresolved}");
                        return ExitCode::FAILURE;
                    }
                    self.driver.handle(Input::Done(Done::Lookup(answer)));
                }
                Some(survey) = self.surveys.recv() => {
                    let result = self.surroundings.discoveries.take(survey);
                    if let (true, Err(not_found)) = (options.boot_only, &result) {
                        tracing::error!("{not_found}; no server was told that this host has started");
                        return ExitCode::FAILURE;
                    }
                    self.driver.handle(Input::Done(Done::Discovered(result)));
                }
                () = self.driver.wait(&turn, deadline) => {}
            }
        }
    }
}
