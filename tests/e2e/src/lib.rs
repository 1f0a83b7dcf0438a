//! End-to-end tests of the whole stack: our programs, or the C ones, on a real KDC and real sockets.
//!
//! * [`stack`]: a realm of our own on loopback: KDC, zephyrd, zhm
//! * [`neighbours`]: two of them that know and trust each other, and [`between`]: somebody between their servers
//! * [`person`]: somebody in it, who runs zwrite, zwgc and the listener
//! * [`agreement`]: what must be so in a domain of several servers
//! * [`client`]: a client of theirs that does what the test says
//! * [`domain`]: a domain with several servers of either make, each on a machine of its own
//! * [`failover`]: what must be so at a host manager whose server goes and comes back
//! * [`lab`]: the daemons of either make in a lab
//! * [`listener`]: what the `e2e-listener` program received, octet for octet
//! * [`machine`]: a machine whose names, addresses and boots the test decides
//! * [`middle`]: somebody between host manager and server, who changes what passes
//! * [`stranger`]: somebody without any rights, who sends whatever he likes
//! * [`terminal`]: a terminal with a screen, at which somebody types
//! * [`transcript`]: what a command of either make says and leaves in the same situation
//! * [`engines`]: on which KDCs a test runs

pub mod agreement;
pub mod between;
pub mod client;
pub mod domain;
pub mod engines;
pub mod failover;
pub mod lab;
pub mod listener;
pub mod machine;
pub mod middle;
pub mod neighbours;
pub mod person;
pub mod stack;
pub mod stranger;
pub mod terminal;
pub mod transcript;
