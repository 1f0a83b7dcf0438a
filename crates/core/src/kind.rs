//! The kind of a notice (wire format, section 5).

use std::fmt;

/// The kind of a packet in the exchange between client, host manager and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Sent once; nobody acknowledges it.
    Unsafe,
    /// The host manager acknowledges it and carries it to the server.
    Unacked,
    /// The host manager acknowledges it, and so does the server.
    Acked,
    /// A host manager's acknowledgement: "queued here".
    HmAck,
    /// Control traffic between host manager and server.
    HmCtl,
    /// The server's answer: done.
    ServAck,
    /// The server's answer: refused.
    ServNak,
    /// A client's acknowledgement of a delivered packet.
    ClientAck,
    /// A statistics query to the host manager.
    Stat,
    /// A number that the protocol does not define.
    Other(u32),
}

impl Kind {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::Unsafe => 0,
            Self::Unacked => 1,
            Self::Acked => 2,
            Self::HmAck => 3,
            Self::HmCtl => 4,
            Self::ServAck => 5,
            Self::ServNak => 6,
            Self::ClientAck => 7,
            Self::Stat => 8,
            Self::Other(number) => number,
        }
    }

    /// True for the kinds that only answer another packet: a client never acknowledges them.
    pub const fn is_acknowledgement(self) -> bool {
        matches!(self, Self::HmAck | Self::ServAck | Self::ServNak | Self::ClientAck)
    }

    /// True for the kinds that a host manager acknowledges with [`Kind::HmAck`].
    pub const fn wants_hmack(self) -> bool {
        matches!(self, Self::Unacked | Self::Acked)
    }
}

impl From<u32> for Kind {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Unsafe,
            1 => Self::Unacked,
            2 => Self::Acked,
            3 => Self::HmAck,
            4 => Self::HmCtl,
            5 => Self::ServAck,
            6 => Self::ServNak,
            7 => Self::ClientAck,
            8 => Self::Stat,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsafe => "UNSAFE",
            Self::Unacked => "UNACKED",
            Self::Acked => "ACKED",
            Self::HmAck => "HMACK",
            Self::HmCtl => "HMCTL",
            Self::ServAck => "SERVACK",
            Self::ServNak => "SERVNAK",
            Self::ClientAck => "CLIENTACK",
            Self::Stat => "STAT",
            Self::Other(number) => return write!(f, "kind {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_are_one_to_one() {
        for number in 0..20 {
            assert_eq!(Kind::from(number).number(), number);
        }
        assert_eq!(Kind::from(u32::MAX), Kind::Other(u32::MAX));
    }
}
