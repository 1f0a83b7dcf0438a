//! Outputs that cannot be written: no program panics, none claims success, and no file is half written.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};
use zephyr_e2e::{
    person::{Person, TIMEOUT},
    stack::{READY, Stack},
};
use zephyr_testkit::{bins, deadline::wait_until, process::Daemon};

/// The line about standard output.
const UNWRITTEN: &str = "cannot write to standard output: No space left on device";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// How it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The file system is full.
    Full,
    /// The reader has closed the pipe.
    Closed,
}

impl Failure {
    fn sink(self) -> Result<Stdio> {
        match self {
            Self::Full => Ok(File::options().write(true).open("/dev/full")?.into()),
            // Its other end is dropped.
            Self::Closed => Ok(std::io::pipe()?.1.into()),
        }
    }
}

/// Runs a program whose one output fails; gives its status and what is on the other.
fn run_failing(mut command: Command, stream: Stream, failure: Failure) -> Result<(ExitStatus, String)> {
    command.stdin(Stdio::null());
    let mut child = match stream {
        Stream::Out => command.stdout(failure.sink()?).stderr(Stdio::piped()).spawn()?,
        Stream::Err => command.stderr(failure.sink()?).stdout(Stdio::piped()).spawn()?,
    };
    let mut other = String::new();
    match stream {
        Stream::Out => child.stderr.take().context("piped")?.read_to_string(&mut other)?,
        Stream::Err => child.stdout.take().context("piped")?.read_to_string(&mut other)?,
    };
    Ok((child.wait()?, other))
}

/// Every program with what it prints and ends: the program, its arguments, where it prints.
fn table(folder: &Path) -> Vec<(&'static str, Vec<String>, Stream)> {
    let broken = folder.join("broken");
    let broken = broken.display();
    let row = |program: &'static str, arguments: &str, stream| {
        (program, arguments.split_whitespace().map(str::to_owned).collect(), stream)
    };
    let mut rows = Vec::new();
    for program in ["zephyrd", "zhm", "zephyrctl", "zwgc", "zwrite", "zlocate", "znol", "zstat"] {
        rows.push(row(program, "--version", Stream::Out));
        if program != "zhm" {
            rows.push(row(program, "--help", Stream::Out));
        }
    }
    for (program, arguments) in [
        ("zephyrd", "--bad"),
        ("zephyrd", &*format!("-n --auth none --config-dir {broken}")),
        ("zhm", "--bad"),
        ("zhm", &format!("-n --config-dir {broken} localhost")),
        ("zephyrctl", "--bad"),
        ("zephyrctl", &format!("--control-socket {broken}/none status")),
        ("zwgc", "-bad"),
        ("zwrite", "-bad"),
        ("zwrite", ""),
        ("zlocate", "-bad"),
        ("znol", "-bad"),
        ("zstat", "-bad"),
    ] {
        rows.push(row(program, arguments, Stream::Err));
    }
    for arguments in ["check", "policy explain --help", "--json check"] {
        rows.push(row("zephyrctl", &format!("--config-dir {}/empty {arguments}", folder.display()), Stream::Out));
    }
    rows
}

#[test]
fn nothing_that_is_not_written_is_a_success_or_a_panic() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["broken", "empty"] {
        fs::create_dir(folder.path().join(name))?;
    }
    fs::write(folder.path().join("broken/zephyr.toml"), "[zhm\nservers = 5\n[log]\ntarget = 7\n")?;
    for (program, arguments, stream) in table(folder.path()) {
        let command = || -> Result<Command> {
            let mut command = Command::new(bins::path(program)?);
            command.args(&arguments).env("HOME", folder.path()).env_remove("RUST_LOG");
            Ok(command)
        };
        let usual = command()?.stdin(Stdio::null()).output()?;
        let printed = if stream == Stream::Out { &usual.stdout } else { &usual.stderr };
        let row = format!("{program} {arguments:?} {stream:?}");
        assert!(!printed.is_empty(), "{row}: {usual:?}");
        for failure in [Failure::Full, Failure::Closed] {
            let (status, other) = run_failing(command()?, stream, failure)?;
            let row = format!("{row} {failure:?}: {status}, {other}");
            assert!(status.code().is_some_and(|code| code != 101), "{row}");
            if (stream, failure) == (Stream::Out, Failure::Full) {
                assert!(!status.success(), "{row}");
                assert!(other.lines().any(|line| line.ends_with(UNWRITTEN)), "{row}");
            } else {
                assert_eq!(status.code(), usual.status.code(), "{row}");
            }
        }
    }
    Ok(())
}

/// The log of a daemon that goes on.
#[test]
fn a_daemon_serves_on_when_its_log_is_full() -> Result<()> {
    for failure in [Failure::Full, Failure::Closed] {
        let folder = tempfile::tempdir()?;
        let network = zephyr_testkit::loopback::Network::claim()?;
        let here = network.here();
        let address = |port: u16| std::net::SocketAddr::from((here, port)).to_string();
        let (server, manager) = (zephyr_testkit::ports::free_udp(here)?, zephyr_testkit::ports::free_udp(here)?);
        let mut zephyrd = Command::new(bins::path("zephyrd")?);
        zephyrd.args(["-n", "--hostname", "localhost", "--auth", "none", "--listen", &address(server)]);
        let mut zhm = Command::new(bins::path("zhm")?);
        zhm.args(["-n", "--listen", &address(manager), &format!("{here}:{server}")]);
        let mut daemons = Vec::new();
        for mut command in [zephyrd, zhm] {
            command.args(["--config-dir"]).arg(folder.path()).env("RUST_LOG", "debug");
            daemons.push(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(failure.sink()?).spawn()?);
        }
        let environment =
            [("ZEPHYR_HM", address(manager)), ("ZEPHYR_AUTH", "none".to_owned()), ("ZEPHYR_ADDRESS", here.to_string())];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let alice = Person::bare("alice", folder.path().to_owned(), environment);
        wait_until("they serve", TIMEOUT, || {
            let lost = alice.zwrite(&["nobody", "-m", "x"])?;
            Ok(lost.stderr.contains("Not logged in").then_some(()))
        })?;
        for daemon in &mut daemons {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id())?);
            nix::sys::signal::kill(pid, Signal::SIGTERM)?;
            assert_eq!(daemon.wait()?.code(), Some(0), "{failure:?}");
        }
    }
    Ok(())
}

#[test]
fn what_was_sent_and_not_reported_is_no_success() -> Result<()> {
    let stack = Stack::without_kerberos()?;
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    let _listener = bob.listen(&[("news", "*", "*")])?;
    let zwrite = || -> Result<Command> {
        let mut command = alice.command(bins::path("zwrite")?);
        command.args(["-c", "news", "-m", "hello"]);
        Ok(command)
    };
    let (status, said) = run_failing(zwrite()?, Stream::Out, Failure::Full)?;
    assert!(!status.success() && said.trim_end().ends_with(UNWRITTEN) && said.lines().count() == 1, "{status} {said}");
    let (status, said) = run_failing(zwrite()?, Stream::Out, Failure::Closed)?;
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    Ok(())
}

/// Who cannot show what comes says good-bye.
#[test]
fn a_windowgram_client_that_cannot_show_anything_ends() -> Result<()> {
    let stack = Stack::without_kerberos()?;
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    fs::write(bob.home().join(".zephyr.subs"), "news,*,*\n")?;
    for (failure, code) in [(Failure::Full, 1), (Failure::Closed, 0)] {
        let mut command = bob.command(bins::path("zwgc")?);
        command.arg("-nofork").stdin(Stdio::null()).stdout(failure.sink()?).stderr(Stdio::piped());
        let mut zwgc = command.spawn()?;
        wait_until("it has ended", TIMEOUT, || {
            alice.zwrite(&["-c", "news", "-m", "hello"])?;
            Ok(zwgc.try_wait()?.map(drop))
        })?;
        let mut said = String::new();
        zwgc.stderr.take().context("piped")?.read_to_string(&mut said)?;
        assert_eq!((zwgc.wait()?.code(), zwgc.wait()?.signal()), (Some(code), None), "{failure:?}: {said}");
        assert_eq!(said.contains(UNWRITTEN), failure == Failure::Full, "{said}");
        assert!(!bob.wgfile().exists());
    }
    Ok(())
}

/// A command by a shell that lets no file become longer than nothing.
fn without_room(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]).arg(command.get_program());
    limited.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Nothing is left in a folder but these.
fn assert_files(folder: &Path, expected: &[&str]) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, expected);
    Ok(())
}

#[test]
fn no_file_is_half_written() -> Result<()> {
    let stack = Stack::without_kerberos()?;
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    let folder = tempfile::tempdir()?;
    let bob = bob.with_variable("WGFILE", &folder.path().join("wg").display().to_string());
    let mut command = bob.command(bins::path("zwgc")?);
    command.args(["-nofork", "-ttymode"]);
    // The log that a test keeps is a file, too, which cannot grow then: so its output goes through a pipe.
    let mut zwgc = Daemon::spawn(without_room(&command), bob.home().join("zwgc.log"))?;
    zwgc.wait_for(TIMEOUT, |line| {
        line.contains("File too large: other programs will not find this windowgram client")
    })?;
    alice.send(&["-c", "nobody", "-m", "x"]).err().context("nobody is there")?;
    assert_files(folder.path(), &[])?;
    assert!(zwgc.stop(TIMEOUT)?.success());

    let mut zhm = Command::new(bins::path("zhm")?);
    let network = zephyr_testkit::loopback::Network::claim()?;
    zhm.args(["-n", "--listen", &format!("{}:0", network.here()), "--pid-file"]).arg(folder.path().join("pid"));
    zhm.arg(stack.server().to_string());
    let mut zhm = Daemon::spawn(without_room(&zhm), bob.home().join("zhm.log"))?;
    zhm.wait_for(TIMEOUT, |line| line.contains(READY))?;
    assert_files(folder.path(), &[])?;
    zhm.stop(TIMEOUT)?;
    Ok(())
}
