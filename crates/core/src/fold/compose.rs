//! Canonical composition of a short text (Unicode Standard Annex #15), without an allocation for each.

use super::table;
use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

/// Normalises texts one after the other.
#[derive(Debug, Default)]
pub(super) struct Composer {
    /// Characters with their combining classes.
    characters: Vec<(u8, char)>,
}

impl Composer {
    /// Normalises what `text` has from `start` on, to form C.
    pub(super) fn compose_from(&mut self, text: &mut String, start: usize) {
        self.decompose(text.get(start..).unwrap_or_default());
        self.reorder();
        self.recompose();
        text.truncate(start);
        text.extend(self.characters.iter().map(|&(_, character)| character));
    }

    fn decompose(&mut self, text: &str) {
        self.characters.clear();
        let characters = &mut self.characters;
        for character in text.chars() {
            // Most that comes here is marks, whose classes the table knows, and what they belong to.
            if let Some(class) = table::mark_class(character) {
                characters.push((class, character));
                continue;
            }
            decompose_canonical(character, |part| characters.push((canonical_combining_class(part), part)));
        }
    }

    /// Puts each run of combining characters into the order of their classes.
    fn reorder(&mut self) {
        for run in self.characters.split_mut(|&(class, _)| class == 0) {
            run.sort_by_key(|&(class, _)| class);
        }
    }

    fn recompose(&mut self) {
        let characters = &mut self.characters;
        let mut kept: usize = 0;
        // The last starter among those that are kept.
        let mut starter: Option<usize> = None;
        for next in 0..characters.len() {
            let Some(&(class, character)) = characters.get(next) else { break };
            let before = kept.checked_sub(1).and_then(|last| characters.get(last)).map_or(0, |&(class, _)| class);
            let begun = starter.and_then(|place| Some((place, characters.get(place)?.1)));
            if let Some((place, base)) = begun
                && (kept == place + 1 || before < class)
                && let Some(composed) = compose(base, character)
                && let Some(base) = characters.get_mut(place)
            {
                *base = (0, composed);
                continue;
            }
            if class == 0 {
                starter = Some(kept);
            }
            if let Some(place) = characters.get_mut(kept) {
                *place = (class, character);
            }
            kept += 1;
        }
        characters.truncate(kept);
    }
}
