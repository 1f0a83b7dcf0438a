//! Host names.
//!
//! The standard library resolves names to addresses and tells nothing about names of names, so the canonical name is
//! found as the usual configuration would give it: the first name of the host's line in `/etc/hosts`, else the name
//! itself when it has a dot, else the name in the first search domain of `/etc/resolv.conf` where it resolves. DNS aliases
//! are not followed and no reverse look-up is made for it.

use std::{fs, io, net::IpAddr};

/// This machine's own name, as the system has it: with or without a domain.
///
/// # Errors
///
/// When the system has none, or one that is not text.
pub fn own_name() -> io::Result<String> {
    nix::unistd::gethostname()?.into_string().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The full name of a host, or `None` when the name does not resolve. May wait for the name service.
pub fn canonical_name(host: &str) -> Option<String> {
    let hosts = text_of("/etc/hosts");
    if let Some(name) = in_hosts_file(&hosts, host) {
        return Some(name.to_owned());
    }
    let resolves = |name: &str| super::address::resolve(name, 0).is_ok();
    if host.contains('.') {
        return resolves(host).then(|| host.to_owned());
    }
    let resolver = text_of("/etc/resolv.conf");
    let qualified = search_domains(&resolver).into_iter().map(|domain| format!("{host}.{domain}"));
    qualified.chain([host.to_owned()]).find(|name| resolves(name))
}

/// The name of the host at an address, as the system's name service has it. May wait for the name service. Whoever owns the address
/// chooses the name: it proves nothing, and may hold anything.
pub fn name_of(address: IpAddr) -> Option<String> {
    // Without a name, the system gives the address.
    dns_lookup::lookup_addr(&address).ok().filter(|name| name.parse::<IpAddr>().is_err())
}

/// The text of a file of the system. What is no UTF-8, such as a comment, costs itself alone.
fn text_of(path: &str) -> String {
    fs::read(path).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
}

/// The first name on the line of a hosts file that knows `host`, compared without case.
pub fn in_hosts_file<'a>(file: &'a str, host: &str) -> Option<&'a str> {
    file.lines().find_map(|line| {
        let mut names = line.split('#').next()?.split_ascii_whitespace().skip(1).peekable();
        let canonical = *names.peek()?;
        names.any(|name| name.eq_ignore_ascii_case(host)).then_some(canonical)
    })
}

/// The search list of a resolver configuration: of several `search` or `domain` lines the last counts.
fn search_domains(file: &str) -> Vec<&str> {
    let mut domains = Vec::new();
    for line in file.lines() {
        let mut fields = line.split_ascii_whitespace();
        match fields.next() {
            Some("search") => domains = fields.collect(),
            Some("domain") => domains = fields.take(1).collect(),
            _ => {}
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_knows_full_names() {
        let file = "127.0.0.1 localhost\n# 10.0.0.1 hidden\n10.77.0.1\tzsrv.zlab.example zsrv # the server\n10.0.0.2\n";
        assert_eq!(in_hosts_file(file, "zsrv"), Some("zsrv.zlab.example"));
        assert_eq!(in_hosts_file(file, "ZSRV.zlab.example"), Some("zsrv.zlab.example"));
        assert_eq!(in_hosts_file(file, "hidden"), None);
        assert_eq!(in_hosts_file(file, "10.77.0.1"), None);
    }

    #[test]
    fn the_last_search_line_counts() {
        assert_eq!(search_domains("nameserver 1.2.3.4\nsearch a.example b.example\n"), ["a.example", "b.example"]);
        assert_eq!(search_domains("search a.example\ndomain c.example junk\n"), ["c.example"]);
        assert!(search_domains("# search x\n").is_empty());
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(own_name().is_ok_and(|name| !name.is_empty()));
    }
}
