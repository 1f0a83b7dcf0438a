//! The description language of windowgrams, their markup and their layout, without I/O.
//!
//! * [`language`]: what a description says: its parser, with all that is wrong in it
//! * [`evaluator`]: a description's run for one notice, within a limit of work
//! * [`markup`]: `@bold(…)` and its like in texts; [`layout`]: the windowgram that a text is
//! * [`terminal`]: a windowgram for a terminal, or for a file

#![forbid(unsafe_code)]

pub mod evaluator;
pub mod language;
pub mod layout;
pub mod markup;
pub mod terminal;
