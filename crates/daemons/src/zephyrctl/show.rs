//! Human-readable output of answers.

use crate::{
    admin_protocol::{
        AclCheck, Answer, Listing, PeerLine, PolicyInForce, PolicyRule, RealmLine, RealmServerLine, StateStatus, Status,
    },
    plural,
    problem::Problem,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Display};
use zephyr_core::{charset::Charset, sanitize};

/// A text of the net without what could harm a terminal.
pub(super) fn printable(text: &str) -> String {
    sanitize::name(text.as_bytes())
}

/// A value as JSON in ASCII: what is no ASCII is escaped, which readers of JSON undo and terminals do not obey.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    let mut json = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            ' '..='~' => json.push(char),
            // Only texts have such characters.
            char => json.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    Ok(json)
}

/// The output for an answer.
pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Status(status) => self::status(status),
        // The server has escaped what it holds; an older one not all of it.
        Answer::Dump(dump) => sanitize::lines(dump.as_bytes(), Charset::UTF8),
        Answer::DumpedTo(file) => format!("written to {}\n", printable(file)),
        Answer::Clients(clients) => listing(
            clients,
            ["PRINCIPAL", "ADDRESS", "SUBSCRIPTIONS", "PENDING", "SILENT", "PROVEN", "CONFIRMED"],
            |client| {
                [
                    printable(&client.principal),
                    client.address.to_string(),
                    client.subscriptions.to_string(),
                    client.pending.to_string(),
                    format!("{} s", client.seconds_silent),
                    yes(client.proven),
                    yes(client.confirmed),
                ]
            },
        ),
        Answer::Subscriptions(subscriptions) => {
            listing(subscriptions, ["INSTANCE", "RECIPIENT", "PRINCIPAL", "CLIENT"], |subscription| {
                let recipient = if subscription.recipient.is_empty() { "*" } else { &subscription.recipient };
                [
                    printable(&subscription.instance),
                    printable(recipient),
                    printable(&subscription.principal),
                    subscription.client.to_string(),
                ]
            })
        }
        Answer::AclCheck(check) => acl_check(check),
        Answer::Peers(peers) => self::peers(peers),
        Answer::Realms(realms) => self::realms(realms),
        Answer::Draining(hosts) => {
            format!("asked to go to another server: {}\n", plural::count(*hosts, "host manager"))
        }
        Answer::DrainEnded => "host managers may come again\n".to_owned(),
        Answer::Reloaded(reloaded) => {
            let mut lines =
                format!("reloaded: {}\n", plural::rules(reloaded.default_subscriptions, reloaded.restricted_classes));
            lines += &warnings(&reloaded.warnings);
            for section in &reloaded.needs_restart {
                lines += &format!("section {} of zephyr.toml has changed, which takes a restart\n", printable(section));
            }
            lines
        }
        Answer::Problems(problems) => {
            lines(problems) + &format!("nothing changed: {}\n", plural::problems(problems.len()))
        }
        Answer::Refused(why) => format!("refused: {}\n", printable(why)),
    }
}

/// The output for findings; `place` is what was looked at.
pub(super) fn findings(place: &str, problems: &[Problem], warnings: &[Problem]) -> String {
    let end = match problems.len() {
        0 => format!("no problems in {place}\n"),
        count => format!("{} in {place}\n", plural::problems(count)),
    };
    lines(problems) + &self::warnings(warnings) + &end
}

pub(super) fn warnings(warnings: &[Problem]) -> String {
    warnings.iter().map(|warning| format!("warning: {}\n", printable(&warning.to_string()))).collect()
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| printable(&problem.to_string()) + "\n").collect()
}

fn status(status: &Status) -> String {
    let pair = |name: &str, value: &dyn Display| [name.to_owned(), printable(&value.to_string())];
    let realms = match status.realms {
        0 => "none".to_owned(),
        realms => format!("{realms}, of which {} answer", status.realms_up),
    };
    let head = [
        pair("server", &format_args!("{} ({})", status.host, status.address)),
        pair("realm", &status.realm),
        pair("other realms", &realms),
        pair("authentication", &status.authentication),
        pair("state", &state(&status.state)),
        pair("operational", &duration(status.seconds_operational)),
    ];
    let numbers = |numbers: &BTreeMap<String, u64>, least| -> Vec<[String; 2]> {
        let shown = numbers.iter().filter(|(_, value)| **value >= least);
        shown.map(|(name, value)| pair(&name.replace('_', " "), value)).collect()
    };
    format!(
        "{}\n{}{}holds\n{}counted, what is not listed is 0\n{}",
        printable(&status.version),
        table(&head, "  "),
        policy(&status.policy),
        table(&numbers(&status.holds, 0), "  "),
        table(&numbers(&status.counts, 1), "  ")
    )
}

/// Where what a server knows is kept.
fn state(state: &StateStatus) -> String {
    match (&state.file, state.seconds_in_memory) {
        (None, _) => "in memory only, as the settings say".to_owned(),
        (Some(file), None) => format!("kept in {file}"),
        (Some(file), Some(seconds)) => format!(
            "in memory only for {}: {file}: {}",
            duration(seconds),
            state.why.as_deref().unwrap_or("the server does not say why")
        ),
    }
}

/// A policy rule by rule; nothing from a server that does not tell.
fn policy(policy: &PolicyInForce) -> String {
    if policy.rules.is_empty() {
        return String::new();
    }
    // What may be long stands last.
    let row = |rule: &PolicyRule| {
        let section = if rule.section.is_empty() { String::new() } else { format!("{}: ", rule.section) };
        [format!("{section}{}", rule.setting), rule.place.clone(), format!("{}: {}", rule.value, rule.meaning)]
            .map(|cell| printable(&cell))
    };
    let rows: Vec<[String; 3]> = policy.rules.iter().map(row).collect();
    format!("policy: {}\n{}", printable(&policy.origin), table(&rows, "  "))
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn acl_check(check: &AclCheck) -> String {
    let rows: Vec<[String; 3]> = check
        .rulings
        .iter()
        .map(|ruling| [printable(&ruling.act), yes(ruling.allowed), printable(&ruling.why)])
        .collect();
    table(&rows, "")
}

/// The other servers of the realm, each followed by what else is to be known of it.
fn peers(peers: &[PeerLine]) -> String {
    if peers.is_empty() {
        return "none\n".to_owned();
    }
    let header = ["SERVER", "PROGRAM", "STATE", "SINCE", "BEHIND", "ADDRESS"].map(str::to_owned);
    let line = |peer: &PeerLine| {
        let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
        [
            printable(&peer.name),
            printable(&peer.program),
            printable(&peer.state),
            duration(peer.seconds),
            peer.behind.to_string(),
            if addresses.is_empty() { "no address is known".to_owned() } else { addresses.join(" ") },
        ]
    };
    let aligned = table(&std::iter::once(header).chain(peers.iter().map(line)).collect::<Vec<_>>(), "");
    let mut lines = aligned.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (line, peer) in lines.zip(peers) {
        text += &format!("{line}\n");
        text.extend(peer.remarks.iter().map(|remark| format!("  {}\n", printable(remark))));
    }
    text
}

/// The realms, each followed by its servers.
fn realms(realms: &[RealmLine]) -> String {
    if realms.is_empty() {
        return "none\n".to_owned();
    }
    let header = ["REALM", "STATE", "SILENT", "WAITING", "SUBSCRIPTIONS"].map(str::to_owned);
    let line = |realm: &RealmLine| {
        [
            printable(&realm.realm),
            printable(&realm.state),
            duration(realm.seconds_silent),
            realm.waiting.to_string(),
            realm.subscriptions.to_string(),
        ]
    };
    let rows: Vec<_> = std::iter::once(header).chain(realms.iter().map(line)).collect();
    let aligned = table(&rows, "");
    let mut lines = aligned.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (line, realm) in lines.zip(realms) {
        text += &format!("{line}\n");
        if let Some(reason) = &realm.no_session {
            text += &format!("  ! nothing can be sent there, as there is no ticket: {}\n", printable(reason));
        }
        text += &table(&realm.servers.iter().map(realm_server).collect::<Vec<_>>(), "  ");
    }
    text
}

fn realm_server(server: &RealmServerLine) -> [String; 3] {
    let addresses: Vec<String> = server.addresses.iter().map(ToString::to_string).collect();
    let place = if addresses.is_empty() { "no address is known".to_owned() } else { addresses.join(" ") };
    let only_from = if server.sends { "" } else { "only received from" };
    let mark = if server.current { "*" } else { "-" };
    [format!("{mark} {}", printable(&server.name)), place, only_from.to_owned()]
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn listing<T, const N: usize>(listing: &Listing<T>, header: [&str; N], row: impl Fn(&T) -> [String; N]) -> String {
    if listing.total == 0 {
        return "none\n".to_owned();
    }
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(listing.entries.iter().map(row));
    let mut text = table(&rows, "");
    let hidden = listing.total.saturating_sub(listing.entries.len());
    if hidden > 0 {
        text += &format!("and {hidden} more; see --limit\n");
    }
    text
}

/// A table with aligned columns.
fn table<const N: usize>(rows: &[[String; N]], indent: &str) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += indent;
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_protocol::ClientLine;

    #[test]
    fn columns_are_aligned_and_terminals_safe() {
        let client = |principal: &str| ClientLine {
            address: ([10, 0, 0, 1], 7).into(),
            principal: principal.to_owned(),
            proven: true,
            confirmed: false,
            subscriptions: 3,
            pending: 0,
            seconds_silent: 12,
        };
        let entries = vec![client("eve\u{1b}[2J\u{202e}\n"), client("é")];
        assert_eq!(
            answer(&Answer::Clients(Listing { total: 5, entries })),
            "PRINCIPAL                  ADDRESS     SUBSCRIPTIONS  PENDING  SILENT  PROVEN  CONFIRMED\n\
             eve\\u{1b}[2J\\u{202e}\\u{a}  10.0.0.1:7  3              0        12 s    yes     no\n\
             é                          10.0.0.1:7  3              0        12 s    yes     no\n\
             and 3 more; see --limit\n"
        );
        assert_eq!(answer(&Answer::Clients(Listing { total: 0, entries: Vec::new() })), "none\n");
    }

    #[test]
    fn the_other_servers_are_listed() {
        let peer = |name: &str, addresses: &[[u8; 4]], state: &str, behind| PeerLine {
            name: name.to_owned(),
            addresses: addresses.iter().map(|&address| (address, 2103).into()).collect(),
            program: "C".to_owned(),
            state: state.to_owned(),
            seconds: 65,
            behind,
            remarks: if behind > 0 { vec!["refused\u{1b}".to_owned()] } else { Vec::new() },
        };
        let all = vec![peer("z1.test", &[[10, 0, 0, 1], [10, 0, 1, 1]], "up", 0), peer("x\u{1b}", &[], "dead", 12)];
        assert_eq!(
            answer(&Answer::Peers(all)),
            "SERVER   PROGRAM  STATE  SINCE      BEHIND  ADDRESS\n\
             z1.test  C        up     1 min 5 s  0       10.0.0.1:2103 10.0.1.1:2103\n\
             x\\u{1b}  C        dead   1 min 5 s  12      no address is known\n\
             \x20 refused\\u{1b}\n"
        );
        assert_eq!(answer(&Answer::Peers(Vec::new())), "none\n");
    }

    #[test]
    fn a_realm_is_followed_by_its_servers() {
        let server = |name: &str, addresses: &[[u8; 4]], sends, current| RealmServerLine {
            name: name.to_owned(),
            addresses: addresses.iter().map(|&address| (address, 2103).into()).collect(),
            sends,
            current,
        };
        let realm = |realm: &str, state: &str, seconds_silent, servers| RealmLine {
            realm: realm.to_owned(),
            state: state.to_owned(),
            seconds_silent,
            no_session: None,
            waiting: 2,
            subscriptions: 7,
            servers,
        };
        let servers =
            vec![server("z1.a.test", &[[10, 0, 0, 1]], true, true), server("z2", &[[10, 0, 0, 2]], false, false)];
        let mute = RealmLine { no_session: Some("no\u{1b} key".to_owned()), ..realm("A.TEST", "up", 65, servers) };
        let all = vec![mute, realm("LONG.TEST", "new", 3, vec![server("x\u{1b}", &[], true, false)])];
        assert_eq!(
            answer(&Answer::Realms(all)),
            "REALM      STATE  SILENT     WAITING  SUBSCRIPTIONS\n\
             A.TEST     up     1 min 5 s  2        7\n\
             \x20 ! nothing can be sent there, as there is no ticket: no\\u{1b} key\n\
             \x20 * z1.a.test  10.0.0.1:2103\n\
             \x20 - z2         10.0.0.2:2103  only received from\n\
             LONG.TEST  new    3 s        2        7\n\
             \x20 - x\\u{1b}  no address is known\n"
        );
        assert_eq!(answer(&Answer::Realms(Vec::new())), "none\n");
    }

    #[test]
    fn json_is_ascii() {
        let text = "\u{202e}\u{9b}2J\u{7f}é👩\n";
        let json = json(&text).unwrap();
        assert_eq!(json, r#""\u202e\u009b2J\u007f\u00e9\ud83d\udc69\n""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn a_dump_is_harmless_also_from_a_server_that_escapes_less() {
        let dump = Answer::Dump("1:1.2.3.4/SERV_UP\n\t'\u{202e}x\u{9b}' '*' ''\n".to_owned());
        assert_eq!(answer(&dump), "1:1.2.3.4/SERV_UP\n\t'\\u{202e}x\\u{9b}' '*' ''\n");
    }

    #[test]
    fn times_are_said_as_people_do() {
        for (seconds, said) in [(5, "5 s"), (65, "1 min 5 s"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(duration(seconds), said);
        }
    }
}
