//! How much a server holds.

/// Makes the struct, its defaults, and the names that the settings file has for its fields.
macro_rules! bounds {
    ( $( $(#[doc = $about:literal])* $field:ident: $name:literal = $default:expr, )* ) => {
        /// How much of everything a server holds at most. What goes beyond is refused, and leaves others alone.
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
            pub(crate) fn each(&mut self, mut visit: impl FnMut(&'static str, &mut usize)) {
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
    /// Subscriptions of one client.
    subscriptions_per_client: "subscriptions-per-client" = 4096,
    /// Octets of all subscriptions.
    subscription_octets: "subscription-octets" = 512 << 20,
    /// Unacknowledged packets to one address and port.
    pending_per_destination: "pending-per-destination" = 2048,
    /// Octets of unacknowledged packets to clients.
    delivery_octets: "delivery-octets" = 256 << 20,
    /// Octets of unacknowledged packets to those who asked something.
    answer_octets: "answer-octets" = 16 << 20,
    /// Locations in all.
    locations: "locations" = 200_000,
    /// Known hosts.
    hosts: "hosts" = 100_000,
    /// Requests of one host's manager in ten seconds.
    host_requests: "host-requests" = 50,
}
