//! Syslog messages over the local socket (RFC 3164, section 4).

use crate::settings::{Facility, Log};
use std::{
    fmt::{self, Write as _},
    io,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Octets of one line at most.
const MAX_OCTETS: usize = 2048;

/// The system's log.
pub(super) struct Syslog {
    program: String,
    facility: Facility,
    path: PathBuf,
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    pub(super) fn new(program: &str, settings: &Log) -> Self {
        Self {
            program: program.to_owned(),
            facility: settings.facility,
            path: settings.syslog_socket.clone(),
            socket: Mutex::new(None),
        }
    }

    /// A socket that never makes the program wait.
    pub(super) fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.path)?;
        Ok(socket)
    }

    /// Sends a line, over a new connection when the system's log was restarted. What cannot be sent is lost.
    fn send(&self, line: &str) {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*socket {
            match known.send(line.as_bytes()) {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => *socket = None,
            }
        }
        if let Ok(new) = self.connect() {
            let _ = new.send(line.as_bytes());
            *socket = Some(new);
        }
    }
}

impl<S: Subscriber> Layer<S> for Syslog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let severity = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let priority = u32::from(self.facility.0) * 8 + severity;
        let time = jiff::ZonedDateTime::now().strftime("%b %e %H:%M:%S").to_string();
        let mut line = Line(format!("<{priority}>{time} {}[{}]:", self.program, std::process::id()));
        event.record(&mut line);
        self.send(&line.0);
    }
}

/// A line that grows field by field, all of it printable.
struct Line(String);

impl Line {
    fn push(&mut self, name: &str, value: &str) {
        let _ = if name == "message" { write!(self.0, " ") } else { write!(self.0, " {name}=") };
        for char in value.chars() {
            if self.0.len() >= MAX_OCTETS {
                return;
            }
            if char.is_control() {
                self.0.extend(char.escape_default());
            } else {
                self.0.push(char);
            }
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn lines(socket: &UnixDatagram, write: impl FnOnce()) -> String {
        let path = socket.local_addr().unwrap().as_pathname().unwrap().to_owned();
        let settings = Log { syslog_socket: path, ..Log::default() };
        let subscriber = tracing_subscriber::registry().with(Syslog::new("zephyrd", &settings));
        tracing::subscriber::with_default(subscriber, write);
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 8192];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_one_line_of_the_facility() {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("log")).unwrap();
        let line = lines(&socket, || tracing::warn!(sender = "eve\n<0>forged", "hello\x1b[2J\nagain"));
        // local6 is 22: 22 * 8 + 4.
        assert!(line.starts_with("<180>"), "{line:?}");
        assert!(line.ends_with(" hello\\u{1b}[2J\\nagain sender=eve\\n<0>forged"), "{line:?}");
        assert_eq!(line.find("zephyrd["), Some("<180>Nov 24 22:45:54 ".len()), "{line:?}");
        assert!(!line.contains(|char: char| char.is_control()));
    }

    #[test]
    fn a_line_is_not_endless_and_a_restarted_log_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let settings = Log { syslog_socket: path.clone(), ..Log::default() };
        let syslog = Syslog::new("zephyrd", &settings);
        syslog.send("nobody listens yet");
        let first = UnixDatagram::bind(&path).unwrap();
        syslog.send("one");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        syslog.send("two");
        let mut buffer = [0; 8192];
        second.set_nonblocking(true).unwrap();
        assert_eq!(second.recv(&mut buffer).unwrap(), 3);
        let long = lines(&second, || tracing::info!("{}", "x".repeat(100_000)));
        assert!(long.len() <= MAX_OCTETS + 8, "{}", long.len());
    }
}
