//! The format `json`: one object for each notice, on a line of ASCII characters.

use serde::Serialize;
use std::{borrow::Cow, fmt::Write as _, net::IpAddr};
use zephyr_client::{Received, localtime};
use zephyr_core::{auth::Verdict, body, charset::Charset, notice::Notice};

/// What there is to know of a notice. Octets of header fields that are no text are U+FFFD.
#[derive(Serialize)]
struct Shown<'a> {
    /// `authentic`, `unauthenticated` or `failed`.
    verdict: &'static str,
    /// Why a proof failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    class: Cow<'a, str>,
    instance: Cow<'a, str>,
    opcode: Cow<'a, str>,
    sender: Cow<'a, str>,
    /// The realm in the sender's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<Cow<'a, str>>,
    recipient: Cow<'a, str>,
    default_format: Cow<'a, str>,
    kind: String,
    /// When it was sent, in UTC.
    time: String,
    seconds: u32,
    /// Not checked to be below a million.
    microseconds: u32,
    uid: String,
    /// The sender's address and port, as the notice says.
    address: IpAddr,
    port: u16,
    /// Where the last packet came from.
    from: String,
    charset: &'static str,
    /// The texts of the body, where all of them are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Vec<Cow<'a, str>>>,
    /// The whole body, where something of it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Renders a notice: one line, with a newline.
pub(crate) fn render(received: &Received) -> String {
    rendered(&received.notice(), received.verdict(), &received.from().to_string())
}

fn rendered(notice: &Notice<'_>, verdict: &Verdict, from: &str) -> String {
    let text = String::from_utf8_lossy;
    let (verdict, reason) = match verdict {
        Verdict::Authentic(_) => ("authentic", None),
        Verdict::Unauthenticated => ("unauthenticated", None),
        Verdict::Failed(reason) => ("failed", Some(reason.to_string())),
    };
    let realm = notice.sender.iter().position(|&octet| octet == b'@').and_then(|at| notice.sender.get(at + 1..));
    let body = texts(notice);
    let shown = Shown {
        verdict,
        reason,
        class: text(notice.class),
        instance: text(notice.instance),
        opcode: text(notice.opcode),
        sender: text(notice.sender),
        realm: realm.map(text),
        recipient: text(notice.recipient),
        default_format: text(notice.default_format),
        kind: notice.kind.to_string(),
        time: localtime::rfc3339(notice.multiuid.seconds, notice.multiuid.micros),
        seconds: notice.multiuid.seconds,
        microseconds: notice.multiuid.micros,
        uid: notice.uid.to_string(),
        address: notice.address,
        port: notice.port,
        from: from.to_owned(),
        charset: match notice.charset.normalized() {
            Charset::UTF8 => "UTF-8",
            Charset::LATIN1 => "ISO-8859-1",
            _ => "unknown",
        },
        body_base64: body.is_none().then(|| base64(notice.body)),
        body,
    };
    // Strings and numbers have a form in JSON.
    ascii(&serde_json::to_string(&shown).unwrap_or_default()) + "\n"
}

/// The texts of the body; `None` when it is none in the character set of its label. Without one it is UTF-8, as everywhere.
fn texts<'a>(notice: &Notice<'a>) -> Option<Vec<Cow<'a, str>>> {
    if notice.body.is_empty() {
        return Some(Vec::new());
    }
    let is_text = str::from_utf8(notice.body).is_ok() || notice.charset.normalized() == Charset::LATIN1;
    is_text.then(|| body::texts(notice.body).map(|text| notice.charset.decode(text)).collect())
}

/// The same JSON of ASCII characters that can be seen: nothing of a notice does anything to a terminal.
fn ascii(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            shown.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

/// Octets in base64 (RFC 4648, section 4).
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let number = (0..3).fold(0, |number, place| number << 8 | u32::from(group.get(place).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = usize::try_from(number >> (18 - 6 * place) & 63).ok().and_then(|digit| DIGITS.get(digit));
            text.push(if place <= group.len() { digit.map_or('=', |&digit| char::from(digit)) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use zephyr_core::{auth::Reason, kind::Kind, uid::Uid};

    fn object(notice: &Notice<'_>, verdict: &Verdict) -> Value {
        let line = rendered(notice, verdict, "127.0.0.1:2104");
        assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\n')), "{line}");
        assert_eq!((line.matches('\n').count(), line.ends_with('\n')), (1, true));
        serde_json::from_str(&line).unwrap()
    }

    fn notice(body: &[u8], charset: Charset) -> Notice<'_> {
        let uid = Uid { address: [10, 0, 0, 2].into(), seconds: 1_793_523_663, micros: 42 };
        Notice {
            kind: Kind::Acked,
            uid,
            multiuid: uid,
            port: 7,
            class: b"MESSAGE",
            instance: b"caf\xe9",
            sender: b"bob@TEST",
            recipient: b"alice@TEST",
            default_format: b"f",
            charset,
            body,
            ..Notice::EMPTY
        }
    }

    #[test]
    fn every_field() {
        let shown = object(&notice("Jürgen\0hi \u{202e}\n\0".as_bytes(), Charset::UTF8), &Verdict::Unauthenticated);
        let expected = json!({
            "verdict": "unauthenticated", "class": "MESSAGE", "instance": "caf\u{fffd}", "opcode": "", "sender": "bob@TEST",
            "realm": "TEST", "recipient": "alice@TEST", "default_format": "f", "kind": "ACKED",
            "time": "2026-11-01T09:01:03.000042Z", "seconds": 1_793_523_663, "microseconds": 42,
            "uid": "10.0.0.2/1793523663.000042", "address": "0.0.0.0", "port": 7, "from": "127.0.0.1:2104",
            "charset": "UTF-8", "body": ["Jürgen", "hi \u{202e}\n"],
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn bodies_and_verdicts() {
        let body = |body, charset| {
            let shown = object(&notice(body, charset), &Verdict::Failed(Reason::Checksum));
            assert_eq!(shown["reason"], "wrong checksum");
            (shown["body"].clone(), shown["body_base64"].clone())
        };
        assert_eq!(body(b"", Charset::UTF8), (json!([]), Value::Null));
        assert_eq!(body(b"\0b\0\0", Charset::UTF8), (json!(["", "b", ""]), Value::Null));
        assert_eq!(body(b"caf\xe9", Charset::LATIN1), (json!(["café"]), Value::Null));
        assert_eq!(body(b"caf\xe9", Charset::UNKNOWN), (Value::Null, json!("Y2Fm6Q==")));
    }

    #[test]
    fn base64_of_rfc_4648() {
        for (octets, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(octets.as_bytes()), text);
        }
        assert_eq!(base64(b"\xff\xfe\xfd"), "//79");
    }

    proptest! {
        #[test]
        fn any_octets_are_one_object(
            sender in proptest::collection::vec(any::<u8>(), 0..40),
            body in proptest::collection::vec(any::<u8>(), 0..200),
            label in any::<u16>(),
            micros in any::<u32>(),
        ) {
            let mut odd = notice(&body, Charset(label));
            odd.multiuid.micros = micros;
            let shown = object(&Notice { sender: &sender, ..odd }, &Verdict::Unauthenticated);
            prop_assert!(shown["body"].is_array() != shown["body_base64"].is_string());
        }
    }
}
