//! Header fields beyond those that this version of the protocol defines.

use crate::limits::MAX_OTHER_FIELDS;
use std::fmt;

/// Up to [`MAX_OTHER_FIELDS`] header fields after the known ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OtherFields<'a> {
    fields: [&'a [u8]; MAX_OTHER_FIELDS],
    count: usize,
}

impl<'a> OtherFields<'a> {
    /// No other fields.
    pub const NONE: Self = Self { fields: [b""; MAX_OTHER_FIELDS], count: 0 };

    /// Keeps a field, or drops it when the list is full.
    pub fn push(&mut self, field: &'a [u8]) {
        if let Some(place) = self.fields.get_mut(self.count) {
            *place = field;
            self.count += 1;
        }
    }

    /// The kept fields in order.
    pub fn as_slice(&self) -> &[&'a [u8]] {
        self.fields.get(..self.count).unwrap_or_default()
    }

    /// The number of kept fields.
    pub fn count(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(0)
    }
}

impl<'a> FromIterator<&'a [u8]> for OtherFields<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(fields: I) -> Self {
        let mut kept = Self::NONE;
        fields.into_iter().for_each(|field| kept.push(field));
        kept
    }
}

impl fmt::Debug for OtherFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice().iter().map(|field| field.escape_ascii().to_string())).finish()
    }
}
