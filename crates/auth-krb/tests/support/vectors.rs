//! The golden vectors of the authentication protocol, made with the C library.

use serde::Deserialize;
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{notice::Packet, time::Now};

/// Their realm.
pub(crate) const REALM: &str = "ATHENA.TEST";
#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) service_keys: Vec<ServiceKey>,
    pub(crate) vectors: Vec<Vector>,
}

#[derive(Deserialize)]
pub(crate) struct ServiceKey {
    pub(crate) kvno: u8,
    pub(crate) enctype: u16,
    pub(crate) key_hex: String,
}

#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) direction: String,
    pub(crate) enctype: i32,
    pub(crate) key_usage: i32,
    pub(crate) session_key_hex: String,
    pub(crate) packet_hex: String,
    pub(crate) parse: String,
    pub(crate) expect: String,
}

impl Vector {
    pub(crate) fn is_from_client(&self) -> bool {
        self.direction == "client-to-server"
    }
}

pub(crate) fn vectors() -> Vectors {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/data/auth.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A keytab file in the format 0x0502.
pub(crate) fn keytab(folder: &Path, keys: &[ServiceKey]) -> PathBuf {
    let length_prefixed = |octets: &[u8]| [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat();
    let mut file = vec![5, 2];
    for key in keys {
        let entry = [
            &2_u16.to_be_bytes()[..],
            &length_prefixed(REALM.as_bytes()),
            &length_prefixed(b"zephyr"),
            &length_prefixed(b"zephyr"),
            &1_u32.to_be_bytes(),
            &0_u32.to_be_bytes(),
            &[key.kvno],
            &key.enctype.to_be_bytes(),
            &length_prefixed(&unhex(&key.key_hex)),
        ]
        .concat();
        file.extend(i32::try_from(entry.len()).unwrap().to_be_bytes());
        file.extend(entry);
    }
    let path = folder.join("keytab");
    fs::write(&path, file).unwrap();
    path
}

/// The moment at which a packet was made, by its uid.
pub(crate) fn made_at(packet: &Packet<'_>) -> Now {
    later(packet, Duration::ZERO)
}

pub(crate) fn later(packet: &Packet<'_>, by: Duration) -> Now {
    let uid = packet.notice.uid;
    assert_ne!(uid.address, Ipv4Addr::UNSPECIFIED);
    Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH + Duration::new(u64::from(uid.seconds), uid.micros * 1000) + by }
}
