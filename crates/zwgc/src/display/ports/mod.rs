//! The ports of descriptions: the standard ones, files and programs (zwgc, section 10).

mod port;
mod programs;
mod terminal;

pub(super) use port::{Port, Sink, Source};
pub(super) use terminal::{Style, Terminal};

use crate::ending::Ended;
use port::Side;
use programs::Programs;
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{self, BufReader},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
};
use zephyr_client::{system_text, variables::Variables};
use zephyr_core::sanitize;
use zephyr_output::{Printed, complain};
use zephyr_windowgram::{
    charsets::Charsets,
    evaluator::Host,
    language::{Directions, FileMode},
};

/// Maximum number of ports.
const MAX_PORTS: usize = 256;

/// The ports, and what else descriptions use of the system.
pub(super) struct Ports {
    ports: HashMap<Vec<u8>, Port>,
    terminal: Terminal,
    zephyr_variables: Variables,
    programs: Programs,
    failure: Option<Ended>,
}

impl Ports {
    /// With these ports.
    pub(super) fn new(ports: HashMap<Vec<u8>, Port>, terminal: Terminal, zephyr_variables: Variables) -> Self {
        Self { ports, terminal, zephyr_variables, programs: Programs::default(), failure: None }
    }

    /// Why standard output could not be written; once.
    pub(super) fn take_failure(&mut self) -> Option<Ended> {
        self.failure.take()
    }

    fn insert(&mut self, name: &[u8], port: Port) -> Result<(), String> {
        if self.ports.len() >= MAX_PORTS && !self.ports.contains_key(name) {
            return Err("Too many ports".to_owned());
        }
        self.ports.insert(name.to_vec(), port);
        Ok(())
    }

    /// Records what became of text for standard output.
    fn judge(&mut self, written: io::Result<()>) -> Result<(), String> {
        let error = written.as_ref().err().map(system_text);
        self.failure = match zephyr_output::judged(written) {
            Ok(Printed::Written) => return Ok(()),
            Ok(Printed::NobodyReads) => Some(Ended::NobodyReads),
            Err(error) => Some(Ended::Unwritten(error)),
        };
        Err(error.unwrap_or_default())
    }
}

impl Host for Ports {
    fn put(&mut self, port: &[u8], text: &[u8], charsets: Charsets<'_>) -> Result<(), String> {
        let Some(Port { output, stored, .. }) = self.ports.get_mut(port) else { return Err(port::MISSING.to_owned()) };
        match output {
            Side::Unsupported => Err("Attempt to write to a port which does not support writing".to_owned()),
            Side::Closed => Err("Attempt to write to a port whose output has been closed".to_owned()),
            Side::Open(Sink::Formatted(style)) => {
                let (text, error) = self.terminal.format(text, *style, charsets);
                let written = port::write(&mut io::stdout().lock(), &text);
                self.judge(written).and(error.map_or(Ok(()), Err))
            }
            Side::Open(Sink::StandardOutput) => {
                let written = port::write(&mut io::stdout().lock(), text);
                self.judge(written)
            }
            Side::Open(Sink::Writer(writer)) => port::write(writer, text).map_err(|error| system_text(&error)),
            Side::Open(Sink::Store(style)) => {
                let (text, error) = match style {
                    Some(style) => self.terminal.format(text, *style, charsets),
                    None => (text.to_vec(), None),
                };
                stored.push(text)?;
                error.map_or(Ok(()), Err)
            }
        }
    }

    fn get(&mut self, port: &[u8]) -> Result<Vec<u8>, String> {
        let Some(Port { input, stored, .. }) = self.ports.get_mut(port) else { return Err(port::MISSING.to_owned()) };
        match input {
            Side::Unsupported => Err("Attempt to read from a port which does not support reading".to_owned()),
            Side::Closed => Err("Attempt to read from a port whose input has been closed".to_owned()),
            Side::Open(Source::Store) => {
                stored.pop().ok_or_else(|| "Attempt to read from port when no data available".to_owned())
            }
            Side::Open(Source::Lines(reader)) => port::read_line(reader),
        }
    }

    fn open(&mut self, port: &[u8], file: &[u8], mode: FileMode) -> Result<(), String> {
        let mut options = OpenOptions::new();
        match mode {
            FileMode::Append => options.append(true).create(true),
            FileMode::Input => options.read(true),
            FileMode::Output => options.write(true).truncate(true).create(true),
        };
        let file: File = options.mode(0o600).open(OsStr::from_bytes(file)).map_err(|error| system_text(&error))?;
        let opened = match mode {
            FileMode::Input => Port::input(Source::Lines(Box::new(BufReader::new(file)))),
            FileMode::Append | FileMode::Output => Port::output(Sink::Writer(Box::new(file))),
        };
        self.insert(port, opened)
    }

    fn execute_port(&mut self, port: &[u8], command: &[Vec<u8>]) -> Result<(), String> {
        let process = self.programs.start_connected(command)?;
        self.insert(port, process)
    }

    fn execute(&mut self, command: &[Vec<u8>]) {
        self.programs.start(command);
    }

    fn close(&mut self, port: &[u8], directions: Directions) {
        let Some(closed) = self.ports.get_mut(port) else { return };
        closed.close(directions);
        if closed.is_closed() {
            self.ports.remove(port);
        }
    }

    fn environment(&self, name: &[u8]) -> Option<Vec<u8>> {
        // `var_os` refuses such names by a panic.
        let is_name = !name.is_empty() && !name.contains(&b'=');
        std::env::var_os(OsStr::from_bytes(if is_name { name } else { return None }))
            .map(|value| value.as_bytes().to_vec())
    }

    fn zephyr_variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.zephyr_variables.get(str::from_utf8(name).ok()?).map(<[u8]>::to_vec)
    }

    fn complain(&mut self, line: &[u8]) {
        complain!("{}", sanitize::line(line));
    }
}

#[cfg(test)]
mod tests;
