//! What windowgrams look like on a terminal's screen, seen through an emulator of one.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use std::num::NonZero;
use zephyr_core::{
    auth::{Reason, Verdict},
    charset::Charset,
    notice::Notice,
    screen::Screen,
};
use zephyr_zwgc::labelled::{Style, render};

/// What only we say at the beginning of a row.
const OURS: [&str; 5] = ["AUTHENTIC", "UNAUTHENTICATED", "FAILED", "From:", "To:"];
/// What a forged windowgram begins with.
const FORGED: &str = "AUTHENTIC class MESSAGE instance PERSONAL at 2026-11-22 11:01:03";

/// A notice as its sender made it up.
#[derive(Clone, Debug, Default)]
struct Forged {
    class: String,
    instance: String,
    opcode: String,
    sender: String,
    recipient: String,
    body: String,
}

impl Forged {
    fn notice(&self) -> Notice<'_> {
        Notice {
            class: self.class.as_bytes(),
            instance: self.instance.as_bytes(),
            opcode: self.opcode.as_bytes(),
            sender: self.sender.as_bytes(),
            recipient: self.recipient.as_bytes(),
            charset: Charset::UTF8,
            body: self.body.as_bytes(),
            ..Notice::EMPTY
        }
    }

    fn message(body: String) -> Self {
        let [class, instance, sender, recipient] = ["MESSAGE", "PERSONAL", "eve@R", "alice@R"].map(str::to_owned);
        Self { class, instance, sender, recipient, body, ..Self::default() }
    }
}

/// The rows of a screen of `columns` after a windowgram that was rendered for `screen`.
fn rows(forged: &Forged, verdict: &Verdict, columns: u16, screen: Screen) -> Vec<String> {
    let shown = render(&forged.notice(), verdict, Style { colours: true, screen });
    // More than it needs: hardly a row has less than a quarter of its columns.
    let height = shown.lines().count() + 8 * shown.len() / usize::from(columns) + 2;
    let [height, width] = [height.try_into().unwrap(), columns].map(|size: u16| NonZero::new(size).unwrap());
    let mut terminal = vt100::Parser::new(height, width, 0);
    terminal.process(shown.replace('\n', "\r\n").as_bytes());
    terminal.screen().rows(0, columns).collect()
}

fn on_terminal(forged: &Forged, verdict: &Verdict, columns: u16) -> Vec<String> {
    rows(forged, verdict, columns, Screen::Columns(columns.into()))
}

/// The rows that begin as ours do.
fn labels(rows: &[String]) -> Vec<&'static str> {
    rows.iter().filter_map(|row| OURS.into_iter().find(|label| row.starts_with(label))).collect()
}

/// What the rows of an unproven notice begin with, and nothing else.
const EXPECTED: [&str; 3] = ["UNAUTHENTICATED", "From:", "To:"];

/// The attacks as they were: a text that comes to the beginning of a row by padding, in each field that has room.
fn attacks(columns: usize) -> Vec<Forged> {
    let mut attacks = Vec::new();
    for padding in 0..columns {
        for pad in ["x", " ", "\t", "世", "e\u{301}", "ש", "🏽", "\u{1100}"] {
            let text = pad.repeat(padding) + FORGED;
            attacks.push(Forged::message(format!("s\0{text}")));
            attacks.push(Forged::message(format!("{text}\0hello")));
            attacks.push(Forged { class: text.clone(), ..Forged::message("s\0x".to_owned()) });
            attacks.push(Forged { sender: text, ..Forged::message("s\0x".to_owned()) });
        }
    }
    attacks
}

#[test]
fn padding_brings_no_text_to_the_beginning_of_a_row() {
    for columns in [20, 40, 79, 80, 132, 200] {
        for attack in attacks(columns.into()) {
            let rows = on_terminal(&attack, &Verdict::Unauthenticated, columns);
            assert_eq!(labels(&rows), EXPECTED, "{columns} columns: {attack:?} {rows:#?}");
        }
    }
}

/// The control: a terminal that breaks the lines itself is deceived by these very attacks.
#[test]
fn the_attacks_deceive_where_the_terminal_breaks_lines() {
    let deceived = |attack: &Forged| {
        let rows = rows(attack, &Verdict::Unauthenticated, 80, Screen::None);
        rows.iter().any(|row| row.starts_with("AUTHENTIC"))
    };
    let deceiving = attacks(80).iter().filter(|attack| deceived(attack)).count();
    assert!(deceiving >= 12, "by body, signature, class and sender, with several characters: {deceiving}");
}

#[test]
fn an_honest_message_is_shown_as_it_is() {
    let honest = Forged::message("Eve Evans\0Grüße,\n\tשלום, 世界 👩\u{200D}🔬".to_owned());
    let rows = on_terminal(&honest, &Verdict::Unauthenticated, 80);
    assert!(rows[0].starts_with("UNAUTHENTICATED class MESSAGE instance PERSONAL at "));
    assert_eq!(rows[1..3], ["From: eve@R (Eve Evans)", "To: alice@R"]);
    assert_eq!(rows[3..6], ["  Grüße,", "  \u{200E}      שלום, 世界 👩\u{200D}🔬", ""]);
}

/// A row as a terminal shows it that turns text from right to left, and takes the first letter's direction for the row's.
fn turned(row: &str) -> String {
    let bidi = unicode_bidi::BidiInfo::new(row, None);
    let Some(paragraph) = bidi.paragraphs.first() else { return String::new() };
    assert!(paragraph.level.is_ltr(), "it would begin at the right: {row:?}");
    bidi.reorder_line(paragraph, paragraph.range.clone()).into_owned()
}

fn turned_rows(forged: &Forged, columns: u16) -> Vec<String> {
    let style = Style { colours: false, screen: Screen::Columns(columns.into()) };
    let shown = render(&forged.notice(), &Verdict::Unauthenticated, style);
    shown.split('\n').map(turned).collect()
}

#[test]
fn text_from_right_to_left_moves_none_of_our_words() {
    let [class, instance, opcode, sender] = ["אב", "גד 12", "הו", "123"].map(str::to_owned);
    let body = "זח (12)\0AUTHENTIC טי".to_owned();
    let forged = Forged { class, instance, opcode, sender, ..Forged::message(body) };
    let rows = turned_rows(&forged, 100);
    let header = rows[0].split(" at ").next().unwrap();
    assert_eq!(header, "UNAUTHENTICATED class בא instance \"12 דג\" opcode וה");
    assert_eq!(rows[1..4], ["From: 123 ()12( חז)", "To: alice@R", "  \u{200E}AUTHENTIC יט"]);
    let swapped = Forged { sender: "אב".to_owned(), ..Forged::message("גד\0x".to_owned()) };
    assert_eq!(turned_rows(&swapped, 100)[1], "From: \\u{5d0}\\u{5d1} (דג)", "sender and signature in their order");
}

/// Fields of everything that fields may be made of, among it what terminals and tables disagree about.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "\\PC{1,8}",
        3 => (0_usize..210).prop_map(|number| "x".repeat(number)),
        2 => (0_usize..110).prop_map(|number| " ".repeat(number)),
        2 => proptest::sample::select(vec![
            "\t", "世", "ａ", "e\u{301}\u{302}", "\u{301}", "👩\u{200D}🔬", "❤\u{FE0F}", "🇩🇪", "\u{200B}", "\u{200D}",
            "\u{202E}", "\u{2067}", "\u{1B}[5;1H", "\u{9B}1G", "\r", "\u{8}", "\n", "ש", "ع", "٣", "и", "\u{1100}\u{1161}",
            "\u{AD}", "\u{3000}", "\u{2028}", "กำ", "क्\u{200D}ष", "ﷺ", "\u{E0041}", "\u{10FFFF}",
        ]).prop_map(str::to_owned),
        3 => proptest::sample::select(&OURS[..]).prop_map(|label| label.to_owned() + " "),
        2 => Just(FORGED.to_owned()),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

prop_compose! {
    fn forged()(
        class in text(), instance in text(), opcode in text(), sender in text(), recipient in text(),
        signature in text(), body in text(),
    ) -> Forged {
        Forged { class, instance, opcode, sender, recipient: recipient + "r", body: format!("{signature}\0{body}") }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_of_a_senders_making_begins_a_row(forged in forged(), columns in 20_u16..=200) {
        let rows = on_terminal(&forged, &Verdict::Unauthenticated, columns);
        prop_assert_eq!(labels(&rows), EXPECTED, "{:#?}", rows);
        // Every other row is indented.
        let ours = rows.iter().filter(|row| !row.is_empty() && !row.starts_with("  "));
        prop_assert_eq!(ours.count(), EXPECTED.len(), "{:#?}", rows);
    }

    #[test]
    fn nor_where_text_is_turned(forged in forged(), columns in 20_u16..=200) {
        let rows = turned_rows(&forged, columns);
        prop_assert_eq!(labels(&rows), EXPECTED, "{:#?}", rows);
    }

    #[test]
    fn nor_after_a_proof_that_failed(forged in forged(), columns in 20_u16..=200) {
        let rows = on_terminal(&forged, &Verdict::Failed(Reason::Checksum), columns);
        prop_assert_eq!(labels(&rows), ["FAILED", "From:", "To:"], "{:#?}", rows);
    }
}
