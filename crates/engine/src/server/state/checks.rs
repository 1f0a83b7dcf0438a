//! Checks: probes of clients at whose ports, so the network says, nobody listens.
//!
//! What the network says can be forged by whoever guesses two ports; but only who has seen a probe can quote it, as its uid is
//! a secret of the server's. So a client ends only with an error that quotes the probe that was sent because of another one.

use crate::server::state::clients::ClientId;
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use zephyr_core::{notice::leading_uid, uid::Uid};

/// How long an error or an acknowledgement is waited for, and the least time between two checks of a client. The network says
/// it at once, if it does, and again with the next packet.
const MEMORY: Duration = Duration::from_secs(5);
/// Maximum number of checks in that time.
const MAX_CHECKS: usize = 2048;

/// The check of a client.
struct Check {
    uid: Uid,
    /// The probe, as long as nothing has come of it.
    probe: Option<Bytes>,
}

/// The checks that were made lately.
#[derive(Default)]
pub(crate) struct Checks {
    of_client: HashMap<ClientId, Check>,
    /// When each of them was made, and of clients that are gone or known otherwise since.
    order: VecDeque<(Duration, ClientId)>,
}

impl Checks {
    /// Whether a client may be checked now.
    pub(crate) fn may_begin(&mut self, now: Duration, client: ClientId) -> bool {
        while let Some(&(begun, oldest)) = self.order.front()
            && now.saturating_sub(begun) >= MEMORY
        {
            self.order.pop_front();
            self.of_client.remove(&oldest);
        }
        self.order.len() < MAX_CHECKS && !self.of_client.contains_key(&client)
    }

    /// A client that [may be](Self::may_begin) is sent this probe.
    pub(crate) fn begin(&mut self, now: Duration, client: ClientId, uid: Uid, probe: Bytes) {
        self.of_client.insert(client, Check { uid, probe: Some(probe) });
        self.order.push_back((now, client));
    }

    /// Handles an acknowledgement; true when it is of the client's probe.
    pub(crate) fn is_answered(&mut self, client: ClientId, uid: Uid) -> bool {
        self.of_client.get_mut(&client).is_some_and(|check| check.uid == uid && check.probe.take().is_some())
    }

    /// Whether an error quotes the client's probe, far enough to show that whoever says so has seen it.
    pub(crate) fn is_quoted(&self, client: ClientId, quoted: &[u8]) -> bool {
        let Some(Check { uid, probe: Some(probe) }) = self.of_client.get(&client) else { return false };
        probe.starts_with(quoted) && leading_uid(quoted) == Some(*uid)
    }

    /// What comes of a client's probe counts no longer.
    pub(crate) fn end(&mut self, client: ClientId) {
        if let Some(check) = self.of_client.get_mut(&client) {
            check.probe = None;
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

    /// So many clients.
    fn clients(count: u16) -> Vec<ClientId> {
        let mut clients = Clients::default();
        let mut register = |port| {
            let path = Path { from: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), local: None };
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

    #[test]
    fn only_a_quotation_that_reaches_past_the_uid_counts() {
        let [client, other] = clients(2).try_into().unwrap();
        let mut checks = Checks::default();
        let probe = probe(1);
        assert!(checks.may_begin(Duration::ZERO, client) && !checks.is_quoted(client, &probe));
        checks.begin(Duration::ZERO, client, uid(1), probe.clone());
        let enough = (0..probe.len()).find(|&octets| leading_uid(&probe[..octets]).is_some()).unwrap();
        let counts = |quoted: &[u8]| checks.is_quoted(client, quoted);
        assert_eq!([0, 8, enough - 1].map(|octets| counts(&probe[..octets])), [false; 3]);
        assert!(counts(&probe[..enough]) && counts(&probe));
        assert!(!counts(&self::probe(2)) && !counts(&[&probe[..], b"x"].concat()));
        assert!(!checks.is_quoted(other, &probe));
        checks.end(client);
        assert!(!checks.is_quoted(client, &probe), "known otherwise since");
    }

    #[test]
    fn a_client_is_not_checked_again_at_once_whatever_came_of_it() {
        let client = clients(1)[0];
        let mut checks = Checks::default();
        checks.begin(Duration::ZERO, client, uid(1), probe(1));
        assert!(checks.is_answered(client, uid(1)) && !checks.is_answered(client, uid(1)));
        assert!(!checks.is_quoted(client, &probe(1)), "it has answered");
        assert!(!checks.may_begin(MEMORY - Duration::from_millis(1), client));
        assert!(checks.may_begin(MEMORY, client));
        assert!(checks.of_client.is_empty() && checks.order.is_empty());
    }

    #[test]
    fn there_are_not_endlessly_many() {
        let mut checks = Checks::default();
        let clients = clients(5000);
        for &client in &clients {
            if checks.may_begin(Duration::ZERO, client) {
                checks.begin(Duration::ZERO, client, uid(1), probe(1));
            }
        }
        assert_eq!((checks.of_client.len(), checks.order.len()), (MAX_CHECKS, MAX_CHECKS));
        assert!(checks.may_begin(MEMORY, clients[4999]));
    }
}
