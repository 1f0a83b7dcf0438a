//! Configuration files: a reader that reports all problems at once, each with its line and column, and ignores nothing
//! silently.
//!
//! * [`file`](mod@file): what a file holds, if it is one
//! * [`problem`]: what is wrong, and where
//! * [`reader`]: a TOML file, setting by setting

#![forbid(unsafe_code)]

pub mod file;
pub mod problem;
pub mod reader;
