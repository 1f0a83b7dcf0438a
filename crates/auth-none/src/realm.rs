//! Realms of hosts in domains without Kerberos.

use std::net::IpAddr;
use zephyr_core::auth::AuthError;

/// The realm of this machine's own servers: that of its host name.
///
/// # Errors
///
/// When the machine does not say its name.
pub fn default_realm() -> Result<String, AuthError> {
    let name = nix::unistd::gethostname()
        .map_err(|error| AuthError::Backend(format!("cannot read the host name: {error}")))?;
    let name = name.to_string_lossy().into_owned();
    // A machine without a name of its own still has a realm.
    Ok(of_name(&name).unwrap_or_else(|| "LOCALHOST".to_owned()))
}

/// The realm of the server called `host`: the domain that the host is in, in capitals (`z1.example.org` is in
/// `EXAMPLE.ORG`); for a host without a domain its own name in capitals; for an address, and for `localhost`, that of
/// this machine.
///
/// # Errors
///
/// As [`default_realm`].
pub fn realm_of_host(host: &str) -> Result<String, AuthError> {
    of_name(host).map_or_else(default_realm, Ok)
}

fn of_name(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.');
    if host.is_empty() || host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let domain = host.split_once('.').map_or(host, |(_, domain)| domain);
    Some(domain.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for (host, realm) in [
            ("z1.example.org", Some("EXAMPLE.ORG")),
            ("z1.example.org.", Some("EXAMPLE.ORG")),
            ("Zephyr", Some("ZEPHYR")),
            ("localhost", None),
            ("127.0.0.1", None),
            ("::1", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(of_name(host).as_deref(), realm, "{host}");
        }
    }

    #[test]
    fn client_and_server_of_one_machine_agree() {
        assert_eq!(realm_of_host("127.0.0.1"), default_realm());
        assert!(default_realm().is_ok_and(|realm| !realm.is_empty()));
    }
}
