use super::*;
use crate::terminal::{Attribute, Codes};
use proptest::prelude::*;

/// A compiled entry with these strings, and a number, so that there is something to be passed over.
fn compiled(magic: u16, strings: &[(usize, &str)]) -> Vec<u8> {
    let count = strings.iter().map(|(place, _)| place + 1).max().unwrap_or_default();
    let mut offsets = vec![0xffff_u16; count];
    let mut table = Vec::new();
    for (place, string) in strings {
        offsets[*place] = table.len().try_into().unwrap();
        table.extend(string.bytes().chain([0]));
    }
    let names = b"test|a terminal\0";
    let number_size = if magic == 0o432 { 2 } else { 4 };
    let lengths = [magic, names.len() as u16, 1, 1, count as u16, table.len() as u16];
    let mut entry: Vec<u8> = lengths.iter().flat_map(|number| number.to_le_bytes()).collect();
    entry.extend(names);
    // A truth value, and what makes the length even.
    entry.extend([1, 0]);
    entry.extend(&80_u32.to_le_bytes()[..number_size]);
    entry.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    entry.extend(table);
    entry
}

/// The strings of known terminals: `bel bold smso rmso smul rmul sgr0 sgr smacs rmacs`.
fn entry_of(strings: [&str; 10]) -> Vec<u8> {
    use places::*;
    let places = [
        BELL,
        ENTER_BOLD,
        ENTER_STANDOUT,
        EXIT_STANDOUT,
        ENTER_UNDERLINE,
        EXIT_UNDERLINE,
        EXIT_ATTRIBUTES,
        SET_ATTRIBUTES,
        ENTER_ALTERNATE,
        EXIT_ALTERNATE,
    ];
    let strings: Vec<_> = places.into_iter().zip(strings).filter(|(_, string)| !string.is_empty()).collect();
    compiled(0o432, &strings)
}

const XTERM: [&str; 10] = [
    "\x07",
    "\x1b[1m",
    "\x1b[7m",
    "\x1b[27m",
    "\x1b[4m",
    "\x1b[24m",
    "\x1b(B\x1b[m",
    "%?%p9%t\x1b(0%e\x1b(B%;\x1b[0%?%p6%t;1%;%?%p5%t;2%;%?%p2%t;4%;%?%p1%p3%|%t;7%;m",
    "\x1b(0",
    "\x1b(B",
];

/// What programs for termcap get of these terminals.
#[test]
fn codes_of_known_terminals() {
    let vt100 = [
        "\x07",
        "\x1b[1m$<2>",
        "\x1b[7m$<2>",
        "\x1b[m$<2>",
        "\x1b[4m$<2>",
        "\x1b[m$<2>",
        "\x1b[m\x0f$<2>",
        "\x1b[0%?%p1%p6%|%t;1%;%?%p2%t;4%;m%?%p9%t\x0e%e\x0f%;$<2>",
        "\x0e",
        "\x0f",
    ];
    let ansi = [
        "\x07",
        "\x1b[1m",
        "\x1b[7m",
        "\x1b[m",
        "\x1b[4m",
        "\x1b[m",
        "\x1b[0;10m",
        "\x1b[0;10%?%p1%t;7%;%?%p9%t;11%;m",
        "\x1b[11m",
        "\x1b[10m",
    ];
    let linux = [
        "\x07",
        "\x1b[1m",
        "\x1b[7m",
        "\x1b[27m",
        "\x1b[4m",
        "\x1b[24m",
        "\x1b[m\x0f",
        "\x1b[0;10%?%p1%t;7%;m%?%p9%t\x0e%e\x0f%;",
        "\x0e",
        "\x0f",
    ];
    // Its `sgr` knows no other set of characters.
    let sun = ["\x07", "", "\x1b[7m", "\x1b[m", "", "", "\x1b[m", "\x1b[0%?%p1%p3%|%t;7%;m", "", ""];
    let sun_bold = ["\x07", "\x1b[1m", "", "", "", "", sun[6], sun[7], "", ""];
    let without_sgr = ["", "\x1b[1m", "", "", "", "", "\x1b[m", "", "", ""];
    for (strings, bold, italic) in [
        (XTERM, Some(("\x1b[1m", "\x1b[0m")), Some(("\x1b[4m", "\x1b[24m"))),
        (vt100, Some(("\x1b[1m", "\x1b[0m")), Some(("\x1b[4m", "\x1b[m"))),
        (ansi, Some(("\x1b[1m", "\x1b[0m")), Some(("\x1b[4m", "\x1b[m"))),
        (linux, Some(("\x1b[1m", "\x1b[m\x0f")), Some(("\x1b[4m", "\x1b[24m"))),
        (["\x07", "", "", "", "", "", "", "", "\x1bF", "\x1bG"], None, None),
        (sun, Some(("\x1b[7m", "\x1b[m")), None),
        (sun_bold, Some(("\x1b[1m", "\x1b[m")), None),
        (without_sgr, Some(("\x1b[1m", "\x1b[m")), None),
        (["", "", "<", ">", "(", ")", "", "", "", ""], Some(("<", ">")), Some(("(", ")"))),
        (["", "", "<", "", "(", ")", "", "", "", ""], Some(("(", ")")), Some(("(", ")"))),
        (["", "\x1b[1m", "", "", "", "", "", "", "", ""], None, None),
    ] {
        let codes = Codes::of(&Terminfo::parse(&entry_of(strings)).unwrap());
        let attribute = |(on, off): (&str, &str)| Attribute { on: on.into(), off: off.into() };
        assert_eq!(codes, Codes { bold: bold.map(attribute), italic: italic.map(attribute), bell: b"\x07".to_vec() });
    }
    let bell = Codes::of(&Terminfo::parse(&compiled(0o432, &[(places::BELL, "\x1bg$<5>")])).unwrap()).bell;
    assert_eq!(bell, b"\x1bg");
}

#[test]
fn both_sizes_of_numbers() {
    let strings = [(places::ENTER_UNDERLINE, "on"), (places::EXIT_UNDERLINE, "off")];
    let (small, large) = (compiled(0o432, &strings), compiled(0o1036, &strings));
    assert_eq!(Terminfo::parse(&small), Terminfo::parse(&large));
    assert_eq!(Terminfo::parse(&small).unwrap().exit_underline.as_deref(), Some(&b"off"[..]));
}

#[test]
fn what_is_no_entry() {
    let entry = entry_of(XTERM);
    for length in 0..entry.len() {
        assert_eq!(Terminfo::parse(&entry[..length]), None, "cut after {length}");
    }
    let mut extended = entry.clone();
    extended.extend([0; 100]);
    assert_eq!(Terminfo::parse(&extended), Terminfo::parse(&entry), "what comes after it is of no use here");
    extended.resize(MAX_OCTETS + 1, 0);
    assert_eq!(Terminfo::parse(&extended), None);
    assert_eq!(Terminfo::parse(&[b"\x1a\x02", &entry[2..]].concat()), None);
    let mut outside = entry;
    // The bell's place, to which an offset behind the table is written.
    let offsets = 12 + 16 + 2 + 2;
    outside[offsets + 2..offsets + 4].copy_from_slice(&0x7fff_u16.to_le_bytes());
    assert_eq!(Terminfo::parse(&outside).unwrap().bell, None);
}

proptest! {
    #[test]
    fn any_octets(mut entry in proptest::collection::vec(any::<u8>(), 0..600), changes in proptest::collection::vec((0..600_usize, any::<u8>()), 0..8)) {
        drop(Terminfo::parse(&entry));
        entry.splice(.., entry_of(XTERM));
        for (place, octet) in changes {
            if let Some(old) = entry.get_mut(place) {
                *old = octet;
            }
        }
        if let Some(terminfo) = Terminfo::parse(&entry) {
            prop_assert!(Codes::of(&terminfo).bell.len() <= entry.len());
        }
    }
}
