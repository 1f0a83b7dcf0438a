//! The description language of windowgrams, without I/O: what a description says and does.
//!
//! * [`language`]: its parser, with all that is wrong in a description; [`evaluator`]: what runs it
//! * [`regular_expression`]: the patterns in it

#![forbid(unsafe_code)]

pub mod charsets;
pub mod evaluator;
pub mod language;
pub mod markup;
pub mod regular_expression;
