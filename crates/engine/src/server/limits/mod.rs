//! Limits of work and memory per source, and recognition of what is repeated.

pub(crate) mod amplification;
pub(crate) mod bounds;
pub(crate) mod digest;
pub(crate) mod rate_limit;
pub(crate) mod replay_cache;
pub(crate) mod response_cache;
