//! An operation under way.

use crate::{Error, Result, driver::Order};
use tokio::sync::{mpsc, oneshot};
use zephyr_engine::client::{Operation, OperationError, Outcome, Receipt};

/// A message on its way; see [`Zephyr::begin`](crate::Zephyr::begin). It goes on when this is dropped.
#[derive(Debug)]
pub struct Sending {
    queued: oneshot::Receiver<()>,
    finished: oneshot::Receiver<std::result::Result<Outcome, OperationError>>,
    /// What has become of it, where that came before the host manager had everything.
    early: Option<Result<Outcome>>,
}

impl Sending {
    pub(crate) fn begin(orders: &mpsc::UnboundedSender<Order>, operation: Operation) -> Self {
        let (tell_queued, queued) = oneshot::channel();
        let (tell_finished, finished) = oneshot::channel();
        // When the client has ended, the senders are dropped with the order, and whoever waits learns it so.
        let operation = Box::new(operation);
        let _ = orders.send(Order::Begin { operation, queued: tell_queued, finished: tell_finished });
        Self { queued, finished, early: None }
    }

    /// Waits until the host manager has all of the message. To be called once, or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be made or sent, or the host manager does not acknowledge a packet within 10 s.
    pub async fn queued(&mut self) -> Result<()> {
        if (&mut self.queued).await.is_ok() {
            return Ok(());
        }
        match self.outcome().await {
            Ok(outcome) => {
                self.early = Some(Ok(outcome));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the server's answer.
    ///
    /// # Errors
    ///
    /// As [`Sending::queued`]; and when the server says nothing for as long as the message's patience.
    pub async fn receipt(mut self) -> Result<Receipt> {
        match self.outcome().await? {
            Outcome::Sent(receipt) => Ok(receipt),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    pub(crate) async fn outcome(&mut self) -> Result<Outcome> {
        if let Some(early) = self.early.take() {
            return early;
        }
        let outcome = (&mut self.finished).await.map_err(|_| Error::Closed)?;
        Ok(outcome?)
    }
}
