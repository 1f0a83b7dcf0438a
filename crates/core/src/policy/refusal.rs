//! Refusals, with a text for whoever is refused.

use super::Action;
use crate::auth::Reason;
use std::fmt;

/// Octets of the longest refusal: it must fit into an acknowledgement beside the header that it answers.
const MAX_TEXT: usize = 200;

/// Reasons of refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody may.
    Closed,
    /// It needs proof, and comes without.
    Unproven,
    /// It needs proof, and the proof does not hold; or what comes with such a proof is refused in any case.
    Failed(Reason),
    /// The notice is too large; so many octets are taken.
    TooLarge(usize),
    /// Its host sends too many.
    TooMany,
}

/// The refusal of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What.
    pub action: Action,
    /// Why.
    pub why: Why,
}

impl Refusal {
    /// The refused action, as in "to ... you must".
    const fn verb(&self) -> &'static str {
        match self.action {
            Action::Send => "send",
            Action::Receive => "subscribe",
            Action::Locate => "locate people",
            Action::Login => "log in",
            Action::Logout => "log out",
        }
    }

    /// The reason alone, without advice.
    pub fn reason(&self) -> String {
        match self.why {
            Why::Unproven => format!("you must prove who you are to {} here", self.verb()),
            _ => self.to_string(),
        }
    }

    /// The text of the refusal, cut where it is too long for an acknowledgement.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        let end = (0..=MAX_TEXT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        text
    }
}

/// One sentence without an end, which needs no knowledge of the protocol.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb();
        match &self.why {
            Why::Closed => write!(f, "nobody may {verb} here"),
            Why::Unproven => write!(f, "{}: run kinit, and try again with proof", self.reason()),
            Why::Failed(reason @ Reason::Untrusted(_)) => write!(f, "{reason}, so you cannot {verb} here"),
            Why::Failed(reason) => {
                write!(f, "the proof of who you are does not hold ({reason}), so you cannot {verb} here")
            }
            Why::TooLarge(max) => write!(f, "this is too long to {verb} here: at most {max} octets are taken"),
            Why::TooMany => write!(f, "too many notices come from your machine: wait, and {verb} less"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_short() {
        let why = Why::Failed(Reason::Refused("ä".repeat(500)));
        let text = Refusal { action: Action::Send, why }.text();
        assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT - 2);
        let text = Refusal { action: Action::Receive, why: Why::Unproven }.text();
        assert_eq!(text, "you must prove who you are to subscribe here: run kinit, and try again with proof");
        let refusal = Refusal { action: Action::Send, why: Why::Unproven };
        assert_eq!(refusal.reason(), "you must prove who you are to send here");
        let refusal = Refusal { action: Action::Send, why: Why::Closed };
        assert_eq!(refusal.reason(), refusal.to_string());
    }
}
