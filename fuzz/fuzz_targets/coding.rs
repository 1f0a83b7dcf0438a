//! Header texts are decoded or refused; what zcode decodes to is encoded as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_core::coding::{ascii, zcode};

fuzz_target!(|text: &[u8]| {
    let mut uid = [0; 12];
    if ascii::decode_into(text, &mut uid).is_ok() {
        let mut written = Vec::new();
        ascii::encode(&uid, &mut written);
        assert_eq!(ascii::decode::<12>(&written), Ok(uid));
    }
    let _ = (ascii::decode_u32(text), ascii::decode_u16(text));
    if let Ok(octets) = zcode::decode(text, 1024) {
        assert!(octets.len() <= 1024);
        // A field never holds a NUL, so that one need not come back as it was.
        if !text.contains(&0) {
            assert_eq!(zcode::encoded(&octets), text);
        }
    }
});
