//! Sends a message to a user, and prints whether it was delivered.
//!
//! ```sh
//! cargo run --example sender -- alice "Lunch?"
//! ```

use std::env;
use zephyr_client::{DeliveryStatus, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zephyr_client::Result<()> {
    let (Some(recipient), Some(text)) = (env::args().nth(1), env::args().nth(2)) else {
        eprintln!("usage: sender RECIPIENT TEXT");
        return Ok(());
    };
    let (zephyr, _) = zephyr_client::connect().await?;
    let receipt = zephyr.send(Message::to_user(&recipient).signature("sender").text(text)).await?;
    match receipt.status {
        DeliveryStatus::Sent => println!("{recipient} has received it"),
        DeliveryStatus::NobodyThere => println!("{recipient} is not there"),
        other => println!("not delivered: {other:?}"),
    }
    if let Some(text) = receipt.text {
        println!("the server says: {text}");
    }
    Ok(())
}
