//! The host manager's socket: its own, or one that was handed over.

use super::options::Options;
use crate::{
    port_holder::{self, Transport},
    settings::HostManagerSettings,
};
use listenfd::ListenFd;
use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    os::fd::{AsFd, OwnedFd},
};
use zephyr_config::system_text;
use zephyr_net::{services, socket};

/// The socket: standard input where inetd has started it, the one that the service manager holds where there is one
/// (`sd_listen_fds(3)`), or one that is bound now.
pub(super) fn open(options: &Options, settings: &HostManagerSettings) -> io::Result<UdpSocket> {
    if options.inetd || options.in_background {
        let handed = io::stdin().as_fd().try_clone_to_owned()?;
        return inherited(handed, if options.inetd { "-i: standard input" } else { "standard input" });
    }
    let mut handed = ListenFd::from_env();
    match handed.len() {
        0 => {}
        1 => {
            let first = handed.take_udp_socket(0).map_err(|error| wrong("LISTEN_FDS", &error))?;
            return match first {
                Some(first) => inherited(first.into(), "LISTEN_FDS"),
                None => Err(wrong("LISTEN_FDS", &io::ErrorKind::NotFound.into())),
            };
        }
        several => {
            let error = io::Error::other(format!("expected one socket, not {several}"));
            return Err(wrong("LISTEN_FDS", &error));
        }
    }
    let usual = || (Ipv4Addr::UNSPECIFIED, services::port(services::ZEPHYR_HM)).into();
    let address = options.listen.or(settings.zhm.listen).unwrap_or_else(usual);
    socket::open(address).map_err(|error| {
        let error = port_holder::explain(Transport::Udp, address, error);
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

fn inherited(handed: OwnedFd, whence: &str) -> io::Result<UdpSocket> {
    socket::inherited(handed).map_err(|error| wrong(whence, &error))
}

fn wrong(whence: &str, error: &io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{whence}: {}", system_text(error)))
}
