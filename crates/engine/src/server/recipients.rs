//! Whom a notice to one recipient is for.
//!
//! C servers compare recipients without regard to case, so that `BOB` reaches bob. To Kerberos, `Bob@R` and `bob@R` are two
//! people: a proven reader gets what is spelled as he is. Only what is spelled as nobody is also reaches who is spelled
//! in lower case, as most are.

use crate::server::{
    Server,
    state::{
        clients::{Client, ClientId},
        standing::Standing,
    },
};
use zephyr_core::principal::Principal;

impl Server {
    /// Those of `found`, who subscribed to a recipient in any spelling, whom a notice to `recipient` is for.
    pub(crate) fn addressed(&self, recipient: &[u8], mut found: Vec<ClientId>) -> Vec<ClientId> {
        if Principal::parse(recipient).name.is_empty() {
            return found;
        }
        let is_exact = |client: &Client| *client.principal == *recipient;
        let of_proven = |id: &ClientId| self.clients.get(*id).filter(|client| client.standing() == Standing::Proven);
        let exists = found.iter().filter_map(of_proven).any(is_exact);
        found.retain(|id| match of_proven(id) {
            // What is only claimed may be spelled in any way.
            None => true,
            Some(client) if exists => is_exact(client),
            Some(client) => self.is_usual_spelling(&client.principal, recipient),
        });
        found
    }

    /// Whether a principal is the one that most people mean by a recipient: its name is in lower case, and its realm is
    /// the same.
    fn is_usual_spelling(&self, principal: &[u8], recipient: &[u8]) -> bool {
        let (own, meant) = (Principal::parse(principal), Principal::parse(recipient));
        let same_realm = match (own.realm, meant.realm) {
            (Some(own), Some(meant)) if meant == self.config.realms.local() => own == meant,
            (Some(own), Some(meant)) => own.eq_ignore_ascii_case(meant),
            (own, meant) => own == meant,
        };
        same_realm && own.name == meant.name.to_ascii_lowercase()
    }
}
