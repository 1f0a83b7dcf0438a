//! zephyrd among the other servers of its realm: who may connect to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::{Daemon, TIMEOUT, server_on};
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    rc::Rc,
};
use tempfile::TempDir;
use zephyr_testkit::loopback::Network;

/// What a server without authentication says first.
const TOKEN: &[u8] = b"V5-8 no proof";

struct Site {
    folder: TempDir,
    network: Rc<Network>,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), network: Rc::new(Network::claim().unwrap()) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The servers of the realm from now on, by the last number of their address.
    fn list(&self, numbers: &[u8]) {
        let servers: Vec<String> = numbers.iter().map(|number| format!("{:?}", self.address(*number))).collect();
        let content = format!("[peers]\nservers = [{}]\nbelieve = \"addresses\"\n", servers.join(", "));
        fs::write(self.path().join("zephyr.toml"), content).unwrap();
    }

    fn address(&self, number: u8) -> String {
        self.network.host(number).to_string()
    }

    fn start(&self, arguments: &[&str]) -> Daemon {
        let (folder, socket) = (self.path().to_str().unwrap(), self.path().join("sock"));
        let usual = ["--config-dir", folder, "--control-socket", socket.to_str().unwrap()];
        server_on(&self.network, &[&usual, arguments].concat())
    }

    /// What a server answers who connects from an address; `None` when nobody listens.
    fn answer(&self, server: &Daemon, from: u8) -> Option<Vec<u8>> {
        let mut stream = connect(self.network.host(from).into(), server.address)?;
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut answer = vec![0; TOKEN.len()];
        // It may be closed by now.
        let _ = stream.write_all(TOKEN);
        Some(stream.read_exact(&mut answer).map(|()| answer).unwrap_or_default())
    }
}

fn connect(from: IpAddr, to: SocketAddr) -> Option<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(to).await.ok()?.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        Some(stream)
    })
}

#[test]
fn only_servers_of_the_realm_are_let_in() {
    let site = Site::new();
    site.list(&[1, 2]);
    let server = site.start(&[]);
    assert_eq!(site.answer(&server, 2).as_deref(), Some(TOKEN));
    assert_eq!(site.answer(&server, 3).as_deref(), Some(&b""[..]));

    site.list(&[1, 3]);
    server.signal("HUP");
    server.line_with("reloaded: ");
    // The names are looked up on threads.
    let deadline = std::time::Instant::now() + TIMEOUT;
    while site.answer(&server, 3).as_deref() != Some(TOKEN) {
        assert!(std::time::Instant::now() < deadline, "it is not let in");
    }
    assert_eq!(site.answer(&server, 2).as_deref(), Some(&b""[..]));
}

/// A server that is alone has nothing to listen for; it begins when there is another, and ends when there is none.
#[test]
fn a_server_that_is_alone_does_not_listen() {
    let site = Site::new();
    let server = site.start(&[]);
    assert_eq!(site.answer(&server, 2), None);
    for (servers, listens) in [(&[1, 2][..], true), (&[1], false)] {
        site.list(servers);
        server.signal("HUP");
        server.line_with("reloaded: ");
        let deadline = std::time::Instant::now() + TIMEOUT;
        while site.answer(&server, 2).is_some() != listens {
            assert!(std::time::Instant::now() < deadline, "{servers:?}");
        }
    }
}

#[test]
fn a_server_whom_the_others_cannot_reach_does_not_begin() {
    let site = Site::new();
    site.list(&[1, 2]);
    let holder = TcpListener::bind((site.network.here(), 0)).unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let folder = site.path().to_str().unwrap();
    let options = ["--listen", &address, "--auth", "none", "-k", "OPEN.TEST", "--config-dir", folder];
    let output = Command::new(env!("CARGO_BIN_EXE_zephyrd")).args(options).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!("zephyrd: cannot listen for the realm's other servers on {address}: Address already in use");
    assert!(said.contains(&expected), "{said}");
}
