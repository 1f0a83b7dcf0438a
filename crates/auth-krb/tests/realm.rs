//! Both sides of the backend in a realm with a real KDC.

mod support;

use anyhow::{Context as _, Result, bail, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_auth_krb::{Enctype, KerberosAcceptor, KerberosInitiator, credentials, default_realm};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Identity, Initiator, Judgement, Reason, Session, Verdict},
    coding::zcode,
    limits::Limits,
    notice::{FormatError, Notice, Packet},
    time::Now,
};
use zephyr_testkit::{
    deadline::wait_until,
    realm::{Engine, Keys, Realm, RealmOptions},
};

const REALM: &str = "ZEPHYR.TEST";
const ALICE: &[u8] = b"alice@ZEPHYR.TEST";
const FOLDER: &str = "ZEPHYR_TEST_REALM_FOLDER";

/// The realm as alice's process sees it.
struct Home {
    folder: PathBuf,
}

/// Makes a realm, and does something in it as alice, who has no tickets yet.
fn as_alice(test: &str, options: RealmOptions, body: impl FnOnce(&Home) -> Result<()>) -> Result<()> {
    if support::is_inside() {
        return body(&Home { folder: env::var_os(FOLDER).context("no folder")?.into() });
    }
    let realm = Realm::start_on(Engine::Native, options)?;
    let alice = realm.user("alice")?;
    let folder = realm.folder().display().to_string();
    let profile = realm.folder().join("kdc.conf").display().to_string();
    let environment = alice.env().into_iter().chain([(FOLDER, folder), ("KRB5_KDC_PROFILE", profile)]);
    support::rerun(test, environment)
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !said.contains(" while "), "{program} {arguments:?}: {said}");
    Ok(said)
}

impl Home {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn kinit(&self, options: &[&str]) -> Result<()> {
        let keytab = self.path("keytabs/alice.keytab");
        run("kinit", &[options, &["-k", "-t", &keytab, "alice"]].concat()).map(drop)
    }

    fn kadmin(&self, query: &str) -> Result<()> {
        run("kadmin.local", &["-r", REALM, "-p", "root/admin", "-q", query]).map(drop)
    }

    fn keytab(&self) -> PathBuf {
        self.folder.join("zephyr.keytab")
    }

    fn acceptor(&self) -> Result<KerberosAcceptor, AuthError> {
        KerberosAcceptor::new(None, Some(&self.keytab()))
    }
}

fn notice() -> Notice<'static> {
    Notice {
        class: b"MESSAGE",
        instance: b"PERSONAL",
        sender: ALICE,
        recipient: b"bob@ZEPHYR.TEST",
        default_format:
            b"Class $class, Instance $instance:\nTo: @bold($recipient) at $time $date\nFrom: $1 <$sender>\n\n$2",
        body: b"alice\0hello",
        ..Notice::EMPTY
    }
}

fn now() -> Now {
    Now { monotonic: Duration::ZERO, wall: SystemTime::now() }
}

fn judged(acceptor: &KerberosAcceptor, packet: &[u8], expected: &[u8], now: Now) -> Result<Judgement> {
    Ok(acceptor.judge(&Packet::parse(packet)?, expected, now)?)
}

fn proven() -> Verdict {
    Verdict::Authentic(Identity::new(ALICE))
}

/// A notice goes to the server and back to a client that shares the key; nothing else verifies.
fn there_and_back(acceptor: &KerberosAcceptor, session: &dyn Session) -> Result<()> {
    let packet = session.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
    let judgement = judged(acceptor, &packet, ALICE, now())?;
    assert_eq!(judgement.verdict, proven());
    // The same packet may come again.
    assert_eq!(judged(acceptor, &packet, ALICE, now())?.verdict, proven());
    assert_eq!(judged(acceptor, &packet, b"bob@ZEPHYR.TEST", now())?.verdict, Verdict::Failed(Reason::WrongPrincipal));

    let server = judgement.session.context("no session")?;
    let mut delivered = server.seal(&notice(), Direction::ToClient, Limits::WHOLE_PACKET, now())?.to_vec();
    let packet = Packet::parse(&delivered)?;
    assert_eq!((packet.claim.auth, packet.claim.authent_len, packet.claim.authenticator), (1, 0, &b""[..]));
    assert!(session.check(&packet, Direction::ToClient));
    assert!(!session.check(&packet, Direction::ToServer));
    *delivered.last_mut().context("empty")? ^= 1;
    assert!(!session.check(&Packet::parse(&delivered)?, Direction::ToClient));
    assert!(server.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now()).is_err());
    Ok(())
}

fn checksum_len(session: &dyn Session) -> Result<usize> {
    let packet = session.seal(&notice(), Direction::ToClient, Limits::WHOLE_PACKET, now())?;
    Ok(zcode::decode(Packet::parse(&packet)?.claim.checksum, 100)?.len())
}

#[test]
fn with_a_pac_in_every_ticket() -> Result<()> {
    as_alice("with_a_pac_in_every_ticket", RealmOptions::default(), |home| {
        home.kinit(&[])?;
        let initiator = KerberosInitiator::new();
        assert_eq!(initiator.principal()?.as_deref(), Some("alice@ZEPHYR.TEST"));
        let credentials = credentials()?;
        assert_eq!(credentials.principal, "alice@ZEPHYR.TEST");
        assert!((Duration::from_secs(3600)..Duration::from_secs(10 * 3600 + 60)).contains(&credentials.remaining));
        assert_eq!(default_realm()?, REALM);

        let session = initiator.session(REALM)?;
        there_and_back(&home.acceptor()?, &*session)?;
        assert!(Arc::ptr_eq(&session, &initiator.session(REALM)?), "nothing has changed");

        // C programs cannot take such a header, and the error says what to do about it.
        let error = session.seal(&notice(), Direction::ToServer, Limits::COMPATIBLE, now()).unwrap_err();
        let AuthError::Format(FormatError::HeaderTooLong { len, .. }) = error else { bail!("{error:?}") };
        assert!((833..=1024).contains(&len), "{len}");
        assert!(error.advice().is_some_and(|advice| advice.contains("+no_auth_data_required")));
        Ok(())
    })
}

#[test]
fn without_a_pac_c_programs_can_take_it() -> Result<()> {
    let options = RealmOptions { pac: false, ..RealmOptions::default() };
    as_alice("without_a_pac_c_programs_can_take_it", options, |home| {
        home.kinit(&[])?;
        let session = KerberosInitiator::new().session(REALM)?;
        let packet = session.seal(&notice(), Direction::ToServer, Limits::COMPATIBLE, now())?;
        assert_eq!(judged(&home.acceptor()?, &packet, ALICE, now())?.verdict, proven());
        Ok(())
    })
}

#[test]
fn with_sha2_keys_alone() -> Result<()> {
    let options = RealmOptions { keys: Keys::Sha2Only, ..RealmOptions::default() };
    as_alice("with_sha2_keys_alone", options, |home| {
        home.kinit(&[])?;
        let initiator = KerberosInitiator::new();
        let session = initiator.session(REALM)?;
        assert_eq!(checksum_len(&*session)?, 24, "HMAC-SHA384-192");
        there_and_back(&home.acceptor()?, &*session)?;
        assert!(Arc::ptr_eq(&session, &initiator.session(REALM)?), "nothing has changed");
        Ok(())
    })
}

#[test]
fn session_keys_that_c_programs_know_are_preferred() -> Result<()> {
    let names = ["aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha1-96"].map(str::to_owned);
    let options = RealmOptions { keys: Keys::These(names.to_vec()), ..RealmOptions::default() };
    as_alice("session_keys_that_c_programs_know_are_preferred", options, |home| {
        home.kinit(&[])?;
        // A C client would stumble over this one.
        run("kvno", &["-e", "aes256-cts-hmac-sha384-192", "zephyr/zephyr"])?;
        assert!(run("klist", &["-e"])?.contains("aes256-cts-hmac-sha384-192, aes256-cts-hmac-sha384-192"));
        let session = KerberosInitiator::new().session(REALM)?;
        assert_eq!(checksum_len(&*session)?, 12, "HMAC-SHA1-96");
        there_and_back(&home.acceptor()?, &*session)
    })
}

#[test]
fn every_type_of_session_key() -> Result<()> {
    let names = [
        "aes256-cts-hmac-sha1-96",
        "aes128-cts-hmac-sha1-96",
        "aes256-cts-hmac-sha384-192",
        "aes128-cts-hmac-sha256-128",
        "camellia256-cts-cmac",
        "camellia128-cts-cmac",
        "arcfour-hmac",
        "des3-cbc-sha1",
    ];
    let options = RealmOptions {
        keys: Keys::These(names.map(str::to_owned).to_vec()),
        weak: true,
        pac: false,
        ..RealmOptions::default()
    };
    as_alice("every_type_of_session_key", options, |home| {
        fs::write(
            home.folder.join("krb5.conf.d/every-type"),
            format!("[libdefaults]\npermitted_enctypes = {}\n", names.join(" ")),
        )?;
        let every = names.map(|name| name.parse::<Enctype>().unwrap());
        let acceptor = home.acceptor()?.permitting(&every);
        for name in names {
            home.kadmin(&format!("setstr zephyr/zephyr session_enctypes {name}"))?;
            home.kinit(&[])?;
            let session = KerberosInitiator::new().session(REALM).with_context(|| name.to_owned())?;
            let tickets = run("klist", &["-e"])?;
            let ours = tickets.split("zephyr/zephyr@").nth(1).context("no ticket")?;
            assert!(ours.contains(&format!("(skey): {name},")) || ours.contains(&format!("{name},")), "{name}: {ours}");
            there_and_back(&acceptor, &*session).with_context(|| name.to_owned())?;
        }
        Ok(())
    })
}

#[test]
fn no_tickets() -> Result<()> {
    as_alice("no_tickets", RealmOptions::default(), |home| {
        let initiator = KerberosInitiator::new();
        assert_eq!(initiator.principal()?, None);
        assert_eq!(credentials(), Err(AuthError::NoCredentials));
        assert_eq!(initiator.session(REALM).err(), Some(AuthError::NoCredentials));
        home.kinit(&[])?;
        let session = initiator.session(REALM)?;
        // Another ticket, another session; no ticket, none.
        home.kinit(&[])?;
        assert!(!Arc::ptr_eq(&session, &initiator.session(REALM)?));
        run("kdestroy", &[])?;
        assert_eq!(initiator.session(REALM).err(), Some(AuthError::NoCredentials));
        Ok(())
    })
}

/// Asks until it is so; leaves the machine to others in between.
fn eventually(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_until(what, Duration::from_secs(120), || Ok(is_so()?.then_some(())))
}

/// Seals until that is refused because the ticket has ended.
fn wait_for_its_end(session: &dyn Session) -> Result<()> {
    eventually("the ticket ends", || {
        Ok(session.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now()) == Err(AuthError::Expired))
    })
}

#[test]
fn ended_tickets() -> Result<()> {
    as_alice("ended_tickets", RealmOptions::default(), |home| {
        let initiator = KerberosInitiator::new();
        // Where even the making of a session takes longer than the ticket lives, it must live longer.
        let mut life = 2;
        let session = loop {
            home.kinit(&["-l", &format!("{life}s")])?;
            match initiator.session(REALM) {
                Err(AuthError::Expired) if life < 60 => life *= 2,
                session => break session?,
            }
        };
        wait_for_its_end(&*session)?;
        // The library's clock is a few milliseconds late.
        eventually("the library sees the end", || Ok(initiator.session(REALM).err() == Some(AuthError::Expired)))?;
        assert_eq!(credentials(), Err(AuthError::Expired));
        assert_eq!(initiator.principal()?.as_deref(), Some("alice@ZEPHYR.TEST"), "she is still the same person");
        home.kinit(&[])?;
        there_and_back(&home.acceptor()?, &*initiator.session(REALM)?)
    })
}

#[test]
fn an_ended_service_ticket_is_replaced() -> Result<()> {
    as_alice("an_ended_service_ticket_is_replaced", RealmOptions::default(), |home| {
        home.kinit(&[])?;
        home.kadmin("modprinc -maxlife 2s zephyr/zephyr")?;
        let initiator = KerberosInitiator::new();
        let session = initiator.session(REALM)?;
        wait_for_its_end(&*session)?;
        // The library's clock is a few milliseconds late, so for that long it may go on offering the old one.
        let seal = || initiator.session(REALM)?.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now());
        eventually("there is a new ticket", || Ok(seal() != Err(AuthError::Expired)))?;
        assert!(!Arc::ptr_eq(&session, &initiator.session(REALM)?));
        Ok(())
    })
}

#[test]
fn clocks_too_far_apart() -> Result<()> {
    as_alice("clocks_too_far_apart", RealmOptions::default(), |home| {
        home.kinit(&[])?;
        let acceptor = home.acceptor()?;
        let session = KerberosInitiator::new().session(REALM)?;
        let packet = session.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
        let wall = SystemTime::now();
        let refused = |reason: &str| Verdict::Failed(Reason::Refused(reason.to_owned()));
        for (wall, expected) in [
            (wall + Duration::from_secs(290), proven()),
            (wall + Duration::from_secs(310), refused("Clock skew too great")),
            (wall - Duration::from_secs(290), proven()),
            (wall - Duration::from_secs(310), refused("Ticket not yet valid")),
        ] {
            let verdict = judged(&acceptor, &packet, ALICE, Now { monotonic: Duration::ZERO, wall })?.verdict;
            assert_eq!(verdict, expected);
        }
        Ok(())
    })
}

#[test]
fn realms_without_a_way_to_them() -> Result<()> {
    as_alice("realms_without_a_way_to_them", RealmOptions::default(), |home| {
        home.kinit(&[])?;
        let initiator = KerberosInitiator::new();
        let error = initiator.session("ELSEWHERE.TEST").err().context("there is a way")?;
        assert!(matches!(&error, AuthError::WrongRealm { realm, .. } if realm == "ELSEWHERE.TEST"), "{error:?}");
        home.kadmin("delprinc -force zephyr/zephyr")?;
        let error = initiator.session(REALM).err().context("there is a service")?;
        assert!(matches!(&error, AuthError::WrongRealm { reason, .. } if reason.contains("not found")), "{error:?}");
        Ok(())
    })
}

#[test]
fn realms_of_hosts() -> Result<()> {
    as_alice("realms_of_hosts", RealmOptions::default(), |_| {
        let initiator = KerberosInitiator::new();
        for (host, realm) in [
            ("z1.zephyr.test", REALM),
            ("Z1.Zephyr.TEST", REALM),
            ("z1.sub.zephyr.test", REALM),
            ("localhost", REALM),
            ("z1.example.org", "EXAMPLE.ORG"),
            ("undotted", REALM),
            ("127.0.0.1", REALM),
            ("::1", REALM),
            ("", REALM),
        ] {
            assert_eq!(initiator.realm_of(host)?, realm, "{host}");
        }
        assert!(initiator.realm_of("a\0b").is_err());
        Ok(())
    })
}

#[test]
fn tickets_in_a_folder() -> Result<()> {
    const NAME: &str = "tickets_in_a_folder";
    as_alice(NAME, RealmOptions::default(), |home| {
        let initiator = KerberosInitiator::new();
        if env::var("KRB5CCNAME")?.starts_with("DIR:") {
            assert_eq!(initiator.principal()?.as_deref(), Some("alice@ZEPHYR.TEST"));
            return there_and_back(&home.acceptor()?, &*initiator.session(REALM)?);
        }
        let folder = format!("DIR:{}", home.path("tickets"));
        home.kinit(&["-c", &folder])?;
        assert_eq!(initiator.session(REALM).err(), Some(AuthError::NoCredentials), "they are not in the default cache");
        support::rerun(NAME, [("KRB5CCNAME", folder)])
    })
}

#[test]
fn a_broken_cache() -> Result<()> {
    as_alice("a_broken_cache", RealmOptions::default(), |_| {
        let cache = env::var("KRB5CCNAME")?;
        fs::write(cache.trim_start_matches("FILE:"), "no credential cache")?;
        let initiator = KerberosInitiator::new();
        let errors = [initiator.principal().err(), initiator.session(REALM).err()];
        for error in errors {
            assert!(matches!(&error, Some(AuthError::Backend(text)) if text.contains("cache")), "{error:?}");
        }
        Ok(())
    })
}

/// Alice speaks to the servers of a realm that trusts hers.
#[test]
fn across_realms() -> Result<()> {
    const OTHER: &str = "OTHER.TEST";
    const KEYTAB: &str = "ZEPHYR_TEST_OTHER_KEYTAB";
    if support::is_inside() {
        let home = Home { folder: env::var_os(FOLDER).context("no folder")?.into() };
        home.kinit(&[])?;
        let keytab = PathBuf::from(env::var_os(KEYTAB).context("no keytab")?);
        let initiator = KerberosInitiator::new();
        let (here, there) = (initiator.session(REALM)?, initiator.session(OTHER)?);
        let acceptor = KerberosAcceptor::new(Some(OTHER), Some(&keytab))?;
        assert_eq!(acceptor.realm(), OTHER);
        there_and_back(&acceptor, &*there)?;
        let packet = here.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
        let verdict = judged(&acceptor, &packet, ALICE, now())?.verdict;
        assert_eq!(verdict, Verdict::Failed(Reason::Malformed("a ticket for the service of another realm".to_owned())));
        return Ok(());
    }
    let realm = Realm::start_on(Engine::Native, RealmOptions::default())?;
    let other = Realm::start_on(Engine::Native, RealmOptions { realm: OTHER.to_owned(), ..RealmOptions::default() })?;
    for realm in [&realm, &other] {
        realm.kadmin(&format!("addprinc -pw between krbtgt/{OTHER}@{REALM}"))?;
    }
    realm.add_settings("other", &other.whereabouts())?;
    let path = |path: PathBuf| path.display().to_string();
    let environment = realm
        .user("alice")?
        .env()
        .into_iter()
        .chain([(FOLDER, path(realm.folder().to_owned())), (KEYTAB, path(other.service_keytab()))]);
    support::rerun("across_realms", environment)
}

#[test]
fn keytabs() -> Result<()> {
    as_alice("keytabs", RealmOptions::default(), |home| {
        let missing = KerberosAcceptor::new(None, Some(Path::new("/nonexistent/keytab"))).err();
        assert!(matches!(missing, Some(AuthError::KeytabUnreadable { .. })), "{missing:?}");
        let others = home.folder.join("keytabs/alice.keytab");
        let without = KerberosAcceptor::new(None, Some(&others)).err().context("alice is no service")?;
        assert!(
            matches!(&without, AuthError::NoServiceKey { principal, others, .. }
                if principal == "zephyr/zephyr@ZEPHYR.TEST" && *others == ["alice@ZEPHYR.TEST"]),
            "{without:?}"
        );
        let garbage = home.folder.join("garbage");
        fs::write(&garbage, "no keytab")?;
        let garbage = KerberosAcceptor::new(None, Some(&garbage)).err();
        assert!(matches!(garbage, Some(AuthError::NoKeytab { .. })), "{garbage:?}");
        Ok(())
    })
}

#[test]
fn a_new_key_in_the_keytab() -> Result<()> {
    as_alice("a_new_key_in_the_keytab", RealmOptions::default(), |home| {
        home.kinit(&[])?;
        let acceptor = home.acceptor()?;
        let old = KerberosInitiator::new().session(REALM)?;
        there_and_back(&acceptor, &*old)?;

        let ktadd = format!("ktadd -k {} zephyr/zephyr", home.keytab().display());
        home.kadmin(&ktadd)?;
        home.kinit(&[])?;
        let new = KerberosInitiator::new().session(REALM)?;
        there_and_back(&acceptor, &*new)?;
        // Tickets of before are good as long as the keytab keeps the old key.
        there_and_back(&acceptor, &*old)?;

        // A keytab that is broken or gone leaves the server with the keys it has.
        fs::write(home.keytab(), "no keytab")?;
        there_and_back(&acceptor, &*new)?;
        fs::remove_file(home.keytab())?;
        there_and_back(&acceptor, &*new)?;

        // One that has only a newer key means it.
        home.kadmin(&ktadd)?;
        let packet = new.seal(&notice(), Direction::ToServer, Limits::WHOLE_PACKET, now())?;
        let verdict = judged(&acceptor, &packet, ALICE, now())?.verdict;
        assert!(matches!(&verdict, Verdict::Failed(Reason::Refused(_))), "{verdict:?}");
        Ok(())
    })
}

/// Many threads judge and make packets at once, while the keytab changes under them.
#[test]
fn many_threads() -> Result<()> {
    as_alice("many_threads", RealmOptions::default(), |home| {
        home.kinit(&[])?;
        let acceptor = home.acceptor()?;
        let session = KerberosInitiator::new().session(REALM)?;
        let keytab = fs::read(home.keytab())?;
        std::thread::scope(|scope| {
            let judges = std::array::from_fn::<_, 4, _>(|_| {
                scope.spawn(|| (0..300).try_for_each(|_| there_and_back(&acceptor, &*session)))
            });
            while !judges.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                // Put in place as a whole, with another inode each time.
                let fresh = home.folder.join("fresh.keytab");
                fs::write(&fresh, &keytab)?;
                fs::rename(fresh, home.keytab())?;
            }
            judges.into_iter().try_for_each(|judge| judge.join().unwrap())
        })
    })
}
