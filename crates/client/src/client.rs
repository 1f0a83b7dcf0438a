//! The shell around the engine: a socket, the clock, and what programs call.

use crate::{
    Answer, ClientError, Options, Refusal, Tickets,
    engine::{Arrival, Engine, Proof, Sending, Site},
    exchange::Stage,
    host_manager::{self, Status},
    localtime,
    location::{self, Exposure, Location},
    options::Side,
    policy_watch::PolicyWatch,
    subscription::{self, Request, Subscription},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use zephyr_core::{
    coding::ascii,
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    names,
    notice::{Claim, Notice, Packet},
    policy::{Action, Demand},
    schedule::HMACK_WAIT,
    uid::{Uid, UidSource},
};
use zephyr_net::{address, clock::Clock, services, socket};

/// How often the host manager is asked who and where we are, while it does not answer or looks for a server.
const ASKING_PAUSE: Duration = Duration::from_millis(500);

/// How long a server may take to answer questions and location changes (wire format, section 6).
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A program's connection to Zephyr. One notice at a time is sent; what arrives meanwhile waits to be received.
pub struct Client {
    engine: Engine,
    socket: UdpSocket,
    clock: Clock,
    watch: Option<PolicyWatch>,
}

impl Client {
    /// Asks the host manager who and where we are.
    ///
    /// # Errors
    ///
    /// [`ClientError::HostManagerSilent`] when it does not answer within 10 s; others when the system or the
    /// authentication's configuration fail.
    pub async fn open(options: Options) -> Result<Self, ClientError> {
        let clock = Clock::new();
        let socket = socket::bind((options.address.unwrap_or(Ipv4Addr::UNSPECIFIED), 0).into())?;
        let port = socket.local_addr()?.port();
        let status = ask_host_manager(&socket, &clock, options.host_manager, port).await?;
        let Side { realm, initiator, policy, watch } = options.authentication.of_server(&status.server)?;
        let proven = initiator.principal().unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot read whose credentials there are");
            None
        });
        let sender = proven
            .or_else(|| Some(format!("{}@{realm}", options.login.as_ref()?)))
            .unwrap_or_else(|| "unknown".to_owned());
        let site = Site {
            sender: sender.into_bytes(),
            limits: status.limits,
            address: options.address.unwrap_or_else(|| own_address(&status.server, options.host_manager)),
            port,
            host_manager: options.host_manager,
            realm,
        };
        tracing::debug!(?site, server = status.server, "the host manager has answered");
        Ok(Self { engine: Engine::new(site, initiator, policy), socket, clock, watch })
    }

    /// A watch over the user's tickets, for a program that has subscribed with them and stays.
    pub fn tickets(&self) -> Tickets {
        Tickets::new(self.engine.initiator(), self.realm().to_owned(), self.clock)
    }

    /// Tells the server the key of the user's tickets of this moment, for the notices that it will prove to this client from
    /// now on. The subscriptions stay as they are.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or is refused.
    pub async fn renew_key(&mut self) -> Result<(), ClientError> {
        self.subscribe(Request::SubscribeWithoutDefaults, &[], self.port()).await
    }

    /// Takes the name that the user's tickets of this moment have, for who began without any.
    ///
    /// # Errors
    ///
    /// When there are tickets and they cannot be read.
    pub fn identify(&mut self) -> Result<(), ClientError> {
        if let Some(principal) = self.engine.initiator().principal()? {
            self.engine.identify(principal.into_bytes());
        }
        Ok(())
    }

    /// The realm of the server.
    pub fn realm(&self) -> &str {
        &self.engine.site().realm
    }

    /// The user's name, as notices have it.
    pub fn sender(&self) -> &[u8] {
        &self.engine.site().sender
    }

    /// The port on which this client receives.
    pub fn port(&self) -> u16 {
        self.engine.site().port
    }

    /// This machine's address, as uids have it.
    pub fn address(&self) -> Ipv4Addr {
        self.engine.site().address
    }

    /// Sends a notice, and returns when the host manager has all of it.
    ///
    /// # Errors
    ///
    /// When it cannot be made or sent, or the host manager does not acknowledge a packet within 10 s.
    pub async fn send(&mut self, sending: &Sending<'_>) -> Result<Uid, ClientError> {
        self.look_at_policy();
        let uid = match self.engine.begin(self.clock.now(), sending) {
            Err(error) if error.is_of_header_length() => {
                self.learn_limits().await?;
                self.engine.begin(self.clock.now(), sending)?
            }
            begun => begun?,
        };
        loop {
            match self.engine.stage() {
                Some(Stage::Queuing) => self.step().await?,
                Some(Stage::HostManagerSilent) => return Err(ClientError::HostManagerSilent),
                _ => {
                    self.flush().await?;
                    return Ok(uid);
                }
            }
        }
    }

    /// The server's answer to the notice sent last, which must be of kind ACKED.
    ///
    /// # Errors
    ///
    /// [`ClientError::TimedOut`] when nothing comes for as long as the notice's patience.
    pub async fn answer(&mut self) -> Result<Answer, ClientError> {
        loop {
            match self.engine.stage() {
                Some(Stage::Answered(answer)) => return Ok(answer.clone()),
                Some(Stage::TimedOut) => return Err(ClientError::TimedOut),
                Some(Stage::HostManagerSilent) => return Err(ClientError::HostManagerSilent),
                Some(Stage::Queuing | Stage::Waiting) => self.step().await?,
                Some(Stage::Queued) | None => return Err(ClientError::Nonsense),
            }
        }
    }

    /// What the server has said in words beside its last answer: why it refuses, wholly or in part. Free of control
    /// characters; servers in C say nothing.
    pub fn remark(&self) -> Option<&str> {
        self.engine.remark()
    }

    /// The next notice that comes, without those that the domain's policy hides. Can be dropped while it waits, and called
    /// again.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub async fn receive(&mut self) -> Result<Arrival, ClientError> {
        loop {
            let arrival = self.receive_any().await?;
            if arrival.hidden.is_none() {
                return Ok(arrival);
            }
        }
    }

    /// As [`Client::receive`], with those that the policy hides: [`Arrival::hidden`] tells them.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub async fn receive_any(&mut self) -> Result<Arrival, ClientError> {
        loop {
            if let Some(arrival) = self.engine.take_arrival(|_| true) {
                self.flush().await?;
                return Ok(arrival);
            }
            self.step().await?;
        }
    }

    /// Changes the subscriptions of this user's client on `port`. A long list becomes several requests, each whole.
    ///
    /// # Errors
    ///
    /// When a request cannot be sent or is refused, or a single subscription is too long for a packet.
    pub async fn subscribe(&mut self, request: Request, list: &[Subscription], port: u16) -> Result<(), ClientError> {
        let proof = if request == Request::Unsubscribe { Proof::With } else { Proof::Remembered };
        let mut parts = vec![list];
        while let Some(part) = parts.pop() {
            let body = subscription::encode(part, self.sender());
            let notice = control(request.opcode(), port, &body);
            match self.send(&Sending { cut: false, ..Sending::new(notice, proof) }).await {
                Ok(_) => {
                    let answer = self.answer().await?;
                    self.request_answer(answer)?;
                }
                Err(error) if error.is_too_long() && part.len() > 1 => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([other, one]);
                }
                Err(error) if error.is_too_long() => return Err(ClientError::SubscriptionTooLong),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets all subscriptions of this user's client on `port`.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or is refused.
    pub async fn cancel_subscriptions(&mut self, port: u16) -> Result<(), ClientError> {
        self.send(&Sending::new(control(names::CLEARSUB, port, b""), Proof::With)).await?;
        let answer = self.answer().await?;
        self.request_answer(answer)
    }

    /// The subscriptions of this user's client on `port`, in the server's order.
    ///
    /// # Errors
    ///
    /// When the question cannot be sent, is refused, or is not answered within 30 s.
    pub async fn subscriptions(&mut self, port: u16) -> Result<Vec<Subscription>, ClientError> {
        let mut body = Vec::new();
        ascii::encode_u16(port, &mut body);
        body.push(0);
        let question = Sending::new(control(names::GIMME, self.port(), &body), Proof::With);
        let uid = self.send(&Sending { patience: ANSWER_WAIT, ..question }).await?;
        let answer = self.answer().await?;
        self.request_answer(answer)?;
        let deadline = Instant::now() + ANSWER_WAIT;
        loop {
            let answer = self.engine.take_arrival(|arrival| {
                let notice = arrival.delivered.notice();
                notice.multiuid == uid && notice.kind == Kind::Acked
            });
            if let Some(answer) = answer {
                self.flush().await?;
                return Ok(subscription::decode(answer.delivered.notice().body));
            }
            timeout_at(deadline, self.step()).await.map_err(|_| ClientError::TimedOut)??;
        }
    }

    /// Tells the server where the user is, and who may know.
    ///
    /// # Errors
    ///
    /// When the notice cannot be sent, is refused, or is not answered within 30 s.
    pub async fn set_location(
        &mut self,
        exposure: Exposure,
        location: &Location,
        port: u16,
    ) -> Result<(), ClientError> {
        self.tell_location(Some(exposure), location, port).await
    }

    /// Tells the server that the user is there no longer. Needs no proof.
    ///
    /// # Errors
    ///
    /// As [`Client::set_location`]; [`ClientError::NotLoggedIn`] when the server knows no such location.
    pub async fn unset_location(&mut self, location: &Location, port: u16) -> Result<(), ClientError> {
        self.tell_location(None, location, port).await
    }

    async fn tell_location(
        &mut self,
        exposure: Option<Exposure>,
        location: &Location,
        port: u16,
    ) -> Result<(), ClientError> {
        let (user, body) = (self.sender().to_vec(), location.body(&localtime::ctime(SystemTime::now())));
        let leaving_needs_proof = self.engine.policy().demand(Action::Logout) == Demand::Required;
        let proof = if exposure.is_some() || leaving_needs_proof { Proof::With } else { Proof::Without };
        let notice = Sending::new(location::notice(&user, exposure, &body, port), proof);
        self.send(&Sending { patience: ANSWER_WAIT, ..notice }).await?;
        match self.answer().await? {
            Answer::Refused(Refusal::NotAuthorized) => Err(self.refused().unwrap_or(ClientError::Unverified)),
            answer => answer.done(),
        }
    }

    /// Asks the host manager again how long headers may be: it may not have known when we started, or has another
    /// server by now.
    async fn learn_limits(&mut self) -> Result<(), ClientError> {
        let site = self.engine.site();
        let host_manager = site.host_manager;
        // On a socket of its own, so that no notice gets lost among the answers.
        let local = if host_manager.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let socket = socket::bind((local, 0).into())?;
        let deadline = Instant::now() + HMACK_WAIT;
        loop {
            let status = ask_host_manager(&socket, &self.clock, host_manager, site.port).await?;
            if !status.searching || Instant::now() >= deadline {
                self.engine.set_limits(status.limits);
                return Ok(());
            }
            sleep(ASKING_PAUSE).await;
        }
    }

    /// Refused subscription requests have one error, whatever the reason; `LOST` is a server that knows no such request.
    fn request_answer(&self, answer: Answer) -> Result<(), ClientError> {
        match answer {
            Answer::Sent => Ok(()),
            Answer::Refused(_) => Err(self.refused().unwrap_or(ClientError::Refused)),
            Answer::Lost | Answer::Unknown(_) => Err(ClientError::Nonsense),
        }
    }

    /// The refusal that the server has put into words.
    fn refused(&self) -> Option<ClientError> {
        self.remark().map(|words| ClientError::RefusedBecause(words.to_owned()))
    }

    /// Sends what is to be sent, and waits for the next datagram or deadline.
    async fn step(&mut self) -> Result<(), ClientError> {
        self.flush().await?;
        let mut buffer = [0; MAX_PACKET];
        let deadline = self.engine.next_timeout().map(|at| Instant::from_std(self.clock.instant(at)));
        let received = match deadline {
            Some(deadline) => tokio::select! {
                received = self.socket.recv_from(&mut buffer) => Some(received?),
                () = sleep_until(deadline) => None,
            },
            None => Some(self.socket.recv_from(&mut buffer).await?),
        };
        let now = self.clock.now();
        if let Some((len, from)) = received {
            self.look_at_policy();
            self.engine.handle(now, from, buffer.get(..len).unwrap_or_default());
        }
        self.engine.handle_timeout(now);
        Ok(())
    }

    /// Goes by the policy file as it is now.
    fn look_at_policy(&mut self) {
        if let Some(policy) = self.watch.as_mut().and_then(PolicyWatch::changed) {
            self.engine.enforce(policy);
        }
    }

    async fn flush(&mut self) -> Result<(), ClientError> {
        let host_manager = self.engine.site().host_manager;
        // A packet is removed only when it is sent, so that nothing is lost when the caller stops waiting.
        while let Some(packet) = self.engine.outbox().front().cloned() {
            let sent = self.socket.send_to(&packet.payload, packet.to).await;
            self.engine.outbox().pop_front();
            match sent {
                Err(error) if packet.to == host_manager => return Err(error.into()),
                Err(error) => tracing::debug!(to = %packet.to, %error, "cannot acknowledge"),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

fn control<'a>(opcode: &'a [u8], port: u16, body: &'a [u8]) -> Notice<'a> {
    Notice { kind: Kind::Acked, port, class: names::ZEPHYR_CTL, instance: names::CLIENT, opcode, body, ..Notice::EMPTY }
}

async fn ask_host_manager(
    socket: &UdpSocket,
    clock: &Clock,
    host_manager: SocketAddr,
    port: u16,
) -> Result<Status, ClientError> {
    let asked = UidSource::new(Ipv4Addr::UNSPECIFIED).next(&clock.now());
    let question = host_manager::question(asked, port).write(&Claim::NONE, Limits::COMPATIBLE)?;
    let deadline = Instant::now() + HMACK_WAIT;
    let mut buffer = [0; MAX_PACKET];
    while Instant::now() < deadline {
        // Asked again and again, since it may just be starting.
        socket.send_to(&question, host_manager).await?;
        let pause = deadline.min(Instant::now() + ASKING_PAUSE);
        while let Ok(received) = timeout_at(pause, socket.recv_from(&mut buffer)).await {
            let (len, from) = received?;
            let packet = Packet::parse(buffer.get(..len).unwrap_or_default());
            if let Some(status) = packet.ok().and_then(|packet| Status::read(&packet, asked))
                && from.port() == host_manager.port()
            {
                return Ok(status);
            }
        }
    }
    Err(ClientError::HostManagerSilent)
}

/// The address from which the system would send to the server; where that fails, to the host manager.
fn own_address(server: &str, host_manager: SocketAddr) -> Ipv4Addr {
    let towards_server = || address::towards(address::resolve(server, services::port(services::ZEPHYR_CLT))?);
    let towards_host_manager = || match host_manager {
        SocketAddr::V4(host_manager) => address::towards(host_manager),
        SocketAddr::V6(_) => Err(io::Error::from(io::ErrorKind::AddrNotAvailable)),
    };
    towards_server().or_else(|_| towards_host_manager()).unwrap_or(Ipv4Addr::LOCALHOST)
}
