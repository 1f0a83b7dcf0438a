//! Test support: Kerberos realms, loopback networks, a relay, a simulated network, and the reference programs in C.

pub mod bins;
pub mod container;
pub mod deadline;
pub mod heimdal;
pub mod loopback;
pub mod name_server;
mod native;
pub mod ownership;
pub mod packages;
mod place;
pub mod ports;
pub mod process;
pub mod realm;
mod recipe;
pub mod reference;
pub mod relay;
pub mod simulation;
pub mod transcript;
pub mod user;
