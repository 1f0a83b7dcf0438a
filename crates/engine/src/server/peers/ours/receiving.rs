//! Receiving from other servers of ours: their state, what changes, and what they know.

use super::{
    channel::{Merge, Place, Progress, Sweep},
    wire::{self, Key, Message, Part, Told},
};
use crate::{
    plural::Plural,
    server::{
        Change, Changed, Gone, Server,
        log_event::LogEvent,
        origin::RealmId,
        peers::stream::StreamId,
        snapshot::Source,
        stamp::{Stamp, VersionVector},
        state::{clients, subscriptions::Destination},
    },
};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};
use zephyr_core::time::Now;

/// Maximum number of messages that are looked at in one go.
const MAX_MESSAGES: usize = 512;
/// Maximum number of elements that are looked for in one go.
const MAX_SWEPT: usize = 512;
/// Maximum number of a client's subscriptions in a snapshot.
const MAX_LISTED: usize = 1 << 16;

/// Maximum number of subscriptions of other realms in a snapshot.
const MAX_OF_REALMS: usize = 1 << 20;

/// Why a stream is given up.
type Refusal = String;

impl Server {
    /// Looks at what has come on a stream. What is left is looked at when other work is done.
    pub(super) fn read_messages(&mut self, now: Now, stream: StreamId) {
        let Some(channel) = self.ours.channel_mut(stream) else { return };
        let incoming = std::mem::take(&mut channel.incoming);
        let mut left = incoming.as_slice();
        for _ in 0..MAX_MESSAGES {
            if !self.sweep(stream) {
                break;
            }
            let refusal = match wire::read(&mut left) {
                Ok(None) => return self.keep_incoming(stream, left),
                Ok(Some(message)) => self.take_message(now, stream, message).err(),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = refusal {
                return self.lose(now, stream, &why);
            }
        }
        self.keep_incoming(stream, left);
        self.ours.backlog.push(stream);
    }

    fn keep_incoming(&mut self, stream: StreamId, left: &[u8]) {
        if let Some(channel) = self.ours.channel_mut(stream) {
            channel.incoming = left.to_vec();
        }
    }

    fn take_message(&mut self, now: Now, stream: StreamId, message: Message) -> Result<(), Refusal> {
        let own = self.config.id;
        let days = match &message {
            Message::Known(versions) => days_ahead(versions.stamps(), now),
            Message::Told(told) => days_ahead([told.stamp], now),
            _ => None,
        };
        if let Some(days) = days {
            return Err(self.refuse_clock(stream, days));
        }
        let Some(channel) = self.ours.channel_mut(stream) else { return Ok(()) };
        match message {
            Message::Hello(hello) => {
                if channel.hello.is_some() {
                    return Err("it says twice who it is".to_owned());
                }
                if hello.version.major != wire::VERSION.major {
                    let (theirs, ours) = (hello.version.major, wire::VERSION.major);
                    return Err(format!("it speaks version {theirs} of the protocol, and not {ours}"));
                }
                if hello.server == own {
                    return Err("it is this server itself".to_owned());
                }
                let program = hello.program.as_str().into();
                let clock = hello.clock;
                channel.hello = Some(hello);
                self.counters.peers_connected += 1;
                self.peer_tells(stream, |name| LogEvent::PeerConnected { name, program });
                self.ours_has_spoken(now, stream, clock);
                self.begin_snapshot(stream);
            }
            _ if channel.hello.is_none() => return Err("it does not say who it is".to_owned()),
            Message::Known(versions) => {
                channel.told.merge(&versions);
                if matches!(channel.merge, Merge::Done) {
                    self.learn_versions(&versions);
                }
                self.acknowledged_by(stream);
            }
            Message::Begin => {
                let progress = Progress {
                    knew: channel.told.clone(),
                    place: Place::Client(None),
                    sweeps: VecDeque::new(),
                    is_over: false,
                    listed: HashSet::new(),
                    of_realms: HashSet::new(),
                };
                channel.merge = Merge::Running(Box::new(progress));
            }
            Message::Horizon(horizon) => self.take_horizon(now, &horizon),
            Message::End => self.end_snapshot(stream)?,
            Message::Told(told) => match told.part {
                Part::Live => self.take_change(now, stream, *told)?,
                Part::Snapshot => self.take_element(now, stream, *told)?,
            },
            Message::KeepAlive | Message::Unknown => {}
        }
        Ok(())
    }

    /// The changes of another server would make all that is made here as late as they are, for everybody: nothing is taken.
    fn refuse_clock(&mut self, stream: StreamId, days: u64) -> Refusal {
        self.ours.clock_is_ahead(stream);
        let days = Plural(usize::try_from(days).unwrap_or(usize::MAX), "day", "days");
        format!("it knows changes of a clock that is {days} ahead of the one here; set its clock right and restart it")
    }

    /// Makes a change that another server has told, and notes that it is known, when the other has made it itself.
    fn take_change(&mut self, now: Now, stream: StreamId, told: Told) -> Result<(), Refusal> {
        let (stamp, goes_on) = (told.stamp, told.goes_on);
        self.apply_told(now, stream, told)?;
        let Some(channel) = self.ours.channel_mut(stream) else { return Ok(()) };
        if !goes_on && channel.hello.as_ref().is_some_and(|hello| hello.server == stamp.server) {
            channel.told.raise(stamp);
            if matches!(channel.merge, Merge::Done) {
                self.learn_versions(&[stamp].into_iter().collect());
            }
        }
        Ok(())
    }

    fn apply_told(&mut self, now: Now, stream: StreamId, told: Told) -> Result<(), Refusal> {
        let Told { stamp, mut change, key, .. } = told;
        if let Change::ClientKnown { session, .. } = &mut change {
            *session = match &key {
                Key::None => None,
                Key::Is(key) => self.config.neighbours.sessions.make(key),
                Key::Unknown => None,
            };
            if session.is_none() && key != Key::None {
                // Without it we would tell others that we know that client, and do not.
                return Err("it has a client whose key is of no use here".to_owned());
            }
        }
        self.apply(now, Changed { stamp, change }, Source::Peer(stream));
        Ok(())
    }

    /// Takes an element of a snapshot. What is between it and the one before it, and was known to the other, has ended.
    fn take_element(&mut self, now: Now, stream: StreamId, told: Told) -> Result<(), Refusal> {
        match &told.change {
            Change::ClientKnown { client, .. } => self.go_to_client(stream, *client)?,
            Change::Subscribed { client, destinations, .. } => {
                self.list_subscriptions(stream, *client, destinations, told.stamp)?;
            }
            Change::Located(located) => {
                self.go_to_location(stream, (located.address, located.user.clone()))?;
            }
            Change::RealmSubscribed { realm, destinations, .. } => {
                let stamp = told.stamp;
                let of_realms = &mut self.progress(stream)?.of_realms;
                of_realms.extend(destinations.iter().map(|it| (realm.clone(), it.clone(), stamp)));
                if of_realms.len() > MAX_OF_REALMS {
                    return Err("it has too many subscriptions of other realms".to_owned());
                }
            }
            Change::ClientConfirmed { .. } | Change::AuthenticatorUsed(_) => {
                self.progress(stream)?;
            }
            _ => return Err("its state has an element of no kind".to_owned()),
        }
        self.apply_told(now, stream, told)
    }

    fn progress(&mut self, stream: StreamId) -> Result<&mut Progress, Refusal> {
        match self.ours.channel_mut(stream).map(|channel| &mut channel.merge) {
            Some(Merge::Running(progress)) if !progress.is_over => Ok(progress),
            _ => Err("it tells of its state without beginning".to_owned()),
        }
    }

    fn go_to_client(&mut self, stream: StreamId, client: SocketAddr) -> Result<(), Refusal> {
        self.end_client(stream)?;
        let progress = self.progress(stream)?;
        let Place::Client(after) = progress.place else { return Err(out_of_order()) };
        if after.is_some_and(|after| !clients::in_order(after, client)) {
            return Err(out_of_order());
        }
        progress.place = Place::Client(Some(client));
        progress.sweeps.push_back(Sweep::Clients { after, before: Some(client) });
        Ok(())
    }

    fn go_to_location(&mut self, stream: StreamId, location: (SocketAddr, Arc<[u8]>)) -> Result<(), Refusal> {
        self.end_clients(stream)?;
        let progress = self.progress(stream)?;
        let Place::Location(after) = progress.place.clone() else { return Err(out_of_order()) };
        if after.as_ref().is_some_and(|after| *after >= location) {
            return Err(out_of_order());
        }
        progress.place = Place::Location(Some(location.clone()));
        progress.sweeps.push_back(Sweep::Locations { after, before: Some(location) });
        Ok(())
    }

    /// There are no more clients in a snapshot.
    fn end_clients(&mut self, stream: StreamId) -> Result<(), Refusal> {
        self.end_client(stream)?;
        let progress = self.progress(stream)?;
        if let Place::Client(after) = progress.place {
            progress.place = Place::Location(None);
            progress.sweeps.push_back(Sweep::Clients { after, before: None });
        }
        Ok(())
    }

    fn end_snapshot(&mut self, stream: StreamId) -> Result<(), Refusal> {
        self.end_clients(stream)?;
        let progress = self.progress(stream)?;
        if let Place::Location(after) = progress.place.clone() {
            progress.sweeps.push_back(Sweep::Locations { after, before: None });
        }
        progress.is_over = true;
        Ok(())
    }

    fn list_subscriptions(
        &mut self,
        stream: StreamId,
        client: SocketAddr,
        destinations: &[Destination],
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        let progress = self.progress(stream)?;
        if progress.place != Place::Client(Some(client)) {
            return Err(out_of_order());
        }
        if progress.listed.len() + destinations.len() > MAX_LISTED {
            return Err("it has a client with too many subscriptions".to_owned());
        }
        progress.listed.extend(destinations.iter().map(|it| (it.clone(), stamp)));
        Ok(())
    }

    /// All of the client is there that came last: which of its subscriptions did not come, and were known, have ended.
    fn end_client(&mut self, stream: StreamId) -> Result<(), Refusal> {
        let progress = self.progress(stream)?;
        let Place::Client(Some(client)) = progress.place else { return Ok(()) };
        let listed = std::mem::take(&mut progress.listed);
        let knew = progress.knew.clone();
        self.end_unlisted(client, &knew, &listed);
        Ok(())
    }

    fn end_unlisted(&mut self, client: SocketAddr, knew: &VersionVector, listed: &HashSet<(Destination, Stamp)>) {
        let Some(id) = self.clients.at(client) else { return };
        let Some(held) = self.clients.get(id).map(|client| &client.subscriptions) else { return };
        let is_gone = |held: &&crate::server::state::subscriptions::Subscription| {
            knew.covers(held.stamp) && !listed.contains(&(held.destination.clone(), held.stamp))
        };
        let gone: Vec<_> = held.iter().filter(is_gone).cloned().collect();
        let stamps: Vec<Stamp> = gone.iter().map(|held| held.stamp).collect();
        let destinations: Vec<Destination> = gone.into_iter().map(|held| held.destination).collect();
        if let Some(change) = self.end_subscriptions(id, &destinations, &stamps) {
            self.changed(change);
        }
    }

    /// All subscriptions of other realms are there: which of them did not come, and were known, have ended.
    fn end_unlisted_of_realms(&mut self, knew: &VersionVector, listed: &HashSet<(Arc<[u8]>, Destination, Stamp)>) {
        let mut gone: BTreeMap<RealmId, Vec<(Destination, Stamp)>> = BTreeMap::new();
        for (realm, destination, held) in self.realms.theirs.all() {
            let Some(name) = self.realms.table.get(realm).map(|known| &known.name) else { continue };
            for asked in held.asked().iter().filter(|asked| knew.covers(asked.stamp)) {
                if !listed.contains(&(name.clone(), destination.clone(), asked.stamp)) {
                    gone.entry(realm).or_default().push((destination.clone(), asked.stamp));
                }
            }
        }
        for (realm, ended) in gone {
            for (destination, stamp) in ended {
                if let Some(change) = self.take_realm_subscriptions(realm, vec![destination], |it| it == stamp) {
                    self.changed(change);
                }
            }
        }
    }

    /// Goes on looking for what did not come; false when there is more to be done.
    fn sweep(&mut self, stream: StreamId) -> bool {
        let mut left = MAX_SWEPT;
        loop {
            let Some(channel) = self.ours.channel_mut(stream) else { return true };
            let Merge::Running(progress) = &mut channel.merge else { return true };
            let Some(sweep) = progress.sweeps.pop_front() else {
                if progress.is_over {
                    let (knew, listed) = (progress.knew.clone(), std::mem::take(&mut progress.of_realms));
                    channel.merge = Merge::Done;
                    let told = channel.told.clone();
                    self.end_unlisted_of_realms(&knew, &listed);
                    self.learn_versions(&told);
                    self.ours_is_there(stream);
                }
                return true;
            };
            let knew = progress.knew.clone();
            if let Some(rest) = self.sweep_some(sweep, &knew, &mut left) {
                if let Some(Merge::Running(progress)) = self.ours.channel_mut(stream).map(|it| &mut it.merge) {
                    progress.sweeps.push_front(rest);
                }
                return false;
            }
        }
    }

    /// Ends what is between two elements and was known; gives what is left.
    fn sweep_some(&mut self, sweep: Sweep, knew: &VersionVector, left: &mut usize) -> Option<Sweep> {
        match sweep {
            Sweep::Clients { mut after, before } => loop {
                let id = self.clients.next_after(after)?;
                let client = self.clients.get(id)?;
                let (address, stamp) = (client.address(), client.stamp);
                if before.is_some_and(|before| !clients::in_order(address, before)) {
                    return None;
                }
                if *left == 0 {
                    return Some(Sweep::Clients { after, before });
                }
                *left -= 1;
                if knew.covers(stamp) {
                    self.take_client(id, Gone::Ended);
                } else {
                    self.end_unlisted(address, knew, &HashSet::new());
                }
                after = Some(address);
            },
            Sweep::Locations { mut after, before } => loop {
                let (user, location) = self.locations.next_after(after.as_ref())?;
                let (place, stamp) = ((location.address, user.clone()), location.stamp);
                if before.as_ref().is_some_and(|before| place >= *before) {
                    return None;
                }
                if *left == 0 {
                    return Some(Sweep::Locations { after, before });
                }
                *left -= 1;
                if knew.covers(stamp) {
                    let gone = self.locations.remove(&place.1, place.0, true);
                    self.locations_gone(gone.into_iter().collect());
                }
                after = Some(place);
            },
        }
    }
}

/// How far one of these stamps is ahead of the clock here, where it is too far.
fn days_ahead(stamps: impl IntoIterator<Item = Stamp>, now: Now) -> Option<u64> {
    stamps.into_iter().filter_map(|stamp| stamp.days_ahead(now.wall)).max()
}

fn out_of_order() -> Refusal {
    "its state is out of order".to_owned()
}
