//! What a Zephyr server knows, kept in a file, so that a restart loses nothing.
//!
//! The server tells its changes ([`zephyr_engine::server::Changed`]) and knows nothing of this. A [`Keeper`] writes them on a
//! thread of its own into a [`Store`], which is an SQLite database; at the next start they are [read](Store::load) and given
//! back to the server.
//!
//! * `file`: whose the file is, and who uses it
//! * `schema`, `octets`: what is in it
//! * `write`, `load`, `store`: changes to rows, and rows to changes
//! * `sealing`: session keys, which are encrypted with what is derived from the service's keys
//! * `keeper`: the thread
//! * [`examine`], [`export`]: what operators do with a file

mod error;
pub mod examine;
pub mod export;
mod file;
mod keeper;
mod load;
mod octets;
mod schema;
mod sealing;
mod store;
mod write;

pub use error::StateError;
pub use file::move_aside;
pub use keeper::{Keeper, KeeperStatus, Opening, Pace, Report};
pub use load::Kept;
pub use schema::VERSION;
pub use sealing::PURPOSE;
pub use store::{Owner, Resealed, Rest, Store};
