//! Strings with parameters (terminfo(5), "Parameterized Strings"): as much of their language as `sgr` needs.

/// The number of parameters.
const PARAMETERS: usize = 9;

/// What a string is with these parameters; `None` if it has anything that is not known here.
///
/// The language has no loops: this takes time in proportion to the string.
pub(super) fn applied(string: &[u8], parameters: [i32; PARAMETERS]) -> Option<Vec<u8>> {
    let mut run = Run { rest: string, stack: Vec::new(), result: Vec::with_capacity(string.len()) };
    while let Some(octet) = run.take() {
        if octet == b'%' {
            run.operation(parameters)?;
        } else {
            run.result.push(octet);
        }
    }
    Some(run.result)
}

struct Run<'s> {
    rest: &'s [u8],
    stack: Vec<i32>,
    result: Vec<u8>,
}

impl Run<'_> {
    fn take(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// What was pushed last; 0 if nothing was.
    fn pop(&mut self) -> i32 {
        self.stack.pop().unwrap_or_default()
    }

    /// Does what a `%` and what follows it mean.
    fn operation(&mut self, parameters: [i32; PARAMETERS]) -> Option<()> {
        match self.take()? {
            b'%' => self.result.push(b'%'),
            b'c' => {
                let octet = u8::try_from(self.pop()).ok()?;
                self.result.push(octet);
            }
            b'd' => {
                let number = self.pop().to_string();
                self.result.extend(number.into_bytes());
            }
            b'p' => {
                let place = self.take()?.checked_sub(b'1')?;
                self.stack.push(*parameters.get(usize::from(place))?);
            }
            b'\'' => {
                let octet = self.take()?;
                self.stack.push(octet.into());
                self.take().filter(|&quote| quote == b'\'')?;
            }
            b'{' => {
                let end = self.rest.iter().position(|&octet| octet == b'}')?;
                let number = self.rest.get(..end).and_then(|digits| str::from_utf8(digits).ok())?;
                self.stack.push(number.parse().ok()?);
                self.rest = self.rest.get(end + 1..)?;
            }
            b'!' => {
                let value = self.pop();
                self.stack.push((value == 0).into());
            }
            // A condition begins by itself, and ends when nothing was left out.
            b'?' | b';' => {}
            b't' => {
                if self.pop() == 0 {
                    self.skip(b"e;");
                }
            }
            b'e' => self.skip(b";"),
            operator => {
                let (right, left) = (self.pop(), self.pop());
                self.stack.push(binary(operator, left, right)?);
            }
        }
        Some(())
    }

    /// Leaves out what there is up to one of these operations of the same condition, or up to the end.
    fn skip(&mut self, ends: &[u8]) {
        let mut depth = 0_usize;
        while let Some(octet) = self.take() {
            if octet != b'%' {
                continue;
            }
            match self.take() {
                Some(b'?') => depth += 1,
                Some(operation) if depth == 0 && ends.contains(&operation) => return,
                Some(b';') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

fn binary(operator: u8, left: i32, right: i32) -> Option<i32> {
    Some(match operator {
        b'+' => left.wrapping_add(right),
        b'-' => left.wrapping_sub(right),
        b'*' => left.wrapping_mul(right),
        b'/' => left.checked_div(right).unwrap_or_default(),
        b'm' => left.checked_rem(right).unwrap_or_default(),
        b'&' => left & right,
        b'|' => left | right,
        b'^' => left ^ right,
        b'=' => (left == right).into(),
        b'>' => (left > right).into(),
        b'<' => (left < right).into(),
        b'A' => (left != 0 && right != 0).into(),
        b'O' => (left != 0 || right != 0).into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OF_XTERM: &[u8] = b"%?%p9%t\x1b(0%e\x1b(B%;\x1b[0%?%p6%t;1%;%?%p2%t;4%;%?%p1%p3%|%t;7%;%?%p4%t;5%;m";

    #[test]
    fn what_strings_become() {
        for (string, parameters, expected) in [
            (OF_XTERM, [0; 9], "\x1b(B\x1b[0m"),
            (OF_XTERM, [0, 0, 1, 0, 0, 1, 0, 0, 1], "\x1b(0\x1b[0;1;7m"),
            (b"%p1%d;%p2%{3}%+%d%%%'a'%c", [-5, 2, 0, 0, 0, 0, 0, 0, 0], "-5;5%a"),
            (b"%?%p1%t1%e%p2%t2%e%p3%t3%e4%;.", [0, 1, 1, 0, 0, 0, 0, 0, 0], "2."),
            (b"%?%p1%t1%e%p2%t2%e%p3%t3%e4%;.", [0; 9], "4."),
            (b"%?%p1%t%?%p2%ta%eb%;%ec%;d", [0; 9], "cd"),
            (b"%?%p1%!%ta%?%p2%tb%ec%;%ed%;e", [0; 9], "ace"),
            (b"%{7}%{2}%/%d%{7}%{2}%m%d%{1}%{0}%/%d", [0; 9], "310"),
        ] {
            let result = applied(string, parameters).unwrap();
            assert_eq!(result.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for string in [&b"%"[..], b"%p0", b"%p", b"%s", b"%03d", b"%Pa", b"%{99999999999}", b"%{1", b"%'ab", b"%i"] {
            assert_eq!(applied(string, [0; 9]), None, "{}", string.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_octets(string in "(%[%cdp1-9'{}!?t;e+*/m&|=<>AO-]|[0-9a-z'}]){0,60}", parameter: i32) {
            if let Some(result) = applied(string.as_bytes(), [parameter; 9]) {
                prop_assert!(result.len() <= string.len() * 11);
            }
        }
    }
}
