//! Whose programs on this machine send control notices to a windowgram client (zwgc, section 5.2).
//!
//! Nothing in such a notice proves anything, and programs that send one end right after it: C's zctl has closed its socket within some
//! 200 microseconds. So a thread that does nothing else asks the system whose socket it came from as soon as it arrives, before it is
//! received.

#[cfg(target_os = "linux")]
mod lookout;
mod seen;

use seen::SeenNotices;
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::Arc,
};
use zephyr_core::{names, notice::Notice};
use zephyr_engine::client::Received;
use zephyr_net::socket_owner::SocketOwners;

/// Finds out who sends control notices.
pub(crate) struct LocalSenders {
    owners: SocketOwners,
    seen: Arc<SeenNotices>,
    /// Ends the thread when it is dropped.
    #[cfg(target_os = "linux")]
    _lookout: Option<lookout::Lookout>,
}

impl LocalSenders {
    /// For the client with this socket, which does not wait; `None` where the system does not tell whose sockets are.
    pub(crate) fn new(socket: &impl AsFd) -> Option<Self> {
        let copy = || socket.as_fd().try_clone_to_owned().map(UdpSocket::from);
        let owners = || SocketOwners::new(copy()?.local_addr()?);
        let seen = Arc::new(SeenNotices::default());
        Some(Self {
            owners: owners().ok()?,
            #[cfg(target_os = "linux")]
            _lookout: copy()
                .and_then(|socket| lookout::Lookout::start(socket, owners()?, Arc::clone(&seen)))
                .inspect_err(|error| tracing::info!(%error, "control notices of short-lived programs are not obeyed"))
                .ok(),
            seen,
        })
    }

    /// Records whose program has sent a control notice, when it came from an address of this machine: from `address` or from
    /// loopback, which the system takes from nobody else.
    pub(crate) fn identify(&mut self, received: &mut Received, address: IpAddr) {
        let (from, notice) = (received.from(), received.notice());
        if is_local(from, address) && is_control(&notice) {
            let user = self.seen.take(from, notice.uid);
            received.set_local_user(user.or_else(|| self.owners.owner(from)));
        }
    }
}

fn is_local(from: SocketAddr, address: IpAddr) -> bool {
    from.ip().is_loopback() || from.ip() == address
}

/// Whether a notice is of those that control a windowgram client.
fn is_control(notice: &Notice<'_>) -> bool {
    notice.class.eq_ignore_ascii_case(names::WG_CTL) && notice.instance.eq_ignore_ascii_case(names::USER)
}
