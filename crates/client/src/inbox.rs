//! The inbox: notices and acknowledgements for the program.

use crate::{
    Result,
    driver::Started,
    mailbox::{Acknowledgement, Delivery},
};
use std::sync::Arc;
use zephyr_engine::client::Received;

/// The inbox of a connection, where notices arrive in order of reception.
///
/// Notices that are not taken from it are kept up to 1,500,000 octets (each counts its body and some 1000 octets more);
/// beyond, new notices are lost, which is logged.
pub struct Inbox {
    started: Arc<Started>,
}

/// An item in raw mode.
#[derive(Clone, Debug)]
pub enum Raw {
    /// A notice: any, also answers to the client's own requests.
    Notice(Box<Received>),
    /// An acknowledgement.
    Acknowledgement(Acknowledgement),
}

impl Inbox {
    pub(crate) const fn new(started: Arc<Started>) -> Self {
        Self { started }
    }

    /// Waits for the next notice to be shown: no pings, none that the domain's policy hides, and none that this client has
    /// sent. `None` when the connection was closed. Cancel safe: when the future is dropped, no notice is lost.
    ///
    /// # Errors
    ///
    /// When the socket fails: once; afterwards it gives `None`.
    pub async fn next(&mut self) -> Result<Option<Received>> {
        loop {
            match self.next_any().await? {
                Some(received) if received.hidden().is_some() || received.is_ping() || received.is_own() => {}
                other => return Ok(other),
            }
        }
    }

    /// Waits for the next notice of any kind; see [`Received::hidden`], [`Received::is_ping`] and [`Received::is_own`].
    ///
    /// # Errors
    ///
    /// As [`Inbox::next`].
    pub async fn next_any(&mut self) -> Result<Option<Received>> {
        loop {
            match self.next_raw().await? {
                Some(Raw::Notice(received)) => return Ok(Some(*received)),
                Some(Raw::Acknowledgement(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits for the next notice or acknowledgement; the latter only with [`Options::raw`](crate::Options::raw).
    ///
    /// # Errors
    ///
    /// As [`Inbox::next`].
    pub async fn next_raw(&mut self) -> Result<Option<Raw>> {
        match self.started.state.mailbox.receive().await {
            Delivery::Notice(received) => Ok(Some(Raw::Notice(received))),
            Delivery::Acknowledgement(acknowledgement) => Ok(Some(Raw::Acknowledgement(acknowledgement))),
            Delivery::End(Some(error)) => Err(error),
            Delivery::End(None) => Ok(None),
        }
    }
}
