//! The connection of a command, and what is said of it when it takes long.

use crate::messages::Messages;
use std::time::Duration;
use zephyr_client::{Direct, Options, Result, blocking::Client};

/// How long nothing need be said about what is waited for.
pub const HINT_DELAY: Duration = Duration::from_secs(5);

/// Connects as the environment says; with `no_direct` to no server directly. Whoever sits before a terminal is told what takes so long.
///
/// # Errors
///
/// As [`Options::from_environment`] and [`Client::connect`].
pub fn connect(no_direct: bool, messages: &mut Messages<'_>) -> Result<Client> {
    let mut options = Options::from_environment()?;
    if no_direct {
        options.direct = Direct::Never;
    }
    if !messages.is_on_terminal() {
        return Client::connect(options);
    }
    let text = match options.direct {
        Direct::Never => format!("still waiting for the host manager (zhm) at {}", options.host_manager),
        Direct::Fallback => {
            format!("still waiting for the host manager (zhm) at {}, or a server", options.host_manager)
        }
        Direct::Always => "still waiting for a server".to_owned(),
    };
    Client::connect_slowly(options, HINT_DELAY, || messages.say(&text))
}
