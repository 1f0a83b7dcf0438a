//! Default subscriptions: what everybody gets who does not decline (server behaviour, section 4.6).
//!
//! A text file, one `class,instance,recipient` per line. Unlike in C servers blank lines and lines that begin with `#` are
//! skipped, blanks around the names are not part of them, and a line that is not three names is an error instead of
//! shifting all that follows.

use super::subscriptions::Destination;

/// A line of the file that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct DefaultsError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub reason: LineError,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not three fields.
    #[error("{0} fields, expected class,instance,recipient")]
    FieldCount(usize),
    /// Class or instance is empty.
    #[error("an empty class or instance")]
    EmptyName,
    /// The recipient is neither of the two that a default can have.
    #[error("the recipient must be * (everybody) or %me% (the subscriber)")]
    Recipient,
    /// A NUL.
    #[error("a NUL octet")]
    Nul,
    /// Too many lines.
    #[error("more than {MOST} default subscriptions")]
    TooMany,
}

/// Default subscriptions of a server at most.
const MOST: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
struct DefaultSubscription {
    class: Box<[u8]>,
    instance: Box<[u8]>,
    /// For notices to the subscriber himself, or for those to everybody.
    personal: bool,
}

/// The default subscriptions of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults(Vec<DefaultSubscription>);

impl Defaults {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// The first line that cannot be meant.
    pub fn read(file: &[u8]) -> Result<Self, DefaultsError> {
        let mut defaults = Vec::new();
        for (index, line) in file.split(|&octet| octet == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let error = |reason| DefaultsError { line: index + 1, reason };
            if defaults.len() >= MOST {
                return Err(error(LineError::TooMany));
            }
            defaults.push(read_line(line).map_err(error)?);
        }
        Ok(Self(defaults))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they are for this principal, in the order of the file.
    pub(super) fn of(&self, principal: &[u8]) -> impl DoubleEndedIterator<Item = Destination> {
        self.0.iter().map(move |default| {
            let recipient = if default.personal { principal } else { b"" };
            Destination::new(&default.class, &default.instance, recipient)
        })
    }
}

fn read_line(line: &[u8]) -> Result<DefaultSubscription, LineError> {
    let fields: Vec<&[u8]> = line.split(|&octet| octet == b',').map(<[u8]>::trim_ascii).collect();
    let &[class, instance, recipient] = fields.as_slice() else { return Err(LineError::FieldCount(fields.len())) };
    if line.contains(&0) {
        return Err(LineError::Nul);
    }
    if class.is_empty() || instance.is_empty() {
        return Err(LineError::EmptyName);
    }
    let personal = match recipient {
        b"*" => false,
        b"%me%" => true,
        _ => return Err(LineError::Recipient),
    };
    Ok(DefaultSubscription { class: class.into(), instance: instance.into(), personal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_subscriptions() {
        let file = b"# everybody\n\noperations, message, *\r\n\nMESSAGE,personal,%me%";
        let defaults = Defaults::read(file).expect("good");
        let listed: Vec<_> = defaults.of(b"alice@R").map(|destination| destination.text().to_vec()).collect();
        assert_eq!(listed, [&b"operations\0message\0"[..], b"message\0personal\0alice@R"]);
    }

    #[test]
    fn what_c_servers_misread_is_an_error_with_its_line() {
        for (line, reason) in [
            ("message,urgent", LineError::FieldCount(2)),
            ("message", LineError::FieldCount(1)),
            ("a,b,*,d", LineError::FieldCount(4)),
            ("a,b,bob@R", LineError::Recipient),
            ("a,b,", LineError::Recipient),
            (",b,*", LineError::EmptyName),
            ("a,,*", LineError::EmptyName),
            ("a,b\0c,*", LineError::Nul),
        ] {
            let file = format!("# top\na,b,*\n{line}\n");
            assert_eq!(Defaults::read(file.as_bytes()), Err(DefaultsError { line: 3, reason }), "{line:?}");
        }
    }
}
