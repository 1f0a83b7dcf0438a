//! What Unicode's tables say about a character.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        BidiClass, BidiControl, CanonicalCombiningClass, DefaultIgnorableCodePoint, EastAsianWidth, Emoji,
        GeneralCategory, Ideographic, JoiningType, WhiteSpace,
    },
};

/// Whether a character is never shown: a control or format character, among them all that control the direction of text; a line or
/// paragraph separator; one that is ignored where it is not supported, so most often invisible; and one that no table
/// describes.
pub(super) fn is_forbidden(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a character looks like nothing: by its property, or because its picture is empty, which no property tells.
pub(super) fn is_blank(character: char) -> bool {
    // The braille pattern without dots, the object replacement, a filler, and the null notehead.
    const EMPTY: [char; 4] = ['\u{2800}', '\u{FFFC}', '\u{16FE4}', '\u{1D159}'];
    CodePointSetData::new::<WhiteSpace>().contains(character) || EMPTY.contains(&character)
}

/// Whether a character combines with the one before it.
pub(super) fn is_mark(character: char) -> bool {
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::EnclosingMark
    )
}

/// Whether a character is read from right to left, or is a digit that is ordered as if it were.
pub fn is_right_to_left(character: char) -> bool {
    matches!(
        CodePointMapData::<BidiClass>::new().get(character),
        BidiClass::RightToLeft | BidiClass::ArabicLetter | BidiClass::ArabicNumber
    )
}

/// Whether a character is a control of the direction of text.
pub(super) fn is_direction(character: char) -> bool {
    CodePointSetData::new::<BidiControl>().contains(character)
}

/// The two characters that make their neighbours join, or keep them from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joiner {
    Joins,
    Separates,
}

impl Joiner {
    pub(super) fn of(character: char) -> Option<Self> {
        match character {
            '\u{200D}' => Some(Self::Joins),
            '\u{200C}' => Some(Self::Separates),
            _ => None,
        }
    }
}

/// Whether a joiner makes a difference where it stands: between two pictures of an emoji, after a virama, or after a letter that
/// is written joined (RFC 5892, appendix A, and UAX #29, GB11).
pub(super) fn may_join(joiner: Joiner, base: Option<char>, last: Option<char>, next: Option<char>) -> bool {
    let (Some(base), Some(last)) = (base, last) else { return false };
    if Joiner::of(last).is_some() {
        return false;
    }
    let virama = CodePointMapData::<CanonicalCombiningClass>::new().get(last) == CanonicalCombiningClass::Virama;
    let joining = |character| CodePointMapData::<JoiningType>::new().get(character);
    let is_joined = matches!(joining(base), JoiningType::DualJoining | JoiningType::LeftJoining);
    let then_joined =
        || next.is_some_and(|next| matches!(joining(next), JoiningType::DualJoining | JoiningType::RightJoining));
    match joiner {
        Joiner::Joins => virama || is_joined || (is_picture(base) && next.is_some_and(is_picture)),
        Joiner::Separates => virama || (is_joined && then_joined()),
    }
}

/// Whether a variation selector makes a difference after a character: text or picture, forms of ideographs, of Mongolian letters and of
/// mathematical signs.
pub(super) fn is_selected_by(last: Option<char>, selector: char) -> bool {
    let Some(last) = last else { return false };
    match selector {
        '\u{FE0E}' | '\u{FE0F}' => CodePointSetData::new::<Emoji>().contains(last),
        '\u{FE00}'..='\u{FE0D}' => {
            CodePointMapData::<GeneralCategory>::new().get(last) == GeneralCategory::MathSymbol
                || CodePointSetData::new::<Ideographic>().contains(last)
        }
        '\u{E0100}'..='\u{E01EF}' => CodePointSetData::new::<Ideographic>().contains(last),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => matches!(last, '\u{1820}'..='\u{18AA}'),
        _ => false,
    }
}

/// Whether a character is part of a picture; digits, which may become one, are not.
pub(crate) fn is_picture(character: char) -> bool {
    !character.is_ascii() && CodePointSetData::new::<Emoji>().contains(character)
}

/// Whether a character takes two columns on a terminal, or on some: that is a setting of terminals for scripts such as Cyrillic.
pub(crate) fn is_wide_somewhere(character: char) -> bool {
    matches!(
        CodePointMapData::<EastAsianWidth>::new().get(character),
        EastAsianWidth::Wide | EastAsianWidth::Fullwidth | EastAsianWidth::Ambiguous
    )
}
