//! zwgc, the windowgram client: shows the notices that a user has subscribed to.
//!
//! * [`options`]: the command line; [`subscription_file`]: `~/.zephyr.subs`
//! * [`windowgram`]: the display format of notices; [`port_files`]: the files with its port
//! * `presence`: location and subscriptions, made and kept; `waiting`: what is said to whoever waits for them
//! * [`terminfo`]: what the terminal can do
//! * [`run`]: the program

#![forbid(unsafe_code)]

pub mod options;
pub mod port_files;
mod presence;
mod report;
pub mod run;
pub mod subscription_file;
pub mod terminfo;
mod waiting;
pub mod windowgram;
