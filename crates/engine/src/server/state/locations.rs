//! Locations of users (server behaviour, section 6).

use crate::server::{
    Located,
    limits::bounds::Bounds,
    stamp::Stamp,
    state::standing::{ByStanding, Standing},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    ops::Bound,
    sync::Arc,
};
use zephyr_core::{body::Place, exposure::Exposure};

/// One location of a user.
#[derive(Debug)]
pub(crate) struct Location {
    /// Source address and port field of the notice that told of it.
    pub(crate) address: SocketAddr,
    pub(crate) exposure: Exposure,
    /// Of the change that told of it.
    pub(crate) stamp: Stamp,
    /// Whether it was told with proof.
    proven: bool,
    machine: Box<[u8]>,
    time: Box<[u8]>,
    tty: Box<[u8]>,
}

impl Location {
    /// Whether it was told with proof.
    pub(crate) const fn is_proven(&self) -> bool {
        self.proven
    }

    /// The same, for whoever keeps what the server knows.
    pub(crate) fn located(&self, user: &Arc<[u8]>) -> Located {
        let [machine, time, tty] = self.texts().map(Into::into);
        let (address, exposure, proven) = (self.address, self.exposure, self.proven);
        Located { user: user.clone(), address, exposure, proven, machine, time, tty }
    }

    /// Machine, time and terminal.
    pub(crate) fn texts(&self) -> [&[u8]; 3] {
        [&self.machine, &self.time, &self.tty]
    }

    /// Appends machine, time and terminal as an answer lists them.
    pub(crate) fn list(&self, out: &mut Vec<u8>) {
        for text in [&self.machine, &self.time, &self.tty] {
            out.extend_from_slice(text);
            out.push(0);
        }
    }
}

/// A location as its user reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// Who is there.
    pub(crate) user: &'a [u8],
    /// Where that was told from.
    pub(crate) address: SocketAddr,
    /// With proof.
    pub(crate) proven: bool,
    pub(crate) exposure: Exposure,
    pub(crate) place: Place<'a>,
}

impl Told<'_> {
    /// The same, for whoever keeps what the server knows.
    pub(crate) fn located(&self) -> Located {
        Located {
            user: self.user.into(),
            address: self.address,
            exposure: self.exposure,
            proven: self.proven,
            machine: self.place.machine.into(),
            time: self.place.time.into(),
            tty: self.place.tty.into(),
        }
    }
}

/// The outcome of setting or removing a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is new, or changed.
    Yes,
    /// There are too many.
    Full,
    /// It was told with proof, and what should change it came without.
    Proven,
}

/// A location that was not forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// There is none.
    Unknown,
    /// It was told with proof, and what should end it came without.
    Proven,
}

/// A location that is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoneLocation {
    /// Whose it was.
    pub(crate) user: Arc<[u8]>,
    /// Where it was told from.
    pub(crate) address: SocketAddr,
    /// Of the change that told of it.
    pub(crate) stamp: Stamp,
    pub(crate) exposure: Exposure,
}

/// The locations of all users.
#[derive(Default)]
pub(crate) struct Locations {
    /// Newest first.
    by_user: BTreeMap<Arc<[u8]>, Vec<Location>>,
    by_address: BTreeSet<(SocketAddr, Arc<[u8]>)>,
    per_host: HashMap<(IpAddr, Standing), usize>,
    counts: ByStanding<usize>,
}

impl Locations {
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// All locations with their users, in the order of the users' names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[u8], &Location)> {
        self.by_user.iter().flat_map(|(user, locations)| locations.iter().map(|location| (user.as_ref(), location)))
    }

    /// The locations of each user, newest first, in the order of the users' names.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (&Arc<[u8]>, &[Location])> {
        self.by_user.iter().map(|(user, locations)| (user, locations.as_slice()))
    }

    /// The same of the users after this one.
    pub(crate) fn lists_after(&self, user: Option<&[u8]>) -> impl Iterator<Item = (&Arc<[u8]>, &[Location])> {
        let first = user.map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.by_user.range::<[u8], _>((first, Bound::Unbounded));
        users.map(|(user, locations)| (user, locations.as_slice()))
    }

    /// The stamp of what was told of a user from an address, and whether it was told with proof.
    pub(crate) fn stamp(&self, user: &[u8], address: SocketAddr) -> Option<(Stamp, bool)> {
        let location = self.of(user).iter().find(|location| location.address == address)?;
        Some((location.stamp, location.proven))
    }

    /// All that was told from an address.
    pub(crate) fn told_from(&self, address: SocketAddr) -> Vec<(Arc<[u8]>, Located)> {
        let none: Arc<[u8]> = Arc::from(&b""[..]);
        let users = self.by_address.range((address, none)..).take_while(|(from, _)| *from == address);
        let located = users.filter_map(|(_, user)| {
            let location = self.of(user).iter().find(|location| location.address == address)?;
            Some((user.clone(), location.located(user)))
        });
        located.collect()
    }

    /// The location of a user that was told from an address has this stamp.
    pub(crate) fn set_stamp(&mut self, user: &[u8], address: SocketAddr, stamp: Stamp) {
        let of_user = self.by_user.get_mut(user).into_iter().flatten();
        for location in of_user.filter(|location| location.address == address) {
            location.stamp = stamp;
        }
    }

    /// A user's locations, newest first.
    pub(crate) fn of(&self, user: &[u8]) -> &[Location] {
        self.by_user.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// Stores a location, within the bounds for those who are proven as it is, or not.
    pub(crate) fn set(&mut self, told: &Told<'_>, stamp: Stamp, bounds: &Bounds) -> Stored {
        let Told { user, address, proven, exposure, place } = *told;
        let location = Location {
            address,
            exposure,
            stamp,
            proven,
            machine: place.machine.into(),
            time: place.time.into(),
            tty: place.tty.into(),
        };
        let known = self.by_user.get_mut(user).and_then(|all| all.iter_mut().find(|known| known.address == address));
        if let Some(known) = known {
            if known.proven && !proven {
                return Stored::Proven;
            }
            let before = Standing::of(known.proven);
            *known = location;
            self.uncount(address.ip(), before);
            self.count(address.ip(), Standing::of(proven));
            return Stored::Yes;
        }
        let standing = Standing::of(proven);
        let on_host = self.per_host.get(&(address.ip(), standing)).copied().unwrap_or(0);
        if *self.counts.of(standing) >= bounds.locations
            || self.of(user).iter().filter(|known| known.proven == proven).count() >= bounds.locations_per_user
            || on_host >= bounds.locations_per_host
        {
            return Stored::Full;
        }
        let user: Arc<[u8]> = user.into();
        self.by_address.insert((address, user.clone()));
        self.count(address.ip(), standing);
        self.by_user.entry(user).or_default().insert(0, location);
        Stored::Yes
    }

    /// Forgets one location of a user, and gives it. What was told with proof is kept unless `proven`.
    pub(crate) fn remove(&mut self, user: &[u8], address: SocketAddr, proven: bool) -> Result<GoneLocation, Kept> {
        let locations = self.by_user.get_mut(user).ok_or(Kept::Unknown)?;
        let place = locations.iter().position(|location| location.address == address).ok_or(Kept::Unknown)?;
        if !proven && locations.get(place).is_some_and(|location| location.proven) {
            return Err(Kept::Proven);
        }
        let Location { exposure, proven, stamp, .. } = locations.remove(place);
        if locations.is_empty() {
            self.by_user.remove(user);
        }
        let user: Arc<[u8]> = user.into();
        self.by_address.remove(&(address, user.clone()));
        self.uncount(address.ip(), Standing::of(proven));
        Ok(GoneLocation { user, address, stamp, exposure })
    }

    /// Forgets all locations of a user, and gives them. Without proof only those that were told from this `host`, and
    /// without proof.
    pub(crate) fn remove_user(&mut self, user: &[u8], host: Option<IpAddr>) -> Vec<GoneLocation> {
        let user: Arc<[u8]> = user.into();
        let concerned = |location: &&Location| host.is_none_or(|host| location.address.ip() == host);
        let all = self.of(&user).iter().filter(concerned).map(|location| (user.clone(), location.address)).collect();
        self.remove_all(all, host.is_none())
    }

    fn count(&mut self, host: IpAddr, standing: Standing) {
        *self.counts.of_mut(standing) += 1;
        *self.per_host.entry((host, standing)).or_insert(0) += 1;
    }

    fn uncount(&mut self, host: IpAddr, standing: Standing) {
        *self.counts.of_mut(standing) -= 1;
        if let Some(count) = self.per_host.get_mut(&(host, standing)) {
            *count -= 1;
            if *count == 0 {
                self.per_host.remove(&(host, standing));
            }
        }
    }

    /// Whether anything was told from a host.
    pub(crate) fn holds_of_host(&self, host: IpAddr) -> bool {
        [Standing::Proven, Standing::Unproven].iter().any(|&standing| self.per_host.contains_key(&(host, standing)))
    }

    /// Forgets what was told from those addresses of one host that are `meant`, and gives it.
    pub(crate) fn remove_host(&mut self, host: IpAddr, meant: impl Fn(SocketAddr) -> bool) -> Vec<GoneLocation> {
        self.remove_addresses(SocketAddr::new(host, 0), SocketAddr::new(host, u16::MAX), true, meant)
    }

    /// Forgets what was told for one address and port, and gives it. What was told with proof is kept unless `proven`.
    pub(crate) fn remove_address(&mut self, address: SocketAddr, proven: bool) -> Vec<GoneLocation> {
        self.remove_addresses(address, address, proven, |_| true)
    }

    fn remove_addresses(
        &mut self,
        first: SocketAddr,
        last: SocketAddr,
        proven: bool,
        meant: impl Fn(SocketAddr) -> bool,
    ) -> Vec<GoneLocation> {
        let none: Arc<[u8]> = Arc::from(&b""[..]);
        let from_first = self.by_address.range((first, none)..);
        let found = from_first.take_while(|(address, _)| *address <= last).filter(|(address, _)| meant(*address));
        let found = found.map(|(address, user)| (user.clone(), *address)).collect();
        self.remove_all(found, proven)
    }

    /// Forgets these as far as that may be, and gives those that are gone.
    fn remove_all(&mut self, locations: Vec<(Arc<[u8]>, SocketAddr)>, proven: bool) -> Vec<GoneLocation> {
        locations.iter().filter_map(|(user, address)| self.remove(user, *address, proven).ok()).collect()
    }

    /// What was told next after this address and user, or first, in the order of both.
    pub(crate) fn next_after(&self, place: Option<&(SocketAddr, Arc<[u8]>)>) -> Option<(&Arc<[u8]>, &Location)> {
        let first = place.map_or(Bound::Unbounded, Bound::Excluded);
        let (address, user) = self.by_address.range((first, Bound::Unbounded)).next()?;
        Some((user, self.of(user).iter().find(|location| location.address == *address)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { machine: b"m", time: b"t", tty: b"y" };

    fn at(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    fn told(user: &'static [u8], address: SocketAddr) -> Told<'static> {
        Told { user, address, proven: true, exposure: Exposure::NetVisible, place: PLACE }
    }

    #[test]
    fn hosts_and_users_go_alone() {
        let mut locations = Locations::default();
        for (user, address) in
            [(b"a", at(1, 5)), (b"a", at(2, 5)), (b"b", at(1, 6)), (b"b", at(3, 6)), (b"c", at(1, 5))]
        {
            assert_eq!(locations.set(&told(user, address), Stamp::default(), &Bounds::default()), Stored::Yes);
        }
        assert_eq!(locations.of(b"a")[0].address, at(2, 5), "newest first");
        locations.remove_address(at(1, 5), true);
        assert_eq!((locations.of(b"a").len(), locations.of(b"b").len(), locations.of(b"c").len()), (1, 2, 0));
        locations.remove_host(at(1, 0).ip(), |_| true);
        assert_eq!((locations.of(b"a").len(), locations.of(b"b").len()), (1, 1));
        locations.remove_user(b"a", None);
        assert_eq!(locations.len(), 1, "b is still there: removing a user with several locations harms nobody else");
        locations.remove_user(b"b", None);
        assert!(locations.per_host.is_empty() && locations.by_user.is_empty());
    }

    #[test]
    fn each_limit_refuses_alone() {
        let bounds = Bounds { locations: 4, locations_per_user: 2, locations_per_host: 3, ..Bounds::default() };
        let mut locations = Locations::default();
        for (user, address, stored) in [
            (b"a", at(1, 1), Stored::Yes),
            (b"a", at(1, 2), Stored::Yes),
            (b"a", at(2, 3), Stored::Full),
            (b"a", at(1, 1), Stored::Yes),
            (b"b", at(1, 1), Stored::Yes),
            (b"c", at(1, 1), Stored::Full),
            (b"c", at(2, 1), Stored::Yes),
            (b"d", at(3, 1), Stored::Full),
        ] {
            assert_eq!(locations.set(&told(user, address), Stamp::default(), &bounds), stored, "{address}");
        }
    }

    #[test]
    fn what_was_told_with_proof_is_not_changed_without() {
        let mut locations = Locations::default();
        locations.set(&told(b"a", at(1, 1)), Stamp::default(), &Bounds::default());
        let unproven = |address| Told { proven: false, ..told(b"a", address) };
        assert_eq!(locations.set(&unproven(at(1, 1)), Stamp::default(), &Bounds::default()), Stored::Proven);
        assert_eq!(locations.set(&unproven(at(1, 2)), Stamp::default(), &Bounds::default()), Stored::Yes);
        assert_eq!(locations.remove(b"a", at(1, 1), false).err(), Some(Kept::Proven));
        locations.remove_user(b"a", Some(at(1, 1).ip()));
        assert_eq!(locations.of(b"a").len(), 1);
        assert_eq!(locations.remove(b"a", at(1, 1), true).map(|gone| gone.exposure), Ok(Exposure::NetVisible));
        assert_eq!(locations.remove(b"a", at(1, 1), true).err(), Some(Kept::Unknown));
    }
}
