//! Who shows notices: the user's description, or one of the formats of our own.

use crate::{
    display::{Display, DisplaySettings, NoPort},
    ending::Ended,
    format::Format,
    json,
    labelled::{self, Style},
    options::Options,
    status_line,
    writer::Writer,
};
use std::io::stdout;
use zephyr_client::{Received, system_text, terminal, variables::Variables};
use zephyr_output::complain;

/// The port that windows would be shown at.
const X: &str = "X";

/// Shows notices.
pub(crate) enum Output {
    /// As the user's description says.
    Description(Box<Display>),
    /// In a format of our own.
    Lines(Writer),
}

impl Output {
    /// Begins to show notices in this format; where that cannot be, the lines that say why.
    pub(crate) fn start(format: Format, options: &Options, variables: &Variables) -> Result<Self, NoPort> {
        match format {
            Format::Description => {
                if !options.tty_mode && options.disabled.iter().all(|port| port != X) {
                    complain!("zwgc: Unable to open X display -- disabling X driver.");
                }
                Display::start(&settings(options, variables)).map(|display| Self::Description(Box::new(display)))
            }
            Format::Labelled => {
                Self::lines(|received| labelled::render(&received.notice(), received.verdict(), Style::of_output()))
            }
            Format::Line => Self::lines(|received| {
                status_line::render(&received.notice(), received.verdict(), terminal::screen(&stdout()))
            }),
            Format::Json => Self::lines(json::render),
        }
    }

    fn lines(render: impl FnMut(&Received) -> String + Send + 'static) -> Result<Self, NoPort> {
        let started = Writer::start(render);
        started.map(Self::Lines).map_err(|error| NoPort(vec![format!("zwgc: no thread: {}", system_text(&error))]))
    }

    /// Tells who the user is, and of which realm.
    pub(crate) fn identify(&self, user: &[u8], realm: &str) {
        if let Self::Description(display) = self {
            display.identify(user, realm);
        }
    }

    /// Has a notice shown; waits while too many wait already. Pings are for descriptions alone, which may know what to do with them.
    pub(crate) async fn show(&self, received: Received) {
        match self {
            Self::Description(display) => display.show(received).await,
            Self::Lines(_) if received.is_ping() => {}
            Self::Lines(writer) => writer.show(received).await,
        }
    }

    /// Reads the description again.
    pub(crate) fn reread(&self) {
        if let Self::Description(display) = self {
            display.reread();
        }
    }

    /// Runs the description on the notice of the start.
    pub(crate) fn startup(&self) {
        if let Self::Description(display) = self {
            display.startup();
        }
    }

    /// Waits until nothing can be shown any more. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        match self {
            Self::Description(display) => display.ended().await,
            Self::Lines(writer) => writer.ended().await,
        }
    }

    /// Waits until all is shown that was given.
    pub(crate) async fn finish(self) {
        match self {
            Self::Description(display) => display.finish().await,
            Self::Lines(writer) => writer.finish().await,
        }
    }
}

fn settings(options: &Options, variables: &Variables) -> DisplaySettings {
    DisplaySettings {
        description: options.description.clone(),
        disabled: options.disabled.clone(),
        default_port: options.default_port.clone(),
        tty_mode: options.tty_mode,
        charset: options.charset.clone(),
        fallback: variables.text("fallback").and_then(|value| truth(value.trim())),
        zephyr_variables: variables.clone(),
    }
}

/// What a variable says that is true or false (zwgc, section 1.1).
fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "on" => Some(true),
        "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths() {
        for value in ["yes", "Y", "TRUE", "t", "On"] {
            assert_eq!(truth(value), Some(true), "{value}");
        }
        for value in ["no", "N", "False", "f", "OFF"] {
            assert_eq!(truth(value), Some(false), "{value}");
        }
        assert_eq!(truth("1"), None);
    }
}
