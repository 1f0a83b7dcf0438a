//! The library for programs that send and receive Zephyr notices.
//!
//! [`Client`] is what programs use: it finds out from the host manager who and where it is, sends notices and waits for
//! their acknowledgements, subscribes, and receives. Behind it stands [`engine::Engine`], which decides everything and does
//! no I/O. Around it are the files and variables that users of Zephyr have.
//!
//! * [`client`]: the tokio shell; [`Options`]: where the host manager is, and which authentication is used
//! * [`engine`], [`exchange`], [`judge`], [`keyring`], [`host_manager`]: the state machines
//! * [`renewal`], [`Tickets`]: what becomes of the subscriptions when tickets end and new ones come
//! * [`subscription`], [`location`]: what programs ask of a server
//! * [`variables`], [`windowgram_port`], [`account`], [`codeset`], [`localtime`]: what belongs to the user

#![forbid(unsafe_code)]

pub mod account;
pub mod client;
pub mod codeset;
#[cfg(test)]
mod doubles;
pub mod engine;
mod error;
pub mod exchange;
pub mod host_manager;
pub mod judge;
pub mod keyring;
pub mod localtime;
pub mod location;
mod options;
mod policing;
mod policy_watch;
pub mod renewal;
pub mod subscription;
mod tickets;
pub mod variables;
pub mod windowgram_port;

pub use client::Client;
pub use error::{ClientError, system_words};
pub use exchange::{Answer, Refusal};
pub use options::{Authentication, Options};
pub use tickets::Tickets;

use std::{future::Future, io};

/// Runs a program's whole work on this thread: what commands without any other need for a runtime use.
///
/// # Errors
///
/// When the system does not give what a runtime needs.
pub fn block_on<F: Future>(work: F) -> io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
