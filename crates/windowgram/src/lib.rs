//! Windowgrams, without I/O.
//!
//! * [`language`]: what a description says, with all that is wrong in it
//! * [`markup`]: the markup of texts that are shown; [`layout`]: the lines and pieces that it makes of them
//! * [`charsets`]: from the notice's character set to the terminal's; [`terminal`]: what is written to the terminal

#![forbid(unsafe_code)]

pub mod charsets;
pub mod language;
pub mod layout;
pub mod markup;
pub mod terminal;
