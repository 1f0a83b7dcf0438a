//! The description language of windowgrams, without I/O: what a description says and does, and what its texts look like.
//!
//! * [`language`]: its parser, with all that is wrong in a description; [`evaluator`]: what runs it
//! * [`regular_expression`]: the patterns in it
//! * [`markup`]: the environments in its texts; [`layout`]: a text as lines; [`terminal`]: lines for a terminal
//! * [`charsets`]: the character sets of notices and terminals

#![forbid(unsafe_code)]

pub mod charsets;
pub mod evaluator;
pub mod language;
pub mod layout;
pub mod markup;
pub mod regular_expression;
pub mod terminal;
