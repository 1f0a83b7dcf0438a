//! Statistics of the host manager (host manager, section 9).

use super::HostManager;
use std::time::Duration;
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

impl HostManager {
    /// The ten texts, each with its NUL.
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
            if self.is_looking() { "yes" } else { "no" }.to_owned(),
            self.running_for(now).as_secs().to_string(),
            "0".to_owned(),
            machine,
        ];
        lines.iter().flat_map(|line| [line.as_bytes(), b"\0"]).flatten().copied().collect()
    }
}
