//! Checks: probes of clients at whose ports, so the network says, nobody listens.
//!
//! What the network says can be forged by whoever guesses two ports; but only who has seen a probe can quote it, as its uid is
//! a secret of the server's. So a client ends only with an error that quotes the probe that was sent because of another one.
//!
//! Hosts send few such errors: Linux six at once, and then one a second to each of those that it sends them to. So the clients
//! of one host are checked one after another, and a probe of which nothing comes is sent again when the host may speak again.
//! As soon as that is so, what there is for those clients of the host that acknowledge nothing is held for a while: it would
//! only cost errors that the probes need.

use crate::server::state::clients::ClientId;
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    net::IpAddr,
    time::Duration,
};
use zephyr_core::{notice::leading_uid, uid::Uid};

/// The time between two probes to one host while nothing comes of them: somewhat longer than a host is silent that has sent as
/// many errors as it may.
pub(crate) const PAUSE: Duration = Duration::from_millis(1100);
/// How often a client is sent its probe. After one more pause the check is over, and nothing has come of it.
const MAX_PROBES: usize = 5;
/// The least time between two checks of a client.
const MEMORY: Duration = Duration::from_secs(5);
/// How long packets for clients of a host are held from its first check on, and from each time on that one of them is found
/// to be gone.
const HOLD: Duration = Duration::from_secs(10);
/// Maximum number of clients that are checked, or were lately.
const MAX_CHECKS: usize = 16_384;
/// Maximum number of clients of a host that wait for their check.
const MAX_WAITING: usize = 256;

/// The check of a client.
struct Check {
    client: ClientId,
    uid: Uid,
    /// The probe, as long as it may still be quoted or acknowledged.
    probe: Option<Bytes>,
    /// How often it was sent.
    sent: usize,
}

/// The checks of the clients of one host.
struct OfHost {
    current: Option<Check>,
    waiting: VecDeque<ClientId>,
    /// When the check goes on.
    due: Duration,
    /// Whether a probe had to be sent again.
    holds: bool,
    hold_ends: Duration,
    /// The clients for which something is held.
    held: BTreeSet<ClientId>,
}

/// How the checks of a host go on.
pub(crate) enum Turn {
    /// With this client's.
    Begin(ClientId),
    /// The probe is to be sent again.
    Repeat(ClientId, Bytes),
    /// Nothing is held any longer for these clients.
    LetGo(BTreeSet<ClientId>),
}

/// All checks.
#[derive(Default)]
pub(crate) struct Checks {
    of_host: HashMap<IpAddr, OfHost>,
    due: BTreeSet<(Duration, IpAddr)>,
    /// Clients that are checked, wait for it, or were checked lately.
    known: HashSet<ClientId>,
    /// When checks were over, and of whom.
    past: VecDeque<(Duration, ClientId)>,
}

impl Checks {
    /// It is doubtful whether a client of this host is there: it is checked in turn, unless it was lately.
    pub(crate) fn doubt(&mut self, now: Duration, host: IpAddr, client: ClientId) {
        while let Some(&(over, oldest)) = self.past.front()
            && now.saturating_sub(over) >= MEMORY
        {
            self.past.pop_front();
            self.known.remove(&oldest);
        }
        let is_full = |of_host: &OfHost| of_host.waiting.len() >= MAX_WAITING;
        if self.known.len() >= MAX_CHECKS || self.of_host.get(&host).is_some_and(is_full) || !self.known.insert(client)
        {
            return;
        }
        let due = &mut self.due;
        let of_host = self.of_host.entry(host).or_insert_with(|| {
            due.insert((now, host));
            let (waiting, held) = (VecDeque::new(), BTreeSet::new());
            OfHost { current: None, waiting, due: now, holds: false, hold_ends: now + HOLD, held }
        });
        of_host.waiting.push_back(client);
    }

    /// The next time at which a check goes on.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|&(due, _)| due)
    }

    /// A host whose checks go on now.
    pub(crate) fn due(&self, now: Duration) -> Option<IpAddr> {
        self.due.first().filter(|(due, _)| *due <= now).map(|&(_, host)| host)
    }

    /// How the checks of a host go on, if they do now.
    pub(crate) fn turn(&mut self, now: Duration, host: IpAddr) -> Option<Turn> {
        let of_host = self.of_host.get_mut(&host).filter(|of_host| of_host.due <= now)?;
        if now >= of_host.hold_ends && !of_host.held.is_empty() {
            return Some(Turn::LetGo(std::mem::take(&mut of_host.held)));
        }
        if let Some(Check { client, probe: Some(probe), sent, .. }) = &of_host.current
            && *sent < MAX_PROBES
        {
            return Some(Turn::Repeat(*client, probe.clone()));
        }
        if let Some(Check { client, .. }) = of_host.current.take() {
            self.past.push_back((now, client));
        }
        if let Some(next) = of_host.waiting.pop_front() {
            return Some(Turn::Begin(next));
        }
        let OfHost { due, held, .. } = self.of_host.remove(&host)?;
        self.due.remove(&(due, host));
        (!held.is_empty()).then_some(Turn::LetGo(held))
    }

    /// The client whose turn it is is sent this probe.
    pub(crate) fn begun(&mut self, now: Duration, host: IpAddr, client: ClientId, uid: Uid, probe: Bytes) {
        if let Some(of_host) = self.of_host.get_mut(&host) {
            of_host.current = Some(Check { client, uid, probe: Some(probe), sent: 1 });
        }
        self.postpone(host, now + PAUSE);
    }

    /// The probe is sent again.
    pub(crate) fn repeated(&mut self, now: Duration, host: IpAddr) {
        if let Some(of_host) = self.of_host.get_mut(&host) {
            of_host.holds = true;
            if let Some(check) = &mut of_host.current {
                check.sent += 1;
            }
        }
        self.postpone(host, now + PAUSE);
    }

    /// Nothing more may be sent to the host now; this client has its turn later.
    pub(crate) fn later(&mut self, now: Duration, host: IpAddr, client: Option<ClientId>) {
        if let (Some(of_host), Some(client)) = (self.of_host.get_mut(&host), client) {
            of_host.waiting.push_front(client);
        }
        self.postpone(host, now + PAUSE);
    }

    /// The client whose turn it is is not to be checked.
    pub(crate) fn passed_over(&mut self, client: ClientId) {
        self.known.remove(&client);
    }

    /// Handles an acknowledgement; true when it is of the client's probe. The checks of its host go on at once.
    pub(crate) fn is_answered(&mut self, now: Duration, host: IpAddr, client: ClientId, uid: Uid) -> bool {
        let Some(check) = self.check(host, client) else { return false };
        let is_answered = check.uid == uid && check.probe.take().is_some();
        if is_answered {
            self.postpone(host, now);
        }
        is_answered
    }

    /// Whether an error quotes the client's probe, far enough to show that whoever says so has seen it.
    pub(crate) fn is_quoted(&mut self, host: IpAddr, client: ClientId, quoted: &[u8]) -> bool {
        let Some(Check { uid, probe: Some(probe), .. }) = self.check(host, client) else { return false };
        probe.starts_with(quoted) && leading_uid(quoted) == Some(*uid)
    }

    /// The client that is being checked is gone. The checks of its host go on at once.
    pub(crate) fn gone(&mut self, now: Duration, host: IpAddr) {
        if let Some(of_host) = self.of_host.get_mut(&host) {
            of_host.hold_ends = now + HOLD;
        }
        self.postpone(host, now);
    }

    /// What comes of a client's probe counts no longer.
    pub(crate) fn end(&mut self, host: IpAddr, client: ClientId) {
        if let Some(check) = self.check(host, client) {
            check.probe = None;
        }
    }

    /// Whether packets for those clients of this host that acknowledge nothing are held.
    pub(crate) fn holds(&self, now: Duration, host: IpAddr) -> bool {
        self.of_host.get(&host).is_some_and(|of_host| of_host.holds && now < of_host.hold_ends)
    }

    /// Whether a packet for a client of this host is held, if the client acknowledges nothing or has not lately. It counts
    /// as held.
    pub(crate) fn hold(&mut self, now: Duration, host: IpAddr, client: ClientId, is_silent: bool) -> bool {
        let holds = is_silent && self.holds(now, host);
        let Some(of_host) = self.of_host.get_mut(&host) else { return false };
        if holds {
            of_host.held.insert(client);
        }
        // Nothing overtakes what is held.
        holds || of_host.held.contains(&client)
    }

    /// Nothing is held any longer for a client; true when something was.
    pub(crate) fn let_go(&mut self, host: IpAddr, client: ClientId) -> bool {
        self.of_host.get_mut(&host).is_some_and(|of_host| of_host.held.remove(&client))
    }

    fn check(&mut self, host: IpAddr, client: ClientId) -> Option<&mut Check> {
        self.of_host.get_mut(&host)?.current.as_mut().filter(|check| check.client == client)
    }

    fn postpone(&mut self, host: IpAddr, due: Duration) {
        if let Some(of_host) = self.of_host.get_mut(&host) {
            self.due.remove(&(of_host.due, host));
            of_host.due = due;
            self.due.insert((due, host));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        request::Path,
        state::clients::{Clients, NewClient},
    };
    use std::net::{Ipv4Addr, SocketAddr};
    use zephyr_core::{
        limits::Limits,
        notice::{Claim, Notice},
    };

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const START: Duration = Duration::from_secs(100);

    /// So many clients.
    fn clients(count: u16) -> Vec<ClientId> {
        let mut clients = Clients::default();
        let mut register = |port| {
            let path = Path { from: SocketAddr::from((HOST, port)), local: None };
            clients.register(NewClient { address: path.from, principal: b"a", path, session: None }, Duration::ZERO)
        };
        (1..=count).map(&mut register).collect()
    }

    fn uid(micros: u32) -> Uid {
        Uid { address: Ipv4Addr::LOCALHOST, seconds: 7, micros }
    }

    fn probe(micros: u32) -> Bytes {
        Notice { uid: uid(micros), ..Notice::EMPTY }.write(&Claim::NONE, Limits::COMPATIBLE).unwrap()
    }

    /// Does what is to be done at this time: what is sent, and whose packets are let go.
    fn go_on(checks: &mut Checks, now: Duration) -> (Vec<ClientId>, Vec<ClientId>) {
        let (mut sent, mut let_go) = (Vec::new(), Vec::new());
        while let Some(turn) = checks.turn(now, HOST) {
            match turn {
                Turn::Begin(client) => {
                    checks.begun(now, HOST, client, uid(1), probe(1));
                    sent.push(client);
                }
                Turn::Repeat(client, again) => {
                    assert_eq!(again, probe(1));
                    checks.repeated(now, HOST);
                    sent.push(client);
                }
                Turn::LetGo(clients) => let_go.extend(clients),
            }
        }
        (sent, let_go)
    }

    #[test]
    fn only_a_quotation_that_reaches_past_the_uid_counts() {
        let [client, other] = clients(2).try_into().unwrap();
        let mut checks = Checks::default();
        let probe = probe(1);
        assert!(!checks.is_quoted(HOST, client, &probe));
        checks.doubt(START, HOST, client);
        assert!(!checks.is_quoted(HOST, client, &probe), "it was not sent");
        assert_eq!(go_on(&mut checks, START).0, [client]);
        let enough = (0..probe.len()).find(|&octets| leading_uid(&probe[..octets]).is_some()).unwrap();
        let mut counts = |quoted: &[u8]| checks.is_quoted(HOST, client, quoted);
        assert_eq!([0, 8, enough - 1].map(|octets| counts(&probe[..octets])), [false; 3]);
        assert!(counts(&probe[..enough]) && counts(&probe));
        assert!(!counts(&self::probe(2)) && !counts(&[&probe[..], b"x"].concat()));
        assert!(!checks.is_quoted(HOST, other, &probe));
        checks.end(HOST, client);
        assert!(!checks.is_quoted(HOST, client, &probe), "known otherwise since");
    }

    #[test]
    fn a_client_is_not_checked_again_at_once_whatever_came_of_it() {
        let client = clients(1)[0];
        let mut checks = Checks::default();
        checks.doubt(START, HOST, client);
        assert_eq!(go_on(&mut checks, START).0, [client]);
        assert!(checks.is_answered(START, HOST, client, uid(1)) && !checks.is_answered(START, HOST, client, uid(1)));
        assert!(!checks.is_quoted(HOST, client, &probe(1)), "it has answered");
        assert_eq!((go_on(&mut checks, START).0, checks.next_due()), (vec![], None));
        for (wait, again) in [(MEMORY - Duration::from_millis(1), vec![]), (MEMORY, vec![client])] {
            checks.doubt(START + wait, HOST, client);
            assert_eq!(go_on(&mut checks, START + wait).0, again);
        }
    }

    #[test]
    fn one_after_another_is_probed_a_few_times() {
        let [first, second] = clients(2).try_into().unwrap();
        let mut checks = Checks::default();
        [first, second, first].iter().for_each(|&client| checks.doubt(START, HOST, client));
        let mut sent = Vec::new();
        for turn in 0..30_u32 {
            let now = START + PAUSE * turn;
            let before = now.saturating_sub(Duration::from_millis(1));
            assert!(turn == 0 || go_on(&mut checks, before).0.is_empty());
            sent.extend(go_on(&mut checks, now).0);
        }
        assert_eq!(sent, [[first; MAX_PROBES], [second; MAX_PROBES]].concat());
        assert!(checks.of_host.is_empty() && checks.due.is_empty());
    }

    #[test]
    fn who_answers_lets_the_next_be_asked_at_once() {
        let clients = clients(3);
        let mut checks = Checks::default();
        clients.iter().for_each(|&client| checks.doubt(START, HOST, client));
        for &client in &clients {
            assert_eq!(go_on(&mut checks, START).0, [client]);
            assert!(checks.is_answered(START, HOST, client, uid(1)));
        }
        assert!(!checks.holds(START, HOST));
    }

    #[test]
    fn packets_are_held_for_the_silent_only_and_not_for_long() {
        let [first, second, other] = clients(3).try_into().unwrap();
        let mut checks = Checks::default();
        [first, second].iter().for_each(|&client| checks.doubt(START, HOST, client));
        go_on(&mut checks, START);
        assert!(!checks.hold(START, HOST, first, true), "its answer may be on its way");
        let mut let_go = Vec::new();
        for turn in 1..=9 {
            let now = START + PAUSE * turn;
            assert_eq!(go_on(&mut checks, now), (vec![if turn < 5 { first } else { second }], vec![]));
            assert!(checks.hold(now, HOST, first, true) && !checks.hold(now, HOST, second, false));
            assert!(checks.hold(now, HOST, other, true), "it is not known whether it is there");
        }
        assert!(checks.let_go(HOST, first) && !checks.let_go(HOST, first));
        let now = START + PAUSE * 10;
        assert!(!checks.hold(now, HOST, first, true) && checks.hold(now, HOST, other, false), "nothing is overtaken");
        let_go.extend(go_on(&mut checks, now).1);
        assert_eq!(let_go, [other]);
        assert!(!checks.hold(now, HOST, other, true));
    }

    #[test]
    fn there_are_not_endlessly_many() {
        let mut checks = Checks::default();
        let clients = clients(20_000);
        for (place, &client) in clients.iter().enumerate() {
            checks.doubt(START, HOST, client);
            let host = Ipv4Addr::from_bits(u32::try_from(place).unwrap()).into();
            checks.doubt(START, host, client);
        }
        assert_eq!((checks.of_host[&HOST].waiting.len(), checks.known.len()), (MAX_WAITING, MAX_CHECKS));
    }
}
