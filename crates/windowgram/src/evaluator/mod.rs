//! The run of a description for one notice (zwgc, sections 7.3 and 7.6 to 7.8).

mod host;

pub use host::{Charsets, Host};
