//! The terminal from which the program was started: without it the program ends (zwgc, section 6.2).

use nix::{errno::Errno, fcntl::OFlag};
use std::{fs::OpenOptions, future::pending, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

/// The name that stands for a process's own terminal.
const OWN_TERMINAL: &str = "/dev/tty";
/// How often it is looked for.
const INTERVAL: Duration = Duration::from_secs(10);

/// A watch over the terminal that there was at the start.
pub(crate) struct TerminalWatch {
    was_there: bool,
}

impl TerminalWatch {
    pub(crate) fn new() -> Self {
        Self { was_there: is_there(Path::new(OWN_TERMINAL)) }
    }

    /// Waits until the terminal is gone; for ever where there was none.
    pub(crate) async fn gone(&self) {
        if !self.was_there {
            pending::<()>().await;
        }
        while is_there(Path::new(OWN_TERMINAL)) {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Whether there is a terminal. That this process may have no more open files does not mean that there is none.
fn is_there(terminal: &Path) -> bool {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(terminal);
    match opened.map_err(|error| error.raw_os_error()) {
        Ok(_) => true,
        Err(number) => matches!(number.map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_gone() {
        assert!(is_there(Path::new("/dev/null")));
        assert!(!is_there(Path::new("/dev/no-such-terminal")));
    }

    #[tokio::test]
    async fn nobody_misses_a_terminal_that_there_never_was() {
        let watch = TerminalWatch { was_there: false };
        tokio::select! {
            biased;
            () = watch.gone() => panic!("there was none"),
            () = tokio::task::yield_now() => {}
        }
    }
}
