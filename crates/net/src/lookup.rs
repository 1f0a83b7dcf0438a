//! Look-ups of servers' names: what the system's name service says of them.

use crate::{address, host};
use std::io;
use zephyr_engine::host_manager::{Located, Lookup, LookupAnswer};

/// Looks up a server's name. May wait for the name service as long as that takes; for an address as text it does not.
pub fn answer(lookup: Lookup) -> LookupAnswer {
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
pub fn reason(error: &io::Error) -> Box<str> {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(host: &str) -> LookupAnswer {
        answer(Lookup { host: host.into(), port: 2103 })
    }

    #[test]
    fn a_server_is_where_its_name_says() {
        let found = lookup("127.0.0.7").found.unwrap();
        assert_eq!((&*found.name, found.address), ("127.0.0.7", ([127, 0, 0, 7], 2103).into()));
        assert!(found.local.is_some_and(|local| local.is_loopback()));
        assert!(lookup("localhost").found.is_ok_and(|found| found.address.ip().is_loopback()));
        let error = lookup("no-such-host.invalid").found.unwrap_err();
        assert!(!error.is_empty() && !error.contains("failed to lookup"), "{error}");
    }
}
