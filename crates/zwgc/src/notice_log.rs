//! The files with what was shown, one for each day, which nobody else may read.

use crate::{
    labelled::{self, Style},
    report::report,
};
use nix::{fcntl::OFlag, unistd::Uid};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};
use zephyr_client::{Received, localtime, system_text};
use zephyr_core::sanitize;

/// Who may use a directory that is made: the user.
const DIRECTORY_MODE: u32 = 0o700;
/// Who may use a file that is made: the user.
const FILE_MODE: u32 = 0o600;
/// The permissions of others to write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A directory of files with what was shown.
pub(crate) struct NoticeLog {
    directory: PathBuf,
    /// What was last said about what is wrong with it.
    said: Option<String>,
}

impl NoticeLog {
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self { directory, said: None }
    }

    /// Appends a notice to the file of today. That this cannot be done is said once, and keeps no notice from being shown.
    pub(crate) fn append(&mut self, received: &Received) {
        let text = labelled::render(&received.notice(), received.verdict(), Style::PLAIN);
        self.write(&text);
    }

    /// Makes the directory and today's file. That it cannot be is reported.
    pub(crate) fn check(&mut self) {
        self.write("");
    }

    fn write(&mut self, text: &str) {
        let name = format!("{}.log", localtime::date(SystemTime::now()));
        if let Some(line) = self.complaint(append_to(&self.directory, &name, text)) {
            report(&line);
        }
    }

    /// What there is to say about a result, unless that was the last thing said.
    fn complaint(&mut self, result: io::Result<()>) -> Option<String> {
        let error = system_text(&result.err()?);
        let directory = sanitize::name(self.directory.as_os_str().as_encoded_bytes());
        let line = format!("zwgc: notices are not appended to files in {directory}: {error}");
        if self.said.as_ref() == Some(&line) {
            return None;
        }
        self.said = Some(line.clone());
        Some(line)
    }
}

fn append_to(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let about = fs::metadata(directory)?;
    let is_own = about.uid() == Uid::effective().as_raw();
    if !is_own || about.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(io::Error::other("others can write to this directory"));
    }
    // Neither a link to somewhere else nor a pipe that nobody reads.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .custom_flags(flags.bits())
        .open(directory.join(name))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{name} is no file")));
    }
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("notices");
        append_to(&directory, "today.log", "one\n").unwrap();
        append_to(&directory, "today.log", "two\n").unwrap();
        let file = directory.join("today.log");
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert_eq!((mode(&directory), mode(&file)), (DIRECTORY_MODE, FILE_MODE));
    }

    #[test]
    fn what_others_could_have_made_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("notices");
        assert!(append_to(&directory.join("below"), "today.log", "x").is_err(), "only one level is made");
        fs::create_dir(&directory).unwrap();
        for open in [0o775, 0o757] {
            fs::set_permissions(&directory, fs::Permissions::from_mode(open)).unwrap();
            let error = append_to(&directory, "today.log", "x").unwrap_err();
            assert_eq!(error.to_string(), "others can write to this directory");
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        symlink(&elsewhere, directory.join("today.log")).unwrap();
        assert!(append_to(&directory, "today.log", "x").is_err() && !elsewhere.exists());
        assert!(std::process::Command::new("mkfifo").arg(directory.join("pipe.log")).status().unwrap().success());
        assert!(append_to(&directory, "pipe.log", "x").is_err(), "nobody reads it");
        fs::create_dir(directory.join("folder.log")).unwrap();
        assert!(append_to(&directory, "folder.log", "x").is_err());
    }

    #[test]
    fn an_error_is_said_once() {
        let mut log = NoticeLog::new("/nowhere\n".into());
        let error = |text: &'static str| Err(io::Error::other(text));
        assert_eq!(log.complaint(Ok(())), None);
        let line = "zwgc: notices are not appended to files in /nowhere\\u{a}: full";
        assert_eq!(log.complaint(error("full")).as_deref(), Some(line));
        assert_eq!(log.complaint(error("full")), None);
        assert_eq!(log.complaint(Ok(())), None);
        assert_eq!(log.complaint(error("full")), None);
        assert!(log.complaint(error("gone")).is_some());
    }
}
