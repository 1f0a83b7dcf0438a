//! Errors of operations, with the texts of the C programs.

use std::borrow::Cow;
use zephyr_core::{
    auth::AuthError,
    fold::NameTooLong,
    notice::FormatError,
    policy::{Action, Refusal, Why},
};

/// What is said of a server that takes no more subscriptions and does not say why.
const NO_ROOM: &str = "the server takes no more subscriptions";

/// The reason why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The host manager has not acknowledged a packet within 10 s, or nobody listens at its port on this machine.
    #[error("Hostmanager not responding")]
    HostManagerSilent,
    /// As [`OperationError::HostManagerSilent`], and no server was found to speak to without a host manager: why not.
    #[error("Hostmanager not responding")]
    NoServer(Box<str>),
    /// As [`OperationError::NoServer`], but not all of the sources that may name a server have answered: they may later. With what
    /// was asked in vain.
    #[error("Hostmanager not responding")]
    SourcesSilent(Box<str>),
    /// The system cannot send to the host manager; with the system's error text.
    #[error("{0}")]
    CannotSend(String),
    /// The server has not answered in time.
    #[error("Connection timed out")]
    TimedOut,
    /// As [`OperationError::TimedOut`], without a host manager: which server was spoken to.
    #[error("Connection timed out")]
    ServerSilent(Box<str>),
    /// As [`OperationError::ServerSilent`], but nobody could be asked: the server's name has no address.
    #[error("the server {name} is not known ({reason})")]
    ServerUnknown {
        /// The server's name.
        name: Box<str>,
        /// What the last look-up said.
        reason: Box<str>,
    },
    /// The server refused, without a reason.
    #[error("SERVNAK received")]
    Refused,
    /// The server refused because it could not verify the authentication.
    #[error("Server could not verify authentication")]
    Unverified,
    /// The server refused, with a reason.
    #[error("refused: {0}")]
    RefusedBecause(String),
    /// The server has no room for all of the subscriptions, with what it says about that. Those before are in force.
    #[error("refused: {}", .0.as_deref().unwrap_or(NO_ROOM))]
    NoRoom(Option<String>),
    /// The domain's policy would refuse the notice, so it was not sent.
    #[error("{}", .0.reason())]
    Policy(Refusal),
    /// The domain's policy demands proof of origin, which a notice in a name that the program has chosen cannot have.
    #[error("{}", .0.reason())]
    UnprovableName(Refusal),
    /// The domain's policy demands proof of origin, and none can be made.
    #[error("{0}")]
    CannotProve(AuthError),
    /// The server does not know the location.
    #[error("Not logged-in")]
    NotLoggedIn,
    /// The folded form of a name, and of which, is longer than any packet: no server keeps it.
    #[error("the {0} is too long: {NameTooLong}")]
    NameTooLong(&'static str),
    /// A subscription that cannot be, and why.
    #[error("not sent: {0}")]
    InvalidSubscription(&'static str),
    /// A subscription too long for a packet of its own.
    #[error("Too many subscriptions to transmit")]
    SubscriptionTooLong,
    /// The names of the notice make its header too long, whatever proves it.
    #[error("Notice header too large ({0})")]
    NamesTooLong(FormatError),
    /// The body is longer than 400,000 octets, which no receiver accepts.
    #[error("Packet too long or buffer too small")]
    NoticeTooLarge,
    /// The server's answer is invalid.
    #[error("Internal error")]
    InvalidAnswer,
    /// The proof of origin could not be made, or the notice could not be written.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl From<FormatError> for OperationError {
    fn from(error: FormatError) -> Self {
        Self::Auth(error.into())
    }
}

impl OperationError {
    /// The message about an operation that failed. `context` is what C programs put after the reason, as in "while sending notice
    /// to bob": it stands there where the reason is a phrase of theirs or of a library. A reason that is a clause of its own
    /// goes after it: "sending notice to bob failed: nobody may send here".
    pub fn describe(&self, context: &str) -> String {
        let doing = context.strip_prefix("while ").unwrap_or(context);
        match self {
            Self::RefusedBecause(reason) => format!("{doing} was refused: {reason}"),
            Self::NoRoom(reason) => format!("{doing} was refused: {}", reason.as_deref().unwrap_or(NO_ROOM)),
            Self::Policy(_)
            | Self::UnprovableName(_)
            | Self::ServerUnknown { .. }
            | Self::NameTooLong(_)
            | Self::Auth(AuthError::NotOwnCredentials { .. } | AuthError::WrongRealm { .. })
            | Self::CannotProve(AuthError::NotOwnCredentials { .. } | AuthError::WrongRealm { .. }) => {
                format!("{doing} failed: {self}")
            }
            _ => format!("{self} {context}"),
        }
    }

    /// Whether somebody said no, so that the same again will hardly do: the server, or the domain's policy, which wants proof that
    /// there is none of. Else something was lost or nobody was there.
    pub const fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::HostManagerSilent
                | Self::NoServer(_)
                | Self::SourcesSilent(_)
                | Self::CannotSend(_)
                | Self::TimedOut
                | Self::ServerSilent(_)
                | Self::ServerUnknown { .. }
                | Self::InvalidAnswer
        )
    }

    /// Whether a client that could not start for this reason may start later, although nobody changes anything: on a machine whose
    /// network is not there yet.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::SourcesSilent(_))
    }

    /// Whether the server said no to the client itself, and not only to so many subscriptions, nor already this program for it.
    pub const fn is_refused_by_server(&self) -> bool {
        matches!(self, Self::Refused | Self::Unverified | Self::RefusedBecause(_))
    }

    /// Advice to the user about how to fix it, where there is any.
    pub fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoServer(why) => Some(Cow::Owned(format!(
                "No host manager answers on this machine (systemctl status zhm), and no server is known to speak to without one ({why}): start it, or name a server in zephyr.toml ([zhm] servers) or in ZEPHYR_SERVERS.",
            ))),
            Self::SourcesSilent(why) => Some(Cow::Owned(format!(
                "No host manager answers on this machine (systemctl status zhm), and which servers there are cannot be found out at the moment ({why}): start it, or try again when the network is there.",
            ))),
            Self::ServerSilent(server) => Some(Cow::Owned(format!(
                "No host manager answers on this machine, and the server {server}, which was asked directly, does not answer either; it may still arrive. On the server's machine, zephyrctl status says whether it runs."
            ))),
            Self::ServerUnknown { name, .. } => Some(Cow::Owned(format!(
                "No host manager answers on this machine, and {name} cannot be looked up: is the name right, and does name service answer (getent hosts {name})?"
            ))),
            _ => self.constant_advice().map(Cow::Borrowed),
        }
    }

    fn constant_advice(&self) -> Option<&'static str> {
        match self {
            Self::HostManagerSilent | Self::CannotSend(_) => Some(
                "Is the host manager running on this machine (systemctl status zhm)? If it is elsewhere, ZEPHYR_HM must say so.",
            ),
            Self::TimedOut => Some(
                "The host manager took it, but the server does not answer; it may still arrive. journalctl -t zhm says which server that is; on that machine, zephyrctl status says whether it runs.",
            ),
            Self::Policy(Refusal { action: Action::Send, why: Why::Unproven }) => {
                Some("Run kinit, and send it with proof (without -d).")
            }
            Self::UnprovableName(_) => Some(
                "What is sent in another name (-S) cannot be proven, so nobody can do that here: leave it out, and run kinit.",
            ),
            Self::NamesTooLong(_) => Some(
                "Class, instance, opcode, recipient, sender and format are too long together: they share one packet's header.",
            ),
            Self::NoticeTooLarge => {
                Some("A notice has at most 400,000 octets, its signature included: send it in parts.")
            }
            Self::Policy(Refusal { why: Why::Unproven, .. }) => Some("Run kinit, and try again."),
            Self::NoRoom(_) => Some(
                "Subscribe to less, or end programs that you do not need. Whoever looks after the server can raise its bounds (zephyr.toml).",
            ),
            Self::InvalidAnswer => {
                Some("The answer is not one of Zephyr's: the logs of zhm and of the server may say more.")
            }
            Self::Refused | Self::Unverified => Some(
                "The server did not accept the proof of who you are. Run klist to see your tickets, and kinit for new ones.",
            ),
            Self::CannotProve(AuthError::NoCredentials | AuthError::Expired) => {
                Some("Run kinit first: this domain demands proof of who you are for that.")
            }
            Self::Auth(error) | Self::CannotProve(error) => error.advice(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_core::auth::Reason;

    fn policy(action: Action, why: Why) -> OperationError {
        OperationError::Policy(Refusal { action, why })
    }

    #[test]
    fn what_is_a_clause_stands_alone() {
        let refused = OperationError::RefusedBecause("nobody may subscribe here".to_owned());
        let other_realm = AuthError::WrongRealm { realm: "R".to_owned(), reason: "Server not found".to_owned() };
        for (error, message) in [
            (OperationError::TimedOut, "Connection timed out while sending notice to bob"),
            (OperationError::Refused, "SERVNAK received while sending notice to bob"),
            (AuthError::NoCredentials.into(), "No credentials cache found while sending notice to bob"),
            (
                policy(Action::Send, Why::Unproven),
                "sending notice to bob failed: you must prove who you are to send here",
            ),
            (policy(Action::Send, Why::Closed), "sending notice to bob failed: nobody may send here"),
            (
                policy(Action::Send, Why::Failed(Reason::Checksum)),
                "sending notice to bob failed: the proof of who you are does not hold (wrong checksum), so you cannot send here",
            ),
            (
                OperationError::NameTooLong("class"),
                "sending notice to bob failed: the class is too long: its folded form has more than 1024 octets",
            ),
            (OperationError::NoRoom(None), "sending notice to bob was refused: the server takes no more subscriptions"),
            (refused, "sending notice to bob was refused: nobody may subscribe here"),
            (other_realm.into(), "sending notice to bob failed: No credentials for realm R: Server not found"),
        ] {
            assert_eq!(error.describe("while sending notice to bob"), message);
        }
    }

    #[test]
    fn a_location_that_is_refused() {
        let refusal = Refusal { action: Action::Login, why: Why::Failed(Reason::Checksum) };
        assert_eq!(
            OperationError::RefusedBecause(refusal.text()).describe("while setting location"),
            "setting location was refused: \
             the proof of who you are does not hold (wrong checksum), so you cannot log in here"
        );
    }

    #[test]
    fn advice_is_about_what_was_wanted() {
        let advice = |action| policy(action, Why::Unproven).advice().unwrap();
        assert!(advice(Action::Send).contains("without -d"));
        assert!(!advice(Action::Login).contains("-d"));
        let other_name = OperationError::UnprovableName(Refusal { action: Action::Send, why: Why::Unproven });
        assert_eq!(other_name.describe("while sending"), "sending failed: you must prove who you are to send here");
        assert!(other_name.advice().unwrap().contains("-S") && !other_name.advice().unwrap().contains("-d"));
        assert!(OperationError::NoticeTooLarge.advice().unwrap().contains("400,000 octets"));
        assert!(OperationError::NoRoom(None).advice().unwrap().contains("zephyr.toml"));
        assert!(OperationError::TimedOut.advice().unwrap().contains("journalctl -t zhm"));
        assert!(OperationError::HostManagerSilent.advice().unwrap().contains("systemctl status zhm"));
        let neither = OperationError::NoServer("no source names one".into());
        assert_eq!(neither.describe("while initializing"), "Hostmanager not responding while initializing");
        assert!(neither.advice().unwrap().contains("(no source names one)"));
        assert!(OperationError::ServerSilent("zsrv".into()).advice().unwrap().contains("server zsrv,"));
    }
}
