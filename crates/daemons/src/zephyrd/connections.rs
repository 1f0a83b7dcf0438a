//! The connections that a listener serves at a time.
//!
//! Whoever is not served at once takes a place from others. So there is always one for the next: when all are taken, the connection
//! of whoever has most of them ends, his oldest first. An honest one is served within moments.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
    time::Duration,
};
use tokio::task::{AbortHandle, Id, JoinSet};
use zephyr_config::system_text;

/// Maximum number of connections of one listener.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// Who has made a connection, as far as the system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// A program of this machine, over TCP: it may take any loopback address.
    Here,
    /// A machine; with IPv6 its network, of which it may take any address.
    Machine(IpAddr),
    /// A user of this machine, by number.
    User(u32),
    /// The system does not tell.
    Unknown,
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Here,
            IpAddr::V6(address) => Self::Machine(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            address => Self::Machine(address),
        }
    }
}

/// A connection, and who has made it.
pub(super) struct Accepted<S> {
    pub(super) stream: S,
    pub(super) source: Source,
}

/// Accepts connections and serves them, for ever.
pub(super) async fn accept_connections<S, F>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<Accepted<S>>>,
    mut serve: impl FnMut(S) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut places = Places::default();
    loop {
        let accepted = tokio::select! {
            // First those that have ended: their places are free.
            biased;
            Some(ended) = tasks.join_next_with_id() => {
                places.leave(ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
            accepted = poll_fn(&mut accept) => accepted,
        };
        match accepted {
            Ok(Accepted { stream, source }) => {
                if places.len() >= MAX_CONNECTIONS {
                    places.end_one();
                }
                places.enter(source, tasks.spawn(serve(stream)));
            }
            Err(error) => {
                // Perhaps for want of descriptors: another try at once would fail as well.
                tracing::warn!("cannot accept a connection: {}", system_text(&error));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The connections that are served, oldest first.
struct Places<T>(Vec<(Source, T)>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Places<T> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn enter(&mut self, source: Source, connection: T) {
        self.0.push((source, connection));
    }

    /// Takes out the oldest connection of whoever has most; of several who have equally many, the oldest of all.
    fn take_one(&mut self) -> Option<T> {
        let mut counts = HashMap::new();
        for (source, _) in &self.0 {
            *counts.entry(*source).or_insert(0_usize) += 1;
        }
        let most = counts.values().copied().max()?;
        let place = self.0.iter().position(|(source, _)| counts.get(source) == Some(&most))?;
        Some(self.0.remove(place).1)
    }
}

impl Places<AbortHandle> {
    fn end_one(&mut self) {
        if let Some(connection) = self.take_one() {
            connection.abort();
        }
    }

    fn leave(&mut self, id: Id) {
        self.0.retain(|(_, connection)| connection.id() != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_most_gives_way() {
        let machine = |last| Source::from(IpAddr::from([10, 0, 0, last]));
        let mut places = Places::default();
        for (number, last) in [1, 2, 3, 2, 3].into_iter().enumerate() {
            places.enter(machine(last), number);
        }
        let order: Vec<_> = std::iter::from_fn(|| places.take_one()).collect();
        assert_eq!(order, [1, 2, 0, 3, 4]);
    }

    #[test]
    fn nobody_has_more_places_for_having_more_addresses() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("127.0.0.1"), source("127.3.4.5"));
        assert_eq!(source("::1"), source("::ffff:127.0.0.1"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
    }
}
