//! Showing notices as the user's description says.

use crate::{
    labelled::{self, Style},
    writer::{Ended, Writer},
};
use std::{env, path::PathBuf};
use zephyr_client::{Received, variables::Variables};
use zephyr_core::sanitize;

/// What decides how notices are shown.
#[derive(Clone, Debug, Default)]
#[expect(dead_code, reason = "descriptions are not run yet")]
pub(crate) struct DisplaySettings {
    /// A description in place of the user's; `-` is standard input.
    pub(crate) description: Option<PathBuf>,
    /// The ports to do without.
    pub(crate) disabled: Vec<String>,
    /// The port that is written to where the description names none.
    pub(crate) default_port: Option<String>,
    /// Show notices on the terminal.
    pub(crate) tty_mode: bool,
    /// The terminal's character set.
    pub(crate) charset: Option<String>,
    /// Whether the terminal will do where there is no X; `None` where the user has not said.
    pub(crate) fallback: Option<bool>,
    /// The user's variables.
    pub(crate) zephyr_variables: Variables,
}

/// There is no port to write to: the lines about it.
pub(crate) struct NoPort(pub(crate) Vec<String>);

/// Shows notices.
pub(crate) struct Display {
    writer: Writer,
}

impl Display {
    /// Chooses the ports and starts the thread that shows (zwgc, section 1.1).
    pub(crate) fn start(settings: DisplaySettings) -> Result<Self, NoPort> {
        if !settings.tty_mode && settings.default_port.is_none() && settings.fallback != Some(true) {
            let program = env::args_os().next().unwrap_or_default();
            let program = sanitize::name(program.as_encoded_bytes());
            let advice = format!("zwgc: To receive Zephyrgrams, (type `{program} -ttymode').");
            return Err(NoPort(if settings.fallback.is_none() { vec![advice] } else { Vec::new() }));
        }
        let render = |received: &Received| match received.is_ping() {
            true => String::new(),
            false => labelled::render(&received.notice(), received.verdict(), Style::of_output()),
        };
        let writer = Writer::start(render).map_err(|error| NoPort(vec![format!("zwgc: {error}")]))?;
        Ok(Self { writer })
    }

    /// Tells who the user is, and of which realm.
    pub(crate) fn identify(&self, _user: &[u8], _realm: &str) {}

    /// Has a notice shown; waits while too many wait already.
    pub(crate) async fn show(&self, received: Received) {
        self.writer.show(received).await;
    }

    /// Reads the description again.
    pub(crate) fn reread(&self) {}

    /// Runs the description on the notice of the start (zwgc, section 7.2).
    pub(crate) fn startup(&self) {}

    /// Waits until nothing can be shown any more. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.writer.ended().await
    }

    /// Waits until all is shown that was given.
    pub(crate) async fn finish(self) {
        self.writer.finish().await;
    }
}
