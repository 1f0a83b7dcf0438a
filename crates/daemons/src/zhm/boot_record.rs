//! The record that a server knows of this host's start, which tells a restart of the host manager from one of the host.
//!
//! A host manager that says that its host has started makes the server forget all programs there. That is right once after
//! each start of the host, and wrong after a restart or a crash of the host manager alone. So the boot's number, as the
//! kernel gives it, is written beside the file with the process id once the server has acknowledged it.

use crate::{own_folder, private_file, users};
use nix::{errno::Errno, fcntl::OFlag};
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zephyr_config::system_text;
use zephyr_engine::host_manager::event::Boot;

/// Where Linux has the number of this boot.
pub(super) const KERNEL: &str = "/proc/sys/kernel/random/boot_id";

/// Octets of a boot's number: a UUID as text.
const LEN: usize = 36;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The record of one host manager.
#[derive(Debug)]
pub(super) struct BootRecord {
    path: PathBuf,
    /// The number of this boot.
    boot: String,
}

impl BootRecord {
    /// The record beside this file with the process id; `None`, with a warning, when the system does not tell its boots
    /// apart.
    pub(super) fn beside(pid_file: &Path, kernel: &Path) -> Option<Self> {
        let boot = fs::read_to_string(kernel).and_then(|text| parse(&text));
        match boot {
            Ok(boot) => Some(Self { path: path_beside(pid_file), boot }),
            Err(error) => {
                tracing::warn!(
                    "a restart cannot be told from a reboot, and makes the server forget this host: {}: {}",
                    kernel.display(),
                    system_text(&error)
                );
                None
            }
        }
    }

    /// Whether a server has acknowledged that the host has started. A record that somebody else could have written is
    /// ignored with a warning.
    pub(super) fn is_acknowledged(&self) -> bool {
        match self.read() {
            Ok(recorded) => recorded.is_some_and(|recorded| recorded == self.boot),
            Err(error) => {
                tracing::warn!("{} is ignored: {}", self.path.display(), system_text(&error));
                false
            }
        }
    }

    /// Writes down what has become of the host's start.
    pub(super) fn note(&self, boot: Boot) {
        let noted = match boot {
            Boot::Acknowledged => own_folder::check(&self.path)
                .and_then(|()| private_file::write_public(&self.path, format!("{}\n", self.boot).as_bytes())),
            Boot::Due => match fs::remove_file(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
        };
        if let Err(error) = noted {
            tracing::warn!(
                "cannot keep {}, so the next restart may make the server forget this host: {}",
                self.path.display(),
                system_text(&error)
            );
        }
    }

    fn read(&self) -> io::Result<Option<String>> {
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
                return refuse("it is a link".to_owned());
            }
            opened => opened?,
        };
        own_folder::check(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return refuse("it is no file".to_owned());
        }
        if ![0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid()) {
            return refuse(format!("it belongs to {}", users::name_of(metadata.uid())));
        }
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return refuse(format!("others can write it (mode {:04o})", metadata.mode() & 0o7777));
        }
        let mut text = String::new();
        file.take(LEN as u64 + 2).read_to_string(&mut text)?;
        parse(&text).map(Some)
    }
}

/// The record beside this file.
fn path_beside(pid_file: &Path) -> PathBuf {
    let mut name = pid_file.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".boot");
    pid_file.with_file_name(name)
}

/// A boot's number, as kernel and record have it: one line.
fn parse(text: &str) -> io::Result<String> {
    let number = text.strip_suffix('\n').unwrap_or(text);
    let is_number = number.len() == LEN && number.chars().all(|char| char.is_ascii_hexdigit() || char == '-');
    if is_number {
        Ok(number.to_owned())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it has no boot's number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    const BOOT: &str = "0f9c2d8e-4a51-4c39-9f52-3f6f6c2f7f11\n";
    const NEXT_BOOT: &str = "7b0c5a1d-1111-4222-8333-944445555666\n";

    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            let machine = Self { folder: tempfile::tempdir().unwrap() };
            machine.boots(BOOT);
            machine
        }

        fn boots(&self, number: &str) {
            fs::write(self.folder.path().join("boot_id"), number).unwrap();
        }

        fn record(&self) -> Option<BootRecord> {
            BootRecord::beside(&self.folder.path().join("zhm.pid"), &self.folder.path().join("boot_id"))
        }

        fn acknowledged(&self) -> bool {
            self.record().unwrap().is_acknowledged()
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("zhm.pid.boot")
        }
    }

    #[test]
    fn a_restart_is_told_from_a_reboot() {
        let machine = Machine::new();
        assert!(!machine.acknowledged(), "nothing was ever written");
        machine.record().unwrap().note(Boot::Acknowledged);
        assert!(machine.acknowledged());
        assert_eq!(fs::read_to_string(machine.path()).unwrap(), BOOT);
        machine.boots(NEXT_BOOT);
        assert!(!machine.acknowledged(), "rebooted");
        machine.record().unwrap().note(Boot::Acknowledged);
        assert!(machine.acknowledged());
        machine.boots("");
        assert!(machine.record().is_none(), "nobody knows");
    }

    #[test]
    fn a_host_that_was_flushed_begins_anew() {
        let machine = Machine::new();
        let record = machine.record().unwrap();
        record.note(Boot::Due);
        record.note(Boot::Acknowledged);
        record.note(Boot::Due);
        assert!(!machine.path().exists() && !machine.acknowledged());
    }

    #[test]
    fn what_else_is_there_counts_for_nothing() {
        let machine = Machine::new();
        let (record, path) = (machine.record().unwrap(), machine.path());
        let twice = BOOT.repeat(2);
        for content in ["", "\n", &BOOT[1..], &twice, &BOOT.replace('-', "é"), &format!(" {BOOT}")] {
            fs::write(&path, content).unwrap();
            assert!(record.read().is_err() && !record.is_acknowledged(), "{content:?}");
        }
        fs::write(&path, [0xFF; 37]).unwrap();
        assert!(record.read().is_err());

        fs::write(&path, BOOT).unwrap();
        assert!(record.is_acknowledged(), "the control");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(record.read().unwrap_err().to_string().contains("0666"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        if chown(&path, Some(54321), None).is_ok() {
            assert!(record.read().unwrap_err().to_string().contains("54321"));
        }

        let elsewhere = machine.folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        chown(&elsewhere, Some(nix::unistd::geteuid().as_raw()), None).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert_eq!(record.read().unwrap_err().to_string(), "it is a link");
        record.note(Boot::Acknowledged);
        assert!(record.is_acknowledged() && !path.is_symlink(), "it is replaced");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(record.read().is_err(), "a folder");
        fs::remove_dir(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(record.read().is_err(), "a pipe, which nobody waits for");
        fs::remove_file(&path).unwrap();

        record.note(Boot::Acknowledged);
        fs::set_permissions(machine.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(record.read().is_err(), "others can exchange it");
        fs::remove_file(&path).unwrap();
        record.note(Boot::Acknowledged);
        assert!(!path.exists());
    }
}
