//! A realm that ours trusts, whose KDC lies: for whom may it speak? Our KDC is a real one, MIT's or Heimdal's; what it lets
//! pass, the server judges.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use anyhow::{Context as _, Result};
use std::{
    env,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{
    foreign::{self, EVIL, Forgery, TRANSIT_POLICY_CHECKED},
    forge::{Draft, Secret, name},
};
use zephyr_auth_krb::{KerberosAcceptor, KerberosInitiator};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Initiator, Verdict},
    limits::Limits,
    notice::{Notice, Packet},
    principal::Principal,
    time::Now,
};
use zephyr_testkit::realm::{Engine, Realm, RealmOptions};

const OURS: &str = "ZEPHYR.TEST";
const FOLDER: &str = "ZEPHYR_TEST_REALM_FOLDER";
const BETWEEN: &str = "ZEPHYR_TEST_BETWEEN";

fn now() -> Now {
    Now { monotonic: Duration::ZERO, wall: SystemTime::now() }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn notice(sender: &[u8]) -> Notice<'_> {
    Notice { class: b"MESSAGE", instance: b"PERSONAL", sender, body: b"mallory\0hello", ..Notice::EMPTY }
}

/// The text that Kerberos has for a name: RFC 1964, section 2.1.1.
fn text_of(forgery: &Forgery<'_>) -> Vec<u8> {
    let escaped = |part: &&str| {
        let mut text = Vec::new();
        for octet in foreign::made_odd(part.as_bytes()) {
            match octet {
                b'/' | b'@' | b'\\' => text.extend([b'\\', octet]),
                b'\n' => text.extend(b"\\n"),
                b'\t' => text.extend(b"\\t"),
                0 => text.extend(b"\\0"),
                _ => text.push(octet),
            }
        }
        text
    };
    let name = forgery.client.iter().map(escaped).collect::<Vec<_>>().join(&b'/');
    [&name[..], b"@", forgery.realm.as_bytes()].concat()
}

/// What is in the child process.
struct Attack {
    cache: PathBuf,
    between: Secret,
    acceptor: KerberosAcceptor,
}

impl Attack {
    /// What becomes of a forgery: our KDC's refusal, or the server's verdict on a notice in the name of `sender`, or of the
    /// forgery's client.
    fn outcome(&self, forgery: &Forgery<'_>, sender: Option<&[u8]>) -> Result<Verdict, AuthError> {
        foreign::write_cache(&self.cache, forgery, &self.between, OURS, seconds());
        let session = KerberosInitiator::new().session(OURS)?;
        let own = text_of(forgery);
        let sender = sender.unwrap_or(&own);
        let packet =
            session.seal(&notice(sender), Direction::ToServer, Limits { header: 8192, packet: 8192 }, now())?;
        let packet = Packet::parse(&packet).map_err(|error| AuthError::Backend(error.to_string()))?;
        Ok(self.acceptor.judge(&packet, sender, now())?.verdict)
    }
}

fn attack(test: &str, engine: Engine, body: impl FnOnce(&Attack) -> Result<()>) -> Result<()> {
    if support::is_inside() {
        let folder = PathBuf::from(env::var_os(FOLDER).context("no folder")?);
        let octets = support::vectors::unhex(&env::var(BETWEEN)?);
        let acceptor = KerberosAcceptor::new(None, Some(&folder.join("zephyr.keytab")))?;
        let cache = folder.join("forged-cache");
        return body(&Attack { cache, between: Secret { enctype: 18, octets }, acceptor });
    }
    let realm = Realm::start_on(engine, RealmOptions::default())?;
    let between = foreign::trusted_by(&realm)?;
    let hex: String = between.octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let folder = realm.folder().display().to_string();
    let cache = format!("FILE:{folder}/forged-cache");
    let environment =
        realm.user("alice")?.env().into_iter().chain([(FOLDER, folder), (BETWEEN, hex), ("KRB5CCNAME", cache)]);
    support::rerun(test, environment)
}

/// Names of the realm's own that look like somebody else's.
fn odd_names(long: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["alice"],
        vec!["alice", "admin"],
        vec!["alice@ZEPHYR.TEST"],
        vec!["alice/admin"],
        vec!["alice\\"],
        vec!["alice\\@ZEPHYR.TEST"],
        vec!["alice\0", "x"],
        vec!["alice\n@ZEPHYR.TEST"],
        vec!["", "alice"],
        vec!["alice", ""],
        vec![""],
        vec!["\x1b[2J\u{202e}ecila"],
        vec!["\u{7f}\u{7f}alice"],
        vec!["zephyr", "zephyr"],
        vec!["krbtgt", "ZEPHYR.TEST"],
        vec!["*"],
        vec![long],
    ]
}

fn foreign_realm_speaks_only_for_its_own(attack: &Attack) -> Result<()> {
    let honest = attack.outcome(&Forgery::HONEST, None)?;
    assert!(honest.is_authentic(), "the control: a neighbour is believed, {honest:?}");

    // It says whom it likes, but of its own realm; the text says so, and cannot be read in two ways.
    let long = "x".repeat(600);
    let mut proven = 0;
    for client in odd_names(&long) {
        let forgery = Forgery { client: &client, ..Forgery::HONEST };
        match attack.outcome(&forgery, None) {
            Ok(Verdict::Authentic(identity)) => {
                let principal = Principal::parse(identity.principal());
                assert_eq!(principal.realm, Some(EVIL.as_bytes()), "{client:?}: {identity:?}");
                assert!(!principal.is_of(OURS.as_bytes()));
                proven += 1;
            }
            outcome => println!("{client:?}: {outcome:?}"),
        }
        for sender in ["alice@ZEPHYR.TEST", "alice", "alice/admin@ZEPHYR.TEST", "alice@ZEPHYR.TEST@EVIL.TEST"] {
            if let Ok(verdict) = attack.outcome(&forgery, Some(sender.as_bytes())) {
                assert!(!verdict.is_authentic(), "{client:?} as {sender}");
            }
        }
    }
    assert!(proven >= 10, "the odd names are really tried: {proven}");

    // Nor does it speak for us, or for a realm that nobody said it may speak for, whatever it writes about the way.
    for realm in [OURS, "THIRD.TEST", "ZEPHYR.TEST@EVIL.TEST", "zephyr.test", "TEST", ""] {
        for transited in [
            &b""[..],
            b"EVIL.TEST",
            b"\0",
            b"\0EVIL.TEST",
            b"ZEPHYR.TEST",
            b",",
            b"TEST,",
            b" /X",
            b"\\,",
            b"EVIL.TEST,,",
        ] {
            for kind in [1, 0, 64] {
                for flags in [0, TRANSIT_POLICY_CHECKED] {
                    let transited = (kind, transited);
                    let forgery = Forgery { realm, client: &["alice"], transited, flags };
                    let outcome = attack.outcome(&forgery, None);
                    assert!(
                        !outcome.as_ref().is_ok_and(Verdict::is_authentic),
                        "{realm:?} by {transited:?} with {flags:#x}: {outcome:?}"
                    );
                }
            }
        }
    }
    // The control again, with the same flags: it is not they that were refused.
    let flags = TRANSIT_POLICY_CHECKED;
    assert!(attack.outcome(&Forgery { flags, ..Forgery::HONEST }, None)?.is_authentic());
    Ok(())
}

#[test]
fn by_the_kdc_of_mit() -> Result<()> {
    attack("by_the_kdc_of_mit", Engine::Native, foreign_realm_speaks_only_for_its_own)
}

#[test]
fn by_the_kdc_of_heimdal() -> Result<()> {
    if !support::is_inside() && zephyr_testkit::heimdal::or_skip()?.is_none() {
        return Ok(());
    }
    attack("by_the_kdc_of_heimdal", Engine::Heimdal, foreign_realm_speaks_only_for_its_own)
}

/// Tickets that only our own KDC can write, and would if it believed another realm: the server looks at them, too.
#[test]
fn nobody_of_our_realm_comes_through_another() -> Result<()> {
    if !support::is_inside() {
        let realm = Realm::start_on(Engine::Native, RealmOptions::default())?;
        let folder = realm.folder().display().to_string();
        let environment = realm.env().into_iter().chain([(FOLDER, folder)]);
        return support::rerun("nobody_of_our_realm_comes_through_another", environment);
    }
    let folder = tempfile::tempdir()?;
    let (keytab, keys) = support::forge::keytab(folder.path());
    let acceptor = KerberosAcceptor::new(Some(OURS), Some(&keytab))?;
    let key = keys.iter().find(|key| key.enctype == 18).context("no key of AES")?;
    let verdict = |realm: &str, transited: (i32, &[u8]), flags: u32| -> Result<Verdict> {
        let mut draft = Draft::good(key.clone(), Secret::of(18, 5), seconds());
        for (crealm, cname) in [
            (&mut draft.ticket.crealm, &mut draft.ticket.cname),
            (&mut draft.authenticator.crealm, &mut draft.authenticator.cname),
        ] {
            *crealm = realm.into();
            *cname = name(&["alice"]);
        }
        draft.ticket.transited =
            kerberos_asn1::TransitedEncoding { tr_type: transited.0, contents: transited.1.to_vec() };
        draft.ticket.flags = flags.into();
        let sender = format!("alice@{realm}");
        let request = draft.request();
        let packet = draft.packet_of(&notice(sender.as_bytes()), &request);
        Ok(acceptor.judge(&Packet::parse(&packet)?, sender.as_bytes(), now())?.verdict)
    };
    assert!(verdict(OURS, (1, b""), 0)?.is_authentic(), "the control");
    assert!(verdict(OURS, (1, b""), TRANSIT_POLICY_CHECKED)?.is_authentic(), "so MIT's KDC writes it");
    assert!(verdict(EVIL, (1, b""), 0)?.is_authentic(), "a neighbour");
    assert!(
        verdict("FAR.TEST", (1, b"EVIL.TEST"), TRANSIT_POLICY_CHECKED)?.is_authentic(),
        "by a way that our KDC allows"
    );
    for transited in [&b"EVIL.TEST"[..], b"\0EVIL.TEST", b",", b"ZEPHYR.TEST"] {
        for flags in [0, TRANSIT_POLICY_CHECKED] {
            let verdict = verdict(OURS, (1, transited), flags)?;
            assert!(!verdict.is_authentic(), "one of ours by {}, {flags:#x}", transited.escape_ascii());
        }
    }
    // A list that libkrb5 does not look at, because it begins with NUL, or is of another kind.
    for (kind, transited) in [(1, &b"\0EVIL.TEST"[..]), (0, b"EVIL.TEST"), (64, b"EVIL.TEST")] {
        let verdict = verdict("FAR.TEST", (kind, transited), 0)?;
        assert!(!verdict.is_authentic(), "{kind} {}", transited.escape_ascii());
    }
    Ok(())
}
