//! A TOML reader that reports all problems of a file at once, unknown settings included.

mod section;
mod wording;

pub use section::{Named, Section};

use crate::problem::{Findings, Problem};
use section::entries;
use std::{fmt, path::Path};
use toml::de::{DeTable, Error};

/// A file while it is read.
pub struct Reader<'a> {
    file: &'a Path,
    content: &'a str,
    findings: Findings,
    /// What is not what it looks like. What else is found in such a line only follows from it.
    odd: Vec<Problem>,
    /// Every setting that was asked for, as `section.key`.
    asked: Vec<String>,
}

/// The result of reading a file.
#[derive(Debug)]
pub struct Report {
    /// Problems and warnings, each in the file's order.
    pub findings: Findings,
    /// The settings that can be in it, as `section.key`.
    pub settings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of a file with this content.
    pub fn new(file: &'a Path, content: &'a str) -> Self {
        Self { file, content, findings: Findings::default(), odd: Vec::new(), asked: Vec::new() }
    }

    /// The file's top, whose entries are the sections.
    pub fn parse(&mut self) -> Section<'_, 'a> {
        let (top, errors) = DeTable::parse_recoverable(self.content);
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            match odd_in_line(self.content, offset) {
                Some((offset, odd)) => {
                    let problem = self.at(offset, odd);
                    if !self.odd.contains(&problem) {
                        self.odd.push(problem);
                    }
                }
                None => self.wrong(0, &error),
            }
        }
        Section::new(self, String::new(), entries(top.into_inner()))
    }

    /// Ends the reading.
    pub fn finish(mut self) -> Report {
        let is_odd = |line| self.odd.iter().any(|odd| odd.line == line);
        self.findings.problems.retain(|problem| !is_odd(problem.line));
        self.findings.problems.append(&mut self.odd);
        self.findings.put_in_order();
        Report { findings: self.findings, settings: self.asked }
    }

    fn problem(&mut self, offset: usize, text: impl fmt::Display) {
        self.findings.problems.push(self.at(offset, text));
    }

    fn warning(&mut self, offset: usize, text: impl fmt::Display) {
        self.findings.warnings.push(self.at(offset, text));
    }

    fn at(&self, offset: usize, text: impl fmt::Display) -> Problem {
        Problem::at(self.file, self.content, offset, text)
    }

    fn wrong(&mut self, offset: usize, error: &Error) {
        let offset = error.span().map_or(offset, |span| span.start);
        self.problem(offset, one_line(error.message()));
    }
}

/// What is not what it looks like in the line around an octet, outside of quotes and comments, and its offset: the parser's
/// message would be about something that nobody sees.
fn odd_in_line(content: &str, offset: usize) -> Option<(usize, String)> {
    let (before, behind) = content.split_at_checked(offset)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let end = behind.find('\n').map_or(content.len(), |end| offset + end);
    let line = content.get(start..end)?.trim_end_matches('\r');
    let (at, odd) = line.char_indices().find_map(|(at, character)| Some((at, oddity(character)?)))?;
    let before = line.get(..at)?;
    let is_quoted = ['"', '\''].iter().any(|quote| before.matches(*quote).count() % 2 == 1) || before.contains('#');
    (!is_quoted).then_some((start + at, odd))
}

/// What is wrong with a character that is not seen, or is taken for a space.
fn oddity(character: char) -> Option<String> {
    match character {
        '\t' => None,
        '\0' => Some("a NUL octet".to_owned()),
        control if control.is_control() => Some("a control character".to_owned()),
        blank if blank.is_whitespace() && !blank.is_ascii() => {
            Some(format!("a blank that is not the usual one: {}", blank.escape_unicode()))
        }
        // Rust escapes what is not seen by itself, also such marks.
        other if !other.is_ascii() && other.escape_debug().len() > 1 => {
            Some(format!("a character that cannot be seen: {}", other.escape_unicode()))
        }
        _ => None,
    }
}

/// The parser's message, in one line.
fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}

/// The known name that an unknown one may stand for: the most alike of those that are alike at all.
pub fn nearest<'k>(known: impl IntoIterator<Item = &'k str>, name: &str) -> Option<&'k str> {
    let near = known.into_iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let near = near.filter(|(likeness, _)| *likeness > 0.75);
    near.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, known)| known)
}

/// Whether two names differ by one slip of the pen: a character too many, too few, wrong, or two in the wrong order. Short
/// names may differ so on purpose.
pub fn is_slip(known: &str, name: &str) -> bool {
    const SHORT: usize = 6;
    name.chars().count() > SHORT && strsim::osa_distance(known, name) == 1
}

/// A suggestion of a known name for an unknown one, as the end of a sentence.
pub fn suggestion(known: &[&str], name: &str) -> String {
    match nearest(known.iter().copied(), name) {
        Some(known) => format!(", did you mean {known}?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;
