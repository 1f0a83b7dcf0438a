//! The identity and addresses of a client, and its configuration.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{limits::Limits, notice::Notice, policy::Policy};

/// The identity and addresses of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The realm of the server, which completes recipients without a realm.
    pub realm: String,
    /// The user's name as notices carry it, `name@REALM`; `unknown` without credentials and login name.
    pub sender: Vec<u8>,
    /// The size limits of packets to the host manager, in octets.
    pub limits: Limits,
    /// This machine's address, as uids carry it.
    pub address: Ipv4Addr,
    /// The UDP port at which the client receives.
    pub port: u16,
    /// The address and port of the host manager.
    pub host_manager: SocketAddr,
    /// The server that the client speaks to by itself, as it uses no host manager; `None` while it uses one.
    pub server: Option<DirectServer>,
}

/// A server that a client speaks to without a host manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectServer {
    /// Its name; the full one once that is known.
    pub name: Box<str>,
    /// Its address and port, if they are known.
    pub address: Option<SocketAddr>,
    /// Which source of servers named it, for people to read.
    pub source: Box<str>,
}

/// `NAME (ADDRESS:PORT)`.
impl fmt::Display for DirectServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) if *address.to_string() != *self.name => write!(f, "{} ({address})", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

/// Whether a client may speak to a server without a host manager. Only a [`Connection`](super::Connection) can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direct {
    /// Never: without a host manager nothing is sent.
    #[default]
    Never,
    /// While no host manager answers.
    Fallback,
    /// Always: no host manager is asked.
    Always,
}

impl Endpoint {
    /// Whether a packet from this address comes from the host manager, as far as an address shows it.
    pub(super) fn is_host_manager(&self, from: SocketAddr) -> bool {
        let Self { host_manager, .. } = self;
        // A host manager that listens on all addresses may answer from another loopback address than it was asked at.
        let is_same_host =
            from.ip() == host_manager.ip() || (from.ip().is_loopback() && host_manager.ip().is_loopback());
        is_same_host && from.port() == host_manager.port()
    }

    /// Whether this client has sent a notice, by its sender, address and port.
    pub(super) fn is_sender_of(&self, notice: &Notice<'_>) -> bool {
        notice.port == self.port && notice.address == self.address && notice.sender == self.sender
    }
}

/// The configuration of a client at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address and port of the host manager.
    pub host_manager: SocketAddr,
    /// The UDP port at which the client receives.
    pub port: u16,
    /// This machine's address, for what is sent to servers before they tell another one; only without a host manager.
    pub address: Ipv4Addr,
    /// The client's behaviour.
    pub settings: Settings,
}

/// The behaviour of a client where programs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Raw mode: acknowledgements are events, too, as are notices that answer the client's own requests.
    pub raw: bool,
    /// Ticket renewal: after the first subscription the client watches the user's tickets, and subscribes again with new ones.
    pub renews_tickets: bool,
    /// The time between two questions whether the server still knows the client, which subscribes again when it does not; up to a
    /// quarter more, by address and port. `None`: it is never asked.
    pub subscription_check: Option<Duration>,
    /// Whether it may speak to a server without a host manager.
    pub direct: Direct,
}

impl Default for Settings {
    /// No raw mode, tickets are renewed, the server is not asked, and nothing goes without a host manager.
    fn default() -> Self {
        Self { raw: false, renews_tickets: true, subscription_check: None, direct: Direct::Never }
    }
}

/// The result of [`Job::Setup`](super::Job::Setup): the domain of the server, and the user's identity in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The realm of the server.
    pub realm: String,
    /// The user's name as notices carry it, `name@REALM`.
    pub sender: Vec<u8>,
    /// This machine's address, as uids carry it.
    pub address: Ipv4Addr,
    /// The domain's policy.
    pub policy: Policy,
}
