//! Zephyr variables: the user's file, then the system's (clients, section 0). They can only be read.

use crate::account;
use std::{
    env,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The maximum number of octets read of a variables file.
const MAX_FILE: u64 = 1 << 20;

/// The variables of the user and of the system, as they were when read.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    files: Vec<Vec<u8>>,
}

impl Variables {
    /// Reads `$ZEPHYR_VARS`, else `~/.zephyr.vars`, and then `zephyr.vars` of the system's configuration directory. Files
    /// that do not exist or cannot be read count as empty; 1 MiB of each is read at most.
    pub fn read() -> Self {
        let user =
            env::var_os("ZEPHYR_VARS").map(PathBuf::from).or_else(|| Some(account::home()?.join(".zephyr.vars")));
        let system = config_dir().join("zephyr.vars");
        Self { files: user.into_iter().chain([system]).map(|path| contents(&path)).collect() }
    }

    /// The variables in the contents of these files; earlier files take precedence.
    pub fn from_files(files: &[&[u8]]) -> Self {
        Self { files: files.iter().map(|file| file.to_vec()).collect() }
    }

    /// The value of a variable, whose name is compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find_map(|file| find(file, name))
    }

    /// The value as text; invalid UTF-8 becomes U+FFFD.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// The directory of the system's configuration: `$ZEPHYR_CONFIG_DIR`, else `/etc/zephyr`.
pub fn config_dir() -> PathBuf {
    env::var_os("ZEPHYR_CONFIG_DIR").map_or_else(|| PathBuf::from("/etc/zephyr"), PathBuf::from)
}

fn contents(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = File::open(path)
        && let Err(error) = file.take(MAX_FILE).read_to_end(&mut text)
    {
        tracing::debug!(path = %path.display(), %error, "cannot read variables");
    }
    text
}

fn find<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    file.split(|&octet| octet == b'\n').find_map(|line| {
        if line.starts_with(b"#") {
            return None;
        }
        let equals = line.iter().position(|&octet| octet == b'=')?;
        let (key, value) = line.split_at_checked(equals)?;
        let value = value.get(1..)?.trim_ascii_start();
        key.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_file_takes_precedence() {
        let variables = Variables::from_files(&[
            b"# exposure = none\nZwrite-Signature =  Bob, = of  Athena \nempty =\nnonsense\n",
            b"exposure = realm-visible\nempty = full",
        ]);
        assert_eq!(variables.get("exposure"), Some(&b"realm-visible"[..]));
        assert_eq!(variables.get("zwrite-signature"), Some(&b"Bob, = of  Athena "[..]));
        assert_eq!(variables.get("EMPTY"), Some(&b""[..]));
        assert_eq!(variables.get("nonsense"), None);
    }

    #[test]
    fn a_file_that_does_not_exist_is_empty() {
        assert!(contents(Path::new("/nonexistent/zephyr.vars")).is_empty());
    }
}
