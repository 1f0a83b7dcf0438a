//! A hostile KDC of another realm: it has a key in common with ours, and writes into its tickets what it likes.

use super::forge::{Secret, moment, name};
use kerberos_asn1::{Asn1Object, EncTicketPart, EncryptedData, EncryptionKey, Ticket, TransitedEncoding};
use std::{fs, path::Path, process::Command};
use zephyr_testkit::realm::{Engine, Realm};

/// Its realm.
pub(crate) const EVIL: &str = "EVIL.TEST";

/// The ticket flag by which a KDC says that it has looked at the way.
pub(crate) const TRANSIT_POLICY_CHECKED: u32 = 1 << (31 - 12);
const PRE_AUTHENT: u32 = 1 << (31 - 10);
const FORWARDABLE: u32 = 1 << (31 - 1);

/// Octets that stand for any in a forged name, which the library of the forger wants to be UTF-8.
const NOT_UTF8: [(&[u8], &[u8]); 1] = [("\u{7f}\u{7f}".as_bytes(), b"\xff\xfe")];

/// A ticket-granting ticket for our realm, as that KDC writes it.
#[derive(Clone)]
pub(crate) struct Forgery<'a> {
    /// The realm of the client.
    pub(crate) realm: &'a str,
    /// The client's name in its parts; two DEL stand for octets that are no UTF-8.
    pub(crate) client: &'a [&'a str],
    /// The type of the list of realms on the way, and the list.
    pub(crate) transited: (i32, &'a [u8]),
    pub(crate) flags: u32,
}

impl Forgery<'_> {
    /// An honest one, for mallory of the KDC's own realm.
    pub(crate) const HONEST: Self = Self { realm: EVIL, client: &["mallory"], transited: (1, b""), flags: 0 };
}

/// Makes `realm` trust that KDC; the key that they have in common.
pub(crate) fn trusted_by(realm: &Realm) -> anyhow::Result<Secret> {
    let principal = format!("krbtgt/{}@{EVIL}", realm.name());
    let keytab = realm.folder().join("between.keytab");
    if realm.engine() == Engine::Heimdal {
        let kadmin = zephyr_testkit::heimdal::program("kadmin.heimdal")?;
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&kadmin);
            command.env("KRB5_CONFIG", realm.folder().join("heimdal.conf")).arg("-l").args(arguments);
            zephyr_testkit::process::run(command, std::time::Duration::from_secs(20))?.success().map(drop)
        };
        run(&["add", "--use-defaults", "--password=between", &principal])?;
        run(&["ext_keytab", "-k", &keytab.display().to_string(), &principal])?;
    } else {
        realm.kadmin(&format!("addprinc -pw between {principal}"))?;
        realm.kadmin(&format!("ktadd -norandkey -k {} {principal}", keytab.display()))?;
    }
    let mut command = realm.command("klist");
    command.arg("-keK").arg(&keytab);
    let keys = zephyr_testkit::process::run(command, std::time::Duration::from_secs(20))?.success()?.stdout;
    let line = keys.lines().find(|line| line.contains("aes256-cts-hmac-sha1-96")).unwrap_or_default();
    let hex = line.split("(0x").nth(1).and_then(|rest| rest.split(')').next());
    let octets = super::vectors::unhex(hex.ok_or_else(|| anyhow::anyhow!("no key of AES: {keys}"))?);
    Ok(Secret { enctype: 18, octets })
}

/// Writes a credential cache with the forgery as the client's ticket-granting ticket for `our_realm`.
pub(crate) fn write_cache(path: &Path, forgery: &Forgery<'_>, between: &Secret, our_realm: &str, now: u64) {
    let session = Secret::of(18, 77);
    let (transited_type, transited) = forgery.transited;
    let inside = EncTicketPart {
        flags: (forgery.flags | PRE_AUTHENT | FORWARDABLE).into(),
        key: EncryptionKey { keytype: session.enctype, keyvalue: session.octets.clone() },
        crealm: forgery.realm.into(),
        cname: name(forgery.client),
        transited: TransitedEncoding { tr_type: transited_type, contents: transited.to_vec() },
        authtime: moment(now - 60),
        starttime: Some(moment(now - 60)),
        endtime: moment(now + 3600),
        renew_till: None,
        caddr: None,
        authorization_data: None,
    };
    let cipher = between.encrypt(2, &made_odd(&inside.build()));
    let encrypted = EncryptedData { etype: between.enctype, kvno: Some(1), cipher };
    let ticket = Ticket::new(EVIL.into(), name(&["krbtgt", our_realm]), encrypted).build();

    let client = principal(forgery.realm, forgery.client);
    // Under this name the library looks for it; what it is for is in the ticket.
    let server = principal(forgery.realm, &["krbtgt", our_realm]);
    let seconds = |at: u64| u32::try_from(at).unwrap().to_be_bytes();
    let cache = [
        &[5, 4, 0, 0][..],
        &client,
        &client,
        &server,
        &u16::try_from(session.enctype).unwrap().to_be_bytes(),
        &counted(&session.octets),
        &[now - 60, now - 60, now + 3600, 0].map(seconds).concat(),
        // No key of somebody else's, flags, no addresses, no authorization data.
        &[0],
        &(PRE_AUTHENT | FORWARDABLE).to_be_bytes(),
        &[0; 8],
        &counted(&ticket),
        &counted(b""),
    ];
    fs::write(path, cache.concat()).unwrap();
}

/// The octets that this process' strings cannot hold.
pub(crate) fn made_odd(octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for (placeholder, meant) in NOT_UTF8 {
        while let Some(at) = octets.windows(placeholder.len()).position(|part| part == placeholder) {
            octets[at..at + meant.len()].copy_from_slice(meant);
        }
    }
    octets
}

fn counted(octets: &[u8]) -> Vec<u8> {
    [&u32::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
}

fn principal(realm: &str, parts: &[&str]) -> Vec<u8> {
    let head = [1, u32::try_from(parts.len()).unwrap()].map(u32::to_be_bytes).concat();
    let parts: Vec<u8> = parts.iter().flat_map(|part| counted(&made_odd(part.as_bytes()))).collect();
    [head, counted(realm.as_bytes()), parts].concat()
}
