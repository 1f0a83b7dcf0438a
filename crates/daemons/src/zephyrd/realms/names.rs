//! Where the servers of other realms are: their names are looked up on threads, as the name service may hang, and again from time
//! to time.

use super::list::{ListedServer, RealmList};
use crate::{problem::Problem, settings::ServerName};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use zephyr_engine::server::{NeighbourRealm, RealmServer};
use zephyr_net::address;

/// How long what was found holds.
const FOUND_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to wait after a name was not found.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long a check waits for the name service.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of look-ups at a time, each of which is a thread.
const MAX_AT_ONCE: usize = 16;
/// Maximum number of addresses of one host that are taken.
const MAX_ADDRESSES: usize = 16;

/// What looks up the addresses of a host, which has this port if it has no other.
type Resolver = fn(&ServerName, u16) -> io::Result<Vec<SocketAddr>>;

/// The servers of other realms, and what is known about their names.
#[derive(Debug)]
pub(crate) struct RealmNames {
    list: RealmList,
    /// The server's own realm, which is none of them.
    own: String,
    /// The port of servers that are named without one.
    port: u16,
    /// Each host that the list names, once.
    hosts: Vec<Host>,
    /// Look-ups under way.
    running: usize,
    resolver: Resolver,
    answers: mpsc::UnboundedSender<Answer>,
    queue: mpsc::UnboundedReceiver<Answer>,
}

#[derive(Debug)]
struct Host {
    name: ServerName,
    asking: Asking,
    /// What was found last.
    addresses: Vec<SocketAddr>,
    /// Why the last look-up found nothing.
    failure: Option<String>,
}

/// When the name service is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// Its answer is waited for.
    Now,
    /// At this moment; `None`: as soon as can be.
    At(Option<Instant>),
}

/// The answer to a look-up.
#[derive(Debug)]
pub(crate) struct Answer {
    name: ServerName,
    found: Result<Vec<SocketAddr>, String>,
}

/// What an answer has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether servers are at other addresses than before.
    pub(crate) moved: bool,
    /// What there is to say about it.
    pub(crate) warnings: Vec<Problem>,
}

impl RealmNames {
    /// The servers of the realms in a list that are not `own`; nothing is known of where they are.
    pub(crate) fn new(list: RealmList, own: &str, port: u16) -> Self {
        Self::with_resolver(list, own, port, look_up)
    }

    fn with_resolver(list: RealmList, own: &str, port: u16, resolver: Resolver) -> Self {
        let (answers, queue) = mpsc::unbounded_channel();
        let own = own.to_owned();
        let empty = RealmList::default();
        let mut names = Self { list: empty, own, port, hosts: Vec::new(), running: 0, resolver, answers, queue };
        names.replace(list);
        names
    }

    /// Another list from now on. What is known of hosts that stay is kept, and looked up again at once.
    pub(crate) fn replace(&mut self, list: RealmList) {
        let mut before = std::mem::take(&mut self.hosts);
        let mut hosts: Vec<Host> = Vec::new();
        for server in list.others(&self.own).flat_map(|realm| &realm.servers) {
            if hosts.iter().any(|host| host.name == server.host) {
                continue;
            }
            let known = before.iter().position(|host| host.name == server.host).map(|place| before.swap_remove(place));
            let new = Host { name: server.host.clone(), asking: Asking::At(None), addresses: vec![], failure: None };
            let mut host = known.unwrap_or(new);
            if host.asking != Asking::Now {
                host.asking = Asking::At(None);
            }
            hosts.push(host);
        }
        (self.hosts, self.list) = (hosts, list);
    }

    /// Begins the look-ups that are due. An address is found on the spot; true when one was.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let mut found = false;
        for host in &mut self.hosts {
            if !matches!(host.asking, Asking::At(at) if at.is_none_or(|at| at <= now)) {
                continue;
            }
            if let Ok(address) = host.name.host.parse::<Ipv4Addr>() {
                host.addresses = vec![(address, host.name.port.unwrap_or(self.port)).into()];
                host.asking = Asking::At(Some(now + FOUND_INTERVAL));
                found = true;
                continue;
            }
            if self.running >= MAX_AT_ONCE {
                // The next answer makes room.
                continue;
            }
            let (name, port, answers, resolver) = (host.name.clone(), self.port, self.answers.clone(), self.resolver);
            let work = move || {
                let found = resolver(&name, port).map_err(|error| reason(&error));
                // When nobody wants the answer any more, the server has ended.
                let _ = answers.send(Answer { name, found });
            };
            match thread::Builder::new().name("look-up".to_owned()).spawn(work) {
                Ok(_) => {
                    self.running += 1;
                    host.asking = Asking::Now;
                }
                Err(error) => {
                    tracing::debug!("no thread for a look-up: {error}");
                    host.asking = Asking::At(Some(now + RETRY_INTERVAL));
                }
            }
        }
        found
    }

    /// When something is to be looked up next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let at = |host: &Host| match host.asking {
            Asking::Now | Asking::At(None) => None,
            Asking::At(at) => at,
        };
        self.hosts.iter().filter_map(at).min().filter(|_| self.running < MAX_AT_ONCE)
    }

    /// The next answer. May be cancelled.
    pub(crate) async fn next(&mut self) -> Answer {
        match self.queue.recv().await {
            Some(answer) => answer,
            // The other end is here as well.
            None => std::future::pending().await,
        }
    }

    /// Takes an answer. What was known stays known where nothing is found: a host does not move because the name service is
    /// away.
    pub(crate) fn take(&mut self, now: Instant, Answer { name, found }: Answer) -> Change {
        self.running = self.running.saturating_sub(1);
        let mut change = Change::default();
        let Some(host) = self.hosts.iter_mut().find(|host| host.name == name) else { return change };
        let interval = if found.is_ok() { FOUND_INTERVAL } else { RETRY_INTERVAL };
        host.asking = Asking::At(Some(now + interval));
        match found {
            Ok(mut addresses) => {
                addresses.truncate(MAX_ADDRESSES);
                change.moved = host.addresses != addresses;
                (host.addresses, host.failure) = (addresses, None);
            }
            Err(error) => {
                let is_new = host.failure.as_ref() != Some(&error);
                host.failure = Some(error.clone());
                if is_new {
                    change.warnings = self.unfound(&name, &error);
                }
            }
        }
        change
    }

    /// The realms, with the addresses of their servers as far as those are known.
    pub(crate) fn realms(&self) -> Vec<NeighbourRealm> {
        let addresses =
            |name: &ServerName| self.hosts.iter().find(|host| host.name == *name).map(|host| &host.addresses);
        let server = |server: &ListedServer| RealmServer {
            name: server.host.to_string(),
            addresses: addresses(&server.host).cloned().unwrap_or_default(),
            sends: !server.only_from,
        };
        let others = self.list.others(&self.own);
        others
            .map(|realm| NeighbourRealm {
                name: realm.name.as_bytes().into(),
                servers: realm.servers.iter().map(server).collect(),
            })
            .collect()
    }

    /// The warnings about hosts that have no address, once each was looked up or the name service took too long.
    pub(crate) async fn check(mut self) -> Vec<Problem> {
        let deadline = tokio::time::Instant::now() + CHECK_TIMEOUT;
        let mut warnings = Vec::new();
        self.ask(Instant::now());
        while self.running > 0 {
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(answer) => warnings.extend(self.take(Instant::now(), answer).warnings),
                Err(_) => {
                    let late = self.hosts.iter().filter(|host| host.asking == Asking::Now);
                    let names: Vec<ServerName> = late.map(|host| host.name.clone()).collect();
                    let late = "the name service does not answer";
                    warnings.extend(names.iter().flat_map(|name| self.unfound(name, late)));
                    break;
                }
            }
            self.ask(Instant::now());
        }
        warnings.sort();
        warnings
    }

    /// That a host was not found, in each line that names it.
    fn unfound(&self, name: &ServerName, error: &str) -> Vec<Problem> {
        let others = self.list.others(&self.own);
        let lines = others.flat_map(|realm| &realm.servers).filter(|server| server.host == *name);
        let text = format!("no address of {name} is known: {error}");
        lines.map(|server| Problem { line: server.line, ..Problem::whole_file(self.list.file(), &text) }).collect()
    }
}

/// The addresses of a server, the name service's first one first.
fn look_up(name: &ServerName, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (first, others) = address::resolve_all(&name.host, name.port.unwrap_or(port))?;
    Ok([first].into_iter().chain(others).map(SocketAddr::from).collect())
}

/// What the name service says, without what the standard library says before it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zephyrd::realms::list::load;

    fn list(content: &str) -> RealmList {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("realm.list"), content).unwrap();
        load(folder.path()).unwrap().list
    }

    fn names(content: &str) -> RealmNames {
        // Only what ends with `.known` is known to this name service.
        let resolver: Resolver = |name, port| match name.host.strip_suffix(".known") {
            Some(number) => Ok(vec![([10, 0, 0, number.parse().unwrap()], name.port.unwrap_or(port)).into()]),
            None => Err(io::Error::other("failed to lookup address information: Name or service not known")),
        };
        RealmNames::with_resolver(list(content), "HERE.TEST", 2103, resolver)
    }

    fn shown(names: &RealmNames) -> Vec<String> {
        let server = |server: &RealmServer| format!("{}{:?}", if server.sends { "" } else { "/" }, server.addresses);
        let realm = |realm: &NeighbourRealm| {
            let servers: Vec<_> = realm.servers.iter().map(server).collect();
            format!("{} {}", String::from_utf8_lossy(&realm.name), servers.join(" "))
        };
        names.realms().iter().map(realm).collect()
    }

    /// Takes all answers that are under way.
    fn settle(names: &mut RealmNames, now: Instant) -> Change {
        let mut all = Change::default();
        names.ask(now);
        while names.running > 0 {
            let answer = names.queue.blocking_recv().unwrap();
            let change = names.take(now, answer);
            all.moved |= change.moved;
            all.warnings.extend(change.warnings);
            names.ask(now);
        }
        all
    }

    #[test]
    fn addresses_are_known_on_the_spot_and_names_later() {
        let mut names = names("A.TEST 10.0.0.1\nA.TEST /7.known:99\nB.TEST 8.known\nhere.test z\n");
        assert_eq!(shown(&names), ["A.TEST [] /[]", "B.TEST []"], "our own realm is none of them");
        assert!(names.ask(Instant::now()));
        assert_eq!(shown(&names), ["A.TEST [10.0.0.1:2103] /[]", "B.TEST []"]);
        let change = settle(&mut names, Instant::now());
        assert_eq!(change, Change { moved: true, warnings: Vec::new() });
        assert_eq!(shown(&names), ["A.TEST [10.0.0.1:2103] /[10.0.0.7:99]", "B.TEST [10.0.0.8:2103]"]);
    }

    #[test]
    fn a_name_is_looked_up_again_and_its_failure_is_told_once() {
        let mut names = names("A.TEST gone\nB.TEST gone\nB.TEST 1.known\n");
        let begun = Instant::now();
        let change = settle(&mut names, begun);
        let lines: Vec<_> = change.warnings.iter().map(|warning| (warning.line, &*warning.text)).collect();
        let text = "no address of gone is known: Name or service not known";
        assert_eq!(lines, [(1, text), (2, text)]);
        assert_eq!(names.next_due(), Some(begun + RETRY_INTERVAL));
        assert!(!names.ask(begun + RETRY_INTERVAL - Duration::from_secs(1)) && names.running == 0);
        assert_eq!(settle(&mut names, begun + RETRY_INTERVAL), Change::default(), "told already");
        // What was found is asked about a day later, and what is known stays known.
        let host =
            |names: &mut RealmNames, name: &str| names.hosts.iter().position(|host| host.name.host == name).unwrap();
        let found = host(&mut names, "1.known");
        assert_eq!(names.hosts[found].asking, Asking::At(Some(begun + FOUND_INTERVAL)));
        names.running = 1;
        let away = Answer { name: "1.known".parse().unwrap(), found: Err("away".to_owned()) };
        assert!(!names.take(begun, away).moved);
        assert_eq!(shown(&names)[1], "B.TEST [] [10.0.0.1:2103]");
    }

    #[test]
    fn another_list_keeps_what_is_known_and_asks_again_at_once() {
        let mut names = names("A.TEST 1.known\n");
        let begun = Instant::now();
        settle(&mut names, begun);
        names.replace(list("B.TEST 2.known\nA.TEST 1.known\n"));
        assert_eq!(shown(&names), ["B.TEST []", "A.TEST [10.0.0.1:2103]"]);
        names.ask(begun);
        assert_eq!(names.running, 2);
        names.replace(list("A.TEST 1.known\n"));
        names.ask(begun);
        assert_eq!(names.running, 2, "what is under way is not asked twice");
        settle(&mut names, begun);
        assert_eq!((shown(&names), names.running), (vec!["A.TEST [10.0.0.1:2103]".to_owned()], 0));
    }

    #[test]
    fn only_so_many_are_asked_about_at_a_time() {
        let content: String = (0..40).map(|number| format!("R{} {number}.known\n", number / 20)).collect();
        let mut names = names(&content);
        names.ask(Instant::now());
        assert_eq!((names.running, names.next_due()), (MAX_AT_ONCE, None));
        settle(&mut names, Instant::now());
        assert!(names.realms().iter().flat_map(|realm| &realm.servers).all(|server| server.addresses.len() == 1));
    }

    #[tokio::test]
    async fn a_check_tells_of_hosts_without_address() {
        let warnings = names("A.TEST 1.known\nA.TEST gone\n").check().await;
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].to_string().ends_with("realm.list:2: no address of gone is known: Name or service not known")
        );
    }
}
