//! Who is answered, and how often.
//!
//! Programs that answer each other would do it for ever. So nothing is answered that a program has sent by itself, as far as can be
//! seen, and nobody twice within [`ANSWER_INTERVAL`]: whatever is at the other end, and whatever is sent in somebody's name.

use std::{collections::HashMap, time::Duration};
use zephyr_client::{Notice, names};
use zephyr_core::{body, fold::FoldedName, principal::Principal};

/// The time between two answers to the same sender at least.
pub const ANSWER_INTERVAL: Duration = Duration::from_secs(60);
/// The maximum number of senders that are answered within [`ANSWER_INTERVAL`]; apart for those who have proven who they are, so that
/// names that somebody has invented keep nobody from an answer.
pub const MAX_SENDERS: usize = 1024;

/// The signature of answers, which marks them.
pub const SIGNATURE: &[u8] = b"Automated reply:";
/// The opcode of what programs send by themselves.
const AUTOMATIC: &[u8] = b"AUTO";

/// Whether a notice is a person's message, and not from `own`, who does not answer himself.
///
/// Anybody can send any notice to a client's port, so class, recipient and sender are looked at: an answer goes to the sender's name, and
/// must not become a notice to all who subscribed to something.
pub fn wants_answer(notice: &Notice<'_>, own: &[u8]) -> bool {
    FoldedName::new(notice.class).is(names::MESSAGE)
        && !notice.recipient.is_empty()
        && ![names::PING, AUTOMATIC].iter().any(|opcode| notice.opcode.eq_ignore_ascii_case(opcode))
        && body::first_text(notice.body) != SIGNATURE
        && notice.sender != own
        && is_person(notice.sender)
}

/// Whether a sender's name can be a recipient that is one person.
fn is_person(sender: &[u8]) -> bool {
    let name = Principal::parse(sender).name;
    !name.is_empty() && name != names::ANY_INSTANCE
}

/// The senders who were answered lately.
#[derive(Debug, Default)]
pub struct Answered {
    proven: HashMap<Vec<u8>, Duration>,
    unproven: HashMap<Vec<u8>, Duration>,
}

/// What a notice says of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The name, with the realm.
    pub name: &'a [u8],
    /// Whether it is proven.
    pub is_proven: bool,
}

impl Answered {
    /// Whether a sender may be answered at this time, which never goes back.
    pub fn allows(&mut self, sender: Sender<'_>, now: Duration) -> bool {
        let senders = self.senders(sender);
        let is_recent = |answered: &Duration| now.saturating_sub(*answered) < ANSWER_INTERVAL;
        if senders.len() >= MAX_SENDERS {
            senders.retain(|_, answered| is_recent(answered));
        }
        match senders.get(sender.name) {
            Some(answered) => !is_recent(answered),
            None => senders.len() < MAX_SENDERS,
        }
    }

    /// Records that a sender is answered at this time.
    pub fn record(&mut self, sender: Sender<'_>, now: Duration) {
        self.senders(sender).insert(sender.name.to_vec(), now);
    }

    const fn senders(&mut self, sender: Sender<'_>) -> &mut HashMap<Vec<u8>, Duration> {
        if sender.is_proven { &mut self.proven } else { &mut self.unproven }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unproven(name: &str) -> Sender<'_> {
        Sender { name: name.as_bytes(), is_proven: false }
    }

    fn proven(name: &str) -> Sender<'_> {
        Sender { name: name.as_bytes(), is_proven: true }
    }

    #[test]
    fn nobody_is_answered_twice_in_a_while() {
        let mut answered = Answered::default();
        let (begin, moment) = (Duration::from_secs(1000), Duration::from_nanos(1));
        assert!(answered.allows(proven("bob@R"), begin));
        assert!(answered.allows(proven("bob@R"), begin), "as long as he was not answered");
        answered.record(proven("bob@R"), begin);
        assert!(!answered.allows(proven("bob@R"), begin));
        assert!(answered.allows(proven("carol@R"), begin));
        assert!(!answered.allows(proven("bob@R"), begin + ANSWER_INTERVAL - moment));
        assert!(answered.allows(proven("bob@R"), begin + ANSWER_INTERVAL));
    }

    #[test]
    fn invented_names_are_bounded_and_keep_nobody_from_an_answer() {
        let mut answered = Answered::default();
        let begin = Duration::from_secs(1000);
        let mut count = 0;
        for number in 0..3 * MAX_SENDERS {
            let name = format!("invented-{number}@R");
            if answered.allows(unproven(&name), begin) {
                answered.record(unproven(&name), begin);
                count += 1;
            }
        }
        assert_eq!((count, answered.unproven.len()), (MAX_SENDERS, MAX_SENDERS));
        assert!(answered.allows(proven("bob@R"), begin));
        assert!(!answered.allows(unproven("bob@R"), begin));
        assert!(answered.allows(unproven("bob@R"), begin + ANSWER_INTERVAL));
        assert_eq!(answered.unproven.len(), 0, "what is over is forgotten");
    }

    #[test]
    fn what_is_answered() {
        let bob = Notice {
            class: b"MESSAGE",
            instance: b"PERSONAL",
            sender: b"bob@R",
            recipient: b"alice@R",
            body: b"Bob\0hello\0",
            ..Notice::EMPTY
        };
        for (notice, wants) in [
            (bob, true),
            (Notice { class: b"message", instance: b"anything", opcode: b"CRYPT", body: b"", ..bob }, true),
            (Notice { class: b"FILSRV", ..bob }, false),
            (Notice { recipient: b"", ..bob }, false),
            (Notice { opcode: b"PING", ..bob }, false),
            (Notice { opcode: b"AUTO", ..bob }, false),
            (Notice { opcode: b"auto", ..bob }, false),
            (Notice { body: b"Automated reply:\0gone\0", ..bob }, false),
            (Notice { body: b"Automated reply:", ..bob }, false),
            (Notice { body: b"Automated reply: yes\0gone\0", ..bob }, true),
            (Notice { sender: b"alice@R", ..bob }, false),
            (Notice { sender: b"alice@S", ..bob }, true),
            (Notice { sender: b"", ..bob }, false),
            (Notice { sender: b"@R", ..bob }, false),
            (Notice { sender: b"*", ..bob }, false),
            (Notice { sender: b"*@R", ..bob }, false),
        ] {
            assert_eq!(wants_answer(&notice, b"alice@R"), wants, "{notice:?}");
        }
    }
}
