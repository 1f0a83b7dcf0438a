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
    datagram::{self, ErrorReceiver},
};
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{Interest, Ready},
    net::UdpSocket,
};
use zephyr_core::{limits::MAX_PACKET, time::Now};
use zephyr_engine::machine::{Input, Machine, Output};

/// Maximum number of batches received in one turn.
const MAX_BATCHES: usize = 8;
/// Maximum number of packets and jobs of one turn, beside those that follow at once from what is received.
const MAX_OUTPUTS: usize = 64;
/// Maximum number of packets and jobs after each datagram received: what usually follows from it, so that what a flood
/// causes does not pile up in the machine.
const OUTPUTS_PER_DATAGRAM: usize = 3;

/// Maximum number of errors about packets that were sent, taken in one turn.
const MAX_ERRORS: usize = 64;
/// The wait for a socket that takes no packets, once tokio no longer says when it does.
const WRITABLE_INTERVAL: Duration = Duration::from_millis(1);

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
    /// For example, there is no memory for what has come.
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
    errors: ErrorReceiver,
    /// When the machine wanted a timeout, as it last said.
    due: Option<Duration>,
    /// The last turn left outputs in the machine, so it did not say when it wants a timeout.
    more: bool,
}

/// How far the machine's outputs were done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// All of them; when the machine wants to hear the time next.
    All(Option<Duration>),
    /// As many as a turn may do.
    Some,
    /// Until the socket took no more.
    Blocked,
}

impl<M: Machine> Driver<M> {
    /// A driver of this machine, whose [`Now`]s are of this clock, on this socket.
    pub fn new(machine: M, socket: UdpSocket, clock: Clock) -> Self {
        let (receiver, errors) = (BatchReceiver::new(), ErrorReceiver::new());
        Self { machine, socket, clock, receiver, errors, due: None, more: true }
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
        self.receive_errors();
        let all_received = self.receive(environment);
        let now = self.clock.now();
        // A machine that always has something to do is told the time, too.
        if self.more || self.due.is_some_and(|due| due <= now.monotonic) {
            self.due = self.due.filter(|due| *due > now.monotonic);
            self.machine.handle(now, Input::Timeout);
        }
        let polled = self.poll(environment, MAX_OUTPUTS);
        Turn {
            busy: !all_received || polled == Polled::Some,
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
            _ = self.socket.ready(Interest::READABLE | Interest::ERROR) => {}
            _ = self.writable(), if turn.blocked => {}
            () = sleep => {}
        }
    }

    /// Does all that the machine wants before it wants to wait, without receiving: for its end.
    pub async fn flush(&mut self, environment: &mut impl Environment<M>) {
        loop {
            match self.poll(environment, MAX_OUTPUTS) {
                Polled::All(_) => return,
                Polled::Some => tokio::task::yield_now().await,
                Polled::Blocked if self.writable().await.is_err() => return,
                Polled::Blocked => {}
            }
        }
    }

    /// Waits until the socket takes packets.
    async fn writable(&self) -> io::Result<()> {
        let ready = self.socket.ready(Interest::WRITABLE).await?;
        // After the first error tokio takes the socket for closed, and ready to say so, for ever.
        if (ready & Ready::WRITABLE).is_empty() {
            tokio::time::sleep(WRITABLE_INTERVAL).await;
        }
        Ok(())
    }

    /// Takes errors about what was sent, but not endlessly: those that are left make the socket ready for the next turn.
    fn receive_errors(&mut self) {
        let Self { machine, socket, clock, errors, more, .. } = self;
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..MAX_ERRORS {
            match socket.try_io(Interest::ERROR, || errors.take(socket, &mut buffer)) {
                Ok(Some(report)) if report.port_unreachable => {
                    let quoted = buffer.get(..report.quoted).unwrap_or_default();
                    machine.handle(clock.now(), Input::Unreachable { to: report.to, quoted });
                    *more = true;
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Receives for one turn; whether nothing that had come is left, as far as the socket says.
    fn receive(&mut self, environment: &mut impl Environment<M>) -> bool {
        let Self { machine, socket, clock, receiver, .. } = self;
        let mut blocked = false;
        for _ in 0..MAX_BATCHES {
            let now = clock.now();
            let each = |from, local, octets: &[u8]| {
                machine.handle(now, Input::Datagram { from, local, octets });
                // Before the next one, so that nothing of a batch has to wait within the machine.
                if !blocked {
                    blocked = poll(machine, socket, now, environment, OUTPUTS_PER_DATAGRAM) == Polled::Blocked;
                }
            };
            match receiver.receive(socket, each) {
                Ok(MAX_BATCH) => {}
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // There may be datagrams behind it.
                Err(error) if datagram::may_be_of_an_earlier_packet(&error) => {}
                Err(error) => environment.failed(Failure::Receive(error)),
            }
        }
        false
    }

    fn poll(&mut self, environment: &mut impl Environment<M>, max: usize) -> Polled {
        let polled = poll(&mut self.machine, &self.socket, self.clock.now(), environment, max);
        self.more = true;
        if let Polled::All(until) = polled {
            self.due = until;
            self.more = false;
        }
        polled
    }
}

/// Does what a machine wants, up to so many packets and jobs.
fn poll<M: Machine>(
    machine: &mut M,
    socket: &UdpSocket,
    now: Now,
    environment: &mut impl Environment<M>,
    max: usize,
) -> Polled {
    let mut left = max;
    while left > 0 {
        match machine.poll(now) {
            Output::Transmit(transmit) => {
                left -= 1;
                match socket.try_io(Interest::WRITABLE, || datagram::send(socket, &transmit)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        machine.put_back(transmit);
                        return Polled::Blocked;
                    }
                    Err(error) => environment.failed(Failure::Send { to: transmit.to, error }),
                }
            }
            Output::Job(job) => {
                left -= 1;
                if let Some(done) = environment.job(now, job) {
                    machine.handle(now, Input::Done(done));
                }
            }
            Output::Event(event) => environment.event(event),
            Output::Wait(until) => return Polled::All(until),
        }
    }
    Polled::Some
}

#[cfg(test)]
mod tests;
