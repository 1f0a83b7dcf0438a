//! What sources say about servers, and what follows from it.

use std::{fmt, time::Duration};
use zephyr_engine::host_manager::{Discovered, NotFound};

/// When a source is asked again before which another one did not answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// What the sources say, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What each source says that was asked, in that order: those behind one that names servers were not.
    pub testimonies: Vec<Testimony>,
    /// What follows from it.
    pub result: Result<Discovered, NotFound>,
}

/// What one source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// Which source, for people to read.
    pub source: Box<str>,
    /// What it says.
    pub answer: Answer,
}

/// What a source says about servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There are these.
    Servers(Discovered),
    /// It names none, and why.
    None(Box<str>),
    /// It names none, as this machine does not have it, and why.
    Absent(Box<str>),
    /// It names none that can be used before somebody mends it, and why.
    Invalid(Box<str>),
    /// It does not answer, or not now, and why.
    NoAnswer(Box<str>),
}

impl Testimony {
    pub(crate) fn new(source: &str, answer: Answer) -> Self {
        Self { source: source.into(), answer }
    }
}

/// In one line: `DNS (_zephyr-clt._udp.example.org): there is no such record`.
impl fmt::Display for Testimony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        match &self.answer {
            Answer::Servers(discovered) => {
                for (place, candidate) in discovered.candidates.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{}:{}", candidate.host, candidate.port)?;
                }
                Ok(())
            }
            Answer::None(why) | Answer::Absent(why) | Answer::Invalid(why) | Answer::NoAnswer(why) => f.write_str(why),
        }
    }
}

impl Survey {
    /// Asks these sources until one names servers.
    pub(crate) fn of(sources: impl IntoIterator<Item = Testimony>) -> Self {
        let mut testimonies = Vec::new();
        for testimony in sources {
            let is_last = matches!(testimony.answer, Answer::Servers(_));
            testimonies.push(testimony);
            if is_last {
                break;
            }
        }
        let result = result(&testimonies);
        Self { testimonies, result }
    }
}

fn result(testimonies: &[Testimony]) -> Result<Discovered, NotFound> {
    let is_unanswered = testimonies.iter().any(|testimony| matches!(testimony.answer, Answer::NoAnswer(_)));
    if let Some(Testimony { answer: Answer::Servers(discovered), .. }) = testimonies.last() {
        let mut discovered = discovered.clone();
        if is_unanswered {
            // One that goes before it may answer then.
            discovered.valid_for = Some(discovered.valid_for.map_or(RETRY_INTERVAL, |time| time.min(RETRY_INTERVAL)));
        }
        return Ok(discovered);
    }
    let why = reason(testimonies);
    Err(if is_unanswered { NotFound::NoAnswer(why.into()) } else { NotFound::NoServer(why.into()) })
}

/// Why there is none, for people: by the sources that this machine has; by all where it has none of them.
fn reason(testimonies: &[Testimony]) -> String {
    let is_present = |one: &&Testimony| !matches!(one.answer, Answer::Absent(_));
    let mut said: Vec<String> = testimonies.iter().filter(is_present).map(Testimony::to_string).collect();
    if said.is_empty() {
        said = testimonies.iter().map(Testimony::to_string).collect();
    }
    if said.is_empty() { "no source is to be asked".to_owned() } else { said.join("; ") }
}
