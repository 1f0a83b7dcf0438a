//! Test cases of authenticated packets.

use super::{Outcome, octets::Hex, packets::result_of, with_quirk};
use serde::Deserialize;
use std::sync::Arc;
use zephyr_auth_krb::KeySession;
use zephyr_core::{
    auth::{Direction, Session},
    notice::Packet,
};

/// Encryption types that a Kerberos library may refuse to work with.
const WEAK: [i32; 2] = [16, 23];

const USAGE_TO_SERVER: u32 = 1027;
const USAGE_TO_CLIENT: u32 = 1029;

#[derive(Deserialize)]
pub(super) struct Case {
    enctype: i32,
    key_usage: u32,
    session_key_hex: Hex,
    packet_hex: Hex,
    covered_len: usize,
    parse: String,
    expect: String,
    quirk: Option<String>,
}

impl Case {
    pub(super) fn run(&self) -> Outcome {
        let session = match key(self.enctype, &self.session_key_hex) {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        let packet = match Packet::parse(&self.packet_hex.0) {
            Ok(packet) => packet,
            // What cannot be read proves nothing.
            Err(error) => {
                return Outcome::first([
                    Outcome::compare("result", &self.parse.as_str(), &result_of(&error)),
                    Outcome::compare("verdict", &self.expect.as_str(), &"invalid"),
                ]);
            }
        };
        let direction = match self.key_usage {
            USAGE_TO_SERVER => Direction::ToServer,
            USAGE_TO_CLIENT => Direction::ToClient,
            other => return Outcome::Failed(format!("unknown key usage {other}")),
        };
        let covered = packet.covered().map_or(0, |parts| parts.iter().map(|part| part.len()).sum());
        let valid = session.check(&packet, direction);
        let outcome = Outcome::first([
            Outcome::compare("result", &self.parse.as_str(), &"ZERR_NONE"),
            Outcome::compare("covered octets", &self.covered_len, &covered),
            Outcome::compare("verdict", &self.expect.as_str(), &if valid { "valid" } else { "invalid" }),
        ]);
        with_quirk(self.quirk.as_deref(), !valid, outcome)
    }
}

/// The session that has this key, or why there can be none.
pub(super) fn key(enctype: i32, octets: &Hex) -> Result<Arc<dyn Session>, Outcome> {
    match KeySession::from_raw(enctype, &octets.0) {
        Ok(session) => Ok(Arc::new(session)),
        Err(error) if WEAK.contains(&enctype) => {
            Err(Outcome::Skipped(format!("this machine's Kerberos library refuses encryption type {enctype}: {error}")))
        }
        Err(error) => Err(Outcome::Failed(format!("no session of encryption type {enctype}: {error}"))),
    }
}
