//! A section of a file, and the settings in it.

use super::{Reader, suggestion, wording};
use serde::de::DeserializeOwned;
use std::{borrow::Cow, fmt};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

/// One section of a file. Settings that were not asked for are unknown ones.
pub struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Its name, empty for the top of the file.
    name: String,
    entries: Vec<Entry<'a>>,
    known: Vec<&'static str>,
}

pub(super) struct Entry<'a> {
    key: String,
    offset: usize,
    value: Spanned<DeValue<'a>>,
}

/// A section whose name the file's author has chosen.
pub struct Named<'a> {
    /// That name.
    pub name: String,
    /// Its offset in octets.
    pub offset: usize,
    path: String,
    entries: Vec<Entry<'a>>,
}

/// The entries in the order of the file.
pub(super) fn entries(table: DeTable<'_>) -> Vec<Entry<'_>> {
    let entry = |(key, value): (Spanned<Cow<'_, str>>, _)| Entry {
        offset: key.span().start,
        key: key.into_inner().into_owned(),
        value,
    };
    let mut entries: Vec<Entry<'_>> = table.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.offset);
    entries
}

/// Whether a value at the top of a file is a section, or several of one name.
fn is_section(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(several) => several.iter().any(|one| matches!(one.get_ref(), DeValue::Table(_))),
        _ => false,
    }
}

impl<'r, 'a> Section<'r, 'a> {
    pub(super) const fn new(reader: &'r mut Reader<'a>, name: String, entries: Vec<Entry<'a>>) -> Self {
        Self { reader, name, entries, known: Vec::new() }
    }

    /// The section of this name; an empty one when the file does not have it.
    pub fn section(&mut self, name: &'static str) -> Section<'_, 'a> {
        let entries = self.take(name).map_or_else(Vec::new, |(_, value)| self.table(name, value));
        let name = self.path_of(name);
        Section::new(self.reader, name, entries)
    }

    /// Passes over the section of this name, which is of no concern to this reading, whatever is in it.
    pub fn skip(&mut self, name: &'static str) {
        self.take(name);
    }

    /// Lets a setting that has another name now be given by its old one, with a warning. To be called before the
    /// setting is read.
    pub fn renamed(&mut self, old: &str, new: &'static str) {
        let is_given = self.entries.iter().any(|entry| entry.key == new);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == old) else { return };
        let (offset, text) = (entry.offset, format!("setting {old} is now called {new}"));
        if is_given {
            self.entries.retain(|entry| entry.key != old);
            self.reader.problem(offset, format!("{text}, and both are given"));
        } else {
            new.clone_into(&mut entry.key);
            self.reader.warning(offset, text);
        }
    }

    /// The sections `name.ANYTHING`, in the file's order.
    pub fn named(&mut self, name: &'static str) -> Vec<Named<'a>> {
        let sections = self.take(name).map_or_else(Vec::new, |(_, value)| self.table(name, value));
        let mut named = Vec::new();
        for Entry { key, offset, value } in sections {
            let path = format!("{}.{}", self.path_of(name), key.escape_debug());
            let entries = self.table(&path, value);
            named.push(Named { name: key, offset, path, entries });
        }
        named
    }

    /// Goes into one of the sections that [`Section::named`] has found.
    pub fn enter(&mut self, named: Named<'a>) -> Section<'_, 'a> {
        Section::new(self.reader, named.path, named.entries)
    }

    /// Reports an error at an octet of the file.
    pub fn problem(&mut self, offset: usize, text: impl fmt::Display) {
        self.reader.problem(offset, text);
    }

    /// Warns of what is valid at an octet of the file, but probably a mistake.
    pub fn warning(&mut self, offset: usize, text: impl fmt::Display) {
        self.reader.warning(offset, text);
    }

    /// The place of an octet of the file: line and column, counted from one.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let place = self.reader.at(offset, "");
        (place.line, place.column)
    }

    /// Changes `setting` to what the file says; gives where that stands.
    pub fn read<T: DeserializeOwned>(&mut self, key: &'static str, setting: &mut T) -> Option<usize> {
        self.read_checked(key, setting, |value: T| Ok::<_, String>(value))
    }

    /// Changes `setting` to what `check` makes of what the file says. Texts that are empty change nothing.
    pub fn read_text<T, E: fmt::Display>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) {
        let mut text = String::new();
        let Some(offset) = self.take_into(key, &mut text) else { return };
        if text.is_empty() {
            return;
        }
        match check(&text) {
            Ok(value) => *setting = value,
            Err(error) => self.reader.problem(offset, format!("{key}: {error}")),
        }
    }

    /// Changes `setting` to what `check` makes of what the file says; gives where that stands.
    pub fn read_checked<T: DeserializeOwned, U, E: fmt::Display>(
        &mut self,
        key: &'static str,
        setting: &mut U,
        check: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<usize> {
        let mut value = None;
        let offset = self.take_into(key, &mut value)?;
        match value.map(check) {
            Some(Ok(value)) => *setting = value,
            Some(Err(error)) => self.reader.problem(offset, format!("{key}: {error}")),
            None => {}
        }
        Some(offset)
    }

    /// Changes `setting` to what `check` makes of each text of a list; gives where the list stands.
    pub fn read_list<T, E: fmt::Display>(
        &mut self,
        key: &'static str,
        setting: &mut Vec<T>,
        check: impl Fn(&str) -> Result<T, E>,
    ) -> Option<usize> {
        let mut list: Vec<Spanned<String>> = Vec::new();
        let before = self.reader.findings.problems.len();
        let offset = self.take_into(key, &mut list)?;
        if self.reader.findings.problems.len() > before {
            return Some(offset);
        }
        setting.clear();
        for text in list {
            match check(text.get_ref()) {
                Ok(value) => setting.push(value),
                Err(error) => self.reader.problem(text.span().start, format!("{key}: {error}")),
            }
        }
        Some(offset)
    }

    /// The sections within this one that nobody has asked for so far, which are no longer unknown then.
    pub fn unknown_sections(&mut self) -> Vec<Named<'a>> {
        let mut found = Vec::new();
        for place in (0..self.entries.len()).rev() {
            if self.entries.get(place).is_some_and(|entry| matches!(entry.value.get_ref(), DeValue::Table(_))) {
                let Entry { key, offset, .. } = self.entries.remove(place);
                found.push(Named { path: self.path_of(&key), name: key, offset, entries: Vec::new() });
            }
        }
        found
    }

    /// Reports what the file has in this section and nobody asked for.
    pub fn finish(self) {
        for entry in self.entries {
            let key = entry.key.escape_debug();
            let hint = suggestion(&self.known, &entry.key);
            let text = if !self.name.is_empty() {
                format!("unknown setting {key} in section {}{hint}", self.name)
            } else if is_section(entry.value.get_ref()) {
                format!("unknown section {key}{hint}")
            } else {
                // Most likely its section is still behind a `#`. The order of the sections is that of who reads them.
                let mut sections = self.known.clone();
                sections.sort_unstable();
                format!("setting {key} is below no section; there are {}", sections.join(", "))
            };
            self.reader.problem(entry.offset, text);
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) }
    }

    fn table(&mut self, name: &str, value: Spanned<DeValue<'a>>) -> Vec<Entry<'a>> {
        let offset = value.span().start;
        match value.into_inner() {
            DeValue::Table(table) => entries(table),
            other => {
                let kind = other.type_str();
                let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
                self.reader.problem(offset, format!("expected a section, [{name}], not {article} {kind}"));
                Vec::new()
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, Spanned<DeValue<'a>>)> {
        self.known.push(key);
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        let entry = self.entries.remove(place);
        Some((entry.offset, entry.value))
    }

    /// Reads a value when it is there; gives where it is.
    fn take_into<T: DeserializeOwned>(&mut self, key: &'static str, setting: &mut T) -> Option<usize> {
        self.reader.asked.push(self.path_of(key));
        let (_, value) = self.take(key)?;
        let offset = value.span().start;
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => *setting = value,
            Err(error) => {
                let at = error.span().map_or(offset, |span| span.start);
                self.reader.problem(at, format!("{key}: {}", wording::of_value(error.message())));
            }
        }
        Some(offset)
    }
}
