//! What zwrite says: the body of its notices (clients, sections 1.2 to 1.4).

use super::options::Options;
use std::io::{self, BufRead, Read};
use zephyr_client::{account::Account, variables::Variables};
use zephyr_core::limits::MAX_NOTICE;

/// Columns between tab stops.
const TAB_STOPS: usize = 8;

/// What stands above the message: `-s`, else the variable `zwrite-signature`, else the user's full name.
pub fn signature(options: &Options, variables: &Variables, account: Option<&Account>) -> Vec<u8> {
    let variable = || variables.get("zwrite-signature").map(<[u8]>::to_vec);
    let name = || account.map(Account::full_name);
    options.signature.clone().or_else(variable).or_else(name).unwrap_or_default()
}

/// Signature, NUL, perhaps the list of recipients, and the text.
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
    if options.expand_tabs { expanded(&body) } else { body }
}

/// The text with blanks up to the next tab stop in place of tabs; columns are octets, and begin anew after newline and NUL.
pub fn expanded(text: &[u8]) -> Vec<u8> {
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

/// What somebody types: lines up to the end of input or, with `dot_ends`, to a line that is only a dot.
///
/// # Errors
///
/// When reading fails.
pub fn typed(input: &mut dyn BufRead, dot_ends: bool) -> io::Result<Vec<u8>> {
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
    }
    Ok(text)
}

/// All of the input. What is longer than any notice may be is cut there, and so too long to be sent.
///
/// # Errors
///
/// When reading fails.
pub fn whole(input: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::try_from(MAX_NOTICE).unwrap_or(u64::MAX).saturating_add(1);
    input.take(most).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zwrite::options::{Defaults, Parsed, parse};
    use std::path::PathBuf;

    fn options(line: &[&str]) -> Options {
        match parse(line.iter().map(|word| word.as_bytes().to_vec()).collect(), &Defaults::default()) {
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
    fn tab_stops() {
        assert_eq!(expanded(b"\t"), b"        ");
        assert_eq!(expanded(b"1234567\t8\n\tx"), b"1234567 8\n        x");
        assert_eq!(expanded(b"12345678\t9"), b"12345678        9");
        assert_eq!(expanded(b"12\0\tx"), b"12\0        x");
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

    #[test]
    fn typing() -> io::Result<()> {
        assert_eq!(typed(&mut &b"one\n..\n.\ntwo\n"[..], true)?, b"one\n..\n");
        assert_eq!(typed(&mut &b"one\n.\ntwo"[..], false)?, b"one\n.\ntwo");
        assert_eq!(typed(&mut &b"one\n."[..], true)?, b"one\n");
        assert_eq!(typed(&mut &b""[..], true)?, b"");
        assert_eq!(whole(&mut &b"a\0b\n.\nc"[..])?, b"a\0b\n.\nc");
        let endless = vec![b'x'; 3 * MAX_NOTICE];
        assert_eq!(whole(&mut &endless[..])?.len(), MAX_NOTICE + 1);
        Ok(())
    }
}
