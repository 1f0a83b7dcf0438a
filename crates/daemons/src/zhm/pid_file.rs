//! The file with the process id.

use super::options::Options;
use crate::private_file;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zephyr_config::system_text;

const PID_FILE: &str = "/var/run/zhm.pid";

/// Where the file is; `None`: nowhere.
pub(super) fn path(options: &Options) -> Option<PathBuf> {
    let usual = || options.listen.is_none().then(|| Path::new(PID_FILE).to_owned());
    options.pid_file.clone().or_else(usual)
}

/// The file with the process id, as long as the host manager runs.
pub(super) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Scripts may miss the file, the host manager does not: failing to write it is worth a warning, and no failure.
    pub(super) fn write(path: Option<PathBuf>) -> Self {
        let written = path.filter(|path| {
            match private_file::write_public(path, format!("{}\n", std::process::id()).as_bytes()) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!("cannot write the process id to {}: {}", path.display(), system_text(&error));
                    false
                }
            }
        });
        Self(written)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}
