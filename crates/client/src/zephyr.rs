//! The handle on a connection, by which programs send and subscribe.

use crate::{
    Inbox, Options, Result, Sending, SubscriptionWatch, Subscriptions, Tickets,
    driver::{self, Request, Started},
    location::Location,
};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use zephyr_core::exposure::Exposure;
use zephyr_engine::client::{
    Endpoint, Message, Operation, OperationError, Outcome, Receipt, Subscription, SubscriptionRequest, UserLocation,
};

/// Connects with the options of the environment; see [`Options::from_environment`] and [`Options::connect`].
///
/// # Errors
///
/// As [`Options::connect`] and [`Options::from_environment`].
pub async fn connect() -> Result<(Zephyr, Inbox)> {
    Options::from_environment()?.connect().await
}

impl Options {
    /// Connects to the host manager or, where none answers and the options allow it, to a server, and starts a task that sends and receives until [`Zephyr::close`], or until all handles
    /// and the inbox are dropped. To be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the host manager does not answer within 10 s and there is no server to speak to without it, or on an error of the
    /// system or of the authentication's configuration.
    pub async fn connect(self) -> Result<(Zephyr, Inbox)> {
        let started = Arc::new(driver::start(self).await?);
        Ok((Zephyr { started: Arc::clone(&started) }, Inbox::new(started)))
    }
}

/// A handle on a connection to Zephyr. It can be cloned and shared by tasks; operations run concurrently.
#[derive(Clone)]
pub struct Zephyr {
    started: Arc<Started>,
}

impl Zephyr {
    /// Sends a message, and waits for the server's answer: [`DeliveryStatus`](crate::DeliveryStatus) in the receipt tells
    /// whether it was delivered. That nobody subscribes, or that the server refuses, is no error.
    ///
    /// # Errors
    ///
    /// When the message cannot be authenticated or is too long, when the domain's policy would refuse it, or when the host
    /// manager does not answer within 10 s or the server within the message's [timeout](Message::answer_timeout).
    pub async fn send(&self, message: Message) -> Result<Receipt> {
        self.begin(message).receipt().await
    }

    /// Begins to send a message, without waiting: several can be sent at a time, and [`Sending`] tells of each when the host
    /// manager and the server have it.
    pub fn begin(&self, message: Message) -> Sending {
        self.start(Operation::Send(message))
    }

    fn start(&self, operation: Operation) -> Sending {
        Sending::begin(&self.started.requests, operation)
    }

    /// Performs any operation.
    ///
    /// # Errors
    ///
    /// When something cannot be sent, is not answered, or is refused.
    pub async fn perform(&self, operation: Operation) -> Result<Outcome> {
        self.start(operation).outcome().await
    }

    /// Performs an operation without a result; gives the server's text.
    async fn done(&self, operation: Operation) -> Result<Option<String>> {
        match self.perform(operation).await? {
            Outcome::Done { text } => Ok(text),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    async fn change(&self, request: SubscriptionRequest, list: Subscriptions) -> Result<Option<String>> {
        self.done(Operation::Subscribe { request, list: list.0, port: None }).await
    }

    /// Adds subscriptions. Gives the server's text, if it sends one, such as that it has not accepted all of them.
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

    /// As [`Zephyr::subscribe`], and adds the server's default subscriptions.
    ///
    /// # Errors
    ///
    /// As [`Zephyr::subscribe`].
    pub async fn subscribe_with_defaults(&self, list: impl Into<Subscriptions>) -> Result<Option<String>> {
        self.change(SubscriptionRequest::Subscribe, list.into()).await
    }

    /// Removes subscriptions. Gives the server's text, if it sends one.
    ///
    /// # Errors
    ///
    /// As [`Zephyr::subscribe`].
    pub async fn unsubscribe(&self, list: impl Into<Subscriptions>) -> Result<Option<String>> {
        self.change(SubscriptionRequest::Unsubscribe, list.into()).await
    }

    /// Cancels all subscriptions of this client.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or is refused.
    pub async fn cancel_subscriptions(&self) -> Result<()> {
        self.done(Operation::CancelSubscriptions { port: None }).await.map(drop)
    }

    /// Lists the subscriptions of this client, in the server's order.
    ///
    /// # Errors
    ///
    /// When the query cannot be sent, is refused, or is not answered within 30 s.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        match self.perform(Operation::ListSubscriptions { port: None }).await? {
            Outcome::Subscriptions(list) => Ok(list),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    /// Asks whether the server knows this client: whether it has subscribed, and was not forgotten since.
    ///
    /// # Errors
    ///
    /// When the question cannot be sent, is refused, or is not answered.
    pub async fn is_known(&self) -> Result<bool> {
        Ok(self.unknown_for().await?.is_none())
    }

    /// Asks whether the server knows this client, as [`Zephyr::is_known`]; gives the time since it last did when it does not.
    ///
    /// # Errors
    ///
    /// When the question cannot be sent, is refused, or is not answered.
    pub async fn unknown_for(&self) -> Result<Option<Duration>> {
        match self.perform(Operation::CheckSubscriptions).await? {
            Outcome::Known => Ok(None),
            Outcome::Unknown { unknown_for } => Ok(Some(unknown_for)),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    /// Sets a location of the user, with an exposure.
    ///
    /// # Errors
    ///
    /// When the notice cannot be sent, is refused, or is not answered within 30 s.
    pub async fn set_location(&self, exposure: Exposure, location: &Location) -> Result<()> {
        self.done(location.change(Some(exposure))).await.map(drop)
    }

    /// Unsets a location of the user. Sent without authentication where the policy does not demand it.
    ///
    /// # Errors
    ///
    /// As [`Zephyr::set_location`]; [`OperationError::NotLoggedIn`] when the server knows no such location.
    pub async fn unset_location(&self, location: &Location) -> Result<()> {
        self.done(location.change(None)).await.map(drop)
    }

    /// Asks, with proof of who asks, where a user is: `name` or `name@REALM`. The list is empty as well where this user may not know it.
    ///
    /// # Errors
    ///
    /// When the question cannot be proven or sent, is refused, or is not answered within 30 s.
    pub async fn locate(&self, user: impl AsRef<[u8]>) -> Result<Vec<UserLocation>> {
        match self.perform(Operation::Locate { user: user.as_ref().to_vec(), authenticated: true }).await? {
            Outcome::Locations(list) => Ok(list),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    /// Sends the server the key of the user's current tickets, with which it authenticates notices to this client from now on.
    /// The subscriptions stay as they are.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or is refused.
    pub async fn renew_key(&self) -> Result<()> {
        self.subscribe(Subscriptions::default()).await.map(drop)
    }

    /// Reads the principal of the user's current tickets, and uses it as the sender: for programs that started without tickets.
    ///
    /// # Errors
    ///
    /// When there are tickets and they cannot be read.
    pub async fn identify(&self) -> Result<()> {
        self.done(Operation::Identify).await.map(drop)
    }

    /// Watches the user's tickets, for a program that renews its subscriptions itself: from now on the client does not, and
    /// events go to the last watch only.
    pub fn tickets(&self) -> Tickets {
        Tickets::new(self.started.requests.clone())
    }

    /// Watches whether the server had forgotten this client, which subscribes again by itself; see
    /// [`Options::subscription_check`]. Without a watch it is logged; events go to the last watch only.
    pub fn subscription_watch(&self) -> SubscriptionWatch {
        SubscriptionWatch::new(&self.started.requests)
    }

    /// Tells the client that this machine's network has changed, or that the machine has slept. It notices that by itself where the
    /// system tells; this is for programs that know it otherwise. The client asks the server at once whether it is known there, at most once
    /// in two seconds, and subscribes again where it is not.
    pub fn network_changed(&self) {
        // A client that has ended has no subscriptions.
        let _ = self.started.requests.send(Request::NetworkChanged);
    }

    /// Closes the connection. Subscriptions and locations are not removed: the server drops them when its notices to this
    /// client are not acknowledged any more.
    pub fn close(&self) {
        // A client that has ended need not be closed.
        let _ = self.started.requests.send(Request::Close);
    }

    /// The identity and addresses of this client.
    pub fn endpoint(&self) -> Endpoint {
        self.started.state.endpoint().clone()
    }

    /// The realm of the server.
    pub fn realm(&self) -> String {
        self.endpoint().realm
    }

    /// The user's name as notices carry it, `name@REALM`; invalid UTF-8 becomes U+FFFD.
    pub fn sender(&self) -> String {
        String::from_utf8_lossy(&self.endpoint().sender).into_owned()
    }

    /// The UDP port at which this client receives.
    pub fn port(&self) -> u16 {
        self.endpoint().port
    }

    /// The address of this machine, as uids carry it.
    pub fn address(&self) -> Ipv4Addr {
        self.endpoint().address
    }
}
