//! Bounds of a server's state.

/// Makes the struct, its defaults, and the names that the settings file has for its fields.
macro_rules! bounds {
    ( $( $(#[doc = $about:literal])* $field:ident: $name:literal = $default:expr, )* ) => {
        /// Bounds of a server's state. What goes beyond is refused, and leaves others alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Bounds {
            $( $(#[doc = $about])* pub $field: usize, )*
        }

        impl Default for Bounds {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl Bounds {
            /// Every bound with its name among the settings.
            pub fn each(&mut self, mut visit: impl FnMut(&'static str, &mut usize)) {
                $( visit($name, &mut self.$field); )*
            }
        }
    };
}

bounds! {
    /// Clients in all.
    clients: "clients" = 200_000,
    /// Clients of one host.
    clients_per_host: "clients-per-host" = 4096,
    /// Clients of one principal.
    clients_per_principal: "clients-per-principal" = 1024,
    /// Subscriptions of one client.
    subscriptions_per_client: "subscriptions-per-client" = 4096,
    /// Subscriptions of all clients of one principal.
    subscriptions_per_principal: "subscriptions-per-principal" = 16_384,
    /// Subscriptions of all clients of one host.
    subscriptions_per_host: "subscriptions-per-host" = 131_072,
    /// Octets of all subscriptions.
    subscription_octets: "subscription-octets" = 512 << 20,
    /// Octets of the subscriptions of one principal.
    subscription_octets_per_principal: "subscription-octets-per-principal" = 8 << 20,
    /// Octets of the subscriptions of one host.
    subscription_octets_per_host: "subscription-octets-per-host" = 64 << 20,
    /// Packets to the addresses of one host that have not acknowledged anything yet, for one principal; one more every ten
    /// seconds.
    unconfirmed_packets: "unconfirmed-packets" = 64,
    /// Unacknowledged packets to one address and port.
    pending_per_destination: "pending-per-destination" = 2048,
    /// Octets of unacknowledged packets to one host.
    pending_octets_per_host: "pending-octets-per-host" = 64 << 20,
    /// Octets of unacknowledged packets to the clients of one principal.
    pending_octets_per_principal: "pending-octets-per-principal" = 16 << 20,
    /// Octets of unacknowledged packets to clients.
    delivery_octets: "delivery-octets" = 256 << 20,
    /// Octets of unacknowledged packets to those who asked something; one principal may take a quarter, and so may all
    /// who prove nothing together.
    answer_octets: "answer-octets" = 16 << 20,
    /// How many times as many octets as came from an address are sent to it in answers to questions without proof,
    /// repetitions included: whoever forges where he asks from cannot flood others with them.
    amplification_limit: "amplification-limit" = 4,
    /// Locations in all.
    locations: "locations" = 200_000,
    /// Locations of one user.
    locations_per_user: "locations-per-user" = 64,
    /// Locations told from one host.
    locations_per_host: "locations-per-host" = 4096,
    /// Proofs of one source address that are checked in a second; one that fails counts as ten.
    proofs_per_second: "proofs-per-second" = 10_000,
    /// Proofs of one source address that are checked at once after a pause.
    proof_burst: "proof-burst" = 20_000,
    /// Source addresses whose proofs, notices and answers are counted apart; the further ones share what one may.
    rate_limit_sources: "rate-limit-sources" = 65_536,
    /// Authenticators remembered so that none proves two notices; beyond, whoever has most loses his oldest, and no other
    /// that he made before it is taken.
    replay_cache_entries: "replay-cache-entries" = 262_144,
    /// Authenticators remembered of one principal; beyond, he loses his oldest likewise.
    replay_cache_entries_per_principal: "replay-cache-entries-per-principal" = 16_384,
    /// Seconds that an authenticator is remembered at least; it always is until Kerberos takes it for too old.
    replay_seconds: "replay-seconds" = 600,
    /// Packets remembered so that one that comes again is only answered again; beyond, the oldest is taken for new.
    response_cache_entries: "response-cache-entries" = 8192,
    /// Packets that wait until there is less to send. When there are more, whoever has most of them loses his newest.
    ingress_queue_packets: "ingress-queue-packets" = 8192,
    /// Packets to subscribers that notices from one source address cause in a second; proven principals are counted apart.
    deliveries_per_second: "deliveries-per-second" = 20_000,
    /// Packets to subscribers that notices from one source address cause at once after a pause.
    delivery_burst: "delivery-burst" = 200_000,
    /// Readers that all notices on their way have still to reach; beyond, a notice to more than a few is refused.
    fan_out_readers: "fan-out-readers" = 4_000_000,
    /// Packets on their way to one other realm; those who prove nothing may have a quarter of them.
    pending_per_realm: "pending-per-realm" = 4096,
    /// Packets on their way to one other realm from one source address; proven principals are counted apart.
    pending_per_realm_sender: "pending-per-realm-sender" = 256,
    /// Octets on their way to one other realm.
    pending_octets_per_realm: "pending-octets-per-realm" = 16 << 20,
    /// Subscriptions of one other realm here.
    subscriptions_per_realm: "subscriptions-per-realm" = 65_536,
    /// Known hosts.
    hosts: "hosts" = 100_000,
    /// Requests to flush one host, BOOT and FLUSH, in ten seconds.
    host_flushes: "host-flushes" = 50,
}
