//! tmux, which is a terminal: what stands on its screen, and what is typed.

use crate::person::{Person, TIMEOUT};
use anyhow::{Context as _, Result};
use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use zephyr_testkit::{deadline::wait_until, process::run};

/// A terminal of 80 columns and 24 rows, in which a person's command runs.
pub struct Terminal<'p> {
    person: &'p Person,
    /// Of its own: a server that ends has the socket for a while.
    socket: PathBuf,
}

impl<'p> Terminal<'p> {
    /// Starts a command of the shell in it.
    ///
    /// # Errors
    /// When tmux does not start.
    pub fn start(person: &'p Person, command: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let socket = person.home().join(format!("tmux-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let terminal = Self { person, socket };
        run(terminal.command(&["new-session", "-d", "-x", "80", "-y", "24", command]), TIMEOUT)?.success()?;
        Ok(terminal)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.person.command("tmux");
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null", "-u"]).args(arguments);
        command
    }

    /// The rows of its screen, without blanks at their ends.
    ///
    /// # Errors
    /// When the command in it has ended.
    pub fn rows(&self) -> Result<Vec<String>> {
        let screen = run(self.command(&["capture-pane", "-p"]), TIMEOUT)?.success()?;
        Ok(screen.stdout.lines().map(|row| row.trim_end().to_owned()).collect())
    }

    /// Waits for a row, and gives all of them.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        wait_until(what, TIMEOUT, || {
            let rows = self.rows()?;
            Ok(rows.iter().any(|row| wanted(row)).then_some(rows))
        })
        .with_context(|| format!("on the screen: {:#?}", self.rows().unwrap_or_default()))
    }

    /// Types keys, named as tmux names them: `a`, `C-d`, `Left`, `Enter`.
    ///
    /// # Errors
    /// When the command in it has ended.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        let mut command = self.command(&["send-keys"]);
        command.args(keys);
        run(command, TIMEOUT)?.success()?;
        Ok(())
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let _ = run(self.command(&["kill-server"]), Duration::from_secs(10));
    }
}
