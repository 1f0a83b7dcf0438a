//! Validation of the values of settings.

use std::{net::SocketAddr, path::PathBuf};
use zephyr_core::text_file::oddity;

/// The address of a daemon's socket, as options and settings give it.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(address @ SocketAddr::V4(_)) => Ok(address),
        Ok(SocketAddr::V6(_)) => Err(format!("expected an IPv4 address, as Zephyr knows no others, not {text:?}")),
        Err(_) => Err(format!("expected ADDRESS:PORT, not {text:?}")),
    }
}

/// One word, such as a name.
pub(super) fn one_word(text: &str) -> Result<Option<String>, String> {
    let plain = text.chars().all(|char| !char.is_whitespace() && !char.is_control());
    match oddity(text.as_bytes()) {
        None if plain => Ok(Some(text.to_owned())),
        _ => Err(format!("expected one word, not {text:?}")),
    }
}

/// A name that an option gives, which is there for something.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let word = one_word(text)?.filter(|word| !word.is_empty());
    word.ok_or_else(|| format!("expected one word, not {text:?}"))
}

/// An absolute path.
pub(super) fn absolute(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') { Ok(text.into()) } else { Err(format!("expected a path from /, not {text:?}")) }
}

/// A number that is not 0.
pub(super) fn at_least_one(number: usize) -> Result<usize, &'static str> {
    if number == 0 { Err("expected a number from 1") } else { Ok(number) }
}
