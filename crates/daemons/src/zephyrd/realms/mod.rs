//! Other realms, as far as they are outside of the engine.
//!
//! * [`list`]: the file `realm.list`
//! * `names`: where the servers are that it names
//! * `tickets`: sessions with them

pub mod list;
pub(crate) mod names;
pub(crate) mod tickets;
