//! Going into the background, as C host managers do (host manager, section 3).
//!
//! Nothing is forked: a program with threads must not be. It starts itself once more, with the socket that is bound
//! already as standard input, and ends when the second one says on its standard output that it is ready. So whatever is wrong
//! is said where the command was typed, and its exit status tells it.

use super::options::Options;
use crate::settings::{Log, LogTarget};
use nix::unistd;
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    net::UdpSocket,
    os::{
        fd::{AsFd, OwnedFd, RawFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitCode, Stdio},
};
use zephyr_config::system_text;
use zephyr_output::complain;

/// The option by which the second one knows what it is.
pub(super) const OPTION: &str = "in-background";
/// What the second one says when it is ready.
const READY: &str = "ready\n";

/// Whether this start is to go into the background: nobody says otherwise, and no service manager waits for this very
/// process.
pub(super) fn is_wanted(options: &Options) -> bool {
    let is_handed_sockets = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let is_service = env::var_os("NOTIFY_SOCKET").is_some() || is_handed_sockets;
    !(options.foreground || options.inetd || options.in_background || is_service)
}

/// Starts the host manager once more, in the background and with this socket; its exit status, or success when it is ready.
pub(super) fn start(socket: UdpSocket) -> ExitCode {
    match spawn(socket).and_then(wait_until_ready) {
        Ok(status) => status,
        Err(error) => {
            complain!("zhm: going into the background failed: {}; -n stays in the foreground", system_text(&error));
            ExitCode::FAILURE
        }
    }
}

fn spawn(socket: UdpSocket) -> io::Result<Child> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "zhm".into());
    let mut command = Command::new(env::current_exe()?);
    command.arg0(name).arg(format!("--{OPTION}")).args(arguments);
    command.stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::piped()).spawn()
}

fn wait_until_ready(mut child: Child) -> io::Result<ExitCode> {
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout.take(READY.len() as u64)).read_line(&mut said)?;
    }
    if said == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait()?;
    if let Some(signal) = status.signal() {
        complain!("zhm: signal {signal} has ended it before it was ready");
    }
    // It has said why. A status of success without being ready is that of a host manager that was told to stop.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The descriptors that this process has open.
const OPEN: &str = "/dev/fd";
/// The last one that the second one was given on purpose: standard error.
const LAST_GIVEN: RawFd = 2;

/// Closes what the second one has inherited and was not given on purpose: whoever started the first one may hold locks and
/// ends of pipes, and others wait until nobody has them.
///
/// Call it before anything is opened. Where the system does not tell what is open, nothing is closed.
pub(super) fn close_inherited() {
    let Ok(open) = fs::read_dir(OPEN) else { return };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    // All of them first: the folder is among them, and closed by then.
    let inherited: Vec<RawFd> = numbers.filter(|&number| number > LAST_GIVEN).collect();
    for number in inherited {
        // That of the folder is none any more.
        let _ = unistd::close(number);
    }
}

/// What the second one holds of the place where it was started, until it is ready.
#[derive(Debug)]
pub(super) struct Starting(());

impl Starting {
    /// Leaves the terminal's session, and the folder, which somebody may want to remove or unmount.
    pub(super) fn leave() -> io::Result<Self> {
        unistd::setsid()?;
        env::set_current_dir("/")?;
        Ok(Self(()))
    }

    /// Says that it is ready, and lets go of standard input, output and error.
    pub(super) fn ready(self) -> io::Result<()> {
        let mut waiting = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        unistd::dup2_stdin(&nowhere)?;
        unistd::dup2_stdout(&nowhere)?;
        unistd::dup2_stderr(&nowhere)?;
        // Whoever waited for it may have gone; it works nevertheless.
        let _ = waiting.write_all(READY.as_bytes());
        Ok(())
    }
}

/// Where the log goes: nobody reads standard error in the background, so what would go there goes to the system's log.
pub(super) fn log(settings: &Log, is_in_background: bool) -> Log {
    let target = match settings.target {
        LogTarget::Auto | LogTarget::Stderr if is_in_background => LogTarget::Syslog,
        target => target,
    };
    Log { target, ..settings.clone() }
}
