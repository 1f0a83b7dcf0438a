//! What is asked, in which order, and what came of it.

use crate::{ServerName, Settings, Source};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use zephyr_engine::host_manager::{Discovered, NotFound};

/// Which sources are asked for servers, and in which order. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Discovery {
    plan: Arc<Plan>,
}

#[derive(Clone, Debug)]
enum Plan {
    /// These names, as somebody gives them.
    Names { names: Vec<ServerName>, source: Box<str> },
    /// The SRV records of one domain.
    Domain(Box<str>),
    /// The sources of this machine.
    Machine { settings: Settings, folder: PathBuf, realm: Option<Box<str>> },
}

/// What the sources say, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What each source says that was asked, in that order.
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
    /// It cannot be used before somebody mends it, and why.
    Invalid(Box<str>),
    /// It does not answer, or not now, and why.
    NoAnswer(Box<str>),
}

impl Discovery {
    /// What this machine's `/etc/zephyr` says: for programs that have no settings of their own. What is invalid in its
    /// `zephyr.toml` is as if it were not there.
    pub fn of_system() -> Self {
        Self::new(Settings::default(), Path::new("/etc/zephyr"))
    }

    /// The sources that these settings name; `server.list` is in this folder.
    pub fn new(settings: Settings, folder: &Path) -> Self {
        Self { plan: Arc::new(Plan::Machine { settings, folder: folder.to_owned(), realm: None }) }
    }

    /// These servers and no others, the preferred one first, as `source` ("the command line") names them.
    pub fn of_names(names: &[ServerName], source: &str) -> Self {
        Self { plan: Arc::new(Plan::Names { names: names.to_owned(), source: source.into() }) }
    }

    /// The servers that the SRV records of this domain of DNS name, and no others. A realm has the domain of the same name in
    /// lower case.
    pub fn of_domain(domain: &str) -> Self {
        Self { plan: Arc::new(Plan::Domain(domain.to_ascii_lowercase().into())) }
    }

    /// With the realm whose domain is asked where this machine has none of its own.
    #[must_use]
    pub fn with_realm(mut self, default: &str) -> Self {
        if let Plan::Machine { realm, .. } = Arc::make_mut(&mut self.plan) {
            *realm = Some(default.into());
        }
        self
    }

    /// The servers that the first source names that names any. Blocks for [`crate::TIMEOUT`] at most.
    ///
    /// # Errors
    ///
    /// When no source names any, or one that may name some later does not answer.
    pub fn discover(&self) -> Result<Discovered, NotFound> {
        self.survey(crate::TIMEOUT).result
    }

    /// As [`Discovery::discover`], within that time, with what each source says that was asked.
    pub fn survey(&self, within: Duration) -> Survey {
        let _ = (within, Source::ALL);
        Survey { testimonies: Vec::new(), result: Err(NotFound::NoAnswer("no source is asked yet".into())) }
    }
}
