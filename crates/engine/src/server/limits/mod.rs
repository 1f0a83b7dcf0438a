//! How much work and memory each source may cause, and how what comes twice is recognised.

pub(crate) mod amplification;
pub(crate) mod bounds;
pub(crate) mod digest;
pub(crate) mod rate_limit;
pub(crate) mod replay_cache;
pub(crate) mod response_cache;
