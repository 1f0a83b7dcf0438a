//! A real name server, BIND's `named`, with zones of classes IN and HS.

use crate::{packages, process::Daemon, reference::Namespace};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The class of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneClass {
    /// IN.
    Internet,
    /// HS.
    Hesiod,
}

/// A zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone<'a> {
    /// Its name, without a dot at its end.
    pub name: &'a str,
    /// Its class.
    pub class: ZoneClass,
    /// Its records as in a zone's file, one each, beside its beginning and its name server.
    pub records: &'a [&'a str],
}

/// The name server, at port 53 of one address of a namespace. It ends when this is dropped.
#[derive(Debug)]
pub struct NameServer {
    // Dropped first.
    daemon: Daemon,
    folder: PathBuf,
    /// The number of the zones' latest versions.
    serial: u32,
}

impl NameServer {
    /// Starts it with these zones, which are all that it knows; its files are in `folder`. Returns when it answers.
    ///
    /// # Errors
    ///
    /// When packages are missing, or it does not start; shows what it said.
    pub fn start(namespace: &Namespace, folder: &Path, address: Ipv4Addr, zones: &[Zone<'_>]) -> Result<Self> {
        if let Some(line) = packages::install_line(&packages::missing(packages::NAME_SERVER)) {
            bail!("a name server needs packages that are missing: {line}");
        }
        fs::create_dir_all(folder)?;
        // Security modules confine the program at its usual place to files at their usual places.
        let program = folder.join("named");
        fs::copy(packages::find_file("bind9").context("named is not found")?, &program)?;
        fs::write(folder.join("named.conf"), configuration(folder, address, zones)?)?;
        let serial = 1;
        for zone in zones {
            write(folder, zone, serial)?;
        }
        let mut command = namespace.command(program);
        command.args(["-g", "-n", "1", "-c"]).arg(folder.join("named.conf"));
        let daemon = Daemon::spawn(command, folder.join("named.log"))?;
        daemon.wait_for(START_TIMEOUT, |line| line.ends_with(" running"))?;
        Ok(Self { daemon, folder: folder.to_owned(), serial })
    }

    /// Makes these the records of a zone that it has. Returns when it has taken them.
    ///
    /// # Errors
    ///
    /// When it does not; shows what it said.
    pub fn replace(&mut self, zone: &Zone<'_>) -> Result<()> {
        self.serial += 1;
        write(&self.folder, zone, self.serial)?;
        let mark = self.daemon.transcript().mark();
        self.daemon.signal(Signal::SIGHUP)?;
        let loaded = format!("loaded serial {}", self.serial);
        self.daemon.wait_after(mark, START_TIMEOUT, |line| line.ends_with(&loaded)).map(drop)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn stop(mut self) -> Result<()> {
        self.daemon.stop(STOP_TIMEOUT).map(drop)
    }
}

impl ZoneClass {
    const fn word(self) -> &'static str {
        match self {
            Self::Internet => "IN",
            Self::Hesiod => "HS",
        }
    }
}

/// Each class has a view of its own: that is how the program takes others than IN.
fn configuration(folder: &Path, address: Ipv4Addr, zones: &[Zone<'_>]) -> Result<String> {
    let mut text = format!(
        "options {{\n directory \"{}\";\n pid-file none;\n session-keyfile none;\n listen-on port 53 {{ {address}; }};\n \
         listen-on-v6 {{ none; }};\n recursion no;\n dnssec-validation no;\n notify no;\n}};\ncontrols {{ }};\n",
        folder.display()
    );
    for class in [ZoneClass::Internet, ZoneClass::Hesiod] {
        let own = zones.iter().filter(|zone| zone.class == class).collect::<Vec<_>>();
        if own.is_empty() {
            continue;
        }
        let word = class.word();
        writeln!(text, "view \"{word}\" {word} {{\n match-clients {{ any; }};")?;
        for zone in own {
            writeln!(text, " zone \"{}\" {word} {{ type primary; file \"{}\"; }};", zone.name, file_name(zone))?;
        }
        text += "};\n";
    }
    Ok(text)
}

fn file_name(zone: &Zone<'_>) -> String {
    format!("{}.{}", zone.name, zone.class.word())
}

fn write(folder: &Path, zone: &Zone<'_>, serial: u32) -> Result<()> {
    let mut text =
        format!("$TTL 30\n@ {} SOA ns admin {serial} 3600 600 86400 5\n@ NS ns.{}.\n", zone.class.word(), zone.name);
    if zone.class == ZoneClass::Internet {
        text += "ns A 10.77.0.1\n";
    }
    for record in zone.records {
        writeln!(text, "{record}")?;
    }
    Ok(fs::write(folder.join(file_name(zone)), text)?)
}
