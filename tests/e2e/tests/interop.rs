//! Interoperation with Debian's C programs, in a private network: every mixture of server, host manager and clients.

use anyhow::{Context, Result};
use std::process::Command;
use zephyr_e2e::{
    lab,
    person::{Make, Person, TIMEOUT},
};
use zephyr_testkit::{
    bins,
    process::{Daemon, Output, run},
    realm::RealmOptions,
    reference::{self, Lab, LabOptions},
};

const MAKES: [Make; 2] = [Make::C, Make::Ours];

/// A lab with a server and a host manager of these makes.
struct Site {
    // Dropped first to last: who depends on others goes before them.
    _zhm: Daemon,
    _zephyrd: Daemon,
    lab: Lab,
}

impl Site {
    fn open(server: Make, host_manager: Make, options: LabOptions) -> Result<Option<Self>> {
        let Some(lab) = reference::or_skip(options)? else { return Ok(None) };
        let zephyrd = lab::start_server(&lab, server)?;
        let zhm = lab::start_host_manager(&lab, host_manager)?;
        Ok(Some(Self { _zhm: zhm, _zephyrd: zephyrd, lab }))
    }

    fn person(&self, name: &str, make: Make) -> Result<Person> {
        Ok(Person::of_realm(self.lab.user(name)?, Vec::new()).with(make))
    }

    fn command(&self, name: &str, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command: Command = self.lab.as_user(name, program)?;
        command.args(arguments).env("TERM", "dumb");
        run(command, TIMEOUT)
    }
}

/// Whether a header as either zwgc shows it says that a notice is authentic: `AUTHENTIC class …` or `UNAUTHENTICATED
/// class …` of ours, `Authentic Personal message at …` or `(Authentication: UNAUTHENTIC from host: …)` and the like of
/// C's.
fn is_authentic(header: &str) -> Option<bool> {
    let verdict = |word: &str| match word.to_ascii_uppercase().as_str() {
        "AUTHENTIC" => Some(true),
        "UNAUTHENTIC" | "UNAUTHENTICATED" | "FAILED" => Some(false),
        _ => None,
    };
    header.split(|c: char| !c.is_ascii_alphabetic()).find_map(verdict)
}

/// Waits for a notice that ends with this line, and tells whether it is shown as authentic.
fn shown(zwgc: &Daemon, mark: usize, last: &str) -> Result<bool> {
    zwgc.wait_after(mark, TIMEOUT, |line| line.trim() == last)?;
    let lines = zwgc.transcript().lines_after(mark);
    let before = lines.iter().take_while(|line| line.trim() != last);
    before.filter_map(|line| is_authentic(line)).last().with_context(|| format!("no header in {lines:?}"))
}

/// Sends; a C zwrite fails now and then on its own, when a fragment's authenticator needs more room than the first
/// one's.
fn send(from: &Person, make: Make, arguments: &[&str]) -> Result<Output> {
    for _ in 0..8 {
        let sent = from.zwrite(arguments)?;
        if make == Make::C && sent.stderr.contains("Packet too long") {
            continue;
        }
        return sent.success();
    }
    anyhow::bail!("a C zwrite that never succeeds")
}

/// Every mixture of clients on a server and a host manager of these makes.
fn clients_meet(server: Make, host_manager: Make) -> Result<()> {
    let Some(site) = Site::open(server, host_manager, LabOptions::default())? else { return Ok(()) };
    for receiver in MAKES {
        let bob = site.person("bob", receiver)?;
        let zwgc = bob.zwgc(&[("news", "*", "*"), ("message", "personal", "%me%")])?;
        for sender in MAKES {
            let alice = site.person("alice", sender)?;
            let what = format!("{sender:?}-to-{receiver:?}");

            let mark = zwgc.transcript().mark();
            let text = format!("personal-{what}");
            let sent = send(&alice, sender, &["bob", "-m", &text])?;
            assert_eq!(sent.stdout, "Message queued for bob... sent\n", "{what}: {sent}");
            assert!(shown(&zwgc, mark, &text)?, "{what}: {}", zwgc.transcript().text());
            assert!(zwgc.transcript().lines_after(mark).join("\n").contains("alice"));

            let mark = zwgc.transcript().mark();
            let text = format!("plain-{what}");
            let sent = send(&alice, sender, &["-d", "-c", "news", "-i", "today", "-m", &text])?;
            assert_eq!(
                sent.stdout, "Message queued for class \"news\", instance \"today\"... sent\n",
                "{what}: {sent}"
            );
            assert!(!shown(&zwgc, mark, &text)?, "{what}: {}", zwgc.transcript().text());

            // In fragments, whose order and completeness the last line and the length tell.
            let mark = zwgc.transcript().mark();
            let (last, line) = (format!("end-{what}"), "0123456789 abcdefghijklmnopqrstuvwxyz\n");
            let text = line.repeat(100) + &last;
            send(&alice, sender, &["-c", "news", "-i", "long", "-m", &text])?;
            assert!(shown(&zwgc, mark, &last)?, "{what}: {}", zwgc.transcript().text());
            let lines = zwgc.transcript().lines_after(mark);
            let whole = lines.iter().filter(|shown| shown.trim() == line.trim()).count();
            assert_eq!(whole, 100, "{what}: {}", lines.join("\n"));

            let lost = alice.zwrite(&["carol", "-m", "anybody there?"])?;
            assert_eq!(lost.status.code(), Some(1), "{what}: {lost}");
            assert_eq!(lost.stderr, "carol: Not logged in or not subscribing to messages\n", "{what}: {lost}");
        }
        drop(zwgc);
        assert!(!bob.wgfile().exists(), "{receiver:?} zwgc leaves its port file behind");
    }
    Ok(())
}

#[test]
fn clients_meet_on_our_server_and_our_host_manager() -> Result<()> {
    clients_meet(Make::Ours, Make::Ours)
}

#[test]
fn clients_meet_on_our_server_and_the_c_host_manager() -> Result<()> {
    clients_meet(Make::Ours, Make::C)
}

#[test]
fn clients_meet_on_the_c_server_and_our_host_manager() -> Result<()> {
    clients_meet(Make::C, Make::Ours)
}

#[test]
fn clients_meet_on_the_c_server_and_the_c_host_manager() -> Result<()> {
    clients_meet(Make::C, Make::C)
}

/// With a PAC our notices are too long for C programs on the way. That is told, with the cure.
#[test]
fn a_pac_and_a_c_program_in_the_way() -> Result<()> {
    for (server, host_manager) in [(Make::Ours, Make::C), (Make::C, Make::Ours)] {
        let realm = RealmOptions { pac: true, ..LabOptions::default().realm };
        let options = LabOptions { realm, ..LabOptions::default() };
        let Some(site) = Site::open(server, host_manager, options)? else { return Ok(()) };
        let failed = site.person("alice", Make::Ours)?.zwrite(&["bob", "-m", "too large"])?;
        assert_eq!((failed.status.code(), failed.stdout.as_str()), (Some(1), ""), "{failed}");
        let told = ["Notice header too large", "modprinc +no_auth_data_required zephyr/zephyr"];
        assert!(told.iter().all(|text| failed.stderr.contains(text)), "{failed}");

        // The cure cures.
        site.lab.realm().kadmin("modprinc +no_auth_data_required zephyr/zephyr")?;
        site.lab.realm().kinit(&site.lab.user("alice")?, None)?;
        let cured = site.person("alice", Make::Ours)?.zwrite(&["bob", "-m", "fits"])?;
        assert_eq!(cured.stderr, "bob: Not logged in or not subscribing to messages\n", "{cured}");
    }
    Ok(())
}

/// Nothing but our programs on the way: a PAC does no harm, on the usual ports and addresses.
#[test]
fn a_pac_and_only_our_programs() -> Result<()> {
    let realm = RealmOptions { pac: true, ..LabOptions::default().realm };
    let options = LabOptions { realm, ..LabOptions::default() };
    let Some(site) = Site::open(Make::Ours, Make::Ours, options)? else { return Ok(()) };
    let zwgc = site.person("bob", Make::Ours)?.zwgc(&[])?;
    let mark = zwgc.transcript().mark();
    site.person("alice", Make::Ours)?.send(&["bob", "-m", "large ticket"])?;
    assert!(shown(&zwgc, mark, "large ticket")?, "{}", zwgc.transcript().text());
    Ok(())
}

/// The other C clients on our server and host manager, for the users of either zwgc.
#[test]
fn c_clients_ask_our_server() -> Result<()> {
    let Some(site) = Site::open(Make::Ours, Make::Ours, LabOptions::default())? else { return Ok(()) };
    for make in MAKES {
        let bob = site.person("bob", make)?;
        let zwgc = bob.zwgc(&[("news", "*", "*"), ("message", "personal", "%me%")])?;

        let list = site.command("bob", "/usr/bin/zctl", &["retrieve"])?.success()?.stdout.to_lowercase();
        assert!(list.contains("news") && list.contains("bob@athena.test"), "{make:?}: {list}");

        // Subscribed by another process: bob's zwgc learns of no new key by that, and has to find it.
        site.command("bob", "/usr/bin/zctl", &["subscribe", "later", "*", "*"])?.success()?;
        let mark = zwgc.transcript().mark();
        site.person("alice", Make::Ours)?.send(&["-c", "later", "-m", "subscribed-later"])?;
        assert!(shown(&zwgc, mark, "subscribed-later")?, "{make:?}: {}", zwgc.transcript().text());
        site.command("bob", "/usr/bin/zctl", &["unsubscribe", "later", "*", "*"])?.success()?;
        let lost = site.person("alice", Make::C)?.zwrite(&["-c", "later", "-m", "x"])?;
        assert_eq!(lost.status.code(), Some(1), "{make:?}: {lost}");

        let located = site.command("alice", "/usr/bin/zlocate", &["bob"])?;
        assert!(located.stdout.contains(site.lab.host_name()), "{make:?}: {located}");
        // The server has asked whether somebody is there: it was told, and the user was not.
        assert!(!zwgc.transcript().text().contains("PROBE"), "{make:?}: {}", zwgc.transcript().text());
        drop(zwgc);
        let gone = site.command("alice", "/usr/bin/zlocate", &["bob"])?;
        assert!(gone.stdout.contains("Hidden or not logged-in"), "{make:?}: {gone}");
    }
    Ok(())
}

/// A client of ours notices that a server has forgotten it, also a C server and through a C host manager.
#[test]
fn a_server_that_forgets_is_noticed() -> Result<()> {
    for (server, host_manager) in [(Make::C, Make::C), (Make::Ours, Make::C)] {
        let Some(site) = Site::open(server, host_manager, LabOptions::default())? else { return Ok(()) };
        let (alice, bob) = (site.person("alice", Make::Ours)?, site.person("bob", Make::Ours)?);
        let zwgc = bob.with_variable("ZEPHYR_CHECK", "1").zwgc(&[("news", "*", "*")])?;
        // A client that is known but has no such subscription any more is left as it is.
        site.command("bob", "/usr/bin/zctl", &["unsubscribe", "news", "*", "*"])?.success()?;
        let mark = zwgc.transcript().mark();
        site.command("bob", "/usr/bin/zctl", &["flush_subs"])?.success()?;
        zwgc.wait_after(mark, TIMEOUT, |line| line.contains("subscribed again"))?;
        alice.send(&["-c", "news", "-m", "after all"])?;
        assert!(shown(&zwgc, mark, "after all")?, "{server:?}: {}", zwgc.transcript().text());
        let told = zwgc.transcript().lines_after(0).iter().filter(|line| line.contains("subscribed again")).count();
        assert_eq!(told, 1, "{server:?}: {}", zwgc.transcript().text());
    }
    Ok(())
}

/// A C windowgram client answers when ours asks at its port, and shows nothing of the question. Ours shows what C's zwrite sends
/// without a locale, by lines with CR LF, and with nothing but a signature.
#[test]
fn windowgram_clients_of_both_makes_get_on() -> Result<()> {
    let Some(site) = Site::open(Make::C, Make::C, LabOptions::default())? else { return Ok(()) };
    let (c, ours) = (site.person("bob", Make::C)?, site.person("bob", Make::Ours)?);
    let alice = site.person("alice", Make::C)?;
    let mut first = c.zwgc(&[])?;
    let mark = first.transcript().mark();
    let mut command = ours.command(bins::path("zwgc")?);
    command.arg("-debug");
    let second = run(command, TIMEOUT)?;
    assert_eq!(second.status.code(), Some(1), "{second}");
    assert!(second.stderr.contains("windowgram file already exists"), "{second}");
    send(&alice, Make::C, &["bob", "-m", "hello"])?;
    assert!(shown(&first, mark, "hello")?);
    let lines = first.transcript().lines_after(mark).join("\n");
    assert!(!lines.contains("control opcode") && !lines.contains("UNSUPPRESS"), "{lines}");
    first.stop(TIMEOUT)?;

    let zwgc = ours.zwgc(&[])?;
    let mark = zwgc.transcript().mark();
    let sent = |arguments: &[&str], input: &[u8]| alice.zwrite_with_input(arguments, input)?.success();
    sent(&["bob", "-n", "-s", "Signature"], b"")?;
    sent(&["bob", "-n", "-s", "Signature"], b"one\r\ntwo\r\n")?;
    zwgc.wait_after(mark, TIMEOUT, |line| line == "  two")?;
    sent(&["bob", "-n", "-x", "none", "-m", "Grüße"], b"")?;
    zwgc.wait_after(mark, TIMEOUT, |line| line == "  Grüße")?;
    let lines = zwgc.transcript().lines_after(mark);
    assert!(!lines.iter().any(|line| line.contains("\\u{d}") || line.trim() == "Signature"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.ends_with("(Signature)")).count(), 2, "{lines:?}");
    Ok(())
}
