//! A strict DER reader: one-octet tags, and definite lengths in their shortest form.

/// A reader of the remaining octets.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The next element's contents, and the element as a whole; it must have this tag.
    pub(crate) fn whole(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (header, length) = match *self.0 {
            [found, length @ 0..=0x7F, ..] if found == tag => (2, length.into()),
            [found, 0x81, length @ 0x80..=0xFF, ..] if found == tag => (3, length.into()),
            [found, 0x82, high @ 1..=0xFF, low, ..] if found == tag => {
                (4, usize::from(u16::from_be_bytes([high, low])))
            }
            _ => return None,
        };
        let (element, rest) = self.0.split_at_checked(header + length)?;
        self.0 = rest;
        Some((element.get(header..)?, element))
    }

    /// The next element's contents; it must have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.whole(tag).map(|(contents, _)| contents)
    }

    /// The contents of the next element, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Self)
    }

    /// The contents of the one element, with the tag `inner`, that is inside the next, with the tag `outer`.
    pub(crate) fn only(&mut self, outer: u8, inner: u8) -> Option<&'a [u8]> {
        let mut inside = self.enter(outer)?;
        let contents = inside.take(inner)?;
        inside.end().then_some(contents)
    }

    /// Whether the next element, if any, has this tag.
    pub(crate) fn next_is(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// Whether everything has been read.
    pub(crate) const fn end(&self) -> bool {
        self.0.is_empty()
    }
}

/// A number from 0 to 2³²−1, as short as it can be written.
pub(crate) fn unsigned(contents: &[u8]) -> Option<u32> {
    let digits = match contents {
        [0] => return Some(0),
        [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => digits,
        [1..=0x7F, ..] => contents,
        _ => return None,
    };
    let start = 4_usize.checked_sub(digits.len())?;
    let mut octets = [0; 4];
    octets.get_mut(start..)?.copy_from_slice(digits);
    Some(u32::from_be_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (octets, number) in [
            (&[0][..], Some(0)),
            (&[1], Some(1)),
            (&[0x7F], Some(127)),
            (&[0, 0x80], Some(128)),
            (&[0x0F, 0x42, 0x3F], Some(999_999)),
            (&[0x7F, 0xFF, 0xFF, 0xFF], Some(0x7FFF_FFFF)),
            (&[0, 0xFF, 0xFF, 0xFF, 0xFF], Some(u32::MAX)),
            (&[], None),
            (&[0x80], None),
            (&[0, 0x7F], None),
            (&[0, 0], None),
            (&[1, 0, 0, 0, 0], None),
            (&[0, 0xFF, 0, 0, 0, 0], None),
        ] {
            assert_eq!(unsigned(octets), number, "{octets:?}");
        }
    }

    #[test]
    fn lengths_are_written_in_one_way() {
        let long = [&[4, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert_eq!(Reader::new(&long).take(4).map(<[u8]>::len), Some(0x80));
        let longer = [&[4, 0x82, 1, 0][..], &[7; 0x100]].concat();
        assert_eq!(Reader::new(&longer).take(4).map(<[u8]>::len), Some(0x100));
        for wrong in [&[4, 0x80, 0, 0][..], &[4, 0x81, 1, 7], &[4, 0x82, 0, 0x80], &[4, 2, 7], &[4], &[], &[5, 0]] {
            assert!(Reader::new(wrong).take(4).is_none(), "{wrong:?}");
        }
    }
}
