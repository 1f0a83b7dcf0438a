//! Statistics of the host manager (host manager, section 9).

use super::HostManager;
use std::{net::IpAddr, time::Duration};
use zephyr_core::names;

/// Statistics since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets from programs of this host.
    pub client_packets: u64,
    /// Packets from the current server.
    pub server_packets: u64,
    /// How often the server was changed.
    pub server_changes: u64,
}

/// Characters of the machine's type that old programs have room for.
const MAX_MACHINE: usize = 31;

/// Maximum number of answers to other hosts in a second. Anybody can send a request in somebody else's name, and the
/// answer is longer than that; of a program's requests on this host, the answers go to nobody else.
const MAX_REMOTE_ANSWERS: usize = 100;
/// The same to one of them: whoever asks more, or is named by somebody who does, takes no other host's answers away.
const MAX_ANSWERS_PER_HOST: usize = 5;

/// Answers to other hosts in the second that has begun last.
#[derive(Debug, Default)]
pub(super) struct RemoteAnswers {
    began: Duration,
    /// To whom each of them went.
    sent: Vec<IpAddr>,
}

impl RemoteAnswers {
    /// Whether another one may be sent to this host now.
    pub(super) fn spend(&mut self, now: Duration, to: IpAddr) -> bool {
        if now.saturating_sub(self.began) >= Duration::from_secs(1) {
            self.began = now;
            self.sent.clear();
        }
        let to_this_one = self.sent.iter().filter(|&&other| other == to).count();
        let may = self.sent.len() < MAX_REMOTE_ANSWERS && to_this_one < MAX_ANSWERS_PER_HOST;
        if may {
            self.sent.push(to);
        }
        may
    }
}

impl HostManager {
    /// The ten texts, each with its NUL: C programs show the ten and no others. What is waited for follows the seventh where
    /// that is `yes`, and which source has named the servers where it is `no`.
    pub(crate) fn statistics_body(&self, now: Duration) -> Vec<u8> {
        let mut version = self.version.clone();
        if self.server_takes_long_headers() {
            version = format!("{version} {}", names::LONG_HEADERS.escape_ascii());
        }
        let statistics = self.statistics();
        let machine: String = self.machine.chars().take(MAX_MACHINE).collect();
        let lines = [
            self.server_name().to_owned(),
            self.queued().to_string(),
            statistics.client_packets.to_string(),
            statistics.server_packets.to_string(),
            statistics.server_changes.to_string(),
            version,
            self.looking_text(),
            self.running_for(now).as_secs().to_string(),
            "0".to_owned(),
            machine,
        ];
        lines.iter().flat_map(|line| [line.as_bytes(), b"\0"]).flatten().copied().collect()
    }

    /// Whether it looks for a server, what it waits for, and who has named the servers.
    fn looking_text(&self) -> String {
        match (self.waiting(), self.servers().source()) {
            (Some(waiting), _) => format!("yes ({waiting})"),
            (None, Some(source)) => format!("no (servers by {source})"),
            (None, None) => "no".to_owned(),
        }
    }
}
