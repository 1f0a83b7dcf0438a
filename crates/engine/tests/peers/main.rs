//! Several servers of ours in one domain: whatever happens to the streams between them, in the end all know the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "tests")]

mod convergence;
mod rows;
mod streams;
mod world;
