//! Offers: one connection of one host, at a port of its own.

use crate::stage::{Host, NO_PROOF, ONE, SHORT_OFFER, Stranger, without_authentication};
use std::net::SocketAddr;
use zephyr_core::framing;
use zephyr_engine::server::{
    Belief,
    peers::stream::{StreamEvent, StreamOrder},
};
use zephyr_testkit::loopback::Network;

async fn offered(one: &mut Host, network: &Network) -> SocketAddr {
    one.streams.order(StreamOrder::Offer { stream: ONE, to: network.host(2).into() });
    let StreamEvent::Offered { stream: ONE, port } = one.next().await else { panic!("nothing is offered") };
    (one.address.ip(), port).into()
}

/// The one who is meant need not say anything at first; and when it has come, nobody else is waited for.
#[tokio::test]
async fn the_host_that_is_meant_takes_the_offer() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1);
    let address = offered(&mut one, &network).await;
    let mut getter = Host::new(&network, 2);
    getter.connect(address);
    assert_eq!(getter.next().await, StreamEvent::Open { stream: ONE });
    assert_eq!(one.next().await, StreamEvent::Open { stream: ONE });
    one.send(ONE, b"all that I know");
    assert_eq!(getter.next_record().await, "all that I know");
    getter.send(ONE, b"and I");
    assert_eq!(one.next_record().await, "and I");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
}

/// Strangers are sent away, and what proves nothing leaves the offer open, however many there are.
#[tokio::test]
async fn others_do_not_disturb_an_offer() {
    let network = Network::claim().unwrap();
    let mut one = Host::new(&network, 1);
    let address = offered(&mut one, &network).await;
    let mut stranger = Stranger::connect(network.host(3), address).await;
    stranger.say(&framing::token(NO_PROOF)).await;
    assert_eq!(stranger.rest().await, b"");
    // Others on the right machine: silent ones, and one who lies.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Stranger::connect(network.host(2), address).await);
    }
    let mut liar = Stranger::connect(network.host(2), address).await;
    liar.say(&framing::token(b"I am the service")).await;
    assert_eq!(liar.rest().await, b"");
    let mut getter = Host::new(&network, 2);
    getter.connect(address);
    assert_eq!(getter.next().await, StreamEvent::Open { stream: ONE });
    assert_eq!(one.next().await, StreamEvent::Open { stream: ONE });
}

#[tokio::test]
async fn an_offer_ends() {
    let network = Network::claim().unwrap();
    let mut one = Host::with(&network, 1, without_authentication(), Belief::Addresses, SHORT_OFFER);
    let address = offered(&mut one, &network).await;
    assert_eq!(one.closed(ONE).await, "nobody came within 0 seconds");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");

    // Also while somebody is there who says nothing.
    let address = offered(&mut one, &network).await;
    let _silent = Stranger::connect(network.host(2), address).await;
    assert_eq!(one.closed(ONE).await, "nothing was proven within 0 seconds");

    // And by order.
    let mut one = Host::new(&network, 1);
    let address = offered(&mut one, &network).await;
    let mut waiting = Stranger::connect(network.host(2), address).await;
    one.close(ONE);
    assert_eq!(waiting.rest().await, b"");
}
