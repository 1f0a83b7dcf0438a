//! Requests of operators and metrics collectors, as far as the shell answers them: what touches files, and what the
//! engine knows.

use super::Shell;
use crate::{
    admin_protocol::{Answer, ControlRequest, Reloaded},
    plural, policy_words,
    problem::{Problem, Problems},
    settings::ServerSettings,
    zephyrd::{configuration::Configuration, dump_file, inspect, listeners::AdminRequest, metrics, start},
};
use std::{sync::Arc, time::Instant};
use tokio::sync::oneshot;
use zephyr_config::system_text;
use zephyr_core::auth::{Acceptor, AuthError, Service};
use zephyr_domain::{
    policy_file::{self, PolicyFile},
    server_domain::ServerDomain,
};
use zephyr_engine::{
    machine::Input,
    server::{Command, Metric},
};

/// What judges packets, and the service that others know us as: both use the service's keys.
type Keys = (Arc<dyn Acceptor>, Arc<dyn Service>);

impl Shell {
    /// Answers a request. Somebody who no longer waits for the answer is no failure.
    pub(super) fn serve_admin(&mut self, request: AdminRequest) {
        match request {
            AdminRequest::Control(ControlRequest::Dump { here: false }, answer) => self.dump_to_file(Some(answer)),
            AdminRequest::Control(ControlRequest::Drain {}, answer) => {
                let _ = answer.send(self.drain());
            }
            AdminRequest::Control(ControlRequest::EndDrain {}, answer) => {
                tracing::info!("host managers may come again");
                self.driver.handle(Input::Command(Command::EndDrain));
                let _ = answer.send(Answer::DrainEnded);
            }
            AdminRequest::Control(ControlRequest::Reload {}, answer) => {
                let result = self.reload();
                let _ = answer.send(result);
            }
            AdminRequest::Control(request, answer) => {
                let _ = answer.send(self.answer(&request));
            }
            AdminRequest::Metrics(answer) => {
                let _ = answer.send(metrics::render(&self.metrics()));
            }
        }
    }

    /// Asks the hosts to go, if there is another server to go to. Whoever waits for that asks for it again and again.
    fn drain(&mut self) -> Answer {
        let machine = self.driver.machine();
        let hosts = machine.gauges().hosts;
        let count = plural::count(hosts, "host manager");
        if hosts > 0 && machine.living_peer().is_none() {
            return Answer::Refused(format!(
                "no other server of the realm is up, to which {count} could go; zephyrctl peers says how they are"
            ));
        }
        if !machine.is_draining() {
            tracing::info!("asked to go to another server: {count}");
        }
        self.driver.handle(Input::Command(Command::Drain));
        Answer::Draining(hosts)
    }

    fn answer(&self, request: &ControlRequest) -> Answer {
        let refused = || Answer::Refused("the server does not answer that".to_owned());
        match inspect::answer(self.driver.machine(), self.driver.clock().now(), request).unwrap_or_else(refused) {
            Answer::Status(mut status) => {
                status.authentication = self.domain.domain.backend.to_string();
                status.policy = policy_words::in_force(&self.domain.domain);
                status.state = self.environment.state.status();
                status.metrics = self.settings.metrics.listen.as_ref().map(ToString::to_string);
                let io_counters = self.io_counters().into_iter();
                status.counts.extend(io_counters.map(|metric| (metric.field.to_owned(), metric.value)));
                Answer::Status(status)
            }
            answer => answer,
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let uptime = self.driver.machine().uptime(self.driver.clock().now());
        let uptime = Metric {
            field: "seconds_operational",
            name: "zephyrd_uptime_seconds",
            label: ("", ""),
            help: "Seconds since the server began.",
            value: uptime.as_secs(),
        };
        [
            self.driver.machine().counters().metrics(),
            self.driver.machine().gauges().metrics(),
            self.io_counters(),
            self.environment.state.metrics(),
            vec![uptime],
        ]
        .concat()
    }

    /// The metrics of the I/O around the machine, and of its events.
    fn io_counters(&self) -> Vec<Metric> {
        let mut io_counters = self.io_counters;
        io_counters.lines_left_out = self.environment.log.left_out();
        [io_counters.metrics(), self.environment.published.metrics()].concat()
    }

    /// Writes down what the server knows, without waiting for the disk.
    pub(super) fn dump_to_file(&self, answer: Option<oneshot::Sender<Answer>>) {
        tracing::info!("dumping to disk");
        let (path, dump) = (self.settings.zephyrd.dump_file.clone(), self.driver.machine().dump());
        tokio::task::spawn_blocking(move || {
            let result = match dump_file::write(&path, &dump) {
                Ok(()) => {
                    tracing::info!("dump done: {}", path.display());
                    Answer::DumpedTo(path.display().to_string())
                }
                Err(error) => {
                    let why = system_text(&error);
                    tracing::error!("cannot dump to {}: {why}", path.display());
                    Answer::Refused(format!("the server cannot write {}: {why}", path.display()))
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
        let loaded = Configuration::load(&self.options.config_dir).and_then(|mut configuration| {
            let lost = self.sources.lost(configuration.sources, &self.options.config_dir);
            if !lost.is_empty() {
                return Err(Problems(lost));
            }
            let (domain, keys) = self.verify_by(&configuration)?;
            let Configuration { policies, realms, realm_list, rules, warnings, .. } = &mut configuration;
            let listed = realm_list.named();
            warnings.extend(start::policy_warnings(&domain, policies, &listed));
            warnings.extend(start::list_warnings(&domain, policies, realms, &listed, Some(rules)));
            Ok((configuration, domain, keys))
        });
        let answer = match loaded {
            Ok((configuration, domain, keys)) => {
                if let Some((acceptor, service)) = keys {
                    self.environment.verifier.replace(acceptor);
                    self.environment.tickets.replace(service.clone());
                    self.environment.streams.prove_by(service);
                }
                self.domain = domain;
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

    /// The domain as a new policy has it, and an acceptor and a service if that takes others. The realm stays: it takes a
    /// restart.
    fn verify_by(&self, configuration: &Configuration) -> Result<(ServerDomain, Option<Keys>), Problems> {
        let settings = &self.settings.zephyrd;
        let error = |error: AuthError| {
            let file = PolicyFile::path(&self.options.config_dir.join(policy_file::FILE_NAME));
            Problems(vec![Problem::whole_file(&file, error)])
        };
        let realm = Some(self.domain.realm.as_str());
        let domain = ServerDomain::find(&configuration.policies, settings.auth, realm, None).map_err(error)?;
        if domain.judges_as(&self.domain) {
            return Ok((domain, None));
        }
        let acceptor = start::acceptor(&domain, settings, &self.options.config_dir).map_err(error)?;
        let service = start::service(&domain, settings, &self.options.config_dir).map_err(error)?;
        Ok((domain, Some((acceptor, service))))
    }

    fn take_over(&mut self, mut configuration: Configuration) -> Answer {
        let state = self.environment.state.status();
        if let (Some(file), Some(why)) = (state.file, state.why) {
            let text = format!("the state is in memory only, and {file} is tried again now: {why}");
            configuration.warnings.push(Problem::of_machine(text));
        }
        self.sources = configuration.sources;
        for warning in &configuration.warnings {
            tracing::warn!("{warning}");
        }
        let (settings, rules) = (self.options.overrule(configuration.settings), configuration.rules);
        self.peers.replace(configuration.servers);
        let reloaded = Reloaded {
            default_subscriptions: rules.defaults.len(),
            restricted_classes: rules.registered(),
            needs_restart: needs_restart(&self.settings, &settings),
            warnings: configuration.warnings,
        };
        for setting in &reloaded.needs_restart {
            tracing::warn!("section {setting} of the settings has changed, which takes a restart");
        }
        let service = start::service(&self.domain, &self.settings.zephyrd, &self.options.config_dir);
        if let Ok(service) = &service {
            self.environment.tickets.replace(Arc::clone(service));
        }
        self.environment.state.reseal(service.map_err(|error| error.to_string()));
        self.driver.handle(Input::Command(Command::Rebound(Box::new(settings.bounds))));
        let policy = Box::new(self.domain.domain.policy.clone());
        self.driver.handle(Input::Command(Command::Renew { rules, policy }));
        self.settings.bounds = settings.bounds;
        self.settings.peers = settings.peers;
        self.tell_of_peers();
        self.realms.replace(configuration.realm_list);
        // The KDCs may have been mended as well.
        self.environment.tickets.retry(Instant::now());
        self.tell_of_realms();
        self.io_counters.reloads += 1;
        tracing::info!("the policy is {}", self.domain.domain.origin());
        tracing::info!("reloaded: {}", plural::rules(reloaded.default_subscriptions, reloaded.restricted_classes));
        Answer::Reloaded(reloaded)
    }
}

/// The sections that are only read when a server begins, and differ.
fn needs_restart(used: &ServerSettings, read: &ServerSettings) -> Vec<String> {
    let sections = [
        ("zephyrd", used.zephyrd == read.zephyrd),
        ("control", used.control == read.control),
        ("metrics", used.metrics == read.metrics),
        ("state", used.state == read.state),
        ("log", used.log == read.log),
    ];
    sections.into_iter().filter(|(_, same)| !same).map(|(name, _)| name.to_owned()).collect()
}
