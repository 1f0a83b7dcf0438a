//! Checks of a machine's inside: its timers are set, its tables are bounded, and in the end nothing is left to do.

use super::{
    invariants::{Checked, Invariant},
    node::Node,
    process::Process,
};
use std::time::Duration;
use zephyr_core::limits::{MAX_PACKET, MAX_QUEUED};
use zephyr_engine::{
    host_manager::MAX_QUEUED_PACKETS,
    server::{Bounds, Server},
};

/// Packets that wait for credentials in a client at most.
const MAX_UNVERIFIED: usize = 1024;
/// Packets that a client remembers at most.
const MAX_REMEMBERED: usize = zephyr_core::duplicate::MAX_REMEMBERED;
/// Packets that a server verifies at a time.
const MAX_VERIFICATIONS: usize = 1024;
/// Packets and events that wait in a machine at most; a burst of them is handled before the next.
const MAX_OUTPUTS: usize = 20_000;

/// The longest that a host manager without a server waits before it greets another: 40 s, and what chance adds.
const MAX_GREETING: Duration = Duration::from_secs(52);
/// The longest that a host manager that knows no server waits before it asks again.
const MAX_DISCOVERY: Duration = Duration::from_secs(375);
/// The longest that an operation waits for anything.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The longest that a server waits before it sends an unacknowledged packet again, or gives it up.
const MAX_RETRANSMISSION: Duration = Duration::from_secs(512);

/// Whether whoever has something to do has also said when.
pub(super) fn has_timer(node: &Node, now: Duration, until: Option<Duration>) -> Checked {
    let (busy, longest) = match &node.process {
        None => return Ok(()),
        Some(Process::Server(server)) => {
            let queues = server.queue_lengths();
            let stuck = queues.ingress > 0 && node.jobs == 0;
            let busy = server.gauges().pending > 0 || queues.to_send > 0 || queues.repetitions > 0;
            (busy || stuck, MAX_RETRANSMISSION)
        }
        Some(Process::HostManager(machine)) if machine.servers().is_empty() => (node.jobs == 0, MAX_DISCOVERY),
        Some(Process::HostManager(machine)) if machine.is_looking() => (true, MAX_GREETING),
        Some(Process::HostManager(machine)) => (machine.queued() > 0, MAX_WAIT),
        Some(Process::Client(client)) => {
            let queues = client.queue_lengths();
            if queues.unverified > 0 && node.jobs == 0 && client.is_ready() {
                return Err((Invariant::Timers, format!("packets wait for a job that nobody does: {queues:?}")));
            }
            (queues.operations > 0 && node.jobs == 0, MAX_WAIT)
        }
    };
    if busy && until.is_none_or(|until| until > now + longest) {
        return Err((
            Invariant::Timers,
            format!("has something to do, and wants to wait until {until:?} (it is {now:?})"),
        ));
    }
    Ok(())
}

/// Whether everything is as small as it must be.
pub(super) fn is_bounded(node: &Node, bounds: &Bounds) -> Checked {
    let amounts = match &node.process {
        None => return Ok(()),
        Some(Process::Server(server)) => amounts_of_server(server, bounds),
        Some(Process::HostManager(machine)) => {
            vec![("queue", machine.queued(), MAX_QUEUED_PACKETS), ("outputs", machine.outputs(), MAX_OUTPUTS)]
        }
        Some(Process::Client(client)) => {
            let queues = client.queue_lengths();
            vec![
                ("arrived", queues.arrived, MAX_QUEUED / MAX_PACKET),
                ("unverified", queues.unverified, MAX_UNVERIFIED),
                ("incomplete octets", queues.incomplete_octets, MAX_QUEUED),
                ("remembered", queues.remembered, MAX_REMEMBERED),
                ("outputs", queues.transmits + queues.events, MAX_OUTPUTS),
            ]
        }
    };
    match amounts.into_iter().find(|(_, amount, most)| amount > most) {
        Some((what, amount, most)) => Err((Invariant::Bounded, format!("{what}: {amount}, at most {most} is allowed"))),
        None => Ok(()),
    }
}

/// What a server has of everything, and may have.
fn amounts_of_server(server: &Server, bounds: &Bounds) -> Vec<(&'static str, usize, usize)> {
    let (gauges, queues) = (server.gauges(), server.queue_lengths());
    // Those who prove nothing have room of their own.
    let for_all = |bound: usize| bound.saturating_add(bound.div_ceil(4));
    let clients = for_all(bounds.clients);
    vec![
        ("clients", gauges.clients, clients),
        ("subscriptions", gauges.subscriptions, clients.saturating_mul(bounds.subscriptions_per_client)),
        // One is added as long as there is any room.
        ("subscription octets", gauges.subscription_octets, for_all(bounds.subscription_octets) + 2 * MAX_PACKET),
        ("pending octets", gauges.pending_octets, for_all(bounds.delivery_octets) + bounds.answer_octets),
        ("locations", gauges.locations, bounds.locations),
        ("hosts", gauges.hosts, bounds.hosts),
        ("responses", gauges.recent, bounds.response_cache_entries),
        ("authenticators", gauges.replays, bounds.replay_cache_entries),
        ("ingress", queues.ingress, bounds.ingress_queue_packets),
        ("verifications", queues.verifications, MAX_VERIFICATIONS),
        ("to send", queues.to_send + queues.repetitions, MAX_OUTPUTS),
        ("outputs", queues.jobs + queues.events, MAX_OUTPUTS),
    ]
}

/// Whether nothing is left to do.
pub(super) fn is_quiet(node: &Node) -> Checked {
    let left = match &node.process {
        None => None,
        Some(Process::Server(server)) => {
            let (pending, queues) = (server.gauges().pending, server.queue_lengths());
            (pending > 0 || queues != Default::default()).then(|| format!("{pending} pending, {queues:?}"))
        }
        Some(Process::HostManager(machine)) => {
            let (queued, looking) = (machine.queued(), machine.is_looking());
            (queued > 0 || looking).then(|| format!("{queued} packets, looking for a server: {looking}"))
        }
        Some(Process::Client(client)) => {
            let queues = client.queue_lengths();
            (queues.operations + queues.unverified + queues.transmits > 0).then(|| format!("{queues:?}"))
        }
    };
    left.map_or(Ok(()), |left| Err((Invariant::Timers, format!("in the end something is left: {left}"))))
}
