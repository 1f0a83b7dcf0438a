//! The machine that a discovery is about: its files, its environment and its name.

use crate::{ServerName, dns};
use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use zephyr_config::file::{self, FileError};
use zephyr_net::host;

const RESOLVER: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// Domains that are those of every machine.
const NO_DOMAINS: [&str; 2] = ["localdomain", "localhost"];

/// A machine; the default is this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct System {
    /// Of another machine.
    pub(crate) pretended: Option<Pretended>,
}

/// A machine that a test makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pretended {
    /// The folder that its files are in.
    pub(crate) root: PathBuf,
    /// Its name.
    pub(crate) host: String,
    /// Its name servers, whose ports may be any.
    pub(crate) name_servers: Vec<SocketAddr>,
    /// Its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl System {
    /// The octets of a file.
    pub(crate) fn octets(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        match &self.pretended {
            Some(pretended) => file::octets(&pretended.root.join(path.strip_prefix("/").unwrap_or(path))),
            None => file::octets(path),
        }
    }

    /// The text of a file; empty when it cannot be read. What is no UTF-8, such as a comment, costs itself alone.
    pub(crate) fn text(&self, path: &str) -> String {
        let octets = self.octets(Path::new(path)).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// A variable of the environment that is not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let value = match &self.pretended {
            Some(pretended) => {
                pretended.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
            }
            None => env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The name servers.
    pub(crate) fn name_servers(&self) -> Vec<SocketAddr> {
        match &self.pretended {
            Some(pretended) => pretended.name_servers.clone(),
            None => dns::name_servers(&self.text(RESOLVER)),
        }
    }

    /// The machine's name, perhaps with a domain; empty when it has none.
    pub(crate) fn host(&self) -> String {
        match &self.pretended {
            Some(pretended) => pretended.host.clone(),
            None => host::own_name().unwrap_or_default(),
        }
    }

    /// The domain of DNS that the machine is in: that of its name as the system or `/etc/hosts` has it, else the first of the
    /// resolver's search list. Asks no name service, which may not be there yet.
    pub(crate) fn domain(&self) -> Option<String> {
        let own = self.host();
        let hosts = self.text(HOSTS);
        let by_hosts = host::in_hosts_file(&hosts, &own).filter(|_| !own.is_empty());
        let domain = |name: &str| name.split_once('.').map(|(_, domain)| domain.to_owned());
        let of_names = [Some(own.as_str()), by_hosts].into_iter().flatten().filter_map(domain);
        let resolver = self.text(RESOLVER);
        let all = of_names.chain(dns::search_domain(&resolver).map(str::to_owned));
        all.map(|domain| domain.trim_end_matches('.').to_ascii_lowercase()).find(|domain| is_domain(domain))
    }
}

fn is_domain(name: &str) -> bool {
    let is_name = name.parse::<ServerName>().is_ok_and(|name| name.port.is_none());
    is_name && !NO_DOMAINS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_domain_is_that_of_the_name_else_of_the_resolver() {
        for (host, hosts, resolver, domain) in [
            ("a.One.test", "10.0.0.1 a.two.test a\n", "search three.test\n", Some("one.test")),
            ("a", "10.0.0.1 a.two.test a\n", "search three.test\n", Some("two.test")),
            ("a", "127.0.0.1 a.localdomain localhost a\n", "search three.test.\n", Some("three.test")),
            ("localhost.localdomain", "", "", None),
            ("a", "10.0.0.1 a\n", "search .\n", None),
            ("a", "", "search b\u{7f}d\n", None),
            ("", "10.0.0.1 b.two.test\n", "", None),
        ] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("etc")).unwrap();
            fs::write(root.path().join("etc/hosts"), hosts).unwrap();
            fs::write(root.path().join("etc/resolv.conf"), resolver).unwrap();
            let pretended = Pretended { root: root.path().into(), host: host.to_owned(), ..Pretended::default() };
            assert_eq!(System { pretended: Some(pretended) }.domain().as_deref(), domain, "{host} {hosts}");
        }
    }
}
