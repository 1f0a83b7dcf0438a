//! Size limits of the protocol, in octets unless said otherwise (wire format, section 2.1).

/// The largest datagram; receivers cut off what is longer.
pub const MAX_PACKET: usize = 1024;
/// The largest header that C programs write, and so the largest that they can acknowledge.
pub const MAX_HEADER: usize = 832;
/// The longest folded form of a class or an instance: no header could hold a longer name.
pub const MAX_FOLDED_NAME: usize = MAX_PACKET;
/// Octets a fragment leaves free for fields that grow on the way.
pub const FRAGMENT_FUDGE: usize = 13;
/// Header fields beyond the known ones that are kept; further ones are counted and skipped.
pub const MAX_OTHER_FIELDS: usize = 10;
/// The largest notice, over all its fragments, that a receiver accepts.
pub const MAX_NOTICE: usize = 400_000;
/// Octets of bodies that a receiving program holds before it drops new notices.
pub const MAX_QUEUED: usize = 1_500_000;

/// How long a formatted notice may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of header, the last NUL included.
    pub header: usize,
    /// Octets of header and body together.
    pub packet: usize,
}

impl Limits {
    /// The limits that every program on the way can handle.
    pub const COMPATIBLE: Self = Self { header: MAX_HEADER, packet: MAX_PACKET };
    /// The whole datagram for the header: a server towards a client, and programs of this project among themselves.
    pub const WHOLE_PACKET: Self = Self { header: MAX_PACKET, packet: MAX_PACKET };
}
