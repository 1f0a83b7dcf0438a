//! The files with this client's port, for other programs of the user (zwgc, section 2).

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};
use zephyr_client::windowgram_port::{self, CreateError, Created, Place};
use zephyr_output::complain;

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

/// Another windowgram client of the user's runs.
#[derive(Debug, PartialEq, Eq)]
pub struct AlreadyRuns {
    file: PathBuf,
    port: u16,
}

impl AlreadyRuns {
    /// The lines of the C program about it, and which one runs.
    pub fn lines(&self) -> [String; 4] {
        [
            "windowgram file already exists.  If you are".to_owned(),
            format!("not already running zwgc, delete {}", self.file.display()),
            "and try again.".to_owned(),
            format!("One runs, on port {}: end that one first.", self.port),
        ]
    }
}

impl PortFiles {
    /// Creates the files for a client with this port and address. What somebody else has made, or the system does not let be made,
    /// is reported and no reason not to start: programs that look for the file do not find this client then. What a client has
    /// left that does not run any more is replaced, and reported.
    ///
    /// # Errors
    ///
    /// When another client of the user's answers at the port of such a file.
    pub fn create(port: u16, address: Ipv4Addr) -> Result<Self, AlreadyRuns> {
        let make = |place: &Place| windowgram_port::create(place, port, address);
        Self::create_in(windowgram_port::places(), port, make, |line| complain!("zwgc: {line}"))
    }

    fn create_in(
        places: Vec<Place>,
        port: u16,
        make: impl Fn(&Place) -> Result<Created, CreateError>,
        mut report: impl FnMut(&str),
    ) -> Result<Self, AlreadyRuns> {
        let mut files = Self { places: Vec::new(), port };
        for place in places {
            let is_made = match make(&place) {
                Ok(Created::New) => true,
                Ok(Created::InPlaceOfLeftover) => {
                    let path = place.path.display();
                    report(&format!("{path} was left by a windowgram client that does not run any more: replaced"));
                    true
                }
                Err(CreateError::Runs { path: file, port }) => {
                    files.remove(&mut report);
                    return Err(AlreadyRuns { file, port });
                }
                Err(error) => {
                    report(&consequence(&error, &place));
                    false
                }
            };
            files.places.push(PortFile { place, is_made });
        }
        Ok(files)
    }

    /// Writes the files again, also where that was not possible before.
    pub fn renew(&mut self) {
        for PortFile { place, is_made } in &mut self.places {
            match windowgram_port::renew(place, self.port) {
                Ok(()) => *is_made = true,
                Err(error) => complain!("zwgc: {}", consequence(&error, place)),
            }
        }
    }

    /// Writes another port to the files that there are.
    pub fn move_to(&mut self, port: u16) {
        self.port = port;
        for PortFile { place, is_made } in &mut self.places {
            if *is_made && let Err(error) = windowgram_port::renew(place, port) {
                complain!("zwgc: {}", consequence(&error, place));
            }
        }
    }

    /// Removes the files.
    pub fn delete(self) {
        self.remove(|line| complain!("zwgc: {line}"));
    }

    fn remove(self, mut report: impl FnMut(&str)) {
        let made = self.places.into_iter().filter(|file| file.is_made);
        for place in made.map(|file| file.place) {
            if let Err(error) = windowgram_port::remove(&place, self.port) {
                let text = zephyr_client::system_text(&error);
                report(&format!("error while trying to delete {}: {text}", place.path.display()));
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

    fn made(place: &Place, port: u16) -> Result<Created, CreateError> {
        windowgram_port::create(place, port, Ipv4Addr::LOCALHOST)
    }

    #[test]
    fn only_a_client_that_runs_keeps_it_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| Place { path: folder.path().join(name) };
        // What a client has left that was killed, and what cannot be written.
        fs::write(place("a").path, "0\n").unwrap();
        let places = vec![place("a"), place("missing/b")];
        let mut said = Vec::new();
        let say = |line: &str| said.push(line.to_owned());
        let mut files = PortFiles::create_in(places.clone(), 5, |place| made(place, 5), say).unwrap();
        assert_eq!(windowgram_port::read(&places[0].path).unwrap(), 5);
        let left = format!("{} was left by a windowgram client", places[0].path.display());
        let missing = format!("{}: No such file or directory: other programs will not", places[1].path.display());
        assert!(matches!(&said[..], [one, two] if one.starts_with(&left) && two.starts_with(&missing)), "{said:?}");

        let mut said = Vec::new();
        let runs = |taken: &Place| match taken.path.ends_with("a") {
            true => Err(CreateError::Runs { path: taken.path.clone(), port: 5 }),
            false => made(taken, 6),
        };
        let again = PortFiles::create_in(vec![place("c"), place("a")], 6, runs, |line| said.push(line.to_owned()));
        let lines = again.err().unwrap().lines();
        assert!(lines[0].starts_with("windowgram file already exists") && lines[1].ends_with("/a"), "{lines:?}");
        assert_eq!(lines[3], "One runs, on port 5: end that one first.");
        assert!(said.is_empty() && !place("c").path.exists(), "{said:?}");
        assert_eq!(windowgram_port::read(&places[0].path).unwrap(), 5);

        fs::create_dir(folder.path().join("missing")).unwrap();
        files.renew();
        assert_eq!(windowgram_port::read(&places[1].path).unwrap(), 5);
        files.move_to(7);
        assert_eq!(windowgram_port::read(&places[1].path).unwrap(), 7);
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
            consequence(&error, &Place { path: path.into() })
        };
        let line =
            format!("{} belongs to {owner}: other programs will not find this windowgram client", path.display());
        assert_eq!(said(&path), line);
        assert!(said(Path::new("/tmp/wg.1000")).ends_with(": C programs will not find this windowgram client"));
    }
}
