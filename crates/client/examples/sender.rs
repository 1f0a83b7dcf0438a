//! Sends a message to a user, and prints whether it was delivered.
//!
//! ```sh
//! cargo run --example sender -- alice "Lunch?"
//! ```

use std::{
    env,
    io::{self, Write as _, stdout},
};
use zephyr_client::{DeliveryStatus, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zephyr_client::Result<()> {
    let mut out = stdout();
    let (Some(recipient), Some(text)) = (env::args().nth(1), env::args().nth(2)) else {
        return Err(io::Error::other("usage: sender RECIPIENT TEXT").into());
    };
    let (zephyr, _) = zephyr_client::connect().await?;
    let receipt = zephyr.send(Message::to_user(&recipient).signature("sender").text(text)).await?;
    match receipt.status {
        DeliveryStatus::Sent => writeln!(out, "{recipient} has received it")?,
        DeliveryStatus::NobodyThere => writeln!(out, "{recipient} is not there")?,
        other => writeln!(out, "not delivered: {other:?}")?,
    }
    if let Some(text) = receipt.text {
        writeln!(out, "the server says: {text}")?;
    }
    Ok(())
}
