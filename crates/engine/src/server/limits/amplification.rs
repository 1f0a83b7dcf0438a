//! Limits of what is sent to addresses that may be forged, against amplification attacks.
//!
//! Whoever asks without proof may have forged where he asks from, and the answer floods somebody else. So every address
//! gets at most a small multiple of what has come from it. Who has a long list of subscriptions has sent as much to get
//! them, so his own lists are answered as a whole.

use std::{collections::HashMap, net::IpAddr};
use zephyr_core::limits::MAX_NOTICE;

/// Octets that may still be sent to each address.
#[derive(Debug, Default)]
pub(crate) struct Amplification {
    of_host: HashMap<IpAddr, usize>,
}

impl Amplification {
    /// Adds to the allowance of an address. At most `hosts` addresses are remembered: beyond, all have to earn
    /// anew what they want.
    pub(crate) fn earn(&mut self, host: IpAddr, octets: usize, hosts: usize) {
        if self.of_host.len() >= hosts.max(1) && !self.of_host.contains_key(&host) {
            self.of_host.clear();
        }
        let allowance = self.of_host.entry(host).or_default();
        *allowance = allowance.saturating_add(octets).min(MAX_NOTICE);
    }

    /// The allowance of an address in octets.
    pub(crate) fn of(&self, host: IpAddr) -> usize {
        self.of_host.get(&host).copied().unwrap_or(0)
    }

    /// Subtracts from the allowance of an address.
    pub(crate) fn spend(&mut self, host: IpAddr, octets: usize) {
        if let Some(allowance) = self.of_host.get_mut(&host) {
            *allowance = allowance.saturating_sub(octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_he_earned_and_the_table_is_bounded() {
        let host = |number| IpAddr::from([10, 0, 0, number]);
        let mut amplification = Amplification::default();
        amplification.earn(host(1), 100, 2);
        amplification.spend(host(1), 60);
        amplification.spend(host(2), 60);
        assert_eq!((amplification.of(host(1)), amplification.of(host(2))), (40, 0));
        amplification.earn(host(2), usize::MAX, 2);
        assert_eq!(amplification.of(host(2)), MAX_NOTICE);
        amplification.earn(host(3), 7, 2);
        assert_eq!((amplification.of(host(1)), amplification.of(host(2)), amplification.of(host(3))), (0, 0, 7));
    }
}
