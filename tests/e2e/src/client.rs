//! A client that does what the test says: the `e2e-client` program.

use crate::{listener::Received, person::TIMEOUT};
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, process::Command};
use zephyr_testkit::process::Daemon;

/// Said by the client when it has found its server, before its port number.
pub const READY: &str = "ready at port ";
/// What the line of an outcome begins with.
pub const ANSWER: &str = "=";

/// A running client. Ends when dropped, without a word to its server.
#[derive(Debug)]
pub struct Client {
    daemon: Daemon,
    port: u16,
    orders: usize,
}

/// What a client was told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order(usize);

impl Client {
    pub(crate) fn start(command: Command, log: PathBuf) -> Result<Self> {
        let daemon = Daemon::spawn_with_lifeline(command, log)?;
        let line = daemon.wait_for(TIMEOUT, |line| line.starts_with(READY))?;
        let port = line.strip_prefix(READY).and_then(|port| port.parse().ok());
        Ok(Self { daemon, port: port.with_context(|| format!("no port in {line:?}"))?, orders: 0 })
    }

    /// Where it receives.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells it to do something, and does not wait: what may be done is in the program's source.
    ///
    /// # Errors
    /// When it has ended.
    pub fn begin(&mut self, order: &[&str]) -> Result<Order> {
        self.orders += 1;
        self.daemon.write_line(&format!("{}\t{}", self.orders, order.join("\t")))?;
        Ok(Order(self.orders))
    }

    /// The outcome of what it was told to do, which is waited for.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn outcome(&self, order: Order) -> Result<String> {
        let head = format!("{ANSWER}\t{}\t", order.0);
        let line = self.daemon.wait_for(TIMEOUT, |line| line.starts_with(&head))?;
        Ok(line.strip_prefix(&head).unwrap_or_default().to_owned())
    }

    /// Tells it to do something, and waits for the outcome.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn ask(&mut self, order: &[&str]) -> Result<String> {
        let order = self.begin(order)?;
        self.outcome(order)
    }

    /// Tells it to do something, which must be done.
    ///
    /// # Errors
    /// When it is not.
    pub fn order(&mut self, order: &[&str]) -> Result<()> {
        match self.ask(order)?.as_str() {
            "done" | "sent" => Ok(()),
            other => bail!("{order:?}: {other}"),
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// When it is not done.
    pub fn subscribe(&mut self, (class, instance, recipient): (&str, &str, &str)) -> Result<()> {
        self.order(&["subscribe", class, instance, recipient])
    }

    /// Takes a subscription back.
    ///
    /// # Errors
    /// When it is not done.
    pub fn unsubscribe(&mut self, (class, instance, recipient): (&str, &str, &str)) -> Result<()> {
        self.order(&["unsubscribe", class, instance, recipient])
    }

    /// Its subscriptions, as its server has them: in order, each with commas between its parts.
    ///
    /// # Errors
    /// When the server does not say.
    pub fn subscriptions(&mut self) -> Result<Vec<String>> {
        let list = self.ask(&["list"])?;
        if list.starts_with("failed") {
            bail!("{list}");
        }
        Ok(list.split_whitespace().map(str::to_owned).collect())
    }

    /// Sends a notice; gives `sent`, `nobody`, or what else became of it.
    ///
    /// # Errors
    /// When it is not answered in time.
    pub fn send(&mut self, class: &str, instance: &str, recipient: &str, text: &str) -> Result<String> {
        self.ask(&["send", class, instance, recipient, text])
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.daemon.transcript().lines_after(0).iter().filter_map(|line| Received::read(line)).collect()
    }

    /// The messages of everything received so far.
    pub fn messages(&self) -> Vec<String> {
        self.received().iter().map(Received::message).collect()
    }

    /// The first notice received with this message, now or soon.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn receive(&self, message: &str) -> Result<Received> {
        let is_wanted = |line: &str| Received::read(line).is_some_and(|received| received.message() == message);
        let line = self.daemon.wait_for(TIMEOUT, is_wanted)?;
        Received::read(&line).context("no longer a notice")
    }
}
