//! The domain's policy at the client's end: what would be refused is not sent, and what proves too little is not shown.

use super::{Endpoint, OperationError};
use std::fmt;
use zephyr_core::{
    auth::{AuthError, Identity, Verdict},
    fold::FoldedName,
    names,
    notice::Notice,
    policy::{Action, Parties, Policy, Refusal, Ruling, Why, decide},
};

/// The class that an outgoing request is decided for; requests that name many classes are for the server to take apart.
fn class_of(action: Action, notice: &Notice<'_>) -> Option<FoldedName> {
    (action == Action::Send).then(|| FoldedName::new(notice.class))
}

/// Whether a notice may be sent.
///
/// # Errors
///
/// [`OperationError::Policy`] when the domain would refuse it.
pub(super) fn outgoing(
    policy: &Policy,
    endpoint: &Endpoint,
    notice: &Notice<'_>,
    proven: bool,
) -> Result<(), OperationError> {
    let Some(action) = Action::of(notice) else { return Ok(()) };
    let verdict = if proven { Verdict::Authentic(Identity::new(&endpoint.sender)) } else { Verdict::Unauthenticated };
    let parties = Parties::direct(endpoint.realm.as_bytes());
    let decision = decide(policy, action, &verdict, class_of(action, notice).as_ref(), &parties);
    if let Some(refusal) = decision.refusal()
        && !(action == Action::Receive && policy.allows_somewhere(action, &verdict, &parties))
    {
        return Err(OperationError::Policy(refusal.clone()));
    }
    let most = policy.measure.notice_octets;
    if action == Action::Send && notice.body.len() > most {
        return Err(OperationError::Policy(Refusal { action, why: Why::TooLarge(most) }));
    }
    Ok(())
}

/// What becomes of a notice that should be proven and cannot be: it goes without proof, because of the error that is given back.
/// What is said to people goes without proof only when they want that; subscriptions and locations do where the domain takes
/// them so.
///
/// # Errors
///
/// The session's error, when the notice cannot go without.
pub(super) fn without_session(
    policy: &Policy,
    endpoint: &Endpoint,
    notice: &Notice<'_>,
    error: AuthError,
) -> Result<AuthError, OperationError> {
    let Some(action) = Action::of(notice) else { return Err(error.into()) };
    let parties = Parties::direct(endpoint.realm.as_bytes());
    let unproven = Verdict::Unauthenticated;
    let possible = match action {
        Action::Receive => policy.allows_somewhere(action, &unproven, &parties),
        _ => decide(policy, action, &unproven, class_of(action, notice).as_ref(), &parties).allows(),
    };
    match error {
        error if !possible => Err(OperationError::CannotProve(error)),
        AuthError::NoCredentials | AuthError::Expired if action != Action::Send => Ok(error),
        error => Err(error.into()),
    }
}

/// Why the domain's policy hides a notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hidden {
    /// Nothing proves who sent it.
    Unproven,
    /// The proof does not hold, and such notices are refused.
    Failed(String),
    /// The proof does not hold, and such notices are dropped.
    Dropped,
    /// Nobody may send it.
    Closed,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproven => f.write_str("nothing proves who sent it, which this domain demands"),
            Self::Failed(reason) => write!(f, "the proof of who sent it does not hold: {reason}"),
            Self::Dropped => f.write_str("the proof of who sent it does not hold"),
            Self::Closed => f.write_str("nobody may send this in this domain"),
        }
    }
}

/// What is known about the origin of a notice that has come, and why it is hidden, if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admissible {
    /// What is known where the policy is taken into account.
    pub(super) verdict: Verdict,
    /// Why it is hidden.
    pub(super) hidden: Option<Hidden>,
}

/// Applies the policy to a notice that has come, of which its octets prove `proven`.
pub(super) fn incoming(
    policy: &Policy,
    realm: &str,
    notice: &Notice<'_>,
    class: &FoldedName,
    proven: &Verdict,
) -> Admissible {
    let parties = Parties::direct(realm.as_bytes());
    let verdict = policy.trusted(proven, &parties).0.into_owned();
    if !class.is(names::LOGIN) && Action::in_class(class, notice) != Some(Action::Send) {
        // Answers of servers prove nothing, and what one program says to another is not the domain's.
        return Admissible { verdict, hidden: None };
    }
    let hidden = match decide(policy, Action::Send, &verdict, Some(class), &parties).ruling {
        Ruling::Allow => None,
        Ruling::Refuse(Refusal { why: Why::Unproven, .. }) => Some(Hidden::Unproven),
        Ruling::Refuse(Refusal { why: Why::Failed(reason), .. }) => Some(Hidden::Failed(reason.to_string())),
        Ruling::Refuse(_) => Some(Hidden::Closed),
        Ruling::Drop => Some(Hidden::Dropped),
    };
    Admissible { verdict, hidden }
}
