//! Severity of log lines.

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Only for debugging.
    Debug,
    /// Normal work.
    Info,
    /// Somebody did or wants what he may not.
    Warning,
    /// An error of our own.
    Error,
}
