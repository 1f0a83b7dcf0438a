//! Lines of text on the rows of a terminal's screen.
//!
//! A terminal goes on in the next row when a line is too long, and what comes then stands at the beginning of a row: where our own labels
//! stand, if the sender has counted well. So lines are broken before the terminal does it, and every row after the first is
//! indented.
//!
//! Terminals and Unicode's tables disagree about how wide a character is. What counts here is the most that any of them may make of it:
//! a row may end early, but never goes on by itself.

use crate::sanitize::{is_picture, is_right_to_left, is_wide_somewhere};
use std::iter;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What rows after the first begin with.
const INDENTATION: &str = "    ";
/// Where a tab goes to: the next column that is a multiple of it.
const TAB_COLUMNS: usize = 8;
/// Narrower screens get rows as if they were so wide: there is no room for an indentation and a character.
const MIN_COLUMNS: usize = 10;
/// Makes a terminal that turns text read a row from left to right, whatever is first in it.
const LEFT_TO_RIGHT_MARK: char = '\u{200E}';

/// How wide a screen is, or that the output is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// A terminal with so many columns.
    Columns(usize),
    /// A file, a pipe or another program: lines stay as they are.
    None,
}

impl Screen {
    /// A line that begins with words of ours, with what it goes on with indented by four blanks. No newline is at its end.
    pub fn line(self, text: &str) -> String {
        self.rows(text, "", INDENTATION)
    }

    /// A line of text, indented by two blanks, as is what it goes on with. No newline is at its end.
    pub fn indented(self, text: &str) -> String {
        self.rows(text, "  ", "  ")
    }

    fn rows(self, text: &str, first: &str, other: &str) -> String {
        let Self::Columns(columns) = self else { return format!("{first}{text}") };
        let turns = text.contains(is_right_to_left);
        // Some terminals go on by themselves already when the last column is full.
        let columns = columns.max(MIN_COLUMNS) - 1 - usize::from(turns);
        let mut shown = String::with_capacity(text.len() + first.len());
        let mut rest = text;
        for indentation in iter::once(first).chain(iter::repeat(other)) {
            let row = Row::cut(rest, indentation.len(), columns);
            shown.push_str(indentation);
            if turns && !indentation.is_empty() {
                shown.push(LEFT_TO_RIGHT_MARK);
            }
            shown.push_str(&row.shown);
            rest = rest.get(row.octets..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            shown.push('\n');
        }
        shown
    }
}

/// The columns that a text takes on most terminals: two for a wide character, none for one that joins onto another. A control character
/// counts as one.
///
/// For text that is put below other text; a row that must not go on by itself is [`Screen::line`]'s.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The beginning of a text that fits into a row.
#[derive(Clone, Debug, Default)]
struct Row {
    /// With blanks for tabs.
    shown: String,
    /// How much of the text it is.
    octets: usize,
    /// The column after it.
    column: usize,
}

impl Row {
    /// Cuts after the last blank, if much would not be empty then, else between two characters as readers see them.
    fn cut(text: &str, indentation: usize, columns: usize) -> Self {
        let mut row = Self { column: indentation, ..Self::default() };
        let mut after_blank = None;
        for cluster in text.graphemes(true) {
            let width = if cluster == "\t" { 1 } else { cluster.chars().map(columns_of).sum() };
            if row.column + width > columns {
                if row.octets == 0 {
                    return row.with_part(cluster, columns);
                }
                return after_blank.filter(|blank: &Self| blank.column > columns / 2).unwrap_or(row);
            }
            row.push(cluster, width, columns);
            if matches!(cluster, " " | "\t") {
                after_blank = Some(row.clone());
            }
        }
        row
    }

    fn push(&mut self, cluster: &str, width: usize, columns: usize) {
        if cluster == "\t" {
            let stop = (self.column / TAB_COLUMNS + 1) * TAB_COLUMNS;
            let blanks = stop.min(columns) - self.column;
            self.shown.extend(iter::repeat_n(' ', blanks));
            self.column += blanks;
        } else {
            self.shown.push_str(cluster);
            self.column += width;
        }
        self.octets += cluster.len();
    }

    /// As much as fits of a cluster that is wider than a row; at least one character, so that there is an end.
    fn with_part(mut self, cluster: &str, columns: usize) -> Self {
        for character in cluster.chars() {
            let width = columns_of(character);
            if self.octets > 0 && self.column + width > columns {
                break;
            }
            self.push(character.encode_utf8(&mut [0; 4]), width, columns);
        }
        self
    }
}

/// The most columns that a terminal may need for a character: two where some say one, one where some say none.
fn columns_of(character: char) -> usize {
    match character.width_cjk().unwrap_or_default() {
        0 => 1,
        columns if character.is_ascii() => columns,
        columns if is_picture(character) || is_wide_somewhere(character) => columns.max(2),
        columns => columns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(columns: usize, text: &str) -> Vec<String> {
        Screen::Columns(columns).line(text).split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn lines_go_on_indented() {
        assert_eq!(rows(21, "AUTHENTIC class MESSAGE at"), ["AUTHENTIC class ", "    MESSAGE at"]);
        assert_eq!(
            rows(21, &"x".repeat(40)),
            ["x".repeat(20), format!("    {}", "x".repeat(16)), "    xxxx".to_owned()]
        );
        assert_eq!(Screen::Columns(12).indented("one two three"), "  one two \n  three");
        assert_eq!(rows(80, ""), [""]);
        assert_eq!(Screen::Columns(80).indented(""), "  ");
        assert_eq!(rows(0, "abcdefghijkl"), ["abcdefghi", "    jkl"], "a width that is none");
        let long = "x\t".repeat(100);
        assert_eq!(Screen::None.line(&long), long);
        assert_eq!(Screen::None.indented(&long), format!("  {long}"));
    }

    #[test]
    fn widths_are_the_most_they_may_be() {
        assert_eq!(rows(11, "世界世界世界"), ["世界世界世", "    界"]);
        assert_eq!(rows(11, "ПриветПривет"), ["Приве", "    тПр", "    иве", "    т"], "ambiguous");
        assert_eq!(rows(11, "☁\u{FE0F}☁\u{FE0F}☁\u{FE0F}☁\u{FE0F}"), ["☁\u{FE0F}☁\u{FE0F}☁\u{FE0F}", "    ☁\u{FE0F}"]);
        assert_eq!(
            rows(11, "👩\u{200D}🔬👩\u{200D}🔬👩\u{200D}🔬"),
            ["👩\u{200D}🔬👩\u{200D}🔬", "    👩\u{200D}🔬"],
            "clusters stay whole"
        );
        let jamo = "\u{1100}".repeat(9);
        assert_eq!(
            rows(11, &jamo),
            ["\u{1100}".repeat(5), format!("    {}", "\u{1100}".repeat(3)), "    \u{1100}".to_owned()]
        );
    }

    #[test]
    fn columns_on_most_terminals() {
        for (text, expected) in
            [("", 0), ("abc", 3), ("世界", 4), ("Привет", 6), ("e\u{301}", 1), ("☁\u{FE0F}", 2), ("\x1b[1m\t\x7f", 6)]
        {
            assert_eq!(columns(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tabs_become_blanks() {
        assert_eq!(rows(30, "a\tb"), ["a       b"]);
        assert_eq!(Screen::Columns(30).indented("a\tb"), "  a     b");
        assert_eq!(rows(11, "a\t\tb"), ["a         ", "    b"]);
    }

    #[test]
    fn rows_are_read_from_left_to_right() {
        assert_eq!(Screen::Columns(30).indented("שלום AUTHENTIC"), "  \u{200E}שלום AUTHENTIC");
        assert_eq!(rows(14, "From: b (שלום)"), ["From: b ", "    \u{200E}(שלום)"]);
        assert_eq!(Screen::None.indented("שלום"), "  שלום");
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide_and_nothing_is_lost(text in "[ -~]{0,40}\\PC{0,40}", columns in 10_usize..100) {
            let shown = Screen::Columns(columns).line(&text);
            for (number, row) in shown.split('\n').enumerate() {
                prop_assert!(row.width_cjk() < columns, "{row:?}");
                prop_assert!(number == 0 || row.starts_with(INDENTATION));
            }
            let joined: String =
                shown.replace("\n    \u{200E}", "").replace("\n    ", "").replace(LEFT_TO_RIGHT_MARK, "");
            prop_assert_eq!(joined, text.replace(LEFT_TO_RIGHT_MARK, ""));
        }
    }
}
