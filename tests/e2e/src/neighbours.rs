//! Domains on loopback that know and trust one another: `realm.list` at each server, keys of cross-realm trust at each KDC.

use crate::{person::TIMEOUT, stack::Stack};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{fs, net::SocketAddr};
use zephyr_testkit::deadline::wait_until;

/// A line of `realm.list`.
pub fn line(realm: &str, server: SocketAddr) -> String {
    format!("{realm} {server}\n")
}

/// Makes two domains trust each other in both directions; servers that start from now on find the other's KDC.
///
/// # Errors
/// When kadmin reports an error, or a domain is without Kerberos.
pub fn marry(one: &Stack, other: &Stack) -> Result<()> {
    one.realm()?.trust(other.realm()?)?;
    other.realm()?.trust(one.realm()?)?;
    for (here, there) in [(one, other), (other, one)] {
        let realm = there.realm()?;
        let domain = format!("[domain_realm]\n{} = {}\n", there.server_name(), realm.name());
        here.realm()?.add_settings(&realm.name().replace('.', "-"), &(domain + &realm.whereabouts()))?;
    }
    Ok(())
}

/// Gives a domain's server this `realm.list`, and starts it anew.
///
/// # Errors
/// When it does not start; shows what it said.
pub fn list(stack: &mut Stack, lines: &str) -> Result<()> {
    fs::write(stack.config().join("realm.list"), lines)?;
    stack.zephyrd().stop(TIMEOUT)?;
    stack.restart_zephyrd()
}

/// Makes two domains know and trust each other; returns when each is in touch with the other.
///
/// # Errors
/// As [`marry`] and [`list`], and when they do not get in touch.
pub fn introduce(one: &mut Stack, other: &mut Stack) -> Result<()> {
    marry(one, other)?;
    let (at_one, at_other) = (one.server(), other.server());
    know(one, at_other, other, at_one)
}

/// As [`introduce`], of domains that trust each other, with the addresses at which each is told that the other is.
///
/// # Errors
/// As [`introduce`].
pub fn know(one: &mut Stack, other_is_at: SocketAddr, other: &mut Stack, one_is_at: SocketAddr) -> Result<()> {
    let (one_name, other_name) = (one.realm()?.name().to_owned(), other.realm()?.name().to_owned());
    list(one, &line(&other_name, other_is_at))?;
    list(other, &line(&one_name, one_is_at))?;
    wait_for_realm(one, &other_name, "up")?;
    wait_for_realm(other, &one_name, "up")
}

/// Waits until a domain's server says that a realm is in this state.
///
/// # Errors
/// When it never says so; shows what it says.
pub fn wait_for_realm(stack: &Stack, realm: &str, state: &str) -> Result<()> {
    let mut said = String::new();
    wait_until(&format!("realm {realm} is {state}"), TIMEOUT, || {
        said = stack.zephyrctl(&["--json", "realms"])?.success()?.stdout;
        let answer: Value = serde_json::from_str(&said)?;
        let realms = answer.get("realms").and_then(Value::as_array).context("no list of realms")?;
        let says = |known: &Value, field, word| known.get(field).and_then(Value::as_str) == Some(word);
        let is_so = |known: &&Value| says(known, "realm", realm) && says(known, "state", state);
        Ok(realms.iter().find(is_so).map(|_| ()))
    })
    .with_context(|| said)
}
