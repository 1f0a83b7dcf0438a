//! What every source's list is held to.

use crate::{MAX_CANDIDATES, ServerName};
use zephyr_engine::host_manager::Candidate;
use zephyr_net::services;

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
    let ranked = |(place, server): (usize, &Candidate)| Candidate::listed(place, &server.host, server.port);
    equal(names).iter().enumerate().map(ranked).collect()
}

/// Servers of a list in which none is preferred.
pub(crate) fn equal(names: &[ServerName]) -> Vec<Candidate> {
    let usual = services::port(services::ZEPHYR_CLT);
    distinct(names.iter().map(|name| Candidate::listed(0, &name.host, name.port.unwrap_or(usual))))
}
