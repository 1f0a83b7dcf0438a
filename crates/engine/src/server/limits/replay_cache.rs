//! A replay cache of authenticators: each proves one notice, and proves it once.
//!
//! Kerberos libraries keep such a list as well, but theirs refuses a packet that a host manager sends again. Here the
//! list says which notice an authenticator proved, so that a copy can be told from a fraud. Only proven notices get
//! into it, so nobody can use up an authenticator that is not his.
//!
//! A copy is recognised wherever it comes from: what a thief sends again from his own machine is acknowledged, like
//! every repetition, and does nothing. The same holds for what another server of the realm forwards, which is the same
//! octets.
//!
//! The list is finite, and never forgets in anybody's favour. An authenticator is kept until its acceptor takes it for
//! too old. Whoever uses more of them than he has room for pushes out his own oldest, and when all room is taken, whoever
//! has most of it loses his oldest. What is forgotten raises a *horizon*: an authenticator that is not in the list and
//! was made at the horizon or before it is refused, since it may have been there. The horizon of a principal is the
//! moment at which the newest authenticator was made that was forgotten of him before its time; the horizon of everybody
//! is the start of the server, or later what was forgotten at its time, should a clock be set back.

use crate::server::{
    kept::{Horizon, UsedAuthenticator},
    limits::{digest::Digest, response_cache::Fingerprint},
    reply::Reply,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    ops::Bound,
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_core::{auth::Lifetime, time::Now};

/// A notice that an authenticator has proved.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) notice: Digest,
    /// Where it came from.
    pub(crate) from: SocketAddr,
    pub(crate) answer: Option<Reply>,
    /// It changed what the server knows of its host, and not only handed a notice to others.
    pub(crate) of_host: bool,
    /// Its host has begun anew and may have it done again.
    pub(crate) undone: bool,
}

impl Served {
    pub(crate) const fn new(packet: &Fingerprint, answer: Option<Reply>, of_host: bool) -> Self {
        Self { notice: packet.octets, from: packet.from, answer, of_host, undone: false }
    }
}

/// Room for authenticators.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// In all.
    pub(crate) entries: usize,
    /// Of one principal.
    pub(crate) per_principal: usize,
    /// How long one is kept at least, whatever the clock says that its lifetime is measured with.
    pub(crate) memory: Duration,
}

/// The state of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is new, or what it proved has been undone: the notice is to be handled.
    No,
    /// It has proved just this notice, which got this answer.
    WithThisNotice(Option<Reply>),
    /// It has proved another notice.
    WithAnother,
}

/// An authenticator in the list.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) served: Served,
    pub(crate) principal: Arc<[u8]>,
    pub(crate) lifetime: Lifetime,
    seen: Duration,
}

/// What is kept of one principal.
#[derive(Debug, Default)]
struct Own {
    /// His authenticators, by when they were made.
    made: BTreeSet<(SystemTime, Digest)>,
    /// The newest that was forgotten before its time.
    horizon: Option<Lifetime>,
}

/// A cache of the authenticators that Kerberos would still accept.
#[derive(Debug)]
pub(crate) struct ReplayCache {
    served: HashMap<Digest, Entry>,
    /// Those that proved what a host told of itself, until that is undone.
    of_hosts: BTreeSet<(IpAddr, Digest)>,
    principals: BTreeMap<Arc<[u8]>, Own>,
    /// Principals by the number of their authenticators.
    by_number: BTreeSet<(usize, Arc<[u8]>)>,
    /// By when they are too old.
    ends: BTreeSet<(SystemTime, Digest)>,
    /// Principals with a horizon of their own, by when what they forgot is too old.
    horizons: BTreeSet<(SystemTime, Arc<[u8]>)>,
    /// The horizon of everybody.
    horizon: SystemTime,
}

impl ReplayCache {
    /// An empty cache that knows nothing of what was used until now.
    pub(crate) fn new(now: SystemTime) -> Self {
        Self {
            served: HashMap::new(),
            of_hosts: BTreeSet::new(),
            principals: BTreeMap::new(),
            by_number: BTreeSet::new(),
            ends: BTreeSet::new(),
            horizons: BTreeSet::new(),
            horizon: now,
        }
    }

    /// Whether this authenticator has been used.
    pub(crate) fn seen(&self, authenticator: &Digest, packet: &Fingerprint) -> Seen {
        match self.served.get(authenticator).map(|entry| &entry.served) {
            None => Seen::No,
            Some(served) if served.notice != packet.octets => Seen::WithAnother,
            // What a host manager kept for the server comes from the same port again.
            Some(served) if served.undone && served.from == packet.from => Seen::No,
            Some(served) => Seen::WithThisNotice(served.answer),
        }
    }

    /// The horizon that refuses an authenticator of this principal, which may have been used and forgotten.
    pub(crate) fn refusal(&self, authenticator: &Digest, principal: &[u8], made: SystemTime) -> Option<SystemTime> {
        let own = self.principals.get(principal).and_then(|own| own.horizon).map(|horizon| horizon.made);
        let horizon = own.unwrap_or(self.horizon).max(self.horizon);
        (made <= horizon && !self.served.contains_key(authenticator)).then_some(horizon)
    }

    /// Whether an authenticator of this principal that was made then was forgotten before its time, or may have been.
    pub(crate) fn has_forgotten(&self, principal: &[u8], made: SystemTime) -> bool {
        let own = self.principals.get(principal).and_then(|own| own.horizon);
        own.is_some_and(|horizon| made <= horizon.made)
    }

    /// Remembers what an authenticator of this principal proved. Where there is no room another one is forgotten before
    /// its time: true then.
    pub(crate) fn remember(&mut self, now: Now, authenticator: Digest, used: Used<'_>, room: &Room) -> bool {
        self.forget_ended(now, room.memory);
        let Used { principal, served, lifetime } = used;
        if served.of_host {
            self.of_hosts.insert((served.from.ip(), authenticator));
        }
        if let Some(entry) = self.served.get_mut(&authenticator) {
            entry.served = served;
            return false;
        }
        let lifetime = lifetime.unwrap_or(Lifetime { made: now.wall, ends: now.wall + room.memory });
        let principal =
            self.principals.get_key_value(principal).map_or_else(|| principal.into(), |(key, _)| key.clone());
        self.ends.insert((lifetime.ends, authenticator));
        self.change(&principal, |own| own.made.insert((lifetime.made, authenticator)));
        let own = self.principals.get(&principal).map_or(0, |own| own.made.len());
        self.served
            .insert(authenticator, Entry { served, principal: principal.clone(), lifetime, seen: now.monotonic });
        if own > room.per_principal {
            self.forget_oldest(&principal, room);
        } else if self.served.len() > room.entries
            && let Some((_, most)) = self.by_number.last().cloned()
        {
            self.forget_oldest(&most, room);
        } else {
            return false;
        }
        true
    }

    /// The notice that an authenticator has proved has got its answer; gives what is known of it now.
    pub(crate) fn answered(&mut self, authenticator: &Digest, answer: Reply) -> Option<UsedAuthenticator> {
        let entry = self.served.get_mut(authenticator)?;
        entry.served.answer = Some(answer);
        Some(UsedAuthenticator::of(authenticator, entry))
    }

    /// The answer is known of what an authenticator has proved; true if it was not before.
    pub(crate) fn learn_answer(&mut self, authenticator: &Digest, answer: Reply) -> bool {
        let unknown = self.served.get_mut(authenticator).filter(|entry| entry.served.answer.is_none());
        unknown.map(|entry| entry.served.answer = Some(answer)).is_some()
    }

    /// Whether an authenticator is remembered.
    pub(crate) fn contains(&self, authenticator: &Digest) -> bool {
        self.served.contains_key(authenticator)
    }

    /// The authenticator behind this one, or the first, in the order in which they end.
    pub(crate) fn next_after(
        &self,
        place: Option<(SystemTime, Digest)>,
    ) -> Option<((SystemTime, Digest), UsedAuthenticator)> {
        let first = place.map_or(Bound::Unbounded, Bound::Excluded);
        let following = self.ends.range((first, Bound::Unbounded));
        let mut known = following.filter_map(|place| Some((place, self.served.get(&place.1)?)));
        known.next().map(|(&place, entry)| (place, UsedAuthenticator::of(&place.1, entry)))
    }

    /// All authenticators.
    pub(crate) fn all(&self) -> impl Iterator<Item = UsedAuthenticator> {
        self.served.iter().map(|(authenticator, entry)| UsedAuthenticator::of(authenticator, entry))
    }

    /// Everybody's horizon is another one than the start.
    pub(crate) const fn set_horizon(&mut self, horizon: SystemTime) {
        self.horizon = horizon;
    }

    /// Everybody's horizon is no earlier than this.
    pub(crate) fn raise_horizon(&mut self, made: SystemTime) {
        self.horizon = self.horizon.max(made);
    }

    /// Everybody's horizon, and those of principals.
    pub(crate) fn horizons(&self) -> Vec<Horizon> {
        let everybody =
            Horizon { principal: Box::default(), lifetime: Lifetime { made: self.horizon, ends: self.horizon } };
        let own = self.principals.iter().filter_map(|(principal, own)| {
            Some(Horizon { principal: principal.as_ref().into(), lifetime: own.horizon? })
        });
        std::iter::once(everybody).chain(own).collect()
    }

    /// The horizon of the principal behind this one, or the first.
    pub(crate) fn next_horizon(&self, after: Option<&[u8]>) -> Option<Horizon> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut following = self.principals.range::<[u8], _>((behind, Bound::Unbounded));
        following
            .find_map(|(principal, own)| Some(Horizon { principal: principal.as_ref().into(), lifetime: own.horizon? }))
    }

    /// Another server has forgotten what it was told while this one was not: it is refused here as well.
    pub(crate) fn learn_horizon(&mut self, horizon: &Horizon, max: usize) {
        self.restore_horizon(horizon);
        if self.horizons.len() > max {
            self.give_up_horizon();
        }
    }

    /// Restores one of [those](Self::horizons).
    pub(crate) fn restore_horizon(&mut self, horizon: &Horizon) {
        if horizon.principal.is_empty() {
            return self.raise_horizon(horizon.lifetime.made);
        }
        let principal: Arc<[u8]> = horizon.principal.as_ref().into();
        let own = self.principals.entry(principal.clone()).or_default();
        if own.horizon.is_none_or(|known| known.made < horizon.lifetime.made) {
            if let Some(known) = own.horizon.replace(horizon.lifetime) {
                self.horizons.remove(&(known.ends, principal.clone()));
            }
            self.horizons.insert((horizon.lifetime.ends, principal));
        }
    }

    /// Forgets what a rebooted host has proved: what it has told of itself is undone, and it may tell it again. True when there
    /// was anything.
    pub(crate) fn undo_host(&mut self, host: IpAddr) -> bool {
        let mut has_undone = false;
        for (_, authenticator) in self.of_hosts.extract_if((host, Digest::FIRST)..=(host, Digest::LAST), |_| true) {
            if let Some(entry) = self.served.get_mut(&authenticator) {
                entry.served.undone = true;
                has_undone = true;
            }
        }
        has_undone
    }

    pub(crate) fn len(&self) -> usize {
        self.served.len()
    }

    /// Forgets what is too old by the wall clock, and has been there for as long as anything must be.
    fn forget_ended(&mut self, now: Now, memory: Duration) {
        while let Some(&(ends, oldest)) = self.ends.first()
            && ends < now.wall
            && self.served.get(&oldest).is_none_or(|entry| now.monotonic.saturating_sub(entry.seen) >= memory)
        {
            self.ends.pop_first();
            if let Some(entry) = self.forget(&oldest) {
                self.horizon = self.horizon.max(entry.lifetime.made);
            }
        }
        while let Some((ends, _)) = self.horizons.first()
            && *ends < now.wall
        {
            self.give_up_horizon();
        }
    }

    /// Forgets the oldest authenticator of a principal before its time, so that his horizon rises.
    fn forget_oldest(&mut self, principal: &Arc<[u8]>, room: &Room) {
        let oldest = self.principals.get(principal).and_then(|own| own.made.first().copied());
        let Some(entry) = oldest.and_then(|(_, authenticator)| self.forget(&authenticator)) else { return };
        let own = self.principals.entry(principal.clone()).or_default();
        let before = own.horizon;
        let after = before.filter(|before| before.made >= entry.lifetime.made).unwrap_or(entry.lifetime);
        own.horizon = Some(after);
        if let Some(before) = before {
            self.horizons.remove(&(before.ends, principal.clone()));
        }
        self.horizons.insert((after.ends, principal.clone()));
        if self.horizons.len() > room.entries {
            self.give_up_horizon();
        }
    }

    /// Makes the horizon of one principal, which matters least, that of everybody.
    fn give_up_horizon(&mut self) {
        let Some((_, principal)) = self.horizons.pop_first() else { return };
        let own = self.principals.get_mut(&principal);
        if let Some(horizon) = own.and_then(|own| own.horizon.take()) {
            self.horizon = self.horizon.max(horizon.made);
        }
        self.change(&principal, |_| ());
    }

    fn forget(&mut self, authenticator: &Digest) -> Option<Entry> {
        let entry = self.served.remove(authenticator)?;
        self.of_hosts.remove(&(entry.served.from.ip(), *authenticator));
        self.ends.remove(&(entry.lifetime.ends, *authenticator));
        self.change(&entry.principal, |own| own.made.remove(&(entry.lifetime.made, *authenticator)));
        Some(entry)
    }

    /// Changes what is kept of a principal, of whom nothing is kept when there is nothing.
    fn change<T>(&mut self, principal: &Arc<[u8]>, change: impl FnOnce(&mut Own) -> T) {
        let own = self.principals.entry(principal.clone()).or_default();
        let before = own.made.len();
        change(own);
        let after = own.made.len();
        if before != after {
            self.by_number.remove(&(before, principal.clone()));
            if after > 0 {
                self.by_number.insert((after, principal.clone()));
            }
        }
        if after == 0 && own.horizon.is_none() {
            self.principals.remove(principal);
        }
    }
}

/// The use of an authenticator.
#[derive(Debug)]
pub(crate) struct Used<'a> {
    /// Whose it is.
    pub(crate) principal: &'a [u8],
    /// What it proved.
    pub(crate) served: Served,
    /// Its lifetime, where it has one.
    pub(crate) lifetime: Option<Lifetime>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::SocketAddr, time::UNIX_EPOCH};

    const ROOM: Room = Room { entries: 12, per_principal: 4, memory: Duration::from_secs(600) };
    const START: u64 = 1_800_000_000;
    const SKEW: u64 = 300;
    const ALICE: &[u8] = b"alice@R";
    const BOB: &[u8] = b"bob@R";

    fn sent(packet: &Fingerprint, of_host: bool) -> Served {
        Served::new(packet, Some(Reply::Sent), of_host)
    }

    fn packet(host: u8, octets: &[u8]) -> Fingerprint {
        Fingerprint::of(SocketAddr::from(([10, 0, 0, host], 2104)), octets)
    }

    fn second(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(START + second)
    }

    fn at(second: u64) -> Now {
        Now { monotonic: Duration::from_secs(second), wall: self::second(second) }
    }

    fn digest(principal: &[u8], number: u64) -> Digest {
        Digest::of(&[principal, &number.to_be_bytes()].concat())
    }

    /// A principal uses an authenticator that was made at this second; whether another had to be forgotten for that.
    fn uses(replays: &mut ReplayCache, now: Now, principal: &[u8], made: u64) -> bool {
        let lifetime = Lifetime { made: second(made), ends: second(made + SKEW + 1) };
        let used = Used { principal, served: sent(&packet(1, b"x"), true), lifetime: Some(lifetime) };
        replays.remember(now, digest(principal, made), used, &ROOM)
    }

    /// Whether an authenticator that was made at this second is known or refused.
    fn is_no_use(replays: &ReplayCache, principal: &[u8], made: u64) -> bool {
        replays.seen(&digest(principal, made), &packet(2, b"x")) != Seen::No
            || replays.refusal(&digest(principal, made), principal, second(made)).is_some()
    }

    #[test]
    fn an_authenticator_proves_one_notice_once() {
        let mut replays = ReplayCache::new(second(0));
        let authenticator = Digest::of(b"authenticator");
        let remember = |replays: &mut ReplayCache, authenticator, served| {
            replays.remember(at(1), authenticator, Used { principal: ALICE, served, lifetime: None }, &ROOM)
        };
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), Seen::No);
        remember(&mut replays, authenticator, sent(&packet(1, b"notice"), true));
        let again = Seen::WithThisNotice(Some(Reply::Sent));
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), again);
        assert_eq!(replays.seen(&authenticator, &packet(2, b"notice")), again, "wherever it comes from");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"another")), Seen::WithAnother);

        let message = Digest::of(b"of a message");
        remember(&mut replays, message, sent(&packet(1, b"message"), false));
        replays.undo_host(packet(2, b"").from.ip());
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), again, "another host has begun anew");
        replays.undo_host(packet(1, b"").from.ip());
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), Seen::No, "its host may do it again");
        assert_eq!(replays.refusal(&authenticator, ALICE, second(0)), None, "it is not forgotten");
        assert_eq!(replays.seen(&authenticator, &packet(2, b"notice")), again, "another host may not");
        let elsewhere = Fingerprint::of(SocketAddr::from(([10, 0, 0, 1], 7000)), b"notice");
        assert_eq!(replays.seen(&authenticator, &elsewhere), again, "nor another program of that host");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"another")), Seen::WithAnother);
        assert_eq!(replays.seen(&message, &packet(1, b"message")), again, "delivered is delivered");
    }

    #[test]
    fn who_uses_many_pushes_out_his_own_oldest_and_none_of_them_is_of_use_again() {
        let mut replays = ReplayCache::new(second(0));
        assert!(!uses(&mut replays, at(1), BOB, 1));
        for number in 10..30 {
            assert_eq!(uses(&mut replays, at(number), ALICE, number), number >= 14);
        }
        assert_eq!(replays.len(), 5);
        assert!(is_no_use(&replays, BOB, 1) && (10..30).all(|made| is_no_use(&replays, ALICE, made)));
        assert!(!is_no_use(&replays, BOB, 2), "nobody else notices");
        assert!(!is_no_use(&replays, ALICE, 30));
        assert_eq!(replays.refusal(&digest(ALICE, 20), ALICE, second(20)), Some(second(25)));
    }

    #[test]
    fn when_all_room_is_taken_whoever_has_most_gives_way() {
        let mut replays = ReplayCache::new(second(0));
        let people = [b"a", b"b", b"c"];
        for person in people {
            (1..=4).for_each(|made| assert!(!uses(&mut replays, at(5), person, made)));
        }
        assert!(uses(&mut replays, at(6), BOB, 6));
        assert_eq!(replays.len(), ROOM.entries);
        let len = |person: &[u8]| replays.principals.get(person).map_or(0, |own| own.made.len());
        assert_eq!((people.map(|person| len(person)), len(BOB)), ([4, 4, 3], 1));
        assert!(people.iter().all(|person| (1..=4).all(|made| is_no_use(&replays, *person, made))));
    }

    #[test]
    fn each_is_kept_until_it_is_too_old_whatever_the_clock_does() {
        let mut replays = ReplayCache::new(second(0));
        // By a clock that is almost as far ahead as may be.
        uses(&mut replays, at(1), ALICE, 299);
        uses(&mut replays, at(2), BOB, 2);
        uses(&mut replays, at(599), BOB, 500);
        assert_eq!(replays.len(), 3, "none of them is too old and has been there for long");
        uses(&mut replays, at(602), BOB, 602);
        assert_eq!(replays.len(), 2, "the first two are forgotten");
        // The clock is set back.
        let back = Now { monotonic: Duration::from_secs(603), wall: second(10) };
        uses(&mut replays, back, BOB, 301);
        assert!(is_no_use(&replays, ALICE, 299) && is_no_use(&replays, BOB, 2), "the acceptor would take them again");
        assert!(is_no_use(&replays, BOB, 500) && is_no_use(&replays, BOB, 602));
        assert!(!is_no_use(&replays, BOB, 300));
    }

    #[test]
    fn nothing_stays_of_who_was_there() {
        let mut replays = ReplayCache::new(second(0));
        (1..20).for_each(|made| assert_eq!(uses(&mut replays, at(made), ALICE, made), made > 4));
        uses(&mut replays, at(5000), BOB, 5000);
        assert_eq!((replays.len(), replays.principals.len(), replays.by_number.len()), (1, 1, 1));
        assert!(replays.horizons.is_empty() && replays.ends.len() == 1 && replays.of_hosts.len() == 1);
        assert!((1..20).all(|made| is_no_use(&replays, ALICE, made)));
    }

    #[test]
    fn nobody_knows_what_was_used_before_the_start() {
        let replays = ReplayCache::new(second(100));
        assert!(is_no_use(&replays, ALICE, 99) && is_no_use(&replays, ALICE, 100));
        assert!(!is_no_use(&replays, ALICE, 101));
    }
}
