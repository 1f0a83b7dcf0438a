//! The state's file, as far as the shell's loop has to do with it.

use super::Shell;
use std::time::{Duration, Instant};
use zephyr_engine::{machine::Input, server::Command};
use zephyr_state::Report;

/// How long the end waits for answers whose requests have changed something.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

impl Shell {
    /// Takes the reports that are there.
    pub(super) fn hear_state(&mut self) {
        while let Some(report) = self.environment.state.try_next() {
            self.take_report(report);
        }
    }

    pub(super) fn take_report(&mut self, report: Report) {
        let command = self.environment.state.take(report, self.driver.machine());
        self.command_if_any(command);
    }

    /// Hands over what the server has told.
    pub(super) fn hand_over(&mut self) {
        let command = self.environment.state.hand_over();
        self.command_if_any(command);
    }

    fn command_if_any(&mut self, command: Option<Command>) {
        if let Some(command) = command {
            self.driver.handle(Input::Command(command));
        }
    }

    /// Answers what waits for the disk, and keeps all that there is.
    pub(super) async fn finish_state(&mut self) {
        let deadline = Instant::now() + ANSWERS_TIMEOUT;
        self.hand_over();
        while self.driver.machine().gauges().held_answers > 0 {
            let report = self.environment.state.next();
            let Ok(report) = tokio::time::timeout_at(deadline.into(), report).await else { break };
            self.take_report(report);
            self.driver.flush(&mut self.environment).await;
            self.hand_over();
        }
        let (server, now) = (self.driver.machine(), self.driver.clock().now());
        self.environment.state.finish(server, now);
    }
}
