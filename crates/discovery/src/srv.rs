//! Servers in SRV records of DNS (RFC 2782).

use crate::{
    ServerName, candidates,
    dns::{
        ResolveError, Resolver,
        message::{Class, Data, Kind, Question},
    },
};
use std::time::Duration;
use zephyr_engine::host_manager::Candidate;

/// The service and its protocol, which stand before the domain.
const SERVICE: &str = "_zephyr-clt._udp";

/// What the records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Services {
    /// There are these, for that long.
    Servers(Vec<Candidate>, Duration),
    /// There is no record.
    None,
    /// A record says that the domain has no server.
    Denied,
    /// There are records, and no host in any of them.
    Invalid,
}

/// The full name of a domain's records.
pub(crate) fn name(domain: &str) -> String {
    format!("{SERVICE}.{domain}")
}

/// The servers of a domain.
///
/// # Errors
///
/// When nobody says anything of use.
pub(crate) fn servers(resolver: &mut Resolver, domain: &str) -> Result<Services, ResolveError> {
    let name = name(domain);
    let question = Question::new(&name, Class::Internet, Kind::Service).ok_or(ResolveError::Name(name))?;
    let (records, valid_for) = resolver.ask(&question)?;
    Ok(services(records, valid_for))
}

fn services(records: Vec<Data>, valid_for: Duration) -> Services {
    if records.is_empty() {
        return Services::None;
    }
    let is_denial = |record: &Data| matches!(record, Data::Service { target: None, .. });
    if records.iter().all(is_denial) {
        return Services::Denied;
    }
    let mut found: Vec<Candidate> = records.into_iter().filter_map(candidate).collect();
    // In the order of names, as name servers shuffle them: what has not changed looks so.
    found.sort_by(|one, other| {
        let key = |candidate: &Candidate| (candidate.priority, u16::MAX - candidate.weight);
        (key(one), &one.host, one.port).cmp(&(key(other), &other.host, other.port))
    });
    let found = candidates::distinct(found);
    if found.is_empty() {
        return Services::Invalid;
    }
    Services::Servers(found, valid_for)
}

/// The server of a record. An address is no name of a host, whatever a resolver would make of it.
fn candidate(record: Data) -> Option<Candidate> {
    let Data::Service { priority, weight, port, target: Some(target) } = record else { return None };
    let name: ServerName = target.parse().ok().filter(|name: &ServerName| name.port.is_none())?;
    let last = name.host.rsplit('.').next().unwrap_or_default();
    let is_number =
        last.starts_with("0x") || last.starts_with("0X") || last.bytes().all(|octet| octet.is_ascii_digit());
    (port != 0 && !is_number).then(|| Candidate { host: name.host.into(), port, priority, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> Data {
        let target = (target != ".").then(|| target.to_owned());
        Data::Service { priority, weight, port, target }
    }

    fn found(records: Vec<Data>) -> Vec<String> {
        match services(records, HOUR) {
            Services::Servers(found, _) => {
                found.iter().map(|one| format!("{} {} {}:{}", one.priority, one.weight, one.host, one.port)).collect()
            }
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn servers_are_in_the_order_of_their_priorities_and_weights() {
        let records = vec![record(20, 5, 2103, "c.test"), record(10, 0, 2103, "b.test"), record(10, 60, 99, "a.test")];
        assert_eq!(found(records), ["10 60 a.test:99", "10 0 b.test:2103", "20 5 c.test:2103"]);
    }

    #[test]
    fn what_names_no_host_is_left_out() {
        let wrong = ["127.0.0.1", "0x7f.1", "2130706433", "a.0X7F", "a b.test", "a\\000.test", "a\\.b.test", ""];
        let mut records: Vec<Data> = wrong.iter().map(|target| record(0, 0, 2103, target)).collect();
        assert_eq!(found(records.clone()), ["Invalid"]);
        records.extend([record(0, 0, 0, "zero.test"), record(0, 0, 2103, "."), record(0, 0, 2103, "a.test")]);
        assert_eq!(found(records), ["0 0 a.test:2103"]);
        assert_eq!(found(vec![record(0, 0, 0, ".")]), ["Denied"]);
        assert_eq!(found(vec![]), ["None"]);
    }

    #[test]
    fn of_many_the_first_count_each_once() {
        let mut records: Vec<Data> =
            (0..5000).map(|number| record(number, 0, 2103, &format!("host{number}.test"))).rev().collect();
        records.extend([record(0, 0, 2103, "HOST0.test"), record(0, 0, 2103, "host0.test")]);
        let found = found(records);
        assert_eq!(found.len(), crate::MAX_CANDIDATES);
        assert!(found[1].starts_with("1 0 host1.test"), "{found:?}");
    }
}
