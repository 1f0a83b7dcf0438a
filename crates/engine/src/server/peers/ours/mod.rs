//! Other servers of ours, of the same domain: each knows what all of them know.

pub(crate) mod ended;

use crate::server::{
    Change,
    peers::stream::StreamId,
    stamp::{Stamp, VersionVector},
};
use ended::{Element, Ended};
use std::net::SocketAddr;

/// What a server keeps about the other servers of ours.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    ended: Ended,
    /// What has lost its place to the change that is being applied: told after it.
    pub(crate) replaced: Vec<Change>,
    /// Whether there are other servers of ours at all.
    is_wanted: bool,
}

impl Ours {
    /// Whether there are other servers of ours, as the configuration has it.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.is_wanted
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

    /// So much is known now.
    pub(crate) fn learned(&mut self, versions: &VersionVector) {
        self.ended.known(versions);
    }

    /// Whether the server at the other end of a stream has said that it knows the change with this stamp.
    pub(crate) fn was_told(&self, _stream: StreamId, _stamp: Stamp) -> bool {
        false
    }
}
