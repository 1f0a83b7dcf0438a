//! What zwgc says on standard error besides plain lines of its own.

use std::io::stderr;
use zephyr_client::{Error, terminal};
use zephyr_core::{charset::Charset, sanitize};

/// Prints a line that quotes somebody; nothing of it is at the beginning of a terminal's row but what it begins with.
pub(crate) fn report(text: &str) {
    terminal::write_lines(&mut stderr(), text);
}

/// Prints an error with its context, and the advice about it.
pub(crate) fn report_error(error: &Error, context: &str) {
    for line in sanitize::lines(error.describe(context).as_bytes(), Charset::UTF8).lines() {
        report(&format!("zwgc: {line}"));
    }
    if let Some(advice) = error.advice() {
        report(&format!("zwgc: {advice}"));
    }
}
