//! zephyrd, the Zephyr server; zhm, the host manager; and zephyrctl, the administration tool of the server.
//!
//! Each daemon is a state machine of [`zephyr_engine`], which decides, and the program around it here, which owns the
//! socket, the clock, the files, the signals and the log.

#![forbid(unsafe_code)]

pub mod admin_protocol;
pub mod command_line;
pub mod logging;
mod notify;
mod own_folder;
mod plural;
mod policy_words;
mod port_holder;
mod private_file;
pub mod settings;
mod signals;
mod users;
pub mod zephyrctl;
pub mod zephyrd;
pub mod zhm;

pub use zephyr_config::problem;
