//! A server without sockets: what it sends is received at once. Its proofs are verified as the program around it does
//! that.

use super::stage::{Double, Proof, Received, session_of};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    auth::{AuthError, Session},
    time::Now,
};
use zephyr_daemons::zephyrd::verifier::Verifier;
use zephyr_engine::{
    machine::{Input, Machine, Output},
    server::{Command, Config, Done, Event, Job, RealmDone, RealmJob, Server, peers::c::Restored},
};

/// Whether packets go over sockets.
pub(crate) const OVER_SOCKETS: bool = false;
/// Polls in a row without an output after which nothing more is to be expected before time passes.
const MAX_IDLE_POLLS: usize = 4;

/// The address of a host. Nobody is really there.
pub(crate) fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, 0, number)
}

/// The address of a host on another network.
pub(crate) fn outside() -> Ipv4Addr {
    Ipv4Addr::new(127, 78, 0, 1)
}

/// The server, and who verifies for it.
pub(crate) struct Transport {
    server: Server,
    /// The server's address that packets are sent to.
    pub(crate) asked: IpAddr,
    double: Arc<Double>,
    verifier: Verifier,
    /// Jobs that are somebody else's.
    pub(crate) jobs: Vec<Job>,
    runtime: tokio::runtime::Runtime,
    /// What becomes of jobs about other realms.
    pub(crate) sessions: Sessions,
}

/// Sessions with other realms.
pub(crate) enum Sessions {
    /// They are given at once, with this session.
    Given(Arc<dyn Session>),
    /// There are none.
    Refused,
    /// Nobody has an answer; with the realms that were asked for.
    Awaited(Vec<Arc<[u8]>>),
}

impl Transport {
    pub(crate) fn new(config: Config, now: Now) -> Self {
        let double = Arc::new(Double::default());
        let verifier = Verifier::new(double.clone(), crate::VERIFY_THREADS).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let asked = config.address.into();
        let server = Server::new(config, now);
        Self { server, asked, double, verifier, jobs: Vec::new(), runtime, sessions: Sessions::Refused }
    }

    /// How many packets were verified.
    pub(crate) fn judged(&self) -> usize {
        self.double.judged()
    }

    pub(crate) fn give(&mut self, now: Now, from: SocketAddr, octets: &[u8], proof: Proof) {
        self.double.set(proof);
        self.server.handle(now, Input::Datagram { from, local: Some(self.asked), octets });
    }

    pub(crate) fn command(&mut self, now: Now, command: Command) {
        self.server.handle(now, Input::Command(command));
    }

    pub(crate) fn timeout(&mut self, now: Now) {
        self.server.handle(now, Input::Timeout);
    }

    /// What the server sends and tells now, in its order.
    pub(crate) fn drain(&mut self, now: Now) -> (Vec<Received>, Vec<Event>) {
        let (mut received, mut events) = (Vec::new(), Vec::new());
        let (mut under_way, mut idle) = (0, 0);
        loop {
            let output = self.server.poll(now);
            idle = if matches!(output, Output::Wait(_)) { idle + 1 } else { 0 };
            match output {
                Output::Transmit(transmit) => received.push(transmit.into()),
                Output::Job(Job::Verify(job)) => match self.verifier.verify(now, job) {
                    Some(verified) => self.server.handle(now, Input::Done(Done::Verified(verified))),
                    None => under_way += 1,
                },
                Output::Job(Job::Restore(job)) => {
                    let sessions = job.keys.iter().map(session_of).collect();
                    let restored = Restored { id: job.id, sessions };
                    self.server.handle(now, Input::Done(Done::Restored(restored)));
                }
                Output::Job(Job::Realm(RealmJob::Session(realm))) => {
                    let result = match &mut self.sessions {
                        Sessions::Given(session) => Ok(session.clone()),
                        Sessions::Refused => Err(AuthError::Backend("there is none".to_owned())),
                        Sessions::Awaited(asked) => {
                            asked.push(realm);
                            continue;
                        }
                    };
                    let done = Done::Realm(RealmDone::Session { realm, result });
                    self.server.handle(now, Input::Done(done));
                }
                Output::Job(job) => self.jobs.push(job),
                Output::Event(event) => events.push(event),
                Output::Wait(_) if under_way > 0 => {
                    let verified = self.runtime.block_on(self.verifier.next());
                    under_way -= 1;
                    self.server.handle(now, Input::Done(Done::Verified(verified)));
                }
                // It goes on bit by bit: not everything that it does in one poll can be seen.
                Output::Wait(Some(until)) if until <= now.monotonic && idle < MAX_IDLE_POLLS => {}
                Output::Wait(_) => return (received, events),
            }
        }
    }

    /// When the server wants to be woken.
    pub(crate) fn next_timeout(&mut self, now: Now) -> Option<Duration> {
        match self.server.poll(now) {
            Output::Wait(until) => until,
            other => panic!("there is something to do first: {other:?}"),
        }
    }
}

impl Deref for Transport {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Transport {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
