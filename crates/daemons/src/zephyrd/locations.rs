//! Where users are, as far as they say so (server behaviour, section 6).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// How much a user wants to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Exposure {
    /// To the operators of the realm.
    Opstaff,
    /// To the realm, when it asks.
    RealmVisible,
    /// To the realm, which is told.
    RealmAnnounced,
    /// To everybody.
    NetVisible,
    /// To everybody, and everybody is told.
    NetAnnounced,
}

impl Exposure {
    /// The exposure that a LOGIN opcode asks for.
    pub(super) fn from_opcode(opcode: &[u8]) -> Option<Self> {
        Some(match opcode {
            b"OPSTAFF" => Self::Opstaff,
            b"REALM-VISIBLE" => Self::RealmVisible,
            b"REALM-ANNOUNCED" => Self::RealmAnnounced,
            b"NET-VISIBLE" => Self::NetVisible,
            b"NET-ANNOUNCED" => Self::NetAnnounced,
            _ => return None,
        })
    }

    /// Whether coming and going is told to those who subscribed. Visible to the net is announced to the realm: so it has
    /// always been.
    pub(super) const fn is_announced(self) -> bool {
        !matches!(self, Self::Opstaff | Self::RealmVisible)
    }
}

/// The three texts that a user says about a location: machine, time and terminal, uninterpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) machine: &'a [u8],
    pub(super) time: &'a [u8],
    pub(super) tty: &'a [u8],
}

impl<'a> Place<'a> {
    /// The first three NUL-terminated texts of a body.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut texts = body.split(|&octet| octet == 0);
        let (machine, time, tty) = (texts.next()?, texts.next()?, texts.next()?);
        // What follows the third NUL; without it the third text is not terminated.
        texts.next()?;
        Some(Self { machine, time, tty })
    }
}

/// One location of a user.
#[derive(Debug)]
pub(super) struct Location {
    /// Source address and port field of the notice that told of it.
    pub(super) address: SocketAddr,
    pub(super) exposure: Exposure,
    machine: Box<[u8]>,
    time: Box<[u8]>,
    tty: Box<[u8]>,
}

impl Location {
    /// Appends machine, time and terminal as an answer lists them.
    pub(super) fn list(&self, out: &mut Vec<u8>) {
        for text in [&self.machine, &self.time, &self.tty] {
            out.extend_from_slice(text);
            out.push(0);
        }
    }
}

/// What became of a location that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It is new, or changed.
    Yes,
    /// The texts are missing and there was no such location.
    Malformed,
    /// There are too many.
    Full,
}

/// The locations of all users.
#[derive(Default)]
pub(super) struct Locations {
    /// Newest first.
    by_user: BTreeMap<Arc<[u8]>, Vec<Location>>,
    by_address: BTreeSet<(SocketAddr, Arc<[u8]>)>,
}

impl Locations {
    /// Locations that one user may have.
    const PER_USER: usize = 64;

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// A user's locations, newest first.
    pub(super) fn of(&self, user: &[u8]) -> &[Location] {
        self.by_user.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// Stores what a user says. A location that is known keeps its machine; without texts only its exposure changes.
    pub(super) fn set(
        &mut self,
        user: &[u8],
        address: SocketAddr,
        exposure: Exposure,
        place: Option<Place<'_>>,
        most: usize,
    ) -> Stored {
        let full = self.len() >= most;
        if let Some(location) =
            self.by_user.get_mut(user).and_then(|all| all.iter_mut().find(|known| known.address == address))
        {
            location.exposure = exposure;
            if let Some(place) = place {
                (location.time, location.tty) = (place.time.into(), place.tty.into());
            }
            return Stored::Yes;
        }
        let Some(place) = place else { return Stored::Malformed };
        if full || self.of(user).len() >= Self::PER_USER {
            return Stored::Full;
        }
        let user: Arc<[u8]> = user.into();
        let location = Location {
            address,
            exposure,
            machine: place.machine.into(),
            time: place.time.into(),
            tty: place.tty.into(),
        };
        self.by_address.insert((address, user.clone()));
        self.by_user.entry(user).or_default().insert(0, location);
        Stored::Yes
    }

    /// Forgets one location of a user; its exposure, when there was one.
    pub(super) fn remove(&mut self, user: &[u8], address: SocketAddr) -> Option<Exposure> {
        let locations = self.by_user.get_mut(user)?;
        let place = locations.iter().position(|location| location.address == address)?;
        let exposure = locations.remove(place).exposure;
        if locations.is_empty() {
            self.by_user.remove(user);
        }
        self.by_address.remove(&(address, user.into()));
        Some(exposure)
    }

    /// Forgets all locations of a user.
    pub(super) fn remove_user(&mut self, user: &[u8]) {
        for location in self.by_user.remove(user).unwrap_or_default() {
            self.by_address.remove(&(location.address, user.into()));
        }
    }

    /// Forgets whatever was told from one host.
    pub(super) fn remove_host(&mut self, host: IpAddr) {
        self.remove_addresses(SocketAddr::new(host, 0), SocketAddr::new(host, u16::MAX));
    }

    /// Forgets whatever was told for one address and port.
    pub(super) fn remove_address(&mut self, address: SocketAddr) {
        self.remove_addresses(address, address);
    }

    fn remove_addresses(&mut self, first: SocketAddr, last: SocketAddr) {
        let none: Arc<[u8]> = Arc::from(&b""[..]);
        let from_first = self.by_address.range((first, none)..);
        let found: Vec<_> = from_first.take_while(|(address, _)| *address <= last).cloned().collect();
        for (address, user) in found {
            self.remove(&user, address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_users_go_alone() {
        let at = |host: u8, port| SocketAddr::from(([10, 0, 0, host], port));
        let mut locations = Locations::default();
        let place = Place::read(b"m\0t\0y\0");
        for (user, address) in [("a", at(1, 5)), ("a", at(2, 5)), ("b", at(1, 6)), ("b", at(3, 6)), ("c", at(1, 5))] {
            assert_eq!(locations.set(user.as_bytes(), address, Exposure::NetVisible, place, 9), Stored::Yes);
        }
        assert_eq!(locations.of(b"a")[0].address, at(2, 5), "newest first");
        locations.remove_address(at(1, 5));
        assert_eq!((locations.of(b"a").len(), locations.of(b"b").len(), locations.of(b"c").len()), (1, 2, 0));
        locations.remove_host(at(1, 0).ip());
        assert_eq!((locations.of(b"a").len(), locations.of(b"b").len()), (1, 1));
        locations.remove_user(b"a");
        assert_eq!(locations.len(), 1, "b is still there: removing a user with several locations harms nobody else");
    }

    #[test]
    fn three_terminated_texts_make_a_place() {
        assert_eq!(Place::read(b"m\0t\0y"), None);
        assert_eq!(Place::read(b"m\0t\0"), None);
        assert_eq!(Place::read(b""), None);
        assert!(Place::read(b"m\0t\0y\0more").is_some());
        assert!(Place::read(b"\0\0\0").is_some());
    }
}
