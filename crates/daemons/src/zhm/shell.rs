//! The host manager's I/O: its socket, clock, signals and log.

use super::options::Options;
use crate::{
    logging::{self, RateLimit},
    notify::ServiceManager,
    port_holder::{self, Transport},
    private_file,
    problem::Problems,
    settings::{self, HostManagerSettings, LoadedSettings},
    signals::{Signal, Signals},
};
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    mem::{Discriminant, discriminant},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};
use tokio::net::UdpSocket;
use zephyr_config::system_text;
use zephyr_core::{charset::Charset, sanitize, time::Now};
use zephyr_engine::{
    host_manager::{
        Certainty, Command, Config, HostManager, Owner, OwnerAnswer, OwnerQuery, Server, Servers,
        event::{Event, LogEvent, ServerChange},
    },
    level::Level,
    machine::Input,
};
use zephyr_net::{
    address,
    clock::Clock,
    driver::{Driver, Environment, Failure},
    host, services, socket,
    socket_owner::SocketOwners,
};
use zephyr_output::complain;

/// Exit status when no server is known.
const NO_SERVER: u8 = 16;
const PID_FILE: &str = "/var/run/zhm.pid";

/// Runs a host manager until it is told to stop: exit status 0 then, 16 when it knows no server, 1 when it cannot begin
/// for another reason.
pub fn run(options: &Options) -> ExitCode {
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
    let debug = logging::start("zhm", &settings.log, options.debug);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let names = if options.servers.is_empty() { &settings.zhm.servers } else { &options.servers };
    let Some(servers) = find_servers(names) else {
        complain!("No valid primary server found, exiting.");
        if names.is_empty() {
            let file = options.config_dir.join(settings::FILE_NAME);
            complain!("zhm: Name the servers in {}, section zhm, or on the command line.", file.display());
        }
        return NO_SERVER.into();
    };
    match serve(options, &settings, servers, &debug) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("zhm: {}", system_text(&error));
            ExitCode::FAILURE
        }
    }
}

/// The servers of the command line whose names mean something.
fn find_servers(names: &[String]) -> Option<Servers> {
    let mut servers = Vec::new();
    for name in names {
        match find_server(name) {
            Some(server) => servers.push(server),
            None => complain!("Unknown server name: {name}"),
        }
    }
    Servers::new(servers, RandomState::new().hash_one(names))
}

/// The server that `HOST` or `HOST:PORT` means.
fn find_server(name: &str) -> Option<Server> {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (name, services::port(services::ZEPHYR_CLT)),
    };
    let address = address::resolve(host, port).ok()?;
    let name = host::canonical_name(host).unwrap_or_else(|| host.to_owned());
    Some(Server { name: name.into(), address: address.into() })
}

fn serve(
    options: &Options,
    settings: &HostManagerSettings,
    servers: Servers,
    debug: &logging::DebugSwitch,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = open_socket(options, settings)?;
        let listening = socket.local_addr()?;
        let mut signals = Signals::new()?;
        let _pid_file = PidFile::write(options);
        let config = Config {
            address: own_address(&servers),
            port: listening.port(),
            version: format!("{} (5) zephyr-rs", env!("CARGO_PKG_VERSION")),
            machine: std::env::consts::ARCH.to_owned(),
            attach: options.attach,
            refuse_flush: options.refuse_flush,
            servers,
        };
        let clock = Clock::new();
        let machine = HostManager::new(config, clock.now());
        let mut shell = Shell {
            driver: Driver::new(machine, socket, clock),
            surroundings: Surroundings::new(listening),
            manager: ServiceManager::new(),
            debug: settings.log.debug,
        };
        tracing::info!("Ready for action on {listening}");
        shell.manager.ready(&format!("Listening on {listening}"));
        shell.work(options, debug, &mut signals).await;
        shell.manager.stopping();
        Ok(())
    })
}

fn open_socket(options: &Options, settings: &HostManagerSettings) -> io::Result<UdpSocket> {
    if options.inetd {
        let wrong = |error: io::Error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("-i: standard input: {}", system_text(&error)))
        };
        return socket::inherited(io::stdin().as_fd().try_clone_to_owned()?).map_err(wrong);
    }
    let usual = || (Ipv4Addr::UNSPECIFIED, services::port(services::ZEPHYR_HM)).into();
    let address = options.listen.or(settings.zhm.listen).unwrap_or_else(usual);
    socket::bind(address).map_err(|error| {
        let error = port_holder::explain(Transport::Udp, address, error);
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

fn own_address(servers: &Servers) -> Ipv4Addr {
    let SocketAddr::V4(server) = servers.current().address else { return Ipv4Addr::UNSPECIFIED };
    address::towards(SocketAddrV4::new(*server.ip(), server.port())).unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// The file with the process id, as long as the host manager runs.
struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Scripts may miss the file, the host manager does not: failing to write it is no failure.
    fn write(options: &Options) -> Self {
        let usual = || options.listen.is_none().then(|| Path::new(PID_FILE).to_owned());
        let path = options.pid_file.clone().or_else(usual);
        let written = path.filter(|path| {
            match private_file::write_public(path, format!("{}\n", std::process::id()).as_bytes()) {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!("cannot write {}: {error}", path.display());
                    false
                }
            }
        });
        Self(written)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

struct Shell {
    driver: Driver<HostManager>,
    surroundings: Surroundings,
    manager: ServiceManager,
    /// Whether the settings want debug lines.
    debug: bool,
}

impl Shell {
    async fn work(&mut self, options: &Options, debug: &logging::DebugSwitch, signals: &mut Signals) {
        loop {
            let turn = self.driver.turn(&mut self.surroundings);
            self.surroundings.log.flush();
            self.manager.watchdog(Instant::now());
            let all_done = !turn.busy && !turn.blocked;
            if options.boot_only && all_done && !self.driver.machine().is_looking() {
                return;
            }
            let deadline =
                [self.surroundings.log.lines.next_summary(), self.manager.next_watchdog()].into_iter().flatten().min();
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Stop(_) => return tracing::info!("Terminate signal caught..."),
                    Signal::Reload if options.stop_on_hangup || options.inetd => {
                        return tracing::info!("Hangup signal caught, stopping");
                    }
                    Signal::Reload => self.driver.handle(Input::Command(Command::Flush)),
                    Signal::DebugOn => debug.set(true),
                    Signal::DebugOff => debug.set(options.debug || self.debug),
                },
                () = self.driver.wait(&turn, deadline) => {}
            }
        }
    }
}

/// Kinds of lines that are counted together.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Line {
    Log(Discriminant<LogEvent>),
    Server(Discriminant<ServerChange>),
}

/// Logs the events of the host manager.
#[derive(Debug, Default)]
struct Log {
    lines: RateLimit<Line>,
}

impl Log {
    fn flush(&mut self) {
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
struct Surroundings {
    log: Log,
    /// Whose programs there are; `None` on a system that does not tell.
    owners: Option<SocketOwners>,
}

impl Surroundings {
    fn new(listening: SocketAddr) -> Self {
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
        Self { log: Log::default(), owners }
    }
}

impl Environment<HostManager> for Surroundings {
    fn job(&mut self, _: Now, query: OwnerQuery) -> Option<OwnerAnswer> {
        let user = self.owners.as_mut().and_then(|owners| match query.certainty {
            Certainty::Usual => owners.owner(query.program),
            Certainty::Sole => owners.sole_owner(query.program),
        });
        Some(query.answer(user.map_or(Owner::Unknown, Owner::User)))
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Log(event) => self.log.write(&event),
            Event::Server(change) => {
                if self.log.may_write(Line::Server(discriminant(&change)), || change.to_string()) {
                    tracing::info!("{change}");
                }
            }
        }
    }

    fn failed(&mut self, failure: Failure) {
        tracing::debug!("{failure}");
    }
}
