//! A notice to very many readers over real sockets, with the receive buffer that a system gives when nobody raised it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use running::*;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, sync::mpsc, task::LocalSet, time::timeout};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};

/// What Linux gives every socket by default, 212,992 octets, counting its own bookkeeping: asked for, it doubles.
const DEFAULT_BUFFER: usize = 106_496;
/// Readers of one host; a server takes so many.
const PER_HOST: usize = 1000;

/// A server with the default receive buffer.
fn server_by_default() -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("zephyr.toml"), format!("[zephyrd]\nreceive-buffer = {DEFAULT_BUFFER}\n"))
        .unwrap();
    (server(&["--config-dir", folder.path().to_str().unwrap()]), folder)
}

fn written(notice: Notice<'_>, number: usize, port: u16) -> bytes::Bytes {
    let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: u32::try_from(number).unwrap() };
    Notice { uid, multiuid: uid, port, ..notice }.write(&Claim::NONE, Limits::COMPATIBLE).unwrap()
}

/// Subscribes, and then tells of every notice that comes.
async fn read(number: usize, server: SocketAddr, acknowledging: bool, heard: mpsc::UnboundedSender<usize>) {
    let host = Ipv4Addr::new(127, 0, 1, u8::try_from(1 + number / PER_HOST).unwrap());
    let socket = UdpSocket::bind((host, 0)).await.unwrap();
    let sender = format!("reader{number}@OPEN.TEST");
    let subscribe =
        Notice { sender: sender.as_bytes(), ..acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"all\0*\0\0") };
    socket.send_to(&written(subscribe, number, socket.local_addr().unwrap().port()), server).await.unwrap();
    let mut buffer = [0; 1024];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        let notice = Packet::parse(&buffer[..len]).unwrap().notice;
        if !notice.kind.is_acknowledgement() && acknowledging {
            let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
            socket.send_to(&ack.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).await.unwrap();
        }
        let _ = heard.send(number);
    }
}

/// Waits until everybody who should has been heard once more.
async fn all_of(readers: usize, heard: &mut mpsc::UnboundedReceiver<usize>, acknowledging: impl Fn(usize) -> bool) {
    let mut counts = vec![0; readers];
    let mut missing = (0..readers).filter(|&number| acknowledging(number)).count();
    while missing > 0 {
        let number = timeout(PATIENCE, heard.recv()).await.unwrap_or_else(|_| panic!("{missing} hear nothing"));
        let number = number.unwrap();
        counts[number] += 1;
        missing -= usize::from(acknowledging(number) && counts[number] == 1);
    }
    assert!(counts.iter().all(|&count| count <= 1), "nobody hears anything twice");
}

/// Sends a few notices to so many readers of whom some never acknowledge; the longest time that one took to be with all
/// others.
async fn fan_out(readers: usize, acknowledging: fn(usize) -> bool) -> (Daemon, Duration) {
    const NOTICES: usize = 3;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let (server, _folder) = server_by_default();
    let (told, mut heard) = mpsc::unbounded_channel();
    // Not all at once: this is no flood of subscriptions.
    for first in (0..readers).step_by(50) {
        let numbers = first..(first + 50).min(readers);
        for number in numbers.clone() {
            tokio::task::spawn_local(read(number, server.address, acknowledging(number), told.clone()));
        }
        for _ in numbers {
            timeout(PATIENCE, heard.recv()).await.expect("a subscription is acknowledged").unwrap();
        }
    }
    let sender = Rc::new(UdpSocket::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0)).await.unwrap());
    let mut longest = Duration::ZERO;
    for number in 0..NOTICES {
        let notice = Notice { sender: b"alice@OPEN.TEST", ..acked(b"all", b"x", b"", &[b'x'; 400]) };
        let start = Instant::now();
        sender.send_to(&written(notice, 1_000_000 + number, 1), server.address).await.unwrap();
        all_of(readers, &mut heard, acknowledging).await;
        longest = longest.max(start.elapsed());
    }
    (server, longest)
}

/// What the server has counted, as its debug line shows it.
fn counted(server: &Daemon, name: &str) -> usize {
    server.signal("USR1");
    let line = server.line_with("debugging on");
    let (_, rest) = line.split_once(&format!(" {name}: ")).unwrap();
    rest.split(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap()
}

async fn reaches_all(readers: usize) {
    let (server, longest) = fan_out(readers, |_| true).await;
    println!("{readers} readers: at most {longest:?} until all had a notice");
    let deadline = Instant::now() + PATIENCE;
    while counted(&server, "pending") > 0 {
        assert!(Instant::now() < deadline, "every acknowledgement is heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(counted(&server, "resent"), 0);
    assert_eq!(counted(&server, "acknowledged"), 3 * readers);
}

fn on_one_thread(test: impl Future<Output = ()> + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(test));
}

#[test]
fn a_thousand_readers_hear_everything_the_first_time() {
    on_one_thread(reaches_all(1000));
}

#[test]
fn five_thousand_readers_hear_everything_the_first_time() {
    on_one_thread(reaches_all(5000));
}

#[test]
fn readers_who_never_acknowledge_do_not_hold_up_others() {
    on_one_thread(async {
        let (server, longest) = fan_out(1000, |number| number % 2 == 0).await;
        println!("half of 1000 readers dead: at most {longest:?} until the others had a notice");
        assert!(longest < Duration::from_secs(2), "{longest:?}");
        assert_eq!(counted(&server, "acknowledged"), 1500);
    });
}
