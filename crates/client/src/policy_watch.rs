//! The watch over a policy file that may change while a program runs.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};
use zephyr_core::policy::Policy;
use zephyr_domain::{
    Backend,
    policy_file::{Domain, PolicyFile},
};

/// The version of a file: inode, time of change in seconds and nanoseconds, and length. `None`: there is no file.
type Stamp = Option<(u64, i64, i64, u64)>;

/// A watch over the policy of a domain.
pub(crate) struct PolicyWatch {
    file: PathBuf,
    stamp: Stamp,
    realm: String,
    /// The backend in use, which only a restart can change.
    backend: Backend,
    forced: Option<Backend>,
}

impl PolicyWatch {
    /// A watch over the domain of `realm`, as `file` describes it now.
    pub(crate) fn new(file: PathBuf, realm: String, domain: &Domain, forced: Option<Backend>) -> Self {
        Self { stamp: stamp(&file), file, realm, backend: domain.backend, forced }
    }

    /// The new policy, if the file has changed. An invalid file changes nothing.
    pub(crate) fn changed(&mut self) -> Option<Policy> {
        let stamp = stamp(&self.file);
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        match PolicyFile::load_if_there(&self.file) {
            Ok(policies) => {
                let domain = policies.domain(&self.realm).with_backend(self.forced);
                if domain.backend == self.backend {
                    return Some(domain.policy);
                }
                tracing::warn!(
                    "the policy file names another authentication backend now, which counts when this program is started again"
                );
            }
            Err(problems) => tracing::warn!("the policy stays as it was, as its file has problems:\n{problems}"),
        }
        None
    }
}

fn stamp(file: &PathBuf) -> Stamp {
    let known = fs::metadata(file).ok()?;
    Some((known.ino(), known.mtime(), known.mtime_nsec(), known.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_core::policy::Demand;

    #[test]
    fn a_changed_file_is_read_and_an_invalid_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        let mut watch = PolicyWatch::new(file.clone(), "A".to_owned(), &Domain::default(), None);
        assert_eq!(watch.changed(), None);
        // Each text has another length: a clock may stand still between two of them.
        for (text, send) in [
            ("[domain.A]\nsend = \"required\"\n", Some(Demand::Required)),
            ("[domain.A]\nsend = \"never\"\n", None),
            ("[domain.A]\nbackend = \"none\"\n", None),
            ("[domain.A]\nsend = \"closed\" # all\n", Some(Demand::Closed)),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(watch.changed().map(|policy| policy.send), send, "{text}");
            assert_eq!(watch.changed(), None);
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(watch.changed(), Some(Policy::KERBEROS));
    }
}
