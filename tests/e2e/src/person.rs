//! A user in a test domain, and the programs that they run.

use crate::{client::Client, listener::Listener};
use anyhow::{Context, Result};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{self, Daemon, Output},
    reference::Namespace,
    user::User,
};

/// How long something may take that happens at once on an idle machine: packets that are lost on a busy one are sent
/// again, several times if need be. Only tests that fail wait so long.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// Whose programs somebody runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// This project's.
    Ours,
    /// Debian's C programs.
    C,
}

impl Make {
    /// Where a program of this make is.
    ///
    /// # Errors
    /// When ours is not built.
    pub fn program(self, name: &str) -> Result<PathBuf> {
        match self {
            Self::Ours => bins::path(name),
            Self::C => {
                let places = ["/usr/bin", "/usr/sbin"].map(|folder| Path::new(folder).join(name));
                places.into_iter().find(|place| place.exists()).with_context(|| format!("there is no {name} of C's"))
            }
        }
    }
}

/// What somebody is to the system.
#[derive(Debug, Clone)]
enum Account {
    /// A principal of a test realm.
    Principal(User),
    /// Nobody in particular, with a home directory.
    Bare(PathBuf),
    /// The same on a machine of its own.
    Inside(Arc<Namespace>, PathBuf),
}

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    name: String,
    account: Account,
    make: Make,
    environment: Vec<(String, String)>,
}

impl Person {
    /// A person of a test realm, whose programs also get `environment`.
    pub fn of_realm(user: User, environment: Vec<(String, String)>) -> Self {
        Self { name: user.name().to_owned(), account: Account::Principal(user), make: Make::Ours, environment }
    }

    /// A person where there is no Kerberos. To the system everybody here is who runs the test.
    pub fn bare(name: &str, home: PathBuf, environment: Vec<(String, String)>) -> Self {
        Self { name: name.to_owned(), account: Account::Bare(home), make: Make::Ours, environment }
    }

    /// As [`Person::bare`], on a machine of its own.
    pub fn inside(namespace: &Arc<Namespace>, name: &str, home: PathBuf, environment: Vec<(String, String)>) -> Self {
        let account = Account::Inside(Arc::clone(namespace), home);
        Self { name: name.to_owned(), account, make: Make::Ours, environment }
    }

    /// The same person with other programs.
    #[must_use]
    pub fn with(&self, make: Make) -> Self {
        Self { make, ..self.clone() }
    }

    /// The same person with one more variable in the environment.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The name without realm.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The person's home directory.
    pub fn home(&self) -> &Path {
        match &self.account {
            Account::Principal(user) => user.home(),
            Account::Bare(home) | Account::Inside(_, home) => home,
        }
    }

    /// The file in which their zwgc leaves its port.
    pub fn wgfile(&self) -> PathBuf {
        self.home().join("wgfile")
    }

    /// A command of this person.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.account {
            Account::Principal(user) => user.command(program),
            Account::Bare(home) | Account::Inside(_, home) => {
                let mut command = match &self.account {
                    Account::Inside(namespace, _) => namespace.command(program),
                    _ => Command::new(program),
                };
                command.env("HOME", home).env("WGFILE", self.wgfile());
                command.env("KRB5_CONFIG", "/dev/null").env_remove("KRB5CCNAME").env_remove("KRB5_KTNAME");
                command
            }
        };
        // What the machine is set to must not change what is tested.
        for variable in ["ZEPHYR_VARS", "ZEPHYR_SUBS", "ZEPHYR_CHARSET", "ZEPHYR_CHECK", "DISPLAY", "RUST_LOG"] {
            command.env_remove(variable);
        }
        // Servers that this machine knows are none of a test's.
        command.env_remove("ZEPHYR_SERVERS").env("ZEPHYR_DIRECT", "0");
        if self.environment.iter().any(|(name, _)| name == "ZEPHYR_SERVERS") {
            command.env_remove("ZEPHYR_DIRECT");
        }
        command.env("LC_ALL", "C.UTF-8").env("TERM", "dumb").env("TZ", "UTC").env("ZWGC_FORMAT", "labelled");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs zwrite with these arguments to its end.
    ///
    /// # Errors
    /// When it cannot be run or takes too long; that it fails is none.
    pub fn zwrite(&self, arguments: &[&str]) -> Result<Output> {
        self.zwrite_with_input(arguments, b"")
    }

    /// Runs zwrite with these arguments and `input` on standard input.
    ///
    /// # Errors
    /// As [`Person::zwrite`].
    pub fn zwrite_with_input(&self, arguments: &[&str], input: &[u8]) -> Result<Output> {
        // A host manager that has lost its server needs up to 40 s to find it again.
        const TIMEOUT: Duration = Duration::from_secs(120);
        let mut command = self.command(self.make.program("zwrite")?);
        command.args(arguments);
        process::run_with_input(command, input, TIMEOUT)
    }

    /// Runs zwrite, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn send(&self, arguments: &[&str]) -> Result<Output> {
        self.zwrite(arguments)?.success()
    }

    /// Starts zwgc in tty mode with these subscriptions besides the usual ones (class, instance, recipient), and
    /// returns when notices reach it.
    ///
    /// # Errors
    /// When none reaches it in time; shows what it said.
    pub fn zwgc(&self, subscriptions: &[(&str, &str, &str)]) -> Result<Daemon> {
        self.zwgc_as(&self.recipient(), subscriptions)
    }

    /// As [`Person::zwgc`], where notices for this person are addressed otherwise than by name.
    ///
    /// # Errors
    /// As [`Person::zwgc`].
    pub fn zwgc_as(&self, recipient: &str, subscriptions: &[(&str, &str, &str)]) -> Result<Daemon> {
        let lines: Vec<String> = subscriptions
            .iter()
            .map(|(class, instance, recipient)| format!("{class},{instance},{recipient}\n"))
            .collect();
        std::fs::write(self.home().join(".zephyr.subs"), lines.concat())?;
        self.zwgc_by_its_files(recipient)
    }

    /// As [`Person::zwgc_as`], with the files that are in this person's home.
    ///
    /// # Errors
    /// As [`Person::zwgc`].
    pub fn zwgc_by_its_files(&self, recipient: &str) -> Result<Daemon> {
        let mut command = self.command(self.make.program("zwgc")?);
        command.args(["-nofork", "-ttymode"]);
        self.started_zwgc(command, recipient)
    }

    /// As [`Person::zwgc`], on a terminal with so many columns; its output is what the terminal gets.
    ///
    /// # Errors
    /// As [`Person::zwgc`].
    pub fn zwgc_on_terminal(&self, columns: u16) -> Result<Daemon> {
        let zwgc = self.make.program("zwgc")?;
        let mut command = self.command(PathBuf::from("script"));
        let run = format!("stty cols {columns} && exec '{}' -nofork -ttymode", zwgc.display());
        command.args(["-qfec", &run, "/dev/null"]);
        self.started_zwgc(command, &self.recipient())
    }

    fn started_zwgc(&self, command: Command, recipient: &str) -> Result<Daemon> {
        let zwgc = Daemon::spawn(command, self.log("zwgc"))?;
        wait_until(&format!("zwgc of {} subscribed", self.name), TIMEOUT, || self.is_reached_by_ping(recipient))
            .with_context(|| format!("zwgc said:\n{}", zwgc.transcript().text()))?;
        Ok(zwgc)
    }

    /// A ping, which a zwgc acknowledges and does not show; refused while nobody takes it.
    fn is_reached_by_ping(&self, recipient: &str) -> Result<Option<()>> {
        let ping = self.zwrite(&["-q", "-O", "PING", recipient, "-m", ""])?;
        Ok(ping.status.success().then_some(()))
    }

    /// What others write to reach this person.
    pub fn recipient(&self) -> String {
        match &self.account {
            Account::Principal(user) => user.principal(),
            Account::Bare(_) | Account::Inside(..) => self.name.clone(),
        }
    }

    /// Starts a listener with these subscriptions (class, instance, recipient), and returns when it has subscribed.
    ///
    /// # Errors
    /// When it does not subscribe in time; shows what it said.
    pub fn listen(&self, subscriptions: &[(&str, &str, &str)]) -> Result<Listener> {
        let mut command = self.command(bins::path("e2e-listener")?);
        for (class, instance, recipient) in subscriptions {
            command.args([class, instance, recipient]);
        }
        Listener::start(command, self.log("listener"))
    }

    /// Starts a client that does what it is told, and never asks whether its server still knows it.
    ///
    /// # Errors
    /// When it does not start in time; shows what it said.
    pub fn client(&self) -> Result<Client> {
        let mut command = self.command(bins::path("e2e-client")?);
        command.env("ZEPHYR_CHECK", "0");
        Client::start(command, self.log("client"))
    }

    /// Runs another program of this person's make to its end.
    ///
    /// # Errors
    /// When it cannot be run or takes too long; that it fails is none.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(self.make.program(program)?);
        command.args(arguments);
        process::run(command, TIMEOUT)
    }

    fn log(&self, program: &str) -> PathBuf {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let count = STARTED.fetch_add(1, Ordering::Relaxed);
        self.home().join(format!("{program}-of-{}-{count}.log", self.name))
    }
}
