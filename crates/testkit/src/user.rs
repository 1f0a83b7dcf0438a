//! A user of a test realm.

use crate::{place::Place, process};
use anyhow::Result;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const TOOL_TIMEOUT: Duration = Duration::from_secs(20);

/// A user: name, home directory and credential cache. Made by [`crate::realm::Realm::user`].
#[derive(Debug, Clone)]
pub struct User {
    name: String,
    realm: String,
    home: PathBuf,
    krb5_conf: PathBuf,
    cache: String,
    place: Place,
}

impl User {
    pub(crate) fn new(name: &str, realm: &str, home: PathBuf, krb5_conf: PathBuf, place: Place) -> Self {
        let cache = format!("FILE:{}", home.join("ccache").display());
        Self { name: name.to_owned(), realm: realm.to_owned(), home, krb5_conf, cache, place }
    }

    /// The same user with this credential cache, named with its type: `DIR:/some/folder`.
    #[must_use]
    pub fn with_cache(self, cache: &str) -> Self {
        Self { cache: cache.to_owned(), ..self }
    }

    /// The name without realm.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name with realm.
    pub fn principal(&self) -> String {
        format!("{}@{}", self.name, self.realm)
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The file of the default credential cache.
    pub fn ccache(&self) -> PathBuf {
        self.home.join("ccache")
    }

    /// The file in which a windowgram client leaves its port for the user's other programs.
    pub fn wgfile(&self) -> PathBuf {
        self.home.join("wgfile")
    }

    /// Environment for a program of this user.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HOME", self.home.display().to_string()),
            ("USER", self.name.clone()),
            ("LOGNAME", self.name.clone()),
            ("WGFILE", self.wgfile().display().to_string()),
            ("KRB5_CONFIG", self.krb5_conf.display().to_string()),
            ("KRB5CCNAME", self.cache.clone()),
        ]
    }

    /// A command with [`User::env`], started where the realm is.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.place.command(program);
        command.envs(self.env());
        command
    }

    /// The output of `klist -e`: the tickets and their encryption types.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn tickets(&self) -> Result<String> {
        let mut command = self.command("klist");
        command.arg("-e");
        Ok(process::run(command, TOOL_TIMEOUT)?.success()?.stdout)
    }

    /// Whether there is a ticket-granting ticket that is still valid.
    ///
    /// # Errors
    ///
    /// When klist cannot be run.
    pub fn has_valid_ticket(&self) -> Result<bool> {
        let mut command = self.command("klist");
        command.arg("-s");
        Ok(process::run(command, TOOL_TIMEOUT)?.status.success())
    }
}
