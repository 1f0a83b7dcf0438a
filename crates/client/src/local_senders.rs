//! Whose programs on this machine send control notices to a windowgram client (zwgc, section 5.2).
//!
//! Nothing in such a notice proves anything, and programs that send one close their socket right after it. So the system is asked
//! whose socket it came from as soon as it is received, before anything else is done with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use zephyr_core::{names, notice::Notice};
use zephyr_engine::client::Received;
use zephyr_net::socket_owner::SocketOwners;

/// Finds out who sends control notices.
pub(crate) struct LocalSenders {
    /// `None`: the system does not tell.
    owners: Option<SocketOwners>,
}

impl LocalSenders {
    /// For the client whose socket is bound to `here`.
    pub(crate) fn new(here: SocketAddr) -> Self {
        Self { owners: SocketOwners::new(here).ok() }
    }

    /// Records whose program has sent a control notice, when it came from an address of this machine: from `address` or from
    /// loopback, which the system takes from nobody else.
    pub(crate) fn identify(&mut self, received: &mut Received, address: Ipv4Addr) {
        let from = received.from();
        let is_local = from.ip().is_loopback() || from.ip() == IpAddr::V4(address);
        if is_local && is_control(&received.notice()) {
            received.set_local_user(self.owners.as_mut().and_then(|owners| owners.owner(from)));
        }
    }
}

/// Whether a notice is of those that control a windowgram client.
fn is_control(notice: &Notice<'_>) -> bool {
    notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(names::USER)
}
