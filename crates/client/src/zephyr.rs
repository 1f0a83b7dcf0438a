//! What programs order.

use crate::{
    Inbox, Options, Result, Sending, Subscriptions, Tickets,
    driver::{self, Order, Started},
    location::Location,
};
use std::{net::Ipv4Addr, sync::Arc};
use zephyr_core::exposure::Exposure;
use zephyr_engine::client::{
    Endpoint, Message, Operation, OperationError, Outcome, Receipt, Subscription, SubscriptionRequest,
};

/// Connects with the options of the environment; see [`Options::from_environment`].
///
/// # Errors
///
/// As [`Options::connect`] and [`Options::from_environment`].
pub async fn connect() -> Result<(Zephyr, Inbox)> {
    Options::from_environment()?.connect().await
}

impl Options {
    /// Asks the host manager who and where we are, and starts a task that sends and receives from then on: until
    /// [`Zephyr::close`], or until nobody has a handle or the inbox any more.
    ///
    /// # Errors
    ///
    /// When the host manager does not answer within 10 s, or the system or the authentication's configuration fail.
    pub async fn connect(self) -> Result<(Zephyr, Inbox)> {
        let started = Arc::new(driver::start(self).await?);
        Ok((Zephyr { started: Arc::clone(&started) }, Inbox::new(started)))
    }
}

/// A handle on the connection to Zephyr. It can be cloned, and all of it can be used at the same time.
#[derive(Clone)]
pub struct Zephyr {
    started: Arc<Started>,
}

impl Zephyr {
    /// Sends a message, and waits for the server's answer: whether somebody has received it, nobody is there, or it was
    /// refused.
    ///
    /// # Errors
    ///
    /// When it cannot be made or sent, or when host manager or server do not answer.
    pub async fn send(&self, message: Message) -> Result<Receipt> {
        self.begin(message).receipt().await
    }

    /// Begins to send a message: for who wants to know when the host manager has it.
    pub fn begin(&self, message: Message) -> Sending {
        self.start(Operation::Send(message))
    }

    fn start(&self, operation: Operation) -> Sending {
        Sending::begin(&self.started.orders, operation)
    }

    /// Does any operation.
    ///
    /// # Errors
    ///
    /// When something cannot be sent, is not answered, or is refused.
    pub async fn perform(&self, operation: Operation) -> Result<Outcome> {
        self.start(operation).outcome().await
    }

    /// What the server says beside that it is done.
    async fn done(&self, operation: Operation) -> Result<Option<String>> {
        match self.perform(operation).await? {
            Outcome::Done { text } => Ok(text),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    async fn change(&self, request: SubscriptionRequest, list: Subscriptions) -> Result<Option<String>> {
        self.done(Operation::Subscribe { request, list: list.0, port: None }).await
    }

    /// Subscribes; gives what the server says beside that it is done, such as that it has not taken all of them.
    ///
    /// ```no_run
    /// # async fn example(zephyr: zephyr_client::Zephyr) -> zephyr_client::Result<()> {
    /// zephyr.subscribe(("help", "*")).await?;
    /// zephyr.subscribe([("message", "personal", "me"), ("message", "urgent", "me")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When a request cannot be sent or is refused, or a single subscription is too long for a packet.
    pub async fn subscribe(&self, list: impl Into<Subscriptions>) -> Result<Option<String>> {
        self.change(SubscriptionRequest::SubscribeWithoutDefaults, list.into()).await
    }

    /// As [`Zephyr::subscribe`], and to what the server has for everybody.
    ///
    /// # Errors
    ///
    /// As [`Zephyr::subscribe`].
    pub async fn subscribe_with_defaults(&self, list: impl Into<Subscriptions>) -> Result<Option<String>> {
        self.change(SubscriptionRequest::Subscribe, list.into()).await
    }

    /// Unsubscribes.
    ///
    /// # Errors
    ///
    /// As [`Zephyr::subscribe`].
    pub async fn unsubscribe(&self, list: impl Into<Subscriptions>) -> Result<Option<String>> {
        self.change(SubscriptionRequest::Unsubscribe, list.into()).await
    }

    /// Forgets all subscriptions.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or is refused.
    pub async fn cancel_subscriptions(&self) -> Result<()> {
        self.done(Operation::CancelSubscriptions { port: None }).await.map(drop)
    }

    /// The subscriptions, in the server's order.
    ///
    /// # Errors
    ///
    /// When the question cannot be sent, is refused, or is not answered within 30 s.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        match self.perform(Operation::ListSubscriptions { port: None }).await? {
            Outcome::Subscriptions(list) => Ok(list),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    /// Tells the server where the user is, and who may know.
    ///
    /// # Errors
    ///
    /// When the notice cannot be sent, is refused, or is not answered within 30 s.
    pub async fn set_location(&self, exposure: Exposure, location: &Location) -> Result<()> {
        self.done(location.change(Some(exposure))).await.map(drop)
    }

    /// Tells the server that the user is there no longer. Needs no proof where the policy does not demand it.
    ///
    /// # Errors
    ///
    /// As [`Zephyr::set_location`]; [`OperationError::NotLoggedIn`] when the server knows no such location.
    pub async fn unset_location(&self, location: &Location) -> Result<()> {
        self.done(location.change(None)).await.map(drop)
    }

    /// Tells the server the key of the user's tickets of this moment, for the notices that it will prove to this client from
    /// now on. The subscriptions stay as they are.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or is refused.
    pub async fn renew_key(&self) -> Result<()> {
        self.subscribe(Subscriptions::default()).await.map(drop)
    }

    /// Takes the name that the user's tickets of this moment have, for who began without any.
    ///
    /// # Errors
    ///
    /// When there are tickets and they cannot be read.
    pub async fn identify(&self) -> Result<()> {
        self.done(Operation::Identify).await.map(drop)
    }

    /// A watch over the user's tickets, for a program that looks after them itself: from now on the client does not
    /// subscribe again by itself.
    pub fn tickets(&self) -> Tickets {
        Tickets::new(self.started.orders.clone())
    }

    /// Ends the connection. What the server knows of this client stays until it is not answered any more.
    pub fn close(&self) {
        // A client that has ended needs no end.
        let _ = self.started.orders.send(Order::Close);
    }

    /// Who and where this client is.
    pub fn endpoint(&self) -> Endpoint {
        self.started.state.endpoint().clone()
    }

    /// The realm of the server.
    pub fn realm(&self) -> String {
        self.endpoint().realm
    }

    /// The user's name, as notices have it; what is no text in it becomes U+FFFD.
    pub fn sender(&self) -> String {
        String::from_utf8_lossy(&self.endpoint().sender).into_owned()
    }

    /// The port on which this client receives.
    pub fn port(&self) -> u16 {
        self.endpoint().port
    }

    /// This machine's address, as uids have it.
    pub fn address(&self) -> Ipv4Addr {
        self.endpoint().address
    }
}
