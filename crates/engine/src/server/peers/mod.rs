//! The other servers of the domain.

pub(crate) mod c;
pub mod ours;
pub mod stream;
