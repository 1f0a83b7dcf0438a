//! The terminal of a program: its width, who has it, and the messages that are written to it.

use nix::unistd::{getpgrp, tcgetpgrp};
use rustix::termios::tcgetwinsize;
use std::{
    env,
    io::{self, IsTerminal, Write, stderr, stdin},
    os::fd::AsFd,
};
use zephyr_core::screen::Screen;

/// The columns of a terminal that does not tell them, and about which `COLUMNS` tells nothing.
const COLUMNS: usize = 80;

/// The screen that an output is shown on, as wide as it is now.
pub fn screen(output: &(impl AsFd + IsTerminal)) -> Screen {
    if !output.is_terminal() {
        return Screen::None;
    }
    let of_environment = || env::var("COLUMNS").ok()?.parse().ok();
    let of_terminal = tcgetwinsize(output).ok().map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0);
    let columns = of_terminal.or_else(of_environment);
    Screen::Columns(columns.unwrap_or(COLUMNS))
}

/// Whether somebody has started this program at a terminal and waits for it there: its standard input is a terminal, in whose
/// foreground it runs.
pub fn is_in_foreground() -> bool {
    let input = stdin();
    tcgetpgrp(&input).is_ok_and(|foreground| foreground == getpgrp())
}

/// Writes what a program has to say, which may quote others: each line as [`Screen::line`] has it. That it cannot be written is
/// nothing that could be reported.
pub fn write_lines(output: &mut (impl AsFd + IsTerminal + Write), text: &str) {
    let screen = screen(output);
    let lines: String = text.lines().map(|line| screen.line(line) + "\n").collect();
    let _ = output.write_all(lines.as_bytes());
}

/// A writer of messages to the user of a program, on standard error: every line that is written begins with the program's name.
/// It is for what a log says, whose lines come whole.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    /// The program's name.
    pub program: &'a str,
}

impl Messages<'_> {
    fn lines(self, text: &[u8]) -> String {
        String::from_utf8_lossy(text).lines().map(|line| format!("{}: {line}\n", self.program)).collect()
    }
}

impl Write for Messages<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        write_lines(&mut stderr(), &self.lines(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_begin_with_the_programs_name() {
        let messages = Messages { program: "zwgc" };
        assert_eq!(messages.lines(b"one\ntwo\n"), "zwgc: one\nzwgc: two\n");
    }
}
