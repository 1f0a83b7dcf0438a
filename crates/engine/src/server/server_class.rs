//! The classes that are the server's own: what is sent to them is a request to the server, and no notice for others.

use zephyr_core::{fold::FoldedName, names};

/// A class with a handler of its own. Notices of all other classes are messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerClass {
    /// HM_CTL: what host managers tell of their hosts.
    HmCtl,
    /// ZEPHYR_CTL: subscriptions.
    ZephyrCtl,
    /// LOGIN: locations. Only what a user tells of himself is announced to others.
    Login,
    /// USER_LOCATE: queries for locations.
    UserLocate,
    /// ZEPHYR_ADMIN: the status of the server.
    ZephyrAdmin,
}

impl ServerClass {
    const ALL: [(Self, &'static [u8]); 5] = [
        (Self::HmCtl, names::HM_CTL),
        (Self::ZephyrCtl, names::ZEPHYR_CTL),
        (Self::Login, names::LOGIN),
        (Self::UserLocate, names::USER_LOCATE),
        (Self::ZephyrAdmin, names::ZEPHYR_ADMIN),
    ];

    /// The server's class of this name, if it is one.
    pub fn of(class: &FoldedName) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| class.is(name)).map(|(class, _)| class)
    }
}
