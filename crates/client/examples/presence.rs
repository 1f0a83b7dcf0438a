//! Sets the user's location, and prints the logins and logouts of other users.
//!
//! ```sh
//! cargo run --example presence -- alice@ATHENA.MIT.EDU
//! ```

use std::{
    env,
    io::{Write as _, stdout},
};
use zephyr_client::{Exposure, Location, names};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zephyr_client::Result<()> {
    let mut out = stdout();
    let (zephyr, mut inbox) = zephyr_client::connect().await?;
    // Servers announce logins and logouts in class LOGIN, with the user's name as the instance.
    let friends = env::args().skip(1).map(|friend| (names::LOGIN, friend)).collect::<Vec<_>>();
    zephyr.subscribe(friends).await?;
    let here = Location::here(None);
    zephyr.set_location(Exposure::NetAnnounced, &here).await?;
    writeln!(out, "{} is on {}", zephyr.sender(), here.host)?;
    while let Some(message) = inbox.next().await? {
        if !message.is_authentic() {
            continue;
        }
        let what = if message.opcode().as_bytes() == names::USER_LOGIN { "has come" } else { "has gone" };
        // The fields of the text: host, time and terminal.
        writeln!(out, "{} {what}: {}", message.instance(), message.text().replace('\n', ", "))?;
    }
    Ok(())
}
