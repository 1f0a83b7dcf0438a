//! Delays in strings, which slow terminals need: `$<…>`. Nobody waits here.

/// A string without its delays.
pub(super) fn removed(string: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(string.len());
    let mut rest = string;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after_delay(rest).unwrap_or_else(|| {
            kept.push(octet);
            after
        });
    }
    kept
}

/// What comes after the delay that this begins with: milliseconds, with a decimal or not, and `*` or `/`.
fn after_delay(string: &[u8]) -> Option<&[u8]> {
    let inside = string.strip_prefix(b"$<")?;
    let end = inside.iter().position(|octet| !b"0123456789.*/".contains(octet))?;
    inside.get(end..)?.strip_prefix(b">").filter(|_| end > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_removed_and_nothing_else() {
        for (string, expected) in [
            (&b"\x1b[m\x0f$<2>"[..], &b"\x1b[m\x0f"[..]),
            (b"$<20/>a$<1.5*>b", b"ab"),
            (b"$<>$$<x>$<5", b"$<>$$<x>$<5"),
            (b"$<$<5>", b"$<"),
            (b"", b""),
        ] {
            assert_eq!(removed(string).escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
        assert_eq!(removed(&b"$<5".repeat(10_000)).len(), 30_000);
    }
}
