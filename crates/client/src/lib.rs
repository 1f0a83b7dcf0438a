//! The library for programs that send and receive Zephyr notices.
//!
//! ```no_run
//! use zephyr_client::Message;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> zephyr_client::Result<()> {
//!     let (zephyr, mut inbox) = zephyr_client::connect().await?; // tickets are renewed by themselves
//!     zephyr.subscribe(("help", "*")).await?;
//!     while let Some(message) = inbox.next().await? {
//!         // Whoever is not proven to be who they say they are gets no answer.
//!         if message.is_authentic() {
//!             let answer = format!("You said: {}", message.text());
//!             zephyr.send(Message::to_user(message.sender()).text(answer)).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! * [`connect`], [`Options`]: where the host manager is, and which authentication is used
//! * [`Zephyr`]: sends [`Message`]s, subscribes, tells locations; several things at a time. [`Inbox`]: what is [`Received`]
//!   meanwhile
//! * [`blocking`]: the same without a runtime
//! * [`Tickets`]: for programs that look after the user's tickets themselves
//! * [`variables`], [`windowgram_port`], [`account`], [`codeset`], [`localtime`], [`location`]: what belongs to the user
//!
//! All decisions are made by the state machine [`zephyr_engine::client`]; here are the socket, the clock and the files.

#![forbid(unsafe_code)]

pub mod account;
pub mod blocking;
pub mod codeset;
mod driver;
mod error;
mod inbox;
mod jobs;
pub mod localtime;
pub mod location;
mod mailbox;
mod options;
mod policy_watch;
mod sending;
mod subscriptions;
mod tickets;
pub mod variables;
pub mod windowgram_port;
mod zephyr;

pub use error::{Error, Result, system_text};
pub use inbox::{Inbox, Raw};
pub use location::Location;
pub use mailbox::Acknowledgement;
pub use options::{Authentication, Options};
pub use sending::Sending;
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
pub use zephyr_engine::client::{
    DeliveryStatus, Endpoint, Hidden, LocationChange, Message, NakReason, Name, Operation, OperationError, OperationId,
    Outcome, Receipt, Received, Subscription, SubscriptionRequest, TicketEvent,
};

use std::{future::Future, io};

/// Runs a program's whole work on this thread: for programs without any other need for a runtime.
///
/// # Errors
///
/// When the system does not give what a runtime needs.
pub fn block_on<F: Future>(work: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let output = runtime.block_on(work);
    // A KDC that does not answer need not be waited for.
    runtime.shutdown_background();
    Ok(output)
}
