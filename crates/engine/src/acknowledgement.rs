//! Acknowledgements, which repeat the header of what they answer (wire format, section 6).

use bytes::Bytes;
use zephyr_core::{
    limits::Limits,
    notice::{Claim, Notice},
};

/// The packet of an answer that repeats a received header: `answer` has its kind and body already, `claim` is what the
/// answered packet claimed.
///
/// A header that has become too long for a packet first loses the authenticator, then the texts that nobody matches
/// answers by. `None` when even that does not fit.
pub(crate) fn acknowledgement(answer: &Notice<'_>, claim: &Claim<'_>) -> Option<Bytes> {
    let answer = Notice { multinotice: b"", ..*answer };
    let claim = claim.echoed();
    let unproven = Claim { authent_len: 0, authenticator: b"", ..claim };
    let bare = Notice { class: b"", instance: b"", opcode: b"", default_format: b"", ..answer };
    let write = |notice: &Notice<'_>, claim: &Claim<'_>| notice.write(claim, Limits::WHOLE_PACKET).ok();
    write(&answer, &claim).or_else(|| write(&answer, &unproven)).or_else(|| write(&bare, &unproven))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_core::{kind::Kind, notice::Packet};

    fn answered(class: &[u8], authenticator: &[u8]) -> (usize, usize, Vec<u8>) {
        let notice = Notice {
            kind: Kind::ServAck,
            class,
            sender: b"alice@R",
            multinotice: b"0/9",
            body: b"SENT\0",
            ..Notice::EMPTY
        };
        let claim = Claim { auth: 1, authent_len: 7, authenticator, checksum: b"Zsum" };
        let octets = acknowledgement(&notice, &claim).expect("fits");
        let packet = Packet::parse(&octets).expect("well-formed");
        assert_eq!(
            (packet.notice.sender, packet.notice.multinotice, packet.notice.body),
            (&b"alice@R"[..], &b""[..], &b"SENT\0"[..])
        );
        assert_eq!((packet.claim.auth, packet.claim.checksum), (1, Claim::NO_CHECKSUM));
        assert!(octets.len() <= 1024);
        (packet.notice.class.len(), packet.claim.authenticator.len(), octets.to_vec())
    }

    #[test]
    fn what_does_not_fit_goes_in_order_of_worth() {
        assert_eq!(answered(&[b'c'; 100], &[b'Z'; 500]).0, 100);
        assert_eq!(answered(&[b'c'; 100], &[b'Z'; 500]).1, 500);
        let (class, authenticator, _) = answered(&[b'c'; 400], &[b'Z'; 500]);
        assert_eq!((class, authenticator), (400, 0), "the authenticator goes first");
        let (class, authenticator, _) = answered(&[b'c'; 1000], &[b'Z'; 5]);
        assert_eq!((class, authenticator), (0, 0), "then the class");
    }

    #[test]
    fn what_cannot_fit_is_not_sent() {
        let notice = Notice { sender: &[b's'; 1100], ..Notice::EMPTY };
        assert_eq!(acknowledgement(&notice, &Claim::NONE), None);
    }
}
