//! The files with this client's port, for other programs of the user (zwgc, section 2).

use std::path::Path;
use zephyr_client::windowgram_port::{self, CreateError, Place};

/// The files with this client's port.
pub struct PortFiles {
    places: Vec<PortFile>,
    port: u16,
}

/// A place for such a file.
struct PortFile {
    place: Place,
    is_made: bool,
}

/// A windowgram client of the user's seems to run already, which was reported.
#[derive(Debug, PartialEq, Eq)]
pub struct AlreadyRuns;

impl PortFiles {
    /// Creates the files. What somebody else has made, or the system does not let be made, is reported and no reason not to
    /// start: programs that look for the file do not find this client then.
    ///
    /// # Errors
    ///
    /// When there is a file of the user's own.
    pub fn create(port: u16) -> Result<Self, AlreadyRuns> {
        Self::create_in(windowgram_port::places(), port, |line| eprintln!("zwgc: {line}"))
    }

    fn create_in(places: Vec<Place>, port: u16, mut report: impl FnMut(&str)) -> Result<Self, AlreadyRuns> {
        let mut files = Self { places: Vec::new(), port };
        for place in places {
            match windowgram_port::create(&place, port) {
                Ok(()) => files.places.push(PortFile { place, is_made: true }),
                Err(CreateError::Exists(path)) => {
                    files.remove(&mut report);
                    report("windowgram file already exists.  If you are");
                    report(&format!("not already running zwgc, delete {}", path.display()));
                    report("and try again.");
                    return Err(AlreadyRuns);
                }
                Err(error) => {
                    report(&consequence(&error, &place));
                    files.places.push(PortFile { place, is_made: false });
                }
            }
        }
        Ok(files)
    }

    /// Writes the files again, also where that was not possible before.
    pub fn renew(&mut self) {
        for PortFile { place, is_made } in &mut self.places {
            match windowgram_port::renew(place, self.port) {
                Ok(()) => *is_made = true,
                Err(error) => eprintln!("zwgc: {}", consequence(&error, place)),
            }
        }
    }

    /// Removes the files.
    pub fn delete(self) {
        self.remove(|line| eprintln!("zwgc: {line}"));
    }

    fn remove(self, mut report: impl FnMut(&str)) {
        let made = self.places.into_iter().filter(|file| file.is_made);
        for Place { path, .. } in made.map(|file| file.place) {
            if let Err(error) = std::fs::remove_file(&path) {
                let text = zephyr_client::system_text(&error);
                report(&format!("error while trying to delete {}: {text}", path.display()));
            }
        }
    }
}

/// The line about a file that was not made.
fn consequence(error: &CreateError, place: &Place) -> String {
    let is_public = place.path.parent() == Some(Path::new("/tmp"));
    let programs = if is_public { "C programs" } else { "other programs" };
    format!("{error}: {programs} will not find this windowgram client")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::MetadataExt as _};
    use zephyr_client::windowgram_port::Owner;

    #[test]
    fn only_the_users_own_file_keeps_it_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| Place { path: folder.path().join(name), is_local: false };
        let mut said = Vec::new();
        let places = vec![place("a"), place("missing/b")];
        let mut files = PortFiles::create_in(places.clone(), 5, |line| said.push(line.to_owned())).unwrap();
        assert!(place("a").path.exists());
        let missing = format!("{}: No such file or directory: other programs will not", places[1].path.display());
        assert!(matches!(&said[..], [line] if line.starts_with(&missing)), "{said:?}");
        let mut said = Vec::new();
        let again = PortFiles::create_in(vec![place("c"), place("a")], 6, |line| said.push(line.to_owned()));
        assert_eq!(again.err(), Some(AlreadyRuns));
        assert!(said[0].starts_with("windowgram file already exists") && !place("c").path.exists(), "{said:?}");
        fs::create_dir(folder.path().join("missing")).unwrap();
        files.renew();
        assert_eq!(windowgram_port::read(&places[1].path).unwrap(), 5);
        files.delete();
        assert!(!places[0].path.exists() && !places[1].path.exists());
    }

    #[test]
    fn a_strangers_file_is_named_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wg.1000");
        fs::write(&path, "5\n").unwrap();
        let owner = Owner(fs::metadata(&path).unwrap().uid());
        let said = |path: &Path| {
            let error = CreateError::Foreign { path: path.into(), owner };
            consequence(&error, &Place { path: path.into(), is_local: true })
        };
        let line =
            format!("{} belongs to {owner}: other programs will not find this windowgram client", path.display());
        assert_eq!(said(&path), line);
        assert!(said(Path::new("/tmp/wg.1000")).ends_with(": C programs will not find this windowgram client"));
    }
}
