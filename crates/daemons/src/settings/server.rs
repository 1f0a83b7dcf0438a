//! The server's settings.

use super::{
    file::{self, LoadedSettings},
    log::Log,
    metrics::Metrics,
    peers::Peers,
    values::{absolute, at_least_one, listen_address, one_word},
};
use crate::problem::Findings;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use zephyr_config::reader::Section;
use zephyr_domain::Backend;
use zephyr_engine::server::Bounds;

/// Maximum number of worker threads.
const MAX_VERIFY_THREADS: usize = 64;

/// Bounds that have been renamed: the old one, and the one of today.
const RENAMED_BOUNDS: [(&str, &str); 6] = [
    ("unproven-answer-factor", "amplification-limit"),
    ("proof-sources", "rate-limit-sources"),
    ("replays", "replay-cache-entries"),
    ("recent-packets", "response-cache-entries"),
    ("waiting-packets", "ingress-queue-packets"),
    ("host-requests", "host-flushes"),
];

/// The settings of zephyrd; the default is what holds without a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerSettings {
    /// Section `zephyrd`.
    pub zephyrd: Server,
    /// Section `bounds`: how much the server holds.
    pub bounds: Bounds,
    /// Section `control`: where operators reach the server.
    pub control: Control,
    /// Section `state`: where what the server knows is kept.
    pub state: State,
    /// Section `metrics`: where the server's numbers are read.
    pub metrics: Metrics,
    /// Section `peers`: the servers of the realm.
    pub peers: Peers,
    /// Section `log`: where the log goes.
    pub log: Log,
}

/// Which sections have no problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WholeSections {
    pub(crate) zephyrd: bool,
    pub(crate) control: bool,
    pub(crate) peers: bool,
    pub(crate) state: bool,
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
    /// The file of state dumps.
    pub dump_file: PathBuf,
    /// Octets of receive buffer to ask the system for; it may give less.
    pub receive_buffer: usize,
    /// Threads that verify authenticators; 0: they are verified on the spot.
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

/// Section `state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The file; `None`: nothing is kept.
    pub file: Option<PathBuf>,
}

impl Default for State {
    fn default() -> Self {
        Self { file: Some(PathBuf::from("/var/lib/zephyr/state.db")) }
    }
}

impl ServerSettings {
    /// The settings of this configuration folder; the defaults when it has no such file.
    ///
    /// # Errors
    ///
    /// All errors in the file that are not in a section of another program.
    pub fn load(config_dir: &Path) -> Result<LoadedSettings<Self>, Findings> {
        file::load(config_dir, Self::read_sections)
    }

    /// The settings of a file with this content.
    ///
    /// # Errors
    ///
    /// All errors in it that are not in a section of another program.
    pub fn read(file: &Path, content: &str) -> Result<LoadedSettings<Self>, Findings> {
        file::read(file, content, Self::read_sections)
    }

    /// As much of the settings as can be used, and whose sections are whole: the defaults are in the place of a section with
    /// a problem, and of each when the file cannot be read or is no TOML.
    pub(crate) fn load_in_part(config_dir: &Path) -> (Self, WholeSections) {
        let mut settings = Self::default();
        let whole = file::load_sections(
            config_dir,
            [
                &mut |top| settings.zephyrd.read(top.section("zephyrd")),
                &mut |top| settings.control.read(top.section("control")),
                &mut |top| settings.metrics.read(top.section("metrics")),
                &mut |top| settings.state.read(top.section("state")),
                &mut |top| settings.log.read(top.section("log")),
                &mut |top| settings.peers.read(top.section("peers")),
            ],
        );
        let [zephyrd, control, metrics, state, log, peers] = whole;
        if !zephyrd {
            settings.zephyrd = Server::default();
        }
        if !control {
            settings.control = Control::default();
        }
        if !metrics {
            settings.metrics = Metrics::default();
        }
        if !state {
            settings.state = State::default();
        }
        if !log {
            settings.log = Log::default();
        }
        if !peers {
            settings.peers = Peers::default();
        }
        (settings, WholeSections { zephyrd, control, peers, state })
    }

    /// Reads the server's own sections.
    pub(super) fn read_sections(top: &mut Section<'_, '_>) -> Self {
        let mut settings = Self::default();
        settings.zephyrd.read(top.section("zephyrd"));
        read_bounds(&mut settings.bounds, top.section("bounds"));
        settings.control.read(top.section("control"));
        settings.metrics.read(top.section("metrics"));
        settings.state.read(top.section("state"));
        settings.peers.read(top.section("peers"));
        settings.log.read(top.section("log"));
        top.skip("zhm");
        settings
    }
}

impl Server {
    fn read(&mut self, mut section: Section<'_, '_>) {
        section.read_text("listen", &mut self.listen, |text| listen_address(text).map(Some));
        section.read_text("hostname", &mut self.hostname, one_word);
        section.read_text("realm", &mut self.realm, one_word);
        section.read_text("keytab", &mut self.keytab, |path| absolute(path).map(Some));
        section.read_text("auth", &mut self.auth, |name| name.parse().map(Some));
        section.read_text("dump-file", &mut self.dump_file, absolute);
        section.read_checked("receive-buffer", &mut self.receive_buffer, at_least_one);
        section.read_checked("verify-threads", &mut self.verify_threads, |threads: usize| match threads {
            0..=MAX_VERIFY_THREADS => Ok(threads),
            _ => Err(format!("expected a number from 0 to {MAX_VERIFY_THREADS}, not {threads}")),
        });
        section.finish();
    }
}

fn read_bounds(bounds: &mut Bounds, mut section: Section<'_, '_>) {
    for (old, new) in RENAMED_BOUNDS {
        section.renamed(old, new);
    }
    bounds.each(|name, bound| {
        section.read_checked(name, bound, at_least_one);
    });
    section.finish();
}

impl Control {
    fn read(&mut self, mut section: Section<'_, '_>) {
        section.read_text("socket", &mut self.socket, absolute);
        section.finish();
    }
}

impl State {
    fn read(&mut self, mut section: Section<'_, '_>) {
        section.read_checked("file", &mut self.file, |path: String| match &*path {
            "" | "none" => Ok(None),
            path => absolute(path).map(Some),
        });
        section.finish();
    }
}
