//! The formats in which notices are shown.

use std::{env, fmt, str::FromStr};
use zephyr_core::sanitize;

/// The variable of the environment that names a format, where no option does.
pub const VARIABLE: &str = "ZWGC_FORMAT";

/// How notices are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As the user's description says.
    #[default]
    Description,
    /// Several lines, each with its label, which no text of a notice can imitate.
    Labelled,
    /// One line for each notice, for status bars.
    Line,
    /// One JSON object for each notice, on a line.
    Json,
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected description, labelled, line or json, not \"{}\"", sanitize::name(self.0.as_bytes()))
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Ok(match name {
            "description" => Self::Description,
            "labelled" => Self::Labelled,
            "line" => Self::Line,
            "json" => Self::Json,
            other => return Err(UnknownFormat(other.to_owned())),
        })
    }
}

impl Format {
    /// The format that the environment names (`ZWGC_FORMAT`, where an empty value counts as none), else the description.
    ///
    /// # Errors
    ///
    /// When it names none that there is.
    pub fn of_environment() -> Result<Self, UnknownFormat> {
        match env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
            Some(name) => name.to_string_lossy().parse(),
            None => Ok(Self::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, format) in [
            ("description", Format::Description),
            ("labelled", Format::Labelled),
            ("line", Format::Line),
            ("json", Format::Json),
        ] {
            assert_eq!(name.parse(), Ok(format));
        }
        let said = "JSON\x1b".parse::<Format>().unwrap_err().to_string();
        assert_eq!(said, "expected description, labelled, line or json, not \"JSON\\u{1b}\"");
    }
}
