//! Sending to other servers of ours: the state, what changes, and what is known.

use super::{
    channel::Channel,
    cursor::Cursor,
    wire::{self, Message, Part},
};
use crate::server::{
    Change, Changed, Job, Presence, Server,
    log_event::LogEvent,
    peers::stream::{MAX_RECORD, StreamId, StreamOrder},
    snapshot::changes_of,
    stamp::{Stamp, VersionVector},
};
use std::{collections::BTreeSet, net::SocketAddr};
use zephyr_core::time::Now;

impl Server {
    /// Sends the other servers what there is for them, as far as there is room.
    pub(super) fn send_to_ours(&mut self, now: Now) {
        self.tell_versions();
        for place in 0..self.ours.links.len() {
            let Some(mut channel) = self.ours.links.get_mut(place).and_then(|link| link.channel.take()) else {
                continue;
            };
            let stream = channel.stream;
            let is_in_time = self.fill(now, &mut channel);
            if let Some(link) = self.ours.links.get_mut(place) {
                link.channel = Some(channel);
            }
            if !is_in_time {
                self.lose(now, stream, "it takes too long to take what there is for it");
            }
        }
        let nexts = self.ours.links.iter().filter_map(|link| link.channel.as_ref()?.next);
        let read = nexts.min().unwrap_or_else(|| self.ours.log.end());
        self.ours.log.forget_before(read);
    }

    /// This server ends: what has changed last is on its way to the others, whatever else is.
    pub(crate) fn farewell_ours(&mut self) {
        self.tell_versions();
        for place in 0..self.ours.links.len() {
            let Some(mut channel) = self.ours.links.get_mut(place).and_then(|link| link.channel.take()) else {
                continue;
            };
            let stream = channel.stream;
            while let Some(next) = channel.next.filter(|&next| next < self.ours.log.end()) {
                if !self.write_entry(&mut channel, next) {
                    break;
                }
                channel.next = Some(next + 1);
            }
            let records = channel.rest().map(|record| Job::Stream(StreamOrder::Send { stream, record }));
            self.jobs.extend(records);
            self.close_stream(stream);
        }
    }

    /// Tells what is known now, after all that it covers.
    pub(super) fn tell_versions(&mut self) {
        if self.versions == self.ours.logged {
            return;
        }
        let own = self.config.id;
        let more = self.versions.stamps().filter(|&stamp| stamp.server != own && !self.ours.logged.covers(stamp));
        let versions: VersionVector = more.collect();
        self.ours.logged = self.versions.clone();
        if versions.stamps().next().is_none() {
            return;
        }
        let changed = Changed { stamp: Stamp { time: 0, server: own }, change: Change::VersionsKnown { versions } };
        self.tell_ended();
        self.ours.log(&changed, None, self.told + 1);
        self.tell(changed);
    }

    /// The other server has said who it is: it is told what we know, and all of the state.
    pub(super) fn begin_snapshot(&mut self, stream: StreamId) {
        // The other says that it knows this when it has the whole snapshot.
        let stamp = self.stamps.next(self.now);
        self.versions.raise(stamp);
        self.tell_versions();
        let end = self.ours.log.end();
        let versions = self.versions.clone();
        // What has ended and is not covered by that is part of what is known.
        let ended: Vec<Change> = self.ours.ended.changes().collect();
        // A client that is there is told first: what it was before has ended, and it has not.
        let gone = ended.iter().filter_map(|change| match change {
            Change::ClientGone { client, .. } => Some(*client),
            _ => None,
        });
        let present: BTreeSet<SocketAddr> = gone.collect();
        let present = present.into_iter().filter_map(|client| self.clients.get(self.clients.at(client)?));
        let present: Vec<Changed> = present.filter_map(|client| changes_of(client).into_iter().next()).collect();
        let Some(channel) = self.ours.channel_mut(stream) else { return };
        wire::write(&Message::Known(versions), &mut channel.out);
        wire::write(&Message::Begin, &mut channel.out);
        present.iter().for_each(|known| wire::write_change(known, Part::Live, &mut channel.out));
        for change in ended {
            let stamp = self.stamps.next(self.now);
            wire::write_change(&Changed { stamp, change }, Part::Live, &mut channel.out);
        }
        channel.next = Some(end);
        self.ours.wants_turn = true;
    }

    /// Gives the driver records, as long as they may be under way; false when changes were forgotten that were to be sent.
    fn fill(&mut self, now: Now, channel: &mut Channel) -> bool {
        loop {
            while let Some(record) = channel.record(now.monotonic) {
                self.jobs.push_back(Job::Stream(StreamOrder::Send { stream: channel.stream, record }));
            }
            let Some(next) = channel.next.filter(|_| channel.has_room()) else { return true };
            if channel.waiting() >= MAX_RECORD {
                continue;
            }
            let has_log = next < self.ours.log.end();
            let has_cursor = channel.cursor != Cursor::Done;
            if has_cursor && (!has_log || channel.cursor_is_next) {
                self.step(channel);
                channel.cursor_is_next = false;
            } else if has_log {
                if !self.write_entry(channel, next) {
                    return false;
                }
                channel.next = Some(next + 1);
                channel.cursor_is_next = true;
            } else {
                return true;
            }
        }
    }

    fn step(&self, channel: &mut Channel) {
        let cursor = std::mem::replace(&mut channel.cursor, Cursor::Done);
        channel.cursor = cursor.step(self, &mut channel.out);
        if channel.cursor == Cursor::Done {
            wire::write(&Message::End, &mut channel.out);
            channel.goal = Some(self.versions.clone());
        }
    }

    fn write_entry(&self, channel: &mut Channel, number: u64) -> bool {
        let Some(entry) = self.ours.log.get(number) else { return number >= self.ours.log.first() };
        let Changed { stamp, change } = &entry.changed;
        if entry.from == Some(channel.stream) {
            return true;
        }
        let is_own = stamp.server == self.config.id && !matches!(change, Change::VersionsKnown { .. });
        let has_stamp = !matches!(
            change,
            Change::ClientConfirmed { .. } | Change::AuthenticatorUsed(_) | Change::VersionsKnown { .. }
        );
        if !is_own && has_stamp && channel.told.covers(*stamp) {
            return true;
        }
        wire::write_change(&entry.changed, Part::Live, &mut channel.out);
        if is_own {
            channel.unacknowledged.push_back((stamp.time, entry.told));
        }
        true
    }

    /// The other server knows more than before: it has caught up, or what waited for it waits no longer.
    pub(super) fn acknowledged_by(&mut self, stream: StreamId) {
        let (own, told_here) = (self.config.id, self.told);
        let of_stream = |link: &super::Link| link.channel.as_ref().is_some_and(|channel| channel.stream == stream);
        let Some(place) = self.ours.links.iter().position(of_stream) else { return };
        let Some(channel) = self.ours.channel_mut(stream) else { return };
        let knows = |time| channel.told.covers(Stamp { time, server: own });
        while channel.unacknowledged.front().is_some_and(|&(time, _)| knows(time)) {
            channel.unacknowledged.pop_front();
        }
        let caught_up = !channel.is_abreast
            && channel.goal.as_ref().is_some_and(|goal| goal.stamps().all(|stamp| channel.told.covers(stamp)));
        channel.is_abreast |= caught_up;
        let is_abreast = channel.is_abreast;
        let has = channel.unacknowledged.front().map_or(told_here, |&(_, told)| told.saturating_sub(1));
        if caught_up {
            channel.goal = None;
            self.keeper_of(place, Presence::Here);
            self.peer_tells(stream, |name| LogEvent::PeerCaughtUp { name });
        }
        if is_abreast && let Some(id) = self.keeper_id(place) {
            self.stored(id, has);
        }
    }
}
