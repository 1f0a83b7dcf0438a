//! What another server of ours sends is a sequence of messages or not; whatever is read can be written, and is then read as the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_engine::server::peers::ours::wire::{self, Message};

fuzz_target!(|input: &[u8]| {
    let mut left = input;
    for _ in 0..64 {
        let before = left.len();
        let Ok(Some(message)) = wire::read(&mut left) else { return };
        assert!(left.len() < before);
        let mut written = Vec::new();
        wire::write(&message, &mut written);
        let mut again = written.as_slice();
        match (&message, wire::read(&mut again).unwrap()) {
            (Message::Unknown, None) => {}
            // Keys are written from sessions, of which a decoder knows none.
            // What is long is cut, names of programs for good.
            (Message::Told(_), Some(Message::Told(again))) if again.goes_on => {}
            (Message::Hello(hello), Some(Message::Hello(again))) => assert_eq!(hello.server, again.server),
            (Message::Known(versions), Some(Message::Known(_))) if versions.stamps().count() > 512 => {}
            (Message::Told(told), Some(Message::Told(again))) => {
                assert_eq!(format!("{:?}", told.change), format!("{:?}", again.change));
                assert_eq!(told.stamp, again.stamp);
            }
            (Message::Told(told), None) => {
                // A list of nothing, or what makes a message that is too long.
                assert!(format!("{:?}", told.change).contains("[]") || written.is_empty());
            }
            (message, Some(again)) => assert_eq!(format!("{message:?}"), format!("{again:?}")),
            (Message::Known(versions), None) => assert_eq!(versions.stamps().count(), 0),
            (message, None) => panic!("{message:?}"),
        }
    }
});
