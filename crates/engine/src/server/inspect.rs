//! Views of a server's state for operators.

use crate::server::{Config, PeerKind, Server, state::clients::Client};
use std::{net::SocketAddr, time::Duration};
use zephyr_core::{fold::fold, time::Now};

/// A client, as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct ClientView<'a> {
    /// Where it receives.
    pub address: SocketAddr,
    /// Whose it is.
    pub principal: &'a [u8],
    /// Whether that was proven.
    pub proven: bool,
    /// Whether it is known that somebody receives there.
    pub confirmed: bool,
    /// How many subscriptions it has.
    pub subscriptions: usize,
    /// Packets that it has not acknowledged yet.
    pub pending: usize,
    /// How long ago it last acknowledged something, or began.
    pub silent: Duration,
}

/// A subscription, as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionView<'a> {
    /// The instance, folded; `*` for any.
    pub instance: &'a [u8],
    /// The recipient; empty for everybody.
    pub recipient: &'a [u8],
    /// Whose it is.
    pub principal: &'a [u8],
    /// Where its client receives.
    pub client: SocketAddr,
}

/// Another server of the realm, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Which program it is.
    pub kind: PeerKind,
    /// Whether it has shown that it is that program, where that takes more than the configuration.
    pub is_known: bool,
    /// Where it is, as far as is known.
    pub addresses: Vec<SocketAddr>,
    /// What is known of it, in a word or a few.
    pub state: &'static str,
    /// For how long it has been in this state.
    pub since: Duration,
    /// Changes that it is to be told and has not acknowledged.
    pub behind: usize,
    /// What else is to be known: why it is not there, how far off its clock is.
    pub remarks: Vec<String>,
}

impl Server {
    /// The server's configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// All clients, in the order of their addresses.
    pub fn clients(&self, now: Now) -> impl Iterator<Item = ClientView<'_>> {
        self.clients.by_address().map(move |(_, client)| ClientView {
            address: client.address(),
            principal: &client.principal,
            proven: client.standing().is_proven(),
            confirmed: client.is_confirmed(),
            subscriptions: client.subscriptions.len(),
            pending: self.deliveries.pending_for(client.address()),
            silent: now.monotonic.saturating_sub(client.last_ack()),
        })
    }

    /// All subscriptions to a class, given in any spelling, in the order of their clients' addresses.
    pub fn subscriptions_to(&self, class: &[u8]) -> impl Iterator<Item = SubscriptionView<'_>> {
        let class = fold(class);
        self.clients.by_address().flat_map(move |(_, client)| of_class(client, &class))
    }
}

fn of_class<'a>(client: &'a Client, class: &[u8]) -> Vec<SubscriptionView<'a>> {
    let all = client.subscriptions.iter().filter_map(|held| {
        let mut names = held.destination.text().splitn(3, |&octet| octet == 0);
        let (held, instance, recipient) = (names.next()?, names.next()?, names.next()?);
        let view = SubscriptionView { instance, recipient, principal: &client.principal, client: client.address() };
        (held == class).then_some(view)
    });
    all.collect()
}
