//! What goes into a client and what comes out of it, beside packets and time.

use super::{
    Endpoint, LogEvent, Message, OperationError, Receipt, Received, Setup, TicketEvent,
    location::LocationChange,
    subscription::{Subscription, SubscriptionRequest},
};
use std::{fmt, net::SocketAddr, sync::Arc};
use zephyr_core::{
    auth::{AuthError, Session},
    notice::OwnedPacket,
    policy::Policy,
    uid::Uid,
};

/// Which operation. Whoever begins one chooses its number; no two under way have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(pub u64);

/// What a program orders.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begin an operation; several may be under way. It ends with [`Event::Finished`].
    Begin {
        /// Its number.
        id: OperationId,
        /// What to do.
        operation: Operation,
    },
    /// The domain demands something else from now on, also of what has come and was not taken yet.
    Enforce(Box<Policy>),
    /// Watch the user's tickets, and leave it to the program what is done about them; what [`Settings`](super::Settings) say of
    /// renewal has no effect any more.
    WatchTickets,
    /// The program could not subscribe with the tickets that it was told of: in a while they are news again.
    TicketsFailed,
    /// The system does not send to the host manager, in its words: what waits for that fails.
    CannotSend(String),
}

/// Something that takes packets and answers.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Send a notice.
    Send(Message),
    /// Change the subscriptions of this user's client on a port.
    Subscribe {
        /// What to do with them.
        request: SubscriptionRequest,
        /// Which. A long list becomes several requests, each whole; an empty one is a request, too.
        list: Vec<Subscription>,
        /// The port; `None`: this client's own.
        port: Option<u16>,
    },
    /// Forget all subscriptions of this user's client on a port.
    CancelSubscriptions {
        /// The port; `None`: this client's own.
        port: Option<u16>,
    },
    /// List the subscriptions of this user's client on a port.
    ListSubscriptions {
        /// The port; `None`: this client's own.
        port: Option<u16>,
    },
    /// Tell the server where the user is, or is no longer.
    ChangeLocation(LocationChange),
    /// Take the name that the user's tickets of this moment have, for who began without any.
    Identify,
}

/// What an operation has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Operation::Send`].
    Sent(Receipt),
    /// Of [`Operation::ListSubscriptions`]: the list in the server's order.
    Subscriptions(Vec<Subscription>),
    /// Of all others: done, with what the server says beside that.
    Done {
        /// The server's text, if it has one: such as that not all subscriptions were taken.
        text: Option<String>,
    },
}

/// Work that may take long, or needs files or the network. Each job is done once, in any order, several at a time or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Find out what domain a server is in, and who the user is there.
    Setup {
        /// The server's name, as the host manager has it; may be empty.
        server: String,
    },
    /// Get a session with the servers of a realm: [`Initiator::session`](zephyr_core::auth::Initiator::session).
    Session {
        /// The realm.
        realm: String,
    },
    /// Look whose credentials there are: [`Initiator::principal`](zephyr_core::auth::Initiator::principal).
    Principal,
}

/// What became of a job.
pub enum Done {
    /// Of [`Job::Setup`].
    Setup(Result<Setup, AuthError>),
    /// Of [`Job::Session`].
    Session(Result<Arc<dyn Session>, AuthError>),
    /// Of [`Job::Principal`].
    Principal(Result<Option<String>, AuthError>),
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(result) => f.debug_tuple("Setup").field(result).finish(),
            // A session is a key, which no log should have.
            Self::Session(result) => f.debug_tuple("Session").field(&result.as_ref().map(|_| "...")).finish(),
            Self::Principal(result) => f.debug_tuple("Principal").field(result).finish(),
        }
    }
}

/// What a program learns.
#[derive(Clone, Debug)]
pub enum Event {
    /// Who and where the client is: at start, once the host manager has answered, and whenever it changes.
    Endpoint(Endpoint),
    /// The client cannot start, and does nothing more.
    StartFailed(OperationError),
    /// A notice has come.
    Received(Box<Received>),
    /// An acknowledgement has come, in raw mode.
    Acknowledged {
        /// Where from.
        from: SocketAddr,
        /// Its packet: HMACK, SERVACK, SERVNAK or CLIENTACK.
        packet: Box<OwnedPacket>,
    },
    /// The host manager has all packets of a notice that an operation sends.
    Queued {
        /// Which operation.
        id: OperationId,
        /// The notice's uid.
        uid: Uid,
    },
    /// An operation has ended.
    Finished {
        /// Which.
        id: OperationId,
        /// What it has brought.
        outcome: Result<Outcome, OperationError>,
    },
    /// Something about the user's tickets.
    Tickets(TicketEvent),
    /// Something worth a line in a log.
    Log(LogEvent),
}
