//! The host manager's command line.

use super::background;
use crate::settings::ServerName;
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};

/// The Zephyr host manager: carries the notices of this machine's programs to a server.
#[derive(Clone, Debug, Parser)]
#[command(name = "zhm", version, disable_help_flag = true, args_override_self = true)]
pub struct Options {
    /// Write debug lines
    #[arg(short = 'd')]
    pub debug: bool,
    /// Stop on SIGHUP instead of flushing
    #[arg(short = 'h')]
    pub stop_on_hangup: bool,
    /// Tell the server that this host has started, wait for its answer, and end
    #[arg(short = 'r')]
    pub boot_only: bool,
    /// Started by inetd: the socket is standard input; implies -h
    #[arg(short = 'i', conflicts_with = "listen")]
    pub inetd: bool,
    /// Stay in the foreground, as with -i and under systemd
    #[arg(short = 'n')]
    pub foreground: bool,
    /// Refuse programs' requests to flush this host
    #[arg(short = 'f')]
    pub refuse_flush: bool,
    /// Keep this host's subscriptions when starting
    #[arg(short = 'N')]
    pub attach: bool,
    /// Where to listen [default: 0.0.0.0 at port zephyr-hm, 2104]
    #[arg(long, value_name = "ADDR:PORT", value_parser = crate::settings::listen_address)]
    pub listen: Option<SocketAddr>,
    /// The folder of the settings file, zephyr.toml
    #[arg(long, value_name = "DIR", default_value = "/etc/zephyr")]
    pub config_dir: PathBuf,
    /// Where to write the process id [default: /var/run/zhm.pid, none with --listen]
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Started by itself to go into the background: the socket is standard input
    #[arg(long = background::OPTION, hide = true, conflicts_with = "inetd")]
    pub in_background: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Servers, the preferred one first, instead of those of the settings; the port is zephyr-clt, 2103, when not given
    #[arg(value_name = "HOST[:PORT]")]
    pub servers: Vec<ServerName>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use zephyr_discovery::clients_file::OPTIONS_WITH_VALUE;

    /// Else a value of one in `zhm_args` is taken for a server.
    #[test]
    fn discovery_knows_the_options_that_have_a_value() {
        let command = Options::command();
        let with_value = command.get_opts().filter(|option| option.get_action().takes_values());
        let names: Vec<String> = with_value.filter_map(|option| Some(format!("--{}", option.get_long()?))).collect();
        assert_eq!(names, OPTIONS_WITH_VALUE);
    }

    #[test]
    fn old_command_lines_are_understood() {
        let options = Options::try_parse_from(["zhm", "-hNf", "-n", "one", "two:99"]).expect("good");
        assert!(options.stop_on_hangup && options.attach && options.refuse_flush && options.foreground);
        assert_eq!(options.servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["one", "two:99"]);
        assert_eq!(Options::try_parse_from(["zhm", "two:x"]).expect_err("bad").exit_code(), 2);
        assert_eq!(Options::try_parse_from(["zhm", "-x"]).expect_err("bad").exit_code(), 2);
    }
}
