//! The server's state as text (server behaviour, section 1.6).

use crate::server::{
    Server,
    state::{clients::Client, subscriptions::Subscription},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::SocketAddr,
};
use zephyr_core::{exposure::Exposure, sanitize};

/// A text between quotes, as C servers write it.
fn quoted(octets: &[u8]) -> String {
    format!("'{}'", escaped(octets))
}

/// Quotes and newlines as C servers write them, everything else sanitized: whoever looks at the dump looks at it on a terminal.
fn escaped(octets: &[u8]) -> String {
    let lines: Vec<String> = octets.split(|&octet| octet == b'\n').map(sanitize::name).collect();
    lines.join("\\n").replace('\'', "\\q")
}

/// `'CLASS' 'INSTANCE' 'RECIPIENT'` of a destination's three texts.
fn triplet(text: &[u8]) -> String {
    let names: Vec<String> = text.splitn(3, |&octet| octet == 0).map(quoted).collect();
    names.join(" ")
}

fn slashed(address: SocketAddr) -> String {
    format!("{}/{}", address.ip(), address.port())
}

impl Server {
    /// The state dump: servers, locations, clients and subscriptions; each part in a fixed order.
    pub fn dump(&self) -> String {
        let mut dump = format!("0:0.0.0.0/SERV_DEAD\n1:{}/SERV_UP\n", self.config.address);
        self.dump_locations(&mut dump);
        let mut interested: BTreeMap<&[u8], Vec<&Client>> = BTreeMap::new();
        for (_, client) in self.clients.by_address() {
            line(&mut dump, format_args!("{} ({}):", slashed(client.address()), escaped(&client.principal)));
            for Subscription { destination, .. } in &client.subscriptions {
                line(&mut dump, format_args!("\t{}", triplet(destination.text())));
                interested.entry(destination.text()).or_default().push(client);
            }
        }
        for (destination, clients) in interested {
            line(&mut dump, format_args!("Triplet {}:", triplet(destination)));
            for client in clients {
                let address = client.address();
                line(&mut dump, format_args!("\t{} {} ({})", address.ip(), address.port(), escaped(&client.principal)));
            }
        }
        self.dump_realms(&mut dump);
        dump
    }

    fn dump_realms(&self, dump: &mut String) {
        for (number, (id, realm)) in self.realms.table.listed().enumerate() {
            line(dump, format_args!("{number}:{}", escaped(&realm.name)));
            for server in &realm.servers {
                let nosend = if server.sends { "" } else { " nosend" };
                match server.addresses.as_slice() {
                    [] => line(dump, format_args!("\t0.0.0.0{nosend}")),
                    addresses => {
                        addresses.iter().for_each(|it| line(dump, format_args!("\t{}{nosend} gotaddr", it.ip())));
                    }
                }
            }
            let held: BTreeSet<&[u8]> = self.realms.theirs.of(id).map(|(destination, _)| destination.text()).collect();
            for destination in held {
                line(dump, format_args!("\t{}", triplet(destination)));
            }
        }
    }

    fn dump_locations(&self, dump: &mut String) {
        for (user, location) in self.locations.all() {
            let [machine, time, tty] = location.texts().map(quoted);
            let (exposure, address) = (dump_name(location.exposure), slashed(location.address));
            line(dump, format_args!("{} {machine} {time} {tty} {exposure} {address}", quoted(user)));
        }
    }
}

/// The name of an exposure in the dump (server behaviour, section 1.6).
const fn dump_name(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::None => "NONE",
        Exposure::OpStaff => "OPSTAFF",
        Exposure::RealmVisible => "RLM_VIS",
        Exposure::RealmAnnounced => "RLM_ANN",
        Exposure::NetVisible => "NET_VIS",
        Exposure::NetAnnounced => "NET_ANN",
    }
}

/// Adds a line; writing to a text does not fail.
fn line(dump: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(dump, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_stays_on_its_line() {
        assert_eq!(quoted(b"it's\n\x1b[2J\\"), "'it\\qs\\n\\u{1b}[2J\\'");
        assert_eq!(quoted("\u{202e}ש\u{ad}\u{301}é".as_bytes()), "'\\u{202e}\\u{5e9}\\u{ad}\\u{301}é'");
        assert_eq!(triplet(b"message\0*\0alice@R"), "'message' '*' 'alice@R'");
        assert_eq!(triplet(b"c\0i\0"), "'c' 'i' ''");
    }
}
