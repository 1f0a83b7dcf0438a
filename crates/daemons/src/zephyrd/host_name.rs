//! The server's own name, and what is doubtful about it.

use super::start::HostName;
use crate::problem::Problem;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::Duration,
};
use zephyr_config::system_text;
use zephyr_domain::{Backend, client_domain::ClientDomain, policy_file::PolicyFile, server_domain::ServerDomain};
use zephyr_net::{address, host};

/// How long the name service may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server of this name serves.
pub(super) struct Served<'a> {
    pub(super) domain: &'a ServerDomain,
    pub(super) policies: &'a PolicyFile,
    pub(super) forced: Option<Backend>,
}

/// The name that the settings give, or this host's own; and the address that it stands for where the server listens at all
/// addresses. The name service may not be there yet when a machine boots: then a server begins with what the system says, as
/// nothing that is proven depends on either.
///
/// # Errors
///
/// When the host has no name.
pub(super) fn find(setting: Option<&str>, listening: SocketAddr) -> Result<HostName, Problem> {
    let bound = match listening.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    };
    match (setting, bound) {
        (Some(name), Some(address)) => Ok(HostName { name: name.to_owned(), address, unresolved: None }),
        (Some(name), None) => Ok(look_up(name.to_owned(), |name| Some(name.to_owned()), None)),
        (None, bound) => {
            let own = host::own_name().ok().filter(|name| !name.is_empty());
            let own = own.ok_or_else(|| {
                Problem::of_machine(
                    "this host has no name: give it one, or set hostname in section zephyrd of zephyr.toml",
                )
            })?;
            Ok(look_up(own, host::canonical_name, bound))
        }
    }
}

/// Looks up the full name and, unless it is `bound` to one, the address of a host, but not for ever.
fn look_up(own: String, full: fn(&str) -> Option<String>, bound: Option<Ipv4Addr>) -> HostName {
    let (answers, queue) = mpsc::channel();
    let asked = own.clone();
    let started = thread::Builder::new().name("look-up".to_owned()).spawn(move || {
        let (name, is_found) = full(&asked).map_or((asked, false), |name| (name, true));
        let address = match bound {
            Some(bound) if is_found => Ok(bound),
            _ => address::resolve(&name, 0).map(|found| bound.unwrap_or(*found.ip())),
        };
        // When the time is over nobody wants it.
        let _ = answers.send((name, address));
    });
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name service does not answer");
    let found = started.and_then(|_| queue.recv_timeout(LOOKUP_TIMEOUT).map_err(late));
    let (name, address) = found.unwrap_or_else(|error| (own, Err(error)));
    match address {
        Ok(address) => HostName { name, address, unresolved: None },
        Err(error) => {
            let outward = || address::outward().unwrap_or(Ipv4Addr::UNSPECIFIED);
            let address = bound.unwrap_or_else(outward);
            HostName { name, address, unresolved: Some(system_text(&error)) }
        }
    }
}

/// What is doubtful about a name: that it is not the full one, that it has no address, or one that no other host can reach,
/// and that clients take it for that of another realm. A server that listens on this machine alone is asked nothing.
pub(super) fn warnings(host: &HostName, listening: SocketAddr, served: Option<Served<'_>>) -> Vec<Problem> {
    let HostName { name, address, unresolved } = host;
    if listening.ip().is_loopback() {
        return Vec::new();
    }
    let mend = format!(
        "give {name} the host's own address in DNS or /etc/hosts, or set hostname in section zephyrd of zephyr.toml"
    );
    let mut warnings = Vec::new();
    if let Some(reason) = unresolved.as_ref().filter(|_| !listening.ip().is_unspecified()) {
        // A name with dots is a full one, and where the server is it was told.
        if !name.contains('.') {
            warnings.push(format!(
                "this host's full name was not found ({reason}), so the server calls itself {name}: {mend}"
            ));
        }
    } else if let Some(reason) = unresolved {
        warnings.push(format!(
            "this host's name {name} has no IPv4 address ({reason}), so clients are told {address}: {mend}"
        ));
    } else if address.is_loopback() {
        warnings.push(format!(
            "this host's name {name} is the loopback address {address} here, which other hosts cannot reach: {mend}"
        ));
    }
    if let Some(Served { domain, policies, forced }) = served
        && let Ok(taken) = ClientDomain::of_server(policies, forced, name)
        && taken.realm != domain.realm
    {
        let mend = if domain.domain.backend == Backend::NONE {
            format!("set realm = {:?} in section zephyrd of zephyr.toml", taken.realm)
        } else {
            "map it in [domain_realm] of krb5.conf".to_owned()
        };
        warnings.push(format!(
            "the server serves realm {}, and clients with this machine's configuration take {name} for a server of {}: {mend}, or \
             name it as servers of the domain in policy.toml",
            domain.realm, taken.realm
        ));
    }
    warnings.into_iter().map(Problem::of_machine).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_given_is_not_looked_up() {
        let found = find(Some("no-such-host.invalid"), ([127, 0, 0, 7], 2103).into()).unwrap();
        let HostName { name, address, unresolved } = found;
        assert_eq!((name.as_str(), address, unresolved), ("no-such-host.invalid", [127, 0, 0, 7].into(), None));
    }

    #[test]
    fn a_full_name_that_is_not_found_is_told_where_the_address_is_given() {
        let bound = [192, 0, 2, 7].into();
        let found = look_up("no-such-host.invalid".to_owned(), host::canonical_name, Some(bound));
        assert_eq!((found.name.as_str(), found.address), ("no-such-host.invalid", bound));
        let short = HostName { name: "zsrv".to_owned(), address: bound, unresolved: found.unresolved };
        let told = warnings(&short, (bound, 2103).into(), None);
        assert_eq!(told.len(), 1, "{told:?}");
        let told = told[0].to_string();
        assert!(told.contains("this host's full name was not found ("), "{told}");
        assert!(told.contains("), so the server calls itself zsrv: give zsrv the host's own address in DNS"), "{told}");
        let full = HostName { name: "zsrv.zlab.example".to_owned(), ..short };
        assert_eq!(warnings(&full, (bound, 2103).into(), None).len(), 0, "that is one");
    }

    #[test]
    fn a_name_of_another_realm_is_told_what_mends_it() {
        for (backend, mend) in [
            ("none", "set realm = \"DEPT.EXAMPLE.ORG\" in section zephyrd of zephyr.toml"),
            ("kerberos", "map it in [domain_realm] of krb5.conf"),
        ] {
            let content = format!("[domain.\"*\"]\nbackend = \"{backend}\"\n");
            let policies = PolicyFile::read(Path::new("p"), &content).unwrap();
            let domain = ServerDomain::find(&policies, None, Some("MACHINE"), None).unwrap();
            let (name, address) = ("zephyr.dept.example.org".to_owned(), [10, 0, 0, 7].into());
            let host = HostName { name, address, unresolved: None };
            let served = Served { domain: &domain, policies: &policies, forced: None };
            let warnings = warnings(&host, (Ipv4Addr::UNSPECIFIED, 2103).into(), Some(served));
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            let expected = format!(": {mend}, or name it as servers of the domain in policy.toml");
            assert!(warnings[0].text.ends_with(&expected), "{warnings:?}");
        }
    }

    #[test]
    fn a_name_without_an_address_keeps_no_server_from_starting() {
        let found = find(Some("no-such-host.invalid"), (Ipv4Addr::UNSPECIFIED, 2103).into()).unwrap();
        assert_eq!(found.name, "no-such-host.invalid");
        assert!(found.unresolved.is_some());
    }
}
