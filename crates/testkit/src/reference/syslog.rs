//! The syslog of a lab: receives what its programs write to /dev/log.

use crate::transcript::Transcript;
use anyhow::{Context, Result};
use std::{net::Shutdown, os::unix::net::UnixDatagram, path::Path, sync::Arc, thread};

const MAX_MESSAGE: usize = 8192;

/// A syslog listener, until dropped.
#[derive(Debug)]
pub(crate) struct Syslog {
    socket: UnixDatagram,
    transcript: Arc<Transcript>,
}

impl Syslog {
    /// Listens on a new socket at `path`.
    pub(crate) fn listen(path: &Path) -> Result<Self> {
        let socket = UnixDatagram::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
        let (reader, transcript) = (socket.try_clone()?, Arc::new(Transcript::default()));
        transcript.source_started();
        let lines = Arc::clone(&transcript);
        thread::spawn(move || {
            let mut message = [0; MAX_MESSAGE];
            while let Ok(length @ 1..) = reader.recv(&mut message) {
                lines.add(message.get(..length).unwrap_or_default());
            }
            lines.source_ended();
        });
        Ok(Self { socket, transcript })
    }

    /// The messages so far, one a line, with their priority in angle brackets.
    pub(crate) fn transcript(&self) -> &Transcript {
        &self.transcript
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        // Wakes the reader; nothing is lost when that fails.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn messages_are_kept_and_dropping_ends_the_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let syslog = Syslog::listen(&path).unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"<182>zephyrd: ready", &path).unwrap();
        let transcript = Arc::clone(&syslog.transcript);
        let timeout = Duration::from_secs(10);
        assert!(syslog.transcript().wait_after(0, timeout, |line| line.contains("ready")).is_ok());
        drop(syslog);
        let never = transcript.wait_after(1, timeout, |_| true);
        assert_eq!(never, Err(crate::transcript::NoLine::Ended));
    }
}
