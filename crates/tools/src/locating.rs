//! Questions where users are, several of them at a time.

use crate::{connection::HINT_DELAY, messages::Messages};
use std::{collections::VecDeque, ops::ControlFlow};
use zephyr_client::{AuthError, Error, Operation, OperationError, Outcome, Result, UserLocation, blocking::Client};
use zephyr_core::{principal::Principal, sanitize};

/// What is said to whoever has no tickets.
const WITHOUT_TICKETS: &str =
    "Run kinit first; or zlocate -d asks without proof, about whoever shows himself to everybody.";

/// Octets of a name in a message, before escaping.
const MAX_SHOWN: usize = 64;

/// The maximum number of questions under way: the packets of so many answers are nothing that a socket would lose.
const MAX_QUESTIONS: usize = 32;

/// A user's name with a realm: that of the server, where it has none.
pub fn with_realm(user: &[u8], realm: &str) -> Vec<u8> {
    match Principal::parse(user).realm {
        Some(_) => user.to_vec(),
        None => [user, b"@", realm.as_bytes()].concat(),
    }
}

/// A user's name in a message to whoever has typed it, which is cut where it is long.
pub fn shown(user: &[u8]) -> String {
    match user.get(..MAX_SHOWN) {
        Some(begin) if begin.len() < user.len() => sanitize::name(begin) + "...",
        _ => sanitize::name(user),
    }
}

/// Reports that a question could not be asked or was not answered, and with `advises` what to do about it.
pub fn report_failure(error: &Error, context: &str, advises: bool, messages: &mut Messages<'_>) {
    messages.say(&error.describe(context));
    let advice = match error {
        Error::Operation(OperationError::Auth(AuthError::NoCredentials | AuthError::Expired)) => {
            Some(WITHOUT_TICKETS.into())
        }
        _ => error.advice(),
    };
    advice.filter(|_| advises).into_iter().for_each(|advice| messages.say(&advice));
}

/// Asks where these users are, and hands each answer on, in the order of the users, as soon as it is there. Ends early when `each`
/// breaks. Whoever sits before a terminal is told, once, of an answer that takes long.
pub fn locate_all(
    client: &mut Client,
    users: &[Vec<u8>],
    authenticated: bool,
    messages: &mut Messages<'_>,
    mut each: impl FnMut(&[u8], Result<Vec<UserLocation>>, &mut Messages<'_>) -> ControlFlow<()>,
) {
    let mut rest = users.iter();
    let mut waiting = VecDeque::new();
    let mut is_silent = messages.is_on_terminal();
    loop {
        for user in rest.by_ref().take(MAX_QUESTIONS - waiting.len()) {
            let id = client.begin(Operation::Locate { user: user.clone(), authenticated });
            waiting.push_back((user, id));
        }
        let Some((user, id)) = waiting.pop_front() else { return };
        if is_silent && matches!(client.is_finished_within(id, HINT_DELAY), Ok(false)) {
            is_silent = false;
            messages.say(&format!("still waiting for the server's answer about {}", shown(user)));
        }
        let locations = match client.finish(id) {
            Ok(Outcome::Locations(locations)) => Ok(locations),
            Ok(_) => Err(OperationError::InvalidAnswer.into()),
            Err(error) => Err(error),
        };
        if each(user, locations, messages).is_break() {
            return;
        }
    }
}

/// Whether an error is about one user, so that others can be asked.
pub const fn is_about_one(error: &Error) -> bool {
    matches!(
        error,
        Error::Operation(
            OperationError::TimedOut
                | OperationError::ServerSilent(_)
                | OperationError::NamesTooLong(_)
                | OperationError::NameTooLong(_)
                | OperationError::RefusedBecause(_)
                | OperationError::InvalidAnswer
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_core::screen::Screen;

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shown(&[b'x'; 64]), "x".repeat(64));
        assert_eq!(shown(&[b'x'; 65]), "x".repeat(64) + "...");
        assert_eq!(shown(b"a\n"), "a\\u{a}");
    }

    #[test]
    fn advice_is_about_asking_and_given_when_wanted() {
        let said = |error: OperationError, advises| {
            let mut err = Vec::new();
            let mut messages = Messages { program: "z", err: &mut err, screen: Screen::None };
            report_failure(&error.into(), "while locating user bob", advises, &mut messages);
            String::from_utf8(err).unwrap()
        };
        let reason = "z: No credentials cache found while locating user bob\n";
        assert_eq!(said(AuthError::NoCredentials.into(), true), format!("{reason}z: {WITHOUT_TICKETS}\n"));
        assert_eq!(said(AuthError::NoCredentials.into(), false), reason);
        assert_eq!(said(OperationError::TimedOut, true).lines().count(), 2);
    }

    #[test]
    fn names_get_a_realm() {
        for (typed, name) in [("bob", "bob@R"), ("bob@S", "bob@S"), ("bob@", "bob@"), (r"b\@b", r"b\@b@R"), ("", "@R")]
        {
            assert_eq!(with_realm(typed.as_bytes(), "R"), name.as_bytes());
        }
    }
}
