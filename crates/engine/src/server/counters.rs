//! Counters and gauges of the server.

use zephyr_core::auth::Reason;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The number's own name among those of its kind.
    pub field: &'static str,
    /// Its name without labels. Metrics of one name follow each other.
    pub name: &'static str,
    /// Its label and the label's value; both empty when it has none.
    pub label: (&'static str, &'static str),
    /// What it counts.
    pub help: &'static str,
    /// The value.
    pub value: u64,
}

/// Makes a struct of numbers that also knows how each is called among the metrics, so that none can be forgotten there.
#[macro_export]
macro_rules! numbers {
    (
        $(#[doc = $about:literal])* $type:ident: $number:ty {
            $( $(#[doc = $help:literal])* $field:ident => $name:literal $($label:ident = $value:literal)?, )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $type {
            $( $(#[doc = $help])* pub $field: $number, )*
        }

        impl $type {
            /// Every number with its name, in the order of the struct.
            pub fn metrics(&self) -> Vec<$crate::server::Metric> {
                vec![$( $crate::server::Metric {
                    field: stringify!($field),
                    name: $name,
                    label: $crate::numbers!(@label $($label = $value)?),
                    help: concat!($($help),*),
                    value: u64::try_from(self.$field).unwrap_or(u64::MAX),
                }, )*]
            }
        }
    };
    (@label) => { ("", "") };
    (@label $label:ident = $value:literal) => { (stringify!($label), $value) };
}

numbers! {
    /// Numbers since the start. They only grow.
    Counters: u64 {
        /// Packets that were notices.
        received => "zephyrd_received_total",
        /// Packets dropped because they are no notices.
        malformed => "zephyrd_dropped_total" reason = "malformed",
        /// Packets dropped because too much waits to be sent.
        overload => "zephyrd_dropped_total" reason = "overload",
        /// Packets dropped because no server takes their kind.
        bad_kinds => "zephyrd_dropped_total" reason = "kind",
        /// Packets dropped because they answer what nobody asked.
        stray_answers => "zephyrd_dropped_total" reason = "stray_answer",
        /// Packets dropped because they are fragments that contradict themselves.
        dropped => "zephyrd_dropped_total" reason = "fragment",
        /// Host manager requests dropped because one host sent too many.
        host_floods => "zephyrd_dropped_total" reason = "host_flood",
        /// Packets dropped because their source had too many proofs checked.
        proof_floods => "zephyrd_dropped_total" reason = "proof_flood",
        /// Notices dropped because their proof failed, where the domain wants that.
        failed_dropped => "zephyrd_dropped_total" reason = "failed_proof",
        /// Packets that came again and were only answered again.
        repeated => "zephyrd_repeated_total",
        /// Packets that came again from another source, with an authenticator that had proved them already: only
        /// answered again.
        copies => "zephyrd_copies_total",
        /// Packets whose authenticator had proved another notice.
        replayed => "zephyrd_replayed_total",
        /// Authenticators forgotten before their time because too many are in use.
        replays_forgotten => "zephyrd_replays_forgotten_total",
        /// Notices taken as unproven because of a fault of our own, such as a key file that cannot be read.
        not_judged => "zephyrd_not_judged_total",
        /// Requests and notices whose sender was proven.
        authentic => "zephyrd_judged_total" verdict = "authentic",
        /// Requests and notices without proof.
        unproven => "zephyrd_judged_total" verdict = "unauthenticated",
        /// Requests and notices whose proof failed.
        failed => "zephyrd_judged_total" verdict = "failed",
        /// Proofs claimed without an authenticator, or in a header too short for one.
        failed_without => "zephyrd_failed_proofs_total" reason = "missing",
        /// Authenticators that are none.
        failed_malformed => "zephyrd_failed_proofs_total" reason = "malformed",
        /// Authenticators of somebody else than the notice names.
        failed_principal => "zephyrd_failed_proofs_total" reason = "principal",
        /// Notices that are not what was sent.
        failed_checksum => "zephyrd_failed_proofs_total" reason = "checksum",
        /// Authenticators that had proved another notice.
        failed_replayed => "zephyrd_failed_proofs_total" reason = "replayed",
        /// Authenticators from a time of which it is no longer known which were used.
        failed_not_remembered => "zephyrd_failed_proofs_total" reason = "not_remembered",
        /// Proofs of realms, or by means, that the domain does not trust.
        failed_untrusted => "zephyrd_failed_proofs_total" reason = "untrusted",
        /// Authenticators that Kerberos refuses: expired, for another service, with a key that is not ours.
        failed_ticket => "zephyrd_failed_proofs_total" reason = "ticket",
        /// Packets of clients and host managers that are handed on to C servers of the realm.
        forwarded => "zephyrd_forwarded_total",
        /// Packets that C servers of the realm have sent.
        from_peers => "zephyrd_from_peers_total",
        /// Exchanges of dumps with C servers that were completed.
        dumps => "zephyrd_dumps_total" result = "done",
        /// Exchanges of dumps with C servers that came to nothing.
        dumps_failed => "zephyrd_dumps_total" result = "failed",
        /// Requests answered SENT: done, or delivered to somebody.
        answered_sent => "zephyrd_answered_total" answer = "sent",
        /// Requests answered LOST: nobody there, or nothing to do.
        answered_lost => "zephyrd_answered_total" answer = "lost",
        /// Requests answered with a refusal.
        answered_denied => "zephyrd_answered_total" answer = "denied",
        /// Requests answered FAIL: no such thing.
        answered_not_found => "zephyrd_answered_total" answer = "not_found",
        /// Requests refused because proof was wanted and missing.
        unauthenticated => "zephyrd_refused_total" reason = "unauthenticated",
        /// Requests that the domain's policy refuses, whoever makes them.
        policy_refused => "zephyrd_refused_total" reason = "policy",
        /// Notices refused because those of their host cause too many deliveries.
        delivery_floods => "zephyrd_refused_total" reason = "deliveries",
        /// Notices refused because their proof failed, where the domain wants that.
        failed_refused => "zephyrd_refused_total" reason = "failed_proof",
        /// Subscriptions refused because there are too many clients, in all, of the host or of the principal.
        clients_full => "zephyrd_refused_total" reason = "clients_full",
        /// Subscriptions refused because there are too many, in all, of the host, of the principal or of the client.
        subscriptions_full => "zephyrd_refused_total" reason = "subscriptions_full",
        /// Locations refused because there are too many, in all, of the host or of the user.
        locations_full => "zephyrd_refused_total" reason = "locations_full",
        /// Hosts not remembered because too many are known: they are not told when the server ends.
        hosts_full => "zephyrd_refused_total" reason = "hosts_full",
        /// Notices refused because their class's list does not admit who sent them.
        send_refused => "zephyrd_refused_total" reason = "acl_send",
        /// Notices refused because their instance is not their sender's name.
        instance_refused => "zephyrd_refused_total" reason = "acl_instance",
        /// Subscriptions refused because the class's list does not admit who wants them.
        subscription_refused => "zephyrd_refused_total" reason = "acl_subscribe",
        /// Subscriptions refused because they are for somebody else's notices.
        recipient_refused => "zephyrd_refused_total" reason = "recipient",
        /// Notices refused because the folded form of their class or instance is longer than a packet, and subscriptions
        /// passed over for that.
        names_too_long => "zephyrd_refused_total" reason = "name_too_long",
        /// Requests refused because they concern somebody else and their sender is no operator.
        operator_refused => "zephyrd_refused_total" reason = "not_operator",
        /// Subscriptions ended because new rules forbid them.
        subscriptions_ended => "zephyrd_subscriptions_ended_total",
        /// Answers that waited until what their requests changed was kept.
        answers_held => "zephyrd_held_answers_total",
        /// How often the disk or another server took too long to keep that.
        keepers_late => "zephyrd_late_keepers_total",
        /// How often another server of ours was connected.
        peers_connected => "zephyrd_peers_connected_total",
        /// How often another server of ours was lost.
        peers_lost => "zephyrd_peers_lost_total",
        /// Packets sent to subscribers, the first time each.
        delivered => "zephyrd_delivered_total",
        /// Packets not sent because too many to the same client are unacknowledged.
        client_pending_full => "zephyrd_not_sent_total" reason = "client",
        /// Packets not sent because too many octets to the same host are unacknowledged.
        host_pending_full => "zephyrd_not_sent_total" reason = "host",
        /// Packets not sent because too many octets to the same principal's clients are unacknowledged.
        principal_pending_full => "zephyrd_not_sent_total" reason = "principal",
        /// Packets not sent because too many octets are unacknowledged in all.
        pending_full => "zephyrd_not_sent_total" reason = "server",
        /// Answers that are not sent again because too much is unacknowledged.
        answers_full => "zephyrd_sent_once_total",
        /// Packets sent again.
        resent => "zephyrd_retransmitted_total",
        /// Acknowledgements that something waited for.
        acknowledged => "zephyrd_acknowledged_total",
        /// Packets given up without an acknowledgement.
        given_up => "zephyrd_given_up_total",
        /// Clients forgotten because they answered no longer, or because nobody listens at their ports.
        dead_clients => "zephyrd_dead_clients_total",
        /// Packets to ports at which, so the network says, nobody listens.
        ports_closed => "zephyrd_closed_ports_total",
        /// Confirmed clients that were probed because of that.
        checks => "zephyrd_checked_clients_total",
        /// Probes sent to clients that are not confirmed.
        probes => "zephyrd_probes_total",
        /// Clients that have acknowledged their probe.
        confirmed => "zephyrd_confirmed_clients_total",
        /// Packets for subscribers held until their clients are confirmed, or known to be there still.
        held => "zephyrd_held_total",
        /// Unconfirmed clients forgotten because they never acknowledged a probe.
        unconfirmed_silent => "zephyrd_unconfirmed_clients_forgotten_total" reason = "silent",
        /// Unconfirmed clients forgotten because others needed the room.
        unconfirmed_room => "zephyrd_unconfirmed_clients_forgotten_total" reason = "room",
        /// Clients forgotten because somebody subscribed at their address who has shown more.
        taken_over => "zephyrd_taken_over_clients_total",
        /// Notices that could not be written for a subscriber.
        not_written => "zephyrd_not_written_total",
        /// Notices and questions handed off to other realms.
        realm_handed_off => "zephyrd_realm_notices_total" to = "one",
        /// Copies of notices to all sent to realms that subscribed.
        realm_copies => "zephyrd_realm_notices_total" to = "subscribed",
        /// Notices to other realms that nobody answered in time, which is what their senders were told.
        realm_lost => "zephyrd_realm_not_sent_total" reason = "silent",
        /// Notices and subscriptions to other realms refused because nobody knows where, or too much waits already.
        realm_refused => "zephyrd_realm_not_sent_total" reason = "refused",
        /// Packets to other realms given up after their last repetition.
        realm_given_up => "zephyrd_realm_not_sent_total" reason = "given_up",
        /// Packets sent to other realms, the first time each.
        realm_sent => "zephyrd_realm_sent_total",
        /// Packets sent to other realms again.
        realm_resent => "zephyrd_realm_retransmitted_total",
        /// Answers of other realms that something waited for.
        realm_answered => "zephyrd_realm_answered_total",
        /// Proven control notices of other realms.
        realm_control => "zephyrd_realm_control_total",
        /// Answers of other realms to what they were not asked.
        realm_unasked => "zephyrd_realm_unasked_total",
        /// Sessions with other realms that could not be had.
        realm_no_session => "zephyrd_realm_sessions_failed_total",
        /// Hosts whose clients and locations were forgotten because the host asked for it.
        host_flushes => "zephyrd_host_flushes_total",
    }
}

impl Counters {
    /// Counts a proof that failed.
    pub(crate) const fn count_failure(&mut self, reason: &Reason) {
        self.failed += 1;
        *match reason {
            Reason::NoAuthenticator | Reason::Uncovered => &mut self.failed_without,
            Reason::Malformed(_) => &mut self.failed_malformed,
            Reason::WrongPrincipal => &mut self.failed_principal,
            Reason::Checksum | Reason::PartlyProven => &mut self.failed_checksum,
            Reason::Replayed | Reason::Forgotten => &mut self.failed_replayed,
            Reason::NotRemembered(_) => &mut self.failed_not_remembered,
            Reason::Untrusted(_) => &mut self.failed_untrusted,
            Reason::Refused(_) => &mut self.failed_ticket,
        } += 1;
    }
}

numbers! {
    /// The current size of the server's state; each is bounded by [`super::Bounds`].
    Gauges: usize {
        /// Clients.
        clients => "zephyrd_clients",
        /// Clients whose addresses have not acknowledged anything yet.
        unconfirmed => "zephyrd_unconfirmed_clients",
        /// Subscriptions of all clients.
        subscriptions => "zephyrd_subscriptions",
        /// Octets that these subscriptions take.
        subscription_octets => "zephyrd_subscription_octets",
        /// Packets that wait for an acknowledgement.
        pending => "zephyrd_pending_packets",
        /// Octets of these packets.
        pending_octets => "zephyrd_pending_octets",
        /// Packets on their way to other realms.
        realm_pending => "zephyrd_realm_pending_packets",
        /// Octets that these packets take.
        realm_pending_octets => "zephyrd_realm_pending_octets",
        /// Subscriptions of other realms.
        realm_subscriptions => "zephyrd_realm_subscriptions",
        /// Subscriptions of clients that other realms have not granted yet.
        realm_wishes => "zephyrd_realm_subscriptions_wanted",
        /// Locations.
        locations => "zephyrd_locations",
        /// Known hosts.
        hosts => "zephyrd_hosts",
        /// Packets remembered in order to be recognised.
        recent => "zephyrd_recent_packets",
        /// Authenticators remembered in order to be recognised.
        replays => "zephyrd_remembered_authenticators",
        /// Answers that wait until what their requests changed is kept.
        held_answers => "zephyrd_waiting_answers",
        /// Other servers of the realm.
        peers => "zephyrd_peers",
        /// Other servers of the realm that are there and are told of every change.
        peers_up => "zephyrd_peers_up",
        /// Changes that other servers of the realm have not acknowledged yet.
        peers_behind => "zephyrd_peers_behind",
    }
}
