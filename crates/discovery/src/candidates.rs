//! What every source's list is held to.

use crate::{MAX_CANDIDATES, ServerName};
use std::time::Duration;
use zephyr_engine::host_manager::Candidate;
use zephyr_net::services;

/// The shortest and the longest time for which an answer of a name service holds.
pub(crate) const MIN_VALIDITY: Duration = Duration::from_secs(30);
pub(crate) const MAX_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);

/// The first ones that are different.
pub(crate) fn distinct(all: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in all {
        let is_same =
            |known: &Candidate| known.host.eq_ignore_ascii_case(&candidate.host) && known.port == candidate.port;
        if found.iter().any(is_same) {
            continue;
        }
        found.push(candidate);
        if found.len() == MAX_CANDIDATES {
            break;
        }
    }
    found
}

/// Servers of a list without priorities: the first before all others (host manager, section 2).
pub(crate) fn primary_first(names: &[ServerName]) -> Vec<Candidate> {
    of_list(names, |place| u16::from(place > 0))
}

/// Servers of a list in which none is preferred.
pub(crate) fn equal(names: &[ServerName]) -> Vec<Candidate> {
    of_list(names, |_| 0)
}

fn of_list(names: &[ServerName], priority: fn(usize) -> u16) -> Vec<Candidate> {
    let usual = services::port(services::ZEPHYR_CLT);
    let candidate = |name: &ServerName| Candidate {
        host: name.host.as_str().into(),
        port: name.port.unwrap_or(usual),
        priority: 0,
        weight: 0,
    };
    let mut found = distinct(names.iter().map(candidate));
    for (place, candidate) in found.iter_mut().enumerate() {
        candidate.priority = priority(place);
    }
    found
}
