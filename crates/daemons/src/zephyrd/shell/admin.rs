//! What the shell does for operators and collectors: everything that touches files, and passing on what only the engine
//! knows.

use super::Shell;
use crate::{
    admin_protocol::{Answer, Question, Reloaded},
    plural, private_file,
    problem::{Problem, Problems},
    settings::ServerSettings,
    zephyrd::{configuration::Configuration, inspect, judge::Judge, listeners::AdminRequest, metrics, start},
};
use tokio::sync::oneshot;
use zephyr_core::auth::AuthError;
use zephyr_domain::{
    policy_file::{self, PolicyFile},
    server_domain::ServerDomain,
};
use zephyr_engine::server::{Command, Metric};

impl Shell {
    /// Answers whoever asks. Somebody who no longer waits for the answer is no failure.
    pub(super) fn serve_admin(&mut self, request: AdminRequest) {
        match request {
            AdminRequest::Operator(Question::Dump { here: false }, answer) => self.dump_to_file(Some(answer)),
            AdminRequest::Operator(Question::Reload {}, answer) => {
                let result = self.reload();
                let _ = answer.send(result);
            }
            AdminRequest::Operator(question, answer) => {
                let _ = answer.send(self.answer(&question));
            }
            AdminRequest::Metrics(answer) => {
                let _ = answer.send(metrics::render(&self.metrics()));
            }
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        let refused = || Answer::Refused("the server does not answer that".to_owned());
        match inspect::answer(&self.engine, self.clock.now(), question).unwrap_or_else(refused) {
            Answer::Status(mut status) => {
                status.authentication = self.side.domain.backend.to_string();
                let io_counters = self.io_counters().into_iter();
                status.counts.extend(io_counters.map(|metric| (metric.field.to_owned(), metric.value)));
                Answer::Status(status)
            }
            answer => answer,
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let uptime = self.engine.uptime(self.clock.now());
        let uptime = Metric {
            field: "seconds_operational",
            name: "zephyrd_uptime_seconds",
            label: ("", ""),
            help: "Seconds since the server began.",
            value: uptime.as_secs(),
        };
        [self.engine.counters().metrics(), self.engine.gauges().metrics(), self.io_counters(), vec![uptime]].concat()
    }

    fn io_counters(&self) -> Vec<Metric> {
        let mut io_counters = self.io_counters;
        io_counters.lines_left_out = self.lines.left_out();
        io_counters.metrics()
    }

    /// Writes down what the server knows, without waiting for the disk.
    pub(super) fn dump_to_file(&self, answer: Option<oneshot::Sender<Answer>>) {
        tracing::info!("dumping to disk");
        let (path, dump) = (self.settings.zephyrd.dump_file.clone(), self.engine.dump());
        tokio::task::spawn_blocking(move || {
            let written = private_file::make_folder(&path).and_then(|()| private_file::write(&path, dump.as_bytes()));
            let result = match written {
                Ok(()) => {
                    tracing::info!("dump done: {}", path.display());
                    Answer::DumpedTo(path.display().to_string())
                }
                Err(error) => {
                    tracing::error!("cannot dump to {}: {error}", path.display());
                    Answer::Refused(format!("cannot write {}: {error}", path.display()))
                }
            };
            if let Some(answer) = answer {
                let _ = answer.send(result);
            }
        });
    }

    /// Reads the configuration files again: either all of them are in use afterwards, or nothing has changed.
    pub(super) fn reload(&mut self) -> Answer {
        self.manager.reloading();
        let loaded = Configuration::load(&self.options.config_dir).and_then(|configuration| {
            let (side, judge) = self.judge_by(&configuration)?;
            Ok((configuration, side, judge))
        });
        let answer = match loaded {
            Ok((configuration, side, judge)) => {
                if let Some(judge) = judge {
                    self.judge = judge;
                }
                self.side = side;
                self.take_over(configuration)
            }
            Err(Problems(problems)) => {
                self.io_counters.failed_reloads += 1;
                for problem in &problems {
                    tracing::error!("{problem}");
                }
                tracing::error!("nothing changed: {} in the configuration files", plural::problems(problems.len()));
                Answer::Problems(problems)
            }
        };
        self.manager.ready(&self.status);
        answer
    }

    /// The domain as a new policy has it, and a judge if that takes another one. The realm stays: it takes a restart.
    fn judge_by(&self, configuration: &Configuration) -> Result<(ServerDomain, Option<Judge>), Problems> {
        let settings = &self.settings.zephyrd;
        let fault = |error: AuthError| {
            let file = PolicyFile::path(&self.options.config_dir.join(policy_file::FILE_NAME));
            Problems(vec![Problem::whole_file(&file, error)])
        };
        let realm = Some(self.side.realm.as_str());
        let side = ServerDomain::find(&configuration.policies, settings.auth, realm).map_err(fault)?;
        if side.judges_as(&self.side) {
            return Ok((side, None));
        }
        let acceptor = start::acceptor(&side, settings, &self.options.config_dir).map_err(fault)?;
        Ok((side, Some(Judge::new(acceptor))))
    }

    fn take_over(&mut self, configuration: Configuration) -> Answer {
        for warning in &configuration.warnings {
            tracing::warn!("{warning}");
        }
        let (settings, rules) = (self.options.overrule(configuration.settings), configuration.rules);
        let reloaded = Reloaded {
            default_subscriptions: rules.defaults.len(),
            restricted_classes: rules.registered(),
            needs_restart: needs_restart(&self.settings, &settings),
        };
        for setting in &reloaded.needs_restart {
            tracing::warn!("section {setting} of the settings has changed, which takes a restart");
        }
        let now = self.clock.now();
        self.engine.command(now, Command::Rebound(settings.bounds), &mut self.outbox);
        let policy = Box::new(self.side.domain.policy.clone());
        self.engine.command(now, Command::Renew { rules, policy }, &mut self.outbox);
        self.lines.write(self.outbox.take_events(), None);
        self.settings.bounds = settings.bounds;
        self.io_counters.reloads += 1;
        tracing::info!("the policy is {}", self.side.domain.origin());
        tracing::info!(
            "restart completed, {}",
            plural::rules(reloaded.default_subscriptions, reloaded.restricted_classes)
        );
        Answer::Reloaded(reloaded)
    }
}

/// The sections that are only read when a server begins, and differ.
fn needs_restart(used: &ServerSettings, read: &ServerSettings) -> Vec<String> {
    let sections = [
        ("zephyrd", used.zephyrd == read.zephyrd),
        ("control", used.control == read.control),
        ("metrics", used.metrics == read.metrics),
        ("log", used.log == read.log),
    ];
    sections.into_iter().filter(|(_, same)| !same).map(|(name, _)| name.to_owned()).collect()
}
