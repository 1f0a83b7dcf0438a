//! The options that a manual page describes.

use std::collections::BTreeSet;

/// The macros after which no name of an option comes.
const OTHERS: [&str; 6] = ["Ar", "No", "Ns", "Op", "Pq", "Li"];

/// The options that have an item in a page, with their dashes.
pub(super) fn options(page: &str) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    for item in page.lines().filter_map(|line| line.strip_prefix(".It Fl ")) {
        let mut is_name = true;
        for word in item.split(' ') {
            match word {
                "Fl" => is_name = true,
                "," => {}
                _ if OTHERS.contains(&word) => is_name = false,
                _ if is_name => drop(options.insert(format!("-{word}"))),
                _ => {}
            }
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_page() {
        let page = ".It Fl a\n.It Fl c Ar class , Fl i Ar instance\n.It Fl -help , -version\n.It Ev HOME\n.Op Fl x\n";
        assert_eq!(options(page), ["-a", "-c", "-i", "--help", "--version"].map(str::to_owned).into());
    }
}
