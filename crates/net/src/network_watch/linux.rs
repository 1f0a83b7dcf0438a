//! What Linux tells of its network and of its clock.

use super::messages::{self, Known};
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
        socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// Links that come, go or change (`RTMGRP_LINK`), IPv4 addresses (`RTMGRP_IPV4_IFADDR`) and routes (`RTMGRP_IPV4_ROUTE`).
/// Nothing of IPv6: servers have none, and any machine of the network changes a host's addresses by advertising itself as a router.
const GROUPS: u32 = 0x1 | 0x10 | 0x40;
/// Room for what the kernel tells at once. What does not fit counts as a change.
const BUFFER: usize = 16 << 10;
/// Maximum number of reads at a time.
const MAX_READS: usize = 64;
/// A time of day that never comes, in seconds.
const NEVER: i64 = i32::MAX as i64 * 64;

/// The kernel, which tells.
#[derive(Debug)]
pub(super) struct Kernel {
    network: OwnedFd,
    /// Ends when the time of day leaps, as it does after a sleep. `None` where there is no such thing.
    clock: Option<TimerFd>,
    /// Is readable when one of the two is.
    either: Epoll,
    known: Known,
    /// The last look did not take all that was told.
    has_more: bool,
}

impl Kernel {
    /// Asks to be told.
    pub(super) fn new() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let network = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(network.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        let either = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        either.add(&network, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        let clock = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC).ok();
        let clock = clock
            .filter(|clock| arm(clock).is_ok() && either.add(clock, EpollEvent::new(EpollFlags::EPOLLIN, 0)).is_ok());
        Ok(Self { network, clock, either, known: Known::default(), has_more: false })
    }

    /// Takes what was told; whether any of it changes something. A leap of the clock is nothing but a reason to look at the
    /// clock.
    pub(super) fn take_changes(&mut self) -> bool {
        if let Some(clock) = &self.clock
            && clock.wait().is_ok()
        {
            // Else there is no leap any more that is seen at once.
            let _ = arm(clock);
        }
        let mut changed = false;
        let mut buffer = [0; BUFFER];
        for _ in 0..MAX_READS {
            match recvfrom::<NetlinkAddr>(self.network.as_raw_fd(), &mut buffer) {
                // Others than the kernel may say something too, if they are privileged.
                Ok((_, Some(sender))) if sender.pid() != 0 => {}
                Ok((len, _)) => {
                    let told = buffer.get(..len).unwrap_or_default();
                    changed |= messages::change_anything(told, &mut self.known);
                }
                // There was more than there was room for.
                Err(Errno::ENOBUFS) => changed = true,
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.has_more = false;
                    return changed;
                }
            }
        }
        self.has_more = true;
        changed
    }

    /// Whether there may be more than was taken.
    pub(super) const fn has_more(&self) -> bool {
        self.has_more
    }
}

#[cfg(test)]
impl Kernel {
    /// What the kernel tells on, apart from the clock.
    pub(super) const fn network(&self) -> &OwnedFd {
        &self.network
    }
}

impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.either.0.as_fd()
    }
}

fn arm(clock: &TimerFd) -> nix::Result<()> {
    let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
    clock.set(Expiration::OneShot(TimeSpec::new(NEVER, 0)), flags)
}
