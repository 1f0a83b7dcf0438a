//! A client library for programs that send and receive Zephyr notices.
//!
//! ```no_run
//! use zephyr_client::Message;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> zephyr_client::Result<()> {
//!     let (zephyr, mut inbox) = zephyr_client::connect().await?;
//!     zephyr.subscribe(("help", "*")).await?;
//!     while let Some(message) = inbox.next().await? {
//!         // Only authentic messages are answered: nothing proves the sender of others.
//!         if message.is_authentic() {
//!             let answer = format!("You said: {}", message.text());
//!             zephyr.send(Message::to_user(message.sender()).text(answer)).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! * [`connect`], [`Options`]: the address of the host manager, the servers to speak to without one, and the authentication
//! * [`Zephyr`]: sends [`Message`]s, subscribes, sets locations; operations run concurrently. [`Inbox`]: gives [`Received`]
//!   notices
//! * [`blocking`]: the same without a runtime
//! * [`Tickets`]: for programs that renew their subscriptions themselves; by default the client does.
//!   [`SubscriptionWatch`]: for those that want to know when the server had forgotten them
//! * [`status`]: how a host manager or a server is, asked of itself
//! * [`variables`], [`windowgram_port`], [`account`], [`codeset`], [`localtime`], [`location`], [`runtime_folders`],
//!   [`terminal`]: the user's environment
//!
//! The protocol is in the state machine [`zephyr_engine::client`]; this crate adds the socket, the clock and the files.

#![forbid(unsafe_code)]

pub mod account;
pub mod blocking;
pub mod codeset;
mod driver;
mod error;
mod host_manager_owner;
mod inbox;
mod jobs;
mod local_senders;
pub mod localtime;
pub mod location;
mod mailbox;
mod options;
mod policy_watch;
pub mod runtime_folders;
mod sending;
pub mod status;
mod subscription_watch;
mod subscriptions;
pub mod terminal;
mod tickets;
pub mod variables;
pub mod windowgram_port;
mod zephyr;

pub use error::{Error, Result, system_text};
pub use inbox::{Inbox, Raw};
pub use location::Location;
pub use mailbox::Acknowledgement;
pub use options::{Authentication, Options, host_manager_of_environment};
pub use sending::Sending;
pub use subscription_watch::SubscriptionWatch;
pub use subscriptions::Subscriptions;
pub use tickets::Tickets;
pub use zephyr::{Zephyr, connect};
pub use zephyr_core::{
    auth::{AuthError, Identity, Reason, Verdict},
    charset::Charset,
    exposure::Exposure,
    kind::Kind,
    names,
    notice::{Notice, OwnedPacket},
};
pub use zephyr_discovery::{Discovery, ServerName};
pub use zephyr_engine::client::{
    DeliveryStatus, Direct, DirectServer, Endpoint, Hidden, LocationChange, Message, NakReason, Name, Operation,
    OperationError, OperationId, Outcome, Receipt, Received, SUBSCRIPTION_CHECK, Subscription, SubscriptionEvent,
    SubscriptionRequest, TicketEvent, UserLocation,
};

use std::{future::Future, io};

/// Runs a future to its end on this thread, in a tokio runtime of its own.
///
/// # Errors
///
/// When the system does not provide what a runtime needs.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // Does not wait for a job whose KDC does not answer.
    runtime.shutdown_background();
    Ok(output)
}
