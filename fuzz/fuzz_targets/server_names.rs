//! Files that name servers, and name servers, give names of hosts and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_discovery::{clients_file, dns, hesiod::Hesiod, server_list};

fuzz_target!(|content: &[u8]| {
    let text = String::from_utf8_lossy(content);
    let listed = server_list::read(content).names;
    for name in clients_file::read(&text).names.into_iter().chain(listed) {
        assert!(name.host.bytes().all(|octet| octet.is_ascii_graphic()));
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    assert!(!dns::name_servers(&text).is_empty());
    let _ = dns::search_domain(&text);
    assert!(Hesiod::new(&text, None, &text).servers_name().starts_with("zephyr.sloc"));
});
