//! Programs run by a test: to their end with a time limit, or as a daemon whose output is recorded.

use crate::transcript::Transcript;
use anyhow::{Context, Result, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The time a daemon has to end after SIGTERM before it is killed.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The time a killed daemon has to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The time to go on reading after a program's end when its children still hold its output open. Not so short that on a
/// busy machine output would be missed that is already there.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The output and exit status of a finished program.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output; octets that are not UTF-8 become U+FFFD.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl Output {
    /// Turns an exit status other than 0 into an error that contains the program's output.
    ///
    /// # Errors
    ///
    /// When the program did not succeed.
    pub fn success(self) -> Result<Self> {
        if self.status.success() { Ok(self) } else { Err(anyhow!("{self}")) }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}`: {}", self.command, self.status)?;
        write!(f, "stdout: {}\nstderr: {}", self.stdout.trim_end(), self.stderr.trim_end())
    }
}

/// Runs a program to its end, with nothing on its standard input.
///
/// # Errors
///
/// When it cannot be started or is not done within `limit` (it is killed then). A program that
/// ends by itself with a failure is no error here: see [`Output::success`].
pub fn run(command: Command, limit: Duration) -> Result<Output> {
    run_with_input(command, &[], limit)
}

/// Runs a program to its end, with `input` on its standard input.
///
/// # Errors
///
/// As [`run`].
pub fn run_with_input(mut command: Command, input: &[u8], limit: Duration) -> Result<Output> {
    let line = command_line(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let stdin = child.stdin.take();
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let input = input.to_vec();
    // A program that does not read its input must not stop us; that it did not is no failure.
    thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&input)));

    let status = wait_for_end(&mut child, limit)?;
    let outcome = match status {
        Some(status) => status,
        None => child.kill().and_then(|()| child.wait()).with_context(|| format!("cannot kill `{line}`"))?,
    };
    let output = Output {
        command: line,
        status: outcome,
        stdout: stdout.recv_timeout_all(DRAIN_TIMEOUT),
        stderr: stderr.recv_timeout_all(DRAIN_TIMEOUT),
    };
    if status.is_none() {
        bail!("killed after {limit:?}: {output}");
    }
    Ok(output)
}

/// A running program whose output is kept in memory and in a log file.
///
/// It is ended (SIGTERM, then SIGKILL) when the value is dropped. It stays in our process group, so
/// that Ctrl-C and the time limits of test runners reach it too.
#[derive(Debug)]
pub struct Daemon {
    label: String,
    child: Child,
    lifeline: Option<ChildStdin>,
    transcript: Arc<Transcript>,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts `command`; its output is also written to `log`, whose file stem names it in messages.
    ///
    /// # Errors
    ///
    /// When the program or the log file cannot be opened.
    pub fn spawn(mut command: Command, log: impl Into<PathBuf>) -> Result<Self> {
        command.stdin(Stdio::null());
        Self::start(command, log.into())
    }

    /// Starts a program that ends by itself when its standard input does, so that it cannot
    /// outlive us even if we are killed.
    ///
    /// # Errors
    ///
    /// As [`Daemon::spawn`].
    pub fn spawn_with_lifeline(mut command: Command, log: impl Into<PathBuf>) -> Result<Self> {
        command.stdin(Stdio::piped());
        Self::start(command, log.into())
    }

    fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let line = command_line(&command);
        let label = log.file_stem().unwrap_or(OsStr::new("daemon")).to_string_lossy().into_owned();
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
        let transcript = Arc::new(Transcript::default());
        let file = Arc::new(file);
        record(child.stdout.take(), &transcript, &file);
        record(child.stderr.take(), &transcript, &file);
        let lifeline = child.stdin.take();
        Ok(Self { label, child, lifeline, transcript, ended: None })
    }

    /// Writes a line to the standard input of a program that was started [with a lifeline](Daemon::spawn_with_lifeline).
    ///
    /// # Errors
    ///
    /// When it has none, or does not take it.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let input = self.lifeline.as_mut().with_context(|| format!("{} has no input", self.label))?;
        writeln!(input, "{line}").with_context(|| format!("{} takes no input", self.label))
    }

    /// The process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its output so far, standard output and standard error in order of arrival.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Waits for a line that satisfies `wanted`, among those already there and those to come.
    ///
    /// # Errors
    ///
    /// When the time runs out or the program ends its output first; contains the output so far.
    pub fn wait_for(&self, within: Duration, wanted: impl FnMut(&str) -> bool) -> Result<String> {
        self.wait_after(0, within, wanted)
    }

    /// As [`Daemon::wait_for`], for lines after `mark` (see [`Transcript::mark`]) only.
    ///
    /// # Errors
    ///
    /// As [`Daemon::wait_for`].
    pub fn wait_after(&self, mark: usize, within: Duration, wanted: impl FnMut(&str) -> bool) -> Result<String> {
        self.transcript
            .wait_after(mark, within, wanted)
            .map_err(|why| anyhow!("{}: {why}; it said:\n{}", self.label, self.transcript.text()))
    }

    /// The exit status, if it has ended.
    ///
    /// # Errors
    ///
    /// When the system does not give it.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Sends a signal to it (and to nothing else). Nothing is sent to a program that has ended.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_none() {
            kill(Pid::from_raw(i32::try_from(self.pid())?), signal)
                .with_context(|| format!("cannot send {signal} to {}", self.label))?;
        }
        Ok(())
    }

    /// Waits at most `within` for it to end by itself.
    ///
    /// # Errors
    ///
    /// When it is still running then.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<ExitStatus> {
        if self.ended.is_none() {
            self.ended = wait_for_end(&mut self.child, within)?;
        }
        self.ended.with_context(|| {
            format!("{} still runs after {within:?}; it said:\n{}", self.label, self.transcript.text())
        })
    }

    /// Ends it: end of input if it has a lifeline, else SIGTERM; SIGKILL when it has not ended after `grace`.
    ///
    /// # Errors
    ///
    /// When it cannot be ended at all.
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        if self.lifeline.take().is_none() || self.wait_for_end(grace).is_err() {
            self.signal(Signal::SIGTERM)?;
        }
        if self.wait_for_end(grace).is_err() {
            self.signal(Signal::SIGKILL)?;
        }
        // Nobody resists that; but the system may need a while.
        self.wait_for_end(KILL_TIMEOUT)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.stop(STOP_TIMEOUT) {
            eprintln!("{}: not stopped: {error:#}", self.label);
        }
    }
}

/// The command line as one would type it, without environment and quoting.
fn command_line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn wait_for_end(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Copies lines from `pipe` to the transcript and the log until it ends.
fn record(pipe: Option<impl Read + Send + 'static>, transcript: &Arc<Transcript>, log: &Arc<File>) {
    let Some(pipe) = pipe else { return };
    let (transcript, log) = (Arc::clone(transcript), Arc::clone(log));
    transcript.source_started();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            transcript.add(&line);
            // The log is for people; a full disk shows in the test itself soon enough.
            let _ = (&*log).write_all(&line);
            line.clear();
        }
        transcript.source_ended();
    });
}

/// The data that is being read from a pipe in the background.
struct Collected(std::sync::mpsc::Receiver<Vec<u8>>);

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let (sender, receiver) = std::sync::mpsc::channel();
    if let Some(mut pipe) = pipe {
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                let Some(read) = chunk.get(..length) else {
                    break;
                };
                if sender.send(read.to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    Collected(receiver)
}

impl Collected {
    /// All data up to the end of the pipe, or what has been read when nothing more comes for `timeout`.
    fn recv_timeout_all(self, timeout: Duration) -> String {
        let mut all = Vec::new();
        while let Ok(chunk) = self.0.recv_timeout(timeout) {
            all.extend(chunk);
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Whether a process with this ID exists (a zombie counts).
pub fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn run_gives_output_input_and_status() {
        let output = run_with_input(shell("cat; echo oops >&2; exit 3"), b"hello", TIMEOUT).unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str(), output.status.code()),
            ("hello", "oops\n", Some(3))
        );
        assert!(output.success().unwrap_err().to_string().contains("oops"));
    }

    #[test]
    fn run_kills_a_program_at_the_time_limit_and_shows_its_output() {
        // However long it takes to begin.
        let killed = |seconds| run(shell("echo begun; exec sleep 3600"), Duration::from_secs(seconds)).unwrap_err();
        let mut errors = (0..6).map(|attempt| killed(1 << attempt).to_string());
        let begun = errors.by_ref().find(|error| error.contains("begun")).unwrap();
        assert!(begun.starts_with("killed after "), "{begun}");
    }

    #[test]
    fn run_does_not_wait_for_grandchildren() {
        let output = run(shell("sleep 3600 & echo $!"), TIMEOUT).unwrap();
        let left_behind: i32 = output.stdout.trim().parse().unwrap();
        kill(Pid::from_raw(left_behind), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn the_output_of_a_daemon_is_recorded_and_dropping_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("echoing.log");
        let daemon = Daemon::spawn(shell("echo up >&2; exec sleep 60"), &log).unwrap();
        daemon.wait_for(TIMEOUT, |line| line == "up").unwrap();
        let pid = daemon.pid();
        drop(daemon);
        assert!(!exists(pid));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "up\n");
    }

    #[test]
    fn a_daemon_that_ignores_sigterm_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        let mut daemon = Daemon::spawn(shell(script), folder.path().join("ignoring.log")).unwrap();
        daemon.wait_for(TIMEOUT, |line| line == "up").unwrap();
        let status = daemon.stop(Duration::from_millis(100)).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    fn a_lifeline_ends_the_program_without_a_signal() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("reading.log");
        let mut daemon = Daemon::spawn_with_lifeline(shell("cat; exit 7"), log).unwrap();
        assert_eq!(daemon.stop(TIMEOUT).unwrap().code(), Some(7));
    }

    #[test]
    fn an_early_end_is_reported_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::spawn(shell("echo broken"), folder.path().join("weak.log")).unwrap();
        let error = daemon.wait_for(Duration::from_secs(3600), |line| line == "up").unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
