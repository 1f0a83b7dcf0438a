//! The server's command line.

use crate::settings::{Control, ServerSettings, State, listen_address, name};
use clap::Parser;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use zephyr_domain::Backend;

/// The Zephyr server: hands notices to whoever subscribed to them.
///
/// What is not given here is taken from zephyr.toml in the configuration folder.
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
    #[arg(short = 'k', long, value_name = "REALM", value_parser = name)]
    pub realm: Option<String>,
    /// Accepted for old scripts and ignored, as it always was
    #[arg(short = 'f', value_name = "FILE", hide = true)]
    pub dump_file: Option<PathBuf>,
    /// Where to listen [default: 0.0.0.0 at port zephyr-clt, 2103]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub listen: Option<SocketAddr>,
    /// The folder of the configuration files
    #[arg(long, value_name = "DIR", default_value = "/etc/zephyr")]
    pub config_dir: PathBuf,
    /// The keys of zephyr/zephyr [default: krb5.keytab in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub keytab: Option<PathBuf>,
    /// How senders are proven: kerberos, or none without a KDC [default: as policy.toml says, else kerberos]
    #[arg(long, value_name = "BACKEND")]
    pub auth: Option<Backend>,
    /// The server's name in its own notices [default: this host's]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub hostname: Option<String>,
    /// The socket that zephyrctl talks to [default: /run/zephyr/zephyrd.sock, none with --listen]
    #[arg(long, value_name = "PATH")]
    pub control_socket: Option<PathBuf>,
}

impl Options {
    /// The settings of the file, overruled by what the command line says.
    pub(crate) fn overrule(&self, mut settings: ServerSettings) -> ServerSettings {
        fn replace<T: Clone>(setting: &mut T, option: Option<&T>) {
            if let Some(option) = option {
                setting.clone_from(option);
            }
        }
        let server = &mut settings.zephyrd;
        server.auth = self.auth.or(server.auth);
        server.listen = self.listen.or(server.listen);
        server.realm = self.realm.clone().or(server.realm.take());
        server.keytab = self.keytab.clone().or(server.keytab.take());
        server.hostname = self.hostname.clone().or(server.hostname.take());
        replace(&mut settings.control.socket, self.control_socket.as_ref());
        settings.log.debug |= self.debug;
        settings
    }

    /// Whether the control socket is wanted: an additional server, told to listen elsewhere, does not take the usual
    /// one's.
    pub(super) fn wants_control(&self, settings: &ServerSettings) -> bool {
        self.listen.is_none() || settings.control != Control::default()
    }

    /// The file that this server keeps its state in: an additional server does not take the usual one's.
    pub(crate) fn state_file<'a>(&self, settings: &'a ServerSettings) -> Option<&'a Path> {
        let is_own = self.listen.is_none() || settings.state != State::default();
        settings.state.file.as_deref().filter(|_| is_own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn old_command_lines_are_understood() {
        let options = Options::try_parse_from(["zephyrd", "-dn", "-k", "ATHENA.TEST", "-f", "dump"]).expect("good");
        assert!(options.debug && options.foreground);
        assert_eq!(options.realm.as_deref(), Some("ATHENA.TEST"));
        assert_eq!(options.auth, None);
    }

    #[test]
    fn what_is_no_option_is_a_usage_error() {
        for wrong in [&["zephyrd", "-x"][..], &["zephyrd", "word"], &["zephyrd", "--auth", "maybe"], &["zephyrd", "-k"]]
        {
            assert_eq!(Options::try_parse_from(wrong).expect_err("bad").exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_a_name_as_in_the_file() {
        for option in ["--hostname", "--realm", "-k"] {
            for wrong in ["", " ", "no such.host", "z.a.b\u{200b}", "a\u{a0}b", "a\nb"] {
                let error = Options::try_parse_from(["zephyrd", option, wrong]).expect_err("bad");
                let expected = format!("expected one word, not {wrong:?}");
                assert!(error.exit_code() == 2 && error.to_string().contains(&expected), "{error}");
            }
            Options::try_parse_from(["zephyrd", option, "z.A-b_1.test"]).expect("good");
        }
    }

    #[test]
    fn only_ipv4_is_listened_on() {
        let listen = |address| Options::try_parse_from(["zephyrd", "--listen", address]);
        assert_eq!(listen("127.0.0.1:7").expect("good").listen, Some(([127, 0, 0, 1], 7).into()));
        for address in ["[::]:2103", "[::1]:2103", "[::ffff:127.0.0.1]:2103"] {
            let error = listen(address).expect_err("clients would be known by two addresses").to_string();
            assert!(error.contains("expected an IPv4 address"), "{error}");
        }
    }

    #[test]
    fn the_command_line_overrules_the_file() {
        let file = "[zephyrd]\nrealm = \"FILE\"\nhostname = \"file\"\nauth = \"none\"\n[control]\nsocket = \"/file\"\n";
        let settings = ServerSettings::read(Path::new("f"), file).expect("good").settings;
        let options = |line: &[&str]| Options::try_parse_from([&["zephyrd"], line].concat()).expect("good");
        let settings = options(&["-k", "LINE", "--auth", "kerberos"]).overrule(settings);
        assert_eq!(settings.zephyrd.realm.as_deref(), Some("LINE"));
        assert_eq!(settings.zephyrd.hostname.as_deref(), Some("file"));
        assert_eq!(settings.zephyrd.auth, Some(Backend::KERBEROS));
        assert_eq!(settings.control.socket, Path::new("/file"));

        let elsewhere = options(&["--listen", "127.0.0.1:0"]);
        assert!(elsewhere.wants_control(&settings) && !elsewhere.wants_control(&ServerSettings::default()));
        assert!(options(&[]).wants_control(&ServerSettings::default()));
    }
}
