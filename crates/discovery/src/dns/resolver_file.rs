//! What `/etc/resolv.conf` says: which name servers there are, and in which domain this machine is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Name servers asked at most, as the C library does.
const MAX_NAME_SERVERS: usize = 3;
/// The port of name servers.
const DNS_PORT: u16 = 53;

/// The name servers of a resolver's configuration; the one of this machine where it names none.
pub fn name_servers(configuration: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|&word| word == "nameserver").and_then(|_| words.next())?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, DNS_PORT))
    };
    let found: Vec<SocketAddr> = configuration.lines().filter_map(address).take(MAX_NAME_SERVERS).collect();
    if found.is_empty() { vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT))] } else { found }
}

/// The first domain in which short names are looked up: of several `search` or `domain` lines the last counts.
pub fn search_domain(configuration: &str) -> Option<&str> {
    let domain = |line| {
        let mut words = str::split_ascii_whitespace(line);
        matches!(words.next(), Some("search" | "domain")).then(|| words.next()).flatten()
    };
    configuration.lines().filter_map(domain).next_back().filter(|&domain| domain != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_servers_are_the_resolver_s() {
        let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 53);
        let resolver = "search x\nnameserver 10.0.0.1\n nameserver ::1 \nnameserver x\n#nameserver 1.1.1.1\n";
        assert_eq!(name_servers(resolver), [at("10.0.0.1"), at("::1")]);
        assert_eq!(name_servers(&"nameserver 10.0.0.1\n".repeat(9)).len(), MAX_NAME_SERVERS);
        assert_eq!(name_servers(""), [at("127.0.0.1")]);
    }

    #[test]
    fn the_domain_is_the_first_of_the_last_list() {
        for (configuration, domain) in [
            ("", None),
            ("nameserver 10.0.0.1\nsearch .\n", None),
            ("search a.test b.test\n", Some("a.test")),
            ("domain c.test\nsearch a.test b.test\n", Some("a.test")),
            ("search a.test\n domain c.test x\n", Some("c.test")),
        ] {
            assert_eq!(search_domain(configuration), domain, "{configuration}");
        }
    }
}
