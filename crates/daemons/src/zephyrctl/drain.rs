//! `drain`: sends the hosts of a server to others, and waits until they have gone.

use super::{Outcome, ask, deal_with, options::Options, print, print_json, unreachable};
use crate::{
    admin_protocol::{Answer, ControlRequest},
    plural,
};
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};
use zephyr_output::complain;

/// How often those that are still there are asked again: what asks them may be lost.
const PERIOD: Duration = Duration::from_secs(1);

/// Asks the hosts to go until none is left, or for so long; done when none is left.
pub(super) fn run(options: &Options, socket: &Path, wait: Duration) -> Outcome {
    let (begin, timeout) = (Instant::now(), Duration::from_secs(options.timeout.into()));
    let mut shown = None;
    loop {
        let left = match ask(socket, &ControlRequest::Drain {}, timeout) {
            Ok(Answer::Draining(left)) => left,
            Ok(answer) => return deal_with(options, answer),
            Err(error) => return unreachable(socket, &error),
        };
        let rest = wait.saturating_sub(begin.elapsed());
        if left == 0 || rest.is_zero() {
            return tell(options, left);
        }
        if shown.replace(left) != Some(left) && io::stderr().is_terminal() {
            complain!("zephyrctl: {} still here", plural::count(left, "host manager"));
        }
        thread::sleep(rest.min(PERIOD));
    }
}

/// Tells how many are left.
fn tell(options: &Options, left: usize) -> Outcome {
    let outcome = if left == 0 { Outcome::Done } else { Outcome::Problem };
    if options.json {
        return print_json(&Answer::Draining(left), outcome);
    }
    if left == 0 {
        return print("no host uses this server any longer\n", outcome);
    }
    complain!("zephyrctl: not all have gone to another server: {} left", plural::count(left, "host manager"));
    outcome
}
