//! Which pages a run uses: learnt from the first runs of what a zygote forks, so that later Instances have them ahead.
//!
//! A forked process shares its memory with its zygote until one of them writes, and maps files anew. Code writes to the same pages
//! in every run, counters of references, caches, the ends of heaps, and comes by the same parts of its program. Each is a fault of
//! some 2 to 5 µs while somebody waits. What two runs have copied and mapped, an Instance copies and maps before it takes its event.
//! It is learnt once more later: a busy zygote has moved parts of its memory and its program by then (collapse.c).
//!
//! Nothing depends on it: what is not there is left out (see zygote.c), and where the kernel does not tell or do it, before
//! Linux 5.14 or where /proc is closed, runs take the faults.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

/// What the ranges of an order are counted in, bytes. Pages may be larger.
const UNIT: u64 = 4096;

/// Most units of a range: as many as its twelve bits can say.
const RANGE_UNITS_MAX: u64 = UNIT - 1;

/// Most pages that are had ahead. Those that are copied are memory of a parked Instance.
const PAGES_MAX: usize = 256;

/// Most pages of a process that are looked at, 1 GiB of them: reading 8 bytes for each takes the keeper's time.
const LOOK_PAGES_MAX: u64 = 1 << 18;

/// What the kernel maps of a file at one fault, if it has it in memory, bytes (fault_around_bytes).
const AROUND_BYTES: u64 = 64 << 10;

/// Bits of an entry in proc_pid_pagemap(5): it is in memory; of a file or shared on purpose; mapped by nobody else.
const PRESENT: u64 = 1 << 63;
const OF_FILE: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

/// The runs that are looked at, each with the one that follows it.
const LOOKED_AT: [u64; 2] = [1, 16];

/// What is known so far of the runs of one zygote.
#[derive(Debug, Default)]
pub(crate) struct Lessons(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    runs: u64,
    /// What the run before has used, by address, where that one was looked at.
    before: Option<Used>,
}

/// Pages of a process by their addresses, in order.
#[derive(Debug, Default)]
struct Used {
    copied: Vec<u64>,
    /// One for each block of a file.
    mapped: Vec<u64>,
}

/// What to have ahead: ranges as [`order_prefault`](crate::instance::protocol::order_prefault) has them.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) copied: Vec<u64>,
    pub(crate) mapped: Vec<u64>,
}

impl Lessons {
    /// A process has run an event and waits: looks at it if its turn has come. Once two have been seen, what to have ahead.
    pub(crate) fn look_at(&self, pid: u32) -> Option<Ahead> {
        let mut known = self.0.lock().expect("no holder of this lock can panic");
        known.runs += 1;
        if LOOKED_AT.contains(&known.runs) {
            known.before = used_by(pid).ok();
            return None;
        }
        let before = known.before.take()?;
        let mut used = used_by(pid).ok()?;
        used.copied.retain(|page| before.copied.binary_search(page).is_ok());
        used.copied.truncate(PAGES_MAX);
        used.mapped.retain(|page| before.mapped.binary_search(page).is_ok());
        used.mapped.truncate(PAGES_MAX - used.copied.len());
        let ranges = |pages: &[u64]| ranges_of(pages, page_bytes());
        Some(Ahead { copied: ranges(&used.copied), mapped: ranges(&used.mapped) })
    }
}

/// What a process has copied, and what it has mapped of files.
fn used_by(pid: u32) -> io::Result<Used> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
    let (mut used, mut left) = (Used::default(), LOOK_PAGES_MAX);
    for mapping in maps.lines().filter_map(mapping) {
        left = left.checked_sub(mapping.pages()).ok_or(io::ErrorKind::FileTooLarge)?;
        let pages = if mapping.is_written { &mut used.copied } else { &mut used.mapped };
        pages.append(&mut mapping.used(&pagemap)?);
    }
    Ok(used)
}

/// Memory of a process that it has for itself, or is mapped from a file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    /// Copied page by page when written to; else of a file and only read.
    is_written: bool,
}

impl Mapping {
    fn pages(&self) -> u64 {
        (self.end - self.start) / page_bytes()
    }

    /// The addresses of those of its pages that are meant, as a process's pagemap has them.
    fn used(&self, pagemap: &File) -> io::Result<Vec<u64>> {
        let mut entries = vec![0; usize::try_from(self.pages() * 8).map_err(io::Error::other)?];
        pagemap.read_exact_at(&mut entries, self.start / page_bytes() * 8)?;
        let entry = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        let is_meant = |entry: u64| match self.is_written {
            true => entry & (PRESENT | OF_FILE | EXCLUSIVE) == PRESENT | EXCLUSIVE,
            false => entry & (PRESENT | OF_FILE) == PRESENT | OF_FILE,
        };
        let addresses = (0..).map(|number| self.start + number * page_bytes());
        let used = addresses.zip(entries.chunks_exact(8)).filter(|(_, bytes)| is_meant(entry(bytes)));
        let mut used: Vec<u64> = used.map(|(address, _)| address).collect();
        if !self.is_written {
            used.dedup_by_key(|address| *address / AROUND_BYTES);
        }
        Ok(used)
    }
}

/// What a line of proc_pid_maps(5) tells of, if it is one of these.
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let flags = fields.next()?.as_bytes();
    let is_written = flags.get(1) == Some(&b'w');
    let is_of_file = fields.nth(3).is_some_and(|path| path.starts_with('/'));
    let is_meant = flags.get(3) == Some(&b'p') && (is_written || is_of_file);
    let address = |text| u64::from_str_radix(text, 16).ok();
    is_meant.then_some(Mapping { start: address(start)?, end: address(end)?, is_written })
}

/// Pages in order, as ranges: where each begins, and in the bits that are zero there, how many units it has.
fn ranges_of(pages: &[u64], page_bytes: u64) -> Vec<u64> {
    let units = page_bytes / UNIT;
    let mut ranges: Vec<u64> = Vec::new();
    for &page in pages {
        let follows = |range: &&mut u64| {
            let long = **range % UNIT;
            **range - long + long * UNIT == page && long + units <= RANGE_UNITS_MAX
        };
        match ranges.last_mut().filter(follows) {
            Some(last) => *last += units,
            None => ranges.push(page + units),
        }
    }
    ranges
}

fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_pages_are_one_range() {
        let pages = [0x1000, 0x2000, 0x3000, 0x7000, 0x9000, 0xa000];
        assert_eq!(ranges_of(&pages, 0x1000), [0x1003, 0x7001, 0x9002]);
        assert_eq!(ranges_of(&[0x10000, 0x20000, 0x40000], 0x10000), [0x10020, 0x40010], "pages of 64 KiB");
        let many: Vec<u64> = (0..5000).map(|page| page * UNIT).collect();
        assert_eq!(ranges_of(&many, UNIT), [4095, 4095 * UNIT + 905]);
        assert!(ranges_of(&[], UNIT).is_empty());
    }

    #[test]
    fn what_is_shared_on_purpose_is_not_looked_at() {
        for (line, expected) in [
            ("7f00aa000-7f00ab000 rw-p 00000000 00:00 0 ", Some((0x7_f00a_a000, 0x7_f00a_b000, true))),
            ("7f00aa000-7f00ab000 r-xp 00000000 00:00 0 ", None),
            ("00946000-00a85000 rw-p 00546000 fe:00 247706  /lib/x.so", Some((0x94_6000, 0xa8_5000, true))),
            ("00946000-00a85000 r--p 00546000 fe:00 247706  /lib/x.so", Some((0x94_6000, 0xa8_5000, false))),
            ("7f00aa000-7f00ab000 rw-s 00000000 00:01 2 /dev/zero (deleted)", None),
            ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", None),
            ("", None),
        ] {
            let expected = expected.map(|(start, end, is_written)| Mapping { start, end, is_written });
            assert_eq!(mapping(line), expected, "{line}");
        }
    }

    #[test]
    fn what_this_process_wrote_it_uses() {
        let written = vec![1_u8; 1 << 20];
        let start = written.as_ptr() as u64;
        let Ok(used) = used_by(std::process::id()) else {
            panic!("this host does not tell which pages a process uses");
        };
        let inside = used.copied.iter().filter(|page| (start..start + (1 << 20)).contains(page)).count();
        assert!(inside as u64 * page_bytes() >= (1 << 20) - 2 * page_bytes(), "{inside} pages");
        let lessons = Lessons::default();
        let pid = std::process::id();
        let told: Vec<usize> = (1..=40).filter(|_| lessons.look_at(pid).is_some()).collect();
        assert_eq!(told, [2, 17]);
    }
}
