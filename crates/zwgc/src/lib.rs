//! zwgc, the WindowGram client: shows the notices that somebody has subscribed to.
//!
//! * [`options`]: the command line; [`subscription_file`]: `~/.zephyr.subs`
//! * [`windowgram`]: how a notice looks; [`sanitize`]: why that cannot hurt a terminal
//! * [`run`]: the program

#![forbid(unsafe_code)]

pub mod options;
pub mod run;
pub mod sanitize;
pub mod subscription_file;
pub mod windowgram;
