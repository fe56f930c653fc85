//! A disk that loses power: what may be on it then, given everything that was written to it, in order.
//!
//! Of a file, all that was there at its last sync is there; that a file was removed is certain once its folder was synced, or a
//! new one of its name. Each later change is or is not there, whatever became of those
//! before and after it, and one write may be there in part, by whole sectors of 512 bytes. That is what SQLite counts on, and
//! what a disk that does not lie promises.

use std::fs;
use std::path::Path;

/// A change of a file, a sync of one, or what the test noted between them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Write { file: usize, offset: usize, bytes: Vec<u8> },
    Truncate { file: usize, length: usize },
    Unlink { file: usize },
    Sync { file: usize },
    SyncFolder,
    Mark(String),
}

/// What becomes of the changes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// None is there.
    Gone,
    /// All are there.
    There,
    /// Chance decides for each.
    Some,
    /// All are there, the last one in part.
    Torn,
}

/// The database and its two companions.
pub(crate) const ENDINGS: [&str; 3] = ["", "-wal", "-journal"];

/// The content of each; `None` where there is no such file.
pub(crate) type Files = [Option<Vec<u8>>; 3];

const SECTOR_BYTES: usize = 512;

/// The entries of a log that `tests/power/writes.c` and [`mark`] wrote.
pub(crate) fn entries(log: &Path) -> Vec<Entry> {
    let bytes = fs::read(log).unwrap();
    let mut rest = bytes.as_slice();
    std::iter::from_fn(|| {
        (!rest.is_empty()).then(|| {
            let (head, after) = rest.split_at(HEAD_BYTES);
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let [kind, file, offset, length] = [0, 8, 16, 24].map(|at| usize::try_from(number(at)).unwrap());
            let kind = char::from(u8::try_from(kind).unwrap());
            let (bytes, after) = after.split_at(length);
            rest = after;
            match kind {
                'w' => Entry::Write { file, offset, bytes: bytes.to_owned() },
                't' => Entry::Truncate { file, length: offset },
                'u' => Entry::Unlink { file },
                's' if file == FOLDER => Entry::SyncFolder,
                's' => Entry::Sync { file },
                'm' => Entry::Mark(String::from_utf8(bytes.to_owned()).unwrap()),
                _ => panic!("an entry of kind {kind:?}"),
            }
        })
    })
    .collect()
}

const HEAD_BYTES: usize = 32;
/// The number under which the log has the folder.
const FOLDER: usize = 3;

/// A mark as it stands in the log.
pub(crate) fn mark(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + text.len());
    bytes.extend(u64::from(b'm').to_le_bytes());
    bytes.extend([0; 16]);
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// The three files as the disk has them, and what is still on its way there.
#[derive(Debug, Default)]
pub(crate) struct Disk<'l> {
    files: [File<'l>; 3],
}

#[derive(Debug, Default)]
struct File<'l> {
    synced: Option<Vec<u8>>,
    changes: Vec<&'l Entry>,
}

impl<'l> Disk<'l> {
    pub(crate) fn note(&mut self, entry: &'l Entry) {
        match entry {
            Entry::Write { file, .. } | Entry::Truncate { file, .. } | Entry::Unlink { file } => {
                self.files[*file].changes.push(entry);
            }
            Entry::Sync { file } => self.files[*file].sync(),
            Entry::SyncFolder => self.files.iter_mut().for_each(File::sync_removal),
            Entry::Mark(_) => {}
        }
    }

    /// The files as they are found when power is back.
    pub(crate) fn after_power_loss(&self, fate: Fate, chance: &mut Chance) -> Files {
        self.files.each_ref().map(|file| file.after_power_loss(fate, chance))
    }
}

impl File<'_> {
    fn sync(&mut self) {
        self.sync_first(self.changes.len());
    }

    /// Makes certain that it is gone, if it was removed.
    fn sync_removal(&mut self) {
        let last = self.changes.iter().rposition(|change| matches!(change, Entry::Unlink { .. }));
        self.sync_first(last.map_or(0, |last| last + 1));
    }

    fn sync_first(&mut self, count: usize) {
        for change in self.changes.drain(..count) {
            apply(&mut self.synced, change, usize::MAX);
        }
    }

    fn after_power_loss(&self, fate: Fate, chance: &mut Chance) -> Option<Vec<u8>> {
        let mut content = self.synced.clone();
        let last = self.changes.len().saturating_sub(1);
        for (number, change) in self.changes.iter().enumerate() {
            match fate {
                Fate::There => apply(&mut content, change, usize::MAX),
                Fate::Some if chance.below(2) == 0 => apply(&mut content, change, usize::MAX),
                Fate::Torn if number < last => apply(&mut content, change, usize::MAX),
                Fate::Torn => apply(&mut content, change, chance.below(16) * SECTOR_BYTES),
                Fate::Gone | Fate::Some => {}
            }
        }
        content
    }
}

/// Makes a change; of a write the first `bytes_max` bytes only.
fn apply(content: &mut Option<Vec<u8>>, change: &Entry, bytes_max: usize) {
    match change {
        Entry::Write { offset, bytes, .. } => {
            let bytes = &bytes[..bytes.len().min(bytes_max)];
            let content = content.get_or_insert_default();
            let end = offset + bytes.len();
            content.resize(content.len().max(end), 0);
            content[*offset..end].copy_from_slice(bytes);
        }
        Entry::Truncate { length, .. } => content.get_or_insert_default().resize(*length, 0),
        Entry::Unlink { .. } => *content = None,
        Entry::Sync { .. } | Entry::SyncFolder | Entry::Mark(_) => panic!("{change:?} is no change"),
    }
}

/// Chance that is the same in every run (SplitMix64).
#[derive(Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number from 0 up to, but not including, `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}
