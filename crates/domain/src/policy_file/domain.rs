//! One domain of a policy file.

use crate::{Backend, Enctype};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use zephyr_core::policy::{Policy, Rule, Section};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from one.
    pub line: usize,
}

/// `FILE:LINE`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its realm, or a pattern for several.
    pub name: String,
    /// The place of its section; `None` when no file describes it.
    pub place: Option<Place>,
    /// The hosts that serve it, where clients cannot find its realm by the server's name.
    pub servers: Vec<String>,
    /// How its users prove who they are.
    pub backend: Backend,
    /// The Kerberos encryption types that its servers take.
    pub enctypes: Vec<Enctype>,
    /// Its policy.
    pub policy: Policy,
    /// The places of its rules; those that do not are defaults.
    pub places: BTreeMap<Rule, Place>,
}

impl Default for Domain {
    fn default() -> Self {
        Self::undescribed(Backend::default())
    }
}

impl Domain {
    /// A domain that no file describes: as with C programs that were built with this backend.
    pub fn undescribed(backend: Backend) -> Self {
        Self {
            name: "*".to_owned(),
            place: None,
            servers: Vec::new(),
            backend,
            enctypes: Enctype::DEFAULT.to_vec(),
            policy: backend.policy().clone(),
            places: BTreeMap::new(),
        }
    }

    /// The same domain where the command line or the environment says which backend is used: with another than its own,
    /// its demands no longer make sense, and those of an undescribed domain hold.
    #[must_use]
    pub fn with_backend(&self, backend: Option<Backend>) -> Self {
        match backend {
            Some(other) if other != self.backend => Self::undescribed(other),
            _ => self.clone(),
        }
    }

    /// The place of a rule, as text.
    pub fn place_of(&self, rule: Rule) -> String {
        self.places.get(&rule).map_or_else(|| "the default".to_owned(), Place::to_string)
    }

    /// The place of the first rule of a section within the domain; that of the domain where it has none.
    pub fn place_within(&self, section: Section) -> Option<&Place> {
        let within = self.places.iter().filter(|(rule, _)| rule.section == section).map(|(_, place)| place);
        within.min_by_key(|place| place.line).or(self.place.as_ref())
    }

    /// The origin of the domain's policy, as text.
    pub fn origin(&self) -> String {
        match &self.place {
            Some(place) => format!("domain {:?} of {place}", self.name),
            None => "the defaults, since no policy file describes this domain".to_owned(),
        }
    }
}
