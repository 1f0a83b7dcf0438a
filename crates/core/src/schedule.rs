//! Retransmission schedules and timeouts.

use std::time::Duration;

const fn seconds<const N: usize>(steps: [u64; N]) -> [Duration; N] {
    let mut schedule = [Duration::ZERO; N];
    let mut i = 0;
    while i < N {
        #[allow(clippy::indexing_slicing, reason = "evaluated at compile time, in bounds by the loop")]
        {
            schedule[i] = Duration::from_secs(steps[i]);
        }
        i += 1;
    }
    schedule
}

/// A server to a client: the wait after each transmission. After the last the packet is given up
/// (server behaviour, section 9).
pub const TO_CLIENT: [Duration; 12] = seconds([2, 2, 4, 4, 8, 8, 16, 32, 64, 128, 256, 512]);
/// A server to a server of another realm: the wait after each transmission, in each round
/// (server to server, section 8).
pub const TO_REALM: [Duration; 12] = TO_CLIENT;
/// Transmissions of an answer to an authenticated client at most: how often an answer that nobody acknowledges is sent
/// at most. By the waits of [`TO_CLIENT`] the last goes 28 seconds after the first, well within [`SERVACK_WAIT`].
pub const ANSWER_TRANSMISSIONS: usize = 7;
/// A server to a client whose address has not acknowledged anything yet: the wait after each probe. After the last a
/// client that is proven is given up, as by [`TO_CLIENT`], but the address got fewer packets.
pub const TO_UNCONFIRMED: [Duration; 7] = seconds([2, 2, 4, 8, 16, 492, 512]);
/// A client that is neither proven nor has acknowledged anything is forgotten after this long.
pub const UNCONFIRMED_MEMORY: Duration = Duration::from_secs(60);
/// A client that has acknowledged something within this time is not given up.
pub const CLIENT_SILENCE: Duration = Duration::from_secs(512);
/// A host manager to its server: the wait after each transmission; after the last, the server is taken for dead
/// (host manager, section 8).
pub const TO_SERVER: [Duration; 5] = seconds([2, 2, 4, 4, 8]);
/// A host manager that looks for a server: the wait after each greeting; the last repeats (host manager, section 6).
pub const GREETING: [Duration; 4] = seconds([5, 10, 20, 40]);

/// A client waits this long for its host manager (wire format, section 6).
pub const HMACK_WAIT: Duration = Duration::from_secs(10);
/// A client waits this long for the server's answer while nothing at all arrives.
pub const SERVACK_WAIT: Duration = Duration::from_secs(60);
/// A receiver forgets an incomplete notice this long after its last fragment (wire format, section 7).
pub const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// C receivers remember which packets they have seen for this long, and our servers what they have answered.
pub const DUPLICATE_MEMORY: Duration = Duration::from_secs(900);
/// A receiver of ours remembers which packets it has seen for this long: longer than a server repeats one by
/// [`TO_CLIENT`], which is 1,036 seconds.
pub const RECEIVER_MEMORY: Duration = Duration::from_secs(1200);
