//! Files of one server a line, such as `server.list`.

use crate::ServerName;
use zephyr_core::text_file::{self, Line};

/// The name on a line; none on one that is empty or a comment.
///
/// # Errors
///
/// When it is none: where, in octets from the line's text on, and why.
pub fn name(line: &Line<'_>) -> Result<Option<ServerName>, (usize, String)> {
    if let Some((at, odd)) = line.oddity() {
        return Err((at, odd.to_string()));
    }
    let text = line.text.split(|&octet| octet == b'#').next().unwrap_or_default().trim_ascii_end();
    if text.is_empty() {
        return Ok(None);
    }
    if let Some((at, odd)) = text_file::oddity(text) {
        return Err((at, odd.to_string()));
    }
    String::from_utf8_lossy(text).parse().map(Some).map_err(|error| (0, error))
}

/// What a file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The servers, in the file's order.
    pub names: Vec<ServerName>,
    /// The first line that names none and should, with why.
    pub wrong: Option<String>,
}

/// What a file with this content names.
pub fn read(content: &[u8]) -> Listed {
    let Listed { mut names, mut wrong } = Listed::default();
    for line in text_file::lines(content) {
        match name(&line) {
            Ok(name) => names.extend(name),
            Err((_, error)) => {
                wrong.get_or_insert_with(|| format!("line {}: {error}", line.number));
            }
        }
    }
    Listed { names, wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_wrong_costs_itself_alone() {
        let Listed { names, wrong } = read(b"# ours\n one.test # first\r\n\nno host\ntwo.test:2203\n\0\n");
        let found: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["one.test", "two.test:2203"]);
        assert_eq!(wrong.as_deref(), Some("line 4: expected HOST or HOST:PORT, not \"no host\""));
    }
}
