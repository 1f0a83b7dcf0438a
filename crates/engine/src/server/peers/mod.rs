//! The other servers of this realm.

pub(crate) mod c;
