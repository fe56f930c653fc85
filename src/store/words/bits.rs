//! Which of the lines of a block: one bit each.

/// Lines of a block.
pub(in crate::store) const LINES: usize = PLACE_MAX as usize + 1;
const PLACE_MAX: u16 = (1 << 14) - 1;
const PARTS: usize = LINES / 64;

/// A set of lines of one block, by their place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Bits(Box<[u64; PARTS]>);

impl Bits {
    pub(in crate::store) fn none() -> Bits {
        Bits(Box::new([0; PARTS]))
    }

    /// Adds a place below [`LINES`].
    pub(super) fn add(&mut self, place: u16) {
        self.0[usize::from(place) / 64] |= 1 << (place % 64);
    }

    pub(in crate::store) fn has(&self, place: u16) -> bool {
        self.0[usize::from(place) / 64] >> (place % 64) & 1 == 1
    }

    pub(in crate::store) fn count(&self) -> usize {
        self.0.iter().map(|part| part.count_ones() as usize).sum()
    }

    /// Keeps what is in both.
    pub(super) fn keep(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(part, other)| *part &= other);
    }

    /// Adds what is in the other.
    pub(super) fn join(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(part, other)| *part |= other);
    }

    /// The places, rising.
    pub(in crate::store) fn places(&self) -> impl DoubleEndedIterator<Item = u16> {
        // A rare word leaves most parts empty, and a search for one does little else than look for those that are not.
        let some = (0..=PLACE_MAX).step_by(64).zip(self.0.iter()).filter(|(_, part)| **part != 0);
        some.flat_map(|(first, part)| {
            (0..64).filter(move |bit| part >> bit & 1 == 1).map(move |bit| first + bit)
        })
    }

    /// As bytes, the lowest place first.
    pub(super) fn to_bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().flat_map(|part| part.to_le_bytes())
    }

    /// Adds what [`to_bytes`](Bits::to_bytes) gave; nothing where these are too few bytes.
    pub(super) fn join_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let (parts, rest) = bytes.as_chunks::<8>();
        if parts.len() != PARTS || !rest.is_empty() {
            return None;
        }
        self.0.iter_mut().zip(parts).for_each(|(part, bytes)| *part |= u64::from_le_bytes(*bytes));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_rise_and_fall() {
        let some = [0, 1, 63, 64, 4095, 4096, 10_000, PLACE_MAX];
        let mut bits = Bits::none();
        some.iter().rev().for_each(|place| bits.add(*place));
        assert!(bits.places().eq(some));
        assert!(bits.places().rev().eq(some.into_iter().rev()));
        assert!(some.iter().all(|place| bits.has(*place)) && bits.count() == some.len());
    }
}
