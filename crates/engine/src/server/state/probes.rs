//! Probes: packets that only a program that is really there acknowledges.
//!
//! Whoever subscribes may have forged where he does it from, also when he proves who he is. So a client counts only
//! when it has acknowledged a packet whose uid nobody can guess who does not receive at its address. Acknowledgements
//! of other packets show nothing: their uids are their senders'.

use crate::server::state::{clients::ClientId, standing::Standing};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use zephyr_core::{
    schedule::{TO_UNCONFIRMED, UNCONFIRMED_MEMORY},
    uid::Uid,
};

/// The wait for another try when nothing may be sent to an address for now.
const RETRY: Duration = Duration::from_secs(10);

struct Probe {
    uid: Uid,
    transmissions: u8,
    due: Duration,
    /// When the client is given up.
    ends: Duration,
}

/// What is to be done about a client that has not acknowledged its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeDue {
    /// Send the probe with this uid.
    Send(ClientId, Uid),
    /// Give the client up.
    GiveUp(ClientId),
}

/// The probes of all clients that have not acknowledged theirs.
#[derive(Default)]
pub(crate) struct Probes {
    of_client: HashMap<ClientId, Probe>,
    due: BTreeSet<(Duration, ClientId)>,
}

impl Probes {
    /// A new client is probed from now on.
    pub(crate) fn begin(&mut self, now: Duration, client: ClientId, uid: Uid, standing: Standing) {
        let ends = match standing {
            Standing::Proven => now + TO_UNCONFIRMED.iter().sum::<Duration>(),
            Standing::Unproven => now + UNCONFIRMED_MEMORY,
        };
        self.of_client.insert(client, Probe { uid, transmissions: 0, due: now, ends });
        self.due.insert((now, client));
    }

    /// Whether this is the uid of the client's probe.
    pub(crate) fn is_answered(&self, client: ClientId, uid: Uid) -> bool {
        self.of_client.get(&client).is_some_and(|probe| probe.uid == uid)
    }

    /// A client is probed no longer; gives how often it was.
    pub(crate) fn end(&mut self, client: ClientId) -> usize {
        let Some(probe) = self.of_client.remove(&client) else { return 0 };
        self.due.remove(&(probe.due, client));
        probe.transmissions.into()
    }

    /// The time of the next action.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|&(due, _)| due)
    }

    /// The next action that is due.
    pub(crate) fn take_due(&self, now: Duration) -> Option<ProbeDue> {
        let &(due, client) = self.due.first().filter(|(due, _)| *due <= now)?;
        let probe = self.of_client.get(&client)?;
        Some(if due >= probe.ends { ProbeDue::GiveUp(client) } else { ProbeDue::Send(client, probe.uid) })
    }

    /// A probe was sent.
    pub(crate) fn sent(&mut self, now: Duration, client: ClientId) {
        let Some(probe) = self.of_client.get_mut(&client) else { return };
        let wait = TO_UNCONFIRMED.get(usize::from(probe.transmissions)).copied().unwrap_or(UNCONFIRMED_MEMORY);
        probe.transmissions = probe.transmissions.saturating_add(1);
        self.postpone(client, now + wait);
    }

    /// A probe may not be sent now.
    pub(crate) fn not_sent(&mut self, now: Duration, client: ClientId) {
        self.postpone(client, now + RETRY);
    }

    fn postpone(&mut self, client: ClientId, due: Duration) {
        if let Some(probe) = self.of_client.get_mut(&client) {
            self.due.remove(&(probe.due, client));
            let sent_often = usize::from(probe.transmissions) >= TO_UNCONFIRMED.len();
            probe.due = if sent_often { probe.ends } else { due.min(probe.ends) };
            self.due.insert((probe.due, client));
        }
    }
}
