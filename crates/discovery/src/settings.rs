//! The settings of discovery, which are in section `zhm` of `zephyr.toml`.

use crate::{ServerName, Source};
use std::path::Path;
use zephyr_config::{
    file,
    problem::Problem,
    reader::{Reader, Section},
};

/// What the settings say about discovery; the default is what holds without a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Servers, the preferred one first.
    pub servers: Vec<ServerName>,
    /// The sources to ask, in this order.
    pub sources: Vec<Source>,
    /// The domain whose SRV records are asked for; `None`: that of this host.
    pub domain: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { servers: Vec::new(), sources: Source::ALL.into(), domain: None }
    }
}

impl Settings {
    /// Those of a settings file, whatever else there is in it; the default ones when there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no settings file, or one of these settings is invalid: why, for people to read.
    pub(crate) fn of_file(path: &Path) -> Result<Self, String> {
        let content = file::text(path).map_err(|problem| text(&problem))?.unwrap_or_default();
        let mut settings = Self::default();
        let mut reader = Reader::new(path, &content);
        settings.read(&mut reader.parse().section("zhm"));
        reader.finish().findings.problems.first().map_or(Ok(settings), |problem| Err(text(problem)))
    }

    /// Reads them from their section, which may have others besides.
    pub fn read(&mut self, section: &mut Section<'_, '_>) {
        let servers = section.read_list("servers", &mut self.servers, str::parse::<ServerName>);
        section.read_list("sources", &mut self.sources, str::parse::<Source>);
        let are_unused = !self.servers.is_empty() && !self.sources.contains(&Source::Settings);
        if let Some(offset) = servers.filter(|_| are_unused) {
            section
                .warning(offset, format!("servers: not used, as sources does not list {:?}", Source::Settings.word()));
        }
        section.read_text("domain", &mut self.domain, |text| domain(text).map(Some));
    }
}

fn text(Problem { line, text, .. }: &Problem) -> String {
    if *line == 0 { text.clone() } else { format!("line {line}: {text}") }
}

/// A domain of DNS.
fn domain(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_name = name.parse::<ServerName>().is_ok_and(|name| name.port.is_none());
    if is_name { Ok(name.to_owned()) } else { Err(format!("expected a domain of DNS, not {text:?}")) }
}
