//! An established connection: records in both directions, until one end has enough.

use super::{Limits, handshake::Established, transfer};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc::{Sender, UnboundedReceiver},
    time::timeout,
};
use zephyr_core::{
    auth::{AuthError, Channel},
    framing,
};
use zephyr_engine::server::peers::stream::{StreamEvent, StreamId};

/// Octets that are sealed and written in one go, about.
const MAX_GO: usize = 32 * 1024;

/// One connection at work.
pub(super) struct Carriage {
    pub(super) stream: StreamId,
    /// Records to send; closed when there will be no more.
    pub(super) records: UnboundedReceiver<Bytes>,
    pub(super) events: Sender<StreamEvent>,
    pub(super) limits: Limits,
}

impl Carriage {
    /// Carries records until the connection ends; says why, unless it was closed here.
    pub(super) async fn run(self, Established { stream, channel, first }: Established) -> Option<String> {
        let Self { stream: id, mut records, events, limits } = self;
        if let Some(record) = first
            && !tell(&events, StreamEvent::Record { stream: id, record: record.into() }).await
        {
            return None;
        }
        let channel = Mutex::new(channel);
        let (mut reading, mut writing) = tokio::io::split(stream);
        let receive = receive(&mut reading, &channel, &events, id, limits);
        let send = send(&mut writing, &channel, &mut records, &events, id, limits);
        let ended = tokio::select! {
            why = receive => Some(why),
            sent = send => sent.err(),
        };
        if ended.is_none() {
            linger(&mut reading, &mut writing, limits).await;
        }
        ended
    }
}

/// Receives until that ends; says why.
async fn receive(
    reading: &mut (impl AsyncRead + Unpin),
    channel: &Mutex<Box<dyn Channel>>,
    events: &Sender<StreamEvent>,
    stream: StreamId,
    limits: Limits,
) -> String {
    loop {
        let opened = match transfer::read_record(reading, limits.stall).await {
            Ok(sealed) => with(channel, |channel| channel.open(&sealed)),
            Err(end) => Err(String::from(end)),
        };
        let record = match opened {
            Ok(record) => record.into(),
            Err(why) => return why,
        };
        // While nobody takes the event, nothing more is read: the other end notices.
        if !tell(events, StreamEvent::Record { stream, record }).await {
            return "the server is about to end".to_owned();
        }
    }
}

/// Sends until there is nothing more to send.
async fn send(
    writing: &mut (impl AsyncWrite + Unpin),
    channel: &Mutex<Box<dyn Channel>>,
    records: &mut UnboundedReceiver<Bytes>,
    events: &Sender<StreamEvent>,
    stream: StreamId,
    limits: Limits,
) -> Result<(), String> {
    while let Some(first) = records.recv().await {
        let (mut go, mut octets, mut next) = (Vec::new(), 0, Some(first));
        while let Some(record) = next {
            let sealed = with(channel, |channel| channel.seal(&record))?;
            go.extend(framing::record(&sealed).map_err(|error| error.to_string())?);
            octets += record.len();
            next = if go.len() < MAX_GO { records.try_recv().ok() } else { None };
        }
        transfer::write_steadily(writing, &go, limits.stall).await?;
        if !tell(events, StreamEvent::Drained { stream, octets }).await {
            return Ok(());
        }
    }
    Ok(())
}

/// Ends a connection so that what was sent arrives: who closes with something unread takes back what is on its way.
async fn linger(reading: &mut (impl AsyncRead + Unpin), writing: &mut (impl AsyncWrite + Unpin), limits: Limits) {
    let rest = async {
        writing.shutdown().await?;
        let mut nobodys = [0; 1024];
        while reading.read(&mut nobodys).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(limits.linger, rest).await;
}

fn with<T>(
    channel: &Mutex<Box<dyn Channel>>,
    step: impl FnOnce(&mut dyn Channel) -> Result<T, AuthError>,
) -> Result<T, String> {
    step(channel.lock().unwrap_or_else(PoisonError::into_inner).as_mut()).map_err(|error| error.to_string())
}

/// Whether anybody took it.
async fn tell(events: &Sender<StreamEvent>, event: StreamEvent) -> bool {
    events.send(event).await.is_ok()
}
