//! A verifier in safe Rust that shares no line with libkrb5, and with the crate under test only the ciphers. Its ASN.1 is
//! another crate's.

use super::forge::Secret;
use kerberos_asn1::{ApReq, Asn1Object, Authenticator, EncTicketPart, PrincipalName};
use std::panic;
use zephyr_auth_krb::{Enctype, internals::decrypt};

/// What an AP-REQ proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) client: String,
    pub(crate) session: Secret,
}

/// Said of packets about which the next second would decide otherwise: not all see the same second.
pub(crate) const EDGE: &str = "on the edge";

const INVALID: u32 = 1 << (31 - 7);
const TRANSIT_POLICY_CHECKED: u32 = 1 << (31 - 12);

/// Says nothing of the panics that the other decoder is known for.
pub(crate) fn quiet_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.location().is_none_or(|place| {
            ["/chrono-", "/red_asn1-", "/kerberos_asn1-"].iter().all(|other| !place.file().contains(other))
        }) {
            usual(info);
        }
    }));
}

/// Reads all of it, written the one way there is.
fn exactly<T: Asn1Object>(octets: &[u8]) -> Result<T, &'static str> {
    // This decoder panics at some dates that there are not.
    let parsed = panic::catch_unwind(|| {
        let (rest, read) = T::parse(octets).ok()?;
        (rest.is_empty() && read.build() == octets).then_some(read)
    });
    parsed.ok().flatten().ok_or("not canonical")
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn text(name: &PrincipalName, realm: &str) -> String {
    let escaped = |part: &String| {
        part.chars().fold(String::new(), |text, c| match c {
            '/' | '@' | '\\' => text + "\\" + &c.to_string(),
            '\n' => text + "\\n",
            '\t' => text + "\\t",
            '\u{8}' => text + "\\b",
            '\0' => text + "\\0",
            c => text + &c.to_string(),
        })
    };
    format!("{}@{realm}", name.name_string.iter().map(escaped).collect::<Vec<_>>().join("/"))
}

/// Whether all of these realms, a list with commas, are above the client's realm or ours, or these themselves. The other ways
/// to write a list are left out.
fn is_on_the_way(list: &[u8], client: &str, ours: &str) -> bool {
    let above = |realm: &str| -> Vec<String> {
        let starts = std::iter::once(0).chain(realm.match_indices('.').map(|(at, _)| at + 1));
        starts.map(|start| realm[start..].to_owned()).collect()
    };
    let way = [above(client), above(ours)].concat();
    // To one's own realm there is no way.
    client != ours && String::from_utf8_lossy(list).split(',').all(|realm| way.iter().any(|known| known == realm))
}

/// Whether the ticket is of a client of our realm, or a list of realms that nobody has read: then libkrb5 is not all there is
/// to ask.
pub(crate) fn comes_round(request: &[u8], service: &Service) -> bool {
    let inside = || {
        let ticket = exactly::<ApReq>(request).ok()?.ticket.enc_part;
        let keys = service.keys.iter().filter(|(_, key)| key.enctype == ticket.etype);
        let mut opened = keys.filter_map(|(_, key)| decrypt(ticket.etype, &key.octets, 2, &ticket.cipher));
        exactly::<EncTicketPart>(&opened.next()?).ok()
    };
    inside().is_some_and(|inside| {
        let list = &inside.transited.contents;
        let is_checked = *inside.flags & TRANSIT_POLICY_CHECKED != 0;
        let is_legible = inside.transited.tr_type == 1 && list.first() != Some(&0);
        list.iter().any(|&octet| octet != 0) && (inside.crealm == service.realm || !is_legible && !is_checked)
    })
}

/// What a service has.
pub(crate) struct Service {
    pub(crate) realm: String,
    /// Its keys, each with its version.
    pub(crate) keys: Vec<(u32, Secret)>,
    /// The seconds that clocks may be apart.
    pub(crate) skew: i64,
}

/// Judges an AP-REQ that arrives at `now`.
pub(crate) fn verify(request: &[u8], service: &Service, now: i64) -> Result<Proof, &'static str> {
    let permitted = |enctype| Enctype::DEFAULT.iter().any(|known| known.number() == enctype);
    let request: ApReq = exactly(request)?;
    let ticket = &request.ticket;
    ensure(request.pvno == 5 && request.msg_type == 14 && ticket.tkt_vno == 5, "no AP-REQ")?;
    ensure(*request.ap_options == 0, "options")?;
    ensure(ticket.realm == service.realm && ticket.sname.name_string == ["zephyr", "zephyr"], "another service")?;
    let (etype, kvno) = (ticket.enc_part.etype, ticket.enc_part.kvno.unwrap_or(0));
    ensure(permitted(etype) && permitted(request.authenticator.etype), "enctype")?;
    let is_meant = |(version, key): &&(u32, Secret)| key.enctype == etype && (kvno == 0 || kvno == *version);
    let (_, key) = service.keys.iter().filter(is_meant).max_by_key(|(version, _)| *version).ok_or("no key")?;

    let inside = decrypt(etype, &key.octets, 2, &ticket.enc_part.cipher).ok_or("ticket changed")?;
    let inside: EncTicketPart = exactly(&inside)?;
    let session = Secret { enctype: inside.key.keytype, octets: inside.key.keyvalue.clone() };
    ensure(permitted(session.enctype), "session enctype")?;
    ensure(session.enctype == request.authenticator.etype, "authenticator of another type")?;
    let maker = decrypt(session.enctype, &session.octets, 11, &request.authenticator.cipher);
    let maker: Authenticator = exactly(&maker.ok_or("authenticator changed")?)?;
    ensure(maker.crealm == inside.crealm && maker.cname.name_string == inside.cname.name_string, "another client")?;
    ensure(maker.authenticator_vno == 5, "authenticator version")?;
    let checked = *inside.flags & TRANSIT_POLICY_CHECKED != 0;
    let way = (checked, inside.transited.contents.as_slice());
    ensure(
        matches!(way, (true, _) | (_, [] | [0, ..])) || is_on_the_way(way.1, &inside.crealm, &service.realm),
        "the way",
    )?;
    let starts = inside.starttime.unwrap_or(inside.authtime).timestamp();
    ensure(*inside.flags & INVALID == 0, "not yet validated")?;
    let ends = inside.endtime.timestamp();
    let margins =
        [service.skew - (now - maker.ctime.timestamp()).abs(), now + service.skew - starts, ends + service.skew - now];
    ensure(margins.iter().all(|margin| margin.abs() > 2), EDGE)?;
    ensure(margins[0] >= 0, "skew")?;
    ensure(margins[1] >= 0 && margins[2] >= 0, "ticket's times")?;
    Ok(Proof { client: text(&inside.cname, &inside.crealm), session })
}
