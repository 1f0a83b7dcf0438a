//! The format `line`: one line for each notice, for status bars and narrow windows.
//!
//! ```text
//! bob@ATHENA.MIT.EDU: lunch at one?
//! UNAUTHENTICATED eve@ATHENA.MIT.EDU news/weather: rain
//! ```
//!
//! What nothing proves begins with the verdict's label. Class and instance are left out of personal messages. The rest is the first line of
//! the text, as far as a row has room for it.

use crate::labelled::{origin_label, quoted, signature_and_text};
use zephyr_core::{auth::Verdict, names, notice::Notice, sanitize, screen::Screen};

/// The columns of a row where the output is no terminal.
const COLUMNS: usize = 240;
/// The maximum number of octets of a text that are looked at: what does not fit into a row is not shown.
const MAX_OCTETS: usize = 4096;

/// Renders a notice: one line, with a newline.
pub(crate) fn render(notice: &Notice<'_>, verdict: &Verdict, screen: Screen) -> String {
    let label = if verdict.is_authentic() { String::new() } else { format!("{} ", origin_label(verdict)) };
    let sender = quoted(sanitize::name(notice.sender));
    let line = format!("{label}{sender}{}: {}", topic(notice), first_line(notice));
    let screen = match screen {
        Screen::None => Screen::Columns(COLUMNS),
        columns @ Screen::Columns(_) => columns,
    };
    screen.line(&line).lines().next().unwrap_or_default().trim_end().to_owned() + "\n"
}

/// Where it was sent to, unless it is a personal message.
fn topic(notice: &Notice<'_>) -> String {
    let is_personal = notice.class.eq_ignore_ascii_case(names::MESSAGE)
        && notice.instance.eq_ignore_ascii_case(names::PERSONAL)
        && !notice.recipient.is_empty();
    let part = |octets| quoted(sanitize::name(octets));
    if is_personal { String::new() } else { format!(" {}/{}", part(notice.class), part(notice.instance)) }
}

/// The first line of the text that is not empty.
fn first_line(notice: &Notice<'_>) -> String {
    let (_, text) = signature_and_text(notice);
    let lines = sanitize::lines(text.get(..MAX_OCTETS).unwrap_or(&text), notice.charset);
    lines.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zephyr_core::{
        auth::{Identity, Reason},
        charset::Charset,
    };

    fn message(body: &[u8]) -> Notice<'_> {
        Notice {
            class: b"message",
            instance: b"personal",
            sender: b"bob@TEST",
            recipient: b"alice@TEST",
            charset: Charset::UTF8,
            body,
            ..Notice::EMPTY
        }
    }

    #[test]
    fn one_line_for_each() {
        let authentic = Verdict::Authentic(Identity::new(b"bob@TEST"));
        let shown = |notice: &Notice<'_>, verdict| render(notice, verdict, Screen::None);
        assert_eq!(shown(&message(b"Bob\0\n  hello\tyou\nworld"), &authentic), "bob@TEST: hello you\n");
        let news = Notice { class: b"news", instance: b"my thing", recipient: b"", ..message(b"x") };
        assert_eq!(shown(&news, &Verdict::Unauthenticated), "UNAUTHENTICATED bob@TEST news/\"my thing\": x\n");
        assert_eq!(shown(&message(b""), &Verdict::Failed(Reason::Checksum)), "FAILED bob@TEST:\n");
        let evil = Notice { sender: b"bob@TEST: pay\n", ..message(b"x") };
        assert_eq!(shown(&evil, &Verdict::Unauthenticated), "UNAUTHENTICATED \"bob@TEST: pay\\u{a}\": x\n");
    }

    #[test]
    fn no_more_than_a_row() {
        let long = "word ".repeat(100_000);
        for (screen, most) in [(Screen::Columns(40), 39), (Screen::None, COLUMNS)] {
            let line = render(&message(long.as_bytes()), &Verdict::Unauthenticated, screen);
            assert!(line.len() <= most + 1 && line.len() > most - 10, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_one_line(
            class in proptest::collection::vec(any::<u8>(), 0..40),
            sender in proptest::collection::vec(any::<u8>(), 0..40),
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let notice = Notice { class: &class, sender: &sender, ..message(&body) };
            let line = render(&notice, &Verdict::Unauthenticated, Screen::None);
            prop_assert!(line.starts_with("UNAUTHENTICATED ") && line.ends_with('\n'));
            prop_assert!(!line.trim_end_matches('\n').contains(|c: char| c.is_control()));
        }
    }
}
