//! A relay between programs and server whose rule can be changed at run time.

use anyhow::Result;
use std::{
    fmt,
    net::SocketAddr,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};
pub use zephyr_testkit::relay::Way;
use zephyr_testkit::{loopback::Network, relay::Relay};

/// What is done to a datagram on its way: it may be changed; `false` loses it.
pub trait Rule: FnMut(Way, &mut Vec<u8>) -> bool + Send + 'static {}

impl<T: FnMut(Way, &mut Vec<u8>) -> bool + Send + 'static> Rule for T {}

/// The rule that forwards every packet unchanged.
pub fn unchanged(_: Way, _: &mut Vec<u8>) -> bool {
    true
}

/// A relay with a rule.
pub struct Middle {
    relay: Relay,
    rule: Arc<Mutex<Box<dyn Rule>>>,
}

impl fmt::Debug for Middle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Middle").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Middle {
    /// Stands before `server`, on its network.
    ///
    /// # Errors
    /// When there is no socket to stand on.
    pub fn start(network: &Network, server: SocketAddr, rule: Box<dyn Rule>) -> Result<Self> {
        let rule = Arc::new(Mutex::new(rule));
        let current = Arc::clone(&rule);
        let relay = Relay::start(network, server, move |way, datagram| {
            let mut rule = current.lock().unwrap_or_else(PoisonError::into_inner);
            (*rule)(way, datagram)
        })?;
        Ok(Self { relay, rule })
    }

    /// Where the host manager must believe the server to be.
    pub fn address(&self) -> SocketAddr {
        self.relay.address()
    }

    /// Another rule from the next datagram on.
    pub fn change(&self, rule: impl Rule) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }
}

/// Where the header fields of a packet are, without their NULs, and where its body is.
pub fn places(packet: &[u8]) -> Option<(Vec<Range<usize>>, Range<usize>)> {
    let count = packet.split(|&octet| octet == 0).nth(1)?;
    let count = usize::from_str_radix(std::str::from_utf8(count).ok()?.strip_prefix("0x")?, 16).ok()?;
    let mut fields = Vec::new();
    let mut at = 0;
    for field in packet.split(|&octet| octet == 0).take(count) {
        fields.push(at..at + field.len());
        at += field.len() + 1;
    }
    (fields.len() == count && at <= packet.len()).then_some((fields, at..packet.len()))
}

/// Whether `needle` is somewhere in these octets.
pub fn contains(octets: &[u8], needle: &[u8]) -> bool {
    octets.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_and_body() {
        let packet = b"ZEPH0.2\x000x00000003\0\0body\0";
        assert_eq!(places(packet), Some((vec![0..7, 8..18, 19..19], 20..25)));
        assert_eq!(places(b"ZEPH0.2\x000x00000009\0x\0"), None);
        assert!(contains(packet, b"ody") && !contains(packet, b"odyx"));
    }
}
