//! The client while a case runs: its output, its port, and when it is done with something.

use crate::{
    port,
    quiet::{self, Rest},
};
use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use std::{
    fs,
    io::{ErrorKind, Read},
    os::{
        fd::AsFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The time without any work after which a client is done with something. It decides nothing as long as the client waits for
/// servers, for children or for the processor: for those see [`quiet`]; only timers of its own may not be longer.
const QUIET_TIME: Duration = Duration::from_millis(40);
const POLL_INTERVAL: Duration = Duration::from_millis(6);
/// The longest time for a step and for the end, for cases that fail anyway.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for a client to notice what was sent, for one that does not receive at all.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(3);
/// Octets of output that are kept.
const MAX_OUTPUT: usize = 8 << 20;

/// A client that runs, or has ended. All of its process group is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    status: Option<ExitStatus>,
    /// The process that goes on when the first one has ended.
    forked: Option<u32>,
    stdout: Pipe<ChildStdout>,
    stderr: Pipe<ChildStderr>,
    port_file: PathBuf,
}

impl Program {
    /// Starts it; it will leave its port in `port_file`, unless the case keeps it from that.
    pub(crate) fn start(mut command: Command, port_file: PathBuf) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let stdout = Pipe::new(child.stdout.take())?;
        let stderr = Pipe::new(child.stderr.take())?;
        Ok(Self { child, status: None, forked: None, stdout, stderr, port_file })
    }

    /// Its exit status, or the negative number of the signal that has ended it; that of the first process if it forked.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        let status = self.status?;
        status.code().or_else(|| status.signal().map(|signal| -signal))
    }

    /// The output since the last call.
    pub(crate) fn take_output(&mut self) -> (Vec<u8>, Vec<u8>) {
        (self.stdout.take(), self.stderr.take())
    }

    /// Its port.
    pub(crate) fn port(&self) -> Result<u16> {
        let port = port::of_file(&self.port_file).or_else(|| port::of_process(self.process()));
        port.context("the client has no port")
    }

    /// What it has done so far, to be given to [`Program::settle_after`].
    pub(crate) fn rest(&self) -> Option<Rest> {
        Rest::of(&[self.process()])
    }

    /// Waits until it and all whom it waits for are at rest, or it has ended and what it left behind is at rest.
    pub(crate) fn settle(&mut self, servers: &[u32]) -> Result<()> {
        self.settle_after(None, servers)
    }

    /// As [`Program::settle`], but first waits until it has done more than `before`.
    pub(crate) fn settle_after(&mut self, before: Option<&Rest>, servers: &[u32]) -> Result<()> {
        let start = Instant::now();
        let (mut last, mut since) = (None, start);
        loop {
            let has_written = self.drain()?;
            if self.has_ended()? {
                return self.settle_leftovers();
            }
            let rest = self.rest();
            if has_written || rest.is_none() || rest != last {
                (last, since) = (rest, Instant::now());
            }
            let has_noticed = before.is_none() || last.as_ref() != before || start.elapsed() > NOTICE_TIMEOUT;
            if has_noticed && since.elapsed() >= QUIET_TIME && self.are_all_at_rest(servers)? {
                return Ok(());
            }
            if start.elapsed() > STEP_TIMEOUT {
                bail!("it does not come to rest within {STEP_TIMEOUT:?}; so far it wrote {}", self.shown_output());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until it has ended, after a signal or by itself. It is killed when it does not.
    pub(crate) fn wait_for_end(&mut self, signal: Option<Signal>) -> Result<()> {
        if let Some(signal) = signal
            && !self.has_ended()?
        {
            kill(pid(self.process()), signal).context("cannot end it")?;
        }
        let start = Instant::now();
        while !self.has_ended()? {
            self.drain()?;
            if start.elapsed() > END_TIMEOUT {
                kill(pid(self.process()), Signal::SIGKILL).context("cannot kill it")?;
            }
            thread::sleep(POLL_INTERVAL);
        }
        self.settle_leftovers()
    }

    /// Whether it has ended, the process that it has left in the background included.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
            if self.status.is_some_and(|status| status.success()) {
                self.forked = port::of_file(&self.port_file).and_then(port::owner);
            }
        }
        Ok(self.status.is_some() && !self.forked.is_some_and(is_alive))
    }

    fn process(&self) -> u32 {
        self.forked.unwrap_or_else(|| self.child.id())
    }

    /// The client and its children.
    fn processes(&self) -> Result<Vec<u32>> {
        let mut processes = quiet::group(self.child.id())?;
        processes.extend(self.forked);
        Ok(processes)
    }

    fn are_all_at_rest(&mut self, servers: &[u32]) -> Result<bool> {
        let mut processes = self.processes()?;
        processes.extend(servers);
        let Some(first) = Rest::of(&processes) else { return Ok(false) };
        Ok(Rest::of(&processes) == Some(first) && !self.drain()?)
    }

    /// Takes the output of children that go on when the client has ended, until they are at rest.
    fn settle_leftovers(&mut self) -> Result<()> {
        let start = Instant::now();
        let (mut last, mut since) = (None, start);
        while !(self.stdout.has_ended() && self.stderr.has_ended()) {
            let has_written = self.drain()?;
            let rest = Rest::of(&self.processes()?);
            if has_written || rest.is_none() || rest != last {
                (last, since) = (rest, Instant::now());
            } else if since.elapsed() > QUIET_TIME || start.elapsed() > STEP_TIMEOUT {
                break;
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Reads what is there; whether there was anything.
    fn drain(&mut self) -> Result<bool> {
        Ok(self.stdout.drain()? | self.stderr.drain()?)
    }

    fn shown_output(&self) -> String {
        let (stdout, stderr) = (self.stdout.read.escape_ascii(), self.stderr.read.escape_ascii());
        format!("\"{stdout}\" and \"{stderr}\"")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Who has ended already cannot be killed, and need not be.
        let _: Result<(), Errno> = killpg(pid(self.child.id()), Signal::SIGKILL);
        if let Some(forked) = self.forked.filter(|forked| is_alive(*forked)) {
            let _: Result<(), Errno> = kill(pid(forked), Signal::SIGKILL);
        }
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).unwrap_or(i32::MAX))
}

/// Whether it runs: one that only waits for its parent to ask for its status does not.
fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// An output that is read without waiting.
#[derive(Debug)]
struct Pipe<T> {
    end: Option<T>,
    read: Vec<u8>,
    kept: usize,
}

impl<T: Read + AsFd> Pipe<T> {
    fn new(end: Option<T>) -> Result<Self> {
        if let Some(end) = &end {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { end, read: Vec::new(), kept: 0 })
    }

    fn has_ended(&self) -> bool {
        self.end.is_none()
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.read)
    }

    fn drain(&mut self) -> Result<bool> {
        let mut chunk = [0; 1 << 16];
        let mut has_read = false;
        while let Some(end) = &mut self.end {
            match end.read(&mut chunk) {
                Ok(0) => self.end = None,
                Ok(length) => {
                    has_read = true;
                    self.kept += length;
                    if self.kept > MAX_OUTPUT {
                        bail!("more than {MAX_OUTPUT} octets of output");
                    }
                    self.read.extend_from_slice(chunk.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read its output"),
            }
        }
        Ok(has_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zephyr_testkit::deadline::wait_until;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        Program::start(command, PathBuf::from("/dev/null/wg")).unwrap()
    }

    #[test]
    fn what_was_sent_is_waited_for_until_it_is_noticed() {
        let mut program = shell("read line; echo $line; exec sleep 600");
        program.settle(&[]).unwrap();
        let before = program.rest();
        assert!(before.is_some() && program.take_output().0.is_empty());
        let mut input = program.child.stdin.take().unwrap();
        let late = thread::spawn(move || {
            thread::sleep(5 * QUIET_TIME);
            input.write_all(b"noticed\n")
        });
        program.settle_after(before.as_ref(), &[]).unwrap();
        assert_eq!(program.take_output().0, b"noticed\n");
        late.join().unwrap().unwrap();
        // Who notices nothing is not waited for without end.
        let before = program.rest();
        program.settle_after(before.as_ref(), &[]).unwrap();
    }

    #[test]
    fn nothing_is_done_while_a_server_works() {
        let (mut program, mut server) = (shell("exec sleep 600"), shell("while :; do :; done"));
        let works = |server: &Program| Ok(server.rest().is_none().then_some(()));
        wait_until("it works", STEP_TIMEOUT, || works(&server)).unwrap();
        program.settle(&[]).unwrap();
        assert!(program.are_all_at_rest(&[]).unwrap());
        assert!(!program.are_all_at_rest(&[server.child.id()]).unwrap());
        server.wait_for_end(Some(Signal::SIGTERM)).unwrap();
        assert_eq!(server.exit_status(), Some(-15));
        assert!(program.are_all_at_rest(&[server.child.id()]).unwrap());
    }

    #[test]
    fn all_output_comes_in_and_so_does_that_of_who_is_left_behind() {
        // More than a pipe holds, and then a child that outlives its parent.
        let mut program = shell(
            "yes | head -c 300000; (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo late; sleep 600) & exit 3",
        );
        program.wait_for_end(None).unwrap();
        let (stdout, stderr) = program.take_output();
        assert_eq!((stdout.len(), stdout.ends_with(b"y\nlate\n"), stderr.len()), (300_005, true, 0));
        assert_eq!(program.exit_status(), Some(3));
        let left = quiet::group(program.child.id()).unwrap();
        assert!(!left.is_empty());
        drop(program);
        let is_gone = || Ok((!left.iter().any(|process| is_alive(*process))).then_some(()));
        wait_until("it is killed", STEP_TIMEOUT, is_gone).unwrap();
    }
}
