//! A port: where it reads from and what it writes to.

use super::terminal::Style;
use std::io::{BufRead, Read as _, Write};
use zephyr_client::system_text;
use zephyr_windowgram::language::Directions;

/// The error of a port that there is not.
pub(super) const MISSING: &str = "No such port";

/// Maximum length of what is read from a file or a program at once, in octets.
const MAX_LINE: u64 = 9998;

/// Maximum size of all texts that a port stores, in octets.
const MAX_STORED: usize = 4 << 20;

/// One direction of a port.
pub(super) enum Side<T> {
    /// There never was one.
    Unsupported,
    Open(T),
    Closed,
}

/// Where a port reads from.
pub(in super::super) enum Source {
    /// A file, a program or standard input, line by line.
    Lines(Box<dyn BufRead + Send>),
    /// The texts that were put on it, the last one first.
    Store,
}

/// What a port writes to.
pub(in super::super) enum Sink {
    /// Standard output, with the markup shown.
    Formatted(Style),
    /// Standard output, as it is.
    StandardOutput,
    /// A file, a program or standard error.
    Writer(Box<dyn Write + Send>),
    /// Texts that can be read from it, with the markup shown if there is a style.
    Store(Option<Style>),
}

/// A port.
pub(in super::super) struct Port {
    pub(super) input: Side<Source>,
    pub(super) output: Side<Sink>,
    pub(super) stored: Stored,
}

impl Port {
    /// A port that is only read.
    pub(in super::super) fn input(source: Source) -> Self {
        Self { input: Side::Open(source), output: Side::Unsupported, stored: Stored::default() }
    }

    /// A port that is only written.
    pub(in super::super) fn output(sink: Sink) -> Self {
        Self { input: Side::Unsupported, output: Side::Open(sink), stored: Stored::default() }
    }

    /// A port that is read and written.
    pub(in super::super) fn both(source: Source, sink: Sink) -> Self {
        Self { input: Side::Open(source), ..Self::output(sink) }
    }

    pub(super) fn close(&mut self, directions: Directions) {
        if directions != Directions::Output {
            self.input = Side::Closed;
        }
        if directions != Directions::Input {
            self.output = Side::Closed;
        }
    }

    /// Whether both directions were closed.
    pub(super) const fn is_closed(&self) -> bool {
        matches!((&self.input, &self.output), (Side::Closed, Side::Closed))
    }
}

/// Texts that wait to be read.
#[derive(Default)]
pub(super) struct Stored {
    texts: Vec<Vec<u8>>,
    size: usize,
}

impl Stored {
    pub(super) fn push(&mut self, text: Vec<u8>) -> Result<(), String> {
        // Each counts, so that empty ones are limited, too.
        let size = self.size + text.len() + size_of::<Vec<u8>>();
        if size > MAX_STORED {
            return Err("Too much text on the port".to_owned());
        }
        self.size = size;
        self.texts.push(text);
        Ok(())
    }

    /// Takes the text that was put last.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let text = self.texts.pop()?;
        self.size -= text.len() + size_of::<Vec<u8>>();
        Some(text)
    }
}

/// Writes all of a text, and now.
pub(super) fn write(writer: &mut dyn Write, text: &[u8]) -> std::io::Result<()> {
    writer.write_all(text).and_then(|()| writer.flush())
}

/// Reads a line with its end, or a part of one that is too long.
pub(super) fn read_line(reader: &mut dyn BufRead) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    match reader.take(MAX_LINE).read_until(b'\n', &mut line) {
        Ok(0) => Err("Attempt to read past end of file".to_owned()),
        Ok(_) => Ok(line),
        Err(error) => Err(system_text(&error)),
    }
}
