//! Streams whose ends prove themselves by Kerberos, in a realm with a real KDC.

use crate::stage::{Host, ONE, Stranger, connected};
use anyhow::{Context as _, Result, ensure};
use std::{env, path::PathBuf, process::Command, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use zephyr_auth_krb::internals;
use zephyr_core::{
    auth::{Ends, Service},
    framing,
};
use zephyr_daemons::zephyrd::streams::Limits;
use zephyr_domain::{AcceptorOptions, Backend};
use zephyr_engine::server::{
    Belief,
    peers::stream::{StreamEvent, StreamOrder},
};
use zephyr_net::clock::Clock;
use zephyr_testkit::{
    loopback::Network,
    realm::{Engine, Realm, RealmOptions},
};

const REALM: &str = "ZEPHYR.TEST";
const FOLDER: &str = "ZEPHYR_TEST_REALM_FOLDER";

/// Does something in a process with the environment of a server of a new realm.
fn in_realm<F: Future<Output = Result<()>>>(test: &str, body: impl FnOnce(PathBuf) -> F) -> Result<()> {
    if let Some(folder) = env::var_os(FOLDER) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(body(folder.into()));
    }
    let realm = Realm::start_on(Engine::Native, RealmOptions::default())?;
    let name = format!("kerberos::{test}");
    let output = Command::new(env::current_exe()?)
        .args(["--exact", &name, "--nocapture"])
        .envs(realm.env())
        .env(FOLDER, realm.folder())
        .output()?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    ensure!(output.status.success(), "inside {test}, {}: {said}", output.status);
    ensure!(said.contains("1 passed"), "there is no test {test}: {said}");
    Ok(())
}

fn service(folder: &std::path::Path) -> Result<Arc<dyn Service>> {
    let keytab = Some(folder.join("zephyr.keytab"));
    Ok(Backend::KERBEROS.service(&AcceptorOptions {
        realm: Some(REALM.to_owned()),
        keytab,
        ..AcceptorOptions::default()
    })?)
}

fn host(network: &Network, number: u8, folder: &std::path::Path) -> Result<Host> {
    let peers = (1..=9).filter(|other| *other != number).map(|number| network.host(number));
    Ok(Host::with(network, number, service(folder)?, Belief::Proven, Limits::USUAL).letting_in(peers))
}

#[test]
fn two_servers_prove_themselves() -> Result<()> {
    in_realm("two_servers_prove_themselves", |folder| async move {
        let network = Network::claim()?;
        let (mut one, mut other) = (host(&network, 1, &folder)?, host(&network, 2, &folder)?);
        let theirs = connected(&mut one, &mut other).await;
        for number in 0..100_usize {
            one.send(ONE, &number.to_be_bytes());
            other.send(theirs, &number.to_le_bytes());
        }
        for number in 0..100_usize {
            assert_eq!(other.next_record().await, number.to_be_bytes()[..]);
            assert_eq!(one.next_record().await, number.to_le_bytes()[..]);
        }
        // And where one offers something.
        one.streams.order(StreamOrder::Offer {
            stream: zephyr_engine::server::peers::stream::StreamId(2),
            to: network.host(2).into(),
        });
        let port = match one.next_but_drained().await {
            StreamEvent::Offered { port, .. } => port,
            other => anyhow::bail!("{other:?}"),
        };
        other.connect((network.host(1), port).into());
        assert_eq!(other.next_but_drained().await, StreamEvent::Open { stream: ONE });
        Ok(())
    })
}

/// What a user may do: get a ticket for the service, and connect from a server's address. A server it is not.
#[test]
fn a_users_ticket_makes_no_server() -> Result<()> {
    in_realm("a_users_ticket_makes_no_server", |folder| async move {
        let network = Network::claim()?;
        let mut one = host(&network, 1, &folder)?;
        let keytab = folder.join("keytabs/alice.keytab");
        let kinit = Command::new("kinit").arg("-k").arg("-t").arg(keytab).arg("alice").status()?;
        ensure!(kinit.success(), "kinit");
        one.streams.order(StreamOrder::Offer { stream: ONE, to: network.host(2).into() });
        let StreamEvent::Offered { port, .. } = one.next().await else { anyhow::bail!("nothing is offered") };
        for to in [one.address, (network.host(1), port).into()] {
            let mut alice = Stranger::connect(network.host(2), to).await;
            let ends = Ends { local: alice.0.local_addr()?, remote: to };
            let (token, _) = internals::connect_as_user(REALM, ends, Clock::new().now())?;
            alice.say(&framing::token(&token)).await;
            assert_eq!(alice.rest().await, b"", "she is told nothing");
        }
        // The offer is still there for the server.
        let mut other = host(&network, 2, &folder)?;
        other.connect((network.host(1), port).into());
        assert_eq!(other.next().await, StreamEvent::Open { stream: ONE });
        assert_eq!(one.next().await, StreamEvent::Open { stream: ONE });
        Ok(())
    })
}

/// Somebody on the way: he can end connections, and no more than that.
#[test]
fn who_is_on_the_way_changes_nothing() -> Result<()> {
    in_realm("who_is_on_the_way_changes_nothing", |folder| async move {
        let network = Network::claim()?;
        let (mut one, mut other) = (host(&network, 1, &folder)?, host(&network, 2, &folder)?);
        // Through him, both see other ends: what is sealed at one is none of the connection at the other.
        let between = TcpListener::bind((network.host(3), 0)).await?;
        one.connect(between.local_addr()?);
        let to = other.address;
        let relay = tokio::spawn(async move {
            let (mut ours, _) = between.accept().await?;
            let Stranger(mut theirs) = Stranger::connect(network.host(3), to).await;
            tokio::io::copy_bidirectional(&mut ours, &mut theirs).await
        });
        assert_eq!(one.next().await, StreamEvent::Open { stream: ONE });
        one.send(ONE, b"hello");
        one.closed(ONE).await;
        relay.await?.ok();
        // Nobody was let in: the next who is, is the server itself.
        one.connect(other.address);
        crate::stage::accepted(&mut one, &mut other).await;
        Ok(())
    })
}

/// What somebody has recorded, sent again from a server's address, is no server.
#[test]
fn a_recorded_beginning_makes_no_server() -> Result<()> {
    in_realm("a_recorded_beginning_makes_no_server", |folder| async move {
        let network = Network::claim()?;
        let mut other = host(&network, 2, &folder)?;
        let recorder = TcpListener::bind((network.host(3), 0)).await?;
        let mut one = host(&network, 1, &folder)?;
        one.connect(recorder.local_addr()?);
        let (mut recorded, _) = recorder.accept().await?;
        let mut token = vec![0; 4096];
        let len = recorded.read(&mut token).await?;
        drop(recorded);
        one.closed(ONE).await;

        let mut again = Stranger::connect(network.host(1), other.address).await;
        again.say(&token[..len]).await;
        // He is answered, as the ticket is good, and can make nothing of it.
        let mut answer = [0; 4096];
        ensure!(again.0.read(&mut answer).await? > 0, "an answer");
        again.0.write_all(&framing::record(&[0x75; 60]).context("a record")?).await?;
        again.rest().await;
        connected(&mut one, &mut other).await;
        Ok(())
    })
}
