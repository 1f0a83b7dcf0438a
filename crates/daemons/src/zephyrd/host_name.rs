//! The server's own name, and what is doubtful about it.

use super::start::HostName;
use crate::problem::Problem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use zephyr_domain::{Backend, client_domain::ClientDomain, policy_file::PolicyFile, server_domain::ServerDomain};
use zephyr_net::{address, host};

/// What a server of this name serves.
pub(super) struct Served<'a> {
    pub(super) domain: &'a ServerDomain,
    pub(super) policies: &'a PolicyFile,
    pub(super) forced: Option<Backend>,
}

/// The name that the settings give, or this host's own; and the address that it stands for where the server listens at all
/// addresses. May wait for the name service.
///
/// # Errors
///
/// When the host has no name.
pub(super) fn find(setting: Option<&str>, listening: SocketAddr) -> Result<HostName, Problem> {
    let name = match setting {
        Some(name) => name.to_owned(),
        None => {
            let own = host::own_name().ok().filter(|name| !name.is_empty());
            let own = own.ok_or_else(|| {
                Problem::of_machine(
                    "this host has no name: give it one, or set hostname in section zephyrd of zephyr.toml",
                )
            })?;
            host::canonical_name(&own).unwrap_or(own)
        }
    };
    let address = match listening.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => address,
        _ => address::resolve(&name, listening.port()).map_or(Ipv4Addr::UNSPECIFIED, |address| *address.ip()),
    };
    Ok(HostName { name, address })
}

/// What is doubtful about a name: that it has no address, or one that no other host can reach, and that clients take it for
/// that of another realm. A server that listens on this machine alone is asked nothing.
pub(super) fn warnings(host: &HostName, listening: SocketAddr, served: Option<Served<'_>>) -> Vec<Problem> {
    let HostName { name, address } = host;
    if listening.ip().is_loopback() {
        return Vec::new();
    }
    let mend = format!(
        "give {name} the host's own address in DNS or /etc/hosts, or set hostname in section zephyrd of zephyr.toml"
    );
    let mut warnings = Vec::new();
    if address.is_unspecified() {
        warnings.push(format!("this host's name {name} has no IPv4 address, so clients are told 0.0.0.0: {mend}"));
    } else if address.is_loopback() {
        warnings.push(format!(
            "this host's name {name} is the loopback address {address} here, which other hosts cannot reach: {mend}"
        ));
    }
    if let Some(Served { domain, policies, forced }) = served
        && let Ok(taken) = ClientDomain::of_server(policies, forced, name)
        && taken.realm != domain.realm
    {
        warnings.push(format!(
            "the server serves realm {}, and clients with this machine's configuration take {name} for a server of {}: map it in \
             [domain_realm] of krb5.conf, or name it as servers of the domain in policy.toml",
            domain.realm, taken.realm
        ));
    }
    warnings.into_iter().map(Problem::of_machine).collect()
}
