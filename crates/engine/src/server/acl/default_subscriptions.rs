//! Default subscriptions, which every client gets that does not decline them (server behaviour, section 4.6).
//!
//! A text file, one `class,instance,recipient` per line. Unlike in C servers blank lines and lines that begin with `#`
//! are skipped, blanks around the names are not part of them, and a line that is not three names is an error instead of
//! shifting all that follows.

use super::syntax::{SyntaxError, read_lines};
use crate::server::state::subscriptions::Destination;
use zephyr_core::{
    fold::fold,
    text_file::{Oddity, oddity},
};

/// The default subscriptions of C servers as Debian configures them, used where there is no file.
const DEBIAN_DEFAULTS: &[u8] = b"operations,message,*\nmessage,personal,%me%\nmessage,urgent,%me%\n";

/// Errors of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not three fields.
    #[error("expected class,instance,recipient, not {} field{}", .0, if *.0 == 1 { "" } else { "s" })]
    FieldCount(usize),
    /// Class or instance is empty.
    #[error("an empty class or instance")]
    EmptyName,
    /// The recipient is neither of the two that a default can have.
    #[error("the recipient must be * (everybody) or %me% (the subscriber)")]
    Recipient,
    /// Something that is not what it looks like.
    #[error(transparent)]
    Odd(#[from] Oddity),
    /// Longer than a request to subscribe can be.
    #[error("a name of more than {MAX_NAME_LEN} octets")]
    TooLong,
    /// Too many lines.
    #[error("more than {MAX_SUBSCRIPTIONS} default subscriptions")]
    TooMany,
}

/// Maximum number of default subscriptions.
const MAX_SUBSCRIPTIONS: usize = 256;
/// Maximum octets of a name: a notice's header must have room for it.
const MAX_NAME_LEN: usize = 512;

#[derive(Clone, Debug, PartialEq, Eq)]
struct DefaultSubscription {
    /// Folded, as the instance is.
    class: Box<[u8]>,
    instance: Box<[u8]>,
    /// For notices to the subscriber himself, or for those to everybody.
    personal: bool,
}

/// The default subscriptions of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults(Vec<DefaultSubscription>);

impl Defaults {
    /// The default subscriptions where there is no file; an empty file means none.
    pub fn usual() -> Self {
        Self::read(DEBIAN_DEFAULTS).unwrap_or_default()
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// All invalid lines.
    pub fn read(file: &[u8]) -> Result<Self, Vec<SyntaxError<LineError>>> {
        let mut defaults = Vec::new();
        let mut count = 0;
        let errors = read_lines(file, |_, line| {
            if line.starts_with(b"#") {
                return Ok(());
            }
            count += 1;
            match count {
                // The first beyond is an error for all of them.
                beyond if beyond > MAX_SUBSCRIPTIONS + 1 => Ok(()),
                beyond if beyond > MAX_SUBSCRIPTIONS => Err((0, LineError::TooMany)),
                _ => {
                    defaults.push(read_line(line)?);
                    Ok(())
                }
            }
        });
        if errors.is_empty() { Ok(Self(defaults)) } else { Err(errors) }
    }

    /// The number of default subscriptions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The default subscriptions of a principal, in the order of the file.
    pub(crate) fn of(&self, principal: &[u8]) -> impl DoubleEndedIterator<Item = Destination> {
        self.0.iter().map(move |default| {
            let recipient = if default.personal { principal } else { b"" };
            Destination::of_folded(&default.class, &default.instance, recipient)
        })
    }
}

/// Reads a line; an error comes with the offset of what is wrong.
fn read_line(line: &[u8]) -> Result<DefaultSubscription, (usize, LineError)> {
    if let Some((offset, odd)) = oddity(line) {
        return Err((offset, odd.into()));
    }
    let mut start = 0;
    let fields: Vec<(usize, &[u8])> = line
        .split(|&octet| octet == b',')
        .map(|field| {
            let begun = field.trim_ascii_start();
            let offset = start + field.len() - begun.len();
            start += field.len() + 1;
            (offset, begun.trim_ascii_end())
        })
        .collect();
    let &[class, instance, (place, recipient)] = fields.as_slice() else {
        return Err((0, LineError::FieldCount(fields.len())));
    };
    for (offset, name) in [class, instance] {
        if name.is_empty() {
            return Err((offset, LineError::EmptyName));
        }
        if name.len() > MAX_NAME_LEN {
            return Err((offset, LineError::TooLong));
        }
    }
    let personal = match recipient {
        b"*" => false,
        b"%me%" => true,
        _ => return Err((place, LineError::Recipient)),
    };
    Ok(DefaultSubscription { class: fold(class.1), instance: fold(instance.1), personal })
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
        for (line, column, reason) in [
            ("message,urgent", 1, LineError::FieldCount(2)),
            ("  message", 3, LineError::FieldCount(1)),
            ("a,b,*,d", 1, LineError::FieldCount(4)),
            ("a, b, bob@R", 7, LineError::Recipient),
            ("a,b,", 5, LineError::Recipient),
            (",b,*", 1, LineError::EmptyName),
            ("a,,*", 3, LineError::EmptyName),
            ("a,b\0c,*", 4, Oddity::Nul.into()),
            ("a,b\u{200b},*", 4, Oddity::Invisible('\u{200b}').into()),
        ] {
            let file = format!("# top\na,b,*\n{line}\n\nc,d,*\nalone\n");
            let errors = [(3, column, reason), (6, 1, LineError::FieldCount(1))];
            let errors = errors.map(|(line, column, reason)| SyntaxError { line, column, reason });
            assert_eq!(Defaults::read(file.as_bytes()), Err(errors.into()), "{line:?}");
        }
        let long = format!("{},b,*", "a".repeat(513));
        assert_eq!(reasons(&long), [LineError::TooLong]);
        assert_eq!(reasons(&"a,b,*\n".repeat(300)), [LineError::TooMany], "said once");
    }

    fn reasons(text: &str) -> Vec<LineError> {
        let errors = Defaults::read(text.as_bytes()).expect_err("invalid");
        errors.into_iter().map(|error| error.reason).collect()
    }

    #[test]
    fn the_usual_ones_are_those_that_debian_ships() {
        let defaults = Defaults::usual();
        let listed: Vec<_> = defaults.of(b"alice@R").map(|destination| destination.text().to_vec()).collect();
        assert_eq!(listed, [&b"operations\0message\0"[..], b"message\0personal\0alice@R", b"message\0urgent\0alice@R"]);
    }
}
