//! Command lines. What is wrong with one is said like everything else: with the program's name before it.

use clap::{CommandFactory, Parser, error::ErrorKind};
use std::{
    io::{self, Write},
    net::IpAddr,
    process::ExitCode,
};

/// Exit status after a command line that is invalid.
const USAGE: u8 = 2;

/// The options of this process's command line; else the exit status, after what there was to say.
///
/// # Errors
///
/// When only help or the version was asked for, or something is wrong, which has been said.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    P::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // That nobody reads it is no failure of ours.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            USAGE.into()
        }
        _ => {
            let _ = io::stderr().write_all(complaint::<P>(&error).as_bytes());
            USAGE.into()
        }
    })
}

/// What is wrong with a command line.
fn complaint<P: CommandFactory>(error: &clap::Error) -> String {
    let text = error.render().to_string();
    format!("{}: {}", P::command().get_name(), text.strip_prefix("error: ").unwrap_or(&text))
}

/// A number of entries, of an option.
pub(crate) fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0, not {text:?}"))
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
        complaint::<P>(&error).lines().next().unwrap_or_default().to_owned()
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
        assert_eq!(
            said::<zephyrctl::options::Options>(&["zephyrctl", "acl", "check", "a", "b", "--address", "there"]),
            "zephyrctl: invalid value 'there' for '--address <ADDR>': \
             expected an address like 10.1.2.3 or 2001:db8::1, not \"there\""
        );
    }
}
