//! Other servers of ours, of the same domain: each knows what all of them know.
//!
//! Each pair of servers has one stream. On it each sends the other what it knows (`cursor`), and all that changes, whoever has
//! changed it (`log`): so a change comes after all that its maker knew when he made it, whichever other streams are down.
//! What each knows is said beside it, as a version vector, after what it covers. When a whole snapshot is there, what it has
//! not, and what its maker knew when it began, has ended (`receiving`).
//!
//! A change that makes something has a stamp, by which it is alive at all servers until one ends it, and each that learns of its
//! end ends it. Of two changes that make the same, made apart, all servers keep the same one, and whoever sees both says that
//! the other has ended. So when all is sent, the same is alive everywhere.

mod channel;
mod clock;
mod cursor;
pub(crate) mod ended;
mod link;
mod log;
mod receiving;
mod sending;
pub mod wire;

use crate::server::{
    Change, Changed, Server,
    log_event::LogEvent,
    peers::stream::{StreamEvent, StreamId},
    stamp::{Stamp, VersionVector},
};
use channel::{Channel, Merge, Progress};
pub use clock::ClockGap;
use ended::{Element, Ended};
use link::Link;
use log::Log;
use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{Session, SessionKey},
    time::Now,
};

/// Maximum number of streams whose other ends have not said who they are.
const MAX_ARRIVALS: usize = 64;
/// How long they may take for that.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes sessions of the keys that other servers hand on.
#[derive(Clone, Default)]
pub struct SessionMaker(Option<Make>);

type Make = Arc<dyn Fn(&SessionKey) -> Option<Arc<dyn Session>> + Send + Sync>;

impl SessionMaker {
    /// It makes them as this does, which must do nothing but that.
    pub fn new(make: impl Fn(&SessionKey) -> Option<Arc<dyn Session>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(make)))
    }

    fn make(&self, key: &SessionKey) -> Option<Arc<dyn Session>> {
        self.0.as_ref().and_then(|make| make(key))
    }
}

impl fmt::Debug for SessionMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionMaker")
    }
}

/// What a server keeps about the other servers of ours.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    pub(crate) ended: Ended,
    /// What has lost its place to the change that is being applied: told after it.
    pub(crate) replaced: Vec<Change>,
    links: Vec<Link>,
    /// Streams whose other ends have not said who they are, and the hosts that they come from.
    arrivals: BTreeMap<StreamId, Arrival>,
    log: Log,
    /// What the others were told that is known here.
    logged: VersionVector,
    /// There may be something to send.
    wants_turn: bool,
    /// Streams on which something has come that is not looked at yet.
    backlog: Vec<StreamId>,
}

/// A stream whose other end has not said who it is.
#[derive(Debug)]
struct Arrival {
    from: std::net::IpAddr,
    channel: Channel,
}

impl Ours {
    /// Whether there are other servers of ours, as the configuration has it.
    pub(crate) const fn is_wanted(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether something is to be sent or to be looked at.
    pub(crate) const fn wants_turn(&self) -> bool {
        self.wants_turn || !self.backlog.is_empty() || self.ended.has_untold()
    }

    /// What the change with this stamp had made has ended; true when that must be remembered and was not.
    pub(crate) fn ended(&mut self, versions: &VersionVector, stamp: Stamp, element: impl FnOnce() -> Element) -> bool {
        !versions.covers(stamp) && self.ended.insert(stamp, element())
    }

    /// A client has ended, which the changes with these stamps had made, and its subscriptions.
    pub(crate) fn ended_client(&mut self, versions: &VersionVector, client: SocketAddr, stamps: &[Stamp]) -> bool {
        let mut is_new = false;
        for &stamp in stamps {
            is_new |= self.ended(versions, stamp, || Element::Client(client));
            is_new |= self.ended(versions, stamp, || Element::Request(client));
        }
        is_new
    }

    /// Whether what the change with this stamp had made is remembered as ended.
    pub(crate) fn has_ended(&self, stamp: Stamp, element: impl FnOnce() -> Element) -> bool {
        self.ended.contains(stamp, element)
    }

    /// Whether a server that is telling of its state knew this change of a client, and has told of it no more: it has ended
    /// there. What another server tells of it now comes too late.
    pub(crate) fn is_behind_client(&self, client: SocketAddr, stamp: Stamp) -> bool {
        self.running().any(|progress| progress.has_passed_client(client, stamp))
    }

    /// The same of a location.
    pub(crate) fn is_behind_location(&self, address: SocketAddr, user: &[u8], stamp: Stamp) -> bool {
        self.running().any(|progress| progress.has_passed_location(address, user, stamp))
    }

    /// The snapshots that come in.
    fn running(&self) -> impl Iterator<Item = &Progress> {
        self.links.iter().filter_map(|link| match &link.channel.as_ref()?.merge {
            Merge::Running(progress) => Some(&**progress),
            Merge::Before | Merge::Done => None,
        })
    }

    /// A server knows changes of a clock that is far ahead.
    pub(crate) fn clock_is_ahead(&mut self, stream: StreamId) {
        let mut links = self.links.iter_mut();
        if let Some(link) = links.find(|link| link.channel.as_ref().is_some_and(|it| it.stream == stream)) {
            link.is_ahead = true;
        }
    }

    /// So much is known now.
    pub(crate) fn learned(&mut self, versions: &VersionVector) {
        self.ended.known(versions);
        self.wants_turn = true;
    }

    /// Whether the server at the other end of a stream has said that it knows the change with this stamp.
    pub(crate) fn was_told(&self, stream: StreamId, stamp: Stamp) -> bool {
        self.channel(stream).is_some_and(|channel| channel.told.covers(stamp))
    }

    /// A change is told; `from` this stream, when another server has told it. `told` is its number.
    pub(crate) fn log(&mut self, changed: &Changed, from: Option<StreamId>, told: u64) {
        let is_read = self.links.iter().any(|link| link.channel.as_ref().is_some_and(|it| it.next.is_some()));
        if is_read && log::concerns_others(&changed.change) {
            self.log.push(changed.clone(), from, told);
            self.wants_turn = true;
        }
    }

    fn channel(&self, stream: StreamId) -> Option<&Channel> {
        let channels = self.links.iter().filter_map(|link| link.channel.as_ref());
        channels.into_iter().find(|channel| channel.stream == stream)
    }

    fn channel_mut(&mut self, stream: StreamId) -> Option<&mut Channel> {
        let channels = self.links.iter_mut().filter_map(|link| link.channel.as_mut());
        channels.into_iter().find(|channel| channel.stream == stream)
    }
}

impl Server {
    /// Something has happened to a stream; false when it is none to another server of ours.
    pub(crate) fn ours_stream(&mut self, now: Now, event: &StreamEvent) -> bool {
        match event {
            StreamEvent::Offered { .. } => return false,
            StreamEvent::Open { stream } => return self.ours_connected(now, *stream),
            StreamEvent::Accepted { stream, from } => {
                let is_known = self.ours.links.iter().any(|link| link.is_at(*from));
                if !is_known || self.ours.arrivals.len() >= MAX_ARRIVALS {
                    self.close_stream(*stream);
                } else {
                    let channel = Channel::new(*stream, now.monotonic);
                    self.ours.arrivals.insert(*stream, Arrival { from: *from, channel });
                }
            }
            StreamEvent::Record { stream, record } => {
                if let Some(arrival) = self.ours.arrivals.get_mut(stream) {
                    arrival.channel.receive(now.monotonic, record);
                    self.ours_arrived(now, *stream);
                    return true;
                }
                let Some(channel) = self.ours.channel_mut(*stream) else { return false };
                if channel.receive(now.monotonic, record) {
                    self.read_messages(now, *stream);
                } else {
                    self.lose(now, *stream, "it sends more than can be taken");
                }
            }
            StreamEvent::Drained { stream, octets } => {
                let Some(channel) = self.ours.channel_mut(*stream) else { return false };
                channel.drained(*octets);
                self.ours.wants_turn = true;
            }
            StreamEvent::Closed { stream, why } => {
                if self.ours.arrivals.remove(stream).is_some() {
                    return true;
                }
                return self.ours_closed(now, *stream, why);
            }
        }
        true
    }

    /// Does what is to be done for the other servers now.
    pub(crate) fn serve_ours(&mut self, now: Now) {
        for stream in std::mem::take(&mut self.ours.backlog) {
            self.read_messages(now, stream);
        }
        self.tell_ended();
        if std::mem::take(&mut self.ours.wants_turn) {
            self.send_to_ours(now);
        }
    }

    /// Tells whoever keeps the state what has ended and must be remembered.
    pub(crate) fn tell_ended(&mut self) {
        for (made, element) in self.ours.ended.take_untold() {
            let stamp = Stamp { time: 0, server: self.config.id };
            self.tell(Changed { stamp, change: Change::Ended { made, element } });
        }
    }

    fn peer_tells(&mut self, stream: StreamId, event: impl FnOnce(Box<str>) -> LogEvent) {
        let of_stream = |link: &&Link| link.channel.as_ref().is_some_and(|channel| channel.stream == stream);
        if let Some(name) = self.ours.links.iter().find(of_stream).map(|link| link.name.clone()) {
            self.report(event(name));
        }
    }
}
