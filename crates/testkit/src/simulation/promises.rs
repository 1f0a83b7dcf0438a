//! Readers to whom servers have promised a notice: who was answered that it is delivered may rely on it, as long as the server
//! lives on, and the reader is there.

use super::{
    invariants::{Incarnation, Invariant, Violation},
    node::Role,
    process::Process,
    trace::beginning,
    truth::Heading,
    world::World,
};
use std::{
    collections::{BTreeSet, HashSet},
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{fold::fold, kind::Kind, names, realm::completed, uid::Uid};
use zephyr_engine::server::{Change, Changed, Destination, Published};

/// How long a reader must have been subscribed so that it is one for certain, whenever the notice came.
const CERTAIN: Duration = Duration::from_secs(30);

/// The longest body that goes to a reader in one packet for certain.
const MAX_BODY: usize = 400;

/// A notice that a reader is to be shown.
#[derive(Debug)]
pub(super) struct Promise {
    uid: Uid,
    server: Incarnation,
    reader: Incarnation,
    heading: Heading,
    body: Vec<u8>,
    at: Duration,
}

impl World {
    /// A server has handed a notice to its readers.
    pub(super) fn promise(&mut self, node: usize, published: &Published) {
        let notice = published.notice();
        let is_whole =
            notice.multinotice.is_empty() || notice.multinotice == format!("0/{}", notice.body.len()).as_bytes();
        let is_kept = !self.scenario.cramped && published.verdict.is_authentic() && published.readers > 0;
        if !is_kept
            || !is_whole
            || notice.body.len() > MAX_BODY
            || notice.kind != Kind::Acked
            || notice.opcode == b"PING"
        {
            return;
        }
        let realm = &self.domains[self.nodes[node].domain].realm;
        let recipient = completed(notice.recipient, realm.as_bytes()).into_owned();
        let heading = Heading { recipient, ..Heading::of(&notice) };
        let Some(Process::Server(server)) = &self.nodes[node].process else { return };
        let since = micros(self.now_of(node).wall - CERTAIN);
        let mut proven = HashSet::new();
        let mut readers = BTreeSet::new();
        for Changed { stamp, change } in server.snapshot() {
            match change {
                Change::ClientKnown { client, session: Some(_), .. } => {
                    proven.insert(client);
                }
                Change::Subscribed { client, destinations, .. }
                    if stamp.time <= since
                        && proven.contains(&client)
                        && destinations.iter().any(|it| is_meant(it, &heading)) =>
                {
                    readers.extend(self.client_at(client));
                }
                _ => {}
            }
        }
        let server = self.nodes[node].incarnation(node);
        self.checker.numbers.promised += readers.len() as u64;
        self.promises.extend(readers.into_iter().map(|reader| Promise {
            uid: notice.uid,
            server,
            reader,
            heading: heading.clone(),
            body: notice.body.to_vec(),
            at: self.now,
        }));
    }

    /// The program that receives there.
    fn client_at(&self, address: SocketAddr) -> Option<Incarnation> {
        let is_it = |&node: &usize| {
            let it = &self.nodes[node];
            matches!(it.role, Role::Client { .. }) && it.process.is_some() && self.address_of(node) == address
        };
        (0..self.nodes.len()).find(is_it).map(|node| self.nodes[node].incarnation(node))
    }

    /// All promises are kept by servers that live on to readers that are there.
    pub(super) fn check_promises(&self) -> Result<(), Violation> {
        for promise in &self.promises {
            let Promise { uid, server, reader, heading, body, at } = promise;
            let address = self.address_of(reader.node);
            let has_moved = self.hosts[self.nodes[reader.node].host].moved_at.is_some_and(|moved| moved >= *at);
            let is_void = has_moved
                || !self.runs(*server)
                || !self.runs(*reader)
                || self.doubtful.contains(uid)
                || self.history.client_ended_since(self.group_of(server.node), address, *at);
            if !is_void && !self.checker.has_shown(*reader, heading, body) {
                let by = &self.nodes[server.node].name;
                let text = beginning(body);
                let seen =
                    format!("a notice that {by} had handed out at {:.6} s was never shown: {text:?}", at.as_secs_f64());
                return self.checked(reader.node, Err((Invariant::NoLostNotice, seen)));
            }
        }
        Ok(())
    }
}

/// Whether a subscription to this is one to a notice with this heading.
fn is_meant(destination: &Destination, heading: &Heading) -> bool {
    let (instance, recipient) = (destination.instance(), destination.recipient());
    *destination.class() == *fold(&heading.class)
        && (instance == names::ANY_INSTANCE || *instance == *fold(&heading.instance))
        && *recipient == *heading.recipient
}

fn micros(moment: SystemTime) -> u64 {
    u64::try_from(moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}
