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
//! * `demands`: what the domain's policy demands, and what is said to whom it refuses
//! * `authority`: who may do what, by the rules of [`access`] that [`rule_files`] reads
//! * `reply`: what the sender hears
//! * `admission`: whether a request is looked at at all; `recent` knows packets, `replay` authenticators, `quota` sources
//! * `credit`: how much may be sent to addresses that may be forged

pub mod access;
mod admin;
mod admission;
mod authority;
mod bounds;
mod clients;
pub mod configuration;
mod control;
mod counters;
mod credit;
pub mod defaults;
mod delivery;
mod demands;
mod digest;
mod doors;
mod dump;
mod dump_signal;
pub mod engine;
pub mod event;
mod hosts;
pub mod judge;
mod locations;
mod log_lines;
mod login;
mod metrics;
pub mod options;
mod pace;
mod questions;
mod quota;
mod recent;
mod replay;
mod reply;
mod routing;
pub mod rule_files;
pub mod shell;
pub mod start;
mod subscriptions;
mod waiting;

pub use counters::{Census, Counters, Metric, Surroundings};
