//! One server of a host manager: where it is, and what is known of it (host manager, section 2).

use super::{lookup::Lookup, returning::Probe};
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Maximum number of addresses of one server that are asked.
const MAX_ADDRESSES: usize = 8;
/// Maximum number of reasons to wait for one server of which is known that they were told: one for each address, and as
/// many again.
const MAX_TOLD: usize = 2 * MAX_ADDRESSES;

/// A server, and what is known of it at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What is looked up.
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// Its rank: lower ones come first.
    pub(super) priority: u16,
    /// Its share among those of the same priority.
    pub(super) weight: u16,
    name: Box<str>,
    address: Option<SocketAddr>,
    /// All its addresses by the last look-ups, those that were known first in their old order; none, as long as it was
    /// not looked up.
    addresses: Vec<SocketAddr>,
    /// Where it is by the last look-up, when that was not taken over because the server still answered.
    newer: Option<SocketAddr>,
    /// This host's address towards it.
    local: Option<Ipv4Addr>,
    /// Why the last look-up found nothing.
    error: Option<Box<str>>,
    /// Why it was not sent what it was to be sent since it was last greeted.
    pub(super) unsent: Option<Box<str>>,
    /// It did not answer, or said that it goes, and has not been heard of since.
    pub(super) silent: bool,
    /// It said, when it last answered a greeting, that it takes headers as long as a packet.
    pub(super) long_headers: bool,
    /// What was told of what it keeps the host manager waiting for: the last few.
    told: VecDeque<Waiting>,
    /// Whether it answers while another server is talked to.
    pub(super) probe: Probe,
}

impl Server {
    /// A server by its name, whose address must be looked up, or by its address.
    pub fn new(host: &str, port: u16) -> Self {
        let address = host.parse().ok().map(|address: Ipv4Addr| SocketAddr::from((address, port)));
        let address = address.filter(may_be_server);
        Self {
            host: host.into(),
            port,
            priority: 0,
            weight: 0,
            name: host.into(),
            address,
            addresses: Vec::new(),
            newer: None,
            local: None,
            error: None,
            unsent: None,
            silent: false,
            long_headers: false,
            told: VecDeque::new(),
            probe: Probe::default(),
        }
    }

    /// A server by its name, whose address is known. It is looked up again when nobody answers there.
    pub fn at(host: &str, address: SocketAddr) -> Self {
        Self { address: Some(address).filter(may_be_server), ..Self::new(host, address.port()) }
    }

    /// The same server, with another rank.
    pub(super) fn ranked(self, priority: u16, weight: u16) -> Self {
        Self { priority, weight, ..self }
    }

    /// The same server, under another name that was discovered for it.
    pub(super) fn renamed(self, host: Box<str>, port: u16) -> Self {
        Self { host, port, ..self }
    }

    /// Its name without a port, the full one once that is known: programs derive their realm from it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address and port, if they are known.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(super) const fn local(&self) -> Option<Ipv4Addr> {
        self.local
    }

    /// Its address, when the last look-up found another one than is being used.
    pub(super) const fn newer(&self) -> Option<SocketAddr> {
        self.newer
    }

    /// The number of addresses at which it may be.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// Whether its name was looked up, and has no address until now.
    pub(super) const fn has_no_address(&self) -> bool {
        self.address.is_none() && self.error.is_some()
    }

    /// Whether it is named so.
    pub(super) fn is_named(&self, host: &str, port: u16) -> bool {
        self.host.eq_ignore_ascii_case(host) && self.port == port
    }

    /// Whether both are one server, under two names perhaps.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_named(&other.host, other.port) || (self.address.is_some() && self.address == other.address)
    }

    /// The look-up of its name.
    pub(super) fn lookup(&self) -> Lookup {
        Lookup { host: self.host.clone(), port: self.port }
    }

    /// What it keeps the host manager waiting for, as long as it has not answered.
    pub(super) fn waiting(&self) -> Waiting {
        let name = self.name.clone();
        match (self.address, &self.unsent, &self.error) {
            (Some(address), Some(error), _) => Waiting::Way { name, address, error: error.clone() },
            (Some(address), None, _) => Waiting::Answer { name, address },
            (None, _, Some(error)) => Waiting::Name { name, error: error.clone() },
            (None, _, None) => Waiting::Lookup { name },
        }
    }

    /// The same, unless that was told already.
    pub(super) fn tell_waiting(&mut self) -> Option<Waiting> {
        let waiting = self.waiting();
        if self.told.contains(&waiting) {
            return None;
        }
        if self.told.len() == MAX_TOLD {
            self.told.pop_front();
        }
        self.told.push_back(waiting.clone());
        Some(waiting)
    }

    /// What it keeps one waiting for is news again.
    pub(super) fn forget_told(&mut self) {
        self.told.clear();
    }

    /// Notes that its name was looked up, and what is known of it by that: its addresses, of which the one that is being
    /// asked stays so if it is among them.
    pub(super) fn located(&mut self, name: Box<str>, found: &[SocketAddr], local: Option<Ipv4Addr>) {
        (self.name, self.error) = (name, None);
        self.local = local.or(self.local);
        self.addresses.retain(|known| found.contains(known));
        for &address in found.iter().filter(|found| may_be_server(found)) {
            if self.addresses.len() < MAX_ADDRESSES && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        if self.addresses.is_empty() {
            self.error = Some("no address at which a server can be".into());
        }
        let is_known = self.address.is_some_and(|address| self.addresses.contains(&address));
        self.newer = if is_known { None } else { self.addresses.first().copied() };
    }

    /// Notes that its name was looked up in vain, and why.
    pub(super) fn not_located(&mut self, error: Box<str>) {
        self.error = Some(error);
    }

    /// Takes the next of its addresses, as it does not answer at this one.
    pub(super) fn take_next_address(&mut self) {
        let place = self.addresses.iter().position(|known| Some(*known) == self.address);
        let next = place.and_then(|place| self.addresses.get(place + 1)).or(self.addresses.first());
        self.address = next.copied().or(self.address);
    }

    /// Takes over where it is by its last look-up.
    pub(super) fn move_on(&mut self) -> Option<Moved> {
        let to = self.newer.take()?;
        let from = self.address.replace(to);
        Some(Moved { from, to })
    }
}

/// Whether there may be a server at an address: not where many or nobody is.
fn may_be_server(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && !matches!(ip.octets(), [0, ..]),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    }
}

/// What a host manager without a server waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The discovery of servers: none is known.
    Discovery {
        /// Why none was found the last time; `None` while the first answer is waited for.
        reason: Option<Box<str>>,
    },
    /// The first look-up of a server's name.
    Lookup {
        /// The name.
        name: Box<str>,
    },
    /// A server's name, which has no address until now, to get one.
    Name {
        /// The name.
        name: Box<str>,
        /// What the last look-up said.
        error: Box<str>,
    },
    /// A server's answer.
    Answer {
        /// Its name.
        name: Box<str>,
        /// Where it was asked.
        address: SocketAddr,
    },
    /// A way to a server, to which the system sends nothing at the moment.
    Way {
        /// Its name.
        name: Box<str>,
        /// Where it was to be asked.
        address: SocketAddr,
        /// What the system said.
        error: Box<str>,
    },
}

/// A server is at another address than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Where it was, if that was known.
    pub(super) from: Option<SocketAddr>,
    /// Where it is.
    pub(super) to: SocketAddr,
}
