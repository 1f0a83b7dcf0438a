//! Look-ups of servers' names, each on a thread of its own: the name service may hang, and nothing waits for it.

use std::{io, net::Ipv4Addr, thread};
use tokio::sync::mpsc;
use zephyr_engine::host_manager::{Located, Lookup, LookupAnswer};
use zephyr_net::{address, host};

/// Runs look-ups. The machine asks for one at a time for each server, so there are never more threads than servers.
#[derive(Debug)]
pub(super) struct Lookups {
    answers: mpsc::UnboundedSender<LookupAnswer>,
}

impl Lookups {
    /// With the queue that answers come in.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<LookupAnswer>) {
        let (answers, queue) = mpsc::unbounded_channel();
        (Self { answers }, queue)
    }

    /// Looks up a name; `None`, and the answer comes through the queue, when that may take long.
    pub(super) fn run(&self, lookup: Lookup) -> Option<LookupAnswer> {
        if lookup.host.parse::<Ipv4Addr>().is_ok() {
            return Some(answer(lookup));
        }
        let (answers, asked) = (self.answers.clone(), lookup.clone());
        let started = thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            // When nobody wants the answer any more, the host manager has ended.
            let _ = answers.send(answer(asked));
        });
        started.err().map(|error| lookup.answer(Err(error.to_string().into())))
    }
}

fn answer(lookup: Lookup) -> LookupAnswer {
    let found = locate(&lookup).map_err(|error| reason(&error));
    lookup.answer(found)
}

fn locate(lookup: &Lookup) -> io::Result<Located> {
    let (address, others) = address::resolve_all(&lookup.host, lookup.port)?;
    let others = others.into_iter().map(Into::into).collect();
    let name = host::canonical_name(&lookup.host).map_or_else(|| lookup.host.clone(), Into::into);
    Ok(Located { name, address: address.into(), others, local: address::towards(address).ok() })
}

/// What the name service says, without what the standard library says before it.
pub(crate) fn reason(error: &io::Error) -> Box<str> {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(host: &str) -> Lookup {
        Lookup { host: host.into(), port: 2103 }
    }

    #[test]
    fn an_address_is_known_on_the_spot() {
        let (lookups, _queue) = Lookups::new();
        let found = lookups.run(lookup("127.0.0.7")).unwrap().found.unwrap();
        assert_eq!((&*found.name, found.address), ("127.0.0.7", ([127, 0, 0, 7], 2103).into()));
        assert!(found.local.is_some_and(|local| local.is_loopback()));
    }

    #[test]
    fn a_name_is_looked_up_elsewhere() {
        let (lookups, mut queue) = Lookups::new();
        assert_eq!(lookups.run(lookup("localhost")), None);
        assert!(queue.blocking_recv().unwrap().found.is_ok_and(|found| found.address.ip().is_loopback()));
        assert_eq!(lookups.run(lookup("no-such-host.invalid")), None);
        let error = queue.blocking_recv().unwrap().found.unwrap_err();
        assert!(!error.is_empty() && !error.contains("failed to lookup"), "{error}");
    }
}
