//! The interface of state machines: inputs from a driver, and outputs to it.
//!
//! A [`Machine`] decides; its driver does. Whatever happens outside is an [`Input`]: a datagram has come, a job is
//! done, it is time, somebody commands. Whatever the machine wants is an [`Output`]. A machine does no I/O, reads no
//! clock, never blocks and calls nobody back, so the same machine runs on sockets, in a C library's blocking loop, and
//! by the thousand in a simulated network with a scripted clock.
//!
//! What may take long, or needs files or the network, such as opening a ticket or getting one from a KDC, is a *job*:
//! data that the machine puts out ([`Output::Job`]), and whose result comes back as [`Input::Done`] whenever it is
//! there: at once, or later from a worker thread. Results may come back in any order; a machine restores the order that
//! it needs.
//!
//! The loop of a driver:
//!
//! ```
//! # use std::time::{Duration, UNIX_EPOCH};
//! # use zephyr_core::time::Now;
//! use zephyr_engine::machine::{Input, Machine, Output};
//!
//! /// Does everything that a machine wants now; gives the moment at which it must be asked again.
//! fn drive<M: Machine>(machine: &mut M, now: Now, mut job: impl FnMut(M::Job) -> M::Done) -> Option<Duration> {
//!     loop {
//!         match machine.poll(now) {
//!             Output::Transmit(transmit) => println!("{} octets to {}", transmit.payload.len(), transmit.to),
//!             // On the spot. On a worker thread, the result is handed in when it comes.
//!             Output::Job(wanted) => {
//!                 let done = job(wanted);
//!                 machine.handle(now, Input::Done(done));
//!             }
//!             Output::Event(_) => {} // for the log, the metrics, and whoever else listens
//!             // Sleep until a datagram, a finished job or a command comes, but not longer than this.
//!             Output::Wait(until) => return until,
//!         }
//!     }
//! }
//! ```
//!
//! When [`Output::Wait`] says a moment, the driver hands in [`Input::Timeout`] once that moment has come. Every input
//! may change what the machine wants, so a driver polls after every input or after a batch of them.

use bytes::Bytes;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::time::Now;

/// A state machine with a driver around it.
pub trait Machine {
    /// Commands of the program, or of its operator.
    type Command;
    /// Work that the driver does.
    type Job;
    /// The result of a job; says by itself of which.
    type Done;
    /// Events for subscribers.
    type Event;

    /// Handles an input. Time never goes back between calls.
    fn handle(&mut self, now: Now, input: Input<'_, Self>);

    /// The next thing that the machine wants, one at a time, until it wants to wait.
    fn poll(&mut self, now: Now) -> Output<Self>;

    /// Gives back a packet that cannot be sent yet, because the socket takes no more at the moment: it is the next to
    /// be sent.
    fn put_back(&mut self, transmit: Transmit);
}

/// An input to a machine.
pub enum Input<'a, M: Machine + ?Sized> {
    /// A datagram has come from this address and port.
    Datagram {
        /// Where from.
        from: SocketAddr,
        /// The address of this host that it came to, as far as the system says: a host may have many, and an answer
        /// goes from the one that was asked.
        local: Option<IpAddr>,
        /// Its octets; those beyond [`zephyr_core::limits::MAX_PACKET`] are not looked at.
        octets: &'a [u8],
    },
    /// The network says that nobody listens at an address and port to which a packet was sent. Anybody who guesses both
    /// ports can forge that; but not a quotation of what he has not seen.
    Unreachable {
        /// Where the packet was sent.
        to: SocketAddr,
        /// The octets of the packet that are quoted, from its first on; perhaps none.
        quoted: &'a [u8],
    },
    /// A job is done.
    Done(M::Done),
    /// The moment that the machine wanted to wait for has come, or another one: it looks itself what is due.
    Timeout,
    /// An order.
    Command(M::Command),
}

/// An output of a machine.
pub enum Output<M: Machine + ?Sized> {
    /// To send a packet. One that cannot be sent is lost, as it could be on its way.
    Transmit(Transmit),
    /// To have a job done.
    Job(M::Job),
    /// To tell something.
    Event(M::Event),
    /// Nothing until this moment on the monotonic clock; `None`: until something happens.
    Wait(Option<Duration>),
}

impl<M: Machine + ?Sized> fmt::Debug for Output<M>
where
    M::Job: fmt::Debug,
    M::Event: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit(transmit) => f.debug_tuple("Transmit").field(transmit).finish(),
            Self::Job(job) => f.debug_tuple("Job").field(job).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
        }
    }
}

/// A packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The address of this host that it goes from; `None`: the one that the system chooses.
    pub local: Option<IpAddr>,
    /// The datagram.
    pub payload: Bytes,
}
