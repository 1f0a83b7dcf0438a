//! A bot that answers questions in class `help`. It subscribes again with new tickets by itself.
//!
//! ```sh
//! cargo run --example bot
//! ```

use std::io::{Write as _, stdout};
use zephyr_client::Message;

#[tokio::main(flavor = "current_thread")]
async fn main() -> zephyr_client::Result<()> {
    let mut out = stdout();
    let (zephyr, mut inbox) = zephyr_client::connect().await?;
    zephyr.subscribe(("help", "*")).await?;
    writeln!(out, "ready")?;
    while let Some(message) = inbox.next().await? {
        if !message.is_authentic() {
            continue;
        }
        let answer = Message::to_class("help").instance(message.instance()).text(answer(&message.text()));
        zephyr.send(answer.signature("The Bot")).await?;
    }
    Ok(())
}

fn answer(question: &str) -> String {
    match question.trim() {
        "ping" => "pong".to_owned(),
        question => format!("I do not know: {question}"),
    }
}
