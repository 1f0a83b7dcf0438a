//! Horizons: how much of each sender's past is forgotten.
//!
//! Once a receiver has forgotten a packet it cannot tell a replay of it from a new one. But the time in its uid is part of what
//! is proven: whatever is not later than the latest forgotten packet of the same sender and host may have come before. Clocks
//! are compared with nothing but themselves, so one that is wrong does no harm.

use crate::{auth::Identity, principal::Principal, shares::Shares, uid::Uid};
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

/// Maximum number of principals with a horizon. Beyond, the realm with the most of them loses the one that was raised longest
/// ago.
const MAX_PRINCIPALS: usize = 16_384;
/// Maximum number of addresses of one principal. Beyond, it has one horizon for all of them: uids say what their makers like.
const MAX_ADDRESSES: usize = 16;

/// The time in a uid: seconds and microseconds.
type Time = (u32, u32);
type Realm = Box<[u8]>;

/// The horizons of all proven senders.
#[derive(Debug, Default)]
pub(crate) struct Horizons {
    senders: HashMap<Identity, Sender>,
    /// By realm, in the order in which they were raised.
    order: BTreeMap<(Realm, u64), Identity>,
    realms: Shares<Realm>,
    raised: u64,
}

#[derive(Debug, Default)]
struct Sender {
    by_address: BTreeMap<Ipv4Addr, Time>,
    /// For all addresses, once they are too many.
    everywhere: Option<Time>,
    raised: u64,
}

impl Horizons {
    /// Whether a packet of this sender may have come, and been forgotten.
    pub(crate) fn hides(&self, sender: &Identity, uid: Uid) -> bool {
        let Some(sender) = self.senders.get(sender) else { return false };
        let horizon = sender.everywhere.max(sender.by_address.get(&uid.address).copied());
        horizon.is_some_and(|horizon| time_of(uid) <= horizon)
    }

    /// A packet of this sender is forgotten.
    pub(crate) fn raise(&mut self, identity: &Identity, uid: Uid) {
        self.raised += 1;
        let realm: Realm = Principal::parse(identity.principal()).realm.unwrap_or_default().into();
        let is_known = self.senders.contains_key(identity);
        let sender = self.senders.entry(identity.clone()).or_default();
        sender.raise(uid);
        let before = std::mem::replace(&mut sender.raised, self.raised);
        if is_known {
            self.order.remove(&(realm.clone(), before));
        } else {
            self.realms.add(&realm, 1);
        }
        self.order.insert((realm, self.raised), identity.clone());
        if self.senders.len() > MAX_PRINCIPALS {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some((realm, _)) = self.realms.largest() else { return };
        let realm = realm.clone();
        let oldest = self.order.range((realm.clone(), 0)..=(realm.clone(), u64::MAX)).next();
        if let Some((key, identity)) = oldest.map(|(key, identity)| (key.clone(), identity.clone())) {
            self.order.remove(&key);
            self.senders.remove(&identity);
            self.realms.remove(&realm, 1);
        }
    }
}

impl Sender {
    fn raise(&mut self, uid: Uid) {
        let horizon = self.by_address.entry(uid.address).or_default();
        *horizon = time_of(uid).max(*horizon);
        if self.by_address.len() > MAX_ADDRESSES {
            self.everywhere = self.everywhere.max(std::mem::take(&mut self.by_address).into_values().max());
        }
    }
}

const fn time_of(uid: Uid) -> Time {
    (uid.seconds, uid.micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(host: u32, seconds: u32) -> Uid {
        Uid { address: host.into(), seconds, micros: 5 }
    }

    fn principal(number: usize, realm: &str) -> Identity {
        Identity::new(format!("user{number}@{realm}").as_bytes())
    }

    #[test]
    fn only_the_past_of_the_same_sender_and_host_is_hidden() {
        let mut horizons = Horizons::default();
        let (alice, bob) = (principal(1, "R"), principal(2, "R"));
        horizons.raise(&alice, uid(1, 100));
        horizons.raise(&alice, uid(1, 50));
        assert!(horizons.hides(&alice, uid(1, 100)) && horizons.hides(&alice, uid(1, 99)));
        assert!(!horizons.hides(&alice, Uid { micros: 6, ..uid(1, 100) }), "a microsecond later");
        assert!(!horizons.hides(&alice, uid(2, 99)) && !horizons.hides(&bob, uid(1, 99)));
    }

    #[test]
    fn a_sender_of_many_addresses_has_one_horizon() {
        let mut horizons = Horizons::default();
        let alice = principal(1, "R");
        (0..1000).for_each(|host| horizons.raise(&alice, uid(host, host)));
        assert!(horizons.senders.get(&alice).is_some_and(|sender| sender.by_address.len() <= MAX_ADDRESSES));
        assert!(horizons.hides(&alice, uid(5, 5)) && horizons.hides(&alice, uid(5000, 5)));
        assert!(!horizons.hides(&alice, uid(5, 2000)));
    }

    #[test]
    fn a_realm_of_many_principals_pushes_out_its_own() {
        let mut horizons = Horizons::default();
        let alice = principal(1, "R");
        horizons.raise(&alice, uid(1, 100));
        (0..MAX_PRINCIPALS * 2).for_each(|number| horizons.raise(&principal(number, "EVIL"), uid(1, 1)));
        assert!(horizons.senders.len() <= MAX_PRINCIPALS && horizons.order.len() == horizons.senders.len());
        assert!(horizons.hides(&alice, uid(1, 100)));
    }
}
