//! The programs that descriptions start (zwgc, section 7.7).

use super::port::{Port, Sink, Source};
use std::{
    ffi::OsStr,
    io::{self, BufReader},
    os::unix::ffi::OsStrExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use zephyr_client::system_text;
use zephyr_core::sanitize;
use zephyr_output::complain;

/// Maximum number of programs that run at a time.
const MAX_RUNNING: usize = 64;

/// Starts programs and sees to their ends.
#[derive(Default)]
pub(super) struct Programs {
    running: Arc<AtomicUsize>,
}

impl Programs {
    /// Starts a program and does not wait for it. That it cannot be started is said.
    pub(super) fn start(&self, words: &[Vec<u8>]) {
        if let Some(child) = self.spawn(command(words)) {
            self.reap(child);
        }
    }

    /// Starts a program whose standard input and output are a port. That it cannot be started is said, and the port is one whose
    /// program has ended.
    pub(super) fn start_connected(&self, words: &[Vec<u8>]) -> Result<Port, String> {
        let mut program = command(words);
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let Some(mut child) = self.spawn(program) else {
            let (reader, writer) = io::pipe().map_err(|error| system_text(&error))?;
            drop(reader);
            return Ok(Port::both(Source::Lines(Box::new(io::empty())), Sink::Writer(Box::new(writer))));
        };
        let (input, output) = (child.stdin.take(), child.stdout.take());
        self.reap(child);
        let (Some(input), Some(output)) = (input, output) else { return Err(super::port::MISSING.to_owned()) };
        Ok(Port::both(Source::Lines(Box::new(BufReader::new(output))), Sink::Writer(Box::new(input))))
    }

    fn spawn(&self, mut command: Command) -> Option<Child> {
        let started = if self.running.load(Ordering::Relaxed) >= MAX_RUNNING {
            Err(format!("{MAX_RUNNING} programs run already"))
        } else {
            command.spawn().map_err(|error| system_text(&error))
        };
        let report = |reason| {
            let program = sanitize::line(command.get_program().as_bytes());
            complain!("zwgc: unable to exec {program}: {reason}");
        };
        started.map_err(report).ok()
    }

    /// Waits elsewhere for a program's end, so that nothing is left of it then.
    fn reap(&self, mut child: Child) {
        let running = Arc::clone(&self.running);
        running.fetch_add(1, Ordering::Relaxed);
        let wait = move || {
            let _ = child.wait();
            running.fetch_sub(1, Ordering::Relaxed);
        };
        if thread::Builder::new().name("zwgc program".to_owned()).spawn(wait).is_err() {
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn command(words: &[Vec<u8>]) -> Command {
    let mut words = words.iter().map(|word| OsStr::from_bytes(word));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_programs_that_have_ended_and_no_more_run_than_may() {
        let programs = Programs::default();
        let words = |program: &str| vec![program.as_bytes().to_vec()];
        let ports: Vec<_> = (0..MAX_RUNNING).map(|_| programs.start_connected(&words("cat"))).collect();
        assert!(ports.iter().all(Result::is_ok) && programs.running.load(Ordering::Relaxed) == MAX_RUNNING);
        programs.start(&words("cat"));
        assert_eq!(programs.running.load(Ordering::Relaxed), MAX_RUNNING);
        // Each ends with its input; whoever has counted it out has waited for it.
        drop(ports);
        while programs.running.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        assert!(programs.spawn(command(&words("true"))).is_some_and(|mut child| child.wait().is_ok()));
    }
}
