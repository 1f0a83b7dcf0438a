//! What programs write to standard output and standard error.
//!
//! The macros of the standard library panic when a file system is full, and writers whose errors nobody looks at make a success
//! of it. So programs write by these functions, and by nothing else:
//!
//! * [`print()`] and [`Output`] for standard output: what was not written is an error, and the program fails with [`Unwritten`];
//! * [`complain!`] and [`log`] for standard error: about that nothing can be said anywhere.
//!
//! A reader who has closed the pipe has seen enough: that is no error, but a program that would write for ever ends then
//! ([`Printed::NobodyReads`]).

#![forbid(unsafe_code)]

use std::{
    fmt::{self, Display},
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

/// What became of text for standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    /// It was written.
    Written,
    /// The reader has closed the pipe.
    NobodyReads,
}

/// Text could not be written to standard output.
#[derive(Debug)]
pub struct Unwritten(io::Error);

impl Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        // Without the number that the standard library adds.
        let text = text.split_once(" (os error ").map_or(text.as_str(), |(text, _)| text);
        write!(f, "cannot write to standard output: {text}")
    }
}

impl std::error::Error for Unwritten {}

/// Writes text to standard output, all of it and now.
///
/// # Errors
///
/// [`Unwritten`] when the system does not take it, as on a full file system.
pub fn print(text: impl Display) -> Result<Printed, Unwritten> {
    let mut out = io::stdout().lock();
    judged(out.write_all(text.to_string().as_bytes()).and_then(|()| out.flush()))
}

/// The result of writing to standard output.
///
/// # Errors
///
/// [`Unwritten`] when the system has not taken it.
pub fn judged(written: io::Result<()>) -> Result<Printed, Unwritten> {
    match written {
        Ok(()) => Ok(Printed::Written),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Printed::NobodyReads),
        Err(error) => Err(Unwritten(error)),
    }
}

/// The exit status of a program that has printed something: `status`, or that of a failure, with a line on standard error, when
/// it could not be written.
pub fn exit_status(program: &str, printed: Result<Printed, Unwritten>, status: ExitCode) -> ExitCode {
    match printed {
        Ok(_) => status,
        Err(error) => {
            complain!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, formatted as by `eprintln!`. That it cannot be written is ignored.
#[macro_export]
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::write_complaint(::std::format_args!($($text)*))
    };
}

/// Writes a line to standard error: [`complain!`] calls it.
pub fn write_complaint(text: fmt::Arguments<'_>) {
    let line = format!("{text}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Standard error as the writer of a log: lines that cannot be written are lost.
pub const fn log() -> Log {
    Log(())
}

/// The writer that [`log`] gives; it never fails.
#[derive(Clone, Copy, Debug)]
pub struct Log(());

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard output or standard error, for a program that goes on with its work when it cannot be written and fails in the end
/// ([`Output::finish`]). As a writer it never fails.
#[derive(Debug)]
pub struct Output<W: Write> {
    writer: W,
    /// The first failure, after which nothing more is written.
    failure: Option<io::Error>,
}

impl Output<io::Stdout> {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::to(io::stdout())
    }
}

impl Output<io::Stderr> {
    /// Standard error.
    pub fn stderr() -> Self {
        Self::to(io::stderr())
    }
}

impl<W: Write> Output<W> {
    const fn to(writer: W) -> Self {
        Self { writer, failure: None }
    }

    fn record(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }

    /// Writes what is still to be written; an error when anything was not.
    ///
    /// # Errors
    ///
    /// [`Unwritten`] when the system has not taken all of it.
    pub fn finish(mut self) -> Result<Printed, Unwritten> {
        let _ = self.flush();
        judged(self.failure.map_or(Ok(()), Err))
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.failure.is_none() {
            let written = self.writer.write_all(octets);
            self.record(written);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failure.is_none() {
            let flushed = self.writer.flush();
            self.record(flushed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer on a file system that is full, or into a pipe that is closed.
    struct Failing(i32);

    const ENOSPC: i32 = 28;
    const EPIPE: i32 = 32;

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(self.0))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_not_written_is_an_error_in_the_end() {
        let mut full = Output::to(Failing(ENOSPC));
        assert!(writeln!(full, "one").and_then(|()| full.flush()).is_ok(), "the work goes on");
        let error = full.finish().unwrap_err().to_string();
        assert_eq!(error, "cannot write to standard output: No space left on device");
    }

    #[test]
    fn a_closed_pipe_is_none() {
        let mut closed = Output::to(Failing(EPIPE));
        let _ = writeln!(closed, "one");
        assert!(matches!(closed.finish(), Ok(Printed::NobodyReads)));
        assert!(matches!(Output::to(Vec::new()).finish(), Ok(Printed::Written)));
    }
}
