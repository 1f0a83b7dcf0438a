//! The body of zwrite's notices (clients, sections 1.2 to 1.4).

use super::options::Options;
use std::io::{self, BufRead, Read};
use zephyr_client::{account::Account, variables::Variables};
use zephyr_core::limits::MAX_NOTICE;

/// The number of columns between tab stops.
const TAB_STOPS: usize = 8;

/// The signature: `-s`, else the variable `zwrite-signature`, else the user's full name.
pub fn signature(options: &Options, variables: &Variables, account: Option<&Account>) -> Vec<u8> {
    let variable = || variables.get("zwrite-signature").map(<[u8]>::to_vec);
    let name = || account.map(Account::full_name);
    options.signature.clone().or_else(variable).or_else(name).unwrap_or_default()
}

/// The body of a notice: signature, NUL, with `-C` the list of recipients, and the text.
pub fn body(options: &Options, signature: &[u8], text: &[u8]) -> Vec<u8> {
    let mut body = [signature, b"\0"].concat();
    if options.carbon_copy && options.recipients.len() > 1 {
        body.extend_from_slice(b"CC:");
        for recipient in &options.recipients {
            body.push(b' ');
            body.extend_from_slice(recipient);
        }
        body.push(b'\n');
    }
    body.extend_from_slice(text);
    if options.expand_tabs { expand_tabs(&body) } else { body }
}

/// Replaces tabs by blanks up to the next tab stop. Columns are octets, counted from the last newline or NUL.
pub fn expand_tabs(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut column = 0;
    for &octet in text {
        match octet {
            b'\t' => {
                let width = TAB_STOPS - column % TAB_STOPS;
                out.resize(out.len() + width, b' ');
                column += width;
            }
            b'\n' | 0 => {
                out.push(octet);
                column = 0;
            }
            _ => {
                out.push(octet);
                column += 1;
            }
        }
    }
    out
}

/// Reads a message from a terminal: lines up to the end of input or, with `dot_ends`, to a line that is only a dot.
///
/// # Errors
///
/// When reading fails.
pub fn read_typed(input: &mut dyn BufRead, dot_ends: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    while text.len() <= MAX_NOTICE {
        let start = text.len();
        if input.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        if dot_ends && matches!(text.get(start..), Some(b"." | b".\n")) {
            text.truncate(start);
            break;
        }
        // The end was typed within a line, twice.
        if !text.ends_with(b"\n") {
            break;
        }
    }
    Ok(text)
}

/// Reads all of the input, but for what exceeds the longest notice by more than an octet: it is too long to be sent then.
///
/// # Errors
///
/// When reading fails.
pub fn read_all(input: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_NOTICE).unwrap_or(u64::MAX).saturating_add(1);
    input.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// A text without the byte order mark that editors put before UTF-8: it is no part of what was written.
pub fn without_mark(text: Vec<u8>) -> Vec<u8> {
    match text.strip_prefix("\u{feff}".as_bytes()) {
        Some(rest) if str::from_utf8(rest).is_ok() => rest.to_vec(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zwrite::options::{Defaults, Parsed, parse};
    use std::{io::BufReader, path::PathBuf};

    fn options(line: &[&str]) -> Options {
        match parse(line.iter().map(|argument| argument.as_bytes().to_vec()).collect(), &Defaults::default()) {
            Ok(Parsed::Write(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bodies() {
        assert_eq!(body(&options(&["bob"]), b"Sig", b"hi\n"), b"Sig\0hi\n");
        assert_eq!(body(&options(&["bob", "-C"]), b"", b""), b"\0");
        assert_eq!(body(&options(&["bob", "eve", "-C"]), b"Sig", b"hi\n"), b"Sig\0CC: bob eve\nhi\n");
        assert_eq!(body(&options(&["bob", "eve"]), b"Sig", b"hi\n"), b"Sig\0hi\n");
        assert_eq!(body(&options(&["bob"]), b"a\tb", b"c\td"), b"a       b\0c       d");
        assert_eq!(body(&options(&["bob", "-t"]), b"a\tb", b"c\td"), b"a\tb\0c\td");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        for (read, text) in [
            ("\u{feff}Gr\u{fc}n\n".as_bytes(), "Gr\u{fc}n\n".as_bytes()),
            ("\u{feff}".as_bytes(), b""),
            ("a\u{feff}b".as_bytes(), "a\u{feff}b".as_bytes()),
            (b"\xEF\xBB\xBFGr\xFCn", b"\xEF\xBB\xBFGr\xFCn"),
        ] {
            assert_eq!(without_mark(read.to_vec()), text);
        }
    }

    #[test]
    fn tab_stops() {
        assert_eq!(expand_tabs(b"\t"), b"        ");
        assert_eq!(expand_tabs(b"1234567\t8\n\tx"), b"1234567 8\n        x");
        assert_eq!(expand_tabs(b"12345678\t9"), b"12345678        9");
        assert_eq!(expand_tabs(b"12\0\tx"), b"12\0        x");
    }

    #[test]
    fn signatures() {
        let account = Account { login: "bob".to_owned(), gecos: b"& Baker,x".to_vec(), home: PathBuf::new() };
        let variables = Variables::from_files(&[b"zwrite-signature = The Boss"]);
        let none = Variables::default();
        assert_eq!(signature(&options(&["x", "-s", ""]), &variables, Some(&account)), b"");
        assert_eq!(signature(&options(&["x"]), &variables, Some(&account)), b"The Boss");
        assert_eq!(signature(&options(&["x"]), &none, Some(&account)), b"Bob Baker");
        assert_eq!(signature(&options(&["x"]), &none, None), b"");
    }

    /// What each read of a terminal gives, the last first.
    struct Typed(Vec<&'static [u8]>);

    impl Read for Typed {
        fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
            io::Write::write(&mut buffer, self.0.pop().unwrap_or_default())
        }
    }

    #[test]
    fn typing() -> io::Result<()> {
        assert_eq!(read_typed(&mut &b"one\n..\n.\ntwo\n"[..], true)?, b"one\n..\n");
        assert_eq!(read_typed(&mut &b"one\n.\ntwo"[..], false)?, b"one\n.\ntwo");
        assert_eq!(read_typed(&mut &b"one\n."[..], true)?, b"one\n");
        assert_eq!(read_typed(&mut &b""[..], true)?, b"");
        // After the end of input a terminal can be read on.
        let mut typed = BufReader::new(Typed(vec![b"more\n", b"", b"hel"]));
        assert_eq!(read_typed(&mut typed, true)?, b"hel");
        assert_eq!(read_all(&mut &b"a\0b\n.\nc"[..])?, b"a\0b\n.\nc");
        let endless = vec![b'x'; 3 * MAX_NOTICE];
        assert_eq!(read_all(&mut &endless[..])?.len(), MAX_NOTICE + 1);
        Ok(())
    }
}
