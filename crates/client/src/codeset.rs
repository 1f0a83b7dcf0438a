//! The character set of the user's text (clients, section 0).

use std::env;
use zephyr_core::charset::Charset;

/// The character set label for a notice's body: the requested one, else that of `$ZEPHYR_CHARSET`, else the locale's. Names
/// that Zephyr has no label for give [`Charset::UNKNOWN`].
pub fn label(requested: Option<&str>) -> Charset {
    choose(requested, |name| env::var(name).ok().filter(|value| !value.is_empty()))
}

fn choose(requested: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Charset {
    if let Some(name) = requested {
        return Charset::from_codeset(name);
    }
    if let Some(name) = variable("ZEPHYR_CHARSET") {
        return Charset::from_codeset(&name);
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    Charset::from_codeset(&codeset_of(&locale))
}

/// The codeset in a locale's name, `language_TERRITORY.CODESET@modifier`; that of the C locale when it names none.
///
/// It is not checked whether the locale is installed.
fn codeset_of(locale: &str) -> String {
    let Some((_, codeset)) = locale.split_once('.') else { return "ANSI_X3.4-1968".to_owned() };
    let codeset = codeset.split('@').next().unwrap_or_default().to_ascii_uppercase();
    match codeset.as_str() {
        "UTF8" => "UTF-8".to_owned(),
        "ISO88591" | "ISO8859-1" => "ISO-8859-1".to_owned(),
        _ => codeset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_is_used() {
        let with = |requested, variables: &[(&str, &str)]| {
            choose(requested, |name| {
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
}
