//! The procedure of zaway (clients, section 5).

use super::{
    answering::{Answered, SIGNATURE, Sender, wants_answer},
    options::Options,
    source::Source,
};
use crate::{messages::Messages, sending::proven_if_possible};
use std::{
    io,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use zephyr_client::{
    DeliveryStatus, Direct, Error, Inbox, Message, Operation, OperationError, Outcome, Receipt, Received, Result,
    Zephyr, block_on, codeset, names,
};
use zephyr_core::{body, principal::Principal, sanitize};

/// What fails before there is a connection, in C's words.
const INITIALIZING: &str = "while initializing";
/// How long cancelling the subscriptions may take in the end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers messages until a signal ends it, which is success.
pub fn run(options: &Options, messages: &mut Messages<'_>) -> ExitCode {
    let source = match Source::of(options) {
        Ok(source) => source,
        Err(error) => {
            messages.line(&error.describe(messages.program));
            return ExitCode::FAILURE;
        }
    };
    let ended = block_on(answer_until_stopped(options, source, messages));
    match ended.unwrap_or_else(|error| during(Err(error.into()), INITIALIZING)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed { error, context }) => {
            messages.failure(&error, context);
            ExitCode::FAILURE
        }
    }
}

/// What has ended the program, and while what.
struct Failed {
    error: Error,
    context: &'static str,
}

fn during<T>(result: Result<T>, context: &'static str) -> std::result::Result<T, Failed> {
    result.map_err(|error| Failed { error, context })
}

async fn answer_until_stopped(
    options: &Options,
    source: Source,
    messages: &mut Messages<'_>,
) -> std::result::Result<(), Failed> {
    let mut stop = during(Stop::new().map_err(Error::from), INITIALIZING)?;
    let (zephyr, mut inbox) = tokio::select! {
        connected = connect(options) => during(connected, INITIALIZING)?,
        () = stop.signal() => return Ok(()),
    };
    let own = zephyr.endpoint().sender;
    let mut away = Away {
        options,
        source,
        zephyr: &zephyr,
        own,
        messages,
        answered: Answered::default(),
        begin: Instant::now(),
        reported: String::new(),
    };
    tokio::select! {
        ended = away.answer_all(&mut inbox) => ended?,
        () = stop.signal() => {}
    }
    // Also where a signal came before the server had answered.
    let cancelled = timeout(CANCEL_TIMEOUT, zephyr.cancel_subscriptions()).await;
    during(cancelled.unwrap_or_else(|_| Err(OperationError::TimedOut.into())), "while cancelling subscriptions")
}

async fn connect(options: &Options) -> Result<(Zephyr, Inbox)> {
    let mut connection = zephyr_client::Options::from_environment()?;
    if options.no_direct {
        connection.direct = Direct::Never;
    }
    connection.connect().await
}

/// The signals that end the program.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn signal(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// A user who is away.
struct Away<'a, 'm> {
    options: &'a Options,
    source: Source,
    zephyr: &'a Zephyr,
    /// The user's name, with the realm.
    own: Vec<u8>,
    messages: &'a mut Messages<'m>,
    answered: Answered,
    begin: Instant,
    /// The last problem that was reported: it is not repeated for each message.
    reported: String,
}

impl Away<'_, '_> {
    /// Subscribes, and answers until the connection ends.
    async fn answer_all(&mut self, inbox: &mut Inbox) -> std::result::Result<(), Failed> {
        let all = (names::MESSAGE, names::ANY_INSTANCE, self.own.as_slice());
        if let Some(text) = during(self.zephyr.subscribe(all).await, "while subscribing")? {
            self.messages.say(&text);
        }
        loop {
            match during(inbox.next().await, "while receiving notice")? {
                Some(received) => self.handle(&received).await,
                None => return during(Err(Error::Closed), "while receiving notice"),
            }
        }
    }

    /// Answers a message, if it wants one.
    async fn handle(&mut self, received: &Received) {
        let notice = received.notice();
        let sender = Sender { name: notice.sender, is_proven: received.is_authentic() };
        let now = self.begin.elapsed();
        if !wants_answer(&notice, &self.own) || !self.answered.allows(sender, now) {
            return;
        }
        if let Err(error) = self.source.reread() {
            self.report(&error.to_string());
        }
        let Some(text) = self.source.text_for(Principal::parse(sender.name).name) else { return };
        let body = body::of_texts([SIGNATURE, &text]);
        if self.options.watches_location {
            match self.is_located().await {
                Ok(false) => {}
                Ok(true) => {
                    return tracing::debug!(sender = sanitize::name(sender.name), "not answered: the user is there");
                }
                // Whoever may be there needs no answer in his place.
                Err(error) => return self.report(&error.describe("while locating self")),
            }
        }
        self.answered.record(sender, now);
        let answer = Message::to_class(notice.class)
            .instance(notice.instance)
            .recipient(sender.name)
            .default_format("")
            .charset(codeset::label(self.options.charset.as_deref(), &body))
            .body(body);
        let to = sanitize::name(sender.name);
        match proven_if_possible(self.zephyr, answer).await {
            Ok(Receipt { status: DeliveryStatus::Refused(_), text, .. }) => {
                self.report(&format!("Received authorization failure while sending to {to}"));
                text.into_iter().for_each(|text| self.messages.say(&text));
            }
            // Who has gone since needs no answer.
            Ok(_) => {}
            Err(error) => self.report(&error.describe("while sending notice")),
        }
    }

    /// Whether the user has a location. Asked with proof, as those of some exposures are shown to nobody else, or without where there is
    /// none.
    async fn is_located(&self) -> Result<bool> {
        let ask = |authenticated| self.zephyr.perform(Operation::Locate { user: self.own.clone(), authenticated });
        let answer = match ask(true).await {
            Err(Error::Operation(OperationError::Auth(_))) => ask(false).await?,
            answer => answer?,
        };
        Ok(matches!(answer, Outcome::Locations(locations) if !locations.is_empty()))
    }

    fn report(&mut self, problem: &str) {
        if self.reported != problem {
            problem.clone_into(&mut self.reported);
            self.messages.say(problem);
        }
    }
}
