//! Going into the background (zwgc, section 2).
//!
//! Nothing is forked: a program with threads must not be. It starts itself once more, and ends when the second one says by a pipe
//! that it is ready. So the shell's prompt returns when the user is subscribed, and whatever is wrong before is said where the
//! command was typed, with its exit status. Until then both are in the terminal's foreground; then the second one joins the group of
//! the session's leader, as in C: it may write to the terminal, and is hung up with the session.

use crate::{
    options::{IN_BACKGROUND, Options},
    waiting::nobody_waits,
};
use nix::unistd::{self, Pid};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    pipe::{PipeFlags, pipe_with},
};
use std::{
    cell::{Cell, RefCell},
    env,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Command, ExitStatus},
};
use zephyr_client::system_text;
use zephyr_output::complain;

/// The exit status when it did not begin.
const FAILURE: u8 = 1;
/// The lowest number of a descriptor that a shell does not use itself.
const FIRST_OF_OURS: RawFd = 3;
/// What the second process says when it is ready.
const READY: &[u8] = b"ready\n";

/// Whether this process is the one that starts another in the background.
pub const fn is_wanted(options: &Options) -> bool {
    !options.in_foreground && options.background.is_none()
}

/// Starts zwgc once more, and waits until it is ready, or has ended; gives the exit status.
pub fn start() -> u8 {
    match start_and_wait() {
        Ok(status) => status,
        Err(error) => {
            complain!(
                "zwgc: going into the background failed: {}; -nofork stays in the foreground",
                system_text(&error)
            );
            FAILURE
        }
    }
}

fn start_and_wait() -> io::Result<u8> {
    // The other end is for the second process, which closes it to all further ones.
    let (mut readiness, its_end) = pipe_with(PipeFlags::CLOEXEC).map(|(read, write)| (File::from(read), write))?;
    fcntl_setfd(&its_end, FdFlags::empty())?;
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "zwgc".into());
    let mut command = Command::new(env::current_exe()?);
    command.arg0(name).args([IN_BACKGROUND, &its_end.as_raw_fd().to_string()]).args(arguments);
    let mut child = command.spawn()?;
    drop(its_end);
    let mut said = Vec::new();
    readiness.read_to_end(&mut said)?;
    if said == READY { Ok(0) } else { Ok(exit_status(child.wait()?)) }
}

/// The exit status of the first process where the second has ended before it was ready. It has said why, unless it was killed.
fn exit_status(status: ExitStatus) -> u8 {
    if let Some(signal) = status.signal() {
        complain!("zwgc: signal {signal} has ended it before it was ready");
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILURE)
}

/// Whether the program is in the background, or on its way there.
pub(crate) struct Background {
    /// Whom it tells that it is ready.
    waiting: RefCell<Option<File>>,
    is_there: Cell<bool>,
}

impl Background {
    /// The place of a process that was started with these options. Programs that it starts do not inherit the descriptor.
    pub(crate) fn of(options: &Options) -> io::Result<Self> {
        let waiting = options.background.map(taken).transpose()?;
        Ok(Self { waiting: RefCell::new(waiting), is_there: Cell::new(false) })
    }

    /// Whether it is not and never will be there.
    pub(crate) fn is_foreground(&self) -> bool {
        !self.is_there() && self.waiting.borrow().is_none()
    }

    /// Whether it is there.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there.get()
    }

    /// Goes there, and lets the shell go on; does nothing where it is there, or stays in the foreground.
    ///
    /// # Errors
    ///
    /// When who waited has been ended meanwhile: nobody wants it any more.
    pub(crate) fn enter(&self) -> io::Result<()> {
        let Some(mut waiting) = self.waiting.take() else { return Ok(()) };
        // Where the leader has gone there is no group to join, and no terminal.
        let joined = unistd::getsid(None).and_then(|leader| unistd::setpgid(Pid::from_raw(0), leader));
        if let Err(error) = joined {
            tracing::debug!(%error, "cannot join the group of the session's leader");
        }
        self.is_there.set(true);
        nobody_waits();
        waiting.write_all(READY)
    }
}

/// The inherited descriptor, in place of which there is one then that nobody inherits.
fn taken(number: RawFd) -> io::Result<File> {
    if number < FIRST_OF_OURS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = OpenOptions::new().write(true).open(format!("/dev/fd/{number}"))?;
    unistd::close(number)?;
    Ok(file)
}
