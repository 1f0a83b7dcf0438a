//! The description of who has none.

/// The description that is used where there is neither one of the user's nor one of the system's.
pub const DEFAULT: &[u8] = include_bytes!("../../descriptions/default.desc");
