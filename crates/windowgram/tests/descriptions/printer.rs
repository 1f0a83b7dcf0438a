//! Descriptions from their syntax trees.

use std::fmt::Write as _;
use zephyr_windowgram::language::{
    Branch, Directions, Expression, FileMode, Function, Program, SetFunction, Statement,
};

/// The description.
pub(crate) fn printed(program: &Program) -> Vec<u8> {
    let mut text = String::new();
    statements(&mut text, &program.statements);
    text.into_bytes()
}

fn statements(text: &mut String, list: &[Statement]) {
    for each in list {
        statement(text, each);
        text.push('\n');
    }
}

fn statement(text: &mut String, statement: &Statement) {
    match statement {
        Statement::Noop => text.push_str("noop"),
        Statement::Set { name, value } => {
            *text += &format!("set {} = ", name.escape_ascii());
            whole(text, value);
        }
        Statement::Fields(names) => {
            text.push_str("fields");
            names.iter().for_each(|name| *text += &format!(" {}", name.escape_ascii()));
        }
        Statement::Print(list) => words(text, "print", list),
        Statement::Show(shown) => show(text, shown),
        Statement::ClearBuffer => text.push_str("clearbuf"),
        Statement::FilePort { mode, port, file } => {
            let word = match mode {
                FileMode::Append => "appendport",
                FileMode::Input => "inputport",
                FileMode::Output => "outputport",
            };
            words(text, word, [port, file]);
        }
        Statement::ProcessPort { port, command } => words(text, "execport", [port].into_iter().chain(command)),
        Statement::Put { port, values } => words(text, "put", port.iter().chain(values)),
        Statement::Close { directions, port } => {
            let word = match directions {
                Directions::Input => "closeinput",
                Directions::Output => "closeoutput",
                Directions::Both => "closeport",
            };
            words(text, word, [port]);
        }
        Statement::Execute(command) => words(text, "exec", command),
        Statement::If { branches, otherwise } => {
            for (index, part) in branches.iter().enumerate() {
                branch(text, if index == 0 { "if" } else { "elseif" }, part, "then");
            }
            if !otherwise.is_empty() {
                text.push_str("else ");
                statements(text, otherwise);
            }
            text.push_str("endif");
        }
        Statement::Case { subject, arms } => {
            words(text, "case", [subject]);
            for arm in arms {
                match &arm.values {
                    Some(values) => {
                        text.push_str(" match ");
                        joined(text, values, ",");
                    }
                    None => text.push_str(" default"),
                }
                text.push('\n');
                statements(text, &arm.body);
            }
            text.push_str(" endcase");
        }
        Statement::While { branch: part } => {
            branch(text, "while", part, "do");
            text.push_str("endwhile");
        }
        Statement::Break => text.push_str("break"),
        Statement::Exit => text.push_str("exit"),
    }
}

fn branch(text: &mut String, before: &str, branch: &Branch, after: &str) {
    words(text, before, [&branch.condition]);
    *text += &format!(" {after}\n");
    statements(text, &branch.body);
}

fn words<'e>(text: &mut String, word: &str, values: impl IntoIterator<Item = &'e Expression>) {
    text.push_str(word);
    for value in values {
        text.push(' ');
        whole(text, value);
    }
}

/// An expression where anything may stand.
fn whole(text: &mut String, expression: &Expression) {
    match expression {
        Expression::Text(value) => {
            text.push('"');
            value.iter().for_each(|&octet| escaped(text, octet));
            text.push('"');
        }
        Expression::Variable(name) => *text += &format!("${}", name.escape_ascii()),
        Expression::Not(value) => {
            text.push('!');
            operand(text, value);
        }
        Expression::Concatenation(values) => joined(text, values, "+"),
        Expression::And(values) => joined(text, values, "&"),
        Expression::Or(values) => joined(text, values, "|"),
        Expression::Equal(left, right) => joined(text, [&**left, right], "=="),
        Expression::NotEqual(left, right) => joined(text, [&**left, right], "!="),
        Expression::Matches(left, right) => joined(text, [&**left, right], "=~"),
        Expression::MatchesNot(left, right) => joined(text, [&**left, right], "!~"),
        Expression::Buffer => text.push_str("buffer()"),
        Expression::Call(function, value) => {
            *text += &format!("{}(", function_name(*function));
            whole(text, value);
            text.push(')');
        }
        Expression::Cut(function, part, set) => {
            *text += &format!("{}(", set_function_name(*function));
            whole(text, part);
            text.push(',');
            whole(text, set);
            text.push(')');
        }
    }
}

/// An expression where an operator is beside it.
fn operand(text: &mut String, expression: &Expression) {
    text.push('(');
    whole(text, expression);
    text.push(')');
}

fn joined<'e>(text: &mut String, values: impl IntoIterator<Item = &'e Expression>, separator: &str) {
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        operand(text, value);
    }
}

fn escaped(text: &mut String, octet: u8) {
    if octet.is_ascii_alphanumeric() || octet == b' ' {
        text.push(char::from(octet));
    } else {
        write!(text, "\\{octet:03o}").unwrap();
    }
}

/// Its lines are indented, and begin with escapes, so that neither blanks nor `endshow` are taken for what they are not.
fn show(text: &mut String, shown: &[u8]) {
    text.push_str("show\n");
    for line in shown.split_inclusive(|&octet| octet == b'\n') {
        text.push_str(" \t");
        for (index, &octet) in line.iter().enumerate() {
            match octet {
                b'\n' => text.push('\n'),
                _ if index == 0 => write!(text, "\\{octet:03o}").unwrap(),
                _ => escaped(text, octet),
            }
        }
    }
    if !shown.is_empty() && !shown.ends_with(b"\n") {
        text.push_str("\\\n");
    }
    text.push_str("endshow");
}

fn function_name(function: Function) -> &'static str {
    match function {
        Function::Substitute => "substitute",
        Function::Protect => "protect",
        Function::Verbatim => "verbatim",
        Function::StyleStrip => "stylestrip",
        Function::GetEnv => "getenv",
        Function::UpCase => "upcase",
        Function::DownCase => "downcase",
        Function::ZephyrVariable => "zvar",
        Function::Get => "get",
    }
}

fn set_function_name(function: SetFunction) -> &'static str {
    match function {
        SetFunction::LeftAny => "lany",
        SetFunction::RightAny => "rany",
        SetFunction::LeftBreak => "lbreak",
        SetFunction::RightBreak => "rbreak",
        SetFunction::LeftSpan => "lspan",
        SetFunction::RightSpan => "rspan",
    }
}
