//! An answer of a name server is read or refused, and takes nothing from other messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_net::hesiod::message::{self, Answer, Class, Name};

fuzz_target!(|message: &[u8]| {
    let name = Name::new("zephyr.sloc.ns.example.edu").expect("it is a name");
    // Behind the id and the question that were asked, and as it is.
    let query = message::query(0x1234, &name, Class::Hesiod);
    let mut answer = query.clone();
    answer.extend_from_slice(message.get(3..).unwrap_or_default());
    for (at, octet) in message.iter().take(3).enumerate() {
        // The flags and the count of records.
        if let Some(place) = [2, 3, 7].get(at).and_then(|&at| answer.get_mut(at)) {
            *place = *octet;
        }
    }
    for octets in [message, &answer] {
        if let Ok(Answer::Texts(texts)) = message::answer(octets, 0x1234, &name, Class::Hesiod) {
            assert!(texts.iter().map(Vec::len).sum::<usize>() <= octets.len());
        }
    }
});
