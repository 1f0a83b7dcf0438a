//! Other realms, as far as they are outside of the engine: the list of them, and where their servers are.
//!
//! * [`list`]: the file `realm.list`

pub mod list;
