//! Properties of the crates as a whole: their dependencies, and the purity of the machines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod crate_graph;
mod purity;
mod sources;
mod tree;
