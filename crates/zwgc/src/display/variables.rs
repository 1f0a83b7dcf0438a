//! The variables that descriptions are run with (zwgc, sections 7.2 and 8).
//!
//! What a notice says is made visible here, before a description gets it: escape sequences, other controls, and characters that change
//! the order of reading. So no port needs to know whether a control character that it is to write is the description's own.

use std::{fmt::Write as _, sync::LazyLock};
use zephyr_client::localtime;
use zephyr_core::{auth::Verdict, charset::Charset, kind::Kind, notice::Notice, sanitize};

/// The text of the start-up notice.
const STARTUP_TEXT: &[u8] = b"Zwgc mark II version 1.0 now running...";

/// The values for one run.
#[derive(Clone, Debug, Default)]
pub(super) struct NoticeVariables {
    /// Named ones.
    pub(super) named: Vec<(&'static str, Vec<u8>)>,
    /// The fields of the body, which are the numbered ones.
    pub(super) fields: Vec<Vec<u8>>,
}

impl NoticeVariables {
    /// Those of a notice that was received in the realm of the user, from a host of this name.
    pub(super) fn of(notice: &Notice<'_>, verdict: &Verdict, realm: &[u8], from_host: &str) -> Self {
        let (charset, line) = (notice.charset.normalized(), |octets| sanitize::line(octets).into_bytes());
        let sent = localtime::from_seconds(notice.multiuid.seconds);
        let named = vec![
            ("class", line(notice.class)),
            ("instance", line(notice.instance)),
            ("opcode", line(notice.opcode)),
            ("default", visible(notice.default_format, charset)),
            ("fullsender", line(notice.sender)),
            ("sender", line(without_realm(notice.sender, realm))),
            ("recipient", line(if notice.recipient.is_empty() { b"*" } else { notice.recipient })),
            ("kind", kind(notice.kind).to_owned().into_bytes()),
            ("auth", auth(verdict).to_owned().into_bytes()),
            ("time", localtime::time_of_day(sent).into_bytes()),
            ("date", localtime::named_day(sent).into_bytes()),
            ("fromhost", line(from_host.as_bytes())),
            ("message", visible(notice.body, charset)),
            ("port", notice.port.to_string().into_bytes()),
            ("zephyr_version", zephyr_core::notice::VERSION.to_vec()),
            ("notice_charset", charset_name(charset, notice.body).to_owned().into_bytes()),
        ];
        Self { named, fields: fields(notice.body).map(|field| visible(field, charset)).collect() }
    }

    /// Those of the notice that is shown at the start.
    pub(super) fn of_startup() -> Self {
        let started = std::time::SystemTime::now();
        let message = [STARTUP_TEXT, b"\0"].concat();
        let named = [
            ("class", "WG_CTL_CLASS"),
            ("instance", "WG_CTL_USER<<<>>>"),
            ("opcode", "WG_STARTUP"),
            ("default", "Zwgc mark II version $version now running...\n"),
            ("fullsender", "ZWGC"),
            ("sender", "ZWGC"),
            ("recipient", "*"),
            ("kind", "acked"),
            ("auth", "yes"),
            ("time", &localtime::time_of_day(started)),
            ("date", &localtime::named_day(started)),
            ("fromhost", "0.0.0.0"),
            ("port", "0"),
            ("zephyr_version", ""),
            ("notice_charset", "UNKNOWN"),
        ];
        let named = named.map(|(name, value)| (name, value.to_owned().into_bytes()));
        let mut variables = Self { named: named.to_vec(), fields: vec![STARTUP_TEXT.to_vec()] };
        variables.named.push(("message", message));
        variables
    }

    /// Sets a variable that there is to something else.
    pub(super) fn replace(&mut self, name: &str, value: &[u8]) {
        for (_, replaced) in self.named.iter_mut().filter(|(known, _)| *known == name) {
            *replaced = value.to_vec();
        }
    }
}

/// The name of a sender, without the realm if it is the user's own.
fn without_realm<'n>(sender: &'n [u8], realm: &[u8]) -> &'n [u8] {
    let Some(at) = sender.iter().position(|&octet| octet == b'@') else { return sender };
    match sender.split_at(at) {
        (name, [b'@', its_realm @ ..]) if its_realm == realm => name,
        _ => sender,
    }
}

/// The fields of a body: as many as NULs, and one more after the last.
fn fields(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let texts = body.strip_suffix(b"\0").unwrap_or(body).split(|&octet| octet == 0);
    texts.take(if body.is_empty() { 0 } else { usize::MAX })
}

const fn auth(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Authentic(_) => "yes",
        Verdict::Unauthenticated => "no",
        Verdict::Failed(_) => "forged",
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Unsafe => "unsafe",
        Kind::Unacked => "unacked",
        Kind::Acked => "acked",
        Kind::HmAck => "hmack",
        Kind::HmCtl => "hmctl",
        Kind::ServAck => "servack",
        Kind::ServNak => "servnak",
        Kind::ClientAck => "clientack",
        Kind::Stat => "stat",
        Kind::Other(_) => "<unknown kind>",
    }
}

/// The name of a body's character set: what is UTF-8 is so also where it is called ISO-8859-1, as programs call it that know no other.
fn charset_name(charset: Charset, body: &[u8]) -> &'static str {
    match charset {
        Charset::UTF8 => "UTF-8",
        Charset::LATIN1 if is_latin1(body) => "ISO-8859-1",
        Charset::LATIN1 => "UTF-8",
        _ => "UNKNOWN",
    }
}

fn is_latin1(text: &[u8]) -> bool {
    text.is_ascii() || str::from_utf8(text).is_err()
}

/// A text of several lines in the character set of its label, with what is not to be shown made visible.
fn visible(text: &[u8], charset: Charset) -> Vec<u8> {
    let is_utf8 = charset != Charset::LATIN1 || !is_latin1(text);
    let mut shown = Vec::with_capacity(text.len());
    // A NUL is where a line ends, and so ends what is before it.
    for (index, field) in text.split(|&octet| octet == 0).enumerate() {
        if index > 0 {
            shown.push(0);
        }
        if !is_utf8 {
            push_octets(&mut shown, field);
            continue;
        }
        for chunk in field.utf8_chunks() {
            shown.extend_from_slice(sanitize::lines(chunk.valid().as_bytes(), Charset::UTF8).as_bytes());
            push_octets(&mut shown, chunk.invalid());
        }
    }
    shown
}

/// Whether an octet is harmless, as the character of ISO-8859-1 that it is.
static IS_HARMLESS: LazyLock<[bool; 256]> = LazyLock::new(|| {
    std::array::from_fn(|octet| {
        let text = u8::try_from(octet).map(char::from).unwrap_or_default().to_string();
        sanitize::lines(text.as_bytes(), Charset::UTF8) == text
    })
});

/// Appends octets of a character set in which letters are single octets.
fn push_octets(shown: &mut Vec<u8>, octets: &[u8]) {
    let mut octets = octets.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        if octet == b'\r' && octets.peek() == Some(&b'\n') {
            continue;
        }
        if IS_HARMLESS.get(usize::from(octet)) == Some(&true) {
            shown.push(octet);
            continue;
        }
        let mut escaped = String::new();
        // Writing to a string cannot fail.
        let _ = write!(escaped, "\\x{octet:02x}");
        shown.extend_from_slice(escaped.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(notice: &Notice<'_>, name: &str) -> String {
        let variables = NoticeVariables::of(notice, &Verdict::Unauthenticated, b"R", "host");
        let value = variables.named.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        value.unwrap_or_else(|| panic!("{name}")).escape_ascii().to_string()
    }

    fn with_body(body: &[u8], charset: Charset) -> Notice<'_> {
        Notice { body, charset, ..Notice::EMPTY }
    }

    #[test]
    fn fields_are_counted_as_the_c_program_counts() {
        for (body, expected) in [
            (&b""[..], &[][..]),
            (b"\0", &[""]),
            (b"a", &["a"]),
            (b"a\0", &["a"]),
            (b"a\0b", &["a", "b"]),
            (b"a\0\0", &["a", ""]),
            (b"\0\0\0", &["", "", ""]),
        ] {
            let notice = with_body(body, Charset::UNKNOWN);
            let fields = NoticeVariables::of(&notice, &Verdict::Unauthenticated, b"", "").fields;
            let expected: Vec<_> = expected.iter().map(|field| field.as_bytes().to_vec()).collect();
            assert_eq!(fields, expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn the_users_own_realm_is_not_shown() {
        for (sender, shown) in
            [("bob@R", "bob"), ("bob@r", "bob@r"), ("bob@x@R", "bob@x@R"), ("bob", "bob"), ("@R", "")]
        {
            let notice = Notice { sender: sender.as_bytes(), ..Notice::EMPTY };
            assert_eq!((of(&notice, "sender"), of(&notice, "fullsender")), (shown.to_owned(), sender.to_owned()));
        }
        assert_eq!(of(&Notice::EMPTY, "recipient"), "*");
    }

    #[test]
    fn what_terminals_obey_is_made_visible() {
        for (body, charset, shown) in [
            (
                &b"a\x1b[2J\x07\x7f\r\nb\rc\td\n"[..],
                Charset::UNKNOWN,
                "a\\\\u{1b}[2J\\\\u{7}\\\\u{7f}\\nb\\\\u{d}c\\td\\n",
            ),
            ("\u{9b}2J\u{202e}x".as_bytes(), Charset::UTF8, "\\\\u{9b}2J\\\\u{202e}x"),
            (b"\xe9\x9b2J\x1b\r\n", Charset::LATIN1, "\\xe9\\\\x9b2J\\\\x1b\\n"),
            (b"\xe9\x9b\xc3\xa9", Charset::UNKNOWN, "\\xe9\\\\x9b\\xc3\\xa9"),
            ("é\0ü".as_bytes(), Charset::LATIN1, "\\xc3\\xa9\\x00\\xc3\\xbc"),
        ] {
            assert_eq!(of(&with_body(body, charset), "message"), shown);
        }
        let evil = Notice { class: b"a\nb\x1b", sender: b"\xff\t", ..Notice::EMPTY };
        assert_eq!(of(&evil, "class"), "a\\\\u{a}b\\\\u{1b}");
        assert_eq!(of(&evil, "fullsender"), "\\\\xff\\\\u{9}");
    }

    #[test]
    fn character_sets_are_named() {
        for (body, charset, name) in [
            (&b"a"[..], Charset::LATIN1, "ISO-8859-1"),
            (b"\xe9", Charset::LATIN1, "ISO-8859-1"),
            ("é".as_bytes(), Charset::LATIN1, "UTF-8"),
            (b"\xe9", Charset::UTF8, "UTF-8"),
            ("é".as_bytes(), Charset::UNKNOWN, "UNKNOWN"),
        ] {
            assert_eq!(of(&with_body(body, charset), "notice_charset"), name);
        }
    }
}
