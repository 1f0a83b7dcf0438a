//! The description language of windowgrams, without I/O: what a description says, with all that is wrong in it.

#![forbid(unsafe_code)]

pub mod language;
pub mod markup;
