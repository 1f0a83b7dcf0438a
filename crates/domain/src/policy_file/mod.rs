//! `policy.toml`, the policies of all domains: one file for a whole machine, read by servers and clients alike.
//!
//! [`PolicyFile`] is the file, [`Domain`] what it says of one domain. A domain is described by one section: the one
//! whose pattern says most of those that fit its realm. What a section leaves out is as in C.

mod domain;
mod read;

pub use domain::{Domain, Place};

use crate::{Backend, PROVIDERS, Provider};
use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};
use zephyr_config::{
    file,
    problem::{Problem, Problems},
};
use zephyr_core::policy::NamePattern;

/// The file's name in the configuration folder.
pub const FILE_NAME: &str = "policy.toml";
/// The default path.
pub const DEFAULT_PATH: &str = "/etc/zephyr/policy.toml";
/// The variable that names another file.
pub const VARIABLE: &str = "ZEPHYR_POLICY";

/// A policy file, or what holds without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// The backends that it can name.
    providers: &'static [&'static Provider],
    names: Vec<NamePattern>,
    domains: Vec<Arc<Domain>>,
}

impl Default for PolicyFile {
    fn default() -> Self {
        Self { providers: PROVIDERS, names: Vec::new(), domains: Vec::new() }
    }
}

impl PolicyFile {
    /// The file that [`VARIABLE`] names, which then must be there; else the one at `usual`, if it is there.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the file.
    pub fn find(usual: &Path) -> Result<Self, Problems> {
        Ok(Self::find_if_there(usual)?.unwrap_or_default())
    }

    /// As [`find`](Self::find); `None` when there is no file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the file.
    pub fn find_if_there(usual: &Path) -> Result<Option<Self>, Problems> {
        match env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => Self::load(Path::new(&path)).map(Some),
            None => Self::read_if_there(usual),
        }
    }

    /// The file at `path`, or what holds without one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the file.
    pub fn load_if_there(path: &Path) -> Result<Self, Problems> {
        Ok(Self::read_if_there(path)?.unwrap_or_default())
    }

    fn read_if_there(path: &Path) -> Result<Option<Self>, Problems> {
        let content = file::text(path).map_err(|problem| Problems(vec![problem]))?;
        content.map(|content| Self::read(path, &content).map_err(Problems)).transpose()
    }

    /// The file at `path`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the file.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let missing = || Problem::whole_file(path, "No such file or directory");
        let content = file::text(path).and_then(|content| content.ok_or_else(missing));
        let content = content.map_err(|problem| Problems(vec![problem]))?;
        Self::read(path, &content).map_err(Problems)
    }

    /// A file with this content.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    pub fn read(path: &Path, content: &str) -> Result<Self, Vec<Problem>> {
        Self::read_with(PROVIDERS, path, content)
    }

    /// A file with this content, whose domains use the backends of this table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    pub fn read_with(
        providers: &'static [&'static Provider],
        path: &Path,
        content: &str,
    ) -> Result<Self, Vec<Problem>> {
        let (domains, problems) = read::read(providers, path, content);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            providers,
            names: domains.iter().map(|domain| NamePattern::new(domain.name.as_bytes())).collect(),
            domains: domains.into_iter().map(Arc::new).collect(),
        })
    }

    /// The domain of this realm. Realms are the same here in any case.
    pub fn domain(&self, realm: &str) -> Arc<Domain> {
        let undescribed = || Arc::new(Domain::undescribed(first_of(self.providers)));
        self.section(realm).cloned().unwrap_or_else(undescribed)
    }

    /// The backends that its domains can use, in the order in which they are asked for a realm.
    pub fn backends(&self) -> impl Iterator<Item = Backend> {
        Backend::all(self.providers)
    }

    /// The section that describes the domain of this realm, if one does.
    pub fn section(&self, realm: &str) -> Option<&Arc<Domain>> {
        let number = NamePattern::most_specific(&self.names, realm.to_ascii_uppercase().as_bytes())?;
        self.domains.get(number)
    }

    /// The realm that has this host among its servers, if the file says so, and what holds there.
    pub fn realm_of_server(&self, host: &str) -> Option<(&str, &Arc<Domain>)> {
        let host = host.trim_end_matches('.');
        let serves = |domain: &&Arc<Domain>| domain.servers.iter().any(|server| server.eq_ignore_ascii_case(host));
        self.domains.iter().find(serves).map(|domain| (domain.name.as_str(), domain))
    }

    /// The domains that the file describes, in its order.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.iter().map(AsRef::as_ref)
    }

    /// The path of the file that a program of this machine reads.
    pub fn path(usual: &Path) -> PathBuf {
        env::var_os(VARIABLE).filter(|path| !path.is_empty()).map_or_else(|| usual.to_owned(), PathBuf::from)
    }
}

/// The backend of a domain that does not name one.
fn first_of(providers: &'static [&'static Provider]) -> Backend {
    Backend::all(providers).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
