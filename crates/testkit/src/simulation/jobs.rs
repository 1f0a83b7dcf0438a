//! The jobs of servers, host managers and clients, done on the spot or later.

use super::{node::SERVER_PORT, world::World};
use std::sync::Arc;
use zephyr_core::auth::{Acceptor as _, AuthError, Session};
use zephyr_engine::{
    client::{Done, Job, Setup, Trust},
    host_manager::{Located, Lookup, LookupAnswer},
    server::{Verified, VerifyJob},
};

impl World {
    /// A server's packet is verified.
    pub(super) fn verify(&mut self, node: usize, job: VerifyJob) -> Verified {
        let now = self.now_of(node);
        let fails = !self.is_well && self.random.chance(self.scenario.driver.failed_jobs);
        let kdc = &self.domains[self.nodes[node].domain].kdc;
        let packet = job.packet.packet();
        let result = if fails { Err(failure()) } else { kdc.judge(&packet, &job.expected, now) };
        self.tell(node, || format!("has verified {}: {result:?}", job.packet.notice().uid));
        self.history.goes_on(Some((self.nodes[node].incarnation(node), job.packet.notice().uid)));
        Verified { id: job.id, result }
    }

    /// A server's name is looked up by a host manager.
    pub(super) fn look_up(&mut self, node: usize, lookup: Lookup) -> LookupAnswer {
        let fails = !self.is_well && self.name_service.chance(self.scenario.driver.failed_jobs);
        let server = self.nodes.iter().find(|server| *server.name == *lookup.host && !fails);
        // Every other host knows the servers by other addresses of theirs.
        let here = self.nodes[node].host;
        let found = server.map(|server| {
            let there = &self.hosts[server.host];
            let address = if here % 2 == 1 { there.alias() } else { there.address };
            Located {
                name: lookup.host.clone(),
                address: (address, SERVER_PORT).into(),
                others: Vec::new(),
                local: Some(self.hosts[here].address),
            }
        });
        let answer = lookup.answer(found.ok_or_else(|| "out of order".into()));
        self.tell(node, || format!("has looked up {answer:?}"));
        answer
    }

    /// A client's job is done.
    pub(super) fn work(&mut self, node: usize, job: &Job) -> Done {
        match job {
            Job::Discover => return Done::Discovered(self.discover(node)),
            Job::Lookup(lookup) => return Done::Lookup(self.look_up(node, lookup.clone())),
            Job::HostManagerOwner => return Done::HostManagerOwner(Trust::Trusted),
            _ => {}
        }
        let now = self.now_of(node);
        let fails = !self.is_well && self.random.chance(self.scenario.driver.failed_jobs);
        let domain = &self.domains[self.nodes[node].domain];
        let user = &domain.users[self.user_of(node)];
        let done = match job {
            Job::Setup { .. } => Done::Setup(Ok(Setup {
                realm: domain.realm.clone(),
                sender: user.principal.clone().into_bytes(),
                address: self.hosts[self.nodes[node].host].address,
                policy: domain.plan.policy.clone(),
            })),
            Job::Session { .. } if fails => Done::Session(Err(failure())),
            Job::Session { .. } => Done::Session(match &user.ticket {
                None => Err(AuthError::NoCredentials),
                Some(ticket) if !ticket.is_good(now) => Err(AuthError::Expired),
                Some(ticket) => Ok(Arc::clone(ticket) as Arc<dyn Session>),
            }),
            Job::Principal if fails => Done::Principal(Err(failure())),
            Job::Principal => Done::Principal(Ok(user.ticket.as_ref().map(|_| user.principal.clone()))),
            Job::Address | Job::Discover | Job::Lookup(_) | Job::HostManagerOwner => {
                Done::Address(self.hosts[self.nodes[node].host].address)
            }
        };
        self.tell(node, || format!("has done {job:?}: {done:?}"));
        done
    }
}

fn failure() -> AuthError {
    AuthError::Backend("out of order".to_owned())
}
