//! The host manager's I/O: its socket, clock, signals and log.

use super::{
    background::{self, Starting},
    boot_record::{self, BootRecord},
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
    settings::{self, HostManagerSettings, LoadedSettings, ServerName},
    signals::{Signal, Signals},
};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{self, IpAddr, Ipv4Addr, SocketAddr},
    path::{self, Path},
    process::ExitCode,
    time::Instant,
};
use tokio::{net::UdpSocket, sync::mpsc};
use zephyr_config::system_text;
use zephyr_core::{charset::Charset, sanitize};
use zephyr_engine::{
    host_manager::{Command, Config, Done, HostManager, LookupAnswer, Server, Servers},
    machine::Input,
};
use zephyr_net::{address, clock::Clock, driver::Driver, network_watch::NetworkChanges, services};
use zephyr_output::complain;

/// Exit status when no server is named.
const NO_SERVER: u8 = 16;
/// Its names: the C host manager is `hm` in the system's log.
const IDENTITY: Identity = Identity { program: "zhm", syslog: "hm" };

/// Runs a host manager until it is told to stop, or starts one in the background: exit status 0 then, 16 when no server is
/// named, 1 when it cannot begin for another reason. That a server's name is not known at the moment is none, unless it is only
/// to say that the host has started.
pub fn run(options: &Options) -> ExitCode {
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
    let names = if options.servers.is_empty() { &settings.zhm.discovery.servers } else { &options.servers };
    let Some(servers) = servers(names) else {
        complain!("No valid primary server found, exiting.");
        if names.is_empty() {
            let file = options.config_dir.join(settings::FILE_NAME);
            complain!("zhm: Name the servers in {}, section zhm, or on the command line.", file.display());
        }
        return NO_SERVER.into();
    };
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
        Named { servers, number: names.len() },
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
    let absolute = |path: path::PathBuf| path::absolute(&path).unwrap_or(path);
    options.config_dir = absolute(options.config_dir);
    options.pid_file = options.pid_file.map(absolute);
    options
}

/// The servers of these names, if there are any.
fn servers(names: &[ServerName]) -> Option<Servers> {
    let usual = services::port(services::ZEPHYR_CLT);
    let servers = names.iter().map(|name| Server::new(&name.host, name.port.unwrap_or(usual)));
    let seed = RandomState::new().hash_one(std::process::id());
    Servers::new(servers.collect(), seed)
}

/// Debug lines, as they are and as they were asked for.
struct Debug {
    switch: DebugSwitch,
    usual: bool,
}

/// The servers that are named, and how many those are.
struct Named {
    servers: Servers,
    number: usize,
}

fn serve(options: &Options, socket: net::UdpSocket, named: Named, debug: Debug) -> io::Result<ExitCode> {
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
            address: own_address(&named.servers),
            port: listening.port(),
            version: format!("{} (5) zephyr-rs", env!("CARGO_PKG_VERSION")),
            machine: std::env::consts::ARCH.to_owned(),
            attach: attaches(options, record.as_ref()),
            refuse_flush: options.refuse_flush,
            own_address: programs_address(listening.ip()),
            servers: named.servers,
        };
        let clock = Clock::new();
        let machine = HostManager::new(config, clock.now());
        let (lookups, answers) = Lookups::new();
        let mut shell = Shell {
            driver: Driver::new(machine, socket, clock),
            surroundings: Surroundings::new(listening, lookups, record),
            answers,
            manager: ServiceManager::new(),
            status: Status::new(listening),
            network: NetworkChanges::new(),
            signals,
            debug,
            servers: named.number,
        };
        tracing::info!("Ready for action on {listening}");
        shell.manager.ready(&format!("Listening on {listening}"));
        if let Some(starting) = starting {
            starting.ready()?;
        }
        let status = shell.work(options).await;
        shell.manager.stopping();
        Ok(status)
    })
}

/// This host's address towards the first server, if that is named by its address.
fn own_address(servers: &Servers) -> Ipv4Addr {
    let towards = |server| match server {
        SocketAddr::V4(server) => address::towards(server).ok(),
        SocketAddr::V6(_) => None,
    };
    servers.current().and_then(Server::address).and_then(towards).unwrap_or(Ipv4Addr::UNSPECIFIED)
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
    /// How many servers are named.
    servers: usize,
}

impl Shell {
    async fn work(&mut self, options: &Options) -> ExitCode {
        let mut unresolved = Unresolved::default();
        loop {
            let turn = self.driver.turn(&mut self.surroundings);
            self.surroundings.log.flush();
            for (to, error) in self.surroundings.unsent.drain(..) {
                self.driver.machine_mut().note_unsent(to, &error);
            }
            self.manager.watchdog(Instant::now());
            self.status.update(self.driver.machine(), &self.manager);
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
                    if options.boot_only && unresolved.note(&answer, self.servers) {
                        tracing::error!("{unresolved}");
                        return ExitCode::FAILURE;
                    }
                    self.driver.handle(Input::Done(Done::Lookup(answer)));
                }
                () = self.driver.wait(&turn, deadline) => {}
            }
        }
    }
}
