//! The output of a program so far, line by line, and waiting for a line.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Lines from one or more sources in the order of their arrival.
#[derive(Debug, Default)]
pub struct Transcript {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    sources: usize,
}

/// The reason why a wait for a line ended without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLine {
    /// The time given ran out.
    #[error("no such line within {0:?}")]
    TimedOut(Duration),
    /// Every source has ended, so there will never be one.
    #[error("the program closed its output without such a line")]
    Ended,
}

impl Transcript {
    /// Announces one more source of lines; each must call [`Transcript::source_ended`] once.
    pub fn source_started(&self) {
        self.lock().sources += 1;
    }

    /// One source will add no more lines.
    pub fn source_ended(&self) {
        let mut state = self.lock();
        state.sources = state.sources.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Adds one line; octets that are not UTF-8 become U+FFFD and the line end is cut off.
    pub fn add(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        self.lock().lines.push(text.trim_end_matches(['\r', '\n']).to_owned());
        self.changed.notify_all();
    }

    /// The number of lines so far: the start of a later wait.
    pub fn mark(&self) -> usize {
        self.lock().lines.len()
    }

    /// All lines so far, joined.
    pub fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// All lines so far from `mark` on.
    pub fn lines_after(&self, mark: usize) -> Vec<String> {
        self.lock().lines.iter().skip(mark).cloned().collect()
    }

    /// Waits until a line from `mark` on satisfies `wanted`, and returns the first that does.
    ///
    /// # Errors
    ///
    /// [`NoLine`] when the time runs out or every source has ended.
    pub fn wait_after(
        &self,
        mark: usize,
        within: Duration,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String, NoLine> {
        let deadline = Instant::now() + within;
        let mut seen = mark;
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.iter().skip(seen).find(|line| wanted(line)) {
                return Ok(line.clone());
            }
            seen = seen.max(state.lines.len());
            if state.sources == 0 {
                return Err(NoLine::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NoLine::TimedOut(within));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn finds_a_line_that_is_there_and_one_that_comes() {
        let transcript = Transcript::default();
        transcript.source_started();
        transcript.add(b"ready\r\n");
        assert_eq!(transcript.wait_after(0, TIMEOUT, |line| line == "ready"), Ok("ready".to_owned()));
        thread::scope(|scope| {
            scope.spawn(|| transcript.add(b"hello \xff"));
            let line = transcript.wait_after(1, TIMEOUT, |line| line.starts_with("hello"));
            assert_eq!(line, Ok("hello \u{fffd}".to_owned()));
        });
    }

    #[test]
    fn does_not_look_before_the_mark_and_ends_with_the_sources() {
        let transcript = Transcript::default();
        transcript.source_started();
        transcript.add(b"ready");
        let mark = transcript.mark();
        let short = Duration::from_millis(1);
        assert_eq!(transcript.wait_after(mark, short, |_| true), Err(NoLine::TimedOut(short)));
        transcript.source_ended();
        assert_eq!(transcript.wait_after(mark, TIMEOUT, |_| true), Err(NoLine::Ended));
    }
}
