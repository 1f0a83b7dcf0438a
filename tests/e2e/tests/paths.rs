//! Servers with several addresses, and readers that were killed: on two machines with real networks, without Kerberos.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::{fs, path::PathBuf, process::Command, sync::Arc};
use tempfile::TempDir;
use zephyr_e2e::{
    listener::{Listener, Origin},
    person::{Person, TIMEOUT},
    stack::READY,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{Daemon, run},
    reference::{HOST_MANAGER_PORT, Namespace, SERVER_PORT, available},
};

/// The server's addresses on the network between the machines: the usual one, and an alias.
const SERVER: &str = "10.78.0.1";
const ALIAS: &str = "10.78.0.2";
/// An address that Debian gives every machine for its own name.
const OWN_NAME: &str = "127.0.1.1";

/// Two machines, on one of which a server has all addresses.
struct Site {
    // Dropped first to last.
    zephyrd: Daemon,
    server: Arc<Namespace>,
    other: Arc<Namespace>,
    folder: TempDir,
}

/// So many notices may be sent to a reader who was killed before he is known to be gone: far fewer than wait for one.
const MAX_NOTICES: usize = 200;

/// What a machine is told: `$1` its addresses, `$2` its device, `$3` who holds the other machine, when both devices are
/// still to be made, and `$4` that one's device.
const NETWORK: &str = "set -eu; PATH=$PATH:/usr/sbin:/sbin; ip link set lo up
if [ -n \"$3\" ]; then ip link add \"$2\" type veth peer name \"$4\" netns \"$3\"; fi
for address in $1; do ip addr add \"$address/24\" dev \"$2\"; done
ip link set \"$2\" up";

impl Site {
    /// `None` where no such machines can be made.
    fn open() -> Result<Option<Self>> {
        if let Err(reason) = available() {
            if std::env::var("CI").is_ok_and(|value| value == "true") {
                return Err(reason);
            }
            eprintln!("skipped: {reason:#}");
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("zephyr-paths-").tempdir()?;
        let machine = |name: &str| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder)?;
            Namespace::new(&folder).map(Arc::new)
        };
        let (server, other) = (machine("server")?, machine("other")?);
        let furnish = |machine: &Namespace, arguments: [&str; 4]| {
            let mut command = machine.command("sh");
            command.args(["-c", NETWORK, "network"]).args(arguments);
            run(command, TIMEOUT)?.success()
        };
        furnish(&server, [&format!("{SERVER} {ALIAS}"), "zeph0", &other.holder().to_string(), "zeph1"])?;
        furnish(&other, ["10.78.0.9", "zeph1", "", ""])?;
        let config = folder.path().join("etc-zephyr");
        fs::create_dir(&config)?;
        fs::write(config.join("default.subscriptions"), "message,personal,%me%\n")?;
        let mut command = server.command(bins::path("zephyrd")?);
        let listen = format!("0.0.0.0:{SERVER_PORT}");
        command.args(["-n", "--hostname", "localhost", "--auth", "none", "--listen", &listen, "--config-dir"]);
        command.arg(config);
        let zephyrd = ready(command, folder.path().join("zephyrd.log"))?;
        Ok(Some(Self { zephyrd, server, other, folder }))
    }

    /// The host manager of a machine, once the server at this address has answered it.
    fn zhm(&self, machine: &Namespace, server: &str) -> Result<Daemon> {
        let mut command = machine.command(bins::path("zhm")?);
        command.args(["-n", "--listen", &format!("0.0.0.0:{HOST_MANAGER_PORT}"), server]);
        let zhm = ready(command, self.folder.path().join(format!("zhm-{}-{server}.log", machine.holder())))?;
        zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
        Ok(zhm)
    }

    fn person(&self, machine: &Arc<Namespace>, name: &str) -> Result<Person> {
        let home: PathBuf = self.folder.path().join(format!("{name}-{}", machine.holder()));
        fs::create_dir_all(&home)?;
        let variables = [
            ("ZEPHYR_HM", format!("127.0.0.1:{HOST_MANAGER_PORT}")),
            ("ZEPHYR_AUTH", "none".to_owned()),
            ("USER", name.to_owned()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Person::inside(machine, name, home, variables))
    }
}

fn ready(mut command: Command, log: PathBuf) -> Result<Daemon> {
    command.env("TZ", "UTC").env_remove("RUST_LOG");
    let daemon = Daemon::spawn(command, log)?;
    daemon.wait_for(TIMEOUT, |line| line.contains(READY))?;
    Ok(daemon)
}

/// Somebody sends to a class that another one listens to.
fn is_heard(from: &Person, by: &Listener, class: &str, text: &str) -> Result<()> {
    let sent = from.send(&["-d", "-c", class, "-m", text])?;
    assert!(sent.stdout.ends_with("sent\n"), "{sent}");
    by.expect(text, Origin::Unauthenticated)?;
    Ok(())
}

#[test]
fn a_server_is_found_at_each_of_its_addresses() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let ways = [(&site.server, OWN_NAME), (&site.server, ALIAS), (&site.server, SERVER), (&site.other, ALIAS)];
    for (machine, server) in ways {
        let _zhm = site.zhm(machine, server)?;
        let (alice, bob) = (site.person(machine, "alice")?, site.person(machine, "bob")?);
        let listener = bob.listen(&[("news", "*", "*")]).with_context(|| format!("by way of {server}"))?;
        is_heard(&alice, &listener, "news", &format!("by {server}"))?;
    }
    Ok(())
}

/// A C host manager takes answers from the address that it asked, and from no other.
#[test]
fn a_c_host_manager_finds_it_there_as_well() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let mut command = site.other.command("/usr/sbin/zhm");
    command.args(["-n", "-d", ALIAS]);
    let _zhm = Daemon::spawn(command, site.folder.path().join("c-zhm.log"))?;
    site.other.wait_for_udp(HOST_MANAGER_PORT, TIMEOUT)?;
    let (alice, bob) = (site.person(&site.other, "alice")?, site.person(&site.other, "bob")?);
    let listener = bob.listen(&[("news", "*", "*")])?;
    is_heard(&alice, &listener, "news", "by a host manager of C's")
}

/// A reader who was killed is not there any more as soon as something was sent to him: on the server's own machine, and on
/// another one.
#[test]
fn a_reader_who_was_killed_is_known_to_be_gone() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let _zhms = (site.zhm(&site.server, OWN_NAME)?, site.zhm(&site.other, SERVER)?);
    let alice = site.person(&site.server, "alice")?;
    for (machine, class) in [(&site.server, "here"), (&site.other, "there")] {
        let bob = site.person(machine, "bob")?;
        fs::write(bob.home().join(".zephyr.subs"), format!("{class},*,*\n"))?;
        let mut command = bob.command(bins::path("zwgc")?);
        command.args(["-nofork", "-ttymode"]);
        let mut zwgc = Daemon::spawn(command, bob.home().join("zwgc.log"))?;
        let send = || alice.zwrite(&["-d", "-c", class, "-m", "anybody there?"]);
        wait_until("the reader is there", TIMEOUT, || Ok(send()?.status.success().then_some(())))?;
        zwgc.wait_for(TIMEOUT, |line| line.contains("anybody there?"))?;
        zwgc.signal(Signal::SIGKILL)?;
        zwgc.wait_for_end(TIMEOUT)?;
        // The first is sent, as nobody knows; those after it find nobody. Without the network's word he would be there for
        // a quarter of an hour, or until more notices wait for him than may.
        let mut sent =
            (0..MAX_NOTICES).map(|_| send()).filter(|sent| !sent.as_ref().is_ok_and(|sent| sent.status.success()));
        let failed = sent.next().context("the reader is never known to be gone")??;
        assert!(failed.stderr.contains("No one subscribing"), "{failed}");
    }
    Ok(())
}

/// Of many who were killed at once their host says only little at a time.
#[test]
fn many_readers_who_were_killed_at_once_are_known_to_be_gone() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let _zhms = (site.zhm(&site.server, OWN_NAME)?, site.zhm(&site.other, SERVER)?);
    let alice = site.person(&site.server, "alice")?;
    let bob = site.person(&site.other, "bob")?;
    fs::write(bob.home().join(".zephyr.subs"), "crowd,*,*\n")?;
    let start = |number: usize| {
        let mut command = bob.command(bins::path("zwgc")?);
        command.args(["-nofork", "-ttymode"]).env("WGFILE", bob.home().join(format!("port-{number}")));
        Daemon::spawn(command, bob.home().join(format!("zwgc-{number}.log")))
    };
    let mut crowd = (0..12).map(start).collect::<Result<Vec<_>>>()?;
    let send = || alice.zwrite(&["-d", "-c", "crowd", "-m", "anybody there?"]);
    for zwgc in &crowd {
        wait_until("a reader is there", TIMEOUT, || {
            send()?;
            Ok(zwgc.transcript().text().contains("anybody there?").then_some(()))
        })?;
    }
    for zwgc in &mut crowd {
        zwgc.signal(Signal::SIGKILL)?;
        zwgc.wait_for_end(TIMEOUT)?;
    }
    send()?;
    let mut gone = 0;
    site.zephyrd.wait_for(TIMEOUT, |line| {
        gone += usize::from(line.contains("nobody listens"));
        gone == crowd.len()
    })?;
    assert!(send()?.stderr.contains("No one subscribing"));
    Ok(())
}
