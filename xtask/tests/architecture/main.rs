//! What holds of the crates as a whole: who may know whom, and that the machines are free of the world around them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod crate_graph;
mod purity;
mod sources;
mod tree;
