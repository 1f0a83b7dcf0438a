//! Questions to name servers, with what a host manager needs of DNS: texts and services, in classes IN and HS.
//!
//! The messages are those of `hickory-proto`. What is here keeps answers harmless: only what was asked counts, of the server
//! that was asked, and everything has a bound.

pub mod message;
mod resolver;
mod resolver_file;

pub use resolver::{ResolveError, Resolver};
pub use resolver_file::{name_servers, search_domain};
