//! A driver of a machine on a UDP socket.
//!
//! A [`Driver`] receives for its machine, sends what it wants sent, and tells it the time. What it cannot know, which
//! jobs are done how and who listens to events, the program around it says in an [`Environment`]. Its work comes in
//! bounded turns, so that signals and other sockets of the program are served between them:
//!
//! ```
//! # use std::{convert::Infallible, io, time::Duration};
//! # use zephyr_core::time::Now;
//! # use zephyr_engine::machine::{Input, Machine, Output, Transmit};
//! use zephyr_net::driver::{Driver, Environment};
//!
//! # struct Quiet;
//! # impl Machine for Quiet {
//! #     type Command = Infallible;
//! #     type Job = Infallible;
//! #     type Done = Infallible;
//! #     type Event = String;
//! #     fn handle(&mut self, _: Now, _: Input<'_, Self>) {}
//! #     fn poll(&mut self, _: Now) -> Output<Self> { Output::Wait(None) }
//! #     fn put_back(&mut self, _: Transmit) {}
//! # }
//! struct Log;
//!
//! impl<M: Machine<Job = Infallible, Event = String>> Environment<M> for Log {
//!     fn job(&mut self, _: Now, job: Infallible) -> Option<M::Done> {
//!         match job {}
//!     }
//!     fn event(&mut self, event: String) {
//!         println!("{event}");
//!     }
//! }
//!
//! async fn run<M: Machine<Job = Infallible, Event = String>>(mut driver: Driver<M>, stop: impl Future) {
//!     let mut stop = std::pin::pin!(stop);
//!     loop {
//!         let turn = driver.turn(&mut Log);
//!         tokio::select! {
//!             biased;
//!             _ = &mut stop => return,
//!             () = driver.wait(&turn, None) => {}
//!         }
//!     }
//! }
//! ```

use crate::{
    batch::{BatchReceiver, MAX_BATCH},
    clock::Clock,
};
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;
use zephyr_core::time::Now;
use zephyr_engine::machine::{Input, Machine, Output};

/// Maximum number of batches received in one turn.
const MAX_BATCHES: usize = 8;
/// Number of packets and jobs of one turn in which nothing is received.
const MIN_OUTPUTS: usize = 64;
/// Packets and jobs more for each datagram received, so that what a flood causes does not pile up in the machine.
const OUTPUTS_PER_DATAGRAM: usize = 2;

/// The environment of a driven machine, provided by its program.
pub trait Environment<M: Machine> {
    /// Runs a job, or hands it to another thread: `None`, and what became of it goes into [`Driver::handle`] when it is
    /// there.
    fn job(&mut self, now: Now, job: M::Job) -> Option<M::Done>;

    /// Handles an event of the machine.
    fn event(&mut self, event: M::Event);

    /// Reports an error of receiving or sending. What could not be sent is lost, as it could be on its way.
    fn failed(&mut self, failure: Failure) {
        let _ = failure;
    }
}

/// An error of the socket.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something that was sent before has not arrived, or there is no memory for what has come.
    #[error("cannot receive: {0}")]
    Receive(#[source] io::Error),
    /// A packet was not sent.
    #[error("cannot send to {to}: {error}")]
    Send {
        /// The destination.
        to: SocketAddr,
        /// Why it did not.
        #[source]
        error: io::Error,
    },
}

/// What is left to do after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The machine or the socket has more: take the next turn soon.
    pub busy: bool,
    /// The socket takes no more packets at the moment, and the machine has some.
    pub blocked: bool,
    /// When the machine wants the next turn if nothing happens.
    pub until: Option<Instant>,
}

/// A machine, the socket that it is on, and the clock that it goes by.
#[derive(Debug)]
pub struct Driver<M: Machine> {
    machine: M,
    socket: UdpSocket,
    clock: Clock,
    receiver: BatchReceiver,
    /// When the machine wanted a timeout, as it last said.
    due: Option<Duration>,
    /// The last turn left outputs in the machine, so it did not say when it wants a timeout.
    more: bool,
}

/// How far the machine's outputs were done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// All of them.
    All,
    /// As many as a turn may do.
    Some,
    /// Until the socket took no more.
    Blocked,
}

impl<M: Machine> Driver<M> {
    /// A driver of this machine, whose [`Now`]s are of this clock, on this socket.
    pub fn new(machine: M, socket: UdpSocket, clock: Clock) -> Self {
        Self { machine, socket, clock, receiver: BatchReceiver::new(), due: None, more: true }
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be asked or configured. What it wants after that is done in the next turn.
    pub const fn machine_mut(&mut self) -> &mut M {
        self.more = true;
        &mut self.machine
    }

    /// The socket.
    pub const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Hands the machine a command, or the result of a job; what it causes is done in the next turn.
    pub fn handle(&mut self, input: Input<'_, M>) {
        self.more = true;
        self.machine.handle(self.clock.now(), input);
    }

    /// Receives what has come, and does what the machine wants, but not endlessly.
    pub fn turn(&mut self, environment: &mut impl Environment<M>) -> Turn {
        let Received { datagrams, all } = self.receive(environment);
        let now = self.clock.now();
        // A machine that always has something to do is told the time, too.
        if self.more || self.due.is_some_and(|due| due <= now.monotonic) {
            self.due = self.due.filter(|due| *due > now.monotonic);
            self.machine.handle(now, Input::Timeout);
        }
        let polled = self.poll(environment, MIN_OUTPUTS + OUTPUTS_PER_DATAGRAM * datagrams);
        Turn {
            busy: !all || polled == Polled::Some,
            blocked: polled == Polled::Blocked,
            until: self.due.map(|due| self.clock.instant(due)),
        }
    }

    /// Waits until there is something to do for the next turn, but not beyond `deadline`. May be cancelled.
    pub async fn wait(&self, turn: &Turn, deadline: Option<Instant>) {
        if turn.busy {
            return tokio::task::yield_now().await;
        }
        let until = [turn.until, deadline].into_iter().flatten().min();
        let sleep = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.socket.readable() => {}
            _ = self.socket.writable(), if turn.blocked => {}
            () = sleep => {}
        }
    }

    /// Does all that the machine wants before it wants to wait, without receiving: for its end.
    pub async fn flush(&mut self, environment: &mut impl Environment<M>) {
        loop {
            match self.poll(environment, MIN_OUTPUTS) {
                Polled::All => return,
                Polled::Some => tokio::task::yield_now().await,
                Polled::Blocked if self.socket.writable().await.is_err() => return,
                Polled::Blocked => {}
            }
        }
    }

    fn receive(&mut self, environment: &mut impl Environment<M>) -> Received {
        let mut datagrams = 0;
        for _ in 0..MAX_BATCHES {
            let now = self.clock.now();
            let (machine, socket) = (&mut self.machine, &self.socket);
            let each = |from, octets: &[u8]| machine.handle(now, Input::Datagram { from, octets });
            match self.receiver.receive(socket, each) {
                Ok(received) => {
                    datagrams += received;
                    if received < MAX_BATCH {
                        return Received { datagrams, all: true };
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received { datagrams, all: true },
                // There may be datagrams behind it.
                Err(error) => environment.failed(Failure::Receive(error)),
            }
        }
        Received { datagrams, all: false }
    }

    fn poll(&mut self, environment: &mut impl Environment<M>, max: usize) -> Polled {
        self.more = true;
        let mut left = max;
        let now = self.clock.now();
        while left > 0 {
            match self.machine.poll(now) {
                Output::Transmit(transmit) => {
                    left -= 1;
                    match self.socket.try_send_to(&transmit.payload, transmit.to) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            self.machine.put_back(transmit);
                            return Polled::Blocked;
                        }
                        Err(error) => environment.failed(Failure::Send { to: transmit.to, error }),
                    }
                }
                Output::Job(job) => {
                    left -= 1;
                    if let Some(done) = environment.job(now, job) {
                        self.machine.handle(now, Input::Done(done));
                    }
                }
                Output::Event(event) => environment.event(event),
                Output::Wait(until) => {
                    self.due = until;
                    self.more = false;
                    return Polled::All;
                }
            }
        }
        Polled::Some
    }
}

/// The result of receiving in one turn.
struct Received {
    datagrams: usize,
    /// Nothing that had come is left, as far as the socket says.
    all: bool,
}

#[cfg(test)]
mod tests;
