//! A copy of a server's state, made of nothing but the changes that it told. Whoever stores or hands on what a server knows
//! lives on them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
};
use zephyr_core::{exposure::Exposure, sanitize, time::Now};
use zephyr_engine::{
    machine::{Input, Machine},
    server::{Change, ChangeSource, Changed, Command, Config, Destination, Gauges, Located, NeighbourRealm, Server},
};

/// A server's clients, subscriptions, locations and hosts.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    clients: BTreeMap<SocketAddr, Client>,
    locations: BTreeMap<(Vec<u8>, SocketAddr), Located>,
    hosts: BTreeMap<IpAddr, u16>,
    realms: BTreeMap<Vec<u8>, HashSet<Destination>>,
}

#[derive(Debug, Default)]
struct Client {
    principal: Vec<u8>,
    confirmed: bool,
    subscriptions: HashSet<Destination>,
}

impl Mirror {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::ClientKnown { client, principal, .. } => {
                self.clients.entry(*client).or_default().principal = principal.to_vec();
            }
            Change::ClientConfirmed { client, .. } => {
                let known = self.clients.get_mut(client).expect("a known client is confirmed");
                assert!(!std::mem::replace(&mut known.confirmed, true), "{client} is confirmed already");
            }
            Change::Subscribed { client, destinations, .. } => {
                let known = self.clients.get_mut(client).expect("a known client subscribes");
                for it in destinations {
                    assert!(known.subscriptions.insert(it.clone()), "{client} has {it:?} already");
                }
            }
            Change::Unsubscribed { client, destinations, .. } => {
                let known = self.clients.get_mut(client).expect("a known client unsubscribes");
                for it in destinations {
                    assert!(known.subscriptions.remove(it), "{client} has no {it:?}");
                }
            }
            Change::ClientGone { client, .. } => {
                assert!(self.clients.remove(client).is_some(), "{client} was not known");
            }
            Change::Located(located) => {
                self.locations.insert((located.user.to_vec(), located.address), located.clone());
            }
            Change::LocationGone { user, address, .. } => {
                let gone = self.locations.remove(&(user.to_vec(), *address));
                assert!(gone.is_some(), "{} was not at {address}", user.escape_ascii());
            }
            Change::HostKnown { manager, .. } => {
                self.hosts.insert(manager.ip(), manager.port());
            }
            Change::HostGone { manager } => {
                assert_eq!(self.hosts.remove(&manager.ip()), Some(manager.port()), "{manager} was not known");
            }
            Change::RealmSubscribed { realm, destinations, .. } => {
                self.realms.entry(realm.to_vec()).or_default().extend(destinations.iter().cloned());
            }
            Change::RealmUnsubscribed { realm, destinations, .. } => {
                let held = self.realms.get_mut(realm.as_ref()).expect("a known realm unsubscribes");
                for it in destinations {
                    assert!(held.remove(it), "{} has no {it:?}", realm.escape_ascii());
                }
            }
            Change::RealmAsked { .. }
            | Change::AuthenticatorUsed(_)
            | Change::ProofsUndone { .. }
            | Change::VersionsKnown { .. }
            | Change::Ended { .. } => {}
        }
    }

    /// Compares with what the server says of itself.
    pub(crate) fn check(&self, dump: &str, gauges: &Gauges) {
        let (mut held, mut client) = (BTreeSet::new(), "");
        let is_realm = |line: &str| line.split_once(':').is_some_and(|(number, _)| number.parse::<u8>().is_ok());
        let is_ours = |line: &&str| !line.starts_with("Triplet ") && !is_realm(line);
        for line in dump.lines().skip(2).take_while(is_ours) {
            if line.starts_with('\t') {
                held.insert(format!("{client}{line}"));
            } else {
                client = line;
                held.insert(line.to_owned());
            }
        }
        assert_eq!(self.lines(), held, "what changed, and what the server holds");
        assert_eq!(self.hosts.len(), gauges.hosts);
        assert_eq!(self.realms.values().map(HashSet::len).sum::<usize>(), gauges.realm_subscriptions);
        assert_eq!(self.clients.values().filter(|client| !client.confirmed).count(), gauges.unconfirmed);
    }

    /// As the server's dump has it; each subscription after its client.
    fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for (address, client) in &self.clients {
            let head = format!("{}/{} ({}):", address.ip(), address.port(), text(&client.principal));
            for it in &client.subscriptions {
                let [class, instance, recipient] = [it.class(), it.instance(), it.recipient()].map(text);
                lines.insert(format!("{head}\t'{class}' '{instance}' '{recipient}'"));
            }
            lines.insert(head);
        }
        for located in self.locations.values() {
            let [user, machine, time, tty] =
                [&located.user[..], &located.machine, &located.time, &located.tty].map(text);
            let (exposure, address) = (dump_word(located.exposure), located.address);
            lines.insert(format!(
                "'{user}' '{machine}' '{time}' '{tty}' {exposure} {}/{}",
                address.ip(),
                address.port()
            ));
        }
        lines
    }
}

/// A server that is given what the other one tells, as one that starts again.
pub(crate) struct Restored(Server);

impl Restored {
    pub(crate) fn new(config: Config, now: Now) -> Self {
        Self(Server::new(config, now))
    }

    pub(crate) fn apply(&mut self, now: Now, changed: Changed) {
        self.0.apply(now, changed, ChangeSource::Kept);
    }

    /// It is told of other realms, as every server is at its start.
    pub(crate) fn know_realms(&mut self, now: Now, realms: Vec<NeighbourRealm>) {
        self.0.handle(now, Input::Command(Command::Realms(realms)));
    }

    /// It holds the same as the other one, in the same order.
    pub(crate) fn check(&self, dump: &str, gauges: &Gauges) {
        assert_eq!(self.0.dump(), dump, "what a server holds after a restart, and before");
        let state = |gauges: &Gauges| {
            [gauges.clients, gauges.unconfirmed, gauges.subscriptions, gauges.subscription_octets]
                .into_iter()
                .chain([gauges.locations, gauges.hosts, gauges.replays])
                .collect::<Vec<usize>>()
        };
        assert_eq!(state(&self.0.gauges()), state(gauges));
    }
}

/// As the dump spells it.
fn text(octets: &[u8]) -> String {
    let lines: Vec<String> = octets.split(|&octet| octet == b'\n').map(sanitize::name).collect();
    lines.join("\\n").replace('\'', "\\q")
}

fn dump_word(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::None => "NONE",
        Exposure::OpStaff => "OPSTAFF",
        Exposure::RealmVisible => "RLM_VIS",
        Exposure::RealmAnnounced => "RLM_ANN",
        Exposure::NetVisible => "NET_VIS",
        Exposure::NetAnnounced => "NET_ANN",
    }
}
