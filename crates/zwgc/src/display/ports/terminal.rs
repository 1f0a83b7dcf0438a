//! Texts with markup, as terminals show them.

use std::time::{Duration, Instant};
use zephyr_windowgram::{
    charsets::Charsets,
    layout::Windowgram,
    terminal::{self, Codes},
};

/// Maximum number of windowgrams in a row that ring the bell.
const MAX_BELLS: u32 = 3;
/// How long it takes until one more may.
const BELL_INTERVAL: Duration = Duration::from_secs(1);
/// The control character that rings it.
const BEL: &[u8] = b"\x07";

/// How markup is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Style {
    /// By the codes of the terminal.
    Terminal,
    /// Without codes.
    Plain,
}

/// The terminal that texts are shown on.
pub(in super::super) struct Terminal {
    codes: Codes,
    bell: BellLimit,
}

impl Terminal {
    /// A terminal with these codes.
    pub(in super::super) fn new(codes: Codes) -> Self {
        Self { codes, bell: BellLimit::new(Instant::now()) }
    }

    /// The text for the terminal, and what was wrong with its character set.
    pub(super) fn format(&mut self, text: &[u8], style: Style, charsets: Charsets<'_>) -> (Vec<u8>, Option<String>) {
        let mut codes = match style {
            Style::Terminal => self.codes.clone(),
            Style::Plain => Codes::plain(),
        };
        let (mut shown, error) = present(text, &codes, charsets);
        let bell = if codes.bell.is_empty() { BEL } else { &codes.bell };
        if shown.windows(bell.len()).any(|part| part == bell) && !self.bell.rings(Instant::now()) {
            codes.bell.clear();
            (shown, _) = present(text, &codes, charsets);
            // A description may write one of its own.
            shown.retain(|octet| !BEL.contains(octet));
        }
        (shown, error)
    }
}

/// Limits how often a bell rings, whoever sends notices.
struct BellLimit {
    bells: u32,
    /// Since when `bells` is right.
    since: Instant,
}

impl BellLimit {
    const fn new(now: Instant) -> Self {
        Self { bells: MAX_BELLS, since: now }
    }

    fn rings(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.since).as_secs() / BELL_INTERVAL.as_secs();
        if gained > 0 {
            self.bells = u32::try_from(gained).unwrap_or(MAX_BELLS).saturating_add(self.bells).min(MAX_BELLS);
            self.since = now;
        }
        let rings = self.bells > 0;
        self.bells = self.bells.saturating_sub(1);
        rings
    }
}

/// A text as a terminal with these codes shows it, and what was wrong with its character set.
fn present(text: &[u8], codes: &Codes, charsets: Charsets<'_>) -> (Vec<u8>, Option<String>) {
    let (windowgram, error) = Windowgram::new(text, charsets);
    (terminal::present(&windowgram, codes), error.map(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rings_now_and_then() {
        let start = Instant::now();
        let mut bell = BellLimit::new(start);
        let mut rings = |millis: u64| bell.rings(start + Duration::from_millis(millis));
        assert_eq!([0, 0, 0, 0, 999].map(&mut rings), [true, true, true, false, false]);
        assert_eq!([1000, 1001, 1999, 2500].map(&mut rings), [true, false, false, true]);
        assert_eq!([100_000; 4].map(rings), [true, true, true, false]);
    }

    #[test]
    fn more_bells_are_silent_and_their_texts_are_shown() {
        let mut terminal = Terminal::new(Codes::plain());
        let charsets = Charsets { notice: b"UNKNOWN", terminal: b"UTF-8" };
        let mut shown = |text: &str| terminal.format(text.as_bytes(), Style::Plain, charsets).0;
        for text in ["@beep()a", "a", "\x07a", "b@beep()"] {
            shown(text);
        }
        assert_eq!(["@beep()a", "\x07a", "a"].map(shown), [b"a", b"a", b"a"]);
    }
}
