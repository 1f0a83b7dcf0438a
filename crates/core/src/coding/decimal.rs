//! Decimal numbers in texts that C programs read with `atoi`.

/// The decimal number at the beginning of a text, as deployed readers take it: blanks and a sign may precede it, anything
/// may follow, and no digits mean zero.
pub(crate) fn leading_integer(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    sign * digits.fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_deployed_readers_take_it() {
        for (text, number) in
            [("36", 36), (" 36", 36), ("+36/9", 36), ("-5", -5), ("", 0), ("x", 0), ("99999999999999999999", i64::MAX)]
        {
            assert_eq!(leading_integer(text.as_bytes()), number, "{text:?}");
        }
    }
}
