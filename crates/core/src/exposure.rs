//! Exposure levels: who may know where a user is (server behaviour, section 6).

use std::fmt;

/// The exposure of a user's location. Each level is the opcode of the LOGIN notice that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exposure {
    /// Nobody; and no notices come either.
    None,
    /// The operators of the realm.
    OpStaff,
    /// Users of the realm who ask.
    RealmVisible,
    /// Users of the realm, who are told as well if they subscribed to that.
    RealmAnnounced,
    /// Everybody who asks; users of the realm are told, too.
    NetVisible,
    /// Everybody, told as well.
    NetAnnounced,
}

impl Exposure {
    /// All of them, the most private first.
    pub const ALL: [Self; 6] =
        [Self::None, Self::OpStaff, Self::RealmVisible, Self::RealmAnnounced, Self::NetVisible, Self::NetAnnounced];

    /// The exposure of this name, in any case: as people write it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exposure| exposure.name().eq_ignore_ascii_case(name))
    }

    /// The exposure that a LOGIN opcode asks for, compared octet for octet.
    pub fn from_opcode(opcode: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|exposure| exposure.name().as_bytes() == opcode)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::OpStaff => "OPSTAFF",
            Self::RealmVisible => "REALM-VISIBLE",
            Self::RealmAnnounced => "REALM-ANNOUNCED",
            Self::NetVisible => "NET-VISIBLE",
            Self::NetAnnounced => "NET-ANNOUNCED",
        }
    }

    /// Whether coming and going is told to those who subscribed. What is visible to the net is announced to the realm:
    /// so it has always been.
    pub const fn is_announced(self) -> bool {
        !matches!(self, Self::None | Self::OpStaff | Self::RealmVisible)
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_may_write_names_in_any_case_and_programs_may_not() {
        assert_eq!(Exposure::named("realm-Visible"), Some(Exposure::RealmVisible));
        assert_eq!(Exposure::named("realm visible"), None);
        assert_eq!(Exposure::from_opcode(b"realm-visible"), None);
        for exposure in Exposure::ALL {
            assert_eq!(Exposure::named(&exposure.to_string().to_lowercase()), Some(exposure));
            assert_eq!(Exposure::from_opcode(exposure.name().as_bytes()), Some(exposure));
        }
    }
}
