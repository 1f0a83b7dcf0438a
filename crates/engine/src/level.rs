//! How much a line of the log matters.

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Only when somebody looks for a fault.
    Debug,
    /// Normal work.
    Info,
    /// Somebody did or wants what he may not.
    Warning,
    /// A fault of our own.
    Error,
}
