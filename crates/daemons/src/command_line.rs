//! Command lines. What is wrong with one is said like everything else: with the program's name before it.

use clap::Parser;
use std::{
    io::{self, Write},
    net::IpAddr,
    process::ExitCode,
};

/// Parses the command line of a program.
///
/// # Errors
///
/// The exit status with which it ends at once: when the line is invalid, which was said, and when the help or the version was
/// asked for, which are printed.
pub fn parse<Options: Parser>(program: &str) -> Result<Options, ExitCode> {
    Options::try_parse().map_err(|error| end(program, &error))
}

/// Says what is wrong with a command line, or prints the help or the version that was asked for. Gives the exit status.
pub(crate) fn end(program: &str, error: &clap::Error) -> ExitCode {
    let status = u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    if error.use_stderr() {
        // Where that cannot be written either, the status is that of a failure anyway.
        let _ = io::stderr().write_all(complaint(program, error).as_bytes());
        return status;
    }
    let printed = zephyr_output::judged(error.print().and_then(|()| io::stdout().flush()));
    zephyr_output::exit_status(program, printed, status)
}

/// How a tip begins that helps nobody: of all values only those of `zephyrctl check` look like options.
const AS_VALUE: &str = "  tip: to pass '";

/// What is wrong with a command line; the help, where there is nothing on it.
fn complaint(program: &str, error: &clap::Error) -> String {
    let text = error.render().to_string();
    let is_wanted = |part: &&str| !part.starts_with(AS_VALUE) || text.contains("Usage: zephyrctl check");
    let parts: Vec<&str> = text.split("\n\n").filter(is_wanted).collect();
    let text = parts.join("\n\n");
    text.strip_prefix("error: ").map_or_else(|| text.clone(), |text| format!("{program}: {text}"))
}

/// A number of entries, of an option.
pub(crate) fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0, not {text:?}"))
}

/// A number of seconds to wait, of an option.
pub(crate) fn seconds(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|&seconds| seconds > 0);
    seconds.ok_or_else(|| format!("expected a number of seconds from 1 to {}, not {text:?}", u32::MAX))
}

/// A number of seconds to wait, or none, of an option.
pub(crate) fn wait(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("expected a number of seconds from 0 to {}, not {text:?}", u32::MAX))
}

/// An address, of an option.
pub(crate) fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("expected an address like 10.1.2.3 or 2001:db8::1, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{zephyrctl, zephyrd, zhm};

    fn said<P: Parser>(line: &[&str]) -> String {
        let error = P::try_parse_from(line).err().expect("bad");
        let program = line[0].rsplit('/').next().unwrap_or_default();
        complaint(program, &error).lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn without_a_verb_there_is_the_help() {
        let line = said::<zephyrctl::options::Options>(&["zephyrctl"]);
        assert!(line.starts_with("Asks the Zephyr server of this machine"), "{line}");
    }

    #[test]
    fn nobody_is_told_to_pass_an_option_as_a_value() {
        let error = zhm::options::Options::try_parse_from(["zhm", "-v"]).expect_err("bad");
        let text = complaint("zhm", &error);
        assert!(text.starts_with("zhm: unexpected argument '-v' found\n\nUsage: zhm "), "{text}");
    }

    #[test]
    fn the_program_says_what_is_wrong() {
        assert_eq!(said::<zhm::options::Options>(&["zhm", "-x"]), "zhm: unexpected argument '-x' found");
        assert_eq!(
            said::<zephyrd::options::Options>(&["/usr/sbin/zephyrd", "--listen", "here"]),
            "zephyrd: invalid value 'here' for '--listen <ADDR:PORT>': expected ADDRESS:PORT, not \"here\""
        );
        assert_eq!(
            said::<zephyrctl::options::Options>(&["zephyrctl", "clients", "--limit", "many"]),
            "zephyrctl: invalid value 'many' for '--limit <NUMBER>': expected a whole number from 0, not \"many\""
        );
        for (value, quoted) in [("abc", "\"abc\""), ("0", "\"0\""), ("99999999999", "\"99999999999\"")] {
            assert_eq!(
                said::<zephyrctl::options::Options>(&["zephyrctl", "--timeout", value, "status"]),
                format!(
                    "zephyrctl: invalid value '{value}' for '--timeout <SECONDS>': \
                     expected a number of seconds from 1 to 4294967295, not {quoted}"
                )
            );
        }
        assert_eq!(
            said::<zephyrctl::options::Options>(&["zephyrctl", "acl", "check", "a", "b", "--address", "there"]),
            "zephyrctl: invalid value 'there' for '--address <ADDR>': \
             expected an address like 10.1.2.3 or 2001:db8::1, not \"there\""
        );
    }
}
