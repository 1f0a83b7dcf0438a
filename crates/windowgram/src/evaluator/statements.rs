//! What statements do (zwgc, section 7.7).

use super::{Exhausted, MAX_VALUE, Run, foreign, functions, value::Value};
use crate::{
    charsets::Charsets,
    language::{Arm, Branch, Expression, Statement},
};

/// What the start of a program costs, so that a description starts at most a hundred for a notice.
const STEPS_TO_EXECUTE: usize = super::MAX_STEPS / 100;

/// What opening a file costs.
const STEPS_TO_OPEN: usize = 1_000;

/// Where a description goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// At the next statement.
    Next,
    /// After the innermost `while`.
    Break,
    /// Nowhere.
    Exit,
}

impl Run<'_> {
    pub(super) fn block(&mut self, statements: &[Statement]) -> Result<Flow, Exhausted> {
        for statement in statements {
            match self.statement(statement)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Exhausted> {
        self.budget.take(1)?;
        match statement {
            Statement::Noop => {}
            Statement::Set { name, value } => {
                let value = self.value(value)?;
                self.variables.set(name, value);
            }
            Statement::Fields(names) => self.read_fields(names)?,
            Statement::Print(values) => {
                let values = self.joined(values)?;
                self.append(&values)?;
            }
            Statement::Show(text) => {
                let before = self.buffer.octets.len();
                functions::substitute(&Value::own(text.clone()), self.variables, &mut self.buffer, MAX_VALUE);
                self.budget.take_octets(self.buffer.octets.len() - before)?;
                if self.buffer.octets.len() > MAX_VALUE {
                    return Err(Exhausted::Value);
                }
            }
            Statement::ClearBuffer => self.buffer = Value::default(),
            Statement::FilePort { mode, port, file } => {
                let (port, file) = (self.octets(port)?, self.value(file)?);
                self.budget.take(STEPS_TO_OPEN)?;
                match foreign::file_name(&file) {
                    Ok(file) => self.host.open(&port, file, *mode).unwrap_or_else(|error| self.note(error)),
                    Err(error) => self.refuse(error),
                }
            }
            Statement::ProcessPort { port, command } => {
                let (port, command) = (self.octets(port)?, self.values(command)?);
                self.budget.take(STEPS_TO_EXECUTE)?;
                match foreign::command(&command) {
                    Ok(command) => self.host.execute_port(&port, &command).unwrap_or_else(|error| self.note(error)),
                    Err(error) => self.refuse(error),
                }
            }
            Statement::Put { port, values } => self.put(port.as_ref(), values)?,
            Statement::Close { directions, port } => {
                let port = self.octets(port)?;
                self.host.close(&port, *directions);
            }
            Statement::Execute(command) => {
                let command = self.values(command)?;
                self.budget.take(STEPS_TO_EXECUTE)?;
                match foreign::command(&command) {
                    Ok(command) => self.host.execute(&command),
                    Err(error) => self.refuse(error),
                }
            }
            Statement::If { branches, otherwise } => return self.first_branch(branches, otherwise),
            Statement::Case { subject, arms } => return self.first_match(subject, arms),
            Statement::While { branch: Branch { condition, body } } => {
                while self.holds(condition)? {
                    match self.block(body)? {
                        Flow::Next => {}
                        Flow::Break => break,
                        Flow::Exit => return Ok(Flow::Exit),
                    }
                }
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Exit => return Ok(Flow::Exit),
        }
        Ok(Flow::Next)
    }

    /// Fields that are missing are empty.
    fn read_fields(&mut self, names: &[Vec<u8>]) -> Result<(), Exhausted> {
        for name in names {
            let field = self.unread.next().cloned().unwrap_or_default();
            self.budget.take(1)?;
            self.budget.take_value(&field)?;
            self.variables.set(name, Value::foreign(field));
            self.set_number_of_fields();
        }
        Ok(())
    }

    fn append(&mut self, text: &Value) -> Result<(), Exhausted> {
        if self.buffer.octets.len() + text.octets.len() > MAX_VALUE {
            return Err(Exhausted::Value);
        }
        self.buffer.push(text);
        Ok(())
    }

    fn put(&mut self, port: Option<&Expression>, values: &[Expression]) -> Result<(), Exhausted> {
        let port = match port {
            Some(port) => self.octets(port)?,
            None => self.variables.get(b"output_driver").octets.clone(),
        };
        let text = if values.is_empty() { self.buffer.octets.clone() } else { self.joined(values)?.octets };
        self.budget.take_value(&text)?;
        let charsets = Charsets {
            notice: &self.variables.get(b"notice_charset").octets,
            terminal: &self.variables.get(b"tty_charset").octets,
        };
        let put = self.host.put(&port, &text, charsets);
        put.unwrap_or_else(|error| self.note(error));
        Ok(())
    }

    fn first_branch(&mut self, branches: &[Branch], otherwise: &[Statement]) -> Result<Flow, Exhausted> {
        for Branch { condition, body } in branches {
            if self.holds(condition)? {
                return self.block(body);
            }
        }
        self.block(otherwise)
    }

    fn first_match(&mut self, subject: &Expression, arms: &[Arm]) -> Result<Flow, Exhausted> {
        let subject = self.octets(subject)?;
        for Arm { values, body } in arms {
            let mut matches = values.is_none();
            for value in values.iter().flatten() {
                let value = self.octets(value)?;
                self.budget.take_octets(value.len())?;
                matches = value.eq_ignore_ascii_case(&subject);
                if matches {
                    break;
                }
            }
            if matches {
                return self.block(body);
            }
        }
        Ok(Flow::Next)
    }
}
