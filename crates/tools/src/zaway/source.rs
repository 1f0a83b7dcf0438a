//! Where the answers' text is: on the command line, in a file, or here.

use super::{message_file::text_for, options::Options};
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};
use zephyr_client::account;
use zephyr_config::file::{self, FileError};
use zephyr_core::sanitize;

/// The name of the message file in the home directory.
const DEFAULT_FILE: &str = ".away";
/// What is answered where there is no such file.
const DEFAULT_TEXT: &[u8] =
    b"I'm sorry, but I am currently away from the terminal and am\nnot able to receive your message.\n";

/// The source of the answers' text.
#[derive(Debug)]
pub enum Source {
    /// The same text for everybody.
    Text(Vec<u8>),
    /// A message file.
    File(MessageFile),
}

/// A message file, which is read again for each message, so that it may be changed.
#[derive(Debug)]
pub struct MessageFile {
    path: PathBuf,
    /// What it last had.
    contents: Vec<u8>,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file that the user has named is not there.
    #[error("File {} not found!", sanitize::name(.0.as_os_str().as_encoded_bytes()))]
    NotFound(PathBuf),
    /// A file that cannot be read.
    #[error("{}: {error}", sanitize::name(path.as_os_str().as_encoded_bytes()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// The user has no home directory.
    #[error("you have no home directory: name a file, or use -m")]
    NoHome,
}

impl SourceError {
    /// The message of a program that cannot begin without it: C's, where C has one.
    pub fn describe(&self, program: &str) -> String {
        match self {
            Self::NotFound(_) => self.to_string(),
            Self::Unreadable { .. } | Self::NoHome => format!("{program}: {self}"),
        }
    }
}

impl Source {
    /// The source that these options name. A file that is named must be there, even where `-m` gives the text.
    ///
    /// # Errors
    ///
    /// When a file is not there or cannot be read.
    pub fn of(options: &Options) -> Result<Self, SourceError> {
        let named = options.file.as_deref().map(|path| read(path)?.ok_or_else(|| SourceError::NotFound(path.into())));
        let named = named.transpose()?;
        if let Some(text) = &options.text {
            return Ok(Self::Text(text.clone()));
        }
        let (path, contents) = match (&options.file, named) {
            (Some(path), Some(contents)) => (path.clone(), Some(contents)),
            _ => {
                let path = account::home().ok_or(SourceError::NoHome)?.join(DEFAULT_FILE);
                let contents = read(&path)?;
                (path, contents)
            }
        };
        Ok(match contents {
            Some(contents) => Self::File(MessageFile { path, contents }),
            None => Self::Text(DEFAULT_TEXT.to_vec()),
        })
    }

    /// Reads the file again, if it is one. What it had is kept where that fails.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is gone.
    pub fn reread(&mut self) -> Result<(), SourceError> {
        let Self::File(MessageFile { path, contents }) = self else { return Ok(()) };
        *contents = read(path)?.ok_or_else(|| SourceError::NotFound(path.clone()))?;
        Ok(())
    }

    /// The text for a sender's name, which is without realm; `None` when there is none.
    pub fn text_for(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::File(file) => text_for(&file.contents, name).map(Cow::Owned),
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    file::octets(path).map_err(|error| SourceError::Unreadable { path: path.into(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn of(text: Option<&str>, file: Option<&Path>) -> Result<Source, SourceError> {
        Source::of(&Options { text: text.map(Into::into), file: file.map(Into::into), ..Options::default() })
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("away");
        for text in [None, Some("gone")] {
            let error = of(text, Some(&path)).unwrap_err().to_string();
            assert_eq!(error, format!("File {} not found!", path.display()));
        }
        let error = of(None, Some(folder.path())).unwrap_err().to_string();
        assert_eq!(error, format!("{}: this is a directory, not a file", folder.path().display()));
        fs::write(&path, ">bob\nhi\n").unwrap();
        assert_eq!(of(Some("gone"), Some(&path)).unwrap().text_for(b"carol").as_deref(), Some(&b"gone"[..]));
        assert_eq!(of(None, Some(&path)).unwrap().text_for(b"carol"), None);
    }

    #[test]
    fn the_file_is_read_again_and_what_it_had_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("away");
        fs::write(&path, ">bob\none\n").unwrap();
        let mut source = of(None, Some(&path)).unwrap();
        fs::write(&path, ">bob\ntwo\n").unwrap();
        source.reread().unwrap();
        assert_eq!(source.text_for(b"bob").as_deref(), Some(&b"two\n"[..]));
        fs::remove_file(&path).unwrap();
        assert!(matches!(source.reread(), Err(SourceError::NotFound(_))));
        assert_eq!(source.text_for(b"bob").as_deref(), Some(&b"two\n"[..]));
    }
}
