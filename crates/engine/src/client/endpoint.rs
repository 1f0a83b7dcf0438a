//! Who and where a client is, and what it is told about that at start.

use std::net::{Ipv4Addr, SocketAddr};
use zephyr_core::{limits::Limits, notice::Notice, policy::Policy};

/// Who and where a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The realm of the server, which recipients belong to when they name none.
    pub realm: String,
    /// Who the user is, as notices name him.
    pub sender: Vec<u8>,
    /// How long packets may be that the host manager gets.
    pub limits: Limits,
    /// This machine's address, as uids carry it.
    pub address: Ipv4Addr,
    /// The port on which the client receives.
    pub port: u16,
    /// Where the host manager listens.
    pub host_manager: SocketAddr,
}

impl Endpoint {
    /// Whether this client has sent a notice itself, as far as the notice says.
    pub(super) fn is_sender_of(&self, notice: &Notice<'_>) -> bool {
        notice.port == self.port && notice.address == self.address && notice.sender == self.sender
    }
}

/// What a client knows before it has asked anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the host manager listens.
    pub host_manager: SocketAddr,
    /// The port on which the client receives.
    pub port: u16,
    /// How the client behaves.
    pub settings: Settings,
}

/// How a client behaves where programs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Acknowledgements are events, too, as are notices that answer the client's own questions.
    pub raw: bool,
    /// Once something was subscribed to, the client looks after the user's tickets and subscribes again with new ones.
    pub renews_tickets: bool,
}

impl Default for Settings {
    /// No raw mode, and tickets are renewed.
    fn default() -> Self {
        Self { raw: false, renews_tickets: true }
    }
}

/// What follows from the server's name: the answer to [`Job::Setup`](super::Job::Setup).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The realm of the server.
    pub realm: String,
    /// Who the user is, as notices name him.
    pub sender: Vec<u8>,
    /// This machine's address, as uids carry it.
    pub address: Ipv4Addr,
    /// What the domain demands.
    pub policy: Policy,
}
