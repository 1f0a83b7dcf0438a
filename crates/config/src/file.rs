//! Reading of a configuration file, whichever it is: one that is not there, one that is something else than a file, and one that
//! has no end are told apart, and none of them is taken for an empty one.

use crate::{problem::Problem, system_text};
use nix::fcntl::OFlag;
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Octets of a configuration file at most.
pub const MAX_OCTETS: u64 = 4 << 20;

/// The mark that some editors put at the beginning of UTF-8 files.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The same mark in UTF-16, little and big endian.
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// The device that is an empty file.
const NULL_DEVICE: &str = "/dev/null";

/// The reason why a file cannot be used.
#[derive(Debug)]
pub enum FileError {
    /// The system says so.
    Io(io::Error),
    /// It is something else.
    NoFile(&'static str),
    /// A symbolic link whose target is not there, which need not be the file itself.
    Dangling(PathBuf),
    /// Longer than [`MAX_OCTETS`].
    TooLong,
    /// It begins as files in UTF-16 do.
    Utf16,
}

/// The reason without the file's name, in one line.
impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => f.write_str(&system_text(error)),
            Self::NoFile(kind) => write!(f, "this is {kind}, not a file"),
            Self::Dangling(link) => write!(f, "{} is a symbolic link that leads nowhere", link.display()),
            Self::TooLong => write!(f, "longer than {MAX_OCTETS} octets"),
            Self::Utf16 => f.write_str("this is UTF-16, save it as UTF-8"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The octets of a file, without a byte order mark before them; `None` when nothing has this name. Never waits for a pipe.
///
/// # Errors
///
/// When there is something that cannot be read, is no regular file (nor the null device), is longer than [`MAX_OCTETS`], or is
/// UTF-16; and when the name leads through a symbolic link to nowhere, because somebody means a file that should be there.
pub fn octets(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    // Devices are not opened, if that can be helped: to open some of them does something.
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return dangling_link(path).map_or(Ok(None), |link| Err(FileError::Dangling(link)));
        }
        Err(error) => return Err(error.into()),
    };
    if is_empty_device(&about) {
        return Ok(Some(Vec::new()));
    }
    check_kind(&about)?;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file: File = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    // What was opened may be another thing by now.
    check_kind(&file.metadata()?)?;
    octets_of(file).map(Some)
}

/// The octets of something that is open already, such as standard input, without a byte order mark before them.
///
/// # Errors
///
/// When it cannot be read, is longer than [`MAX_OCTETS`], or is UTF-16.
pub fn octets_of(source: impl Read) -> Result<Vec<u8>, FileError> {
    let mut octets = Vec::new();
    source.take(MAX_OCTETS + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_OCTETS {
        return Err(FileError::TooLong);
    }
    if UTF16_MARKS.iter().any(|mark| octets.starts_with(mark)) {
        return Err(FileError::Utf16);
    }
    if octets.starts_with(BYTE_ORDER_MARK) {
        octets.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(octets)
}

/// As [`octets`], of a file that has to be UTF-8.
///
/// # Errors
///
/// As [`octets`], and when it is not, with the place.
pub fn text(path: &Path) -> Result<Option<String>, Problem> {
    let octets = octets(path).map_err(|error| Problem::whole_file(path, error))?;
    octets.map(|octets| String::from_utf8(octets).map_err(|error| not_utf8(path, &error))).transpose()
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Problem {
    let end = error.utf8_error().valid_up_to();
    let (before, after) = error.as_bytes().split_at_checked(end).unwrap_or_default();
    let octet = after.first().copied().unwrap_or_default();
    Problem::at(path, &String::from_utf8_lossy(before), before.len(), format!("not UTF-8: octet 0x{octet:02x}"))
}

/// The symbolic link that is the reason why there is nothing at this path; `None` when simply nothing has its name.
fn dangling_link(path: &Path) -> Option<PathBuf> {
    // The first that exists at all decides: the file itself, or the nearest folder.
    let exists = |path: &&Path| !path.as_os_str().is_empty() && fs::symlink_metadata(path).is_ok();
    let nearest = path.ancestors().find(exists)?;
    fs::metadata(nearest).is_err().then(|| nearest.to_owned())
}

fn is_empty_device(about: &fs::Metadata) -> bool {
    about.file_type().is_char_device() && fs::metadata(NULL_DEVICE).is_ok_and(|null| null.rdev() == about.rdev())
}

fn check_kind(about: &fs::Metadata) -> Result<(), FileError> {
    what_else(about.file_type()).map_or(Ok(()), |what| Err(FileError::NoFile(what)))
}

/// What something is that is no regular file, as in "a pipe"; `None` for a file.
pub fn what_else(kind: fs::FileType) -> Option<&'static str> {
    Some(if kind.is_file() {
        return None;
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn said(path: &Path) -> String {
        octets(path).map(|found| format!("{found:?}")).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn what_is_not_there_is_told_from_what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert!(matches!(octets(&file), Ok(None)));
        assert!(matches!(octets(&folder.path().join("no/such/folder")), Ok(None)));
        assert_eq!(said(folder.path()), "this is a directory, not a file");
        assert_eq!(said(Path::new("/dev/zero")), "this is a device, not a file");
        assert_eq!(said(Path::new("/dev/null")), "Some([])");
        symlink("nowhere", &file).unwrap();
        let dangling = format!("{} is a symbolic link that leads nowhere", file.display());
        assert_eq!([said(&file), said(&file.join("below"))], [dangling.clone(), dangling]);
        fs::remove_file(&file).unwrap();
        fs::write(&file, "text").unwrap();
        assert_eq!(said(&file.join("below")), "Not a directory");
        assert!(matches!(octets(&file), Ok(Some(content)) if content == b"text"));
    }

    #[test]
    fn endless_and_huge_files_are_not_read_to_their_end() {
        assert!(matches!(octets_of(io::repeat(b'x')), Err(FileError::TooLong)));
        let most = usize::try_from(MAX_OCTETS).unwrap();
        assert_eq!(octets_of(vec![b'x'; most].as_slice()).unwrap().len(), most);
    }

    #[test]
    fn marks_of_encodings_are_no_text() {
        assert_eq!(octets_of(&b"\xef\xbb\xbfa\xef\xbb\xbf"[..]).unwrap(), b"a\xef\xbb\xbf");
        for mark in UTF16_MARKS {
            assert!(matches!(octets_of(mark), Err(FileError::Utf16)));
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"ok\n\xc3\xa4\xe4 x\n").unwrap();
        assert_eq!(text(&file).unwrap_err().to_string(), format!("{}:2:2: not UTF-8: octet 0xe4", file.display()));
    }
}
