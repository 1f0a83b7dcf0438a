//! Jobs of a server: what its driver does for it, and what comes of that.

use crate::server::{
    peers::{
        c::{RestoreJob, Restored},
        stream::{StreamEvent, StreamOrder},
    },
    realms::{RealmDone, RealmJob},
    verification::{Verified, VerifyJob},
};

/// Something that the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// To find out who sent a packet.
    Verify(VerifyJob),
    /// To do something with a stream to another server.
    Stream(StreamOrder),
    /// To do something about another realm.
    Realm(RealmJob),
    /// To make sessions of keys.
    Restore(RestoreJob),
}

/// What has come of a job.
pub enum Done {
    /// A packet is verified.
    Verified(Verified),
    /// Something has happened to a stream.
    Stream(StreamEvent),
    /// A job about another realm is done.
    Realm(RealmDone),
    /// Sessions are made.
    Restored(Restored),
}
