//! Output of the listener program.

use crate::person::TIMEOUT;
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, process::Command};
use zephyr_client::Verdict;
use zephyr_testkit::process::Daemon;

/// Said by the listener when its subscriptions are in force, before its port number.
pub const SUBSCRIBED: &str = "subscribed at port ";

/// What is known of a notice's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Proven.
    Authentic,
    /// Not claimed to be proven.
    Unauthenticated,
    /// Claimed to be proven, and not.
    Failed,
}

impl Origin {
    /// The word for it in the listener's output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authentic => "authentic",
            Self::Unauthenticated => "unauthenticated",
            Self::Failed => "failed",
        }
    }
}

/// One notice that a listener received. Octets that are not printable ASCII are escaped in all texts but the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What is known of its origin.
    pub origin: Origin,
    /// Who, so it says, sent it.
    pub sender: String,
    /// Its class.
    pub class: String,
    /// Its instance.
    pub instance: String,
    /// Its opcode.
    pub opcode: String,
    /// To whom.
    pub recipient: String,
    /// Its body, octet for octet.
    pub body: Vec<u8>,
}

impl Received {
    /// What a client has received.
    pub fn of(message: &zephyr_client::Received) -> Self {
        let notice = message.notice();
        let text = |octets: &[u8]| octets.escape_ascii().to_string();
        Self {
            origin: match message.verdict() {
                Verdict::Authentic(_) => Origin::Authentic,
                Verdict::Unauthenticated => Origin::Unauthenticated,
                Verdict::Failed(_) => Origin::Failed,
            },
            sender: text(notice.sender),
            class: text(notice.class),
            instance: text(notice.instance),
            opcode: text(notice.opcode),
            recipient: text(notice.recipient),
            body: notice.body.to_vec(),
        }
    }

    /// The line that says this.
    pub fn line(&self) -> String {
        let body: String = self.body.iter().map(|octet| format!("{octet:02x}")).collect();
        let name = self.origin.name();
        let texts = [name, &self.sender, &self.class, &self.instance, &self.opcode, &self.recipient, &body];
        texts.join("\t")
    }

    /// What a line of a listener says, if it is about a notice.
    pub fn read(line: &str) -> Option<Self> {
        let texts: Vec<&str> = line.split('\t').collect();
        let &[name, sender, class, instance, opcode, recipient, body] = texts.as_slice() else { return None };
        let origin = [Origin::Authentic, Origin::Unauthenticated, Origin::Failed];
        let origin = origin.into_iter().find(|origin| origin.name() == name)?;
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let body = body.as_bytes().chunks(2).map(octet).collect::<Option<_>>()?;
        let [sender, class, instance, opcode, recipient] =
            [sender, class, instance, opcode, recipient].map(str::to_owned);
        Some(Self { origin, sender, class, instance, opcode, recipient, body })
    }

    /// The message: the body after the signature and without the newline at its end.
    pub fn message(&self) -> String {
        let message = self.body.splitn(2, |&octet| octet == 0).nth(1).unwrap_or_default();
        let message = String::from_utf8_lossy(message);
        message.strip_suffix('\n').unwrap_or(&message).to_owned()
    }
}

/// A running listener. Ends when dropped.
#[derive(Debug)]
pub struct Listener {
    daemon: Daemon,
    port: u16,
}

impl Listener {
    pub(crate) fn start(command: Command, log: PathBuf) -> Result<Self> {
        let daemon = Daemon::spawn(command, log)?;
        let line = daemon.wait_for(TIMEOUT, |line| line.starts_with(SUBSCRIBED))?;
        let port = line.strip_prefix(SUBSCRIBED).and_then(|port| port.parse().ok());
        Ok(Self { daemon, port: port.with_context(|| format!("no port in {line:?}"))? })
    }

    /// Where it receives.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything received so far.
    pub fn all(&self) -> Vec<Received> {
        self.daemon.transcript().lines_after(0).iter().filter_map(|line| Received::read(line)).collect()
    }

    /// The first notice received with this message, now or soon.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn receive(&self, message: &str) -> Result<Received> {
        let is_wanted = |line: &str| Received::read(line).is_some_and(|received| received.message() == message);
        let line = self.daemon.wait_for(TIMEOUT, is_wanted)?;
        Received::read(&line).context("no longer a notice")
    }

    /// Everything that came before the notice with this message, which is waited for.
    ///
    /// # Errors
    /// When that one does not come in time.
    pub fn all_before(&self, message: &str) -> Result<Vec<Received>> {
        self.receive(message)?;
        Ok(self.all().into_iter().take_while(|received| received.message() != message).collect())
    }

    /// Checks that the notice with this message, which is waited for, is of this origin.
    ///
    /// # Errors
    /// When it does not come in time, or is of another.
    pub fn expect(&self, message: &str, origin: Origin) -> Result<Received> {
        let received = self.receive(message)?;
        if received.origin != origin {
            bail!("expected {}, received {received:?}", origin.name());
        }
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_was_received() {
        let received = Received {
            origin: Origin::Failed,
            sender: "alice@A.TEST".into(),
            class: "c".into(),
            instance: "i\\t".into(),
            opcode: String::new(),
            recipient: String::new(),
            body: b"sig\0\xffhi\0\n".to_vec(),
        };
        assert_eq!(Received::read(&received.line()), Some(received.clone()));
        assert_eq!(received.message(), "\u{fffd}hi\0");
        assert_eq!(Received::read("subscribed at port 5"), None);
    }
}
