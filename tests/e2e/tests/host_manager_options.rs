//! Each option of the host manager, once for real: between the C server and C programs (host manager, section 1).

use anyhow::{Context, Result};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    os::fd::OwnedFd,
    path::PathBuf,
    process::Child,
    thread,
};
use zephyr_e2e::{
    person::{Make, Person, TIMEOUT},
    stack::READY,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{Daemon, Output, run},
    reference::{self, HOST_MANAGER_PORT, Lab, LabOptions},
};

/// A lab with the C server.
struct Site {
    // Dropped first.
    _zephyrd: Daemon,
    lab: Lab,
}

impl Site {
    fn open() -> Result<Option<Self>> {
        let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(None) };
        Ok(Some(Self { _zephyrd: lab.start_c_zephyrd()?, lab }))
    }

    fn pid_file(&self) -> PathBuf {
        self.lab.folder().join("zhm.pid")
    }

    /// What tells a restart from a start of the host.
    fn boot_record(&self) -> PathBuf {
        self.lab.folder().join("zhm.pid.boot")
    }

    /// A host manager in the foreground, which has reached the server.
    fn zhm(&self, label: &str, options: &[&str]) -> Result<Daemon> {
        let mut command = self.lab.command(bins::path("zhm")?);
        command.arg("-n").args(options).arg("--pid-file").arg(self.pid_file()).arg(self.lab.host_name());
        let zhm = self.lab.spawn_at_port(label, command, HOST_MANAGER_PORT)?;
        zhm.wait_for(TIMEOUT, |line| line.contains(READY))?;
        zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
        Ok(zhm)
    }

    /// Runs it as it is typed, to the end of what was typed.
    fn typed(&self, options: &[&str]) -> Result<Output> {
        let mut command = self.lab.command(bins::path("zhm")?);
        command.args(options).arg("--pid-file").arg(self.pid_file());
        run(command, TIMEOUT)
    }

    /// A program of the C clients, as a user.
    fn command(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.lab.as_user("alice", program)?;
        command.args(arguments).env("TERM", "dumb");
        run(command, TIMEOUT)
    }

    fn alice(&self) -> Result<Person> {
        Ok(Person::of_realm(self.lab.user("alice")?, Vec::new()).with(Make::C))
    }

    /// Whether somebody reads what is sent to bob.
    fn is_read(&self, text: &str) -> Result<bool> {
        Ok(self.alice()?.zwrite(&["-d", "bob", "-m", text])?.status.success())
    }

    /// Starts bob's C zwgc, which subscribes once and never again.
    fn bob(&self) -> Result<Daemon> {
        self.lab.start_c_zwgc("bob")
    }
}

/// Ends a host manager as a crash does.
fn crash(mut zhm: Daemon) -> Result<()> {
    zhm.signal(Signal::SIGKILL)?;
    zhm.wait_for_end(TIMEOUT).map(drop)
}

/// Without options: in the background, with the process id in its file, its log in the system's, and C's clients served.
#[test]
fn without_options_it_serves_from_the_background() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let typed = site.typed(&["-d", site.lab.host_name()])?.success()?;
    assert_eq!((&*typed.stdout, &*typed.stderr), ("", ""));
    let process = fs::read_to_string(site.pid_file())?.trim_end().to_owned();
    let own = format!("hm[{process}]: ");
    let logged = |text: &str| {
        site.lab.syslog().wait_after(0, TIMEOUT, |line| line.contains(&own) && line.ends_with(text)).map(drop)
    };
    logged("answers")?;
    let asked = site.command("/usr/bin/zstat", &["-h", "127.0.0.1"])?.success()?;
    assert!(asked.stdout.contains(site.lab.host_name()), "{asked}");
    let sent = site.alice()?.zwrite(&["bob", "-m", "nobody is there"])?;
    assert_eq!(sent.stderr, "bob: Not logged in or not subscribing to messages\n", "{sent}");

    kill(Pid::from_raw(process.parse()?), Signal::SIGTERM)?;
    logged("Terminate signal caught...")?;
    wait_until("the process id's file is gone", TIMEOUT, || Ok((!site.pid_file().exists()).then_some(())))
}

/// `-N`: subscriptions outlive a start of the host. `-r`: they end, and it is over when the server has said so.
#[test]
fn a_start_of_the_host_is_told_with_r_and_kept_silent_with_n() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let zhm = site.zhm("zhm", &[])?;
    let _zwgc = site.bob()?;
    assert!(site.is_read("the control")?);
    crash(zhm)?;
    // As a start of the host does, which the host manager would tell the server of.
    fs::remove_file(site.boot_record())?;
    let zhm = site.zhm("zhm-n", &["-N"])?;
    assert!(site.is_read("subscriptions are kept")?);
    crash(zhm)?;

    let told = site.typed(&["-r", "-n", site.lab.host_name()])?.success()?;
    assert!(told.stderr.lines().any(|line| line.ends_with("answers")), "{told}");
    let _zhm = site.zhm("zhm-after-r", &["-N"])?;
    assert!(!site.is_read("nobody subscribes any more")?);
    Ok(())
}

/// `-r` in the background: who typed it goes on at once, as at the start of a C host.
#[test]
fn a_start_of_the_host_is_told_from_the_background_as_well() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let zhm = site.zhm("zhm", &[])?;
    let _zwgc = site.bob()?;
    crash(zhm)?;
    site.typed(&["-r", site.lab.host_name()])?.success()?;
    wait_until("its end", TIMEOUT, || Ok((!site.pid_file().exists()).then_some(())))?;
    let _zhm = site.zhm("zhm-after-r", &["-N"])?;
    assert!(!site.is_read("nobody subscribes any more")?);
    Ok(())
}

/// `-f`: C's `zctl hm_flush` is refused. Without it, it is obeyed.
#[test]
fn flushes_of_programs_are_refused_with_f() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let zhm = site.zhm("zhm-f", &["-f"])?;
    let _zwgc = site.bob()?;
    site.command("/usr/bin/zctl", &["hm_flush"])?;
    zhm.wait_for(TIMEOUT, |line| line.ends_with("Client requested hm flush (rejected)"))?;
    assert!(site.is_read("nothing was flushed")?);
    crash(zhm)?;

    let zhm = site.zhm("zhm", &[])?;
    assert!(site.is_read("the control")?);
    let is_flushed = || -> Result<bool> {
        // Again, as zctl may have ended before the host manager could ask the system whose it was.
        site.command("/usr/bin/zctl", &["hm_flush"])?;
        Ok(!site.is_read("nobody subscribes any more")?)
    };
    wait_until("the flush", TIMEOUT, || Ok(is_flushed()?.then_some(()))).with_context(|| zhm.transcript().text())
}

/// HUP flushes the host; with `-h` it ends the host manager, which flushes nothing.
#[test]
fn a_hangup_flushes_or_ends() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let mut zhm = site.zhm("zhm-h", &["-h"])?;
    let _zwgc = site.bob()?;
    zhm.signal(Signal::SIGHUP)?;
    assert!(zhm.wait_for_end(TIMEOUT)?.success());
    assert!(!site.pid_file().exists());

    let mut zhm = site.zhm("zhm", &[])?;
    assert!(site.is_read("nothing was flushed")?);
    zhm.signal(Signal::SIGHUP)?;
    wait_until("the flush", TIMEOUT, || Ok((!site.is_read("nobody subscribes any more")?).then_some(())))?;
    assert_eq!(zhm.ended()?, None);
    Ok(())
}

/// The C server is asked again as soon as an address comes, with nothing to send and nobody typing.
#[test]
fn the_server_is_greeted_when_the_network_changes() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let _zhm = site.zhm("zhm", &[])?;
    let answers = || -> Result<u32> {
        let shown = site.command("/usr/bin/zstat", &["-h", "127.0.0.1"])?.success()?.stdout;
        let line = shown.lines().find(|line| line.contains("Server packets received"));
        let number = line.and_then(|line| line.split_whitespace().last()).with_context(|| shown.clone())?;
        Ok(number.parse()?)
    };
    let before = answers()?;
    let mut change = site.lab.command("/usr/sbin/ip");
    change.args(["address", "add", "10.99.0.7/32", "dev", "lo"]);
    run(change, TIMEOUT)?.success()?;
    wait_until("another answer of the server", TIMEOUT, || Ok((answers()? > before).then_some(())))
}

/// `-i`: as inetd starts it, with its port as standard input; HUP ends it, and the port stays inetd's.
#[test]
fn inetd_hands_it_its_port() -> Result<()> {
    let Some(site) = Site::open()? else { return Ok(()) };
    let port = bound_inside(site.lab.namespace().holder())?;
    let start = |label: &str| -> Result<Child> {
        let mut command = site.lab.command(bins::path("zhm")?);
        command.args(["-i", "--pid-file"]).arg(site.pid_file()).arg(site.lab.host_name());
        let log = fs::File::create(site.lab.folder().join(format!("{label}.log")))?;
        Ok(command.stdin(OwnedFd::from(port.try_clone()?)).stdout(log.try_clone()?).stderr(log).spawn()?)
    };
    let mut zhm = start("inetd")?;
    let sent = site.alice()?.zwrite(&["bob", "-m", "nobody is there"])?;
    assert_eq!(sent.stderr, "bob: Not logged in or not subscribing to messages\n", "{sent}");
    kill(Pid::from_raw(zhm.id().try_into()?), Signal::SIGHUP)?;
    assert!(zhm.wait()?.success());

    let mut zhm = start("inetd-again")?;
    let asked = site.command("/usr/bin/zstat", &["-h", "127.0.0.1"])?.success()?;
    assert!(asked.stdout.contains(site.lab.host_name()), "{asked}");
    kill(Pid::from_raw(zhm.id().try_into()?), Signal::SIGTERM)?;
    assert!(zhm.wait()?.success());
    Ok(())
}

/// The host manager's port, bound where that process is.
fn bound_inside(process: u32) -> Result<UdpSocket> {
    let binder = thread::spawn(move || -> Result<UdpSocket> {
        // Of this thread alone, which ends.
        setns(fs::File::open(format!("/proc/{process}/ns/net"))?, CloneFlags::CLONE_NEWNET)?;
        Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, HOST_MANAGER_PORT))?)
    });
    binder.join().map_err(|_| anyhow::anyhow!("the thread has ended early"))?
}
