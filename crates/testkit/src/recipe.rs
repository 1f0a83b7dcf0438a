//! The options of a test realm, and the parameters of the recipe in `tests/kdc`.

use std::{
    net::SocketAddrV4,
    path::{Path, PathBuf},
    time::Duration,
};

/// The options of a test realm. Start from [`RealmOptions::default`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmOptions {
    /// Name of the realm.
    pub realm: String,
    /// DNS domain that belongs to the realm; the realm in lower case when not given.
    pub domain: Option<String>,
    /// Whether tickets for the Zephyr service carry a PAC, as an MIT KDC's do by default.
    pub pac: bool,
    /// Which keys principals have.
    pub keys: Keys,
    /// Session key types that the Zephyr service accepts, when not simply those of its keys.
    pub session_enctypes: Vec<String>,
    /// Whether des3 and rc4 are allowed as well.
    pub weak: bool,
    /// The longest life of a ticket (whole seconds).
    pub max_life: Duration,
    /// The names of users; each has a keytab, and the name as password.
    pub people: Vec<String>,
    /// More principals with a random key; see [`crate::realm::Realm::keytab`].
    pub principals: Vec<String>,
    /// Settings (sections of a krb5.conf) that win over the realm's own, for its KDC as well.
    pub settings: String,
}

impl Default for RealmOptions {
    fn default() -> Self {
        Self {
            realm: "ZEPHYR.TEST".to_owned(),
            domain: None,
            pac: true,
            keys: Keys::Default,
            session_enctypes: Vec::new(),
            weak: false,
            max_life: Duration::from_secs(10 * 3600),
            people: ["alice", "bob", "carol"].map(str::to_owned).to_vec(),
            principals: Vec::new(),
            settings: String::new(),
        }
    }
}

/// The key types of every principal of a realm, and so of session keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// AES with SHA-1, 256 and 128 bits: what the C programs can use.
    Default,
    /// AES with SHA-2 (RFC 8009) alone: unknown to the C programs.
    Sha2Only,
    /// These, most wanted first, by MIT's names.
    These(Vec<String>),
}

impl Keys {
    fn enctypes(&self) -> String {
        match self {
            Self::Default => "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96".to_owned(),
            Self::Sha2Only => "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128".to_owned(),
            Self::These(names) => names.join(" "),
        }
    }
}

/// One realm to be made: the parameters of `tests/kdc/entrypoint.sh`.
#[derive(Debug)]
pub(crate) struct Recipe {
    environment: Vec<(&'static str, String)>,
}

impl Recipe {
    /// For a realm with its files in `folder` and its KDC at `kdc`.
    pub(crate) fn new(options: &RealmOptions, folder: &Path, kdc: SocketAddrV4) -> Self {
        let yes_no = |yes, no, value| if value { yes } else { no };
        let mut environment = vec![
            ("DATA", folder.display().to_string()),
            ("REALM", options.realm.clone()),
            ("LISTEN", kdc.ip().to_string()),
            ("PORT", kdc.port().to_string()),
            ("PAC", yes_no("on", "off", options.pac).to_owned()),
            ("ENCTYPES", options.keys.enctypes()),
            ("SESSION_ENCTYPES", options.session_enctypes.join(" ")),
            ("WEAK", yes_no("yes", "no", options.weak).to_owned()),
            ("MAXLIFE", format!("{}s", options.max_life.as_secs())),
            ("USERS", options.people.join(" ")),
            ("PRINCIPALS", options.principals.join(" ")),
            ("LIFELINE", "stdin".to_owned()),
        ];
        let domain = options.domain.clone().unwrap_or_else(|| options.realm.to_lowercase());
        environment.push(("DOMAIN", domain));
        Self { environment }
    }

    /// The parameters as environment variables.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The directory with the recipe.
    pub(crate) fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kdc")
    }
}
