//! Reading of the settings file, for one program or for all.

use super::{FILE_NAME, HostManagerSettings, ServerSettings};
use crate::problem::{Findings, Problem};
use std::path::Path;
use zephyr_config::{
    file,
    reader::{Reader, Report, Section},
};

/// The settings of a program, and the warnings about their file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedSettings<S> {
    /// The settings.
    pub settings: S,
    /// The warnings: what is valid, but probably a mistake.
    pub warnings: Vec<Problem>,
}

/// Reads the settings of a program by reading its sections.
pub(super) fn load<S>(
    config_dir: &Path,
    sections: fn(&mut Section<'_, '_>) -> S,
) -> Result<LoadedSettings<S>, Findings> {
    let file = config_dir.join(FILE_NAME);
    match content_of(&file) {
        Ok(content) => read(&file, &content, sections),
        Err(problem) => Err(Findings { problems: vec![problem], warnings: Vec::new() }),
    }
}

/// As [`load`], from a file with this content.
pub(super) fn read<S>(
    file: &Path,
    content: &str,
    sections: fn(&mut Section<'_, '_>) -> S,
) -> Result<LoadedSettings<S>, Findings> {
    let (settings, Report { findings, .. }) = read_all(file, content, sections);
    if findings.problems.is_empty() {
        Ok(LoadedSettings { settings, warnings: findings.warnings })
    } else {
        Err(findings)
    }
}

/// The settings, and whatever there is to say about the file.
pub(super) fn read_all<S>(file: &Path, content: &str, sections: fn(&mut Section<'_, '_>) -> S) -> (S, Report) {
    let mut reader = Reader::new(file, content);
    let mut top = reader.parse();
    let settings = sections(&mut top);
    top.finish();
    (settings, reader.finish())
}

/// Reads each of these sections by itself, whatever is in the others; gives which of them have no problem.
pub(super) fn load_sections<const N: usize>(
    config_dir: &Path,
    sections: [&mut dyn FnMut(&mut Section<'_, '_>); N],
) -> [bool; N] {
    let file = config_dir.join(FILE_NAME);
    let content = content_of(&file);
    sections.map(|section| {
        let Ok(content) = &content else { return false };
        let mut reader = Reader::new(&file, content);
        section(&mut reader.parse());
        reader.finish().findings.problems.is_empty()
    })
}

/// All findings about the settings file of a configuration folder, whichever program they concern.
pub fn check(config_dir: &Path) -> Findings {
    let file = config_dir.join(FILE_NAME);
    match content_of(&file) {
        Ok(content) => check_content(&file, &content),
        Err(problem) => Findings { problems: vec![problem], warnings: Vec::new() },
    }
}

/// As [`check`], of a file with this content.
pub(super) fn check_content(file: &Path, content: &str) -> Findings {
    let mut findings = read_all(file, content, ServerSettings::read_sections).1.findings;
    findings.extend(read_all(file, content, HostManagerSettings::read_sections).1.findings);
    // Both have found what concerns both.
    findings.put_in_order();
    findings
}

/// The text of a file; no file is an empty one.
fn content_of(path: &Path) -> Result<String, Problem> {
    file::text(path).map(Option::unwrap_or_default)
}
