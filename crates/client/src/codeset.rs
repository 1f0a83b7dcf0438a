//! The character set of the user's text (clients, section 0).

use std::env;
use zephyr_core::charset::Charset;

/// The character set label for a notice with this body: the requested one, else that of `$ZEPHYR_CHARSET`, else the locale's. Names
/// that Zephyr has no label for give [`Charset::UNKNOWN`].
///
/// A locale that names no character set, as none does where cron starts programs, means ISO-8859-1 to C programs. But then nobody
/// has said so, and a body that is valid UTF-8 is hardly anything else.
pub fn label(requested: Option<&str>, body: &[u8]) -> Charset {
    choose(requested, body, |name| env::var(name).ok().filter(|value| !value.is_empty()))
}

/// The character set of the terminal: the requested one, else that of `$ZEPHYR_CHARSET`, else the locale's, which is ASCII where it
/// names none.
pub fn of_terminal(requested: Option<&str>) -> String {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = || ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    requested.map(str::to_owned).or_else(|| variable("ZEPHYR_CHARSET")).unwrap_or_else(|| {
        locale().and_then(|locale| codeset_of(&locale)).unwrap_or_else(|| "ANSI_X3.4-1968".to_owned())
    })
}

fn choose(requested: Option<&str>, body: &[u8], variable: impl Fn(&str) -> Option<String>) -> Charset {
    if let Some(name) = requested {
        return Charset::from_codeset(name);
    }
    if let Some(name) = variable("ZEPHYR_CHARSET") {
        return Charset::from_codeset(&name);
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let label = codeset_of(&locale).map(|codeset| Charset::from_codeset(&codeset));
    label.unwrap_or_else(|| unnamed(body))
}

/// The label of a body about which nobody has said anything. To C programs ASCII is a part of ISO-8859-1.
fn unnamed(body: &[u8]) -> Charset {
    if !body.is_ascii() && str::from_utf8(body).is_ok() { Charset::UTF8 } else { Charset::LATIN1 }
}

/// The codeset in a locale's name, `language_TERRITORY.CODESET@modifier`; `None` when it names none, or only ASCII, which says
/// nothing about other characters.
///
/// It is not checked whether the locale is installed.
fn codeset_of(locale: &str) -> Option<String> {
    let (_, codeset) = locale.split_once('.')?;
    let codeset = codeset.split('@').next().unwrap_or_default().to_ascii_uppercase();
    match codeset.as_str() {
        "ANSI_X3.4-1968" | "US-ASCII" | "ASCII" | "646" => None,
        "UTF8" => Some("UTF-8".to_owned()),
        "ISO88591" | "ISO8859-1" => Some("ISO-8859-1".to_owned()),
        _ => Some(codeset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_is_used() {
        let with = |requested, variables: &[(&str, &str)]| {
            choose(requested, b"text", |name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(Some("utf-8"), &[("ZEPHYR_CHARSET", "iso-8859-1")]), Charset::UTF8);
        assert_eq!(with(Some("none"), &[("LANG", "C.UTF-8")]), Charset::UNKNOWN);
        assert_eq!(with(None, &[("ZEPHYR_CHARSET", "ISO-8859-1"), ("LANG", "C.UTF-8")]), Charset::LATIN1);
        assert_eq!(with(None, &[("LC_ALL", "de_DE.utf8@euro"), ("LANG", "C")]), Charset::UTF8);
        assert_eq!(with(None, &[("LC_CTYPE", "de_DE.ISO-8859-15")]), Charset::UNKNOWN);
        assert_eq!(with(None, &[]), Charset::LATIN1);
    }

    #[test]
    fn without_a_locale_what_is_utf8_is_utf8() {
        let with = |requested, body: &[u8], locale: Option<&str>| {
            choose(requested, body, |name| locale.filter(|_| name == "LC_ALL").map(str::to_owned))
        };
        let (utf8, latin1) = ("sig\0Grüße".as_bytes(), &b"sig\0Gr\xfc\xdfe"[..]);
        for locale in [None, Some("C"), Some("POSIX"), Some("de_DE"), Some("C.ANSI_X3.4-1968"), Some("en_US.US-ASCII")]
        {
            assert_eq!(with(None, utf8, locale), Charset::UTF8, "{locale:?}");
            assert_eq!(with(None, latin1, locale), Charset::LATIN1, "{locale:?}");
            assert_eq!(with(None, b"sig\0hello", locale), Charset::LATIN1, "as C programs have it: {locale:?}");
        }
        assert_eq!(with(None, utf8, Some("de_DE.ISO-8859-1")), Charset::LATIN1, "who says so means it");
        assert_eq!(with(Some("iso-8859-1"), utf8, None), Charset::LATIN1);
        assert_eq!(with(Some("none"), utf8, None), Charset::UNKNOWN);
        assert_eq!(with(None, utf8, Some("de_DE.ISO-8859-15")), Charset::UNKNOWN);
    }
}
