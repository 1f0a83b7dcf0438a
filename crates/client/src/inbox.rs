//! What comes for the program.

use crate::{
    Result,
    driver::Started,
    mailbox::{Acknowledgement, Delivery},
};
use std::sync::Arc;
use zephyr_engine::client::Received;

/// Where notices arrive. What waits is bounded: beyond 1.5 megabytes new notices are lost.
pub struct Inbox {
    started: Arc<Started>,
}

/// What comes in raw mode.
#[derive(Clone, Debug)]
pub enum Raw {
    /// A notice: any, also those that answer the client's own questions.
    Notice(Box<Received>),
    /// An acknowledgement.
    Acknowledgement(Acknowledgement),
}

impl Inbox {
    pub(crate) const fn new(started: Arc<Started>) -> Self {
        Self { started }
    }

    /// The next notice that is for the user's eyes: no pings, none that the domain's policy hides, and none that this client
    /// has sent itself. `None` when the connection was closed. Can be dropped while it waits, and called again.
    ///
    /// # Errors
    ///
    /// When the socket fails, once; from then on nothing comes.
    pub async fn next(&mut self) -> Result<Option<Received>> {
        loop {
            match self.next_any().await? {
                Some(received) if received.hidden().is_some() || received.is_ping() || received.is_own() => {}
                other => return Ok(other),
            }
        }
    }

    /// The next notice, whatever it is; [`Received::hidden`], [`Received::is_ping`] and [`Received::is_own`] tell.
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

    /// The next notice or acknowledgement; the latter only with [`Options::raw`](crate::Options::raw).
    ///
    /// # Errors
    ///
    /// As [`Inbox::next`].
    pub async fn next_raw(&mut self) -> Result<Option<Raw>> {
        match self.started.state.mailbox.take().await {
            Delivery::Notice(received) => Ok(Some(Raw::Notice(received))),
            Delivery::Acknowledgement(acknowledgement) => Ok(Some(Raw::Acknowledgement(acknowledgement))),
            Delivery::End(Some(error)) => Err(error),
            Delivery::End(None) => Ok(None),
        }
    }
}
