//! Octets of connections between servers: tokens, and then records. Nothing is allocated by a length that the other end
//! claims, and every wait has its end.

use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use zephyr_config::system_text;
use zephyr_core::framing::{self, END_OF_FIELD, MAX_FIELD};

/// Why nothing more is read.
pub(super) enum End {
    /// The other end has closed the connection, between records.
    Closed,
    /// Something is wrong.
    Wrong(String),
}

impl From<End> for String {
    fn from(end: End) -> Self {
        match end {
            End::Closed => "the other end has closed it".to_owned(),
            End::Wrong(why) => why,
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Wrong("the other end has closed it in the middle".to_owned()),
            _ => Self::Wrong(system_text(&error)),
        }
    }
}

/// Writes a token with its length.
pub(super) async fn write_token(stream: &mut (impl AsyncWrite + Unpin), token: &[u8]) -> Result<(), String> {
    let written = async {
        stream.write_all(&framing::token(token)).await?;
        stream.flush().await
    };
    written.await.map_err(|error| system_text(&error))
}

/// Reads a token, however slowly it comes: that is for who calls.
pub(super) async fn read_token(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, String> {
    let read = async {
        let mut field = Vec::new();
        loop {
            match stream.read_u8().await? {
                END_OF_FIELD => break,
                octet if field.len() < MAX_FIELD => field.push(octet),
                _ => return Err(End::Wrong(framing::FramingError::Field.to_string())),
            }
        }
        let len = framing::token_len(&field).map_err(|error| End::Wrong(error.to_string()))?;
        Ok(read_so_many(stream, len).await?)
    };
    read.await.map_err(String::from)
}

/// Reads a sealed record. Once it has begun, each piece of it must come within `stall`.
pub(super) async fn read_record(stream: &mut (impl AsyncRead + Unpin), stall: Duration) -> Result<Vec<u8>, End> {
    let high = match stream.read_u8().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(End::Closed),
        high => high?,
    };
    let rest = async {
        let low = stream.read_u8().await?;
        let len = framing::record_len([high, low]).map_err(|error| End::Wrong(error.to_string()))?;
        Ok(read_so_many(stream, len).await?)
    };
    let stalled = || End::Wrong(format!("half of a record came, and nothing more for {} seconds", stall.as_secs()));
    timeout(stall, rest).await.unwrap_or_else(|_| Err(stalled()))
}

/// Reads so many octets; the memory for them grows as they come.
async fn read_so_many(stream: &mut (impl AsyncRead + Unpin), len: usize) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let limit = u64::try_from(len).unwrap_or(0);
    stream.take(limit).read_to_end(&mut octets).await?;
    if octets.len() == len { Ok(octets) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes all of it, as long as the other end takes something every `stall`.
pub(super) async fn write_steadily(
    stream: &mut (impl AsyncWrite + Unpin),
    mut octets: &[u8],
    stall: Duration,
) -> Result<(), String> {
    while !octets.is_empty() {
        let written = timeout(stall, stream.write(octets)).await;
        let written =
            written.map_err(|_| format!("the other end has taken nothing for {} seconds", stall.as_secs()))?;
        match written.map_err(|error| system_text(&error))? {
            0 => return Err("nothing more can be written".to_owned()),
            written => octets = octets.get(written..).unwrap_or_default(),
        }
    }
    Ok(())
}
