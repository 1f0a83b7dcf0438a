//! The standard ports, and which of them is the default one (zwgc, sections 1.1 and 10).

use super::{
    DisplaySettings, NoPort,
    ports::{Port, Ports, Sink, Source, Style, Terminal},
};
use crate::terminfo;
use std::{
    collections::HashMap,
    env,
    io::{self, BufReader},
};
use zephyr_client::codeset;
use zephyr_core::sanitize;
use zephyr_output::complain;
use zephyr_windowgram::{evaluator::Interpreter, terminal::Codes};

/// The standard ports in the order of preference, without X.
const STANDARD: [&str; 8] = ["tty", "plain", "stdout", "stderr", "stdin", "loopback", "plain_filter", "tty_filter"];

/// The default port (zwgc, section 1.1). There is no X, which is the only one that need not be chosen.
fn default_port(settings: &DisplaySettings) -> Result<String, NoPort> {
    if let Some(port) = &settings.default_port {
        return Ok(port.clone());
    }
    if settings.tty_mode {
        return Ok("tty".to_owned());
    }
    let is_there = |name: &&&str| !settings.disabled.iter().any(|disabled| disabled == **name);
    let first = STANDARD.iter().find(is_there).filter(|_| settings.fallback == Some(true));
    first.map(|first| (*first).to_owned()).ok_or_else(|| {
        let program = env::args_os().next().unwrap_or_default();
        let program = sanitize::name(program.as_encoded_bytes());
        let advice = format!("zwgc: To receive Zephyrgrams, (type `{program} -ttymode').");
        NoPort(if settings.fallback.is_none() { vec![advice] } else { Vec::new() })
    })
}

/// Makes the standard ports, and sets what descriptions are told of them.
pub(super) fn start(settings: &DisplaySettings) -> Result<(Interpreter, Ports), NoPort> {
    let default = default_port(settings)?;
    let codes = match env::var_os("TERM") {
        Some(name) => terminfo::find(&name).map_or_else(Codes::plain, |entry| Codes::of(&entry)),
        None => {
            if default == "tty" {
                complain!("zwgc: $TERM not set.  tty mode will be plain.");
            }
            Codes::plain()
        }
    };
    let mut ports = HashMap::new();
    for name in STANDARD.into_iter().filter(|name| !settings.disabled.iter().any(|disabled| disabled == name)) {
        ports.insert(name.as_bytes().to_vec(), port(name));
    }
    let mut interpreter = Interpreter::new();
    interpreter.set("output_driver", default.into_bytes());
    let charset = codeset::of_terminal(settings.charset.as_deref()).to_ascii_uppercase();
    interpreter.set("tty_charset", charset.into_bytes());
    Ok((interpreter, Ports::new(ports, Terminal::new(codes), settings.zephyr_variables.clone())))
}

fn port(name: &str) -> Port {
    match name {
        "tty" => Port::output(Sink::Formatted(Style::Terminal)),
        "plain" => Port::output(Sink::Formatted(Style::Plain)),
        "stdout" => Port::output(Sink::StandardOutput),
        "stderr" => Port::output(Sink::Writer(Box::new(io::stderr()))),
        "stdin" => Port::input(Source::Lines(Box::new(BufReader::new(io::stdin())))),
        "plain_filter" => Port::both(Source::Store, Sink::Store(Some(Style::Plain))),
        "tty_filter" => Port::both(Source::Store, Sink::Store(Some(Style::Terminal))),
        _ => Port::both(Source::Store, Sink::Store(None)),
    }
}
