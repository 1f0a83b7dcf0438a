//! Access control: the class registry, access control lists, operators and default subscriptions (server behaviour,
//! sections 4.6 and 11).
//!
//! Nothing here reads a file. Texts come in and become [`Rules`], an unchanging whole that the engine asks and that a
//! reload replaces as one; `rule_files` beside this folder finds the texts. The same files as for C servers; what C
//! servers silently misread is an error with its line and column, and all errors of a text are found at once.
//!
//! * `pattern`: the shell patterns that principals are matched with
//! * `network`: an address, or a range of them
//! * `list`: one list, and what it says of somebody
//! * `registry`: which classes have lists
//! * `rules`: all of that together

mod default_subscriptions;
mod list;
mod network;
mod pattern;
mod registry;
mod rules;
mod syntax;

pub use default_subscriptions::{Defaults, LineError};
pub use list::{Acl, EntryDoubt, EntryError, ListDecision, Who};
pub use network::{Network, NetworkError};
pub use pattern::{PatternError, PrincipalPattern};
pub use registry::{Registered, Registry, RegistryError};
pub use rules::{AclDecision, Act, ClassAcls, Rules, Ruling};
pub use syntax::{MAX_ERRORS, SyntaxError};
