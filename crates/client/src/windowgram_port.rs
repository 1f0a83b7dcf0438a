//! The file with the port of the user's windowgram client, for other programs of the user (wire format, section 9).

use crate::account;
use std::{
    env, fs,
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// The path of the file: `$WGFILE`, else `/tmp/wg.` and the user ID.
pub fn path() -> PathBuf {
    match env::var_os("WGFILE") {
        Some(file) => file.into(),
        None => format!("/tmp/wg.{}", account::user_id()).into(),
    }
}

/// Reads the port from the file.
///
/// # Errors
///
/// When there is no such file; [`io::ErrorKind::InvalidData`] when it has no port.
pub fn read(path: &Path) -> io::Result<u16> {
    const MAX_LEN: u64 = 16;
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_LEN).read_to_string(&mut text)?;
    let number: u16 = text.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(u16::from_be(number))
}

/// Creates the file. Its directory may be writable by others, so an existing file or link is never followed or changed.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when there is such a file; other errors of the system.
pub fn create(path: &Path, port: u16) -> io::Result<()> {
    write(OpenOptions::new().write(true).create_new(true), path, port)
}

/// Replaces the file that [`create`] made by a new one with this port.
///
/// # Errors
///
/// Errors of the system.
pub fn renew(path: &Path, port: u16) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create(path, port),
    }
}

fn write(options: &OpenOptions, path: &Path, port: u16) -> io::Result<()> {
    // The number is that of the port's two octets in network order, read as this machine reads numbers.
    writeln!(options.open(path)?, "{}", port.to_be())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_number_is_in_network_order() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let file = place.path().join("wg");
        create(&file, 55955)?;
        let number: u16 = fs::read_to_string(&file)?.trim_end().parse().map_err(io::Error::other)?;
        assert_eq!(number.to_ne_bytes(), 55955_u16.to_be_bytes());
        if cfg!(target_endian = "little") {
            assert_eq!(number, 37850);
        }
        assert_eq!(read(&file)?, 55955);
        Ok(())
    }

    #[test]
    fn nothing_that_exists_is_touched() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let (file, link) = (place.path().join("precious"), place.path().join("wg"));
        symlink(&file, &link)?;
        assert_eq!(create(&link, 5).map_err(|error| error.kind()), Err(io::ErrorKind::AlreadyExists));
        assert!(!file.exists(), "a dangling link must not be followed");
        fs::write(&file, "precious")?;
        renew(&link, 5)?;
        assert_eq!((fs::read_to_string(&file)?.as_str(), read(&link)?), ("precious", 5));
        Ok(())
    }

    #[test]
    fn a_file_without_a_number_is_an_error() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let file = place.path().join("wg");
        for text in ["", "many\n", "70000\n", "-1\n"] {
            fs::write(&file, text)?;
            assert!(read(&file).is_err(), "{text:?}");
        }
        assert_eq!(read(&place.path().join("none")).map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
        Ok(())
    }
}
