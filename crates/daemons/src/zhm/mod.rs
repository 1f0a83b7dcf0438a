//! The host manager: takes every notice of a machine's programs, and sees to it that a server gets it (host manager).
//!
//! * [`engine`]: what a packet means, and to whom it is answered
//! * `queue`: packets that the server has not answered yet
//! * [`servers`]: which server is talked to, and which is next
//! * `statistics`: what the host manager tells about itself

pub mod engine;
pub mod event;
pub mod options;
mod queue;
pub mod servers;
pub mod shell;
mod statistics;
