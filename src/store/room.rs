//! Room on the disk that holds the database: how much is left, and what is given up when it is little.
//!
//! A full disk stops more than writing: SQLite can then neither delete nor copy its write-ahead log. So what is least
//! dear is given up first, well before that, by how much is free compared with a low-water mark: log lines of users below
//! it, new events and deploys below half of it, runs below a quarter. A ballast file beside the database is then removed,
//! and what it held is left to retention. A thread looks once a second, and at once when SQLite found the disk full.
//!
//! Free is what is left once the write-ahead log has been copied into the file: where a reader has kept it from being copied,
//! the file has yet to grow, and a log that fills the disk could never be copied again. Between two looks, what was written
//! since counts as well.
//!
//! # What must stay true
//!
//! * Reading never depends on the level. Everything resumes by itself when there is space again.
//! * A ballast that is not there counts as used space: removing it makes no level better, or runs would eat it up.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use rusqlite::Connection;

use crate::base::thread::Worker;
use crate::error::{Error, Kind, Result};
use crate::model::log::{Level, LogLine, Stream};
use crate::store::connection::PAGE_BYTES;
use crate::store::{Store, backup, connection};

/// Between two looks at the disk.
const EVERY: Duration = Duration::from_secs(1);
/// The low-water mark unless told otherwise: this, or a fiftieth of a smaller disk.
const LOW_BYTES: u64 = 256 * 1024 * 1024;
const LOW_PART: u64 = 50;
/// The ballast, or the low-water mark where that is smaller.
const BALLAST_BYTES: u64 = 16 * 1024 * 1024;
/// By what part of the mark a threshold must be passed before things get better, so that they do not flap.
const BETTER_PART: u64 = 16;

/// What stands in the log of a run instead of what the user's code printed.
const SHED: &str =
    "What the function printed is not stored from here on: the disk that holds the database is nearly full";

/// What there is room for; each level gives up more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Everything.
    Plenty,
    /// All but log lines of users.
    NoLines,
    /// All but those, new events and deploys.
    NoEvents,
    /// Reading only.
    NoRuns,
}

impl Room {
    const ALL: [Room; 4] = [Room::Plenty, Room::NoLines, Room::NoEvents, Room::NoRuns];

    /// What `free` bytes are enough for.
    fn of(free: u64, low: u64) -> Room {
        match free {
            _ if free >= low => Room::Plenty,
            _ if free >= low / 2 => Room::NoLines,
            _ if free >= low / 4 => Room::NoEvents,
            _ => Room::NoRuns,
        }
    }

    /// The same after `before`: worse at once, better only by a margin.
    fn after(before: Room, free: u64, low: u64) -> Room {
        let better = Room::of(free.saturating_sub(low / BETTER_PART), low);
        Room::of(free, low).max(before.min(better))
    }

    /// What is not done at this level, for people.
    pub fn told(self) -> &'static str {
        match self {
            Room::Plenty => "everything is stored",
            Room::NoLines => "what functions print is not stored",
            Room::NoEvents => "what functions print is not stored, events and deploys are refused",
            Room::NoRuns => "only reading works; runs, events and deploys are refused",
        }
    }
}

/// What all parts of the store know of the disk. Plenty until it is watched.
#[derive(Debug)]
pub(super) struct Gauge {
    room: AtomicU8,
    low_bytes: AtomicU64,
    /// What was to spare at the last look, bytes.
    spare: AtomicU64,
    /// What was written since, bytes.
    spent: AtomicU64,
    /// Lines of users that were not stored.
    shed: AtomicU64,
    /// Heard by the watch: the disk is full.
    full: (Sender<()>, Receiver<()>),
}

impl Gauge {
    pub(super) fn new() -> Gauge {
        Gauge {
            room: AtomicU8::new(0),
            low_bytes: AtomicU64::new(0),
            spare: AtomicU64::new(u64::MAX),
            spent: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            full: bounded(1),
        }
    }

    pub(super) fn room(&self) -> Room {
        let seen = Room::ALL[usize::from(self.room.load(Ordering::Relaxed)).min(Room::ALL.len() - 1)];
        // What is in the log has yet to go into the file.
        let written = self.spent.load(Ordering::Relaxed).saturating_mul(2);
        let left = self.spare.load(Ordering::Relaxed).saturating_sub(written);
        seen.max(Room::of(left, self.low_bytes()))
    }

    /// So many bytes were written. Where that is a good part of what was to spare, the disk is looked at now.
    pub(super) fn spend(&self, bytes: u64) {
        let spent = self.spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if spent >= self.spare.load(Ordering::Relaxed) / 8 {
            self.found_full();
        }
    }

    /// So much was to spare just now.
    fn seen(&self, spare: u64) {
        self.spare.store(spare, Ordering::Relaxed);
        self.spent.store(0, Ordering::Relaxed);
    }

    pub(super) fn low_bytes(&self) -> u64 {
        self.low_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn lines_shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Has the disk looked at now: SQLite found it full, or it may be.
    pub(super) fn found_full(&self) {
        // Full means it will be looked at anyway.
        let _ = self.full.0.try_send(());
    }
}

/// Takes lines of users out while there is no room for them. The recorder's own.
#[derive(Debug)]
pub(super) struct Shedder {
    gauge: Arc<Gauge>,
    /// Runs that last and whose log says so already.
    told: HashSet<i64>,
}

impl Shedder {
    pub(super) fn new(gauge: Arc<Gauge>) -> Shedder {
        Shedder { gauge, told: HashSet::new() }
    }

    /// Takes out what there is no room for; the first time, a line of ours says so. `ends`: no more lines of that run come.
    pub(super) fn shed(&mut self, run_id: i64, lines: &mut Vec<LogLine>, ends: bool) {
        if self.gauge.room() < Room::NoLines {
            self.told.clear();
            return;
        }
        let of_user = |line: &LogLine| line.stream != Stream::Platform;
        let Some(first) = lines.iter().position(of_user) else { return };
        let (before, ts_us) = (lines.len(), lines[first].ts_us);
        lines.retain(|line| !of_user(line));
        let gone = u64::try_from(before - lines.len()).unwrap_or(u64::MAX);
        self.gauge.shed.fetch_add(gone, Ordering::Relaxed);
        let is_told = if ends { self.told.remove(&run_id) } else { !self.told.insert(run_id) };
        if !is_told {
            let message = SHED.to_owned();
            lines.insert(first, LogLine { ts_us, stream: Stream::Platform, level: Level::Error, message });
        }
    }

    /// Hears that SQLite found the disk full.
    pub(super) fn found_full(&self) {
        self.gauge.found_full();
    }
}

impl Store {
    /// Begins to watch the disk, once. Below `low_bytes` of free space things are given up; 0 means never, nothing means
    /// 256 MiB or 2 % of the disk, whichever is less.
    pub fn watch_room(&self, low_bytes: Option<u64>) -> Result<()> {
        let mut watch = Watch::new(self, low_bytes)?;
        watch.look();
        self.watched_by(Worker::start("room", move |stopped| watch.work(&stopped))?);
        Ok(())
    }

    /// What there is room for, as last seen.
    pub fn room(&self) -> Room {
        self.gauge().room()
    }

    /// Fails with `Busy` when no new event may be accepted, and no deploy.
    pub fn check_room_for_event(&self) -> Result<()> {
        self.check_room(Room::NoEvents)
    }

    /// Fails with `Busy` when nothing may be run, because its record might find no room.
    pub fn check_room_for_run(&self) -> Result<()> {
        self.check_room(Room::NoRuns)
    }

    fn check_room(&self, without: Room) -> Result<()> {
        if self.room() < without {
            return Ok(());
        }
        Err(Error::new(
            Kind::Busy,
            "the disk that holds the database is nearly full; free some space, then try again",
        ))
    }
}

/// Removes the ballast where the disk is full already, so that a server can start on it.
pub(super) fn make_way(db: &Path) {
    let folder = connection::folder_of(db);
    if backup::free(folder).is_ok_and(|bytes| bytes < BALLAST_BYTES / 4) {
        // What is not there need not be removed.
        let _ = fs::remove_file(ballast_of(db));
    }
}

fn ballast_of(db: &Path) -> PathBuf {
    connection::beside(db, ".d").join("ballast")
}

/// The thread's own.
struct Watch {
    gauge: Arc<Gauge>,
    folder: PathBuf,
    db: PathBuf,
    /// Tells how large the file will be once the log is in it.
    conn: Connection,
    low_bytes: u64,
    ballast: PathBuf,
    /// 0 where there can be none.
    ballast_bytes: u64,
}

impl Watch {
    fn new(store: &Store, low_bytes: Option<u64>) -> Result<Watch> {
        let folder = connection::folder_of(store.path()).to_owned();
        let low_bytes = match low_bytes {
            Some(bytes) => bytes,
            None => (total(&folder)? / LOW_PART).min(LOW_BYTES),
        };
        let gauge = Arc::clone(store.gauge());
        gauge.low_bytes.store(low_bytes, Ordering::Relaxed);
        let (ballast, ballast_bytes) = (ballast_of(store.path()), low_bytes.min(BALLAST_BYTES));
        if fs::metadata(&ballast).is_ok_and(|meta| meta.len() != ballast_bytes) {
            // Of another mark, or cut off by a crash.
            fs::remove_file(&ballast)?;
        }
        let (db, conn) = (store.path().to_owned(), connection::reader(store.path())?);
        Ok(Watch { gauge, folder, db, conn, low_bytes, ballast, ballast_bytes })
    }

    fn work(&mut self, stopped: &Receiver<()>) {
        let gauge = Arc::clone(&self.gauge);
        loop {
            select! {
                recv(stopped) -> _ => return,
                recv(gauge.full.1) -> _ => {}
                default(EVERY) => {}
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let free = match backup::free(&self.folder) {
            Ok(free) => free,
            Err(error) => return log::warn!("the disk could not be looked at: {error:#}"),
        };
        let is_there = self.ballast.exists();
        let free = free.saturating_sub(self.owed());
        let spare = if is_there { free } else { free.saturating_sub(self.ballast_bytes) };
        self.gauge.seen(spare);
        let before = Room::ALL[usize::from(self.gauge.room.load(Ordering::Relaxed))];
        let room = Room::after(before, spare, self.low_bytes);
        if room != before {
            self.gauge.room.store(room as u8, Ordering::Relaxed);
            let free_mb = free >> 20;
            let level = if room > before { log::Level::Warn } else { log::Level::Info };
            log::log!(level, "{free_mb} MB are free on the disk that holds the database: {}", room.told());
        }
        match room {
            Room::NoRuns if is_there => self.drop_ballast(),
            Room::Plenty if !is_there && self.ballast_bytes > 0 => self.make_ballast(),
            _ => {}
        }
    }

    /// By what the file has yet to grow, bytes.
    fn owed(&self) -> u64 {
        let pages = self.conn.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0));
        let size = pages.ok().and_then(|pages| u64::try_from(pages).ok()).unwrap_or(0) * PAGE_BYTES;
        let now = fs::metadata(&self.db).map_or(0, |meta| meta.len());
        size.saturating_sub(now)
    }

    fn drop_ballast(&self) {
        match fs::remove_file(&self.ballast) {
            Ok(()) => log::warn!("the ballast was removed, so that old runs can be deleted"),
            Err(cause) => log::error!("the ballast could not be removed: {cause}"),
        }
    }

    fn make_ballast(&mut self) {
        if let Err(error) = allocate(&self.ballast, self.ballast_bytes) {
            // What is half made holds nothing.
            let _ = fs::remove_file(&self.ballast);
            log::warn!("no ballast could be laid beside the database: {error:#}");
            self.ballast_bytes = 0;
        }
    }
}

/// A file whose blocks are its own; one full of zeros where the file system cannot say so.
fn allocate(path: &Path, bytes: u64) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(&mut file, bytes),
        allocated => Ok(allocated?),
    }
}

fn fill(file: &mut File, bytes: u64) -> Result<()> {
    let zeros = [0; 64 * 1024];
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    while left > 0 {
        let some = left.min(zeros.len());
        file.write_all(&zeros[..some])?;
        left -= some;
    }
    Ok(file.sync_all()?)
}

/// The size of the disk of `folder`, bytes.
fn total(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_blocks.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_is_free_the_more_is_given_up() {
        for (free, expected) in [
            (400, Room::Plenty),
            (399, Room::NoLines),
            (200, Room::NoLines),
            (199, Room::NoEvents),
            (100, Room::NoEvents),
            (99, Room::NoRuns),
            (0, Room::NoRuns),
        ] {
            assert_eq!(Room::of(free, 400), expected, "{free}");
            assert_eq!(Room::after(Room::Plenty, free, 400), expected, "worse at once: {free}");
        }
        assert_eq!(Room::of(0, 0), Room::Plenty, "switched off");
    }

    #[test]
    fn it_gets_better_only_by_a_margin() {
        for (before, free, expected) in [
            (Room::NoRuns, 124, Room::NoRuns),
            (Room::NoRuns, 125, Room::NoEvents),
            (Room::NoLines, 410, Room::NoLines),
            (Room::NoLines, 425, Room::Plenty),
            (Room::NoRuns, 1000, Room::Plenty),
            (Room::NoLines, 150, Room::NoEvents),
        ] {
            assert_eq!(Room::after(before, free, 400), expected, "{before:?} {free}");
        }
    }

    fn lines(streams: &[Stream]) -> Vec<LogLine> {
        let line = |(ts_us, stream)| LogLine { ts_us, stream, level: Level::Info, message: "m".to_owned() };
        (0..).zip(streams.iter().copied()).map(line).collect()
    }

    #[test]
    fn a_runs_log_says_once_that_lines_are_missing() {
        let gauge = Arc::new(Gauge::new());
        let mut shedder = Shedder::new(Arc::clone(&gauge));
        let check = |shedder: &mut Shedder, streams: &[Stream], ends: bool, expected: &[(i64, bool)]| {
            let mut lines = lines(streams);
            shedder.shed(7, &mut lines, ends);
            let seen: Vec<_> = lines.iter().map(|line| (line.ts_us, line.message == SHED)).collect();
            assert_eq!(seen, expected);
        };
        let (ours, user) = (Stream::Platform, Stream::Stdout);
        check(&mut shedder, &[ours, user], false, &[(0, false), (1, false)]);
        gauge.room.store(Room::NoLines as u8, Ordering::Relaxed);
        check(&mut shedder, &[ours, user, user], false, &[(0, false), (1, true)]);
        check(&mut shedder, &[user], false, &[]);
        check(&mut shedder, &[user, ours], true, &[(1, false)]);
        check(&mut shedder, &[ours], true, &[(0, false)]);
        check(&mut shedder, &[ours, Stream::Stderr, ours], true, &[(0, false), (1, true), (2, false)]);
        assert_eq!(gauge.lines_shed(), 5);
    }

    #[test]
    fn a_ballast_has_blocks_of_its_own() {
        use std::os::unix::fs::MetadataExt;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.d/ballast");
        allocate(&path, 1 << 20).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert!(meta.len() == 1 << 20 && meta.blocks() * 512 >= 1 << 20, "{} blocks", meta.blocks());
        fill(&mut File::create(&path).unwrap(), (1 << 20) + 5).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), (1 << 20) + 5);
    }
}
