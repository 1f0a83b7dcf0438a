//! The process that reminds (clients, section 6). Nothing is forked: a program that may have threads must not be. zleave starts itself
//! once more, tells that one by its standard input what to do, and waits until it says by its standard output that it does.
//!
//! It leads a session of its own, so it outlives the log-out. Its standard error is the terminal, if there is one.

use super::{options::IN_BACKGROUND, state::State};
use nix::{
    sys::signal::{SigSet, Signal},
    unistd::setsid,
};
use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _, stderr, stdin, stdout},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
};

/// What the process says when it reminds from now on.
const READY: &[u8] = b"ready\n";

/// The terminal that the user sits at: one of the standard outputs, or what controls this process.
pub fn terminal() -> Option<File> {
    fn of(output: &(impl AsFd + io::IsTerminal)) -> Option<OwnedFd> {
        output.is_terminal().then(|| output.as_fd().try_clone_to_owned().ok()).flatten()
    }
    let standard = of(&stderr()).or_else(|| of(&stdout())).map(File::from);
    standard.or_else(|| OpenOptions::new().write(true).open("/dev/tty").ok())
}

/// Starts the process, and returns when it reminds.
///
/// # Errors
///
/// When it does not begin. It has said why, if it could.
pub fn start(state: &State, terminal: Option<File>) -> io::Result<Child> {
    let name = env::args_os().next().unwrap_or_else(|| "zleave".into());
    let mut command = Command::new(env::current_exe()?);
    command.arg0(name).arg(IN_BACKGROUND).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(terminal.map_or_else(Stdio::null, Stdio::from)).spawn()?;
    match handed_over(&mut child, state) {
        Ok(()) => Ok(child),
        Err(error) => {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

fn handed_over(child: &mut Child, state: &State) -> io::Result<()> {
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    input.write_all(&state.to_octets())?;
    drop(input);
    let mut said = Vec::new();
    output.by_ref().take(READY.len() as u64).read_to_end(&mut said)?;
    if said == READY { Ok(()) } else { Err(io::Error::other("the process in the background has ended")) }
}

/// Reads what this process is to do. From then on what ends other programs of the terminal and the session does not end it. To be called
/// before there are threads.
///
/// # Errors
///
/// When zleave has not started it.
pub fn enter() -> io::Result<State> {
    let state = State::read(stdin().lock())?;
    setsid()?;
    let ignored = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTTOU];
    ignored.into_iter().collect::<SigSet>().thread_block()?;
    Ok(state)
}

/// Tells who waits that this process reminds from now on.
///
/// # Errors
///
/// When nobody waits any more.
pub fn report_ready() -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(READY).and_then(|()| out.flush())
}
