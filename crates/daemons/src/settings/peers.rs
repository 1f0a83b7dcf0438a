//! Settings of the servers of the realm.

use super::ServerName;
use zephyr_config::reader::Section;
use zephyr_engine::server::Belief;

/// Section `peers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// All servers of the realm, this one among them; empty: those of `server.list`, or of Hesiod.
    pub servers: Vec<ServerName>,
    /// Those that are C programs.
    pub c: Vec<ServerName>,
    /// What is believed of them.
    pub believe: Belief,
}

impl Peers {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>) {
        section.read_list("servers", &mut self.servers, str::parse::<ServerName>);
        let at = section.read_list("c", &mut self.c, str::parse::<ServerName>);
        section.read_text("believe", &mut self.believe, |word| match word {
            "proven" => Ok(Belief::Proven),
            "addresses" => Ok(Belief::Addresses),
            _ => Err(format!("expected \"proven\" or \"addresses\", not {word:?}")),
        });
        if let (Some(at), false) = (at, self.servers.is_empty()) {
            for missing in self.not_listed(&self.servers) {
                section.problem(at, format!("c: {missing} is not among the servers"));
            }
        }
        section.finish();
    }

    /// Which of the C programs are not among these servers.
    pub(crate) fn not_listed<'a>(&'a self, servers: &'a [ServerName]) -> impl Iterator<Item = &'a ServerName> {
        self.c.iter().filter(|named| !servers.iter().any(|server| server.is(named)))
    }
}
