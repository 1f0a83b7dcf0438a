//! The queue between the task that drives the client and the [`Inbox`](crate::Inbox).

use crate::Error;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use zephyr_core::{notice::OwnedPacket, policy::Policy};
use zephyr_engine::client::{Backlog, Received};

/// The maximum number of acknowledgements in the queue, in raw mode; beyond, the oldest are lost.
const MAX_ACKNOWLEDGEMENTS: usize = 1024;

/// A received acknowledgement: HMACK, SERVACK, SERVNAK or CLIENTACK. Nothing proves its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The source address.
    pub from: SocketAddr,
    /// The packet.
    pub packet: Box<OwnedPacket>,
}

/// An item for the inbox.
pub(crate) enum Delivery {
    Notice(Box<Received>),
    Acknowledgement(Acknowledgement),
    /// The connection has ended; with an error that was not reported yet.
    End(Option<Error>),
}

#[derive(Default)]
pub(crate) struct Mailbox {
    contents: Mutex<Contents>,
    filled: Notify,
}

#[derive(Default)]
struct Contents {
    notices: Backlog,
    acknowledgements: VecDeque<Acknowledgement>,
    /// The end of the connection, with an error that was not reported yet.
    end: Option<Option<Error>>,
}

impl Mailbox {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, received: Box<Received>) {
        if self.contents().notices.push(received).is_err() {
            tracing::warn!("too many notices wait to be received: one is lost");
        }
        self.filled.notify_one();
    }

    pub(crate) fn put_acknowledgement(&self, acknowledgement: Acknowledgement) {
        let acknowledgements = &mut self.contents().acknowledgements;
        if acknowledgements.len() >= MAX_ACKNOWLEDGEMENTS {
            acknowledgements.pop_front();
        }
        acknowledgements.push_back(acknowledgement);
        self.filled.notify_one();
    }

    pub(crate) fn enforce(&self, policy: &Policy, realm: &str) {
        self.contents().notices.enforce(policy, realm);
    }

    pub(crate) fn end(&self, error: Option<Error>) {
        self.contents().end = Some(error);
        self.filled.notify_one();
    }

    /// Waits for the next item. Cancel safe; only one caller may wait at a time.
    pub(crate) async fn receive(&self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_receive() {
                return delivery;
            }
            self.filled.notified().await;
        }
    }

    fn try_receive(&self) -> Option<Delivery> {
        let mut contents = self.contents();
        let acknowledgement = contents.acknowledgements.pop_front().map(Delivery::Acknowledgement);
        let notice = |contents: &mut Contents| contents.notices.pop().map(Delivery::Notice);
        let end = |contents: &mut Contents| contents.end.as_mut().map(|error| Delivery::End(error.take()));
        acknowledgement.or_else(|| notice(&mut contents)).or_else(|| end(&mut contents))
    }
}
