//! What zwgc shows by descriptions, of whatever notices: in a real terminal, of hostile senders, of very many.

use anyhow::{Context, Result, ensure};
use std::{fs, net::SocketAddr, time::Instant};
use zephyr_client::windowgram_port;
use zephyr_core::{
    charset::Charset,
    kind::Kind,
    names,
    notice::{Claim, Notice},
};
use zephyr_e2e::{
    person::{Person, TIMEOUT},
    stack::Stack,
    stranger::Stranger,
    terminal::Terminal,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::Daemon,
    realm::{Engine, RealmOptions},
};

/// Somebody who runs zwgc with a description.
fn with_description(person: Person, description: &str) -> Result<(Person, Daemon)> {
    fs::write(person.home().join(".zwgc.desc"), description)?;
    let person = person.with_variable("ZWGC_FORMAT", "description").with_variable("TERM", "xterm");
    let zwgc = person.zwgc(&[])?;
    Ok((person, zwgc))
}

fn address(stack: &Stack, person: &Person) -> Result<SocketAddr> {
    Ok((stack.network().here(), windowgram_port::read(&person.wgfile())?).into())
}

/// Texts that terminals would obey, or that hide or turn others.
const HOSTILE: [&[u8]; 24] = [
    b"\x1b[2J\x1b[H",
    b"\x1b]0;title\x07",
    b"\x1b]52;c;aGVsbG8=\x1b\\",
    b"\x1bP0;1|17/ab\x1b\\",
    b"\x1b[?1049h\x1b[5n\x1bc",
    b"\x9b2J",
    "\u{9b}2J\u{9d}0;title\u{9c}".as_bytes(),
    b"\x07\x08\x0b\x0c\x0e\x0f\x7f",
    b"one\rtwo",
    "\u{202e}txt.exe\u{202c}".as_bytes(),
    "\u{2066}\u{2067}\u{2069}\u{200f}\u{61c}".as_bytes(),
    "\u{200b}\u{feff}\u{2060}\u{e0041}".as_bytes(),
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}".as_bytes(),
    b"\0\0\0\x1b[31m\0\0",
    b"\xc3",
    b"\xe2\x82",
    b"\xff\xfe\xf5\x80",
    b"\xc0\x9b\xe0\x80\x9b",
    b"@bold(@italic(@beep())",
    b")>]}@@(@b@",
    b"$sender ${message} $$ $(HOME) `id` $(id)",
    b"\xc2\x1b\x9b\x1b",
    b"%s%n\\033[31m\\x1b[31m",
    b"\"; exec \"touch\" \"/tmp/x\" #",
];

/// What is left of an output without the codes for bold and its end.
fn without_codes(output: &str) -> String {
    output.replace("\x1b[1m", "").replace("\x1b[0m", "")
}

/// A character that is no text, but the ends of lines and tabs.
fn is_no_text(character: char) -> bool {
    let bidi =
        matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    let invisible = matches!(character, '\u{200b}' | '\u{feff}' | '\u{2060}' | '\u{e0000}'..='\u{e007f}');
    character.is_control() && !matches!(character, '\r' | '\n' | '\t') || bidi || invisible
}

/// All fields that a sender chooses, at every port of a terminal, by the built-in description and by one that puts them as they are.
#[test]
fn hostile_notices_show_nothing_but_text() -> Result<()> {
    const RAW: &str = "print $class $instance $opcode $sender $fullsender $recipient $default $fromhost $message $1 $2
        put \"tty\" put \"plain\" put \"stdout\" put \"tty\" verbatim(buffer()) put \"plain\" protect(buffer())
        set part = $message while $part != \"\" do set piece = lany($part, \".\") put \"tty\" $piece + $piece + \"\\n\" endwhile";
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    for (name, description) in [("alice", None), ("bob", Some(RAW))] {
        let person = stack.login(name)?;
        let own = format!(
            "if $opcode == \"END\" then put \"stdout\" \"that is all\\n\" exit endif {}",
            description.unwrap_or_default()
        );
        let built_in = fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../crates/windowgram/descriptions/default.desc"
        ))?;
        let description = description.map_or_else(|| format!("{own}\n{built_in}"), |_| own.clone());
        let (person, zwgc) = with_description(person, &description)?;
        let to = address(&stack, &person)?;
        let mut stranger = Stranger::at(stack.network().here())?;
        let began = Instant::now();
        for text in HOSTILE {
            let field: Vec<u8> = text.iter().copied().filter(|&octet| octet != 0).collect();
            let everywhere = Notice {
                kind: Kind::Acked,
                class: &field,
                instance: &field,
                opcode: &field,
                sender: &field,
                recipient: &field,
                default_format: &field,
                body: text,
                ..Notice::EMPTY
            };
            let class = |class| Notice { class, instance: b"personal", opcode: b"USER_LOGIN", ..everywhere };
            for notice in
                [everywhere, class(b"message"), class(b"login"), class(b"mail"), class(b"filsys"), class(b"syslog")]
            {
                for charset in [Charset::UNKNOWN, Charset::UTF8, Charset::LATIN1, Charset(7)] {
                    let uid = stranger.send_notice(to, Notice { charset, ..notice }, &Claim::NONE)?;
                    stranger.receive(|packet| packet.notice.uid == uid && packet.notice.kind == Kind::ClientAck)?;
                }
            }
        }
        let end = Notice { kind: Kind::Acked, class: b"end", opcode: b"END", body: b"x", ..Notice::EMPTY };
        stranger.send_notice(to, end, &Claim::NONE)?;
        zwgc.wait_for(TIMEOUT, |line| line.contains("that is all"))?;
        let shown = without_codes(&zwgc.transcript().text());
        // The bell is markup that anybody may write, but it is limited.
        let bells = 4 + began.elapsed().as_secs();
        let rung = shown.matches('\u{7}').count() as u64;
        ensure!((1..=bells).contains(&rung), "{rung} bells");
        let shown = shown.replace('\u{7}', "");
        let wrong: Vec<_> = shown.lines().filter(|line| line.contains(is_no_text)).collect();
        ensure!(wrong.is_empty(), "{name}: {wrong:#?}");
        // A carriage return only ends lines.
        ensure!(!shown.replace("\r\n", "").contains('\r'), "{name}");
        ensure!(shown.contains("\\u{1b}[2J") && shown.contains("\\u{202e}txt.exe"), "{shown}");
        ensure!(!fs::exists("/tmp/x")?, "something was run");
    }
    Ok(())
}

/// Nearly as much text as a notice can have is shown to its end.
#[test]
fn a_very_long_notice_is_shown() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let alice = stack.login("alice")?;
    let (_bob, zwgc) = with_description(stack.login("bob")?, "put \"tty\" $message")?;
    let text = "x".repeat(399_000);
    alice.zwrite_with_input(&["-q", "bob"], text.as_bytes())?.success()?;
    zwgc.wait_for(TIMEOUT, |line| line.contains(&text))?;
    Ok(())
}

/// A notice that has come is shown, however many there are. How many a second is printed.
#[test]
fn no_notice_of_many_is_lost() -> Result<()> {
    const NOTICES: usize = 3000;
    const AT_ONCE: usize = 30;
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let built_in =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/windowgram/descriptions/default.desc"))?;
    let (bob, zwgc) = with_description(stack.login("bob")?, &built_in)?;
    let to = address(&stack, &bob)?;
    let mut stranger = Stranger::at(stack.network().here())?;
    let began = Instant::now();
    for number in 0..NOTICES {
        let body = format!("Eve Evans\0this is number {number}.\n");
        let notice = Notice {
            kind: Kind::Acked,
            class: names::MESSAGE,
            instance: b"personal",
            sender: b"eve@ZEPHYR.TEST",
            recipient: b"bob@ZEPHYR.TEST",
            body: body.as_bytes(),
            ..Notice::EMPTY
        };
        stranger.send_notice(to, notice, &Claim::NONE)?;
        if number >= AT_ONCE {
            stranger.receive(|packet| packet.notice.kind == Kind::ClientAck)?;
        }
    }
    let last = format!("this is number {}.", NOTICES - 1);
    zwgc.wait_for(TIMEOUT, |line| line.contains(&last))?;
    println!("{:.0} notices a second", NOTICES as f64 / began.elapsed().as_secs_f64());
    let text = zwgc.transcript().text();
    let numbers: Vec<usize> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("this is number ")?.strip_suffix('.')?.parse().ok())
        .collect();
    ensure!(numbers == (0..NOTICES).collect::<Vec<_>>(), "{} are shown", numbers.len());
    Ok(())
}

/// Where a row begins and how many columns it has, all of whose characters are one wide.
fn extent(row: &str) -> (usize, usize) {
    let text = row.trim_start().chars().count();
    (row.chars().count() - text, text)
}

#[test]
fn the_default_description_on_a_screen() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let alice = stack.login("alice")?.with_variable("ZEPHYR_SIGNATURE", "");
    fs::write(alice.home().join(".zephyr.vars"), "zwrite-signature = Alice Ångström\n")?;
    let bob = stack.login("bob")?.with_variable("ZWGC_FORMAT", "description");
    let zwgc = format!("exec '{}' -nofork -ttymode", bins::path("zwgc")?.display());
    let terminal = Terminal::start(&bob, &zwgc)?;
    wait_until("bob is reached", TIMEOUT, || {
        Ok(alice.zwrite(&["bob", "-m", "Grüße, 世界 und @bold(alle)"])?.status.success().then_some(()))
    })?;
    let rows = terminal.wait_for("it is on the screen", |row| row.starts_with("Grüße"))?;
    let first = rows.iter().position(|row| row.contains("Personal message at")).context("no heading")?;
    let [heading, from, to, empty, text] = rows.get(first..first + 5).context("too few rows")? else { unreachable!() };
    ensure!(heading.trim_start().starts_with("Authentic Personal message at "), "{rows:#?}");
    ensure!(from.trim_start().starts_with("From: Alice Ångström <alice"), "{rows:#?}");
    ensure!(to.trim() == "To: bob@ZEPHYR.TEST" && empty.is_empty(), "{rows:#?}");
    ensure!(text == "Grüße, 世界 und alle", "{rows:#?}");
    // Each in the middle of the longest one, which begins at the left.
    let widest = [heading, from, to].map(|row| extent(row).1).into_iter().max().unwrap_or_default();
    for row in [heading, from, to] {
        let (indent, width) = extent(row);
        ensure!(indent == (widest + 2 - width) / 2 || indent == (widest - width) / 2, "{widest}: {rows:#?}");
    }
    Ok(())
}
