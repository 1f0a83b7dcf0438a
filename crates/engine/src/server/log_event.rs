//! Events that the server logs.

use crate::{
    level::Level,
    plural::Plural,
    server::{held_answers::KeeperId, peers::ours::ClockGap, realms::RealmState},
};
use std::{fmt, net::SocketAddr};
use zephyr_core::{
    auth::{AuthError, Reason},
    inbox::DropReason,
    kind::Kind,
    notice::ParseError,
    policy::Refusal,
    sanitize,
};

/// An event for the log. Texts from the net are octets and are escaped when shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the line says")]
pub enum LogEvent {
    /// A datagram that is no notice.
    Malformed { from: SocketAddr, error: ParseError },
    /// A packet of a kind that no server takes.
    BadKind { kind: Kind, from: SocketAddr },
    /// A packet that only answers, from somebody whom nothing was asked.
    StrayAnswer { kind: Kind, from: SocketAddr },
    /// A packet that receivers drop.
    Dropped { reason: DropReason, from: SocketAddr },
    /// A proven packet came again from another source.
    Copied { sender: Box<[u8]>, from: SocketAddr },
    /// A proof that could not be verified, for an error of our own.
    CannotVerify { from: SocketAddr, error: AuthError },
    /// A proof that does not hold.
    FailedProof { sender: Box<[u8]>, from: SocketAddr, reason: Reason },
    /// A request that needs proof came without.
    Unauthenticated { opcode: Box<[u8]>, sender: Box<[u8]>, from: SocketAddr },
    /// A request that the domain's policy refuses, whoever makes it.
    PolicyRefused { sender: Box<[u8]>, class: Box<[u8]>, refusal: Refusal, from: SocketAddr },
    /// A client's port is used by another principal.
    PortTaken { opcode: Box<[u8]>, sender: Box<[u8]>, owner: Box<[u8]>, client: SocketAddr },
    /// A subscription to notices for somebody else, and so many more of the same request.
    RecipientRefused { sender: Box<[u8]>, recipient: Box<[u8]>, more: usize },
    /// A subscription that the class's list or the policy refuses, and so many more of the same request;
    /// `any_instance`: because it is to all instances; `by_default`: of the default subscriptions, which nobody asked for.
    SubscriptionRefused {
        sender: Box<[u8]>,
        class: Box<[u8]>,
        any_instance: bool,
        by_default: bool,
        client: SocketAddr,
        more: usize,
    },
    /// Subscriptions of a client, so many, that new rules forbid.
    SubscriptionsEnded { principal: Box<[u8]>, client: SocketAddr, count: usize },
    /// A notice that the class's list refuses.
    SendRefused { sender: Box<[u8]>, class: Box<[u8]>, proven: bool, from: SocketAddr },
    /// A notice to an instance that is not its sender's name, in a class that wants that.
    InstanceRefused { sender: Box<[u8]>, class: Box<[u8]>, instance: Box<[u8]>, proven: bool, from: SocketAddr },
    /// A name, of a notice or in a list of subscriptions, whose folded form is too long, and so many more of the same
    /// list; `what` it is.
    NameTooLong { what: &'static str, sender: Box<[u8]>, from: SocketAddr, more: usize },
    /// A list of subscriptions that ends in the middle of a triple; this is the triple's number.
    MalformedSubscription { sender: Box<[u8]>, number: usize },
    /// Subscriptions without a class in a list, and how many more than one.
    SubscriptionWithoutClass { sender: Box<[u8]>, more: usize },
    /// A request to flush subscriptions whose body is no text.
    MalformedFlush { sender: Box<[u8]> },
    /// A request to flush somebody else's subscriptions.
    FlushRefused { sender: Box<[u8]>, target: Box<[u8]> },
    /// A change of somebody else's location.
    LoginRefused { sender: Box<[u8]>, user: Box<[u8]> },
    /// A location with fewer than three texts.
    MalformedLocation { sender: Box<[u8]> },
    /// A request that this class does not know.
    UnknownOpcode { class: &'static str, opcode: Box<[u8]>, from: SocketAddr },
    /// A limit is reached.
    Full { what: &'static str, from: SocketAddr },
    /// What was changed is not kept in time: answers no longer wait for that.
    KeeperLate { keeper: KeeperId },
    /// The same of another server, by its name.
    PeerLate { name: Box<str> },
    /// A notice that cannot be written for this client.
    NotWritten { client: SocketAddr, reason: String },
    /// A packet is sent again.
    Resent { client: SocketAddr, transmission: usize },
    /// A client answers no longer and is forgotten.
    ClientDead { client: SocketAddr, principal: Box<[u8]> },
    /// Nobody listens at a client's port any more, and it is forgotten.
    PortClosed { client: SocketAddr, principal: Box<[u8]> },
    /// A client never showed that it receives where it says, and is forgotten.
    NeverConfirmed { client: SocketAddr, principal: Box<[u8]> },
    /// A proven principal takes the address of a client that is not proven, or of which nothing shows that it is there.
    TakenOver { sender: Box<[u8]>, owner: Box<[u8]>, client: SocketAddr },
    /// Another server of ours is there, and is sent the state.
    PeerConnected { name: Box<str>, program: Box<str> },
    /// Another server of ours knows all that this one knows.
    PeerCaughtUp { name: Box<str> },
    /// Another server of ours is not there any more.
    PeerLost { name: Box<str>, why: Box<str> },
    /// What was kept has changes of a clock that was far ahead, by so many days. They count as made now.
    KeptClockAhead { days: u64 },
    /// The clock of another server of ours is not about the same as the one here.
    PeerClock { name: Box<str>, gap: ClockGap },
    /// Somebody at the address of a server of ours speaks as C servers do.
    PeerSpeaksAsC { name: Box<str> },
    /// Another server of ours cannot be reached; told once for each reason, until it was there.
    PeerNotReached { name: Box<str>, why: Box<str> },
    /// Another realm is otherwise than before.
    RealmState { realm: Box<[u8]>, state: RealmState },
    /// There is no session with the servers of another realm.
    NoRealmSession { realm: Box<[u8]>, error: AuthError },
    /// A packet to another realm cannot be written.
    NotWrittenToRealm { reason: String },
    /// A server of another realm answers what it was not asked; `what` it would tell.
    Unasked { realm: Box<[u8]>, what: &'static str, from: SocketAddr },
    /// Subscriptions, so many, that another realm wants for somebody and may not have.
    RealmSubscriptionRefused { sender: Box<[u8]>, from: SocketAddr, count: usize },
    /// Subscriptions of another realm, so many, that new rules forbid.
    RealmSubscriptionsEnded { realm: Box<[u8]>, count: usize },
    /// All host managers have gone to other servers, as they were asked to.
    Drained,
    /// A host manager has started or flushed; so many clients are gone.
    HostFlushed { host: SocketAddr, clients: usize },
    /// Another server of the realm is named in the configuration.
    PeerAdded { name: Box<str> },
    /// Another server of the realm is no longer named.
    PeerRemoved { name: Box<str> },
    /// Another server of the realm is in another state than before.
    PeerState { name: Box<str>, state: &'static str },
    /// Another server of the realm refuses what was forwarded to it.
    PeerRefuses { name: Box<str>, opcode: Box<[u8]>, sender: Box<[u8]> },
    /// Another server of the realm, or somebody from its address, sends what servers do not forward.
    PeerNotice { class: Box<[u8]>, from: SocketAddr },
    /// A client that nobody knows is said to be gone.
    NoSuchClient { client: SocketAddr },
    /// A dump of a version that nobody understands is offered.
    DumpVersion { version: Box<[u8]>, from: SocketAddr },
    /// Dumps are exchanged with another server.
    DumpBegins { name: Box<str> },
    /// So much of another server's dump was new here, and so much has ended there.
    DumpTaken { name: Box<str>, taken: usize, dropped: usize },
    /// Dumps were exchanged.
    DumpDone { name: Box<str> },
    /// An exchange of dumps has come to nothing.
    DumpFailed { name: Box<str>, why: Box<str> },
    /// An exchange of dumps has not begun.
    NoDump { name: Box<str>, why: Box<str> },
}

impl LogEvent {
    /// The source of a datagram that was no notice: such an entry has no [cause](super::Cause).
    pub const fn source(&self) -> Option<SocketAddr> {
        match self {
            Self::Malformed { from, .. } => Some(*from),
            _ => None,
        }
    }

    /// The severity of the event.
    pub const fn level(&self) -> Level {
        match self {
            Self::Resent { .. }
            | Self::Copied { .. }
            | Self::HostFlushed { .. }
            | Self::NoDump { .. }
            | Self::Dropped { .. }
            | Self::SubscriptionRefused { by_default: true, .. } => Level::Debug,
            // Whoever got none has said so, and what to do.
            Self::NoRealmSession { .. } => Level::Debug,
            Self::PeerClock { gap, .. } if gap.is_beyond_kerberos() => Level::Error,
            Self::CannotVerify { .. } => Level::Error,
            Self::FailedProof { .. }
            | Self::Unauthenticated { .. }
            | Self::ClientDead { .. }
            | Self::PortClosed { .. }
            | Self::NeverConfirmed { .. }
            | Self::PeerConnected { .. }
            | Self::Drained
            | Self::PeerCaughtUp { .. }
            | Self::PeerAdded { .. }
            | Self::PeerRemoved { .. }
            | Self::PeerState { .. }
            | Self::NoSuchClient { .. }
            | Self::DumpBegins { .. }
            | Self::DumpTaken { .. }
            | Self::DumpDone { .. }
            | Self::RealmState { .. } => Level::Info,
            _ => Level::Warning,
        }
    }
}

/// What a request asks for besides what a line names: nothing, or ` and 3 more`.
struct And(usize);

impl fmt::Display for And {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = sanitize::name;
        match self {
            Self::Malformed { from, error } => write!(f, "bad notice parse ({from}): {error}"),
            Self::CannotVerify { from, error } => write!(f, "cannot judge a notice from {from}: {error}"),
            Self::BadKind { kind, from } => write!(f, "bad notice kind {:#x} from {from}", kind.number()),
            Self::StrayAnswer { kind, from } => write!(f, "{kind} from {from}, who is no server"),
            Self::Dropped { reason, from } => write!(f, "dropped a packet from {from}: {reason}"),
            Self::Copied { sender, from } => {
                write!(f, "copy of a packet of {} from {from}, only answered", text(sender))
            }
            Self::FailedProof { sender, from, reason } => {
                write!(f, "no proof for {} ({from}): {reason}", text(sender))
            }
            Self::Unauthenticated { opcode, sender, from } => {
                write!(f, "unauthenticated {} message purportedly from {} ({from})", text(opcode), text(sender))
            }
            Self::PolicyRefused { sender, class, refusal, from } => {
                write!(f, "refused class {} to {} ({from}): {refusal}", text(class), text(sender))
            }
            Self::PortTaken { opcode, sender, owner, client } => {
                write!(f, "{} request from {} on port used by {} ({client})", text(opcode), text(sender), text(owner))
            }
            Self::RecipientRefused { sender, recipient, more } => {
                write!(f, "subscr unauth {} recipient {}{}", text(sender), text(recipient), And(*more))
            }
            Self::SubscriptionRefused { sender, class, any_instance, by_default: _, client, more } => {
                let wild = if *any_instance { " wild inst" } else { "" };
                write!(f, "subscr unauth {} class {}{wild} ({client}){}", text(sender), text(class), And(*more))
            }
            Self::SubscriptionsEnded { principal, client, count } => {
                let subscriptions = Plural(*count, "subscription", "subscriptions");
                write!(f, "{subscriptions} of {} ended by the new rules ({client})", text(principal))
            }
            Self::SendRefused { sender, class, proven, from } => {
                let unauth = if *proven { "" } else { " (unauth)" };
                write!(f, "sendit unauthorized {} from {}{unauth} ({from})", text(class), text(sender))
            }
            Self::InstanceRefused { sender, class, instance, proven, from } => {
                let unauth = if *proven { "" } else { " (unauth)" };
                let (class, instance) = (text(class), text(instance));
                write!(f, "sendit unauth uid {}{unauth} to {class} instance {instance} ({from})", text(sender))
            }
            Self::MalformedSubscription { sender, number } => {
                write!(f, "malformed subscription {number} from {}", text(sender))
            }
            Self::SubscriptionWithoutClass { sender, more } => {
                write!(f, "subscription without a class from {}{}", text(sender), And(*more))
            }
            Self::NameTooLong { what, sender, from, more } => {
                write!(f, "{what} too long when folded, from {} ({from}){}", text(sender), And(*more))
            }
            Self::MalformedFlush { sender } => write!(f, "malformed flushsubs from {}", text(sender)),
            Self::FlushRefused { sender, target } => {
                write!(f, "unauth flushsubs for {} by {}", text(target), text(sender))
            }
            Self::LoginRefused { sender, user } => write!(f, "unauth location of {} by {}", text(user), text(sender)),
            Self::MalformedLocation { sender } => write!(f, "zloc bad format from user {}", text(sender)),
            Self::UnknownOpcode { class, opcode, from } => {
                write!(f, "unknown {class} opcode {} from {from}", text(opcode))
            }
            Self::Full { what, from } => write!(f, "too many {what}, refused {from}"),
            Self::KeeperLate { keeper } => {
                write!(f, "{keeper} does not keep changes in time: answers do not wait for it until it has caught up")
            }
            Self::PeerLate { name } => {
                let name = text(name.as_bytes());
                write!(
                    f,
                    "server {name} does not keep changes in time: answers do not wait for it until it has caught up"
                )
            }
            Self::NotWritten { client, reason } => write!(f, "no notice for {client}: {reason}"),
            Self::Resent { client, transmission } => write!(f, "rexmit {client} #{transmission}"),
            Self::ClientDead { client, principal } => {
                write!(f, "client {client} ({}) answers no longer, forgotten", text(principal))
            }
            Self::PortClosed { client, principal } => {
                write!(f, "client {client} ({}) has ended: nobody listens at its port, forgotten", text(principal))
            }
            Self::NeverConfirmed { client, principal } => {
                write!(f, "client {client} ({}) never acknowledged anything, forgotten", text(principal))
            }
            Self::TakenOver { sender, owner, client } => {
                write!(f, "{} takes the port of {} ({client})", text(sender), text(owner))
            }
            Self::PeerConnected { name, program } => {
                write!(f, "server {name} is connected ({})", text(program.as_bytes()))
            }
            Self::PeerCaughtUp { name } => write!(f, "server {name} has caught up"),
            Self::PeerLost { name, why } => write!(f, "server {name} is lost: {}", text(why.as_bytes())),
            Self::KeptClockAhead { days } => {
                let days = Plural(usize::try_from(*days).unwrap_or(usize::MAX), "day", "days");
                write!(
                    f,
                    "the state has changes of a clock that was {days} ahead of the one here; they count as made now"
                )
            }
            Self::PeerClock { name, gap } => {
                write!(f, "the clock of server {} is {gap}", text(name.as_bytes()))?;
                if gap.is_beyond_kerberos() {
                    f.write_str(", more than Kerberos bears: nothing is proven where it is wrong; set it right")?;
                }
                Ok(())
            }
            Self::PeerSpeaksAsC { name } => {
                let name = text(name.as_bytes());
                write!(f, "server {name} speaks as C servers do: if it is one, name it in c of section peers")
            }
            Self::PeerNotReached { name, why } => {
                write!(f, "server {name} cannot be reached: {}", text(why.as_bytes()))
            }
            Self::RealmState { realm, state } => write!(f, "realm {} is now {state}", text(realm)),
            Self::NoRealmSession { realm, error } => {
                write!(
                    f,
                    "no session with realm {}: {error}; what is for it waits, and is lost after 8 seconds",
                    text(realm)
                )
            }
            Self::NotWrittenToRealm { reason } => write!(f, "no notice for another realm: {reason}"),
            Self::Unasked { realm, what, from } => {
                write!(f, "realm {} ({from}) tells {what} that nobody has asked it for, passed over", text(realm))
            }
            Self::RealmSubscriptionRefused { sender, from, count } => {
                let subscriptions = Plural(*count, "subscription", "subscriptions");
                write!(f, "{subscriptions} of another realm for {} refused ({from})", text(sender))
            }
            Self::RealmSubscriptionsEnded { realm, count } => {
                let subscriptions = Plural(*count, "subscription", "subscriptions");
                write!(f, "{subscriptions} of realm {} ended by the new rules", text(realm))
            }
            Self::Drained => f.write_str("no host uses this server any longer"),
            Self::HostFlushed { host, clients } => {
                write!(f, "host {} flushed, {} gone", host.ip(), Plural(*clients, "client", "clients"))
            }
            Self::PeerAdded { name } => write!(f, "adding server {}", text(name.as_bytes())),
            Self::PeerRemoved { name } => write!(f, "flushing server {}", text(name.as_bytes())),
            Self::PeerState { name, state } => write!(f, "server {} is {state}", text(name.as_bytes())),
            Self::PeerRefuses { name, opcode, sender } => {
                write!(f, "server {} refuses {} of {}", text(name.as_bytes()), text(opcode), text(sender))
            }
            Self::PeerNotice { class, from } => write!(f, "srv_disp: pkt cls {} from {from}", text(class)),
            Self::NoSuchClient { client } => write!(f, "kill_clt: no such client ({client})"),
            Self::DumpVersion { version, from } => {
                write!(f, "bdump_get: Incompatible bdump version '{}' from {from}", text(version))
            }
            Self::DumpBegins { name } => write!(f, "dump with server {} begins", text(name.as_bytes())),
            Self::DumpTaken { name, taken, dropped } => {
                let name = text(name.as_bytes());
                write!(
                    f,
                    "dump of server {name}: {} new here, {dropped} ended there",
                    Plural(*taken, "entry", "entries")
                )
            }
            Self::DumpDone { name } => write!(f, "dump with server {} done", text(name.as_bytes())),
            Self::DumpFailed { name, why } => write!(f, "dump with server {} failed: {why}", text(name.as_bytes())),
            Self::NoDump { name, why } => write!(f, "no dump with server {}: {why}", text(name.as_bytes())),
        }
    }
}
