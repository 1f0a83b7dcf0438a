//! Discovery of servers for the host manager: what it asks, on a thread as name servers may hang, and what is said about it.

use super::options::Options;
use crate::settings::{self, HostManager};
use std::{path::Path, thread};
use tokio::sync::mpsc;
use zephyr_discovery::{Answer, Discovery, Source, Survey, TIMEOUT};
use zephyr_domain::PROVIDERS;
use zephyr_engine::host_manager::{Discovered, NotFound};
use zephyr_output::complain;

/// What is asked: the servers of the command line if there are any, else the sources of the settings.
pub(super) fn of(options: &Options, settings: &HostManager) -> Discovery {
    if options.servers.is_empty() {
        of_settings(settings, &options.config_dir)
    } else {
        Discovery::of_names(&options.servers, "the command line")
    }
}

/// What is asked where the command line names no server.
pub(crate) fn of_settings(settings: &HostManager, folder: &Path) -> Discovery {
    Discovery::new(settings.discovery.clone(), folder).with_default_realm(default_realm)
}

/// The realm that this machine is in, as the first backend says that knows one.
fn default_realm() -> Option<String> {
    PROVIDERS.iter().find_map(|provider| (provider.default_realm)(None).ok())
}

/// Says that there is no server, why, and what to do about it.
pub(super) fn complain_of_none(reason: &str, advice: &str) {
    complain!("No valid primary server found, exiting.");
    complain!("zhm: {reason}");
    complain!("zhm: {advice}");
}

/// What to do where no source of these settings, of this folder, names a server: in a source that is asked.
pub(crate) fn advice(settings: &HostManager, folder: &Path) -> String {
    let file = folder.join(settings::FILE_NAME);
    let (file, sources) = (file.display(), &settings.discovery.sources);
    if sources.is_empty() {
        return format!("Take sources = [] out of {file}, section zhm, or name the servers on the command line.");
    }
    if sources.contains(&Source::Settings) {
        return format!("Name the servers in {file}, section zhm, or on the command line.");
    }
    let words: Vec<String> = sources.iter().map(|source| format!("{:?}", source.word())).collect();
    let words = words.join(", ");
    format!("Name the servers in a source that {file}, section zhm, lists ({words}), or on the command line.")
}

/// Runs discoveries. The machine asks for one at a time, so there is one thread at most.
#[derive(Debug)]
pub(super) struct Discoveries {
    discovery: Discovery,
    answers: mpsc::UnboundedSender<Survey>,
    /// What was last said about sources that are invalid.
    told: Vec<String>,
}

impl Discoveries {
    /// With the queue that answers come in; [`Discoveries::take`] is for those.
    pub(super) fn new(discovery: Discovery) -> (Self, mpsc::UnboundedReceiver<Survey>) {
        let (answers, queue) = mpsc::unbounded_channel();
        (Self { discovery, answers, told: Vec::new() }, queue)
    }

    /// Discovers servers; `None`, and the answer comes through the queue, when that may take long.
    pub(super) fn run(&mut self) -> Option<Result<Discovered, NotFound>> {
        if !self.discovery.may_take_long() {
            let survey = self.discovery.survey(TIMEOUT);
            return Some(self.take(survey));
        }
        let (answers, discovery) = (self.answers.clone(), self.discovery.clone());
        let started = thread::Builder::new().name("discovery".to_owned()).spawn(move || {
            // When nobody wants the answer any more, the host manager has ended.
            let _ = answers.send(discovery.survey(TIMEOUT));
        });
        started.err().map(|error| Err(NotFound::NoAnswer(error.to_string().into())))
    }

    /// What follows from an answer. Sources that somebody has to mend are logged, when that is news.
    pub(super) fn take(&mut self, survey: Survey) -> Result<Discovered, NotFound> {
        let invalid: Vec<String> = survey
            .testimonies
            .iter()
            .filter(|testimony| matches!(testimony.answer, Answer::Invalid(_)))
            .map(ToString::to_string)
            .collect();
        for line in invalid.iter().filter(|line| !self.told.contains(line)) {
            tracing::warn!("passed over: {line}");
        }
        self.told = invalid;
        survey.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;
    use zephyr_discovery::Settings;

    fn options(folder: &Path, servers: &[&str]) -> Options {
        let folder = folder.to_str().unwrap();
        Options::try_parse_from(["zhm", "--config-dir", folder].iter().chain(servers)).unwrap()
    }

    #[test]
    fn the_command_line_is_known_on_the_spot_and_goes_before_everything() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.list"), "listed.test\n").unwrap();
        let options = options(folder.path(), &["one.test", "two.test:99"]);
        let (mut discoveries, _queue) = Discoveries::new(of(&options, &HostManager::default()));
        let found = discoveries.run().unwrap().unwrap();
        let hosts: Vec<&str> = found.candidates.iter().map(|candidate| &*candidate.host).collect();
        assert_eq!((hosts, &*found.source), (vec!["one.test", "two.test"], "the command line"));
    }

    #[test]
    fn the_advice_is_one_that_helps() {
        for (sources, expected) in [
            (vec![], "Take sources = [] out of /f/zephyr.toml, section zhm, or name the servers on the command line."),
            (
                vec![Source::Dns, Source::Settings],
                "Name the servers in /f/zephyr.toml, section zhm, or on the command line.",
            ),
            (
                vec![Source::Dns, Source::ServerList],
                "Name the servers in a source that /f/zephyr.toml, section zhm, lists (\"dns\", \"server.list\"), or on the \
                 command line.",
            ),
        ] {
            let discovery = Settings { sources, ..Settings::default() };
            let settings = HostManager { discovery, ..HostManager::default() };
            assert_eq!(advice(&settings, Path::new("/f")), expected);
        }
    }

    #[test]
    fn what_may_hang_is_asked_on_a_thread() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("server.list");
        fs::write(&list, "no host\n").unwrap();
        let discovery = Settings { sources: vec![Source::ServerList], ..Settings::default() };
        let settings = HostManager { discovery, ..HostManager::default() };
        let (mut discoveries, mut queue) = Discoveries::new(of(&options(folder.path(), &[]), &settings));
        assert!(discoveries.run().is_none());
        let survey = queue.blocking_recv().unwrap();
        assert!(matches!(discoveries.take(survey), Err(NotFound::NoServer(_))));
        assert_eq!(discoveries.told.len(), 1);
        fs::write(&list, "listed.test\n").unwrap();
        assert!(discoveries.run().is_none());
        let survey = queue.blocking_recv().unwrap();
        assert_eq!(&*discoveries.take(survey).unwrap().candidates[0].host, "listed.test");
        assert_eq!(discoveries.told, Vec::<String>::new());
    }
}
