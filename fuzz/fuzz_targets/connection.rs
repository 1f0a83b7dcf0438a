//! What servers say to each other over TCP is accepted in its one form or refused: the framing, and the messages in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_auth_krb::internals::connection_messages;
use zephyr_core::{
    auth::{MAX_SEALED_RECORD, MAX_TOKEN},
    framing,
};

const REALM: &[u8] = b"ATHENA.TEST";

fuzz_target!(|input: &[u8]| {
    let accepted = connection_messages(input, REALM);
    if accepted.contains(&true) {
        assert!(input.len() <= MAX_TOKEN);
        assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 1, "two messages in one");
        let longer = [input, b"\0"].concat();
        for other in [&input[..input.len() - 1], &longer] {
            assert!(!connection_messages(other, REALM).contains(&true), "another length of the same");
        }
    }
    if let Ok(len) = framing::token_len(input) {
        let framed = framing::token(&vec![0; len]);
        assert_eq!(framed.strip_prefix(input).map(<[u8]>::first), Some(Some(&framing::END_OF_FIELD)));
    }
    if let Some(octets) = input.first_chunk()
        && let Ok(len) = framing::record_len(*octets)
    {
        assert!((1..=MAX_SEALED_RECORD).contains(&len));
        assert!(framing::record(&vec![0; len]).is_ok_and(|framed| framed.starts_with(octets)));
    }
});
