//! Messages that are being sent.

use crate::{Error, Result, driver::Request};
use tokio::sync::{mpsc, oneshot};
use zephyr_engine::client::{Operation, OperationError, Outcome, Receipt};

/// A message that is being sent; see [`Zephyr::begin`](crate::Zephyr::begin). Sending goes on when this is dropped.
#[derive(Debug)]
pub struct Sending {
    queued: oneshot::Receiver<()>,
    finished: oneshot::Receiver<std::result::Result<Outcome, OperationError>>,
    /// The outcome, where it came before the host manager had accepted all packets.
    early: Option<Result<Outcome>>,
}

impl Sending {
    pub(crate) fn begin(requests: &mpsc::UnboundedSender<Request>, operation: Operation) -> Self {
        let (queued_sender, queued) = oneshot::channel();
        let (finished_sender, finished) = oneshot::channel();
        // When the client has ended, the senders are dropped with the request, which ends the receivers.
        let operation = Box::new(operation);
        let _ = requests.send(Request::Begin { operation, queued: queued_sender, finished: finished_sender });
        Self { queued, finished, early: None }
    }

    /// Waits until the host manager has accepted the message. To be called at most once.
    ///
    /// # Errors
    ///
    /// When the message cannot be authenticated or sent, or the host manager does not acknowledge a packet within 10 s.
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
    /// As [`Sending::queued`]; and when the server does not answer within the message's
    /// [timeout](crate::Message::answer_timeout).
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
