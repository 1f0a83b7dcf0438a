//! The variables of descriptions (zwgc, section 8).

use super::value::Value;
use std::{collections::HashMap, sync::LazyLock};

/// The value of variables that were never set.
static UNSET: LazyLock<Value> = LazyLock::new(Value::default);

/// Named variables, which stay until they are set again, and numbered ones, which are the fields of one notice.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    named: HashMap<Vec<u8>, Value>,
    numbered: HashMap<Vec<u8>, Value>,
}

impl Variables {
    /// The value of a variable: empty if it was never set.
    pub(super) fn get(&self, name: &[u8]) -> &Value {
        let value = match number(name) {
            Some(number) => self.numbered.get(number),
            None => self.named.get(name),
        };
        value.unwrap_or(&UNSET)
    }

    pub(super) fn set(&mut self, name: &[u8], value: Value) {
        let (variables, name) = match number(name) {
            Some(number) => (&mut self.numbered, number),
            None => (&mut self.named, name),
        };
        match variables.get_mut(name) {
            Some(variable) => *variable = value,
            None => drop(variables.insert(name.to_vec(), value)),
        }
    }

    /// Makes the fields of a notice the numbered variables, from 1.
    pub(super) fn number(&mut self, fields: &[Vec<u8>]) {
        self.numbered.clear();
        for (number, field) in (1..).zip(fields) {
            self.numbered.insert(usize::to_string(&number).into_bytes(), Value::foreign(field.clone()));
        }
    }
}

/// The number that a variable's name is, without leading zeros.
fn number(name: &[u8]) -> Option<&[u8]> {
    if name.is_empty() || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = name.iter().take_while(|&&digit| digit == b'0').count();
    name.get(zeros..)
}
