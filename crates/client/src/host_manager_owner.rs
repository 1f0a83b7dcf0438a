//! Whose socket has the host manager's port.

use nix::unistd::Uid;
use std::{
    net::{SocketAddr, UdpSocket},
    ops::RangeInclusive,
};
use zephyr_engine::client::Trust;
use zephyr_net::socket_owner::SocketOwners;

/// The first number of a person; lower ones are the system's own users'.
const FIRST_PERSON: u32 = 1000;
/// Those of services that systemd gives a user for as long as they run, as `zhm.service` (`DynamicUser=`).
const DYNAMIC_USERS: RangeInclusive<u32> = 61_184..=65_519;

/// Whether who has this port may be the host manager: a user of the system or this one. A host manager elsewhere was named by the
/// user, and of a system that does not say whose sockets are, nothing more is known than without asking.
pub(crate) fn trust(host_manager: SocketAddr) -> Trust {
    if !host_manager.ip().is_loopback() {
        return Trust::Trusted;
    }
    let owners = UdpSocket::bind((host_manager.ip(), 0)).and_then(|socket| SocketOwners::new(socket.local_addr()?));
    let Ok(mut owners) = owners else { return Trust::Trusted };
    match owners.sole_owner(host_manager) {
        Some(user) if may_be_host_manager(user) => Trust::Trusted,
        _ => Trust::Stranger,
    }
}

fn may_be_host_manager(user: u32) -> bool {
    user < FIRST_PERSON
        || DYNAMIC_USERS.contains(&user)
        || [Uid::current(), Uid::effective()].map(Uid::as_raw).contains(&user)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io;
    use zephyr_testkit::{
        loopback::Network,
        ownership::{MALLORY, owned_by},
    };

    #[test]
    fn the_users_own_and_the_systems_are_trusted_and_no_others() -> io::Result<()> {
        let network = Network::claim()?;
        let own = UdpSocket::bind((network.here(), 0))?;
        let address = own.local_addr()?;
        assert_eq!(trust(address), Trust::Trusted);
        drop(own);
        assert_eq!(trust(address), Trust::Stranger, "nobody's");
        let Some(of_mallory) = owned_by(MALLORY, move || UdpSocket::bind(address))? else { return Ok(()) };
        assert_eq!(trust(of_mallory?.local_addr()?), Trust::Stranger);
        for user in [FIRST_PERSON - 1, *DYNAMIC_USERS.start()] {
            let Some(of_system) = owned_by(user, move || UdpSocket::bind(address))? else { return Ok(()) };
            assert_eq!(trust(of_system?.local_addr()?), Trust::Trusted, "{user}");
        }
        Ok(())
    }
}
