//! What a domain demands of those who use it.
//!
//! One domain, one policy. The defaults are those of a C server with Kerberos ([`Policy::KERBEROS`]); a department without
//! a KDC runs [`Policy::OPEN`].

use crate::auth::Verdict;

/// Whether an action needs proof of who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Only with proof.
    Required,
    /// With or without.
    Optional,
}

/// Something that a sender wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a notice to whoever subscribed.
    Send,
    /// Subscribe, and so receive.
    Receive,
}

/// The demands of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For [`Action::Send`].
    pub send: Demand,
    /// For [`Action::Receive`].
    pub receive: Demand,
}

impl Policy {
    /// As a C server with Kerberos: anybody may send, and is shown as what he is; only proven users receive.
    pub const KERBEROS: Self = Self { send: Demand::Optional, receive: Demand::Required };
    /// No proof is asked for anything.
    pub const OPEN: Self = Self { send: Demand::Optional, receive: Demand::Optional };

    /// Whether a sender of whom `verdict` is known may do `action`. A failed proof is no proof.
    pub fn allows(&self, action: Action, verdict: &Verdict) -> bool {
        let demand = match action {
            Action::Send => self.send,
            Action::Receive => self.receive,
        };
        demand == Demand::Optional || verdict.is_authentic()
    }
}
