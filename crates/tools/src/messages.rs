//! What a command says on standard error.

use std::io::{Write, stderr};
use zephyr_client::{Error, terminal};
use zephyr_core::{charset::Charset, sanitize, screen::Screen};

/// The writer of a command's messages. That one cannot be written stops nothing: who gives the output looks at that in the end.
pub struct Messages<'a> {
    /// The program's name as typed.
    pub program: &'a str,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// The screen that it is shown on.
    pub screen: Screen,
}

impl<'a> Messages<'a> {
    /// The messages of a program to `err`, which is this process's standard error.
    pub fn new(program: &'a str, err: &'a mut dyn Write) -> Self {
        Self { program, err, screen: terminal::screen(&stderr()) }
    }

    /// Whether somebody sits before it.
    pub fn is_on_terminal(&self) -> bool {
        matches!(self.screen, Screen::Columns(_))
    }

    /// Writes a text that may quote others: each of its lines begins with the program's name, so nothing of it is at the beginning
    /// of a terminal's row.
    pub fn say(&mut self, text: &str) {
        for line in sanitize::lines(text.as_bytes(), Charset::UTF8).lines() {
            self.line(&format!("{}: {line}", self.program));
        }
    }

    /// Writes a line that begins with words of ours, as those of C programs that have no name before them.
    pub fn line(&mut self, line: &str) {
        let _ = writeln!(self.err, "{}", self.screen.line(line));
    }

    /// Reports an error with its context, such as "while subscribing", and the advice about it.
    pub fn failure(&mut self, error: &Error, context: &str) {
        self.say(&error.describe(context));
        if let Some(advice) = error.advice() {
            self.say(&advice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_client::{AuthError, OperationError};

    fn said(screen: Screen, action: impl FnOnce(&mut Messages<'_>)) -> String {
        let mut err = Vec::new();
        action(&mut Messages { program: "./zaway", err: &mut err, screen });
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn every_line_has_the_programs_name_and_nothing_else_begins_a_row() {
        assert_eq!(
            said(Screen::None, |messages| messages.say("one\ntwo\x1b[2J")),
            "./zaway: one\n./zaway: two\\u{1b}[2J\n"
        );
        let wide = said(Screen::Columns(20), |messages| messages.say(&format!("{}forged: line", "x".repeat(11))));
        assert!(wide.lines().skip(1).all(|row| row.starts_with(' ')), "{wide}");
    }

    #[test]
    fn errors_come_with_their_advice() {
        let error = Error::from(OperationError::from(AuthError::NoCredentials));
        let said = said(Screen::None, |messages| messages.failure(&error, "while subscribing"));
        assert!(said.starts_with("./zaway: No credentials cache found while subscribing\n./zaway: "), "{said}");
        assert!(said.contains("kinit"), "{said}");
    }
}
