//! Connections between servers of one realm: what both ends say is decoded strictly here before libkrb5 sees it (server to
//! server, section 3.2).

use crate::{
    apreq,
    binding::{Association, MemoryKeytab, Part},
    enctype::Permitted,
    error::{self, Error},
    ticket::ServiceTicket,
};
use rasn::{Decode, Encode};
use rasn_kerberos::{ApRep, KrbPriv};
use std::sync::Arc;
use zephyr_core::{
    auth::{AuthError, Channel, Ends, MAX_RECORD, MAX_SEALED_RECORD, MAX_TOKEN, PendingChannel},
    time::Now,
};

/// Kerberos version 5, and the numbers of two of its messages.
const VERSION: i128 = 5;
const AP_REP: i128 = 15;
const KRB_PRIV: i128 = 21;

/// Maximum characters of another's name in a message.
const MAX_SHOWN_NAME: usize = 200;

/// A connection of ours that waits for the answer.
pub(crate) struct KerberosPending {
    association: Association,
    permitted: Arc<Permitted>,
}

impl KerberosPending {
    /// Begins a connection with this ticket: the AP-REQ, and what waits for the answer.
    pub(crate) fn begin(
        ticket: &ServiceTicket,
        permitted: Arc<Permitted>,
        ends: Ends,
        now: Now,
    ) -> Result<(Vec<u8>, Self), AuthError> {
        let mut association = Association::new(Part::Connector, ends).map_err(error::ours)?;
        let realm = String::from_utf8_lossy(&ticket.realm).into_owned();
        let request = association.request(ticket, now.wall).map_err(error::in_realm(&realm))?;
        Ok((within("AP-REQ", request, MAX_TOKEN)?, Self { association, permitted }))
    }
}

impl PendingChannel for KerberosPending {
    fn finish(mut self: Box<Self>, answer: &[u8]) -> Result<Box<dyn Channel>, AuthError> {
        inspect_answer(answer)?;
        self.association.finish(answer).map_err(error::ours)?;
        Ok(Box::new(KerberosChannel::new(self.association, &self.permitted)?))
    }
}

/// Accepts a connection of the service of `realm` with itself: the AP-REP, and the channel.
pub(crate) fn accept(
    request: &[u8],
    realm: &str,
    keytab: &MemoryKeytab,
    permitted: &Permitted,
    ends: Ends,
    now: Now,
) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
    let enctypes = apreq::inspect_mutual(request, realm.as_bytes()).map_err(|refusal| refused(&refusal.to_string()))?;
    let refusal = permitted.refusal("the ticket", enctypes.ticket);
    if let Some(refusal) = refusal.or_else(|| permitted.refusal("the session key", enctypes.session)) {
        return Err(refused(&refusal));
    }
    let mut association = Association::new(Part::Acceptor, ends).map_err(error::ours)?;
    let accepted = association.accept(request, realm.as_bytes(), keytab, now).map_err(error::ours)?;
    // A ticket for the service proves that its owner is somebody, not that he is the service.
    if !accepted.is_service {
        let client = String::from_utf8_lossy(&accepted.client);
        let shown: String = client.escape_debug().take(MAX_SHOWN_NAME).collect();
        return Err(refused(&format!("it is {shown}, not zephyr/zephyr@{realm}")));
    }
    if let Some(refusal) = accepted.way.refusal(true) {
        return Err(refused(refusal));
    }
    let answer = within("AP-REP", association.answer().map_err(error::ours)?, MAX_TOKEN)?;
    Ok((answer, Box::new(KerberosChannel::new(association, permitted)?)))
}

/// A connection whose ends have proven themselves.
struct KerberosChannel {
    /// Gone after the first error.
    association: Option<Association>,
}

impl KerberosChannel {
    fn new(association: Association, permitted: &Permitted) -> Result<Self, AuthError> {
        for enctype in association.enctypes().map_err(error::ours)? {
            if let Some(refusal) = permitted.refusal("the key of the connection", enctype) {
                return Err(refused(&refusal));
            }
        }
        Ok(Self { association: Some(association) })
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Association) -> Result<T, AuthError>) -> Result<T, AuthError> {
        let association = self.association.as_mut();
        let outcome = association.map_or_else(|| Err(refused("an error before was its end")), step);
        if outcome.is_err() {
            self.association = None;
        }
        outcome
    }
}

impl Channel for KerberosChannel {
    fn seal(&mut self, record: &[u8]) -> Result<Vec<u8>, AuthError> {
        self.step(|association| {
            at_most("a record", record, MAX_RECORD)?;
            within("KRB-PRIV", association.seal(record).map_err(error::ours)?, MAX_SEALED_RECORD)
        })
    }

    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, AuthError> {
        self.step(|association| {
            inspect_record(sealed)?;
            within("a record", association.open(sealed).map_err(error::ours)?, MAX_RECORD)
        })
    }
}

/// Refuses what is no AP-REP.
pub(crate) fn inspect_answer(octets: &[u8]) -> Result<(), AuthError> {
    let shape = |reply: &ApRep| reply.pvno == VERSION.into() && reply.msg_type == AP_REP.into();
    inspect("AP-REP", octets, MAX_TOKEN, shape)
}

/// Refuses what is no KRB-PRIV.
pub(crate) fn inspect_record(octets: &[u8]) -> Result<(), AuthError> {
    let shape = |message: &KrbPriv| message.pvno == VERSION.into() && message.msg_type == KRB_PRIV.into();
    inspect("KRB-PRIV", octets, MAX_SEALED_RECORD, shape)
}

/// Refuses what is not a message of this kind in its one canonical form.
fn inspect<M: Decode + Encode>(
    what: &str,
    octets: &[u8],
    max_len: usize,
    has_shape: impl FnOnce(&M) -> bool,
) -> Result<(), AuthError> {
    at_most(what, octets, max_len)?;
    let message: M = rasn::der::decode(octets).map_err(|_| refused(&format!("no {what}")))?;
    if rasn::der::encode(&message).ok().as_deref() != Some(octets) {
        return Err(refused(&format!("{what} is not in canonical form")));
    }
    if has_shape(&message) { Ok(()) } else { Err(refused(&format!("no {what} of Kerberos {VERSION}"))) }
}

fn at_most(what: &str, octets: &[u8], max_len: usize) -> Result<(), AuthError> {
    if octets.len() <= max_len {
        return Ok(());
    }
    Err(refused(&format!("{what} has {} octets, not at most {max_len}", octets.len())))
}

fn within(what: &str, octets: Vec<u8>, max_len: usize) -> Result<Vec<u8>, AuthError> {
    at_most(what, &octets, max_len)?;
    Ok(octets)
}

fn refused(reason: &str) -> AuthError {
    error::ours(Error::invalid(reason))
}
