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
    /// Tell where one is, hide it, or forget it.
    Login,
    /// Leave a place, from that place. C clients never prove it.
    Logout,
}

/// What becomes of a notice that claims proof when the proof does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedProof {
    /// It counts as one without proof, so recipients see that it is not authentic. As C servers do.
    #[default]
    Show,
    /// Nobody gets it, and its sender is told so.
    Refuse,
    /// Nobody gets it, and nobody is told.
    Drop,
}

/// The demands of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For [`Action::Send`].
    pub send: Demand,
    /// For [`Action::Receive`].
    pub receive: Demand,
    /// For [`Action::Login`].
    pub login: Demand,
    /// For [`Action::Logout`].
    pub logout: Demand,
    /// For whatever comes with a proof that does not hold.
    pub failed_proof: FailedProof,
}

impl Policy {
    /// As a C server with Kerberos: anybody may send, and is shown as what he is; only proven users receive and log in;
    /// whoever speaks from a place may leave it.
    pub const KERBEROS: Self = Self {
        send: Demand::Optional,
        receive: Demand::Required,
        login: Demand::Required,
        logout: Demand::Optional,
        failed_proof: FailedProof::Show,
    };
    /// No proof is asked for anything.
    pub const OPEN: Self = Self {
        send: Demand::Optional,
        receive: Demand::Optional,
        login: Demand::Optional,
        logout: Demand::Optional,
        failed_proof: FailedProof::Show,
    };

    /// Whether a sender of whom `verdict` is known may do `action`. A failed proof is no proof.
    pub fn allows(&self, action: Action, verdict: &Verdict) -> bool {
        let demand = match action {
            Action::Send => self.send,
            Action::Receive => self.receive,
            Action::Login => self.login,
            Action::Logout => self.logout,
        };
        demand == Demand::Optional || verdict.is_authentic()
    }
}
