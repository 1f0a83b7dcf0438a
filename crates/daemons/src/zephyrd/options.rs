//! The server's command line.

use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};
use zephyr_auth::Backend;

/// The Zephyr server: hands notices to whoever subscribed to them.
#[derive(Clone, Debug, Parser)]
#[command(name = "zephyrd", version, args_override_self = true)]
pub struct Options {
    /// Write debug lines from the start
    #[arg(short = 'd', long)]
    pub debug: bool,
    /// Stay in the foreground; accepted for old scripts, the server always does
    #[arg(short = 'n')]
    pub foreground: bool,
    /// The realm to serve instead of the default one
    #[arg(short = 'k', long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Accepted for old scripts and ignored, as it always was
    #[arg(short = 'f', value_name = "FILE", hide = true)]
    pub dump_file: Option<PathBuf>,
    /// Where to listen [default: 0.0.0.0 at port zephyr-clt, 2103]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// The folder of the configuration files
    #[arg(long, value_name = "DIR", default_value = "/etc/zephyr")]
    pub config_dir: PathBuf,
    /// The keys of zephyr/zephyr [default: krb5.keytab in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub keytab: Option<PathBuf>,
    /// How senders are proven: kerberos, or none for a domain that trusts everybody
    #[arg(long, value_name = "BACKEND", default_value = "kerberos")]
    pub auth: Backend,
    /// The server's name in its own notices [default: this host's]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_command_lines_are_understood() {
        let options = Options::try_parse_from(["zephyrd", "-dn", "-k", "ATHENA.TEST", "-f", "dump"]).expect("good");
        assert!(options.debug && options.foreground);
        assert_eq!(options.realm.as_deref(), Some("ATHENA.TEST"));
        assert_eq!(options.auth, Backend::Kerberos);
    }

    #[test]
    fn what_is_no_option_is_a_usage_error() {
        for wrong in [&["zephyrd", "-x"][..], &["zephyrd", "word"], &["zephyrd", "--auth", "maybe"], &["zephyrd", "-k"]]
        {
            assert_eq!(Options::try_parse_from(wrong).expect_err("bad").exit_code(), 2, "{wrong:?}");
        }
    }
}
