//! Reading a TOML file setting by setting, so that all its problems are found at once and none is only noticed by what
//! does not happen.

use crate::problem::Problem;
use serde::de::DeserializeOwned;
use std::{borrow::Cow, fmt, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue, Error, ValueDeserializer},
};

/// A file while it is read.
pub struct Reader<'a> {
    file: &'a Path,
    content: &'a str,
    problems: Vec<Problem>,
    /// Every setting that was asked for, as `section.key`.
    asked: Vec<String>,
}

/// One section of a file: settings that were not asked for are unknown ones.
pub struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Its name, empty for the top of the file.
    name: String,
    entries: Vec<Entry<'a>>,
    known: Vec<&'static str>,
}

struct Entry<'a> {
    key: String,
    offset: usize,
    value: Spanned<DeValue<'a>>,
}

/// A section whose name the file's author has chosen.
pub struct Named<'a> {
    /// That name.
    pub name: String,
    /// Where it stands, in octets.
    pub offset: usize,
    path: String,
    entries: Vec<Entry<'a>>,
}

impl<'a> Reader<'a> {
    /// A reader of a file with this content.
    pub fn new(file: &'a Path, content: &'a str) -> Self {
        Self { file, content, problems: Vec::new(), asked: Vec::new() }
    }

    /// The file's top, whose entries are the sections.
    pub fn parse(&mut self) -> Section<'_, 'a> {
        let (top, errors) = DeTable::parse_recoverable(self.content);
        for error in errors {
            self.wrong(0, &error);
        }
        Section { reader: self, name: String::new(), entries: entries(top.into_inner()), known: Vec::new() }
    }

    /// Everything that was wrong, in the file's order, and every setting that exists.
    pub fn finish(mut self) -> (Vec<Problem>, Vec<String>) {
        self.problems.sort();
        // The parser says some things once for each level of what they are in.
        self.problems.dedup();
        (self.problems, self.asked)
    }

    fn problem(&mut self, offset: usize, text: impl fmt::Display) {
        self.problems.push(Problem::at(self.file, self.content, offset, text));
    }

    fn wrong(&mut self, offset: usize, error: &Error) {
        let offset = error.span().map_or(offset, |span| span.start);
        self.problem(offset, one_line(error.message()));
    }
}

/// What the parser says, in one line.
fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}

/// The entries in the order of the file.
fn entries(table: DeTable<'_>) -> Vec<Entry<'_>> {
    let entry = |(key, value): (Spanned<Cow<'_, str>>, _)| Entry {
        offset: key.span().start,
        key: key.into_inner().into_owned(),
        value,
    };
    let mut entries: Vec<Entry<'_>> = table.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.offset);
    entries
}

/// What of these is meant by a name that does not exist, as the end of a sentence.
pub fn suggestion(known: &[&str], name: &str) -> String {
    let near = known.iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let nearest = near.filter(|(likeness, _)| *likeness > 0.75).max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest {
        Some((_, known)) => format!(", did you mean {known}?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

impl<'a> Section<'_, 'a> {
    /// The section of this name; an empty one when the file does not have it.
    pub fn section(&mut self, name: &'static str) -> Section<'_, 'a> {
        let entries = self.take(name).map_or_else(Vec::new, |(_, value)| self.table(name, value));
        let name = self.path_of(name);
        Section { reader: self.reader, name, entries, known: Vec::new() }
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
        Section { reader: self.reader, name: named.path, entries: named.entries, known: Vec::new() }
    }

    /// Something that is wrong at an octet of the file.
    pub fn problem(&mut self, offset: usize, text: impl fmt::Display) {
        self.reader.problem(offset, text);
    }

    /// Where an octet of the file stands: line and column, counted from one.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let place = Problem::at(self.reader.file, self.reader.content, offset, "");
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
        let before = self.reader.problems.len();
        let offset = self.take_into(key, &mut list)?;
        if self.reader.problems.len() > before {
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
        let kind = if self.name.is_empty() { "section" } else { "setting" };
        for entry in self.entries {
            let hint = suggestion(&self.known, &entry.key);
            let place = if self.name.is_empty() { String::new() } else { format!(" in section {}", self.name) };
            self.reader.problem(entry.offset, format!("unknown {kind} {}{place}{hint}", entry.key.escape_debug()));
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
                self.reader.problem(offset, format!("{name} is a section, not {}", other.type_str()));
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
                self.reader.problem(at, format!("{key}: {}", one_line(error.message())));
            }
        }
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> (Vec<(String, Vec<String>)>, Vec<String>) {
        let mut reader = Reader::new(Path::new("f"), content);
        let mut top = reader.parse();
        let mut found = Vec::new();
        for named in top.named("thing") {
            let name = named.name.clone();
            let mut section = top.enter(named);
            let mut words = Vec::new();
            section.read_list("words", &mut words, |word| match word {
                "bad" => Err("not that"),
                word => Ok(word.to_owned()),
            });
            section.finish();
            found.push((name, words));
        }
        top.finish();
        (found, reader.finish().0.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn sections_of_any_name_come_in_the_files_order() {
        let (found, problems) = read("[thing.z]\nwords = [\"a\"]\n[thing.\"a.b\"]\n[thing.c]\n");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, problems), (vec!["z", "a.b", "c"], Vec::new()));
        assert_eq!(found[0].1, ["a"]);
    }

    #[test]
    fn problems_in_them_have_places() {
        let (_, problems) = read("thing.y = 3\n[thing.x]\nword = 1\nwords = [\"ok\",\n  \"bad\"]\n");
        assert_eq!(
            problems,
            [
                "f:1:11: thing.y is a section, not integer",
                "f:3:1: unknown setting word in section thing.x, did you mean words?",
                "f:5:3: words: not that",
            ]
        );
        let (_, problems) = read("[thing.x]\nwords = [\"ok\", 7]");
        assert_eq!(problems, ["f:2:16: words: invalid type: integer `7`, expected a string"]);
    }
}
