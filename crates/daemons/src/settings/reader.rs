//! Reading a TOML file setting by setting, so that all its problems are found at once and none is only noticed by what
//! does not happen.

use crate::problem::Problem;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Error, ValueDeserializer},
};

/// A settings file while it is read.
pub(super) struct Reader<'a> {
    file: &'a Path,
    content: &'a str,
    problems: Vec<Problem>,
    /// Every setting that was asked for, as `section.key`.
    asked: Vec<String>,
}

/// One section of a file: settings that were not asked for are unknown ones.
pub(super) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: &'static str,
    entries: Vec<Entry<'a>>,
    known: Vec<&'static str>,
}

struct Entry<'a> {
    key: String,
    offset: usize,
    value: Spanned<DeValue<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, content: &'a str) -> Self {
        Self { file, content, problems: Vec::new(), asked: Vec::new() }
    }

    /// The file's top, whose entries are the sections.
    pub(super) fn parse(&mut self) -> Section<'_, 'a> {
        let (top, errors) = DeTable::parse_recoverable(self.content);
        for error in errors {
            self.wrong(0, &error);
        }
        Section { reader: self, name: "", entries: entries(top.into_inner()), known: Vec::new() }
    }

    /// Everything that was wrong, and every setting that exists.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<String>) {
        self.problems.sort();
        (self.problems, self.asked)
    }

    fn problem(&mut self, offset: usize, text: impl std::fmt::Display) {
        self.problems.push(Problem::at(self.file, self.content, offset, text));
    }

    fn wrong(&mut self, offset: usize, error: &Error) {
        let offset = error.span().map_or(offset, |span| span.start);
        // One line each, whatever the parser says.
        self.problem(offset, error.message().trim().replace('\n', ", "));
    }
}

fn entries(table: DeTable<'_>) -> Vec<Entry<'_>> {
    let entry = |(key, value): (Spanned<_>, _)| Entry {
        offset: key.span().start,
        key: std::borrow::Cow::into_owned(key.into_inner()),
        value,
    };
    table.into_iter().map(entry).collect()
}

impl<'a> Section<'_, 'a> {
    /// The section of this name; an empty one when the file does not have it.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_, 'a> {
        let entries = match self.take(name) {
            Some((_, value)) => {
                let offset = value.span().start;
                match value.into_inner() {
                    DeValue::Table(table) => entries(table),
                    other => {
                        self.reader.problem(offset, format!("{name} is a section, not {}", other.type_str()));
                        Vec::new()
                    }
                }
            }
            None => Vec::new(),
        };
        Section { reader: self.reader, name, entries, known: Vec::new() }
    }

    /// Changes `setting` to what the file says.
    pub(super) fn read<T: DeserializeOwned>(&mut self, key: &'static str, setting: &mut T) {
        self.read_checked(key, setting, |value: T| Ok::<_, String>(value));
    }

    /// Changes `setting` to what `check` makes of what the file says. Texts that are empty change nothing.
    pub(super) fn read_text<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) {
        let mut text = String::new();
        let offset = self.take_into(key, &mut text);
        if text.is_empty() {
            return;
        }
        match check(&text) {
            Ok(value) => *setting = value,
            Err(error) => self.reader.problem(offset, format!("{key}: {error}")),
        }
    }

    /// Changes `setting` to what `check` makes of what the file says.
    pub(super) fn read_checked<T: DeserializeOwned, U, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        setting: &mut U,
        check: impl FnOnce(T) -> Result<U, E>,
    ) {
        let mut value = None;
        let offset = self.take_into(key, &mut value);
        match value.map(check) {
            Some(Ok(value)) => *setting = value,
            Some(Err(error)) => self.reader.problem(offset, format!("{key}: {error}")),
            None => {}
        }
    }

    /// Reports what the file has in this section and nobody asked for.
    pub(super) fn finish(self) {
        let kind = if self.name.is_empty() { "section" } else { "setting" };
        for entry in self.entries {
            let near = self.known.iter().map(|known| (strsim::jaro_winkler(known, &entry.key), known));
            let nearest = near.filter(|(likeness, _)| *likeness > 0.75).max_by(|one, other| one.0.total_cmp(&other.0));
            let hint = match nearest {
                Some((_, known)) => format!(", did you mean {known}?"),
                None => format!("; there are {}", self.known.join(", ")),
            };
            let place = if self.name.is_empty() { String::new() } else { format!(" in section {}", self.name) };
            self.reader.problem(entry.offset, format!("unknown {kind} {}{place}{hint}", entry.key.escape_debug()));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, Spanned<DeValue<'a>>)> {
        self.known.push(key);
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        let entry = self.entries.swap_remove(place);
        Some((entry.offset, entry.value))
    }

    /// Reads a value when it is there; gives where it is.
    fn take_into<T: DeserializeOwned>(&mut self, key: &'static str, setting: &mut T) -> usize {
        self.reader.asked.push(format!("{}.{key}", self.name));
        let Some((_, value)) = self.take(key) else { return 0 };
        let offset = value.span().start;
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => *setting = value,
            Err(error) => self.reader.problem(offset, format!("{key}: {}", error.message().trim().replace('\n', ", "))),
        }
        offset
    }
}
