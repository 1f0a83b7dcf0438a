//! Peers that are C's programs (server to server, sections 2 to 4).

pub(crate) mod hello;
