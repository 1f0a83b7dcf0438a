//! What is done at the server, and done again until it succeeds.

use crate::report::report_error;
use std::time::Duration;
use tokio::time::Instant;
use zephyr_client::Error;

/// The time until the first attempt to do again what has failed; it doubles.
const RETRY: Duration = Duration::from_secs(10);
/// How often it doubles at most when there was no answer: a server that comes back has the user within a minute.
const MAX_DOUBLINGS: u32 = 2;
/// The same when somebody has refused it.
const MAX_DOUBLINGS_REFUSED: u32 = 5;

/// Something that is done at the server, and is tried again until it is.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) is_done: bool,
    /// The failures since it was last done.
    failures: u32,
    /// What was last said about them.
    said: Option<String>,
    pub(crate) retry_at: Option<Instant>,
}

impl Attempt {
    /// Records that it is done; true when a failure was reported before.
    pub(crate) fn succeed(&mut self) -> bool {
        let was_reported = self.said.is_some();
        *self = Self { is_done: true, ..Self::default() };
        was_reported
    }

    /// Records a failure, which is reported unless that was the last thing said, and when to try again.
    pub(crate) fn fail(&mut self, error: &Error, context: &str) {
        let text = error.describe(context);
        if self.said.as_ref() != Some(&text) {
            report_error(error, context);
        }
        let wait = retry_wait(self.failures, is_refusal(error));
        let (failures, retry_at) = (self.failures.saturating_add(1), Some(Instant::now() + wait));
        *self = Self { is_done: false, failures, said: Some(text), retry_at };
    }

    /// Records that it is to be done at once.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self { said: self.said.take(), ..Self::default() };
    }
}

/// The time until something is tried again that has failed so often before.
fn retry_wait(failures: u32, is_refused: bool) -> Duration {
    RETRY * (1 << failures.min(if is_refused { MAX_DOUBLINGS_REFUSED } else { MAX_DOUBLINGS }))
}

const fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Operation(error) => error.is_refusal(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_client::OperationError;

    #[test]
    fn what_was_not_answered_is_tried_again_within_a_minute() {
        let waits = |is_refused| (0..8).map(|failures| retry_wait(failures, is_refused).as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(false), [10, 20, 40, 40, 40, 40, 40, 40]);
        assert_eq!(waits(true), [10, 20, 40, 80, 160, 320, 320, 320]);
    }

    #[test]
    fn a_failure_is_said_once_and_its_end_as_well() {
        let (mut attempt, error) = (Attempt::default(), Error::Operation(OperationError::TimedOut));
        assert!(!attempt.succeed(), "nobody was told anything");
        attempt.fail(&error, "while subscribing");
        assert!(!attempt.is_done && attempt.retry_at.is_some());
        attempt.begin_anew();
        assert_eq!((attempt.failures, attempt.retry_at), (0, None));
        assert!(attempt.succeed() && attempt.is_done);
        assert!(!attempt.succeed());
    }
}
