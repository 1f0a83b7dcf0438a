//! The other servers of the domain.

pub mod stream;
