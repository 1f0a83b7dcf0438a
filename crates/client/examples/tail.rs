//! Prints the notices of a class as they arrive.
//!
//! ```sh
//! cargo run --example tail -- help
//! ```

use std::{
    env,
    io::{Write as _, stdout},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zephyr_client::Result<()> {
    let mut out = stdout();
    let class = env::args().nth(1).unwrap_or_else(|| "help".to_owned());
    let (zephyr, mut inbox) = zephyr_client::connect().await?;
    zephyr.subscribe((&class, "*")).await?;
    writeln!(out, "subscribed to {class}")?;
    while let Some(message) = inbox.next().await? {
        let doubt = if message.is_authentic() { "" } else { " (who says so, but nothing proves it)" };
        writeln!(
            out,
            "[{} {}] {}{doubt}: {}",
            message.class(),
            message.instance(),
            message.sender(),
            message.text().trim_end()
        )?;
    }
    Ok(())
}
