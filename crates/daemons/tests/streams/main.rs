//! Streams between servers over TCP on loopback: what comes of them, and what nobody can do to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod c_server;
mod kerberos;
mod offers;
mod plain;
mod stage;
