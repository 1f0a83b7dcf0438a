//! Policy enforcement at the client: notices that the domain would refuse are not sent, and received ones are hidden.

use super::{Endpoint, OperationError};
use std::fmt;
use zephyr_core::{
    auth::{AuthError, Identity, Verdict},
    fold::{FoldedName, NameTooLong},
    limits::MAX_FOLDED_NAME,
    notice::Notice,
    policy::{Action, Parties, Policy, Refusal, Ruling, Why, decide},
};

/// The class to decide an outgoing notice for; requests that name several classes are decided by the server for each.
fn class_for(action: Action, class: &FoldedName) -> Option<&FoldedName> {
    (action == Action::Send).then_some(class)
}

/// The folded form of a name, if a server would take it. One that is too long as it is has no place in a header, which
/// is for whoever writes that to say.
pub(super) fn folded(name: &[u8], what: &'static str) -> Result<FoldedName, OperationError> {
    if name.len() > MAX_FOLDED_NAME {
        return Ok(FoldedName::new(name));
    }
    FoldedName::bounded(name).map_err(|NameTooLong| OperationError::NameTooLong(what))
}

/// The folded class of a notice whose names a server would take.
fn checked_class(notice: &Notice<'_>) -> Result<FoldedName, OperationError> {
    folded(notice.instance, "instance")?;
    folded(notice.class, "class")
}

/// Checks whether the policy allows a notice to be sent.
///
/// # Errors
///
/// [`OperationError::Policy`] when the domain would refuse it, [`OperationError::NameTooLong`] when any server of this
/// project would.
pub(super) fn check_outgoing(
    policy: &Policy,
    endpoint: &Endpoint,
    notice: &Notice<'_>,
    proven: bool,
) -> Result<(), OperationError> {
    let class = checked_class(notice)?;
    let Some(action) = Action::in_class(&class, notice) else { return Ok(()) };
    let verdict = if proven { Verdict::Authentic(Identity::new(&endpoint.sender)) } else { Verdict::Unauthenticated };
    let parties = Parties::direct(endpoint.realm.as_bytes());
    let decision = decide(policy, action, &verdict, class_for(action, &class), &parties);
    if let Some(refusal) = decision.refusal()
        && !(action == Action::Receive && policy.allows_somewhere(action, &verdict, &parties))
    {
        return Err(OperationError::Policy(refusal.clone()));
    }
    let limit = policy.measure.notice_octets;
    if action == Action::Send && notice.body.len() > limit {
        return Err(OperationError::Policy(Refusal { action, why: Why::TooLarge(limit) }));
    }
    Ok(())
}

/// Checks whether a notice may be sent without proof after no session could be obtained; gives the error to log then.
/// Messages to users and questions where somebody is are never sent without proof unless that was asked for: the answer would be
/// another one. Subscriptions and one's own locations are where the policy allows it.
///
/// # Errors
///
/// The session's error, when the notice must not be sent without proof.
pub(super) fn check_without_session(
    policy: &Policy,
    endpoint: &Endpoint,
    notice: &Notice<'_>,
    error: AuthError,
) -> Result<AuthError, OperationError> {
    let class = checked_class(notice)?;
    let Some(action) = Action::in_class(&class, notice) else { return Err(error.into()) };
    let parties = Parties::direct(endpoint.realm.as_bytes());
    let unproven = Verdict::Unauthenticated;
    let possible = match action {
        Action::Receive => policy.allows_somewhere(action, &unproven, &parties),
        _ => decide(policy, action, &unproven, class_for(action, &class), &parties).allows(),
    };
    match error {
        error if !possible => Err(OperationError::CannotProve(error)),
        AuthError::NoCredentials | AuthError::Expired if !matches!(action, Action::Send | Action::Locate) => Ok(error),
        error => Err(error.into()),
    }
}

/// The reason why the domain's policy hides a notice.
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

/// The policy's result for a received notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assessment {
    /// The verdict about its origin, with the policy applied.
    pub(super) verdict: Verdict,
    /// The reason why it is hidden, if it is.
    pub(super) hidden: Option<Hidden>,
}

/// Applies the policy to a received notice whose proof has the verdict `proven`: as to one that was sent to its class, since it
/// may be shown. Answers to operations never come here.
pub(super) fn assess_incoming(policy: &Policy, realm: &str, class: &FoldedName, proven: &Verdict) -> Assessment {
    let parties = Parties::direct(realm.as_bytes());
    let verdict = policy.trusted(proven, &parties).0.into_owned();
    // Whatever its class: who is shown a notice of a server's or a host manager's class has no means to know that it is none.
    let hidden = match decide(policy, Action::Send, &verdict, Some(class), &parties).ruling {
        Ruling::Allow => None,
        Ruling::Refuse(Refusal { why: Why::Unproven, .. }) => Some(Hidden::Unproven),
        Ruling::Refuse(Refusal { why: Why::Failed(reason), .. }) => Some(Hidden::Failed(reason.to_string())),
        Ruling::Refuse(_) => Some(Hidden::Closed),
        Ruling::Drop => Some(Hidden::Dropped),
    };
    Assessment { verdict, hidden }
}
