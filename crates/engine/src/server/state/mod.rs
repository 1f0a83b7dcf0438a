//! The state of a server.

pub(crate) mod checks;
pub(crate) mod clients;
pub(crate) mod deliveries;
pub(crate) mod hosts;
pub(crate) mod locations;
pub(crate) mod probes;
pub(crate) mod standing;
pub(crate) mod subscriptions;
