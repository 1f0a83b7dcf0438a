//! A blocking driver without a runtime and without threads: one socket, whose file descriptor a program can wait for
//! together with its own, and jobs that are done on the spot.
//!
//! It is for short commands, and for libraries whose callers have a loop of their own.

use crate::{
    clock::Clock,
    datagram::{self, ErrorReceiver, Receiver},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};
use zephyr_core::limits::MAX_PACKET;
use zephyr_engine::machine::{Input, Machine, Output};

/// Maximum number of datagrams received after the program's deadline: what has come is handled, but a flood does not keep
/// the program from going on.
const MAX_LATE_DATAGRAMS: usize = 64;
/// Maximum number of errors about packets that were sent, taken each time that there are some.
const MAX_ERRORS: usize = 64;

/// A machine, and what it needs of the system.
#[derive(Debug)]
pub struct Driver<M> {
    machine: M,
    socket: UdpSocket,
    clock: Clock,
    receiver: Receiver,
    errors: ErrorReceiver,
    /// See [`Driver::wake_by`].
    other: Option<OwnedFd>,
    /// Whether that has something to read.
    is_other_ready: bool,
    /// See [`Driver::timeout`].
    timeout: Option<Duration>,
}

/// An event for the program.
#[derive(Debug)]
pub enum Occurrence<E> {
    /// An event of the machine.
    Event(E),
    /// The system has not sent a packet.
    SendFailed {
        /// The destination.
        to: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// What was given to [`Driver::wake_by`] has something to read.
    Woken,
}

impl<M: Machine> Driver<M> {
    /// A driver of `machine` on `socket`, by `clock`. The socket is [prepared](datagram::prepare).
    ///
    /// # Errors
    ///
    /// When the system does not let the socket be read without waiting, or be prepared.
    pub fn new(machine: M, socket: UdpSocket, clock: Clock) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        datagram::prepare(&socket)?;
        let timeout = Some(clock.now().monotonic);
        let (receiver, errors) = (Receiver::new(), ErrorReceiver::new());
        Ok(Self { machine, socket, clock, receiver, errors, other: None, is_other_ready: false, timeout })
    }

    /// Lets [`Driver::next`] end its wait when something else can be read, too, as [`Occurrence::Woken`]. The program must read it to its
    /// end then.
    pub fn wake_by(&mut self, other: OwnedFd) {
        self.other = Some(other);
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The clock that the machine goes by.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Hands the machine a command.
    pub fn command(&mut self, command: M::Command) {
        let now = self.clock.now();
        self.machine.handle(now, Input::Command(command));
        self.timeout = Some(now.monotonic);
    }

    /// When [`Driver::next`] must be called even if the socket has nothing to read: at once after a command, and as long as
    /// there was something to tell; `None`: only when there is something to read.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Does what there is to do until something is to be told, and waits for it, but not beyond `deadline` on the
    /// monotonic clock; without one, as long as it takes. A deadline in the past means not to wait at all.
    ///
    /// # Errors
    ///
    /// When the socket cannot be read or waited for.
    pub fn next(
        &mut self,
        deadline: Option<Duration>,
        job: &mut dyn FnMut(M::Job) -> M::Done,
    ) -> io::Result<Option<Occurrence<M::Event>>> {
        let mut late_datagrams = 0;
        loop {
            let now = self.clock.now();
            let is_late = deadline.is_some_and(|deadline| now.monotonic >= deadline);
            if std::mem::take(&mut self.is_other_ready) {
                self.timeout = Some(now.monotonic);
                return Ok(Some(Occurrence::Woken));
            }
            let (waits_for, until) = match self.machine.poll(now) {
                Output::Event(event) => {
                    self.timeout = Some(now.monotonic);
                    return Ok(Some(Occurrence::Event(event)));
                }
                Output::Job(wanted) => {
                    let done = job(wanted);
                    self.machine.handle(self.clock.now(), Input::Done(done));
                    continue;
                }
                Output::Transmit(transmit) => match datagram::send(&self.socket, &transmit) {
                    Ok(()) => continue,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.machine.put_back(transmit);
                        (PollFlags::POLLOUT, None)
                    }
                    Err(error) => {
                        self.timeout = Some(now.monotonic);
                        return Ok(Some(Occurrence::SendFailed { to: transmit.to, error }));
                    }
                },
                // Before what has come, or a flood would stop the machine's clock.
                Output::Wait(Some(until)) if now.monotonic >= until => {
                    self.machine.handle(now, Input::Timeout);
                    continue;
                }
                Output::Wait(until) => {
                    if late_datagrams < MAX_LATE_DATAGRAMS && self.receive()? {
                        late_datagrams += usize::from(is_late);
                        continue;
                    }
                    (PollFlags::POLLIN, until)
                }
            };
            self.timeout = until;
            if is_late {
                // A program that waits for the socket itself would be woken by them again and again.
                if late_datagrams < MAX_LATE_DATAGRAMS && self.receive_errors() {
                    late_datagrams += 1;
                    continue;
                }
                return Ok(None);
            }
            let until = [until, deadline].into_iter().flatten().min();
            self.wait(waits_for, until.map(|until| until.saturating_sub(now.monotonic)))?;
        }
    }

    /// Receives one datagram, if there is one.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; MAX_PACKET];
        match self.receiver.receive(&self.socket, &mut buffer) {
            Ok(datagram::Received { len, from, local }) => {
                let octets = buffer.get(..len).unwrap_or_default();
                self.machine.handle(self.clock.now(), Input::Datagram { from, local, octets });
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
            // The next wait ends at once if there are datagrams behind it.
            Err(error) if datagram::may_be_of_an_earlier_packet(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes errors about what was sent, but not endlessly; true when there were some.
    fn receive_errors(&mut self) -> bool {
        let mut buffer = [0; MAX_PACKET];
        for taken in 0..MAX_ERRORS {
            match self.errors.take(&self.socket, &mut buffer) {
                Ok(Some(report)) if report.port_unreachable => {
                    let quoted = buffer.get(..report.quoted).unwrap_or_default();
                    self.machine.handle(self.clock.now(), Input::Unreachable { to: report.to, quoted });
                }
                Ok(_) => {}
                Err(_) => return taken > 0,
            }
        }
        true
    }

    fn wait(&mut self, flags: PollFlags, time: Option<Duration>) -> io::Result<()> {
        // Rounded up: woken too early, it would only look at the clock again and again.
        let millis = |time: Duration| i32::try_from(time.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
        let timeout = time.map_or(Ok(PollTimeout::NONE), |time| PollTimeout::try_from(millis(time)));
        let mut descriptors = vec![PollFd::new(self.socket.as_fd(), flags)];
        descriptors.extend(self.other.as_ref().map(|other| PollFd::new(other.as_fd(), PollFlags::POLLIN)));
        let polled = poll(&mut descriptors, timeout.unwrap_or(PollTimeout::MAX));
        let mut found = descriptors.iter().map(|descriptor| descriptor.revents().unwrap_or(PollFlags::empty()));
        let has_errors = found.next().is_some_and(|events| events.contains(PollFlags::POLLERR));
        let is_other_ready = found.next().is_some_and(|events| events.contains(PollFlags::POLLIN));
        match polled {
            Ok(_) => {
                self.is_other_ready = is_other_ready;
                if has_errors {
                    self.receive_errors();
                }
                Ok(())
            }
            Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<M> AsFd for Driver<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::{
        collections::VecDeque,
        io::Write as _,
        net::{IpAddr, Ipv4Addr},
    };
    use zephyr_core::time::Now;
    use zephyr_engine::machine::Transmit;
    use zephyr_testkit::{loopback::Network, ports::free_udp};

    /// What the machine of these tests only counts.
    const NOISE: &[u8] = b"noise";

    /// Sends back what comes, doubled by a job; tells of it; and tells when its time has come.
    #[derive(Default)]
    struct Echo {
        jobs: VecDeque<(SocketAddr, Vec<u8>)>,
        out: VecDeque<Transmit>,
        events: VecDeque<String>,
        alarm: Option<Duration>,
        noise: usize,
        unreachable: Vec<(SocketAddr, Vec<u8>)>,
        local: Option<IpAddr>,
    }

    impl Machine for Echo {
        type Command = Duration;
        type Job = (SocketAddr, Vec<u8>);
        type Done = (SocketAddr, Vec<u8>);
        type Event = String;

        fn handle(&mut self, now: Now, input: Input<'_, Self>) {
            match input {
                Input::Datagram { octets: NOISE, .. } => self.noise += 1,
                Input::Unreachable { to, quoted } => self.unreachable.push((to, quoted.to_vec())),
                Input::Datagram { from, local, octets } => {
                    self.local = local;
                    self.jobs.push_back((from, octets.to_vec()));
                }
                Input::Done((to, payload)) => {
                    self.events.push_back(String::from_utf8_lossy(&payload).into_owned());
                    self.out.push_back(Transmit { to, local: self.local, payload: payload.into() });
                }
                Input::Timeout if self.alarm.take_if(|alarm| now.monotonic >= *alarm).is_some() => {
                    self.events.push_back("alarm".to_owned());
                }
                Input::Timeout => {}
                Input::Command(wait) => self.alarm = Some(now.monotonic + wait),
            }
        }

        fn poll(&mut self, _: Now) -> Output<Self> {
            if let Some(transmit) = self.out.pop_front() {
                return Output::Transmit(transmit);
            }
            if let Some(job) = self.jobs.pop_front() {
                return Output::Job(job);
            }
            self.events.pop_front().map_or(Output::Wait(self.alarm), Output::Event)
        }

        fn put_back(&mut self, transmit: Transmit) {
            self.out.push_front(transmit);
        }
    }

    /// A driver and a peer, on a network that only this test is on.
    struct Scene {
        driver: Driver<Echo>,
        peer: UdpSocket,
        network: Network,
    }

    fn scene() -> Scene {
        let network = Network::claim().unwrap();
        let socket = || UdpSocket::bind((network.here(), 0)).unwrap();
        let driver = Driver::new(Echo::default(), socket(), Clock::new()).unwrap();
        Scene { driver, peer: socket(), network }
    }

    fn doubled((from, octets): (SocketAddr, Vec<u8>)) -> (SocketAddr, Vec<u8>) {
        (from, octets.repeat(2))
    }

    fn event(driver: &mut Driver<Echo>, wait: Option<Duration>) -> Option<String> {
        let deadline = wait.map(|wait| driver.clock().now().monotonic + wait);
        match driver.next(deadline, &mut doubled).unwrap()? {
            Occurrence::Event(event) => Some(event),
            Occurrence::SendFailed { error, .. } => panic!("{error}"),
            Occurrence::Woken => panic!("nothing else is waited for"),
        }
    }

    #[test]
    fn packets_jobs_and_events_go_through() {
        let Scene { mut driver, peer, network: _network } = scene();
        peer.send_to(b"ab", driver.socket.local_addr().unwrap()).unwrap();
        assert_eq!(event(&mut driver, None).as_deref(), Some("abab"));
        let mut buffer = [0; 9];
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(peer.recv(&mut buffer).map(|len| &buffer[..len]).unwrap(), b"abab");
    }

    #[test]
    fn waiting_is_bounded_by_the_machine_and_by_the_program() {
        let Scene { mut driver, network: _network, .. } = scene();
        assert_eq!(event(&mut driver, Some(Duration::ZERO)), None);
        assert_eq!(driver.timeout(), None);
        driver.command(Duration::from_millis(5));
        assert_eq!(event(&mut driver, None).as_deref(), Some("alarm"));
        driver.command(Duration::from_secs(3600));
        let is_now =
            |driver: &Driver<Echo>| driver.timeout().is_some_and(|timeout| timeout <= driver.clock().now().monotonic);
        assert!(is_now(&driver), "the command may have changed what the machine wants");
        assert_eq!(event(&mut driver, Some(Duration::from_millis(5))), None);
        assert!(driver.timeout().is_some_and(|timeout| timeout > Duration::from_secs(3000)));
        driver.machine.events.push_back("more".to_owned());
        assert_eq!(event(&mut driver, None).as_deref(), Some("more"));
        assert!(is_now(&driver), "there may be more to tell");
    }

    #[test]
    fn something_else_to_read_ends_the_wait_and_is_told_of() {
        let Scene { mut driver, peer, network: _network } = scene();
        let (reader, mut writer) = io::pipe().unwrap();
        driver.wake_by(reader.into());
        assert_eq!(event(&mut driver, Some(Duration::from_millis(5))), None);
        writer.write_all(b"x").unwrap();
        assert!(matches!(driver.next(None, &mut doubled), Ok(Some(Occurrence::Woken))));
        // It keeps nobody from the socket, though nobody has read it.
        peer.send_to(b"ab", driver.socket.local_addr().unwrap()).unwrap();
        let mut told = (0..8).map(|_| driver.next(None, &mut doubled));
        assert!(told.any(|told| matches!(told, Ok(Some(Occurrence::Event(text))) if text == "abab")));
    }

    #[test]
    fn a_flood_holds_up_neither_the_machine_nor_the_program() {
        const FLOOD: usize = 2 * MAX_LATE_DATAGRAMS;
        let Scene { mut driver, peer, network: _network } = scene();
        for _ in 0..FLOOD {
            peer.send_to(NOISE, driver.socket.local_addr().unwrap()).unwrap();
        }
        driver.command(Duration::ZERO);
        assert_eq!(event(&mut driver, Some(Duration::ZERO)).as_deref(), Some("alarm"));
        assert_eq!(driver.machine.noise, 0);
        assert_eq!(event(&mut driver, Some(Duration::ZERO)), None);
        assert_eq!(driver.machine.noise, MAX_LATE_DATAGRAMS);
        assert_eq!(event(&mut driver, Some(Duration::ZERO)), None);
        assert_eq!(driver.machine.noise, FLOOD, "the rest has not been lost");
    }

    #[test]
    fn a_packet_that_the_system_refuses_is_told_of() {
        let Scene { mut driver, network, .. } = scene();
        let nowhere = SocketAddr::from((network.here(), 0));
        driver.machine.out.push_back(Transmit { to: nowhere, local: None, payload: Bytes::from_static(b"x") });
        let told = driver.next(None, &mut doubled).unwrap();
        assert!(matches!(told, Some(Occurrence::SendFailed { to, .. }) if to == nowhere), "{told:?}");
    }

    #[test]
    fn errors_of_what_was_sent_are_told_and_stop_nothing() {
        let Scene { mut driver, peer, network } = scene();
        let gone = UdpSocket::bind((network.here(), 0)).unwrap();
        let closed = gone.local_addr().unwrap();
        drop(gone);
        for _ in 0..3 {
            driver.machine.out.push_back(Transmit { to: closed, local: None, payload: Bytes::from_static(b"void") });
        }
        peer.send_to(b"a", driver.socket.local_addr().unwrap()).unwrap();
        assert_eq!(event(&mut driver, None).as_deref(), Some("aa"));
        driver.command(Duration::from_millis(10));
        assert_eq!(event(&mut driver, None).as_deref(), Some("alarm"));
        assert_eq!(driver.machine.unreachable, vec![(closed, b"void".to_vec()); 3]);
        assert_eq!(event(&mut driver, Some(Duration::ZERO)), None);
        assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 2);
    }

    /// A program that waits for the socket itself is not woken again and again.
    #[test]
    fn errors_are_taken_by_who_does_not_wait_as_well() {
        let Scene { mut driver, network, .. } = scene();
        let gone = UdpSocket::bind((network.here(), 0)).unwrap();
        let closed = gone.local_addr().unwrap();
        drop(gone);
        driver.machine.out.push_back(Transmit { to: closed, local: None, payload: Bytes::from_static(b"void") });
        assert_eq!(event(&mut driver, Some(Duration::ZERO)), None);
        assert_eq!(driver.machine.unreachable.len(), 1);
        let mut descriptors = [PollFd::new(driver.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut descriptors, PollTimeout::ZERO), Ok(0));
    }

    #[test]
    fn answers_go_from_the_address_that_was_asked() {
        let network = Network::claim().unwrap();
        let port = free_udp(Ipv4Addr::UNSPECIFIED).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        let mut driver = Driver::new(Echo::default(), socket, Clock::new()).unwrap();
        let peer = UdpSocket::bind((network.here(), 0)).unwrap();
        for host in [1, 2, 3] {
            let asked = SocketAddr::from((network.host(host), port));
            peer.send_to(b"a", asked).unwrap();
            assert_eq!(event(&mut driver, None).as_deref(), Some("aa"));
            assert_eq!(event(&mut driver, Some(Duration::ZERO)), None);
            assert_eq!(peer.recv_from(&mut [0; 16]).unwrap(), (2, asked));
        }
    }
}
