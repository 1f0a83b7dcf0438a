//! The servers of the realm with their addresses: looked up on threads, as the name service may hang, and again from time to
//! time; and which of them is this one.

use super::server_list::{Listed, ServerList, Source};
use crate::{problem::Problem, settings::ServerName};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use zephyr_engine::server::{PeerKind, PeerServer};
use zephyr_net::address;

/// How long what was found holds.
const FOUND_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to wait after a name was not found.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long the name service may take at a start.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The servers of the realm, and what is known about their names.
#[derive(Debug)]
pub(super) struct PeerNames {
    list: ServerList,
    own: Own,
    servers: Vec<Server>,
    /// The look-up of the list itself, where Hesiod has it.
    hesiod: Option<Asking>,
    /// Of the list; answers about an older one do not count.
    generation: u64,
    /// Whether it was told that this server is none of the list.
    renegade: bool,
    answers: mpsc::UnboundedSender<Answer>,
    queue: mpsc::UnboundedReceiver<Answer>,
}

/// Where this server is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// Its address, where it listens at one alone.
    pub(super) bound: Option<IpAddr>,
    /// Its port, which others have that are named without one.
    pub(super) port: u16,
}

#[derive(Debug)]
struct Server {
    listed: Listed,
    asking: Asking,
    /// What was found last.
    addresses: Vec<SocketAddr>,
    /// Why the last look-up found nothing.
    failure: Option<String>,
}

/// When somebody is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// The answer is waited for.
    Now,
    /// At this moment; `None`: as soon as can be.
    At(Option<Instant>),
}

/// The answer to a look-up.
#[derive(Debug)]
pub(super) struct Answer {
    generation: u64,
    about: About,
}

#[derive(Debug)]
enum About {
    List(Result<Vec<String>, String>),
    Server(ServerName, Result<Vec<SocketAddr>, String>),
}

impl PeerNames {
    /// The servers of a list, of which nothing is known yet.
    pub(super) fn new(list: ServerList, own: Own) -> Self {
        let (answers, queue) = mpsc::unbounded_channel();
        let mut names = Self {
            list: list.clone(),
            own,
            servers: Vec::new(),
            hesiod: None,
            generation: 0,
            renegade: false,
            answers,
            queue,
        };
        names.replace(list);
        names
    }

    /// Another list from now on. What is known of servers that stay is kept, and looked up again at once.
    pub(super) fn replace(&mut self, list: ServerList) {
        self.generation += 1;
        self.renegade = false;
        let of_hesiod = matches!(list.source, Source::Hesiod(_));
        self.hesiod = of_hesiod.then_some(Asking::At(None));
        if of_hesiod && matches!(self.list.source, Source::Hesiod(_)) {
            // What Hesiod said holds until it says something else.
            let servers = std::mem::take(&mut self.list.servers);
            self.list = ServerList { servers, ..list };
        } else {
            self.list = list;
        }
        self.take_servers();
    }

    fn take_servers(&mut self) {
        let mut before = std::mem::take(&mut self.servers);
        let server = |listed: &Listed| {
            let known = before.iter().position(|server| server.listed.name.is(&listed.name));
            let addresses = known.map(|place| before.swap_remove(place).addresses).unwrap_or_default();
            Server { listed: listed.clone(), asking: Asking::At(None), addresses, failure: None }
        };
        self.servers = self.list.servers.iter().map(server).collect();
    }

    /// Begins the look-ups that are due.
    pub(super) fn ask(&mut self, now: Instant) {
        let is_due = |asking: Asking| match asking {
            Asking::Now => false,
            Asking::At(at) => at.is_none_or(|at| at <= now),
        };
        let generation = self.generation;
        if let (Some(asking), Source::Hesiod(hesiod)) = (&mut self.hesiod, &self.list.source)
            && is_due(*asking)
        {
            *asking = Asking::Now;
            let hesiod = hesiod.clone();
            let work = move || About::List(hesiod.servers().map_err(|error| error.to_string()));
            if let Err(error) = on_thread(&self.answers, generation, work) {
                *asking = Asking::At(Some(now + RETRY_INTERVAL));
                tracing::debug!("no thread for a look-up: {error}");
            }
        }
        let port = self.own.port;
        for server in self.servers.iter_mut().filter(|server| is_due(server.asking)) {
            server.asking = Asking::Now;
            let name = server.listed.name.clone();
            let work = move || {
                let found = look_up(&name, port).map_err(|error| reason(&error));
                About::Server(name, found)
            };
            if let Err(error) = on_thread(&self.answers, generation, work) {
                server.asking = Asking::At(Some(now + RETRY_INTERVAL));
                tracing::debug!("no thread for a look-up: {error}");
            }
        }
    }

    /// When something is to be looked up next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let all = self.servers.iter().map(|server| server.asking).chain(self.hesiod);
        all.filter_map(|asking| match asking {
            Asking::Now | Asking::At(None) => None,
            Asking::At(at) => at,
        })
        .min()
    }

    /// The next answer. May be cancelled.
    pub(super) async fn next(&mut self) -> Answer {
        match self.queue.recv().await {
            Some(answer) => answer,
            // The other end is here as well.
            None => std::future::pending().await,
        }
    }

    /// Takes an answer; gives what there is to say about it.
    pub(super) fn take(&mut self, now: Instant, answer: Answer) -> Vec<Problem> {
        if answer.generation != self.generation {
            return Vec::new();
        }
        match answer.about {
            About::List(Ok(names)) => {
                self.hesiod = Some(Asking::At(Some(now + FOUND_INTERVAL)));
                self.take_list(&names)
            }
            About::List(Err(error)) => {
                self.hesiod = Some(Asking::At(Some(now + RETRY_INTERVAL)));
                let known =
                    if self.servers.is_empty() { "this server is alone" } else { "the servers stay as they were" };
                vec![Problem::of_machine(format!("{} names no servers, so {known}: {error}", self.list.source))]
            }
            About::Server(name, found) => {
                let Some(server) = self.servers.iter_mut().find(|server| server.listed.name.is(&name)) else {
                    return Vec::new();
                };
                let interval = if found.is_ok() { FOUND_INTERVAL } else { RETRY_INTERVAL };
                server.asking = Asking::At(Some(now + interval));
                match found {
                    Ok(addresses) => {
                        server.addresses = addresses;
                        server.failure = None;
                        let was_told = std::mem::take(&mut self.renegade);
                        let renegade = self.renegade();
                        self.renegade = renegade.is_some();
                        renegade.filter(|_| !was_told).into_iter().collect()
                    }
                    // Where it was, it may be still.
                    Err(error) => {
                        let is_new = server.failure.as_ref() != Some(&error);
                        let said = format!("hostname failed, {name}: {error}");
                        server.failure = Some(error);
                        if is_new { vec![Problem::of_machine(said)] } else { Vec::new() }
                    }
                }
            }
        }
    }

    /// Takes the list that Hesiod has told.
    fn take_list(&mut self, names: &[String]) -> Vec<Problem> {
        let mut said = Vec::new();
        let mut servers = Vec::new();
        for name in names.iter().take(super::server_list::MAX_SERVERS) {
            match name.parse::<ServerName>() {
                Ok(name) => servers.push(name),
                Err(error) => said.push(Problem::of_machine(format!("{}: {error}", self.list.source))),
            }
        }
        for missing in self.list.peers.not_listed(&servers) {
            let text = format!("c: {missing} is not among the servers of {}", self.list.source);
            said.push(Problem::of_machine(text));
        }
        let before = self.list.servers.clone();
        self.list.take(servers);
        if self.list.servers != before {
            self.take_servers();
        }
        said
    }

    /// Waits for the first answer of each, but not for ever; gives what there is to say.
    pub(super) async fn settle(&mut self) -> Vec<Problem> {
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        let mut said = Vec::new();
        self.ask(Instant::now());
        while self.is_asking() {
            let Ok(answer) = tokio::time::timeout_at(deadline, self.next()).await else {
                let late = self.servers.iter().filter(|server| server.asking == Asking::Now);
                said.extend(late.map(|server| {
                    let name = &server.listed.name;
                    Problem::of_machine(format!("hostname failed, {name}: the name service does not answer"))
                }));
                break;
            };
            said.extend(self.take(Instant::now(), answer));
            self.ask(Instant::now());
        }
        said
    }

    fn is_asking(&self) -> bool {
        self.hesiod == Some(Asking::Now) || self.servers.iter().any(|server| server.asking == Asking::Now)
    }

    /// Whether others than this one may be of ours, whose names have addresses or not.
    pub(super) fn has_ours(&self) -> bool {
        self.peers().iter().any(|peer| peer.kind == PeerKind::Ours)
    }

    /// The servers beside this one. What two names stand for is the first one's.
    pub(super) fn peers(&self) -> Vec<PeerServer> {
        let own = self.own.addresses();
        let mut taken: Vec<SocketAddr> = Vec::new();
        let mut peers = Vec::new();
        for Server { listed, addresses, .. } in &self.servers {
            if addresses.iter().any(|address| self.own.is(&own, *address)) {
                continue;
            }
            let addresses: Vec<SocketAddr> =
                addresses.iter().copied().filter(|address| !taken.contains(address)).collect();
            taken.extend(&addresses);
            peers.push(PeerServer { name: listed.name.to_string().into(), kind: listed.kind, addresses });
        }
        peers
    }

    /// That this server is none of the list, once the addresses of all are known.
    fn renegade(&self) -> Option<Problem> {
        let own = self.own.addresses();
        let is_own = |server: &Server| server.addresses.iter().any(|address| self.own.is(&own, *address));
        if self.servers.iter().any(|server| server.addresses.is_empty() || is_own(server)) {
            return None;
        }
        Some(Problem::of_machine(format!(
            "I'm a renegade server! No server of {} has an address of this machine, so the others do not take what it sends for a \
             server's: name it there, on every server",
            self.list.source
        )))
    }
}

impl Own {
    /// Of a server that listens here.
    pub(super) fn of(listening: SocketAddr) -> Self {
        let ip = listening.ip();
        Self { bound: (!ip.is_unspecified()).then_some(ip), port: listening.port() }
    }

    /// Its addresses.
    fn addresses(&self) -> Vec<IpAddr> {
        match self.bound {
            Some(bound) => vec![bound],
            None => address::own().unwrap_or_default().into_iter().map(IpAddr::from).collect(),
        }
    }

    /// Whether this server is at an address; all of loopback is this machine's where it listens everywhere.
    fn is(&self, own: &[IpAddr], address: SocketAddr) -> bool {
        let is_here = own.contains(&address.ip()) || self.bound.is_none() && address.ip().is_loopback();
        address.port() == self.port && is_here
    }
}

fn on_thread(
    answers: &mpsc::UnboundedSender<Answer>,
    generation: u64,
    work: impl FnOnce() -> About + Send + 'static,
) -> io::Result<()> {
    let answers = answers.clone();
    let run = move || {
        // When nobody wants the answer any more, the server has ended.
        let _ = answers.send(Answer { generation, about: work() });
    };
    thread::Builder::new().name("look-up".to_owned()).spawn(run).map(drop)
}

/// The addresses of a server, the name service's first one first.
fn look_up(name: &ServerName, port: u16) -> io::Result<Vec<SocketAddr>> {
    let port = name.port.unwrap_or(port);
    let (first, others) = match name.host.parse::<Ipv4Addr>() {
        Ok(address) => return Ok(vec![(address, port).into()]),
        Err(_) => address::resolve_all(&name.host, port)?,
    };
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
    use crate::settings::Peers;
    use zephyr_engine::server::PeerKind;

    fn list(names: &[&str], c: &[&str]) -> ServerList {
        let parse = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<ServerName>>();
        let peers = Peers { c: parse(c), ..Peers::default() };
        let mut list = ServerList { source: Source::Settings, servers: Vec::new(), peers };
        list.take(parse(names));
        list
    }

    fn at(host: u8, port: u16) -> SocketAddr {
        ([127, 0, 7, host], port).into()
    }

    fn own(host: u8) -> Own {
        Own { bound: Some(at(host, 0).ip()), port: 2103 }
    }

    async fn settled(names: &mut PeerNames) -> Vec<String> {
        names.settle().await.iter().map(Problem::to_string).collect()
    }

    fn peers(names: &PeerNames) -> Vec<(String, PeerKind, Vec<SocketAddr>)> {
        names.peers().into_iter().map(|peer| (peer.name.into(), peer.kind, peer.addresses)).collect()
    }

    #[tokio::test]
    async fn this_server_is_known_by_its_address() {
        let mut names = PeerNames::new(list(&["127.0.7.1", "127.0.7.2", "127.0.7.1:2104"], &["127.0.7.2"]), own(1));
        assert_eq!(settled(&mut names).await, [""; 0]);
        let other = |name: &str, kind, at| (name.to_owned(), kind, vec![at]);
        let expected =
            [other("127.0.7.2", PeerKind::C, at(2, 2103)), other("127.0.7.1:2104", PeerKind::Ours, at(1, 2104))];
        assert_eq!(peers(&names), expected);
        // Where it listens everywhere, every loopback address is its own.
        let mut names = PeerNames::new(list(&["localhost", "192.0.2.1"], &[]), Own { bound: None, port: 2103 });
        assert_eq!(settled(&mut names).await, [""; 0]);
        assert_eq!(peers(&names), [other("192.0.2.1", PeerKind::Ours, ([192, 0, 2, 1], 2103).into())]);
    }

    #[tokio::test]
    async fn a_list_without_this_server_is_told() {
        let mut names = PeerNames::new(list(&["127.0.7.2", "127.0.7.3"], &[]), own(1));
        let said = settled(&mut names).await;
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("I'm a renegade server! No server of section peers of zephyr.toml"), "{said:?}");
        assert_eq!(peers(&names).len(), 2);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_asked_for_again() {
        let mut names = PeerNames::new(list(&["127.0.7.1", "no-such-host.invalid"], &[]), own(1));
        let said = settled(&mut names).await;
        assert!(said.len() == 1 && said[0].starts_with("hostname failed, no-such-host.invalid: "), "{said:?}");
        assert_eq!(peers(&names), [("no-such-host.invalid".to_owned(), PeerKind::Ours, vec![])]);
        let due = names.next_due().unwrap() - Instant::now();
        assert!(due <= RETRY_INTERVAL && due > RETRY_INTERVAL / 2, "{due:?}");
        // Not before, and what is said once is not said again.
        names.ask(Instant::now());
        assert!(!names.is_asking());
        names.ask(Instant::now() + RETRY_INTERVAL);
        assert!(names.is_asking());
        let answer = names.next().await;
        assert_eq!(names.take(Instant::now(), answer), []);
        // Where a server was it is still, as long as nothing else is known.
        names.servers[1].addresses = vec![at(9, 2103)];
        names.ask(Instant::now() + RETRY_INTERVAL);
        let answer = names.next().await;
        names.take(Instant::now(), answer);
        assert_eq!(peers(&names)[0].2, [at(9, 2103)]);
    }

    #[tokio::test]
    async fn another_list_is_looked_up_at_once_and_answers_about_the_old_one_do_not_count() {
        let mut names = PeerNames::new(list(&["127.0.7.1", "127.0.7.2"], &[]), own(1));
        names.ask(Instant::now());
        names.replace(list(&["127.0.7.1", "127.0.7.3"], &[]));
        let stale = names.next().await;
        assert_eq!(names.take(Instant::now(), stale), []);
        assert_eq!(settled(&mut names).await, [""; 0]);
        assert_eq!(peers(&names), [("127.0.7.3".to_owned(), PeerKind::Ours, vec![at(3, 2103)])]);
        let due = names.next_due().unwrap() - Instant::now();
        assert!(due > FOUND_INTERVAL / 2, "{due:?}");
    }
}
