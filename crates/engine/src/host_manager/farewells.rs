//! Farewells of servers. Nothing proves one, and what follows it is work for this host and for all its servers, so only one
//! now and then is believed.

use super::{HostManager, check::Check, event::LogEvent, reachability::Change};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::time::Now;

/// Minimum time between two farewells, of whichever servers, that are believed.
const MIN_INTERVAL: Duration = Duration::from_secs(2);

/// The farewells of late.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    /// When one was last believed.
    believed: Option<Duration>,
    /// Another one has come since then.
    doubted: bool,
}

impl HostManager {
    /// The current server says that it goes: leaves it. One that says so right after another one did is asked, once, whether
    /// it is still there; while it has not answered its greeting, that asks already.
    pub(super) fn handle_farewell(&mut self, now: Now, from: SocketAddr, suggestion: Option<IpAddr>) {
        if self.farewells.believed.is_none_or(|last| last + MIN_INTERVAL <= now.monotonic) {
            self.farewells = Farewells { believed: Some(now.monotonic), doubted: false };
            return self.change_server(now, Change::Gone { suggestion });
        }
        if std::mem::replace(&mut self.farewells.doubted, true) {
            return;
        }
        self.outputs.tell(LogEvent::TooManyFarewells { from });
        if !self.reachability.looking && self.reachability.check.is_none() {
            self.check(now, Check::for_packet(now.monotonic));
        }
    }
}
