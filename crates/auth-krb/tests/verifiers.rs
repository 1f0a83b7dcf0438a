//! Verifiers that know nothing of each other agree about every packet: libkrb5 behind our binding, the same with tickets
//! that are known, GSSAPI's acceptor, and one in Rust with another decoder.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use kerberos_asn1::{Asn1Object, EncryptionKey, TransitedEncoding};
use libgssapi::{
    context::{SecurityContext, ServerCtx},
    credential::{Cred, CredUsage},
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_NT_KRB5_PRINCIPAL, OidSet},
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{
    forge::{Draft, ENCTYPES, KVNO, REALM, Secret, keytab, moment, name},
    pure::{self, Proof, Service},
    vectors,
};
use zephyr_auth_krb::{KerberosAcceptor, KeySession, internals};
use zephyr_core::{
    auth::{Acceptor, Direction, Session, Verdict},
    coding::zcode,
    notice::Packet,
    time::Now,
};

const MUTATED: usize = 100_000;

/// xorshift64*: the same numbers in every run, from a seed that can be given.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// GSSAPI's acceptor; its time is the machine's.
struct Gss(Cred);

impl Gss {
    fn new(realm: &str) -> Self {
        let mut kerberos = OidSet::new();
        kerberos.add(GSS_MECH_KRB5).unwrap();
        let service = Name::new(format!("zephyr/zephyr@{realm}").as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)).unwrap();
        Self(Cred::acquire(Some(&service), None, CredUsage::Accept, Some(&kerberos)).unwrap())
    }

    /// Whether it accepts; then who the client is, and something that only who knows the session key can have made.
    fn accept(&self, request: &[u8]) -> Option<(String, Vec<u8>)> {
        const MECHANISM: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00";
        let length = u16::try_from(MECHANISM.len() + request.len()).unwrap();
        let token = [&[0x60, 0x82][..], &length.to_be_bytes(), MECHANISM, request].concat();
        let mut context = ServerCtx::new(Some(self.0.clone()));
        context.step(&token, None).ok()?;
        let client = String::from_utf8_lossy(&context.source_name().ok()?.display_name().ok()?).into_owned();
        let mic = context.get_mic(b"who knows the key?").unwrap().to_vec();
        Some((client, mic))
    }
}

/// RFC 4121, section 4.2.6.1: whether a MIC of an acceptor was made with this key.
fn is_made_with(mic: &[u8], key: &Secret) -> bool {
    const ACCEPTOR_SIGN: i32 = 23;
    let (header, made) = mic.split_at(16);
    let text = [b"who knows the key?", header].concat();
    header[..2] == [4, 4]
        && internals::checksum(key.enctype, &key.octets, ACCEPTOR_SIGN, &text).as_deref() == Some(made)
}

/// What is encrypted in a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// What a client or somebody who has the keys writes.
    Usual,
    /// The same with a subkey, which GSSAPI then signs with.
    WithSubkey,
    /// Any octets.
    Mutated,
}

struct Verifiers {
    service: Service,
    library: internals::Library,
    new: KerberosAcceptor,
    known: KerberosAcceptor,
    gss: Gss,
    /// How often each verdict was given.
    verdicts: BTreeMap<&'static str, usize>,
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

impl Verifiers {
    fn new(keytab: &Path, service: Service) -> Self {
        let realm = &*service.realm;
        let acceptor = || KerberosAcceptor::new(Some(realm), Some(keytab)).unwrap();
        let library = internals::Library::new(realm, keytab).unwrap();
        let (new, known) = (acceptor().forgetting(), acceptor());
        let gss = Gss::new(realm);
        Self { service, library, new, known, gss, verdicts: BTreeMap::new() }
    }

    /// Asks all of them about a packet; panics when they do not agree.
    fn ask(&mut self, octets: &[u8], what: &str, contents: Contents) -> bool {
        let Ok(packet) = Packet::parse(octets) else { return false };
        let sender = packet.notice.sender;
        let wall = SystemTime::now();
        let now = Now { monotonic: Duration::ZERO, wall };
        let seconds = i64::try_from(wall.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let request = zcode::decode(packet.claim.authenticator, 1024).ok();
        let by_rust = request.as_ref().map(|request| pure::verify(request, &self.service, seconds));
        if by_rust == Some(Err(pure::EDGE)) {
            return false;
        }
        let judged = |acceptor: &KerberosAcceptor| acceptor.judge(&packet, sender, now).unwrap().verdict;
        let (new, known) = (judged(&self.new), judged(&self.known));
        let disagree = |who: &str, says: &str| -> ! {
            panic!("{what}: libkrb5 says {new:?}, and {who} says {says}, of the packet {}", hex(octets));
        };
        if new != known {
            disagree("the one who knows tickets", &format!("{known:?}"));
        }

        let mut reason = "no authenticator";
        let provable = packet.claim.auth != 0 && packet.claim.authent_len > 0 && packet.covered().is_some();
        let comes_round = request.as_ref().is_some_and(|request| pure::comes_round(request, &self.service));
        let mut proof = None;
        if let (true, Some(request), Some(rust)) = (provable, request, by_rust) {
            let passes = internals::inspect(&request, self.service.realm.as_bytes()).is_ok();
            // libkrb5 and GSSAPI are asked about what the strict look lets pass.
            let library = if passes { self.library.accept(&request, now).ok() } else { None };
            let gss = if passes { self.gss.accept(&request) } else { None };
            let library = library.map(|proof| {
                let (enctype, octets) = proof.key();
                let client = String::from_utf8_lossy(&proof.client).into_owned();
                Proof { client, session: Secret { enctype, octets: octets.to_vec() } }
            });
            // Whoever has the keys can write numbers and dates that are out of all bounds, which each takes in its own way.
            // Only what two of them accept must then be the same.
            let is_strange = contents == Contents::Mutated;
            let has_opinion = !(is_strange && (rust.is_err() || library.is_none()));
            if has_opinion && library.as_ref() != rust.as_ref().ok() {
                disagree("Rust", &format!("{rust:?}, libkrb5 alone {library:?}"));
            }
            match (&library, &gss) {
                (None, None) => {}
                (Some(library), Some((client, mic)))
                    if *client == library.client
                        && (contents != Contents::Usual || is_made_with(mic, &library.session)) => {}
                (Some(_), None) if is_strange => {}
                (_, gss) => disagree("GSSAPI", &format!("{gss:?}, libkrb5 alone {library:?}")),
            }
            reason = rust.as_ref().err().copied().unwrap_or("proven");
            proof = library;
        }
        let authentic = !comes_round
            && proof.is_some_and(|proof| {
                let key = KeySession::from_raw(proof.session.enctype, &proof.session.octets).unwrap();
                proof.client.as_bytes() == sender && key.check(&packet, Direction::ToServer)
            });
        if authentic != new.is_authentic() {
            disagree("whoever goes on from the AP-REQ", &format!("authentic: {authentic}"));
        }
        let verdict = match &new {
            Verdict::Authentic(_) => "authentic",
            Verdict::Unauthenticated => "unauthenticated",
            Verdict::Failed(_) if comes_round => "the way, by ourselves",
            Verdict::Failed(_) if reason == "proven" => "another sender, or a wrong checksum",
            Verdict::Failed(_) => reason,
        };
        *self.verdicts.entry(verdict).or_default() += 1;
        new.is_authentic()
    }
}

/// Some octets of many changed, lost or doubled.
fn mutated(dice: &mut Dice, octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(octets.len());
        match dice.below(8) {
            0 => octets.truncate(at.max(1)),
            1 => drop(octets.remove(at)),
            2 => octets.insert(at, u8::try_from(dice.below(256)).unwrap()),
            3 => octets[at] = u8::try_from(dice.below(256)).unwrap(),
            _ => octets[at] ^= 1 << dice.below(8),
        }
        if octets.is_empty() {
            octets.push(0);
        }
    }
    octets
}

/// Changes of what is encrypted, by somebody who has the keys; true when there is a subkey then.
fn misdrafted(dice: &mut Dice, draft: &mut Draft, now: u64) -> bool {
    let near = |dice: &mut Dice| now + u64::try_from(dice.below(1200)).unwrap() - 600;
    match dice.below(16) {
        0 | 1 => draft.authenticator.ctime = moment(near(dice)),
        2 => draft.ticket.starttime = Some(moment(near(dice))),
        3 => {
            draft.ticket.starttime = None;
            draft.ticket.authtime = moment(near(dice));
        }
        4 | 5 => draft.ticket.endtime = moment(near(dice)),
        6 => draft.ticket.flags = (1 << dice.below(32)).into(),
        7 => {
            let contents: &[u8] = dice.one_of(&[&b"MIDDLE.TEST"[..], b"TEST", b"A.TEST,B.TEST", b"ORG,TEST", b"X"]);
            draft.ticket.transited = TransitedEncoding { tr_type: 1, contents: contents.to_vec() };
            let (realm, flags): (&str, u32) =
                (dice.one_of(&["FAR.ORG", REALM, "OTHER.TEST"]), dice.one_of(&[0, 1 << (31 - 12)]));
            draft.ticket.flags = flags.into();
            draft.ticket.crealm = realm.into();
            draft.authenticator.crealm = realm.into();
        }
        8 => draft.ticket.cname = name(dice.one_of(&[&["bob"][..], &["alice", ""], &["Alice"], &[], &["al@ice"]])),
        9 => draft.authenticator.crealm = dice.one_of(&["OTHER.TEST", "zephyr.test", ""]).into(),
        10 => {
            let other = name(dice.one_of(&[&["a/b"][..], &["alice", "root"], &["a@b"], &["x\\y", "z"], &["\t"]]));
            draft.ticket.cname = other.clone();
            draft.authenticator.cname = other;
        }
        11 => draft.authenticator.cname.name_type = dice.one_of(&[0, 1, 2, 10]),
        12 => draft.kvno = dice.one_of(&[None, Some(0), Some(1), Some(2), Some(4), Some(0x7FFF_FFFF)]),
        13 => draft.session.enctype = dice.one_of(&ENCTYPES),
        14 => draft.authenticator.seq_number = Some(dice.one_of(&[0, 1, 0x7FFF_FFFF])),
        _ => {
            let keyvalue = Secret::of(18, 99).octets;
            draft.authenticator.subkey = Some(EncryptionKey { keytype: 18, keyvalue });
            return true;
        }
    }
    false
}

/// Runs the body where libkrb5 and GSSAPI find this realm, these settings and this keytab.
fn inside(test: &str, realm: &str, settings: &str, keytab: &Path, body: impl FnOnce()) {
    if support::is_inside() {
        return body();
    }
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("krb5.conf");
    let realms = "[realms]\nOTHER.TEST = {\n}\n";
    fs::write(&configuration, format!("[libdefaults]\ndefault_realm = {realm}\n{settings}\n{realms}")).unwrap();
    let keytab = format!("FILE:{}", keytab.display());
    let environment = [
        ("KRB5_CONFIG", configuration.display().to_string()),
        ("KRB5_KTNAME", keytab),
        // The others have none either: the same packet may come again.
        ("KRB5RCACHENAME", "none:".to_owned()),
    ];
    support::rerun(test, environment).unwrap();
}

fn with_verifiers(test: &str, part: u64, body: impl FnOnce(&mut Verifiers, &mut Dice)) {
    let folder = tempfile::tempdir().unwrap();
    // The same inside and outside: it follows from constants.
    let (keytab, keys) = keytab(folder.path());
    inside(test, REALM, "", &keytab, || {
        let seed = std::env::var("ZEPHYR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5EED_u64 + part);
        println!("ZEPHYR_SEED={seed}");
        pure::quiet_panics();
        let keys = keys.into_iter().map(|key| (KVNO, key)).collect();
        let service = Service { realm: REALM.to_owned(), keys, skew: 300 };
        body(&mut Verifiers::new(&keytab, service), &mut Dice(seed));
    });
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// One draft for each pair of enctypes.
fn drafts(keys: &[Secret], now: u64) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (number, service) in (1..).zip(keys) {
        for enctype in ENCTYPES {
            drafts.push(Draft::good(service.clone(), Secret::of(enctype, number * 10), now));
        }
    }
    drafts
}

fn mutate(verifiers: &mut Verifiers, dice: &mut Dice, count: usize) {
    let keys: Vec<Secret> = verifiers.service.keys.iter().map(|(_, key)| key.clone()).collect();
    let (mut now, mut drafted, mut requests) = (0, Vec::new(), Vec::new());
    for number in 0..count {
        // What was made a while ago would be refused by everybody for its age.
        if seconds_now() > now + 60 {
            now = seconds_now();
            drafted = drafts(&keys, now);
            requests = drafted.iter().map(Draft::request).collect();
            for (draft, request) in drafted.iter().zip(&requests) {
                assert!(verifiers.ask(&draft.packet(request), "a good packet", Contents::Usual));
            }
        }
        let number_of_draft = dice.below(drafted.len());
        let (mut draft, good): (Draft, &Vec<u8>) = (drafted[number_of_draft].clone(), &requests[number_of_draft]);
        let mut contents = Contents::Usual;
        let packet = match dice.below(8) {
            // Octets of the packet as it is sent.
            0 => mutated(dice, &draft.packet(good)),
            // Octets of the AP-REQ, in a packet around it that is right.
            1 | 2 => draft.packet(&mutated(dice, good)),
            // Octets of what is encrypted, by somebody who has the keys.
            3 => {
                let (mut ticket, mut authenticator) = (draft.ticket.build(), draft.authenticator.build());
                match dice.below(2) {
                    0 => ticket = mutated(dice, &ticket),
                    _ => authenticator = mutated(dice, &authenticator),
                }
                contents = Contents::Mutated;
                draft.packet(&draft.request_of(draft.encrypted_ticket(&ticket), &authenticator).build())
            }
            // One's ticket with another's authenticator.
            4 => {
                let other = dice.one_of(&drafted);
                let ticket = draft.encrypted_ticket(&draft.ticket.build());
                let request = other.request_of(ticket, &other.authenticator.build()).build();
                draft.packet(&request)
            }
            _ => {
                for _ in 0..=dice.below(2) {
                    if misdrafted(dice, &mut draft, now) {
                        contents = Contents::WithSubkey;
                    }
                }
                let session = draft.session.clone();
                let key = &draft.ticket.key;
                let request = draft.request();
                draft.session = Secret { enctype: key.keytype, octets: key.keyvalue.clone() };
                let packet = draft.packet(&request);
                draft.session = session;
                packet
            }
        };
        verifiers.ask(&packet, &format!("mutation {number}"), contents);
    }
    println!("{:#?}", verifiers.verdicts);
}

#[test]
fn all_agree_about_mutated_packets_one_half() {
    with_verifiers("all_agree_about_mutated_packets_one_half", 1, |verifiers, dice| {
        mutate(verifiers, dice, MUTATED / 2)
    });
}

#[test]
fn all_agree_about_mutated_packets_other_half() {
    with_verifiers("all_agree_about_mutated_packets_other_half", 2, |verifiers, dice| {
        mutate(verifiers, dice, MUTATED / 2);
        // All that can be said was said.
        for verdict in ["authentic", "skew", "ticket's times", "not yet validated", "the way"] {
            assert!(verifiers.verdicts.contains_key(verdict), "nobody ever said: {verdict}");
        }
    });
}

/// What C programs have really sent; the clocks may be far apart, as that was some time ago.
#[test]
fn all_agree_about_the_golden_vectors() {
    const FAR: i64 = 300_000_000;
    let folder = tempfile::tempdir().unwrap();
    let vectors = vectors::vectors();
    let keytab = vectors::keytab(folder.path(), &vectors.service_keys);
    let settings = format!("clockskew = {FAR}");
    inside("all_agree_about_the_golden_vectors", vectors::REALM, &settings, &keytab, || {
        let secret = |enctype, hex: &str| Secret { enctype, octets: vectors::unhex(hex) };
        let keys = vectors.service_keys.iter();
        let keys = keys.map(|key| (key.kvno.into(), secret(key.enctype.into(), &key.key_hex))).collect();
        let service = Service { realm: vectors::REALM.to_owned(), keys, skew: FAR };
        let mut verifiers = Verifiers::new(&keytab, service);
        let from_clients = vectors.vectors.iter().filter(|vector| vector.is_from_client());
        let mut authentic = 0;
        for vector in from_clients.filter(|vector| ![16, 23].contains(&vector.enctype)) {
            authentic += u32::from(verifiers.ask(&vectors::unhex(&vector.packet_hex), &vector.name, Contents::Usual));
        }
        println!("{:#?}", verifiers.verdicts);
        assert!(authentic >= 16, "{authentic}");
    });
}
