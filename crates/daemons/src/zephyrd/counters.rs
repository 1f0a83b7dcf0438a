//! What the server counts.

/// Numbers since the start. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were notices.
    pub received: u64,
    /// Packets whose kind no server takes.
    pub bad_kinds: u64,
    /// Answers from somebody whom nothing was asked.
    pub stray_answers: u64,
    /// Packets that receivers drop: fragments that contradict themselves.
    pub dropped: u64,
    /// Packets that came again and were only answered again.
    pub repeated: u64,
    /// Requests refused because proof was wanted and missing.
    pub unauthenticated: u64,
    /// Requests refused because a limit was reached.
    pub full: u64,
    /// Packets sent to subscribers, the first time each.
    pub delivered: u64,
    /// Packets sent again.
    pub resent: u64,
    /// Acknowledgements that something waited for.
    pub acknowledged: u64,
    /// Packets given up without an acknowledgement.
    pub given_up: u64,
    /// Notices that could not be written for a subscriber.
    pub not_written: u64,
}

/// How much of everything the server holds at the moment; each is bounded by [`super::engine::Bounds`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Clients.
    pub clients: usize,
    /// Subscriptions of all clients.
    pub subscriptions: usize,
    /// Octets that these subscriptions take.
    pub subscription_octets: usize,
    /// Packets that wait for an acknowledgement.
    pub pending: usize,
    /// Octets of these packets.
    pub pending_octets: usize,
    /// Locations.
    pub locations: usize,
    /// Known hosts.
    pub hosts: usize,
    /// Packets remembered in order to be recognised.
    pub recent: usize,
}
