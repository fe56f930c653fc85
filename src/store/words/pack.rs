//! The words of a block as bytes: a directory, and pieces of some kilobytes. Pure.
//!
//! The words are sorted. A piece holds entries: how many bytes the word shares with the one before in the piece (one
//! byte), how many follow (one byte), those, and the lines that have it: their number and the gaps between them, each as
//! a LEB128 number, or the number 0 and a bitmap of the block where that is shorter. The directory holds, for each piece,
//! the length and the bytes of its first word. A piece is a little less than a page of the database, so that it lies in
//! one, and finding a word reads the directory and one piece.
//!
//! What is read back comes from a file that may be damaged: every function here gives nothing for bytes that are none of
//! its own, and never panics.

use std::collections::HashMap;

use crate::search::words;
use crate::store::words::bits::{Bits, LINES};

/// Largest piece, bytes: what SQLite stores of a row within one page of 4,096.
const PIECE_BYTES_MAX: usize = 4030;
/// Bytes of a bitmap.
const BITMAP_BYTES: usize = LINES / 8;

/// The words of a block while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<Box<str>, Vec<u16>>);

/// A block's words as they are stored.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) directory: Vec<u8>,
    pub(super) pieces: Vec<Vec<u8>>,
}

impl Gathered {
    /// Notes that the line at `place` has that word; places come in rising order.
    pub(super) fn add(&mut self, word: &str, place: u16) {
        match self.0.get_mut(word) {
            Some(places) if places.last() == Some(&place) => {}
            Some(places) => places.push(place),
            None => {
                self.0.insert(word.into(), vec![place]);
            }
        }
    }

    pub(super) fn pack(self) -> Packed {
        let mut words: Vec<(Box<str>, Vec<u16>)> = self.0.into_iter().collect();
        words.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut packed = Packed { directory: Vec::new(), pieces: Vec::new() };
        let (mut before, mut lines): (&str, Vec<u8>) = ("", Vec::new());
        for (word, places) in &words {
            lines.clear();
            write_places(&mut lines, places);
            let fits = |piece: &Vec<u8>| piece.len() + 2 + word.len() + lines.len() <= PIECE_BYTES_MAX;
            if !packed.pieces.last().is_some_and(fits) {
                packed.directory.push(length(word.as_bytes()));
                packed.directory.extend(word.as_bytes());
                packed.pieces.push(Vec::with_capacity(PIECE_BYTES_MAX));
                before = "";
            }
            let piece = packed.pieces.last_mut().expect("one was pushed where there was none");
            let shared = before.bytes().zip(word.bytes()).take_while(|(one, other)| one == other).count();
            let (shared, rest) = word.as_bytes().split_at(shared);
            piece.extend([length(shared), length(rest)]);
            piece.extend(rest);
            piece.extend(&lines);
            before = word;
        }
        packed
    }
}

/// A word's length in a byte.
fn length(word: &[u8]) -> u8 {
    const { assert!(words::WORD_BYTES_MAX < 256) };
    u8::try_from(word.len()).expect("an index word has at most WORD_BYTES_MAX bytes")
}

fn write_places(bytes: &mut Vec<u8>, places: &[u16]) {
    write_number(bytes, places.len());
    let mut next = 0;
    for place in places {
        let place = usize::from(*place);
        write_number(bytes, place - next);
        next = place + 1;
        if bytes.len() > BITMAP_BYTES {
            return write_bitmap(bytes, places);
        }
    }
}

fn write_bitmap(bytes: &mut Vec<u8>, places: &[u16]) {
    let mut bits = Bits::none();
    places.iter().for_each(|place| bits.add(*place));
    bytes.clear();
    write_number(bytes, 0);
    bytes.extend(bits.to_bytes());
}

fn write_number(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// The numbers of the pieces in which words that begin with `start` can be, by the directory: `start` itself is in the
/// first of them, if it is anywhere. Nothing where the bytes are no directory.
pub(super) fn pieces_of(directory: &[u8], start: &[u8], whole: bool) -> Option<std::ops::Range<usize>> {
    let (mut rest, mut number, mut first) = (directory, 0, 0);
    while let Some((length, after)) = rest.split_first() {
        let (word, after) = after.split_at_checked(usize::from(*length))?;
        if word <= start {
            first = number;
        } else if whole || !word.starts_with(start) {
            return Some(first..number);
        }
        (rest, number) = (after, number + 1);
    }
    Some(first..number)
}

/// Adds to `bits` the lines that have the word `start`, or any word that begins so. Nothing where the bytes are no piece.
pub(super) fn find(piece: &[u8], start: &[u8], whole: bool, bits: &mut Bits) -> Option<()> {
    let (mut rest, mut word) = (piece, Vec::new());
    while !rest.is_empty() {
        let [shared, length, after @ ..] = rest else { return None };
        let (end, after) = after.split_at_checked(usize::from(*length))?;
        if usize::from(*shared) > word.len() {
            return None;
        }
        word.truncate(usize::from(*shared));
        word.extend_from_slice(end);
        let is_meant = if whole { word == start } else { word.starts_with(start) };
        rest = read_places(after, is_meant.then_some(&mut *bits))?;
        if word.as_slice() > start && !word.starts_with(start) {
            break;
        }
    }
    Some(())
}

/// What follows the lines of an entry, which are added to `bits` where they are wanted.
fn read_places<'a>(bytes: &'a [u8], bits: Option<&mut Bits>) -> Option<&'a [u8]> {
    let (count, mut rest) = read_number(bytes)?;
    if count == 0 {
        let (bitmap, after) = rest.split_at_checked(BITMAP_BYTES)?;
        return match bits {
            Some(bits) => bits.join_bytes(bitmap).map(|()| after),
            None => Some(after),
        };
    }
    let (mut bits, mut next) = (bits, 0);
    for _ in 0..count {
        let (gap, after) = read_number(rest)?;
        let place = next + gap;
        if place >= LINES {
            return None;
        }
        if let Some(bits) = &mut bits {
            bits.add(u16::try_from(place).ok()?);
        }
        (rest, next) = (after, place + 1);
    }
    Some(rest)
}

/// A number of at most three bytes: more than the lines of a block is none of ours.
fn read_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(3).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    type Words = BTreeMap<String, BTreeSet<u16>>;

    fn pack(words: &Words) -> Packed {
        let mut gathered = Gathered::default();
        for (word, places) in words {
            // A word that occurs twice in a line comes twice.
            places.iter().for_each(|place| {
                gathered.add(word, *place);
                gathered.add(word, *place);
            });
        }
        gathered.pack()
    }

    fn found(packed: &Packed, start: &str, whole: bool) -> BTreeSet<u16> {
        let mut bits = Bits::none();
        for number in pieces_of(&packed.directory, start.as_bytes(), whole).unwrap() {
            find(&packed.pieces[number], start.as_bytes(), whole, &mut bits).unwrap();
        }
        bits.places().collect()
    }

    fn expected(words: &Words, start: &str, whole: bool) -> BTreeSet<u16> {
        let is_meant = |word: &str| if whole { word == start } else { word.starts_with(start) };
        words.iter().filter(|(word, _)| is_meant(word)).flat_map(|(_, places)| places.clone()).collect()
    }

    fn words() -> impl Strategy<Value = Words> {
        let places = prop_oneof![
            prop::collection::btree_set(0u16..16384, 1..20),
            (0u16..16384, 1u16..8)
                .prop_map(|(from, step)| (from..16384).step_by(usize::from(step)).collect()),
        ];
        prop::collection::btree_map("[ab]{1,4}|[a-zé0-9._-]{1,20}", places, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_word_and_every_beginning_is_found(words in words(), asked in "[abé]{0,3}") {
            let packed = pack(&words);
            for start in words.keys().chain([&asked]) {
                for whole in [true, false] {
                    prop_assert_eq!(found(&packed, start, whole), expected(&words, start, whole), "{}", start);
                }
            }
            prop_assert!(packed.pieces.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
        }

        #[test]
        fn other_bytes_are_no_words_and_no_fault(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            for whole in [true, false] {
                // Whatever it says, it comes back.
                let _ = pieces_of(&bytes, b"a", whole);
                let _ = find(&bytes, b"a", whole, &mut Bits::none());
            }
        }
    }

    #[test]
    fn a_word_of_many_lines_takes_no_more_than_a_bitmap() {
        let all: Words = [("a".to_owned(), (0..16384).collect())].into();
        let packed = pack(&all);
        assert_eq!(packed.pieces.iter().map(Vec::len).sum::<usize>(), 2 + 1 + 1 + 2048);
        assert_eq!(found(&packed, "a", true).len(), 16384);
    }
}
