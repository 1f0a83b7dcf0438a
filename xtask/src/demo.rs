//! A demonstration of the stack: a throw-away realm, two people, four notices.

use crate::{
    cargo::{cargo, step},
    interrupt, setup,
};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use nix::unistd::{Uid, User};
use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use zephyr_testkit::{
    bins, container,
    loopback::Network,
    packages, ports,
    process::{self, Daemon},
    realm::{Engine, KDC_VARIABLE, Realm, RealmOptions},
    relay::{Relay, Way},
};

const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Args)]
pub(crate) struct Options {
    /// How senders prove who they are.
    #[arg(long, value_enum, default_value = "kerberos")]
    auth: Auth,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// With tickets of a real MIT KDC, run in a container or natively.
    Kerberos,
    /// Not at all: a department without a KDC.
    None,
}

/// Shows it all, then takes everything down.
pub(crate) fn run(options: &Options) -> Result<()> {
    show(options.auth)
}

/// Every flavour, one after the other.
pub(crate) fn show_all() -> Result<()> {
    Auth::value_variants().iter().try_for_each(|&auth| show(auth))
}

fn show(auth: Auth) -> Result<()> {
    let mut wanted = vec![packages::BUILD];
    if auth == Auth::Kerberos {
        wanted.push(packages::KERBEROS_CLIENT);
        let native = std::env::var(KDC_VARIABLE).is_ok_and(|how| how == "native");
        wanted.push(if container::engine_answers() && !native { packages::CONTAINER } else { packages::KDC });
    }
    setup::ensure(&wanted)?;
    step("building", cargo(["build", "--quiet", "--workspace", "--bins"]))?;

    let stage = Stage::set(auth)?;
    stage.play()?;
    drop(stage);
    println!("\n── done; everything is stopped and removed");
    Ok(())
}

/// Everything that runs. Dropped from top to bottom: clients first, the KDC last.
struct Stage {
    zwgc: Daemon,
    _zhm: Daemon,
    /// Somebody in the middle, who changes a notice when told to.
    _relay: Relay,
    tamper: Arc<AtomicBool>,
    _zephyrd: Daemon,
    people: People,
    host_manager: SocketAddr,
    _network: Network,
}

/// Alice and Bob, and where their files and tickets are.
enum People {
    WithTickets(Realm),
    Without(TempDir),
}

impl Stage {
    fn set(auth: Auth) -> Result<Self> {
        let people = People::gather(auth)?;
        let folder = people.folder();
        let config = folder.join("etc-zephyr");
        fs::create_dir(&config)?;
        // What everybody receives without asking: his own messages.
        fs::write(config.join("default.subscriptions"), "message,personal,%me%\nmessage,urgent,%me%\n")?;

        let network = Network::claim()?;
        let here = network.here();
        let server = SocketAddr::from((here, ports::free_udp(here)?));
        let mut command = people.server(bins::path("zephyrd")?);
        command.args([
            "-n",
            "--listen",
            &server.to_string(),
            "--hostname",
            "zephyr.zephyr.test",
            "--auth",
            auth.name(),
        ]);
        command.arg("--config-dir").arg(&config);
        match &people {
            People::WithTickets(realm) => command.arg("--keytab").arg(realm.service_keytab()),
            People::Without(_) => &mut command,
        };
        let zephyrd = Daemon::spawn(command, folder.join("zephyrd.log"))?;
        zephyrd.wait_for(TIMEOUT, |line| line.contains("Ready for action"))?;

        let tamper = Arc::new(AtomicBool::new(false));
        let relay = Relay::start(&network, server, change_one_bit(Arc::clone(&tamper)))?;
        let host_manager = SocketAddr::from((here, ports::free_udp(here)?));
        let mut command = people.server(bins::path("zhm")?);
        command.args(["-n", "--listen", &host_manager.to_string()]);
        command.arg("--pid-file").arg(folder.join("zhm.pid")).arg(relay.address().to_string());
        let zhm = Daemon::spawn(command, folder.join("zhm.log"))?;
        zhm.wait_for(TIMEOUT, |line| line.contains("Ready for action"))?;
        println!("── zephyrd serves at {server}, zhm at {host_manager}");

        let mut command = people.command("bob", bins::path("zwgc")?, host_manager)?;
        command.args(["-nofork", "-ttymode"]).env("RUST_LOG", "info").env("ZWGC_FORMAT", "labelled");
        let zwgc = Daemon::spawn(command, folder.join("zwgc.log"))?;
        zwgc.wait_for(TIMEOUT, |line| line.contains("subscribed"))?;
        println!("── bob's zwgc has subscribed");
        Ok(Self { zwgc, _zhm: zhm, _relay: relay, tamper, _zephyrd: zephyrd, people, host_manager, _network: network })
    }

    fn play(&self) -> Result<()> {
        let bob = self.people.address("bob");
        let (first, second, tampering) = match &self.people {
            People::WithTickets(_) => (
                "alice writes to bob.",
                ("The same without proof.", vec!["-d"]),
                "On its way to bob, somebody changes one bit of the next one, and so the time.",
            ),
            People::Without(_) => (
                "Two people who share an account write to each other.",
                ("Without proof, anybody can be anybody.", vec!["-S", "president"]),
                "And nobody sees that one bit, and so the time, was changed on the way.",
            ),
        };
        println!("\n1. {first}");
        self.zwrite(&[&bob, "-m", "Lunch at noon?"], "Lunch at noon?")?;
        println!("\n2. {}", second.0);
        self.zwrite(&[&second.1[..], &[&bob, "-m", "Says who?"]].concat(), "Says who?")?;
        println!("\n3. {tampering}");
        self.tamper.store(true, Ordering::Relaxed);
        self.zwrite(&[&bob, "-m", "Make that 12:30."], "Make that")?;
        println!("\n4. Carol is not there.");
        self.zwrite(&["carol", "-m", "Hello?"], "")
    }

    /// Runs a command of alice's, and shows what it says and what bob sees, up to the line with `text`.
    fn zwrite(&self, arguments: &[&str], text: &str) -> Result<()> {
        if interrupt::came() {
            bail!("interrupted");
        }
        let mark = self.zwgc.transcript().mark();
        let mut command = self.people.command("alice", bins::path("zwrite")?, self.host_manager)?;
        command.args(arguments);
        let shown: Vec<String> = arguments
            .iter()
            .map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).into() })
            .collect();
        println!("   $ zwrite {}", shown.join(" "));
        let output = process::run(command, TIMEOUT)?;
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            println!("   {line}");
        }
        if text.is_empty() {
            return Ok(());
        }
        self.zwgc.wait_after(mark, TIMEOUT, |line| line.contains(text))?;
        println!("   and bob's terminal shows:");
        for line in self.zwgc.transcript().lines_after(mark) {
            println!("     | {line}");
        }
        Ok(())
    }
}

impl Auth {
    const fn name(self) -> &'static str {
        match self {
            Self::Kerberos => "kerberos",
            Self::None => "none",
        }
    }
}

impl People {
    fn gather(auth: Auth) -> Result<Self> {
        if auth == Auth::None {
            println!("── a domain without Kerberos");
            return Ok(Self::Without(tempfile::Builder::new().prefix("zephyr-demo-").tempdir()?));
        }
        let realm = Realm::start(RealmOptions::default())?;
        let how = match realm.engine() {
            Engine::Container => "in a container",
            Engine::Heimdal => "as Heimdal's",
            Engine::Native => "natively",
        };
        println!("── the KDC of realm {} runs {how}; alice and bob log in", realm.name());
        for name in ["alice", "bob"] {
            realm.login(name)?;
        }
        Ok(Self::WithTickets(realm))
    }

    fn folder(&self) -> &Path {
        match self {
            Self::WithTickets(realm) => realm.folder(),
            Self::Without(folder) => folder.path(),
        }
    }

    /// What one types to reach a person. Without tickets everybody here is who runs the demo.
    fn address(&self, name: &str) -> String {
        let account = || User::from_uid(Uid::current()).ok().flatten().map(|user| user.name);
        match self {
            Self::WithTickets(_) => name.to_owned(),
            Self::Without(_) => account().unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// A command for a daemon.
    fn server(&self, program: PathBuf) -> Command {
        match self {
            Self::WithTickets(realm) => realm.command(program),
            Self::Without(_) => Command::new(program),
        }
    }

    /// A command of this person.
    fn command(&self, name: &str, program: PathBuf, host_manager: SocketAddr) -> Result<Command> {
        let mut command = match self {
            Self::WithTickets(realm) => realm.user(name)?.command(program),
            Self::Without(folder) => {
                let home = folder.path().join(name);
                fs::create_dir_all(&home)?;
                let mut command = Command::new(program);
                let variables: [(&str, OsString); 5] = [
                    ("WGFILE", home.join("wgfile").into()),
                    ("HOME", home.into()),
                    ("USER", name.into()),
                    ("LOGNAME", name.into()),
                    ("ZEPHYR_AUTH", "none".into()),
                ];
                command.envs(variables);
                command
            }
        };
        command.env("ZEPHYR_HM", host_manager.to_string()).env("ZEPHYR_ADDRESS", host_manager.ip().to_string());
        Ok(command)
    }
}

/// Lets everything pass, but for one notice to a client: where it says 12:30 it then says 13:30.
fn change_one_bit(wanted: Arc<AtomicBool>) -> impl FnMut(Way, &mut Vec<u8>) -> bool + Send {
    move |way, datagram| {
        let place = datagram.windows(5).position(|octets| octets == b"12:30");
        if way == Way::ToClient
            && let Some(octet) = place.and_then(|place| datagram.get_mut(place + 1))
            && wanted.swap(false, Ordering::Relaxed)
        {
            *octet ^= 1;
        }
        true
    }
}
