//! What a description asks of the program that runs it.

use crate::{
    charsets::Charsets,
    language::{Directions, FileMode},
};

/// The program that runs descriptions. The texts of errors become `$error` (zwgc, section 10); after some of them, as that a text is
/// no text of its character set, the text was put all the same.
///
/// The names and texts come from the description and from notices: whoever implements this decides what a notice may name.
pub trait Host {
    /// Writes a text to a port.
    fn put(&mut self, port: &[u8], text: &[u8], charsets: Charsets<'_>) -> Result<(), String>;
    /// Reads a line, or what is stored, from a port.
    fn get(&mut self, port: &[u8]) -> Result<Vec<u8>, String>;
    /// Makes a port of a file.
    fn open(&mut self, port: &[u8], file: &[u8], mode: FileMode) -> Result<(), String>;
    /// Starts a program whose standard input and output are a port. The command has at least one word.
    fn execute_port(&mut self, port: &[u8], command: &[Vec<u8>]) -> Result<(), String>;
    /// Starts a program and does not wait for it. The command has at least one word.
    fn execute(&mut self, command: &[Vec<u8>]);
    /// Closes a port, or one of its directions.
    fn close(&mut self, port: &[u8], directions: Directions);
    /// A variable of the environment.
    fn environment(&self, name: &[u8]) -> Option<Vec<u8>>;
    /// A Zephyr variable.
    fn zephyr_variable(&self, name: &[u8]) -> Option<Vec<u8>>;
    /// Says on standard error what is wrong in the description: a line without its end.
    fn complain(&mut self, line: &[u8]);
}
