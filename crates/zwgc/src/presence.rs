//! What the server knows of the user while zwgc runs: the location and the subscriptions (zwgc, sections 2 and 4).
//!
//! Both are made at start, and made again when the server has forgotten them or new tickets have come. What could not be made, for
//! want of tickets or of an answer, is tried again.

use crate::{
    attempt::Attempt,
    report::{report, report_error},
    subscription_file::{Entries, Macros, SubscriptionFile},
    waiting::telling,
    wishes::Wishes,
};
use std::future::pending;
use tokio::time::{Instant, sleep_until};
use zephyr_client::{
    Error, Location, OperationError, SubscriptionEvent, Subscriptions, TicketEvent, Tickets, Zephyr, localtime,
};
use zephyr_net::{host, network_watch::NetworkChanges};
use zephyr_output::complain;

/// The server refuses to subscribe a client at this port.
#[derive(Debug)]
pub(crate) struct PortRefused(pub(crate) Error);

/// Whether the server has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Some,
    None,
}

/// The user's presence at the server.
pub(crate) struct Presence<'a> {
    zephyr: &'a Zephyr,
    wishes: &'a Wishes,
    /// Whether the user takes part, or will when what is to be done for it is done.
    is_active: bool,
    location: &'a Location,
    /// `None`: there is none that can be read, which was reported and will not change.
    file: Option<&'a SubscriptionFile>,
    /// The entries of the file, with the name that the user had then.
    entries: Option<(Vec<u8>, Entries)>,
    /// Whether the client may move to another port.
    may_move: bool,
    located: Attempt,
    subscribed: Attempt,
    /// Whether the user was warned that the tickets end.
    warned: bool,
}

const fn is_refused_by_server(error: &Error) -> bool {
    matches!(error, Error::Operation(error) if error.is_refused_by_server())
}

impl<'a> Presence<'a> {
    /// The presence of a client that is not known to the server yet.
    pub(crate) fn new(
        zephyr: &'a Zephyr,
        wishes: &'a Wishes,
        location: &'a Location,
        file: Option<&'a SubscriptionFile>,
        may_move: bool,
    ) -> Self {
        Self {
            zephyr,
            wishes,
            is_active: wishes.is_active(),
            location,
            file,
            entries: None,
            may_move,
            located: Attempt::default(),
            subscribed: Attempt::default(),
            warned: false,
        }
    }

    /// Sets the location and subscribes; what cannot be done is reported.
    pub(crate) async fn begin(&mut self) -> Result<(), PortRefused> {
        self.identify().await;
        if self.set_location().await == Answer::None {
            // Whoever waits need not wait as long once more.
            self.subscribed.retry_at = Some(Instant::now());
            return Ok(());
        }
        self.establish().await
    }

    /// Sees to it that location and subscriptions are as is wanted, until the server refuses the client's port.
    pub(crate) async fn keep(mut self) -> PortRefused {
        match self.keep_up().await {
            Ok(()) => pending().await,
            Err(refused) => refused,
        }
    }

    async fn keep_up(&mut self) -> Result<(), PortRefused> {
        // From now on, so that tickets are new which were not there for the first request.
        let mut tickets: Option<Tickets> = self.is_active.then(|| self.zephyr.tickets());
        let mut subscriptions = self.zephyr.subscription_watch();
        let mut network = NetworkChanges::new();
        loop {
            let retry_at = [self.located.retry_at, self.subscribed.retry_at].into_iter().flatten().min();
            tokio::select! {
                event = next_of(&mut tickets) => {
                    if report_tickets(event, &mut self.warned) {
                        self.renew(event).await?;
                    }
                }
                event = subscriptions.next() => self.handle_restoration(event).await?,
                // What failed for want of a network may succeed now.
                () = network.changed() => {
                    if retry_at.is_some() {
                        self.establish().await?;
                    }
                }
                () = until(retry_at) => self.establish().await?,
                () = self.wishes.changed() => {
                    self.follow().await?;
                    if self.is_active && tickets.is_none() {
                        tickets = Some(self.zephyr.tickets());
                    }
                }
            }
        }
    }

    /// Does what is wanted now: subscribes again, or to nothing (zwgc, section 4.3).
    async fn follow(&mut self) -> Result<(), PortRefused> {
        if self.wishes.is_active() == self.is_active {
            return Ok(());
        }
        self.is_active = !self.is_active;
        if self.is_active {
            self.subscribed.begin_anew();
            return self.establish().await;
        }
        if self.subscribed.is_done {
            self.remember().await;
        }
        self.subscribed = Attempt::default();
        if let Err(error) = self.zephyr.cancel_subscriptions().await {
            report_error(&error, "while cancelling subscriptions");
        }
        Ok(())
    }

    /// Remembers what is subscribed to, which need not be what the subscription file says.
    async fn remember(&self) {
        match self.zephyr.subscriptions().await {
            Ok(list) => *self.wishes.remembered.borrow_mut() = Some(list).filter(|list| !list.is_empty()),
            Err(error) => report_error(&error, "while retrieving subscriptions"),
        }
    }

    /// Does what is not done.
    async fn establish(&mut self) -> Result<(), PortRefused> {
        self.identify().await;
        if !self.located.is_done {
            self.set_location().await;
        }
        if self.is_active && !self.subscribed.is_done {
            self.subscribe().await?;
        }
        Ok(())
    }

    /// Takes up the name of whoever the tickets are of, which may have come or changed.
    async fn identify(&self) {
        if let Err(error) = self.zephyr.identify().await {
            tracing::debug!(%error, "cannot read whose credentials there are");
        }
    }

    async fn set_location(&mut self) -> Answer {
        let setting = self.zephyr.set_location(self.wishes.exposure.get(), self.location);
        match telling("the server's answer about where you are", setting).await {
            Ok(()) | Err(Error::Operation(OperationError::NotLoggedIn)) => {
                if self.located.succeed() {
                    complain!("zwgc: the server has taken your location now.");
                }
                Answer::Some
            }
            Err(error) => {
                self.located.fail(&error, "while setting location");
                if matches!(error, Error::Operation(OperationError::TimedOut)) { Answer::None } else { Answer::Some }
            }
        }
    }

    /// Subscribes to what is remembered, without the server's default subscriptions; else by the subscription file.
    async fn subscribe(&mut self) -> Result<(), PortRefused> {
        let remembered = self.wishes.remembered.borrow().clone();
        let (subscriptions, unwanted, with_defaults) = match (remembered, self.current_entries()) {
            (Some(list), _) => (list, Vec::new(), false),
            (None, Some(Entries { subscriptions, unsubscriptions, .. })) => (subscriptions, unsubscriptions, true),
            (None, None) => {
                self.subscribed.succeed();
                return Ok(());
            }
        };
        let subscribing = async {
            match with_defaults {
                // An empty list is sent, too: it adds the server's default subscriptions.
                true => self.zephyr.subscribe_with_defaults(subscriptions).await,
                false => self.zephyr.subscribe(subscriptions).await,
            }
        };
        match telling("the server's answer about your subscriptions", subscribing).await {
            Ok(message) => {
                tracing::info!("subscribed, listening on port {}", self.zephyr.port());
                if self.subscribed.succeed() {
                    complain!("zwgc: the server has taken your subscriptions now.");
                }
                if let Some(message) = message {
                    report(&format!("zwgc: not all of the subscriptions: {message}"));
                }
            }
            Err(error) if self.may_move && is_refused_by_server(&error) => return Err(PortRefused(error)),
            Err(error) => {
                self.subscribed.fail(&error, "while subscribing");
                return Ok(());
            }
        }
        let unwanted: Subscriptions = unwanted.into();
        if !unwanted.0.is_empty()
            && let Err(error) = self.zephyr.unsubscribe(unwanted).await
        {
            report_error(&error, "while unsubscribing");
        }
        Ok(())
    }

    /// The entries of the subscription file for whoever the user is by the tickets that there are; what it hides is hidden. The file is read once for each name,
    /// so that what is wrong in it is not said each time.
    fn current_entries(&mut self) -> Option<Entries> {
        let file = self.file?;
        let sender = self.zephyr.endpoint().sender;
        let known = self.entries.take().filter(|(name, _)| *name == sender);
        let (_, entries) = self
            .entries
            .insert(known.unwrap_or_else(|| (sender, entries(file, self.zephyr, self.location, self.wishes))));
        Some(entries.clone())
    }

    /// Handles new tickets.
    async fn renew(&mut self, event: TicketEvent) -> Result<(), PortRefused> {
        self.identify().await;
        if !self.is_active {
            return self.establish().await;
        }
        let is_known = self.subscribed.is_done && event == TicketEvent::New && self.renew_key().await;
        if !is_known {
            self.subscribed.begin_anew();
        }
        if !self.located.is_done {
            self.located.begin_anew();
        }
        self.establish().await
    }

    /// Sends the server the key of new tickets; false when everything must be subscribed to. Present subscriptions stay as they are,
    /// which need not be those of the subscription file: other programs change them. But a server that has forgotten the client would
    /// take the key for that of a client without any.
    async fn renew_key(&mut self) -> bool {
        let renewed = match self.zephyr.unknown_for().await {
            Ok(None) => self.zephyr.renew_key().await,
            Ok(Some(unknown_for)) => {
                let time = localtime::rounded(unknown_for);
                complain!(
                    "zwgc: the server had forgotten you: subscribing again. You were not subscribed for up to {time}; notices in between are lost."
                );
                self.located.is_done = false;
                return false;
            }
            Err(error) => Err(error),
        };
        match renewed {
            Ok(()) => true,
            Err(error) => {
                self.subscribed.fail(&error, "while subscribing with new tickets");
                false
            }
        }
    }

    /// Handles that the server had forgotten the client, which has subscribed again.
    async fn handle_restoration(&mut self, event: SubscriptionEvent) -> Result<(), PortRefused> {
        match event {
            SubscriptionEvent::Restored { unknown_for } | SubscriptionEvent::Moved { unknown_for } => {
                let time = localtime::rounded(unknown_for);
                let why = match event {
                    SubscriptionEvent::Moved { .. } => "this machine's network has changed: subscribed again",
                    _ => "the server had forgotten you: subscribed again",
                };
                complain!("zwgc: {why}. You were not subscribed for up to {time}; notices in between are lost.");
                self.subscribed.succeed();
                // It has most likely forgotten the location, too.
                self.located.begin_anew();
                self.establish().await
            }
            SubscriptionEvent::NotRestored(error) if self.may_move && error.is_refused_by_server() => {
                Err(PortRefused(error.into()))
            }
            SubscriptionEvent::NotRestored(error) => {
                report_error(&error.into(), "while subscribing again, as the server has forgotten you");
                complain!("zwgc: It is tried again now and then.");
                Ok(())
            }
            SubscriptionEvent::Forgotten => {
                complain!(
                    "zwgc: the server has forgotten you, and you have no tickets: nothing reaches you until you run kinit."
                );
                Ok(())
            }
            SubscriptionEvent::Silent => {
                complain!("zwgc: the server does not answer: until it does, notices for you may be lost.");
                Ok(())
            }
            SubscriptionEvent::Answers => {
                complain!("zwgc: the server answers again.");
                Ok(())
            }
        }
    }
}

/// The entries of the subscription file, with the user's current name. Lines that are none are reported.
fn entries(file: &SubscriptionFile, zephyr: &Zephyr, location: &Location, wishes: &Wishes) -> Entries {
    let macros = Macros {
        host: host::own_name().unwrap_or_default().into_bytes(),
        canon: location.host.clone().into_bytes(),
        me: zephyr.endpoint().sender,
    };
    let entries = file.entries(&macros);
    for line in file.complaints(&entries) {
        report(&line);
    }
    let mut punts = wishes.punts.borrow_mut();
    for triple in &entries.punts {
        if punts.add(triple).is_err() {
            report(&format!("zwgc: cannot hide {triple}: there are too many of them, or it is too long"));
        }
    }
    drop(punts);
    entries
}

/// The next event of a watch that there may be.
async fn next_of(tickets: &mut Option<Tickets>) -> TicketEvent {
    match tickets {
        Some(tickets) => tickets.next().await,
        None => pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Reports a change of the tickets to the user; true when the program must subscribe with new ones.
fn report_tickets(event: TicketEvent, warned: &mut bool) -> bool {
    match event {
        // New tickets in time need no report.
        TicketEvent::New if !*warned => tracing::info!("there are new tickets"),
        TicketEvent::New | TicketEvent::First => complain!("zwgc: there are new tickets: subscribing with them."),
        TicketEvent::EndsSoon(end) => {
            let end = localtime::date_and_time(end);
            complain!(
                "zwgc: your tickets end at {end}. Run kinit: without new ones nothing can be proven from then on."
            );
        }
        TicketEvent::Ended => {
            complain!("zwgc: your tickets have ended. Run kinit to send and to subscribe with proof again.");
        }
    }
    *warned = matches!(event, TicketEvent::EndsSoon(_) | TicketEvent::Ended);
    !*warned
}
