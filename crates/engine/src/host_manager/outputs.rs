//! Outputs of a host manager to its driver.

use super::{Job, event::Event};
use crate::machine::Transmit;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

/// Packets to be sent, jobs to be done and events to be told, each in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) events: VecDeque<Event>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) transmits: VecDeque<Transmit>,
}

impl Outputs {
    /// Sends a packet from the address that the system chooses.
    pub(super) fn send(&mut self, to: SocketAddr, payload: Bytes) {
        self.send_from(None, to, payload);
    }

    /// Sends a packet from an address of this host.
    pub(super) fn send_from(&mut self, local: Option<IpAddr>, to: SocketAddr, payload: Bytes) {
        self.transmits.push_back(Transmit { to, local, payload });
    }

    pub(super) fn tell(&mut self, event: impl Into<Event>) {
        self.events.push_back(event.into());
    }
}
