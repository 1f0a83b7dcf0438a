//! The Zephyr server: who subscribed to what, and who gets a notice (server behaviour).
//!
//! The way of a packet: [`shell`] receives it, [`judge`] finds out where it comes from, [`engine`] decides what it means
//! and hands it to the room that knows:
//!
//! * `control`: class ZEPHYR_CTL, what clients subscribe to; it changes `clients` and `subscriptions`
//! * `routing`: every other class, who gets it; `delivery` remembers it until it is acknowledged
//! * `hosts`: what host managers say
//! * `login`: classes LOGIN and USER_LOCATE, on `locations`
//! * `admin`: class ZEPHYR_ADMIN
//! * `reply`: what the sender hears; `recent` tells a packet sent again from a new one

mod admin;
mod bounds;
mod clients;
mod control;
mod counters;
pub mod defaults;
mod delivery;
pub mod engine;
pub mod event;
mod hosts;
pub mod judge;
mod locations;
mod login;
pub mod options;
mod recent;
mod reply;
mod routing;
pub mod shell;
pub mod start;
mod subscriptions;

pub use counters::{Census, Counters, Metric};
