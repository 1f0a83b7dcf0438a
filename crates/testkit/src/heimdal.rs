//! Heimdal's programs: its KDC, its commands, and its KCM daemon.
//!
//! Debian's packages of them cannot be installed beside MIT's, so they are unpacked into a directory of their own;
//! the libraries they need are [`packages::HEIMDAL`] and are installed as usual.

use crate::{
    deadline::wait_until,
    packages,
    process::{self, Daemon},
};
use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{Flock, FlockArg},
    unistd::geteuid,
};
use std::{
    env,
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The packages that are unpacked.
const UNPACKED: [&str; 3] = ["heimdal-kdc", "heimdal-clients", "heimdal-kcm"];

const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The directory of Heimdal's programs, which are unpacked once and kept in the target directory.
///
/// # Errors
///
/// Why they are not available, with the command that installs missing packages.
pub fn folder() -> Result<PathBuf> {
    if let Some(line) = packages::install_line(&packages::missing(packages::HEIMDAL)) {
        bail!("Heimdal needs packages that are missing: {line}");
    }
    let target = env::current_exe()?;
    let target = target.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    let folder = target.context("there is no target directory")?.join("heimdal");
    fs::create_dir_all(&folder)?;
    // One at a time, however many tests start at once.
    let lock = Flock::lock(File::create(folder.join("lock"))?, FlockArg::LockExclusive);
    let _lock = lock.map_err(|(_, error)| error)?;
    let done = folder.join("unpacked");
    if !done.exists() {
        let mut download = Command::new("apt-get");
        download.args(["-qq", "download"]).args(UNPACKED).current_dir(&folder);
        process::run(download, DOWNLOAD_TIMEOUT)?.success().context("Heimdal's packages cannot be downloaded")?;
        for file in fs::read_dir(&folder)?.flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|extension| extension == "deb") {
                let mut unpack = Command::new("dpkg-deb");
                unpack.arg("--extract").arg(&file).arg(&folder);
                process::run(unpack, DOWNLOAD_TIMEOUT)?.success()?;
            }
        }
        File::create(done)?;
    }
    Ok(folder)
}

/// As [`folder`]; `None` when they are not available, so that the caller can skip the test: prints why. In continuous
/// integration (`CI=true`) that is an error: nothing is skipped there.
///
/// # Errors
///
/// When they are required and not available.
pub fn or_skip() -> Result<Option<PathBuf>> {
    match folder() {
        Ok(folder) => Ok(Some(folder)),
        Err(reason) if env::var("CI").is_ok_and(|value| value == "true") => Err(reason),
        Err(reason) => {
            eprintln!("skipped: {reason:#}");
            Ok(None)
        }
    }
}

/// The path of one of Heimdal's commands, such as `kinit.heimdal`.
///
/// # Errors
///
/// When Heimdal is not available.
pub fn program(name: &str) -> Result<PathBuf> {
    let folder = folder()?;
    let program = folder.join("usr/bin").join(name);
    if program.is_file() { Ok(program) } else { bail!("Heimdal has no {name}") }
}

/// A running KCM daemon, which keeps credential caches named `KCM:` in memory. Ends when dropped.
#[derive(Debug)]
pub struct Kcm {
    _daemon: Daemon,
    socket: PathBuf,
}

impl Kcm {
    /// Starts a KCM daemon for programs with the settings of [`Kcm::settings`]; `folder` is for its files.
    ///
    /// Its socket is always in /run, so it gets a /run of its own, which only root can make.
    ///
    /// # Errors
    ///
    /// When Heimdal is not available, or the daemon does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        if !geteuid().is_root() {
            bail!("a KCM daemon needs a /run of its own, which only root can make");
        }
        let program = self::folder()?.join("usr/sbin/kcm");
        let run = folder.join("kcm-run");
        fs::create_dir_all(&run)?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
        command.args([r#"mount --bind "$1" /run && exec "$2" -c /dev/null"#, "kcm"]).arg(&run).arg(program);
        let daemon = Daemon::spawn(command, folder.join("kcm.log"))?;
        let socket = run.join(".heim_org.h5l.kcm-socket");
        // The socket is there before anybody listens at it.
        wait_until("the KCM daemon answers", START_TIMEOUT, || Ok(UnixStream::connect(&socket).ok().map(drop)))
            .with_context(|| format!("it said:\n{}", daemon.transcript().text()))?;
        Ok(Self { _daemon: daemon, socket })
    }

    /// Settings (a section of a krb5.conf) by which MIT's library finds it.
    pub fn settings(&self) -> String {
        format!("[libdefaults]\nkcm_socket = {}\n", self.socket.display())
    }
}
