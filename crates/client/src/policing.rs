//! The domain's policy at the client's end: what would be refused is not sent, and what proves too little is not shown.

use crate::{ClientError, engine::Site};
use zephyr_core::{
    auth::{AuthError, Identity, Verdict},
    fold::{FoldedName, fold},
    inbox::Delivered,
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
/// [`ClientError::Policy`] when the domain would refuse it.
pub(crate) fn outgoing(policy: &Policy, site: &Site, notice: &Notice<'_>, proven: bool) -> Result<(), ClientError> {
    let Some(action) = Action::of(notice) else { return Ok(()) };
    let verdict = if proven { Verdict::Authentic(Identity::new(&site.sender)) } else { Verdict::Unauthenticated };
    let parties = Parties::direct(site.realm.as_bytes());
    let decision = decide(policy, action, &verdict, class_of(action, notice).as_ref(), &parties);
    if let Some(refusal) = decision.refusal()
        && !(action == Action::Receive && policy.allows_somewhere(action, &verdict, &parties))
    {
        return Err(ClientError::Policy(refusal.clone()));
    }
    let most = policy.measure.notice_octets;
    if action == Action::Send && notice.body.len() > most {
        return Err(ClientError::Policy(Refusal { action, why: Why::TooLarge(most) }));
    }
    Ok(())
}

/// What becomes of a notice that should be proven and cannot be. What is said to people goes without proof only when they
/// want that; subscriptions and locations do where the domain takes them so.
///
/// # Errors
///
/// The session's error, when the notice cannot go without.
pub(crate) fn without_session<T>(
    policy: &Policy,
    site: &Site,
    notice: &Notice<'_>,
    error: AuthError,
) -> Result<Option<T>, ClientError> {
    let Some(action) = Action::of(notice) else { return Err(error.into()) };
    let parties = Parties::direct(site.realm.as_bytes());
    let unproven = Verdict::Unauthenticated;
    let possible = match action {
        Action::Receive => policy.allows_somewhere(action, &unproven, &parties),
        _ => decide(policy, action, &unproven, class_of(action, notice).as_ref(), &parties).allows(),
    };
    match error {
        error if !possible => Err(ClientError::CannotProve(error)),
        AuthError::NoCredentials | AuthError::Expired if action != Action::Send => {
            tracing::info!(%error, "going without proof, which the domain takes");
            Ok(None)
        }
        error => Err(error.into()),
    }
}

/// What is known about the origin of a notice that has come, and why it is hidden, if it is.
pub(crate) fn incoming(policy: &Policy, site: &Site, delivered: &Delivered) -> (Verdict, Option<String>) {
    let notice = delivered.notice();
    let parties = Parties::direct(site.realm.as_bytes());
    let verdict = policy.trusted(delivered.verdict(), &parties).0.into_owned();
    let is_announcement = fold(notice.class).eq_ignore_ascii_case(names::LOGIN);
    if !is_announcement && Action::of(&notice) != Some(Action::Send) {
        // Answers of servers prove nothing, and what one program says to another is not the domain's.
        return (verdict, None);
    }
    let decision = decide(policy, Action::Send, &verdict, Some(&FoldedName::new(notice.class)), &parties);
    let hidden = match decision.ruling {
        Ruling::Allow => None,
        Ruling::Refuse(Refusal { why: Why::Unproven, .. }) => {
            Some("nothing proves who sent it, which this domain demands".to_owned())
        }
        Ruling::Refuse(Refusal { why: Why::Failed(reason), .. }) => {
            Some(format!("the proof of who sent it does not hold: {reason}"))
        }
        Ruling::Refuse(_) => Some("nobody may send this in this domain".to_owned()),
        Ruling::Drop => Some("the proof of who sent it does not hold".to_owned()),
    };
    if let Some(why) = &hidden {
        tracing::info!(class = %notice.class.escape_ascii(), sender = %notice.sender.escape_ascii(), why, "hid a notice");
    }
    (verdict, hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doubles::{Credentials, at, plain, sealed},
        engine::{Engine, Proof, Sending},
        exchange::Stage,
    };
    use std::{net::Ipv4Addr, sync::Arc};
    use zephyr_core::{
        auth::Reason,
        kind::Kind,
        limits::Limits,
        policy::{ClassPolicy, Demand, FailedProof, ForeignRule, Measure, NamePattern},
    };

    fn strict() -> Policy {
        Policy { send: Demand::Required, failed_proof: FailedProof::Refuse, ..Policy::KERBEROS }
    }

    fn engine(credentials: Credentials, policy: Policy) -> Engine {
        let site = Site {
            realm: "TEST".to_owned(),
            sender: b"alice@TEST".to_vec(),
            limits: Limits::COMPATIBLE,
            address: Ipv4Addr::LOCALHOST,
            port: 4321,
            host_manager: ([127, 0, 0, 1], 2104).into(),
        };
        Engine::new(site, Arc::new(credentials), policy)
    }

    fn notice<'a>(class: &'a [u8], opcode: &'a [u8], body: &'a [u8]) -> Notice<'a> {
        Notice { kind: Kind::Acked, class, instance: names::CLIENT, opcode, body, ..Notice::EMPTY }
    }

    /// What is said when this is sent; empty when it goes out.
    fn said(engine: &mut Engine, notice: Notice<'_>, proof: Proof) -> String {
        let begun = engine.begin(at(0), &Sending::new(notice, proof));
        let sent = engine.outbox().pop_front().is_some();
        assert_eq!(sent, begun.is_ok());
        assert_eq!(sent, engine.stage() == Some(&Stage::Queuing), "nothing is under way unless it was sent");
        begun.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_would_be_refused_is_not_sent() {
        let policy = Policy {
            logout: Demand::Closed,
            classes: vec![ClassPolicy {
                classes: NamePattern::new(b"public"),
                send: Some(Demand::Optional),
                receive: None,
                failed_proof: None,
            }],
            measure: Measure { notice_octets: 10, ..Measure::USUAL },
            ..strict()
        };
        let mut engine = engine(Credentials::with(7), policy);
        let message = notice(b"MESSAGE", b"", b"hi");
        assert_eq!(said(&mut engine, message, Proof::With), "");
        assert_eq!(
            said(&mut engine, message, Proof::Without),
            "not sent: you must prove who you are to send here: run kinit, and try again with proof"
        );
        assert_eq!(said(&mut engine, notice(b"Public", b"", b"hi"), Proof::Without), "");
        assert_eq!(said(&mut engine, notice(b"hm_ctl", b"", b""), Proof::Without), "", "this is no domain's matter");
        let long = said(&mut engine, notice(b"public", b"", b"more than ten"), Proof::Without);
        assert!(long.ends_with("at most 10 octets are taken"), "{long}");
        let leaving = said(&mut engine, notice(b"LOGIN", names::USER_LOGOUT, b""), Proof::With);
        assert_eq!(leaving, "not sent: nobody may log out here");
        let subscribing = notice(names::ZEPHYR_CTL, names::SUBSCRIBE, b"a\0b\0\0");
        assert!(said(&mut engine, subscribing, Proof::Without).contains("to subscribe here"));
    }

    #[test]
    fn without_credentials_only_what_may_goes_without() {
        let subscribing = notice(names::ZEPHYR_CTL, names::SUBSCRIBE, b"a\0b\0\0");
        let message = notice(b"MESSAGE", b"", b"hi");
        let mut open = engine(Credentials::none(), Policy::OPEN);
        assert_eq!(said(&mut open, subscribing, Proof::Remembered), "");
        assert_eq!(said(&mut open, message, Proof::With), "No credentials cache found", "nobody is deceived");
        let mut client = engine(Credentials::none(), strict());
        for request in [subscribing, message] {
            let error = client.begin(at(0), &Sending::new(request, Proof::With)).unwrap_err();
            assert!(matches!(error, ClientError::CannotProve(AuthError::NoCredentials)), "{error:?}");
            assert!(error.advice().is_some_and(|advice| advice.contains("takes nothing without proof")));
        }
    }

    /// The first notice that comes from such a packet, and why it is hidden.
    fn arrived(engine: &mut Engine, packet: &[u8]) -> (Verdict, Option<String>) {
        engine.handle(at(0), ([127, 0, 0, 1], 2103).into(), packet);
        let arrival = engine.take_arrival(|_| true).unwrap();
        (arrival.verdict, arrival.hidden)
    }

    #[test]
    fn what_proves_too_little_is_hidden() {
        let mut client = engine(Credentials::with(7), strict());
        let (_, hidden) = arrived(&mut client, &plain(b"one"));
        assert_eq!(hidden.as_deref(), Some("nothing proves who sent it, which this domain demands"));
        let (verdict, hidden) = arrived(&mut engine(Credentials::with(7), strict()), &sealed(9, b"two"));
        assert_eq!(verdict, Verdict::Failed(Reason::Checksum));
        assert_eq!(hidden.as_deref(), Some("the proof of who sent it does not hold: wrong checksum"));
        let (verdict, hidden) = arrived(&mut engine(Credentials::with(7), strict()), &sealed(7, b"three"));
        assert!(verdict.is_authentic() && hidden.is_none());
        let usual = || engine(Credentials::with(7), Policy::KERBEROS);
        assert_eq!(arrived(&mut usual(), &plain(b"one")), (Verdict::Unauthenticated, None));
        assert_eq!(arrived(&mut usual(), &sealed(9, b"two")), (Verdict::Failed(Reason::Checksum), None));
    }

    #[test]
    fn realms_that_are_not_trusted_prove_nothing() {
        let nobody = ForeignRule { realms: NamePattern::new(b"*"), speaks_for: Vec::new() };
        let policy = Policy { foreign: vec![nobody], ..Policy::KERBEROS };
        // The doubles' sender is of realm TEST.
        let mut abroad = Engine::new(
            Site { realm: "ELSEWHERE".to_owned(), ..engine(Credentials::none(), Policy::OPEN).site().clone() },
            Arc::new(Credentials::with(7)),
            policy,
        );
        let (verdict, hidden) = arrived(&mut abroad, &sealed(7, b"one"));
        assert_eq!((verdict, hidden), (Verdict::Failed(Reason::Untrusted("TEST".to_owned())), None));
    }
}
