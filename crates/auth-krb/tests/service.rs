//! The service's own side in a realm with a real KDC: connections between servers, sessions with other realms, kept keys.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use anyhow::{Context as _, Result, ensure};
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_auth_krb::{Enctype, KerberosAcceptor, KerberosInitiator, KerberosService, internals};
use zephyr_core::{
    auth::{
        Acceptor, AuthError, Channel, Direction, Ends, Identity, Initiator, MAX_RECORD, MAX_SEALED_RECORD, MAX_TOKEN,
        Service, Session, Verdict,
    },
    limits::Limits,
    notice::{Notice, Packet},
    time::Now,
};
use zephyr_testkit::{
    deadline::wait_until,
    realm::{Engine, Keys, Realm, RealmOptions},
};

const REALM: &str = "ZEPHYR.TEST";
const OTHER: &str = "OTHER.TEST";
const SERVICE: &[u8] = b"zephyr/zephyr@ZEPHYR.TEST";
const FOLDER: &str = "ZEPHYR_TEST_REALM_FOLDER";
const OTHER_FOLDER: &str = "ZEPHYR_TEST_OTHER_FOLDER";

/// The realm as a server's process sees it: with the service's keytab, and nobody's tickets.
struct Home {
    folder: PathBuf,
}

fn as_server(test: &str, engine: Engine, options: RealmOptions, body: impl FnOnce(&Home) -> Result<()>) -> Result<()> {
    if support::is_inside() {
        let home = Home { folder: env::var_os(FOLDER).context("no folder")?.into() };
        body(&home)?;
        return home.has_no_default_cache();
    }
    let realm = Realm::start_on(engine, options)?;
    let folder = realm.folder().display().to_string();
    let profile = realm.folder().join("kdc.conf").display().to_string();
    support::rerun(test, realm.env().into_iter().chain([(FOLDER, folder), ("KRB5_KDC_PROFILE", profile)]))
}

fn in_realm(test: &str, options: RealmOptions, body: impl FnOnce(&Home) -> Result<()>) -> Result<()> {
    as_server(test, Engine::Native, options, body)
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !said.contains(" while "), "{program} {arguments:?}: {said}");
    Ok(said)
}

impl Home {
    fn keytab(&self) -> PathBuf {
        self.folder.join("zephyr.keytab")
    }

    fn service(&self) -> Result<KerberosService, AuthError> {
        KerberosService::new(Some(REALM), Some(&self.keytab()))
    }

    fn kadmin(&self, query: &str) -> Result<()> {
        run("kadmin.local", &["-r", REALM, "-p", "root/admin", "-q", query]).map(drop)
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("no-tickets")
    }

    fn has_no_default_cache(&self) -> Result<()> {
        ensure!(!self.cache().exists(), "the default cache was written to");
        Ok(())
    }

    /// Begins a connection with the tickets that this keytab gives.
    fn connect_as(&self, principal: &str, keytab: &Path) -> Result<Vec<u8>> {
        run("kinit", &["-k", "-t", &keytab.display().to_string(), principal])?;
        let begun = internals::connect_as_user(REALM, connector(), now());
        fs::remove_file(self.cache())?;
        Ok(begun?.0)
    }
}

fn now() -> Now {
    Now { monotonic: Duration::ZERO, wall: SystemTime::now() }
}

const CONNECTOR: ([u8; 4], u16) = ([127, 1, 2, 3], 40_000);
const ACCEPTOR: ([u8; 4], u16) = ([127, 1, 2, 4], 2103);

fn connector() -> Ends {
    Ends { local: CONNECTOR.into(), remote: ACCEPTOR.into() }
}

fn acceptor() -> Ends {
    let Ends { local, remote } = connector();
    Ends { local: remote, remote: local }
}

type Channels = [Box<dyn Channel>; 2];

/// Connects two servers, who may see the connection's ends otherwise than they are.
fn connected_between(connecting: &dyn Service, accepting: &dyn Service, ends: [Ends; 2]) -> Result<Channels> {
    let (token, pending) = connecting.connect(ends[0], now())?;
    ensure!(token.len() <= MAX_TOKEN);
    let (answer, theirs) = accepting.accept(ends[1], &token, now())?;
    Ok([pending.finish(&answer)?, theirs])
}

fn connected(connecting: &dyn Service, accepting: &dyn Service) -> Result<Channels> {
    connected_between(connecting, accepting, [connector(), acceptor()])
}

/// Records go both ways, and none is lost, changed or of a size that it must not have.
fn carries(channels: &mut Channels) -> Result<()> {
    let [ours, theirs] = channels;
    for round in 0..50_usize {
        let record: Vec<u8> = (0..round * MAX_RECORD / 49).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let sealed = [ours.seal(&record)?, theirs.seal(&record)?, ours.seal(b"next")?];
        for sealed in &sealed {
            ensure!(sealed.len() <= MAX_SEALED_RECORD, "{} octets", sealed.len());
            ensure!(record.len() < 16 || !sealed.windows(record.len()).any(|part| part == record), "in the clear");
        }
        assert_eq!(theirs.open(&sealed[0])?, record);
        assert_eq!(ours.open(&sealed[1])?, record);
        assert_eq!(theirs.open(&sealed[2])?, b"next");
    }
    Ok(())
}

fn refusal<T>(outcome: Result<T, AuthError>) -> String {
    outcome.err().map_or_else(|| panic!("it was accepted"), |error| error.to_string())
}

#[test]
fn two_servers_connect() -> Result<()> {
    in_realm("two_servers_connect", RealmOptions::default(), |home| {
        // One for both, as in the same realm; and one more that has read the keytab by itself.
        let (one, other) = (home.service()?, home.service()?);
        assert!(one.proves());
        for accepting in [&one, &other] {
            carries(&mut connected(&one, accepting)?)?;
            carries(&mut connected(accepting, &one)?)?;
        }
        let ipv6: [SocketAddr; 2] = ["[::1]:40000".parse()?, "[fd00::1]:2103".parse()?];
        let ends = [Ends { local: ipv6[0], remote: ipv6[1] }, Ends { local: ipv6[1], remote: ipv6[0] }];
        carries(&mut connected_between(&one, &other, ends)?)
    })
}

#[test]
fn two_servers_connect_by_the_kdc_of_heimdal() -> Result<()> {
    if !support::is_inside() && zephyr_testkit::heimdal::or_skip()?.is_none() {
        return Ok(());
    }
    as_server("two_servers_connect_by_the_kdc_of_heimdal", Engine::Heimdal, RealmOptions::default(), |home| {
        carries(&mut connected(&home.service()?, &home.service()?)?)
    })
}

/// Nothing that was sent once is taken again, nothing in another order, nothing changed, nothing of another connection or of
/// the other direction; and each of these is the end.
#[test]
fn a_record_counts_once_in_its_place() -> Result<()> {
    in_realm("a_record_counts_once_in_its_place", RealmOptions::default(), |home| {
        let service = home.service()?;
        let fresh = || connected(&service, &service);
        let ends_with = |[mut ours, mut theirs]: Channels, sealed: &[u8]| {
            assert!(theirs.open(sealed).is_err());
            let next = ours.seal(b"next").unwrap();
            assert!(refusal(theirs.open(&next)).contains("was its end"), "it goes on after an error");
            assert!(theirs.seal(b"x").is_err());
        };

        let [mut ours, mut theirs] = fresh()?;
        let first = ours.seal(b"first")?;
        assert_eq!(theirs.open(&first)?, b"first");
        ends_with([ours, theirs], &first);

        let [mut ours, theirs] = fresh()?;
        let _skipped = ours.seal(b"first")?;
        let second = ours.seal(b"second")?;
        ends_with([ours, theirs], &second);

        let [ours, mut theirs] = fresh()?;
        let own = theirs.seal(b"reflected")?;
        ends_with([ours, theirs], &own);

        let [mut others, _] = fresh()?;
        let [ours, theirs] = fresh()?;
        ends_with([ours, theirs], &others.seal(b"of another connection")?);

        let [mut ours, _] = fresh()?;
        let sealed = ours.seal(b"changed")?;
        for at in 0..sealed.len() {
            let [_, mut theirs] = fresh()?;
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(theirs.open(&changed).is_err(), "octet {at}");
        }
        for odd in [&b""[..], b"x", &sealed[..sealed.len() - 1], &[&sealed[..], b"\0"].concat(), &[0x75; 3000]] {
            let [ours, theirs] = fresh()?;
            ends_with([ours, theirs], odd);
        }
        let [mut ours, _] = fresh()?;
        assert!(refusal(ours.seal(&[7; MAX_RECORD + 1])).contains("1025 octets, not at most 1024"));
        Ok(())
    })
}

/// What was recorded of a connection is worth nothing to who sends it again, from the same address and port: the acceptor
/// chooses another key.
#[test]
fn a_recorded_connection_cannot_be_repeated() -> Result<()> {
    in_realm("a_recorded_connection_cannot_be_repeated", RealmOptions::default(), |home| {
        let service = home.service()?;
        let (token, pending) = service.connect(connector(), now())?;
        let (answer, mut theirs) = service.accept(acceptor(), &token, now())?;
        let mut ours = pending.finish(&answer)?;
        let record = ours.seal(b"once")?;
        assert_eq!(theirs.open(&record)?, b"once");

        let (other_answer, mut again) = service.accept(acceptor(), &token, now())?;
        assert!(again.open(&record).is_err(), "the record of before is taken again");
        // And the answer of one connection is none of another.
        let (_, pending) = service.connect(connector(), now())?;
        assert!(pending.finish(&other_answer).is_err());
        Ok(())
    })
}

/// Both ends must see the same addresses and ports.
#[test]
fn the_ends_are_bound() -> Result<()> {
    in_realm("the_ends_are_bound", RealmOptions::default(), |home| {
        let service = home.service()?;
        let other = |(address, port): ([u8; 4], u16)| [([127, 1, 2, 9], port), (address, port + 1)];
        let locals = other(ACCEPTOR).map(|local| Ends { local: local.into(), ..acceptor() });
        let remotes = other(CONNECTOR).map(|remote| Ends { remote: remote.into(), ..acceptor() });
        for theirs in locals.into_iter().chain(remotes) {
            let fresh = || connected_between(&service, &service, [connector(), theirs]);
            let [mut ours, mut theirs] = fresh()?;
            assert!(ours.open(&theirs.seal(b"x")?).is_err());
            let [mut ours, mut theirs] = fresh()?;
            assert!(theirs.open(&ours.seal(b"x")?).is_err());
        }
        Ok(())
    })
}

/// A ticket for the service does not make its owner one: not a user, not another service, not the service of a realm that
/// ours trusts.
#[test]
fn nobody_else_connects() -> Result<()> {
    const NAME: &str = "nobody_else_connects";
    let others = ["zephyr/other", "zephyr", "host/zephyr"];
    if support::is_inside() {
        return as_server(NAME, Engine::Native, RealmOptions::default(), |home| {
            let service = home.service()?;
            let keytab = |name: &str| home.folder.join("keytabs").join(format!("{}.keytab", name.replace('/', "_")));
            for name in others.into_iter().chain(["alice"]) {
                let token = home.connect_as(name, &keytab(name))?;
                let said = refusal(service.accept(acceptor(), &token, now()));
                assert_eq!(said, format!("it is {name}@{REALM}, not zephyr/zephyr@{REALM}"));
            }
            let there = PathBuf::from(env::var_os(OTHER_FOLDER).context("no folder")?).join("zephyr.keytab");
            let token = home.connect_as(&format!("zephyr/zephyr@{OTHER}"), &there)?;
            let said = refusal(service.accept(acceptor(), &token, now()));
            assert_eq!(said, format!("it is zephyr/zephyr@{OTHER}, not zephyr/zephyr@{REALM}"));
            // By the same way, and with the right principal.
            let token = home.connect_as(&format!("zephyr/zephyr@{REALM}"), &home.keytab())?;
            assert!(service.accept(acceptor(), &token, now()).is_ok());
            Ok(())
        });
    }
    let principals = others.map(str::to_owned).to_vec();
    let realm = Realm::start_on(Engine::Native, RealmOptions { principals, ..RealmOptions::default() })?;
    let other = Realm::start_on(Engine::Native, RealmOptions { realm: OTHER.to_owned(), ..RealmOptions::default() })?;
    realm.trust(&other)?;
    realm.add_settings("other", &other.whereabouts())?;
    let folders =
        [(FOLDER, &realm), (OTHER_FOLDER, &other)].map(|(name, realm)| (name, realm.folder().display().to_string()));
    support::rerun(NAME, realm.env().into_iter().chain(folders))
}

#[test]
fn what_begins_no_connection() -> Result<()> {
    in_realm("what_begins_no_connection", RealmOptions::default(), |home| {
        let service = home.service()?;
        let (token, _) = service.connect(connector(), now())?;
        assert!(service.accept(acceptor(), &token, now()).is_ok());
        let cut = (0..token.len()).step_by(7).map(|len| token[..len].to_vec());
        let long = [token.clone(), vec![0; MAX_TOKEN]].concat();
        let odd = [b"no proof".to_vec(), vec![0x6E; MAX_TOKEN + 1], long, [&token[..], b"\0"].concat()];
        for token in cut.chain(odd) {
            assert!(service.accept(acceptor(), &token, now()).is_err(), "{} octets", token.len());
        }
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            // The ticket's version number is no part of what is proven, and there is only one key.
            if let Ok((_, mut channel)) = service.accept(acceptor(), &changed, now()) {
                let (_, pending) = service.connect(connector(), now())?;
                assert!(pending.finish(&channel.seal(b"x")?).is_err(), "octet {at}");
            }
        }
        // What proves a notice begins no connection.
        let session = service.session(REALM)?;
        let packet = session.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
        let packet = Packet::parse(&packet)?;
        let request = zephyr_core::coding::zcode::decode(packet.claim.authenticator, MAX_TOKEN)?;
        let said = refusal(service.accept(acceptor(), &request, now()));
        assert_eq!(said, "AP options other than mutual authentication");

        // And for who connects: what is no answer.
        for answer in [&b""[..], b"V5-0 ", &token, &[0x6F; MAX_TOKEN + 1]] {
            let (_, pending) = service.connect(connector(), now())?;
            assert!(pending.finish(answer).is_err());
        }
        // Nor is one that comes too late.
        let late = Now { wall: SystemTime::now() + Duration::from_secs(310), ..now() };
        assert_eq!(refusal(service.accept(acceptor(), &token, late)), "Clock skew too great");
        Ok(())
    })
}

#[test]
fn keys_that_c_programs_know_are_preferred_among_those_that_are_permitted() -> Result<()> {
    const NAME: &str = "keys_that_c_programs_know_are_preferred_among_those_that_are_permitted";
    let names = ["aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha1-96"].map(str::to_owned);
    in_realm(NAME, RealmOptions { keys: Keys::These(names.to_vec()), ..RealmOptions::default() }, |home| {
        let of = |name: &str| Ok::<_, anyhow::Error>(home.service()?.permitting(&[name.parse::<Enctype>()?]));
        let (every, sha1, sha2) = (home.service()?, of("aes128-sha1")?, of("aes256-sha2")?);
        let acceptor_of_notices = KerberosAcceptor::new(None, Some(&home.keytab()))?;
        let kind = |service: &dyn Service| {
            let packet = service.session(REALM)?.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
            let judged = acceptor_of_notices.judge(&Packet::parse(&packet)?, SERVICE, now())?;
            anyhow::Ok(judged.session.context("no session")?.key().context("no key")?.kind)
        };
        assert_eq!((kind(&every)?, kind(&sha1)?, kind(&sha2)?), (17, 17, 20));
        // Nobody has a key of this type.
        assert!(of("camellia256-cts")?.connect(connector(), now()).is_err());
        carries(&mut connected(&every, &every)?)?;
        carries(&mut connected(&sha2, &every)?)?;
        // The ticket is encrypted with the first of the service's keys, whatever the session key is.
        let said = refusal(sha1.accept(acceptor(), &every.connect(connector(), now())?.0, now()));
        assert_eq!(said, "the ticket is of type aes256-cts-hmac-sha384-192, which is not permitted here");
        let said = refusal(sha2.accept(acceptor(), &every.connect(connector(), now())?.0, now()));
        assert_eq!(said, "the session key is of type aes128-cts-hmac-sha1-96, which is not permitted here");
        Ok(())
    })
}

fn notice() -> Notice<'static> {
    Notice { class: b"MESSAGE", sender: b"alice@ZEPHYR.TEST", body: b"hello", ..Notice::EMPTY }
}

/// The session proves that the service sent a notice, whoever that says it is of.
fn speaks_as_the_service(session: &dyn Session, acceptor: &dyn Acceptor) -> Result<()> {
    let packet = session.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
    let packet = Packet::parse(&packet)?;
    let verdict = acceptor.judge(&packet, SERVICE, now())?.verdict;
    assert_eq!(verdict, Verdict::Authentic(Identity::new(SERVICE)));
    ensure!(acceptor.judge(&packet, b"alice@ZEPHYR.TEST", now())?.verdict.identity().is_none());
    Ok(())
}

#[test]
fn sessions_with_the_servers_of_realms() -> Result<()> {
    const NAME: &str = "sessions_with_the_servers_of_realms";
    if support::is_inside() {
        return as_server(NAME, Engine::Native, RealmOptions::default(), |home| {
            let service = home.service()?;
            let there = PathBuf::from(env::var_os(OTHER_FOLDER).context("no folder")?).join("zephyr.keytab");
            speaks_as_the_service(&*service.session(REALM)?, &KerberosAcceptor::new(None, Some(&home.keytab()))?)?;
            speaks_as_the_service(&*service.session(OTHER)?, &KerberosAcceptor::new(Some(OTHER), Some(&there))?)?;
            ensure!(service.session(OTHER)?.ends().is_some_and(|end| end > SystemTime::now()));
            let error = service.session("ELSEWHERE.TEST").err().context("there is a way")?;
            assert!(matches!(&error, AuthError::WrongRealm { realm, .. } if realm == "ELSEWHERE.TEST"), "{error:?}");
            Ok(())
        });
    }
    beside_another(NAME)
}

/// Runs a test in a realm that another one trusts.
fn beside_another(test: &str) -> Result<()> {
    let realm = Realm::start_on(Engine::Native, RealmOptions::default())?;
    let other = Realm::start_on(Engine::Native, RealmOptions { realm: OTHER.to_owned(), ..RealmOptions::default() })?;
    other.trust(&realm)?;
    realm.add_settings("other", &other.whereabouts())?;
    let folders =
        [(FOLDER, &realm), (OTHER_FOLDER, &other)].map(|(name, realm)| (name, realm.folder().display().to_string()));
    let profile = ("KRB5_KDC_PROFILE", realm.folder().join("kdc.conf").display().to_string());
    support::rerun(test, realm.env().into_iter().chain(folders).chain([profile]))
}

/// The ticket between the realms that was got with keys that differ is not used again.
#[test]
fn keys_between_realms_that_are_mended_are_good_at_the_next_attempt() -> Result<()> {
    const NAME: &str = "keys_between_realms_that_are_mended_are_good_at_the_next_attempt";
    if !support::is_inside() {
        return beside_another(NAME);
    }
    as_server(NAME, Engine::Native, RealmOptions::default(), |home| {
        let between = format!("krbtgt/{OTHER}@{REALM}");
        let set = |password: &str| {
            home.kadmin(&format!("delprinc -force {between}"))?;
            home.kadmin(&format!("addprinc -pw {password} {between}"))
        };
        let service = home.service()?;
        for _ in 0..2 {
            set("else")?;
            let error = service.session(OTHER).err().context("the keys differ")?;
            let said = format!("the keys or versions of {between} differ on the two KDCs: ");
            let is_said = |reason: &str| reason.starts_with(&said) && !reason.contains('\n');
            assert!(
                matches!(&error, AuthError::WrongRealm { realm, reason } if realm == OTHER && is_said(reason)),
                "{error:?}"
            );
            set("between")?;
            service.session(OTHER)?;
            // Another server, which has no ticket yet.
            home.service()?.session(OTHER)?;
            // What was got stays good until something fails.
            ensure!(refusal(service.session("ELSEWHERE.TEST")).contains("ELSEWHERE.TEST"));
        }
        carries(&mut connected(&service, &service)?)
    })
}

/// A session that a server kept seals what the client opens that it was of.
#[test]
fn a_kept_session_goes_on() -> Result<()> {
    in_realm("a_kept_session_goes_on", RealmOptions::default(), |home| {
        run("kinit", &["-k", "-t", &home.folder.join("keytabs/alice.keytab").display().to_string(), "alice"])?;
        let alice = KerberosInitiator::new().session(REALM)?;
        fs::remove_file(home.cache())?;
        let packet = alice.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
        let acceptor = KerberosAcceptor::new(None, Some(&home.keytab()))?;
        let service = home.service()?;
        // Once judged by libkrb5, once from memory.
        for _ in 0..2 {
            let judged = acceptor.judge(&Packet::parse(&packet)?, b"alice@ZEPHYR.TEST", now())?;
            let key = judged.session.context("no session")?.key().context("no key")?;
            assert_eq!((key.kind, key.octets.len()), (18, 32));
            let restored = service.restore(&key)?;
            let delivered = restored.seal(&notice(), Direction::ToClient, Limits::WHOLE_PACKET, now())?;
            assert!(alice.check(&Packet::parse(&delivered)?, Direction::ToClient));
            assert_eq!(restored.key(), Some(key.clone()));
            for (kind, len) in [(18, 16), (23, 16), (3, 8), (0, 0), (i32::MIN, 32)] {
                let other = zephyr_core::auth::SessionKey { kind, octets: key.octets[..len].to_vec().into() };
                assert!(service.restore(&other).is_err(), "{kind}");
            }
        }
        Ok(())
    })
}

#[test]
fn keys_for_what_is_kept_follow_the_keytab() -> Result<()> {
    in_realm("keys_for_what_is_kept_follow_the_keytab", RealmOptions::default(), |home| {
        let service = home.service()?;
        let before = service.storage_keys(b"state")?;
        let kinds = ["aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96"];
        let labels = |keys: &[zephyr_core::auth::StorageKey]| -> Vec<String> {
            keys.iter().map(|key| key.label.split_once(", ").unwrap().1.to_owned()).collect()
        };
        assert_eq!(labels(&before), kinds);
        assert_eq!(home.service()?.storage_keys(b"state")?, before, "another server of the realm has the same");
        assert!(service.storage_keys(b"other")?.iter().all(|key| !before.iter().any(|old| old.octets == key.octets)));

        home.kadmin(&format!("ktadd -k {} zephyr/zephyr", home.keytab().display()))?;
        let after = service.storage_keys(b"state")?;
        assert_eq!(labels(&after), [kinds, kinds].concat());
        assert_eq!(after[2..], before[..], "the newest come first, the old ones are still there");
        Ok(())
    })
}

#[test]
fn a_new_keytab_brings_new_tickets() -> Result<()> {
    in_realm("a_new_keytab_brings_new_tickets", RealmOptions::default(), |home| {
        let (ours, theirs) = (home.service()?, home.service()?);
        carries(&mut connected(&ours, &theirs)?)?;
        // The old key is gone everywhere; tickets that are encrypted with it are no good any more.
        fs::remove_file(home.keytab())?;
        home.kadmin(&format!("ktadd -k {} zephyr/zephyr", home.keytab().display()))?;
        carries(&mut connected(&ours, &theirs)?)?;
        // Nobody can read the keytab now, which takes nothing from those that have.
        fs::write(home.keytab(), "no keytab")?;
        carries(&mut connected(&ours, &theirs)?)
    })
}

#[test]
fn tickets_are_renewed_before_they_end() -> Result<()> {
    let options = RealmOptions { max_life: Duration::from_secs(8), ..RealmOptions::default() };
    in_realm("tickets_are_renewed_before_they_end", options, |home| {
        let service = home.service()?;
        let first = service.session(REALM)?.ends().context("it has an end")?;
        let renewed = || {
            let session = service.session(REALM)?;
            let end = session.ends().context("it has an end")?;
            ensure!(end > SystemTime::now(), "it has ended");
            Ok((end > first).then_some(()))
        };
        wait_until("there is a new ticket", Duration::from_secs(120), renewed)?;
        carries(&mut connected(&service, &service)?)
    })
}

/// Many threads at once, of which one asks the KDC for all.
#[test]
fn many_threads() -> Result<()> {
    in_realm("many_threads", RealmOptions::default(), |home| {
        let service = Arc::new(home.service()?);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..10).try_for_each(|_| carries(&mut connected(&*service, &*service)?))))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap())
        })?;
        let log = fs::read_to_string(home.folder.join("krb5kdc.log"))?;
        let initial = log.lines().filter(|line| line.contains("AS_REQ") && line.contains("ISSUE")).count();
        assert_eq!(initial, 1, "{log}");
        Ok(())
    })
}

#[test]
fn a_key_that_the_kdc_does_not_know() -> Result<()> {
    in_realm("a_key_that_the_kdc_does_not_know", RealmOptions::default(), |home| {
        let keytab = fs::read(home.keytab())?;
        home.kadmin(&format!("ktadd -k {} zephyr/zephyr", home.folder.join("new.keytab").display()))?;
        let old = home.folder.join("old.keytab");
        fs::write(&old, keytab)?;
        let service = KerberosService::new(Some(REALM), Some(&old))?;
        for said in [refusal(service.session(REALM)), refusal(service.connect(connector(), now()))] {
            let expected = format!("the KDC gives zephyr/zephyr@{REALM} no ticket: ");
            assert!(said.starts_with(&expected) && said.len() > expected.len(), "{said}");
        }
        Ok(())
    })
}
