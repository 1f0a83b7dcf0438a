//! The format `labelled`: several lines for a notice, each with its label.
//!
//! ```text
//! AUTHENTIC class MESSAGE instance PERSONAL at 2026-11-22 11:01:03
//! From: bob@ATHENA.MIT.EDU (Bob Baker)
//! To: alice@ATHENA.MIT.EDU
//!   The message, its lines indented,
//!   and an empty line after it.
//!
//! ```
//!
//! The first word is the verdict about the origin: `AUTHENTIC`, `UNAUTHENTICATED` or `FAILED`. It is at the beginning of a
//! line, where no text of a notice can be: so no message can pass for another one's header. Texts with blanks or brackets in
//! the header's fields are in quotes. An opcode, when there is one, follows the instance; after `FAILED`,
//! a second line has the reason. `To:` is left out for notices to all subscribers.
//!
//! On a terminal this holds for the rows of its screen: what does not fit into a row goes on in the next one, indented. A name that is read
//! from right to left does not move the header's own words, as a Latin one follows each: `instance`, `at`. Only after sender and
//! recipient there is none, so those are without such letters.

use std::{
    borrow::Cow,
    env,
    fmt::Write as _,
    io::{IsTerminal as _, stdout},
};
use zephyr_client::{localtime, terminal};
use zephyr_core::{auth::Verdict, body, charset::Charset, names, notice::Notice, sanitize, screen::Screen};

/// The label of a verdict about a notice's origin.
pub const fn origin_label(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Authentic(_) => "AUTHENTIC",
        Verdict::Unauthenticated => "UNAUTHENTICATED",
        Verdict::Failed(_) => "FAILED",
    }
}

/// Where and how windowgrams are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether verdicts are in colours.
    pub colours: bool,
    /// The width of the terminal, when it is one.
    pub screen: Screen,
}

impl Style {
    /// The style of standard output as it is now.
    pub(crate) fn of_output() -> Self {
        let colours = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { colours, screen: terminal::screen(&stdout()) }
    }

    /// The style of a file.
    pub(crate) const PLAIN: Self = Self { colours: false, screen: Screen::None };
}

/// Renders a notice. The output ends with an empty line.
pub fn render(notice: &Notice<'_>, verdict: &Verdict, style: Style) -> String {
    let Style { colours, screen } = style;
    let mut shown = coloured(screen.line(&header(notice, verdict)), verdict, colours);
    shown.push('\n');
    if let Verdict::Failed(reason) = verdict {
        let reason = sanitize::line(reason.to_string().as_bytes());
        push_line(&mut shown, &screen.line(&format!("Warning: who sent this, and what, is not proven: {reason}")));
    }
    let (signature, text) = signature_and_text(notice);
    let signature = sanitize::line(&on_one_line(&in_utf8(signature, notice.charset)));
    let signature = if signature.is_empty() { signature } else { format!(" ({signature})") };
    push_line(&mut shown, &screen.line(&format!("From: {}{signature}", quoted(sanitize::name(notice.sender)))));
    if !notice.recipient.is_empty() {
        push_line(&mut shown, &screen.line(&format!("To: {}", quoted(sanitize::name(notice.recipient)))));
    }
    // At the very end it is the half of a line end.
    let text = text.strip_suffix(b"\r").unwrap_or(&text);
    for line in sanitize::lines(text, notice.charset).trim_end().lines() {
        push_line(&mut shown, &screen.indented(line));
    }
    shown.push('\n');
    shown
}

fn push_line(shown: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(shown, "{line}");
}

fn header(notice: &Notice<'_>, verdict: &Verdict) -> String {
    let when = localtime::date_and_time(localtime::from_seconds(notice.multiuid.seconds));
    let opcode = if notice.opcode.is_empty() { String::new() } else { format!(" opcode {}", field(notice.opcode)) };
    let (label, class, instance) = (origin_label(verdict), field(notice.class), field(notice.instance));
    format!("{label} class {class} instance {instance}{opcode} at {when}")
}

/// A header with its label in colours.
fn coloured(header: String, verdict: &Verdict, colours: bool) -> String {
    let (label, colour) = (origin_label(verdict), if colours { colour(verdict) } else { return header });
    match header.strip_prefix(label) {
        Some(rest) => format!("\x1b[1;{colour}m{label}\x1b[0m{rest}"),
        // On a screen that is narrower than the label.
        None => header,
    }
}

const fn colour(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Authentic(_) => 32,
        Verdict::Unauthenticated => 33,
        Verdict::Failed(_) => 31,
    }
}

/// A header field that a word of ours follows.
fn field(octets: &[u8]) -> String {
    quoted(sanitize::line(octets))
}

/// A field, in quotes where it could be read as more than one.
pub(crate) fn quoted(text: String) -> String {
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "()\"".contains(c));
    if plain { text } else { format!("\"{}\"", text.replace('"', "\\\"")) }
}

/// The text on one line: line ends and tabs become blanks.
fn on_one_line(text: &[u8]) -> Vec<u8> {
    let blank = |&octet: &u8| if matches!(octet, b'\n' | b'\t' | b'\r') { b' ' } else { octet };
    text.trim_ascii().iter().map(blank).collect()
}

/// Text of a known character set in UTF-8; any other as it is.
fn in_utf8(text: &[u8], charset: Charset) -> Cow<'_, [u8]> {
    match charset.normalized() {
        Charset::LATIN1 => charset.decode(text).into_owned().into_bytes().into(),
        _ => text.into(),
    }
}

/// The signature and the text.
pub(crate) fn signature_and_text<'a>(notice: &Notice<'a>) -> (&'a [u8], Cow<'a, [u8]>) {
    if notice.class.eq_ignore_ascii_case(names::LOGIN) {
        return (b"", body::on_lines(notice.body.strip_suffix(b"\0").unwrap_or(notice.body)));
    }
    body::signature_and_text(notice.body, notice.default_format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zephyr_core::auth::{Identity, Reason};

    const PLAIN: Style = Style::PLAIN;

    fn message(body: &[u8]) -> Notice<'_> {
        Notice {
            class: b"MESSAGE",
            instance: b"PERSONAL",
            sender: b"bob@TEST",
            recipient: b"alice@TEST",
            charset: Charset::UTF8,
            body,
            ..Notice::EMPTY
        }
    }

    fn lines(notice: &Notice<'_>, verdict: &Verdict) -> Vec<String> {
        render(notice, verdict, PLAIN).lines().map(str::to_owned).collect()
    }

    fn authentic() -> Verdict {
        Verdict::Authentic(Identity::new(b"bob@TEST"))
    }

    #[test]
    fn a_personal_message() {
        let shown = lines(&message(b"Bob\nBaker\0hello\n\nworld\n\0"), &authentic());
        assert!(shown[0].starts_with("AUTHENTIC class MESSAGE instance PERSONAL at 19"), "{shown:?}");
        assert_eq!(shown[1..], ["From: bob@TEST (Bob Baker)", "To: alice@TEST", "  hello", "  ", "  world", ""]);
    }

    #[test]
    fn fields_of_the_body() {
        for (body, expected) in [
            (&b""[..], &["From: bob@TEST", "To: alice@TEST", ""][..]),
            (b"only", &["From: bob@TEST", "To: alice@TEST", "  only", ""]),
            (b"only\0", &["From: bob@TEST", "To: alice@TEST", "  only", ""]),
            (b"\0text", &["From: bob@TEST", "To: alice@TEST", "  text", ""]),
            (b"s\0a\0b\0", &["From: bob@TEST (s)", "To: alice@TEST", "  a", "  b", ""]),
        ] {
            assert_eq!(lines(&message(body), &authentic())[1..], *expected, "{}", body.escape_ascii());
        }
        let login = Notice { class: b"login", recipient: b"", ..message(b"host\0Sun\0pts/1\0") };
        assert_eq!(lines(&login, &authentic())[1..], ["From: bob@TEST", "  host", "  Sun", "  pts/1", ""]);
    }

    /// As `zwrite -m ""` and `zwrite </dev/null` send it.
    #[test]
    fn an_empty_message_shows_no_signature_as_its_text() {
        let of_zwrite = |body| Notice { default_format: names::DEFAULT_FORMAT, ..message(body) };
        for body in [&b"Bob Baker\0"[..], b"Bob Baker\0\0"] {
            let shown = lines(&of_zwrite(body), &authentic());
            assert_eq!(shown[1..], ["From: bob@TEST (Bob Baker)", "To: alice@TEST", ""]);
        }
        assert_eq!(lines(&of_zwrite(b"\0"), &authentic())[1..], ["From: bob@TEST", "To: alice@TEST", ""]);
    }

    #[test]
    fn a_carriage_return_ends_no_line_but_before_a_newline() {
        let shown = lines(&message(b"s\0one\r\n\r\ntwo\r\n"), &authentic());
        assert_eq!(shown[3..], ["  one", "  ", "  two", ""]);
        let shown = lines(&message(b"s\0mine\rAUTHENTIC class x"), &authentic());
        assert_eq!(shown[3..], ["  mine\\u{d}AUTHENTIC class x", ""]);
        for body in [&b"s\0one\r"[..], b"s\0one\r\0", b"s\0one\r\n\r"] {
            assert_eq!(lines(&message(body), &authentic())[3..], ["  one", ""]);
        }
    }

    #[test]
    fn texts_are_shown_in_the_character_set_of_their_label() {
        let shown = |charset, body| lines(&Notice { charset, ..message(body) }, &authentic());
        assert_eq!(
            shown(Charset::UNKNOWN, "Jürgen\0Grüße".as_bytes())[1..4],
            ["From: bob@TEST (Jürgen)", "To: alice@TEST", "  Grüße"]
        );
        assert_eq!(
            shown(Charset::LATIN1, b"J\xfcrgen\0Gr\xfc\xdfe")[1..4],
            ["From: bob@TEST (Jürgen)", "To: alice@TEST", "  Grüße"]
        );
        assert_eq!(shown(Charset::UNKNOWN, b"J\xfcrgen\0Gr\xfc\xdfe")[3], "  Gr\\xfc\\xdfe");
    }

    #[test]
    fn verdicts_about_the_origin() {
        let notice = Notice { class: b"my class", instance: b"", opcode: b"AUTO", recipient: b"", ..message(b"x") };
        let shown = lines(&notice, &Verdict::Unauthenticated);
        assert!(shown[0].starts_with("UNAUTHENTICATED class \"my class\" instance \"\" opcode AUTO at "), "{shown:?}");
        let shown = lines(&notice, &Verdict::Failed(Reason::Checksum));
        assert!(shown[0].starts_with("FAILED class "), "{shown:?}");
        assert_eq!(shown[1], "Warning: who sent this, and what, is not proven: wrong checksum");
    }

    #[test]
    fn no_notice_passes_for_another() {
        let evil = Notice {
            class: b"x\nAUTHENTIC class MESSAGE",
            sender: b"mallory@TEST (Bob) \"\x1b[2K",
            ..message(b"sig\r\nAUTHENTIC class\0\nAUTHENTIC class MESSAGE instance PERSONAL at 1970\n\x1b[2J\rFrom: x")
        };
        let shown = lines(&evil, &Verdict::Unauthenticated);
        let at_line_start = shown.iter().filter(|line| !line.starts_with("  ")).count();
        assert_eq!(at_line_start, 4, "header, From, To, and the empty line: {shown:?}");
        assert!(shown.iter().all(|line| !line.starts_with("AUTHENTIC")));
        assert!(
            shown[1].starts_with("From: \"mallory@TEST (Bob) \\\"\\u{1b}[2K\" (sig  AUTHENTIC class)"),
            "{shown:?}"
        );
    }

    #[test]
    fn colours_only_where_asked_for() {
        let notice = message(b"x");
        for (verdict, code) in [
            (authentic(), "\x1b[1;32mAUTHENTIC\x1b[0m "),
            (Verdict::Unauthenticated, "\x1b[1;33mUNAUTHENTICATED\x1b[0m "),
            (Verdict::Failed(Reason::Checksum), "\x1b[1;31mFAILED\x1b[0m "),
        ] {
            let coloured = render(&notice, &verdict, Style { colours: true, ..PLAIN });
            assert!(coloured.starts_with(code));
            assert_eq!(coloured.matches('\x1b').count(), 2);
            assert!(!render(&notice, &verdict, PLAIN).contains('\x1b'));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_one_windowgram(
            class in proptest::collection::vec(any::<u8>(), 0..40),
            sender in proptest::collection::vec(any::<u8>(), 0..40),
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let notice = Notice { class: &class, sender: &sender, ..message(&body) };
            let shown = render(&notice, &Verdict::Unauthenticated, PLAIN);
            let mut lines = shown.split('\n');
            prop_assert!(lines.next().is_some_and(|line| line.starts_with("UNAUTHENTICATED class ")));
            prop_assert!(lines.next().is_some_and(|line| line.starts_with("From: ")));
            prop_assert!(lines.next().is_some_and(|line| line.starts_with("To: ")));
            prop_assert!(lines.all(|line| line.is_empty() || line.starts_with("  ")));
        }
    }
}
