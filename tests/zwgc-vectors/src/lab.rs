//! The machine on which cases run: its name, its users and its servers are those of the machine on which they were recorded.

use anyhow::{Context, Result, bail};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    ffi::OsString,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use zephyr_testkit::{
    bins,
    process::Daemon,
    realm::RealmOptions,
    reference::{HOST_MANAGER_PORT, Lab, LabOptions, SERVER_PORT},
};

const REALM: &str = "ZLAB.EXAMPLE";
/// The machine from which notices come, so they say.
const OTHER_HOST: (Ipv4Addr, &str) = (Ipv4Addr::new(10, 77, 0, 2), "client2.zlab.example");
const USERS: [&str; 2] = ["alice", "bob"];
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The machine, with our server and host manager. All that runs on it ends when it is dropped.
#[derive(Debug)]
pub struct Machine {
    // Dropped first to last: who depends on others goes before them.
    _zhm: Daemon,
    _zephyrd: Daemon,
    lab: Lab,
}

/// Where a program on the machine finds what cases need.
#[derive(Debug)]
pub struct Places {
    /// An empty folder for the home directories of cases.
    pub homes: PathBuf,
    /// The folder with the home directories of users.
    pub users: PathBuf,
}

impl Machine {
    /// Starts it, and gets its users tickets. Needs root; see [`zephyr_testkit::reference::available`].
    ///
    /// # Errors
    ///
    /// When something does not start.
    pub fn start() -> Result<Self> {
        let realm = RealmOptions { realm: REALM.to_owned(), ..LabOptions::default().realm };
        let (address, name) = OTHER_HOST;
        let lab =
            Lab::start(LabOptions { realm, more_hosts: vec![(address, name.to_owned())], ..LabOptions::default() })?;
        let mut command = lab.command(bins::path("zephyrd")?);
        command.arg("-n");
        let zephyrd = lab.spawn_at_port("zephyrd", command, SERVER_PORT)?;
        let mut command = lab.command(bins::path("zhm")?);
        command.args(["-n", lab.host_name()]);
        let zhm = lab.spawn_at_port("zhm", command, HOST_MANAGER_PORT)?;
        zhm.wait_for(START_TIMEOUT, |line| line.ends_with("answers"))?;
        for name in USERS {
            // The ticket for the service, too: programs that run at the same time then only read the cache.
            lab.realm().fetch_service_ticket(&lab.user(name)?)?;
        }
        fs::create_dir(lab.folder().join("cases"))?;
        Ok(Self { _zhm: zhm, _zephyrd: zephyrd, lab })
    }

    /// What cases need.
    pub fn places(&self) -> Places {
        Places { homes: self.lab.folder().join("cases"), users: self.lab.realm().folder().join("homes") }
    }

    /// Takes the released program's description of who has none away, so that a program shows what its own one says.
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub fn remove_packaged_description(&self) -> Result<()> {
        let path = self.lab.folder().join("etc-zephyr/zwgc.desc");
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Runs a program on it to its end, in a session without a terminal. Its output goes where ours goes.
    ///
    /// # Errors
    ///
    /// When it does not start, or we are told to end meanwhile.
    pub fn run(&self, program: &Path, arguments: &[OsString]) -> Result<ExitStatus> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&interrupted))?;
        }
        let mut command: Command = self.lab.as_user(USERS[0], "setsid")?;
        let mut child = command.arg("--wait").arg(program).args(arguments).spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if interrupted.load(Ordering::Relaxed) {
                child.kill()?;
                child.wait()?;
                bail!("interrupted");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}
