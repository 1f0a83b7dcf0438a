//! The Zephyr protocol: notices, packets and policies.
//!
//! What a notice is, how it looks on the wire, how it is cut and joined, how names are compared, and the seam behind
//! which authentication lives. This crate does no I/O, reads no clock, and knows neither Kerberos nor any program:
//! every other crate of the project builds on it.
//!
//! * [`notice`]: [`notice::Notice`], reading a datagram ([`notice::Packet`]), writing one, what a checksum covers
//! * [`coding`]: the two ways octets become header text
//! * [`inbox`]: everything a receiving program does with a datagram, from [`fragment`]s and [`duplicate`]s to whole
//!   notices
//! * [`shares`]: who holds how much of a room that all share
//! * [`auth`]: the traits that an authentication backend implements, and what is known about a notice's origin
//! * [`policy`]: what a domain demands
//! * [`framing`]: connections between servers
//! * [`fold`], [`principal`], [`realm`]: when two names are the same
//! * [`body`], [`exposure`]: bodies and opcodes whose form the protocol fixes
//! * [`sanitize`], [`screen`]: what makes foreign text safe to print, and keeps it from the beginning of a row
//! * [`text_file`]: lines of files, and what in them is not what it looks like
//! * [`uid`], [`kind`], [`charset`], [`names`], [`limits`], [`schedule`], [`time`]: the protocol's nouns and numbers

#![forbid(unsafe_code)]

pub mod auth;
pub mod body;
pub mod charset;
pub mod coding;
pub mod duplicate;
pub mod exposure;
pub mod fold;
pub mod fragment;
pub mod framing;
mod horizon;
pub mod inbox;
pub mod kind;
pub mod limits;
mod memory;
pub mod names;
pub mod notice;
mod partial;
pub mod policy;
pub mod principal;
pub mod realm;
mod reassembly;
pub mod sanitize;
pub mod schedule;
pub mod screen;
pub mod shares;
pub mod text_file;
pub mod time;
pub mod uid;
