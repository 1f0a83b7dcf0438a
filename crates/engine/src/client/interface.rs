//! The interface of a client beside packets and time: commands, operations, jobs and events.

use super::{
    Endpoint, LogEvent, Message, OperationError, Receipt, Received, Setup, SubscriptionEvent, TicketEvent,
    location::{LocationChange, UserLocation},
    subscription::{Subscription, SubscriptionRequest},
};
use crate::host_manager::{Discovered, Lookup, LookupAnswer, NotFound};
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    auth::{AuthError, Session},
    notice::OwnedPacket,
    policy::Policy,
    uid::Uid,
};

/// The number of an operation, chosen by who begins it. It must be unique among the operations in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(pub u64);

/// A command from the program.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begin an operation; several may be in progress. It ends with [`Event::Finished`].
    Begin {
        /// The operation's number.
        id: OperationId,
        /// The operation.
        operation: Operation,
    },
    /// Apply a new policy, also to notices that were received and not delivered yet.
    Enforce(Box<Policy>),
    /// Watch the user's tickets and report events, without subscribing again: the renewal of [`Settings`](super::Settings) is
    /// off from now on.
    WatchTickets,
    /// The program could not subscribe with the new tickets: they are reported again in 10 s.
    TicketsFailed,
    /// The system cannot send to the host manager, with its error text: operations that wait for that fail.
    CannotSend(String),
    /// The system has not sent a packet to a server, with its error text: it is sent again, and people can be told why.
    NotSent {
        /// Where the packet was to go.
        to: SocketAddr,
        /// The system's error text.
        error: String,
    },
    /// Addresses or routes of this machine have changed, or it has slept: the server may know nobody here.
    NetworkChanged,
}

/// An operation: one or more notices, and their acknowledgements and answers.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Send a notice.
    Send(Message),
    /// Change the subscriptions of this user's client on a port.
    Subscribe {
        /// Whether to add or remove them.
        request: SubscriptionRequest,
        /// The subscriptions. A long list becomes several requests of one packet each; an empty list is sent, too.
        list: Vec<Subscription>,
        /// The port; `None`: this client's own.
        port: Option<u16>,
    },
    /// Cancel all subscriptions of this user's client on a port.
    CancelSubscriptions {
        /// The port; `None`: this client's own.
        port: Option<u16>,
    },
    /// List the subscriptions of this user's client on a port.
    ListSubscriptions {
        /// The port; `None`: this client's own.
        port: Option<u16>,
    },
    /// Ask where a user is. Answers are the same whether he is nowhere or may not be seen by this user.
    Locate {
        /// The user's name; without a realm it is one of the server's.
        user: Vec<u8>,
        /// Whether to prove who asks. Else only what everybody may know is told.
        authenticated: bool,
    },
    /// Ask whether the server knows this client: whether it has subscribed, and was not forgotten since.
    CheckSubscriptions,
    /// Set or unset a location of the user.
    ChangeLocation(LocationChange),
    /// Read the principal of the user's current tickets, and use it as the sender: for clients that started without tickets.
    Identify,
}

/// The outcome of a successful operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Operation::Send`].
    Sent(Receipt),
    /// Of [`Operation::ListSubscriptions`]: the list in the server's order.
    Subscriptions(Vec<Subscription>),
    /// Of [`Operation::Locate`]: where the user is, in the server's order.
    Locations(Vec<UserLocation>),
    /// Of [`Operation::CheckSubscriptions`]: the server knows the client.
    Known,
    /// Of [`Operation::CheckSubscriptions`]: the server does not know the client.
    Unknown {
        /// The time since it last did.
        unknown_for: Duration,
    },
    /// Of all others: done.
    Done {
        /// The server's text, if it sends one: such as that not all subscriptions were accepted.
        text: Option<String>,
    },
}

/// A job: work that may block, or needs files or the network. Each is done once, in any order, concurrently or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Find the domain of a server, and the user's identity in it.
    Setup {
        /// The server's name, as the host manager has it; may be empty.
        server: String,
    },
    /// Get a session with the servers of a realm: [`Initiator::session`](zephyr_core::auth::Initiator::session).
    Session {
        /// The realm.
        realm: String,
    },
    /// Read the principal of the user's tickets: [`Initiator::principal`](zephyr_core::auth::Initiator::principal).
    Principal,
    /// Find this machine's address again, as [`Job::Setup`] did: it may have changed.
    Address,
    /// Without a host manager, find out which servers there are. One such job is under way at a time.
    Discover,
    /// Without a host manager, find the address of a server.
    Lookup(Lookup),
    /// Find out whose socket has the host manager's port. One such job is under way at a time.
    HostManagerOwner,
}

/// Whether who has the host manager's port may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is the system's or the user's own, or the system does not say.
    Trusted,
    /// It is another user's, or nobody's.
    Stranger,
}

/// The result of a job.
pub enum Done {
    /// Of [`Job::Setup`].
    Setup(Result<Setup, AuthError>),
    /// Of [`Job::Session`].
    Session(Result<Arc<dyn Session>, AuthError>),
    /// Of [`Job::Principal`].
    Principal(Result<Option<String>, AuthError>),
    /// Of [`Job::Address`].
    Address(Ipv4Addr),
    /// Of [`Job::Discover`].
    Discovered(Result<Discovered, NotFound>),
    /// Of [`Job::Lookup`].
    Lookup(LookupAnswer),
    /// Of [`Job::HostManagerOwner`].
    HostManagerOwner(Trust),
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(result) => f.debug_tuple("Setup").field(result).finish(),
            // A session is a key, which no log should have.
            Self::Session(result) => f.debug_tuple("Session").field(&result.as_ref().map(|_| "...")).finish(),
            Self::Principal(result) => f.debug_tuple("Principal").field(result).finish(),
            Self::Address(address) => f.debug_tuple("Address").field(address).finish(),
            Self::Discovered(result) => f.debug_tuple("Discovered").field(result).finish(),
            Self::HostManagerOwner(trust) => f.debug_tuple("HostManagerOwner").field(trust).finish(),
            Self::Lookup(answer) => f.debug_tuple("Lookup").field(answer).finish(),
        }
    }
}

/// An event for the program.
#[derive(Clone, Debug)]
pub enum Event {
    /// The client's identity and addresses: at start, once the host manager has answered, and whenever they change.
    Endpoint(Endpoint),
    /// The client could not start, and does nothing more.
    StartFailed(OperationError),
    /// A notice was received.
    Received(Box<Received>),
    /// An acknowledgement was received, in raw mode.
    Acknowledged {
        /// The source address.
        from: SocketAddr,
        /// The packet: HMACK, SERVACK, SERVNAK or CLIENTACK.
        packet: Box<OwnedPacket>,
    },
    /// The host manager has accepted all packets of a notice.
    Queued {
        /// The operation's number.
        id: OperationId,
        /// The notice's uid.
        uid: Uid,
    },
    /// An operation has ended.
    Finished {
        /// The operation's number.
        id: OperationId,
        /// Its outcome.
        outcome: Result<Outcome, OperationError>,
    },
    /// A change of the user's tickets.
    Tickets(TicketEvent),
    /// The server had forgotten this client.
    Subscriptions(SubscriptionEvent),
    /// A line for the log.
    Log(LogEvent),
}
