//! The protocol of the control socket: requests and answers, one line of JSON each.

use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Maximum octets of a request, its newline included.
pub const MAX_REQUEST_OCTETS: usize = 4096;
/// Default limit of the entries in an answer.
pub const DEFAULT_ENTRIES: usize = 1000;

/// A request over the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlRequest {
    /// How is the server?
    Status {},
    /// Write down what is known: into the server's own file, or into the answer.
    Dump {
        /// Into the answer.
        #[serde(default)]
        here: bool,
    },
    /// Who receives notices?
    Clients {
        /// Clients listed at most.
        #[serde(default = "usual_entries")]
        limit: usize,
    },
    /// Who subscribed to a class?
    Subscriptions {
        /// The class, in any spelling.
        class: String,
        /// Subscriptions listed at most.
        #[serde(default = "usual_entries")]
        limit: usize,
    },
    /// What may this principal do with this class?
    AclCheck {
        /// The principal, as in `alice@REALM`.
        principal: String,
        /// The class, in any spelling.
        class: String,
        /// Where the principal is, if rules about addresses are to be asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// How are the other servers of the realm?
    Peers {},
    /// How are the other realms?
    Realms {},
    /// Ask all host managers to go to another server, and all that come.
    Drain {},
    /// Let host managers come again.
    EndDrain {},
    /// Read the configuration files again.
    Reload {},
}

fn usual_entries() -> usize {
    DEFAULT_ENTRIES
}

/// The answer to a [`ControlRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// How the server is.
    Status(Box<Status>),
    /// What it knows, as text.
    Dump(String),
    /// The file it wrote that to.
    DumpedTo(String),
    /// Who receives notices.
    Clients(Listing<ClientLine>),
    /// Who subscribed.
    Subscriptions(Listing<SubscriptionLine>),
    /// Who may do what.
    AclCheck(AclCheck),
    /// How the other servers of the realm are.
    Peers(Vec<PeerLine>),
    /// How the other realms are.
    Realms(Vec<RealmLine>),
    /// So many host managers were asked to go.
    Draining(usize),
    /// Host managers may come again.
    DrainEnded,
    /// The files are in use now.
    Reloaded(Reloaded),
    /// The files cannot be used; nothing changed.
    Problems(Vec<Problem>),
    /// The request is invalid, or cannot be served.
    Refused(String),
}

/// The status of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program and its version.
    pub version: String,
    /// The server's name.
    pub host: String,
    /// Where it listens, as it tells others.
    pub address: SocketAddr,
    /// Its realm.
    pub realm: String,
    /// How senders are proven.
    pub authentication: String,
    /// What it demands of those who use it.
    #[serde(default)]
    pub policy: PolicyInForce,
    /// Where it offers metrics, as in the settings.
    #[serde(default)]
    pub metrics: Option<String>,
    /// Whether what it knows is kept.
    #[serde(default)]
    pub state: StateStatus,
    /// Other realms that it talks with.
    #[serde(default)]
    pub realms: usize,
    /// How many of these answer.
    #[serde(default)]
    pub realms_up: usize,
    /// Since it began.
    pub seconds_operational: u64,
    /// How much it holds.
    pub holds: BTreeMap<String, u64>,
    /// What it counted since it began.
    pub counts: BTreeMap<String, u64>,
}

/// The file that a server keeps its state in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStatus {
    /// Its name; `None` where nothing is kept.
    pub file: Option<String>,
    /// For how long what happens has been in memory only; `None` when it is kept.
    pub seconds_in_memory: Option<u64>,
    /// Why.
    pub why: Option<String>,
}

/// The policy that a server judges by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// The section of the policy file that it is, or that it is none.
    pub origin: String,
    /// Its rules.
    pub rules: Vec<PolicyRule>,
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// Of which part, as the file has it: empty for the whole domain, else `bounds`, `class "NAME"` or `foreign "REALM"`.
    pub section: String,
    /// The setting.
    pub setting: String,
    /// Its value, as the file has it.
    pub value: String,
    /// What that means.
    pub meaning: String,
    /// Its place in the file, or that it is a default; empty where that is not known.
    pub place: String,
}

/// A list of entries, cut at a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// How many there are.
    pub total: usize,
    /// As many of them as were asked for.
    pub entries: Vec<T>,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientLine {
    /// Where it is.
    pub address: SocketAddr,
    /// Whose it is.
    pub principal: String,
    /// Whether that was proven.
    pub proven: bool,
    /// Whether it has shown that it receives there; until then nothing but probes is sent to it.
    pub confirmed: bool,
    /// How many subscriptions it holds.
    pub subscriptions: usize,
    /// Packets that it has not acknowledged yet.
    pub pending: usize,
    /// Since it last acknowledged something, or began.
    pub seconds_silent: u64,
}

/// A subscription of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionLine {
    /// The instance, `*` for any.
    pub instance: String,
    /// The recipient; empty for everybody.
    pub recipient: String,
    /// Whose it is.
    pub principal: String,
    /// The client that holds it.
    pub client: SocketAddr,
}

/// Another realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealmLine {
    /// Its name.
    pub realm: String,
    /// How it is: `up`, `tardy`, `starting`, `dead`, or `new` as long as nobody knows where it is.
    pub state: String,
    /// Since it last answered; before it has, since it was first asked.
    pub seconds_silent: u64,
    /// Why nothing can be sent there with proof, where the server could get no ticket.
    #[serde(default)]
    pub no_session: Option<String>,
    /// Packets that it has not acknowledged yet.
    pub waiting: usize,
    /// What it subscribed to here.
    pub subscriptions: usize,
    /// Its servers.
    pub servers: Vec<RealmServerLine>,
}

/// A server of another realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealmServerLine {
    /// Its name, as in the list.
    pub name: String,
    /// Where it is, as far as that is known.
    pub addresses: Vec<SocketAddr>,
    /// Whether anything is sent to it; else it is only received from.
    pub sends: bool,
    /// Whether it is the one that is sent to first.
    pub current: bool,
}

/// Another server of the realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLine {
    /// Its name, as in the list.
    pub name: String,
    /// Where it is, as far as that is known.
    pub addresses: Vec<SocketAddr>,
    /// Which program it is: `zephyr-rs`, or `C`; `?` as long as a server that is listed as one of ours has not said so.
    pub program: String,
    /// How it is.
    pub state: String,
    /// Since when it is so.
    pub seconds: u64,
    /// Changes that it has not acknowledged yet.
    pub behind: usize,
    /// What else is to be known: why it is not there, how far off its clock is.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// The access of a principal to a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclCheck {
    /// Whether the class is in the registry.
    pub restricted: bool,
    /// What is asked for, and how it is decided.
    pub rulings: Vec<AclRuling>,
}

/// The ruling of access control on one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclRuling {
    /// What: to send, to subscribe and so on.
    pub act: String,
    /// The list that decides: `xmt`, `sub`, `iws` or `iui`.
    pub list: String,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why.
    pub why: String,
}

/// The result of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Default subscriptions.
    pub default_subscriptions: usize,
    /// Restricted classes.
    pub restricted_classes: usize,
    /// Settings that changed in the file but need a restart.
    pub needs_restart: Vec<String>,
    /// What is valid, but probably a mistake.
    #[serde(default)]
    pub warnings: Vec<Problem>,
}

/// A text of the net as JSON has it: what is no UTF-8 is replaced.
pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
