//! The host manager's settings.

use super::{
    file::{self, LoadedSettings},
    log::{Facility, Log},
    values::listen_address,
};
use crate::problem::Findings;
use std::{net::SocketAddr, path::Path};
use zephyr_config::reader::Section;

/// The settings of zhm; the default is what holds without a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostManagerSettings {
    /// Section `zhm`.
    pub zhm: HostManager,
    /// Section `log`: where the log goes.
    pub log: Log,
}

/// Section `zhm`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostManager {
    /// How servers are found.
    pub discovery: zephyr_discovery::Settings,
    /// Where to listen; `None`: every address, at port zephyr-hm.
    pub listen: Option<SocketAddr>,
}

impl Default for HostManagerSettings {
    fn default() -> Self {
        let log = Log { facility: Facility::DAEMON, ..Log::default() };
        Self { zhm: HostManager::default(), log }
    }
}

impl HostManagerSettings {
    /// The settings of this configuration folder; the defaults when it has no such file.
    ///
    /// # Errors
    ///
    /// All errors in the file that are not in a section of another program.
    pub fn load(config_dir: &Path) -> Result<LoadedSettings<Self>, Findings> {
        file::load(config_dir, Self::read_sections)
    }

    /// The settings of a file with this content.
    ///
    /// # Errors
    ///
    /// All errors in it that are not in a section of another program.
    pub fn read(file: &Path, content: &str) -> Result<LoadedSettings<Self>, Findings> {
        file::read(file, content, Self::read_sections)
    }

    /// Reads the host manager's own sections.
    pub(super) fn read_sections(top: &mut Section<'_, '_>) -> Self {
        let mut settings = Self::default();
        for of_server in ["zephyrd", "bounds", "control", "metrics", "peers", "state"] {
            top.skip(of_server);
        }
        settings.log.read(top.section("log"));
        settings.zhm.read(top.section("zhm"));
        settings
    }
}

impl HostManager {
    fn read(&mut self, mut section: Section<'_, '_>) {
        self.discovery.read(&mut section);
        section.read_text("listen", &mut self.listen, |text| listen_address(text).map(Some));
        section.finish();
    }
}
