//! Which lines have which words: an index of the log in blocks, made off the hot path.
//!
//! Lines are gathered in blocks of [`LINES`] ids. Once the ids of a block are used up its words are read, sorted and packed
//! by whoever calls [`Store::index_block`], on his thread and through a reading connection; the recorder only stores some
//! hundred kilobytes, in about the time of a commit. A search looks the words up block by block, from the end it begins at,
//! and reads the lines of the newest block, which has no index yet, one by one.
//!
//! SQLite's own full text (FTS5) was measured and not taken: its words are split and its terms merged on the writing
//! connection, at 130,000 to 180,000 lines a second with nothing else to do, and what is deleted must be given to it again
//! word by word. Here a block is written once and goes as a whole.
//!
//! # What must stay true
//!
//! * A missing block is slower, never wrong: its lines are all looked at. So is one whose bytes are damaged.
//! * The words are those of [`search::words::index`](crate::search::words::index). A change of that, or of `pack`, needs a
//!   migration that empties both tables.
//! * Line ids rise for ever (`retention` keeps the newest line), so no line can come into a block after it was indexed.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::error::{Error, Result};
use crate::search::narrow::Narrow;
use crate::search::words;
use crate::store::check::count;
use crate::store::words::bits::Bits;
use crate::store::words::pack::{Gathered, Packed};
use crate::store::{Store, Tx, connection, migrate};

pub(super) mod bits;
mod pack;

pub(super) use bits::LINES;

/// Bits of an id that tell lines of one block apart.
const SHIFT: u32 = LINES.trailing_zeros();
/// Most bytes of messages of a block that is indexed, 2 KB a line: what is longer would take the memory of a small host.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The directory of a block that is not indexed for that reason. No other begins with a word of no bytes.
const TOO_LARGE: &[u8] = &[0];
/// Longest look at the lines of a block.
const GATHERING: Duration = Duration::from_secs(60);
/// Pieces that a block can have: ids of pieces are the block's number times this, plus the piece's.
const PIECES_MAX: i64 = 65_536;

/// How much of the log has its words indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Blocks whose words are there.
    pub blocks: u64,
    /// Blocks of which all ids are used up, and which so could have theirs.
    pub full_blocks: u64,
}

impl Indexed {
    /// Lines of full blocks that are not indexed, as far as their ids tell.
    pub fn missing_lines(self) -> u64 {
        self.full_blocks.saturating_sub(self.blocks) * LINES as u64
    }
}

/// The block of a line.
pub(super) fn block_of(id: i64) -> i64 {
    id >> SHIFT
}

/// The place of a line in its block.
pub(super) fn place_of(id: i64) -> u16 {
    u16::try_from(id & (LINES as i64 - 1)).expect("a block has fewer lines")
}

/// The first and the last id of a block.
pub(super) fn ids_of(block: i64) -> (i64, i64) {
    let first = block << SHIFT;
    (first, first | (LINES as i64 - 1))
}

impl Store {
    /// Full blocks without an index, the newest first, at most `most`.
    pub fn blocks_to_index(&self, most: usize) -> Result<Vec<i64>> {
        self.read(|tx| {
            let Some((first, last)) = full_blocks(tx)? else { return Ok(Vec::new()) };
            let sql = format!(
                "WITH RECURSIVE full (block) AS (SELECT ?2 UNION ALL SELECT block - 1 FROM full WHERE block > ?1)
                 SELECT block FROM full b WHERE block NOT IN (SELECT block FROM log_block) AND {} LIMIT ?3",
                has_lines()
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = statement.query_map([first, last, most], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Writes down the words of a block's lines, or that these are too much for an index.
    pub fn index_block(&self, block: i64) -> Result<()> {
        let gathered = self.0.readers.read_within(GATHERING, |tx| gather(tx, block))?;
        let too_large = || Packed { directory: TOO_LARGE.to_vec(), pieces: Vec::new() };
        let Packed { directory, pieces } = gathered.map_or_else(too_large, Gathered::pack);
        self.write_aside(move |tx| {
            delete(tx, block)?;
            tx.prepare_cached("INSERT INTO log_block (block, directory) VALUES (?1, ?2)")?
                .execute(params![block, directory])?;
            let mut statement = tx.prepare_cached("INSERT INTO log_words (id, words) VALUES (?1, ?2)")?;
            for (number, piece) in (0..PIECES_MAX).zip(&pieces) {
                statement.execute(params![block * PIECES_MAX + number, piece])?;
            }
            Ok(())
        })
    }

    /// Forgets the words of a block that has no lines any more; false when there is none.
    pub fn delete_empty_block(&self) -> Result<bool> {
        let empty: Option<i64> = self.read(|tx| {
            let sql = format!("SELECT block FROM log_block b WHERE NOT {} LIMIT 1", has_lines());
            Ok(tx.prepare_cached(&sql)?.query_row([], |row| row.get(0)).optional()?)
        })?;
        match empty {
            Some(block) => self.write_aside(move |tx| delete(tx, block)).map(|()| true),
            None => Ok(false),
        }
    }

    /// Forgets the words of a few blocks, the newest first, so that they are indexed anew; false when none are left.
    pub fn forget_blocks(&self) -> Result<bool> {
        self.write(|tx| {
            let mut statement =
                tx.prepare_cached("SELECT block FROM log_block ORDER BY block DESC LIMIT 8")?;
            let blocks: Vec<i64> =
                statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            blocks.iter().try_for_each(|block| delete(tx, *block))?;
            Ok(!blocks.is_empty())
        })
    }

    /// How much is indexed.
    pub fn indexed(&self) -> Result<Indexed> {
        self.read(indexed)
    }
}

/// Whether the block `b` has lines.
fn has_lines() -> String {
    format!(
        "EXISTS (SELECT 1 FROM log WHERE id BETWEEN b.block << {SHIFT} AND (b.block << {SHIFT}) + {LINES} - 1)"
    )
}

/// How many lines are in blocks that are indexed.
pub(super) fn count_indexed(tx: &Tx<'_>) -> Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM log WHERE id >> {SHIFT} IN (SELECT block FROM log_block WHERE directory <> ?1)"
    );
    Ok(tx.query_row(&sql, [TOO_LARGE], |row| row.get(0).map(count))?)
}

/// Forgets the words of all lines in a file that no server uses. Fails with `Conflict` when one does, and with `Invalid` when
/// it is no database of this release.
pub fn forget_in_file(path: &Path) -> Result<()> {
    let _no_server_starts = connection::Lock::look(path)?;
    if !migrate::is_current(&connection::untouched(path)?)? {
        return Err(Error::invalid(format!("{} was written by an older release", path.display())));
    }
    let conn = connection::writer(path, false)?;
    conn.execute_batch("BEGIN IMMEDIATE; DELETE FROM log_block; DELETE FROM log_words; COMMIT")?;
    Ok(())
}

/// How many indexed blocks do not find their newest line by each of its words.
pub(super) fn blocks_that_fail(tx: &Tx<'_>) -> Result<u64> {
    let mut statement = tx.prepare("SELECT block, directory FROM log_block WHERE directory <> ?1")?;
    let mut rows = statement.query([TOO_LARGE])?;
    let mut fail = 0;
    while let Some(row) = rows.next()? {
        let words = Words { tx, block: row.get(0)?, directory: row.get(1)? };
        match words.find_newest_line() {
            Ok(true) => {}
            Ok(false) | Err(Unknown::Damaged) => fail += 1,
            Err(Unknown::Failed(error)) => return Err(error),
        }
    }
    Ok(fail)
}

fn indexed(tx: &Tx<'_>) -> Result<Indexed> {
    let blocks: i64 = tx.prepare_cached("SELECT count(*) FROM log_block")?.query_row([], |row| row.get(0))?;
    let full_blocks = full_blocks(tx)?.map_or(0, |(first, last)| (last - first + 1).max(0));
    Ok(Indexed { blocks: count(blocks), full_blocks: count(full_blocks) })
}

/// The lowest and the highest line id.
pub(super) fn ends(tx: &Tx<'_>) -> Result<Option<(i64, i64)>> {
    // Two looks, because SQLite finds each of the two at once, but not both in one.
    let sql = "SELECT (SELECT min(id) FROM log), (SELECT max(id) FROM log)";
    let ends: (Option<i64>, Option<i64>) =
        tx.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(ends.0.zip(ends.1))
}

/// The lowest and the highest block of which all ids are used up.
fn full_blocks(tx: &Tx<'_>) -> Result<Option<(i64, i64)>> {
    let blocks = ends(tx)?.map(|(first, last)| (block_of(first), block_of(last + 1) - 1));
    Ok(blocks.filter(|(first, last)| first <= last))
}

/// What is not a word of the message, and by which a line is found as well.
pub(super) fn word_of_function(function_id: i64) -> String {
    format!("\u{1}f{function_id}")
}

/// The words of a block; nothing where they are too many.
fn gather(tx: &Tx<'_>, block: i64) -> Result<Option<Gathered>> {
    let (first, last) = ids_of(block);
    let (mut gathered, mut bytes) = (Gathered::default(), 0);
    let mut statement =
        tx.prepare_cached("SELECT id, function_id, message FROM log WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?;
    let mut rows = statement.query([first, last])?;
    let mut of_function = (0, word_of_function(0));
    while let Some(row) = rows.next()? {
        let place = place_of(row.get(0)?);
        let function_id = row.get(1)?;
        if of_function.0 != function_id {
            of_function = (function_id, word_of_function(function_id));
        }
        gathered.add(&of_function.1, place);
        let message = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        bytes += message.len();
        if bytes > MESSAGE_BYTES_MAX {
            return Ok(None);
        }
        words::index(message, |word| gathered.add(word, place));
    }
    Ok(Some(gathered))
}

fn delete(tx: &Tx<'_>, block: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM log_block WHERE block = ?1")?.execute([block])?;
    tx.prepare_cached("DELETE FROM log_words WHERE id BETWEEN ?1 AND ?2")?
        .execute([block * PIECES_MAX, block * PIECES_MAX + PIECES_MAX - 1])?;
    Ok(())
}

/// The lines of a block that can match, as far as its words tell; nothing where they tell nothing.
pub(super) fn candidates(tx: &Tx<'_>, block: i64, narrow: &Narrow) -> Result<Option<Bits>> {
    if *narrow == Narrow::Any {
        return Ok(None);
    }
    let sql = "SELECT directory FROM log_block WHERE block = ?1";
    let directory: Option<Vec<u8>> =
        tx.prepare_cached(sql)?.query_row([block], |row| row.get(0)).optional()?;
    let Some(directory) = directory.filter(|directory| directory != TOO_LARGE) else { return Ok(None) };
    match (Words { tx, block, directory }).meet(narrow) {
        Err(Unknown::Damaged) => {
            // Once is enough: a search meets it again and again.
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                log::warn!(
                    "the words of block {block} of the log are damaged; `fnlite check --rebuild-index` makes them anew"
                );
            });
            Ok(None)
        }
        Err(Unknown::Failed(error)) => Err(error),
        Ok(found) => Ok(found),
    }
}

/// Why the words of a block say nothing.
enum Unknown {
    Damaged,
    Failed(Error),
}

type Met<T> = std::result::Result<T, Unknown>;

impl<E: Into<Error>> From<E> for Unknown {
    fn from(error: E) -> Unknown {
        Unknown::Failed(error.into())
    }
}

/// The words of one block.
struct Words<'t, 'c> {
    tx: &'t Tx<'c>,
    block: i64,
    directory: Vec<u8>,
}

impl Words<'_, '_> {
    fn find_newest_line(&self) -> Met<bool> {
        let (first, last) = ids_of(self.block);
        let sql = "SELECT id, message FROM log WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let newest: Option<(i64, String)> =
            self.tx.prepare_cached(sql)?.query_row([first, last], row).optional()?;
        let Some((id, message)) = newest else { return Ok(true) };
        let mut has = Vec::new();
        words::index(&message, |word| has.push(word.to_owned()));
        for word in has {
            if !self.with(&word, true)?.has(place_of(id)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The lines that meet it; nothing where that is all of them.
    fn meet(&self, narrow: &Narrow) -> Met<Option<Bits>> {
        match narrow {
            Narrow::Any => Ok(None),
            Narrow::Word(word) => self.with(word, true).map(Some),
            Narrow::Prefix(start) => self.with(start, false).map(Some),
            Narrow::All(parts) => self.meet_all(parts),
            Narrow::One(parts) => self.meet_one(parts),
        }
    }

    fn meet_all(&self, parts: &[Narrow]) -> Met<Option<Bits>> {
        let mut all: Option<Bits> = None;
        for part in parts {
            let Some(bits) = self.meet(part)? else { continue };
            let kept = match all.take() {
                Some(mut kept) => {
                    kept.keep(&bits);
                    kept
                }
                None => bits,
            };
            if kept.count() == 0 {
                return Ok(Some(kept));
            }
            all = Some(kept);
        }
        Ok(all)
    }

    fn meet_one(&self, parts: &[Narrow]) -> Met<Option<Bits>> {
        let mut one = Bits::none();
        for part in parts {
            match self.meet(part)? {
                Some(bits) => one.join(&bits),
                None => return Ok(None),
            }
        }
        Ok(Some(one))
    }

    fn with(&self, start: &str, whole: bool) -> Met<Bits> {
        let numbers = pack::pieces_of(&self.directory, start.as_bytes(), whole).ok_or(Unknown::Damaged)?;
        let mut bits = Bits::none();
        let mut statement = self.tx.prepare_cached("SELECT words FROM log_words WHERE id = ?1")?;
        for number in numbers {
            let id = self.block * PIECES_MAX + i64::try_from(number).unwrap_or(0);
            let mut rows = statement.query([id])?;
            let row = rows.next()?.ok_or(Unknown::Damaged)?;
            let piece = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            pack::find(piece, start.as_bytes(), whole, &mut bits).ok_or(Unknown::Damaged)?;
        }
        Ok(bits)
    }
}
