//! Streams with a C server: its state over TCP, whoever of the two offers it.

use crate::stage::{Host, ONE};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    env,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use zephyr_core::{
    auth::Service,
    kind::Kind,
    limits::Limits as NoticeLimits,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};
use zephyr_daemons::zephyrd::streams::Limits;
use zephyr_domain::{AcceptorOptions, Backend};
use zephyr_engine::server::{
    Belief,
    peers::stream::{StreamEvent, StreamOrder},
};
use zephyr_net::clock::Clock;
use zephyr_testkit::{
    process,
    reference::{self, LabOptions, Lan, SERVER_PORT},
};

const NAMES: [&str; 2] = ["z1.athena.test", "z2.athena.test"];
const C_SERVER: &str = "ZEPHYR_TEST_C_SERVER";
const OWN: &str = "ZEPHYR_TEST_OWN_ADDRESS";
const KEYTAB: &str = "ZEPHYR_TEST_KEYTAB";
const PATIENCE: Duration = Duration::from_secs(60);

/// What C servers call the version of their dumps.
const VERSION: &[u8] = b"1.2";

/// Runs the test again on a machine beside one with a C server, which knows it as a server.
#[test]
fn c_servers_prove_themselves_and_take_our_proof() -> Result<()> {
    if env::var_os(C_SERVER).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(beside_a_c_server());
    }
    if reference::is_skipped()? {
        return Ok(());
    }
    let lan = Lan::new(&NAMES)?;
    let realm = lan.realm(&LabOptions::default().realm)?;
    let hosts = [lan.host(NAMES[0])?, lan.host(NAMES[1])?];
    for host in &hosts {
        host.enrol(&realm)?;
        host.entrust(&realm)?;
        std::fs::write(host.etc_zephyr().join("server.list"), NAMES.join("\n") + "\n")?;
    }
    let mut server = hosts[0].command(&realm, "/usr/sbin/zephyrd");
    server.args(["-n", "-d"]);
    let _server = hosts[0].spawn_at_port("zephyrd", server, SERVER_PORT)?;

    let mut inside = hosts[1].command(&realm, env::current_exe()?);
    inside.args(["--exact", "c_server::c_servers_prove_themselves_and_take_our_proof", "--nocapture"]);
    inside.env(C_SERVER, hosts[0].address().to_string()).env(OWN, hosts[1].address().to_string());
    inside.env(KEYTAB, hosts[1].etc_zephyr().join("krb5.keytab"));
    let said = process::run(inside, PATIENCE * 3)?;
    ensure!(said.stdout.contains("1 passed"), "{said}\nand the syslog of the C server:\n{}", hosts[0].syslog().text());
    Ok(())
}

struct Scene {
    host: Host,
    /// The server's socket: C servers believe what comes from there.
    socket: UdpSocket,
    own: Ipv4Addr,
    c: SocketAddr,
    sent: u32,
}

async fn beside_a_c_server() -> Result<()> {
    let address = |name: &str| anyhow::Ok(env::var(name)?.parse::<Ipv4Addr>()?);
    let (own, c) = (address(OWN)?, SocketAddr::from((address(C_SERVER)?, SERVER_PORT)));
    let keytab = PathBuf::from(env::var_os(KEYTAB).context("no keytab")?);
    let realm = LabOptions::default().realm.realm;
    let options = AcceptorOptions { realm: Some(realm), keytab: Some(keytab), ..AcceptorOptions::default() };
    let service: Arc<dyn Service> = Backend::KERBEROS.service(&options)?;
    let streams = zephyr_daemons::zephyrd::streams::Options {
        service,
        belief: Belief::Proven,
        own: own.into(),
        clock: Clock::new(),
        limits: Limits::USUAL,
    };
    let host = Host { streams: zephyr_daemons::zephyrd::streams::Streams::new(streams), address: (own, 0).into() };
    let socket = UdpSocket::bind((own, SERVER_PORT))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut scene = Scene { host, socket, own, c, sent: 0 };
    scene.take_its_offer().await?;
    scene.make_an_offer().await
}

impl Scene {
    fn packet(&mut self, kind: Kind, opcode: &str, instance: &[u8], body: &[u8]) -> Result<Vec<u8>> {
        self.sent += 1;
        let seconds = u32::try_from(std::time::UNIX_EPOCH.elapsed()?.as_secs())?;
        let uid = Uid { address: self.own, seconds, micros: self.sent };
        let notice = Notice {
            kind,
            class: b"ZEPHYR_ADMIN",
            instance,
            opcode: opcode.as_bytes(),
            sender: NAMES[1].as_bytes(),
            port: SERVER_PORT,
            uid,
            multiuid: uid,
            body,
            ..Notice::EMPTY
        };
        Ok(notice.write(&Claim::NONE, NoticeLimits::COMPATIBLE)?.to_vec())
    }

    fn tell(&mut self, opcode: &str, instance: &[u8], body: &[u8]) -> Result<()> {
        let packet = self.packet(Kind::Acked, opcode, instance, body)?;
        self.socket.send_to(&packet, self.c)?;
        Ok(())
    }

    /// Says that this server is alive until the C server offers its state; takes that, and gives none of our own.
    async fn take_its_offer(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let offer = loop {
            ensure!(Instant::now() < deadline, "it offers nothing");
            self.tell("IHEARDYOU", b"", b"")?;
            let mut buffer = [0; 1024];
            let Ok((len, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let notice = Packet::parse(&buffer[..len])?.notice;
            if notice.opcode == b"DUMP_AVAIL" {
                assert_eq!(notice.instance, VERSION);
                let mut fields = notice.body.split(|&octet| octet == 0).map(String::from_utf8_lossy);
                let address: Ipv4Addr = fields.next().context("no address")?.parse()?;
                break SocketAddr::from((address, fields.next().context("no port")?.parse()?));
            }
        };
        self.host.connect(offer);
        assert_eq!(self.host.next().await, StreamEvent::Open { stream: ONE });
        self.receive_all().await?;
        self.send_all()?;
        let why = self.host.closed(ONE).await;
        assert_eq!(why, "the other end has closed it");
        Ok(())
    }

    /// Offers it our state, of which there is none, and takes its own.
    async fn make_an_offer(&mut self) -> Result<()> {
        self.host.streams.order(StreamOrder::Offer { stream: ONE, to: self.c.ip() });
        let StreamEvent::Offered { port, .. } = self.host.next().await else { bail!("nothing is offered") };
        let body = format!("{}\0{port}\0", self.own);
        self.tell("DUMP_AVAIL", VERSION, body.as_bytes())?;
        assert_eq!(self.host.next().await, StreamEvent::Open { stream: ONE });
        self.send_all()?;
        self.receive_all().await?;
        self.host.close(ONE);
        Ok(())
    }

    fn send_all(&mut self) -> Result<()> {
        let end = self.packet(Kind::ServAck, "DUMP_DONE", b"", b"")?;
        self.host.send(ONE, &end);
        Ok(())
    }

    async fn receive_all(&mut self) -> Result<()> {
        loop {
            let record = self.host.next_record().await;
            let notice = Packet::parse(&record)?.notice;
            if notice.opcode == b"DUMP_DONE" {
                return Ok(());
            }
        }
    }
}
