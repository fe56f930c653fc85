//! The list at the end of a zip file, read strictly before the zip crate reads it.
//!
//! The crate is lenient (it looks for the list wherever it may be) and makes room for as many entries as the file claims.
//! Two readers who look in different places see different archives, so here is one place only: the list stands directly
//! before the end record, and the end record ends the file. That also bounds what the crate will allocate.

use crate::error::Result;
use crate::instance::package::{refused, too_much};
use crate::model::limits;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const END_COMMENT_BYTES_MAX: usize = 0xffff;
const ZIP64_LOCATOR: &[u8] = b"PK\x06\x07";
const ZIP64_LOCATOR_BYTES: usize = 20;
const LISTED: &[u8] = b"PK\x01\x02";
const LISTED_BYTES: usize = 46;

/// Checks the shape of the list and returns how many entries it has, 1 to the limit.
pub(super) fn count_entries(bytes: &[u8]) -> Result<usize> {
    if bytes.len() > limits::PACKAGE_BYTES_MAX {
        return Err(too_much(format!("must be at most {} MB", limits::PACKAGE_BYTES_MAX / (1024 * 1024))));
    }
    let end = find_end(bytes).ok_or_else(|| refused("is no zip file, or is cut off"))?;
    if end.checked_sub(ZIP64_LOCATOR_BYTES).is_some_and(|at| bytes[at..].starts_with(ZIP64_LOCATOR)) {
        return Err(too_much("is in the zip64 format, which only archives over 65,535 entries or 4 GB need"));
    }
    let record = &bytes[end..];
    let entries = usize::from(u16_at(record, 10));
    if record[4..8] != [0; 4] || usize::from(u16_at(record, 8)) != entries {
        return Err(refused("is one part of several"));
    }
    match entries {
        0 => return Err(refused("has no entries")),
        1..=limits::PACKAGE_ENTRIES_MAX => {}
        _ => return Err(too_much(format!("must have at most {} entries", limits::PACKAGE_ENTRIES_MAX))),
    }
    let list_bytes = u64::from(u32_at(record, 12));
    let list_start = u64::from(u32_at(record, 16));
    let start = usize::try_from(list_start).ok().filter(|_| list_start + list_bytes == end as u64);
    match start.map(|start| walk(&bytes[start..end], entries)) {
        Some(true) => Ok(entries),
        _ => Err(refused("is damaged: the list of entries is not where it says")),
    }
}

/// Where the end record begins: the last one, and its comment ends the file.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(END_COMMENT_BYTES_MAX);
    let end = (first..=last).rev().find(|at| bytes[*at..].starts_with(END))?;
    let comment_bytes = usize::from(u16_at(&bytes[end..], 20));
    (end + END_BYTES + comment_bytes == bytes.len()).then_some(end)
}

/// Whether `list` is exactly `entries` records long.
fn walk(mut list: &[u8], entries: usize) -> bool {
    for _ in 0..entries {
        if list.len() < LISTED_BYTES || !list.starts_with(LISTED) {
            return false;
        }
        let rest = [28, 30, 32].iter().map(|field| usize::from(u16_at(list, *field))).sum::<usize>();
        match list.get(LISTED_BYTES + rest..) {
            Some(next) => list = next,
            None => return false,
        }
    }
    list.is_empty()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
