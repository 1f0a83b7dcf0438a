//! What an engine wants done: packets to send, and events worth a line in the log.

use bytes::Bytes;
use std::{collections::VecDeque, net::SocketAddr};
use zephyr_core::uid::Uid;

/// How soon a packet must be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// At once.
    Answers,
    /// When there is room to hear its acknowledgement, which has this uid.
    Deliveries(Uid),
    /// As deliveries, but to somebody who may not be there: must not hold up others.
    Repetitions(Uid),
}

/// One packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The datagram.
    pub payload: Bytes,
    /// How soon.
    pub lane: Lane,
}

/// Collects what an engine wants done, in order. `E` is what the engine reports.
#[derive(Debug)]
pub struct Outbox<E> {
    transmits: VecDeque<Transmit>,
    events: Vec<E>,
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self { transmits: VecDeque::new(), events: Vec::new() }
    }
}

impl<E> Outbox<E> {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a packet to be sent.
    pub fn send(&mut self, to: SocketAddr, payload: Bytes) {
        self.send_by(Lane::Answers, to, payload);
    }

    /// Asks for a packet to be sent on a lane.
    pub fn send_by(&mut self, lane: Lane, to: SocketAddr, payload: Bytes) {
        self.transmits.push_back(Transmit { to, payload, lane });
    }

    /// Reports an event.
    pub fn report(&mut self, event: E) {
        self.events.push(event);
    }

    /// How many packets wait to be sent.
    pub fn waiting(&self) -> usize {
        self.transmits.len()
    }

    /// The packet to send next.
    pub fn next_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Gives back a packet that could not be sent yet; it is the next again.
    pub fn not_yet(&mut self, transmit: Transmit) {
        self.transmits.push_front(transmit);
    }

    /// The events since the last call.
    pub fn take_events(&mut self) -> Vec<E> {
        std::mem::take(&mut self.events)
    }
}
