//! Severity of log lines.

/// The severity of a line of the log.
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
