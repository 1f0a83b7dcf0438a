//! zephyrctl's command line.

use crate::{
    admin_protocol::DEFAULT_ENTRIES,
    command_line::{ip_address, seconds, wait, whole_number},
    settings::name,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{ffi::OsString, net::IpAddr, path::PathBuf};
use zephyr_core::policy::Action;

/// Asks the Zephyr server of this machine how it is and what it knows, and checks its configuration.
///
/// Exit status: 0 done, 1 a problem was found or the server refuses, 2 usage, 3 the server cannot be reached.
#[derive(Clone, Debug, Parser)]
#[command(name = "zephyrctl", version)]
pub struct Options {
    /// Print what programs read, instead of what people read
    #[arg(long, global = true)]
    pub json: bool,
    /// The server's socket [default: that of zephyr.toml, /run/zephyr/zephyrd.sock]
    #[arg(long, global = true, value_name = "PATH", env = "ZEPHYR_CONTROL_SOCKET")]
    pub control_socket: Option<PathBuf>,
    /// Wait no longer for the server's answer
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u32,
    /// The folder of the configuration files
    #[arg(long, global = true, value_name = "DIR", default_value = "/etc/zephyr")]
    pub config_dir: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What zephyrctl can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Say how the server is: what it holds, and what it has counted
    Status,
    /// Write down everything that the server knows
    Dump {
        /// Where to; - for standard output [default: the server's own dump file]
        file: Option<PathBuf>,
    },
    /// List the programs that receive notices
    Clients {
        /// Clients listed at most
        #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_ENTRIES, value_parser = whole_number)]
        limit: usize,
    },
    /// List who subscribed to a class
    Subscriptions {
        /// The class
        class: String,
        /// Subscriptions listed at most
        #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_ENTRIES, value_parser = whole_number)]
        limit: usize,
    },
    /// List the other servers of the realm, and how they are
    Peers,
    /// List the other realms that the server talks with, and how they are
    Realms,
    /// Ask the server's access control lists
    #[command(subcommand)]
    Acl(AclVerb),
    /// Check a policy file, or ask it what it decides; needs no server
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Look at the file that the server keeps its state in, or move what is in it; needs no server
    #[command(subcommand)]
    State(StateVerb),
    /// Make all host managers go to another server, before this one is stopped, and wait until they have gone
    Drain {
        /// Wait no longer than this; 0: ask once
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = wait)]
        wait: u32,
        /// Let host managers come again
        #[arg(long, conflicts_with = "wait")]
        undo: bool,
    },
    /// Make the server read its configuration files again; when one is broken, it goes on with the old ones
    Reload,
    /// Look for all that would keep the server from starting, as the user that runs it; needs no server
    Check(Check),
}

/// How a server is checked.
#[derive(Clone, Debug, Default, Args)]
pub struct Check {
    /// Look at the files alone, as on a machine where the server will not run
    #[arg(long, conflicts_with_all = ["user", "server_options"])]
    pub files: bool,
    /// Say instead how zhm and programs on this machine find their servers
    #[arg(long, conflicts_with_all = ["files", "user", "server_options"])]
    pub servers: bool,
    /// The user that runs the server, by name or number, if root asks [default: zephyr, if there is one]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// The options that zephyrd is started with, if any
    #[arg(last = true, value_name = "ZEPHYRD-OPTION")]
    pub server_options: Vec<OsString>,
}

/// What can be asked of access control lists.
#[derive(Clone, Debug, Subcommand)]
pub enum AclVerb {
    /// Say what a principal may do with a class
    Check {
        /// The principal, as in alice@REALM; empty for somebody unproven
        principal: String,
        /// The class
        class: String,
        /// Where the principal is; without it, entries for addresses do not count
        #[arg(long, value_name = "ADDR", value_parser = ip_address)]
        address: Option<IpAddr>,
        /// Ask for this alone
        #[arg(long, value_name = "LIST")]
        act: Option<Act>,
    },
}

/// What can be done with the file of a state.
#[derive(Clone, Debug, Subcommand)]
pub enum StateVerb {
    /// Look at every page of it, and say how much it holds; also while a server uses it
    Check {
        /// The file [default: that of zephyr.toml, /var/lib/zephyr/state.db]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Write all that is in it as lines of JSON; also while a server uses it
    Export {
        /// The file [default: that of zephyr.toml, /var/lib/zephyr/state.db]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// With session keys, sealed as they are in the file
        #[arg(long)]
        keys: bool,
        /// Where to, a new file [default: standard output]
        to: Option<PathBuf>,
    },
    /// Fill a file that is new or empty with such lines
    Import {
        /// The file [default: that of zephyr.toml, /var/lib/zephyr/state.db]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The lines; - for standard input
        from: PathBuf,
    },
}

/// What can be asked of policy files.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyVerb {
    /// Look for problems in a policy file, and say what it demands
    Check {
        /// The file
        file: PathBuf,
    },
    /// Say what a policy decides, and by which rule; exit status 1 when it refuses
    Explain {
        /// The file [default: policy.toml in the folder of the configuration files]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Whose policy
        #[arg(long, value_parser = name)]
        realm: String,
        /// What is wanted
        #[arg(long)]
        action: Wanted,
        /// Who wants it, without a realm or as in alice@REALM
        #[arg(long = "as", value_name = "SENDER")]
        sender: String,
        /// In which class
        #[arg(long)]
        class: Option<String>,
        /// The notice carries no proof
        #[arg(long)]
        unauthenticated: bool,
        /// The notice carries a proof that does not hold
        #[arg(long, conflicts_with = "unauthenticated")]
        failed: bool,
    },
}

/// Something that may be wanted of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Send to a class
    Send,
    /// Subscribe to a class
    Receive,
    /// Ask where somebody is
    Locate,
    /// Tell where one is
    Login,
    /// Leave a place
    Logout,
}

impl Wanted {
    /// As the policy has it.
    pub(super) const fn action(self) -> Action {
        match self {
            Self::Send => Action::Send,
            Self::Receive => Action::Receive,
            Self::Locate => Action::Locate,
            Self::Login => Action::Login,
            Self::Logout => Action::Logout,
        }
    }
}

/// One of the lists of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Act {
    /// Who may send
    Xmt,
    /// Who may subscribe
    Sub,
    /// Who may subscribe to all instances
    Iws,
    /// Who may send to instances that are not his name
    Iui,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
        for wrong in [&["zephyrctl"][..], &["zephyrctl", "destroy"], &["zephyrctl", "acl", "check", "alice@R"]] {
            assert_eq!(Options::try_parse_from(wrong).expect_err("bad").exit_code(), 2, "{wrong:?}");
        }
        let options = Options::try_parse_from(["zephyrctl", "clients", "--limit", "3", "--json"]).expect("good");
        assert!(options.json && matches!(options.verb, Verb::Clients { limit: 3 }));
    }
}
