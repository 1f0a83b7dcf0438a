//! The settings of both daemons, in `zephyr.toml` of the configuration folder.
//!
//! The file is optional and so is every setting; the command line overrules it. A setting that does not exist is an error,
//! because a misspelt limit is no limit. The shipped example names every setting with its default.

use crate::problem::{Problem, Problems};
use serde::Deserialize;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use zephyr_config::{read_bounded, reader::Reader};
use zephyr_domain::Backend;
use zephyr_engine::server::Bounds;

/// The file's name in the configuration folder.
pub const FILE_NAME: &str = "zephyr.toml";

/// All settings; the default is what holds without a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Of the server.
    pub zephyrd: Server,
    /// How much the server holds.
    pub bounds: Bounds,
    /// Where operators reach the server.
    pub control: Control,
    /// Where the server's numbers are read.
    pub metrics: Metrics,
    /// Where both daemons write their log.
    pub log: Log,
    /// Of the host manager.
    pub zhm: HostManager,
}

/// Section `zephyrd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where to listen; `None`: every address, at port zephyr-clt.
    pub listen: Option<SocketAddr>,
    /// The server's name in its own notices; `None`: this host's.
    pub hostname: Option<String>,
    /// The realm to serve; `None`: Kerberos' default realm.
    pub realm: Option<String>,
    /// The keys of zephyr/zephyr; `None`: `krb5.keytab` in the configuration folder.
    pub keytab: Option<PathBuf>,
    /// How senders are proven; `None`: as the domain's policy says.
    pub auth: Option<Backend>,
    /// Where the server writes what it knows, when asked to.
    pub dump_file: PathBuf,
    /// Octets of receive buffer to ask the system for; it may give less.
    pub receive_buffer: usize,
    /// Threads that verify proofs; 0: on the spot.
    pub verify_threads: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: None,
            hostname: None,
            realm: None,
            keytab: None,
            auth: None,
            dump_file: PathBuf::from("/var/lib/zephyr/zephyr.db"),
            receive_buffer: 8 << 20,
            verify_threads: 0,
        }
    }
}

/// Section `control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The socket that zephyrctl talks to.
    pub socket: PathBuf,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: PathBuf::from("/run/zephyr/zephyrd.sock") }
    }
}

/// A place where something listens for connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl std::str::FromStr for StreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => match text.parse() {
                Ok(address) => Ok(Self::Tcp(address)),
                Err(_) => Err(format!("expected ADDRESS:PORT or unix:/PATH, not {text:?}")),
            },
        }
    }
}

/// Section `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where; `None`: nowhere.
    pub listen: Option<StreamAddress>,
    /// Other hosts may read them too.
    pub allow_remote: bool,
}

/// Where a log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// To the journal when started by systemd, else to standard error.
    #[default]
    Auto,
    /// To standard error.
    Stderr,
    /// To systemd's journal, with fields.
    Journald,
    /// To the system's log, by its socket.
    Syslog,
}

/// A facility of the system's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// As C servers always used.
    pub const LOCAL6: Self = Self(22);
    const NAMES: [(&str, u8); 11] = [
        ("user", 1),
        ("daemon", 3),
        ("auth", 4),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
}

impl std::str::FromStr for Facility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(name, _)| *name == text);
        known.map(|&(_, number)| Self(number)).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|&(name, _)| name).collect();
            format!("expected one of {}, not {text:?}", names.join(", "))
        })
    }
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where to.
    pub target: LogTarget,
    /// Debug lines too, from the start.
    pub debug: bool,
    /// The facility, where the target is syslog.
    pub facility: Facility,
    /// The system log's socket.
    pub syslog_socket: PathBuf,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            target: LogTarget::Auto,
            debug: false,
            facility: Facility::LOCAL6,
            syslog_socket: PathBuf::from("/dev/log"),
        }
    }
}

/// Section `zhm`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostManager {
    /// Servers as `HOST` or `HOST:PORT`, the preferred one first.
    pub servers: Vec<String>,
    /// Where to listen; `None`: every address, at port zephyr-hm.
    pub listen: Option<SocketAddr>,
}

impl Settings {
    /// The settings of this configuration folder; the defaults when it has no such file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the file.
    pub fn load(config_dir: &Path) -> Result<Self, Problems> {
        let file = config_dir.join(FILE_NAME);
        match read_bounded(&file) {
            Ok(content) => Self::read(&file, &content).map_err(Problems),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Problems(vec![Problem::whole_file(&file, error)])),
        }
    }

    /// The settings of a file with this content.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    pub fn read(file: &Path, content: &str) -> Result<Self, Vec<Problem>> {
        let (settings, problems, _) = Self::read_all(file, content);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// The settings, the problems, and the names of all settings that exist.
    fn read_all(file: &Path, content: &str) -> (Self, Vec<Problem>, Vec<String>) {
        let mut settings = Self::default();
        let mut reader = Reader::new(file, content);
        let mut top = reader.parse();

        let mut section = top.section("zephyrd");
        let server = &mut settings.zephyrd;
        section.read_text("listen", &mut server.listen, |text| listen_address(text).map(Some));
        section.read_text("hostname", &mut server.hostname, one_word);
        section.read_text("realm", &mut server.realm, one_word);
        section.read_text("keytab", &mut server.keytab, |path| absolute(path).map(Some));
        section.read_text("auth", &mut server.auth, |name| name.parse().map(Some));
        section.read_text("dump-file", &mut server.dump_file, absolute);
        section.read_checked("receive-buffer", &mut server.receive_buffer, at_least_one);
        section.finish();

        let mut section = top.section("bounds");
        settings.bounds.each(|name, bound| {
            section.read_checked(name, bound, at_least_one);
        });
        section.finish();

        let mut section = top.section("control");
        section.read_text("socket", &mut settings.control.socket, absolute);
        section.finish();

        let mut section = top.section("metrics");
        let metrics = &mut settings.metrics;
        section.read("allow-remote", &mut metrics.allow_remote);
        let allow_remote = metrics.allow_remote;
        section.read_text("listen", &mut metrics.listen, |text| match text.parse()? {
            StreamAddress::Tcp(address) if !address.ip().is_loopback() && !allow_remote => {
                Err(format!("{address} can be reached from other hosts; set allow-remote = true if that is wanted"))
            }
            address => Ok(Some(address)),
        });
        section.finish();

        let mut section = top.section("log");
        let log = &mut settings.log;
        section.read("target", &mut log.target);
        section.read("debug", &mut log.debug);
        section.read_text("facility", &mut log.facility, str::parse);
        section.read_text("syslog-socket", &mut log.syslog_socket, absolute);
        section.finish();

        let mut section = top.section("zhm");
        section.read("servers", &mut settings.zhm.servers);
        section.read_text("listen", &mut settings.zhm.listen, |text| listen_address(text).map(Some));
        section.finish();

        top.finish();
        let (problems, asked) = reader.finish();
        (settings, problems, asked)
    }
}

/// Where a daemon listens for notices, as options and settings say it.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(address @ SocketAddr::V4(_)) => Ok(address),
        Ok(SocketAddr::V6(_)) => Err(format!("expected an IPv4 address, as Zephyr knows no others, not {text:?}")),
        Err(_) => Err(format!("expected ADDRESS:PORT, not {text:?}")),
    }
}

fn one_word(text: &str) -> Result<Option<String>, String> {
    let plain = text.chars().all(|char| !char.is_whitespace() && !char.is_control());
    if plain { Ok(Some(text.to_owned())) } else { Err(format!("expected one word, not {text:?}")) }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') { Ok(text.into()) } else { Err(format!("expected a path from /, not {text:?}")) }
}

fn at_least_one(number: usize) -> Result<usize, &'static str> {
    if number == 0 { Err("expected a number from 1") } else { Ok(number) }
}

#[cfg(test)]
mod tests;
