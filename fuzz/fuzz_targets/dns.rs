//! An answer of a name server is read or refused, and takes nothing from other messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_discovery::dns::message::{Class, Data, Kind, Question, Reply};

fuzz_target!(|message: &[u8]| {
    let questions = [
        ("zephyr.sloc.ns.example.edu", Class::Hesiod, Kind::Text),
        ("_zephyr-clt._udp.example.edu", Class::Internet, Kind::Service),
    ];
    for (name, class, kind) in questions {
        let question = Question::new(name, class, kind).expect("it is a name");
        // Behind the id and the question that were asked, and as it is.
        let mut answer = question.message(0x1234).expect("it can be asked");
        answer.extend_from_slice(message.get(3..).unwrap_or_default());
        for (at, octet) in message.iter().take(3).enumerate() {
            // The flags and the count of records.
            if let Some(place) = [2, 3, 7].get(at).and_then(|&at| answer.get_mut(at)) {
                *place = *octet;
            }
        }
        for octets in [message, &answer] {
            let Ok(Reply::Records(records, valid_for)) = question.reply(0x1234, octets) else { continue };
            assert!(!records.is_empty() || valid_for.is_zero());
            let text = |record: &Data| match record {
                Data::Text(text) => text.len(),
                Data::Service { .. } => 0,
            };
            assert!(records.iter().map(text).sum::<usize>() <= octets.len());
            assert!(records.iter().all(|record| matches!(record, Data::Text(_)) == (kind == Kind::Text)));
        }
    }
});
