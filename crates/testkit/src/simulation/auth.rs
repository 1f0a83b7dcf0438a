//! An authentication backend without a KDC: tickets that end, authenticators, and checksums with real keys.
//!
//! The key of a session follows from the service's key and from what the authenticator says of the ticket. So an acceptor
//! needs nothing but the service's key, and nobody else can make an authenticator.

use super::mutant::Mutant;
use bytes::Bytes;
use ring::hmac;
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Identity, Judgement, Lifetime, Reason, Session, SessionKey, Verdict},
    coding::zcode,
    limits::{Limits, MAX_PACKET},
    notice::{Notice, Packet},
    time::Now,
};

/// How far the clocks of a client and a server may be apart.
const CLOCK_SKEW: u64 = 300;
/// Octets of a checksum.
const CHECKSUM_LEN: usize = 16;
/// Numbers at the beginning of an authenticator, of eight octets each: ticket, its end, the moment in microseconds, how many
/// there were before.
const NUMBERS: usize = 4;
/// Numbers at the beginning of a key that is handed on: ticket, and its end.
const KEY_NUMBERS: usize = 2;
/// The type of a key that is handed on.
const KEY_KIND: i32 = 1;

/// The key distribution centre of one realm, and what its servers know.
#[derive(Clone, Debug)]
pub struct Kdc {
    service: hmac::Key,
    tickets: u64,
    encrypts: bool,
    mutant: Option<Mutant>,
}

impl Kdc {
    /// Of a realm whose service has this key, and whose notices are encrypted or not.
    pub fn new(key: u64, encrypts: bool, mutant: Option<Mutant>) -> Self {
        Self { service: hmac::Key::new(hmac::HMAC_SHA256, &key.to_be_bytes()), tickets: 0, encrypts, mutant }
    }

    /// A new ticket of this principal, which is good until then.
    pub fn ticket(&mut self, principal: &[u8], ends: SystemTime) -> Arc<Ticket> {
        self.tickets += 1;
        Arc::new(self.known_ticket(principal, self.tickets, seconds(ends)))
    }

    fn known_ticket(&self, principal: &[u8], number: u64, ends: u64) -> Ticket {
        Ticket {
            key: self.session_key(principal, number, ends),
            principal: principal.into(),
            number,
            ends,
            made: AtomicU64::new(0),
            encrypts: self.encrypts,
            mutant: self.mutant,
        }
    }

    fn session_key(&self, principal: &[u8], number: u64, ends: u64) -> hmac::Key {
        let text = [principal, b"\0", &number.to_be_bytes(), &ends.to_be_bytes()].concat();
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.service, &text).as_ref())
    }

    /// The ticket whose [key](Session::key) this is: what is in it says which, and the service's key makes it again.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError> {
        let none = || AuthError::Backend("not a key of this realm".to_owned());
        let (numbers, principal) = key.octets.split_at_checked(KEY_NUMBERS * 8).ok_or_else(none)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        match *numbers {
            [number, ends] if key.kind == KEY_KIND => {
                let [number, ends] = [number, ends].map(u64::from_be_bytes);
                Ok(Arc::new(self.known_ticket(principal, number, ends)))
            }
            _ => Err(none()),
        }
    }

    fn read(&self, packet: &Packet<'_>, now: Now) -> Result<(Arc<Ticket>, Lifetime), Reason> {
        let malformed = || Reason::Malformed("not an authenticator".to_owned());
        let octets = zcode::decode(packet.claim.authenticator, MAX_PACKET).map_err(|_| malformed())?;
        let (numbers, principal) = octets.split_at_checked(NUMBERS * 8).ok_or_else(malformed)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let &[number, ends, moment, _] = numbers else { return Err(malformed()) };
        let [number, ends, moment] = [number, ends, moment].map(u64::from_be_bytes);
        let now = seconds(now.wall);
        let second = moment / 1_000_000;
        if ends < now {
            return Err(Reason::Refused("Ticket expired".to_owned()));
        }
        if second.abs_diff(now) > CLOCK_SKEW {
            return Err(Reason::Refused("Clock skew too great".to_owned()));
        }
        let made = UNIX_EPOCH + Duration::from_micros(moment);
        let lifetime = Lifetime { made, ends: made + Duration::from_secs(CLOCK_SKEW + 1) };
        Ok((Arc::new(self.known_ticket(principal, number, ends)), lifetime))
    }
}

impl Acceptor for Kdc {
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], now: Now) -> Result<Judgement, AuthError> {
        let failed = |reason| Ok(Judgement::bare(Verdict::Failed(reason)));
        let (ticket, lifetime) = match self.read(packet, now) {
            Ok(read) => read,
            Err(reason) => return failed(reason),
        };
        let opened = match ticket.open(packet, Direction::ToServer) {
            Some(Cow::Owned(body)) => Some(body.into()),
            Some(Cow::Borrowed(_)) => None,
            None if self.mutant == Some(Mutant::AcceptsEverything) => None,
            None => return failed(Reason::Checksum),
        };
        if *ticket.principal != *expected && self.mutant != Some(Mutant::AcceptsEverything) {
            return failed(Reason::WrongPrincipal);
        }
        Ok(Judgement { opened, ..Judgement::authentic(Identity::new(expected), ticket).within(lifetime) })
    }
}

/// A ticket with its session key.
pub struct Ticket {
    key: hmac::Key,
    principal: Box<[u8]>,
    number: u64,
    /// In seconds since 1970.
    ends: u64,
    /// Authenticators made so far, so that no two are the same.
    made: AtomicU64,
    encrypts: bool,
    mutant: Option<Mutant>,
}

impl Ticket {
    /// Whether it is good at this moment.
    pub fn is_good(&self, now: Now) -> bool {
        seconds(now.wall) <= self.ends
    }

    fn authenticator(&self, now: Now) -> Vec<u8> {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let numbers: [u64; NUMBERS] = [self.number, self.ends, micros(now.wall), made];
        let mut octets: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        octets.extend_from_slice(&self.principal);
        octets
    }

    fn checksum(&self, covered: [&[u8]; 3], direction: Direction) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(if direction == Direction::ToServer { b"to server" } else { b"to client" });
        covered.iter().for_each(|part| context.update(part));
        context.sign().as_ref().get(..CHECKSUM_LEN).unwrap_or_default().to_vec()
    }

    /// The body as it is encrypted, or what was encrypted. The checksum of what is in it makes it differ from any other.
    fn crypt(&self, checksum: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len());
        for (number, block) in (0_u64..).zip(body.chunks(32)) {
            let pad = hmac::sign(&self.key, &[checksum, b"body", &number.to_be_bytes()].concat());
            out.extend(block.iter().zip(pad.as_ref()).map(|(octet, pad)| octet ^ pad));
        }
        out
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} of {})", self.number, self.principal.escape_ascii())
    }
}

impl Session for Ticket {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, now: Now) -> Result<Bytes, AuthError> {
        let authenticator = if direction == Direction::ToServer {
            if !self.is_good(now) {
                return Err(AuthError::Expired);
            }
            self.authenticator(now)
        } else {
            Vec::new()
        };
        let text = if authenticator.is_empty() { Vec::new() } else { zcode::encoded(&authenticator) };
        let unsealed = notice.unsealed(authenticator.len(), &text)?;
        let checksum = self.checksum(unsealed.covered(), direction);
        if !self.encrypts {
            return Ok(unsealed.seal(&checksum, limits)?);
        }
        let body = self.crypt(&checksum, notice.body);
        let encrypted = Notice { body: &body, ..*notice };
        Ok(encrypted.unsealed(authenticator.len(), &text)?.seal(&checksum, limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        let claimed = zcode::decode(packet.claim.checksum, CHECKSUM_LEN).unwrap_or_default();
        let body = match self.encrypts {
            true => Cow::Owned(self.crypt(&claimed, packet.notice.body)),
            false => Cow::Borrowed(packet.notice.body),
        };
        let holds = |[head, tail, _]: [&[u8]; 3]| claimed == self.checksum([head, tail, &body], direction);
        let opens = self.mutant == Some(Mutant::OpensEverything) || packet.covered().is_some_and(holds);
        opens.then_some(body)
    }

    fn ends(&self) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(self.ends))
    }

    fn key(&self) -> Option<SessionKey> {
        let numbers: [u64; KEY_NUMBERS] = [self.number, self.ends];
        let mut octets: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        octets.extend_from_slice(&self.principal);
        Some(SessionKey { kind: KEY_KIND, octets: octets.into() })
    }
}

fn micros(moment: SystemTime) -> u64 {
    u64::try_from(moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    fn verdict(kdc: &Kdc, packet: &[u8], moment: u64) -> Verdict {
        kdc.judge(&Packet::parse(packet).unwrap(), b"alice@R", at(moment)).unwrap().verdict
    }

    #[test]
    fn only_the_ticket_of_the_sender_proves_a_notice_while_it_is_good() {
        proves(false);
    }

    #[test]
    fn what_is_encrypted_is_proven_as_well() {
        proves(true);
    }

    fn proves(encrypts: bool) {
        let mut kdc = Kdc::new(7, encrypts, None);
        let ticket = kdc.ticket(b"alice@R", at(5000).wall);
        let notice = Notice { class: b"c", sender: b"alice@R", body: b"hello", ..Notice::EMPTY };
        let seal =
            |session: &dyn Session, direction| session.seal(&notice, direction, Limits::COMPATIBLE, at(4900)).unwrap();
        let packet = seal(&*ticket, Direction::ToServer);
        assert!(verdict(&kdc, &packet, 4950).is_authentic());
        assert!(!verdict(&kdc, &packet, 5001).is_authentic(), "expired");
        assert!(!verdict(&kdc, &packet, 4500).is_authentic(), "clocks differ");
        assert!(!verdict(&Kdc::new(8, encrypts, None), &packet, 4950).is_authentic(), "another realm");
        assert_eq!(packet.ends_with(b"hello"), !encrypts);
        let changed = [packet.get(..packet.len() - 5).unwrap(), b"hullo"].concat();
        assert_eq!(verdict(&kdc, &changed, 4950), Verdict::Failed(Reason::Checksum));
        let other = kdc.ticket(b"bob@R", at(5000).wall);
        let stolen = seal(&*other, Direction::ToServer);
        assert_eq!(verdict(&kdc, &stolen, 4950), Verdict::Failed(Reason::WrongPrincipal));

        let judged = kdc.judge(&Packet::parse(&packet).unwrap(), b"alice@R", at(4950)).unwrap();
        assert_eq!(judged.opened.as_deref(), encrypts.then_some(&b"hello"[..]));
        let back = seal(&*judged.session.unwrap(), Direction::ToClient);
        let back = Packet::parse(&back).unwrap();
        assert!(ticket.check(&back, Direction::ToClient) && !other.check(&back, Direction::ToClient));
        assert!(!ticket.check(&back, Direction::ToServer));

        let again = kdc.restore(&ticket.key().unwrap()).unwrap();
        assert!(again.check(&Packet::parse(&packet).unwrap(), Direction::ToServer));
        let elsewhere = Kdc::new(8, encrypts, None).restore(&ticket.key().unwrap()).unwrap();
        assert!(!elsewhere.check(&Packet::parse(&packet).unwrap(), Direction::ToServer), "another realm's");
    }
}
