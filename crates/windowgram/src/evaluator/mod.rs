//! Runs descriptions (zwgc, sections 7.3, 7.6 and 7.7).

mod budget;
mod expressions;
mod foreign;
mod functions;
mod host;
mod statements;
mod value;
mod variables;

pub use budget::{Exhausted, MAX_STEPS, MAX_VALUE};
pub use host::Host;

use crate::language::Program;
use budget::Budget;
use std::slice;
use value::Value;
use variables::Variables;

/// The variable with the number of the fields that were not read yet.
const NUMBER_OF_FIELDS: &[u8] = b"number_of_fields";
/// The variable with the text of the last error of a port.
const ERROR: &[u8] = b"error";

/// What lasts from one notice to the next: the variables, and what was said already.
#[derive(Clone, Debug, Default)]
pub struct Interpreter {
    variables: Variables,
    /// Whether it was said that something was refused.
    is_refusal_said: bool,
}

impl Interpreter {
    /// Without variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable to something that is the user's or the system's. A NUL, which no value of a description has, becomes a newline.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        self.variables.set(name.as_bytes(), Value::own(without_nul(value)));
    }

    /// Sets a variable to something that a notice says. Descriptions can use it as any other, but it chooses no file and no program.
    pub fn set_foreign(&mut self, name: &str, value: Vec<u8>) {
        self.variables.set(name.as_bytes(), Value::foreign(without_nul(value)));
    }

    /// The value of a variable: empty if it was never set.
    pub fn get(&self, name: &str) -> &[u8] {
        &self.variables.get(name.as_bytes()).octets
    }

    /// Runs a description for a notice with these fields, which become `$1` and so on, and `$number_of_fields`.
    ///
    /// # Errors
    ///
    /// When the description was stopped, because it takes too long or a value became too long. What it put until then was put.
    pub fn run(&mut self, program: &Program, fields: &[Vec<u8>], host: &mut dyn Host) -> Result<(), Exhausted> {
        self.variables.number(fields);
        let unread = fields.iter();
        let mut run = Run {
            is_refusal_said: &mut self.is_refusal_said,
            variables: &mut self.variables,
            buffer: Value::default(),
            unread,
            budget: Budget::new(),
            host,
        };
        run.set_number_of_fields();
        // A `break` outside of `while` ends it, too.
        run.block(&program.statements).map(drop)
    }
}

fn without_nul(mut value: Vec<u8>) -> Vec<u8> {
    value.iter_mut().filter(|octet| **octet == 0).for_each(|octet| *octet = b'\n');
    value
}

/// A description that runs for a notice.
struct Run<'r> {
    variables: &'r mut Variables,
    is_refusal_said: &'r mut bool,
    buffer: Value,
    /// The fields that `fields` has not read.
    unread: slice::Iter<'r, Vec<u8>>,
    budget: Budget,
    host: &'r mut dyn Host,
}

impl Run<'_> {
    fn set_number_of_fields(&mut self) {
        self.variables.set(NUMBER_OF_FIELDS, Value::own(self.unread.len().to_string().into_bytes()));
    }

    /// Notes that something of a notice was refused, and says so the first time.
    fn refuse(&mut self, error: String) {
        if !std::mem::replace(self.is_refusal_said, true) {
            self.host.complain(format!("zwgc: the description was not obeyed: {error}").as_bytes());
        }
        self.note(error);
    }

    /// Notes the error of a port.
    fn note(&mut self, error: String) {
        self.variables.set(ERROR, Value::own(error.into_bytes()));
    }
}

#[cfg(test)]
mod tests;
