//! Lists of objects and of uploads, page by page: by the order of their keys' bytes, those with a common beginning told as one
//! if asked. A common beginning costs one step in the index, however many keys have it.

use rusqlite::params;

use crate::error::Result;
use crate::model::object::{BucketName, Listed, Listing, Object, Upload};
use crate::store::objects::{self, uploads};
use crate::store::{Store, Tx};

impl Store {
    /// A page of a bucket's objects. Fails with `NotFound` (the bucket).
    pub fn list_objects(&self, bucket: &BucketName, listing: &Listing) -> Result<Listed<Object>> {
        self.read(|tx| {
            let id = objects::bucket_id(tx, bucket)?;
            let sql = format!(
                "SELECT {} FROM object WHERE bucket_id = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4",
                objects::COLUMNS
            );
            walk(listing, |from, end, most, take| {
                let mut statement = tx.prepare_cached(&sql)?;
                let mut rows = statement.query(params![id, from.key, end, most])?;
                while let Some(row) = rows.next()? {
                    let object = objects::object(row)?;
                    let key = object.key.as_str().to_owned();
                    if !take(key, object) {
                        break;
                    }
                }
                Ok(())
            })
        })
    }

    /// A page of a bucket's uploads that have not ended. Fails with `NotFound` (the bucket).
    pub fn list_uploads(&self, bucket: &BucketName, listing: &Listing) -> Result<Listed<Upload>> {
        self.read(|tx| {
            let id = objects::bucket_id(tx, bucket)?;
            walk(listing, |from, end, most, take| uploads_from(tx, id, (from, end, most), take))
        })
    }
}

fn uploads_from(
    tx: &Tx<'_>,
    bucket_id: i64,
    (from, end, most): (&From, &[u8], u32),
    take: &mut dyn FnMut(String, Upload) -> bool,
) -> Result<()> {
    let sql = format!(
        "SELECT {} FROM upload WHERE bucket_id = ?1 AND (key, upload_id) > (?2, ?3) AND key < ?4
         ORDER BY key, upload_id LIMIT ?5",
        uploads::COLUMNS
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(params![bucket_id, from.key, from.id, end, most])?;
    while let Some(row) = rows.next()? {
        let upload = uploads::upload(row)?;
        let key = upload.key.as_str().to_owned();
        if !take(key, upload) {
            break;
        }
    }
    Ok(())
}

/// Where a stretch of keys begins: at that key, and there after that id.
struct From {
    key: Vec<u8>,
    id: String,
}

/// A page of what `look` gives: what is there from the first to the second, so many at most, until whoever takes it has enough.
fn walk<T>(
    listing: &Listing,
    mut look: impl FnMut(&From, &[u8], u32, &mut dyn FnMut(String, T) -> bool) -> Result<()>,
) -> Result<Listed<T>> {
    let end = after_all(listing.prefix.as_bytes());
    let mut from = first(listing);
    let mut page = Page { listing, found: Vec::new(), prefixes: Vec::new(), last: String::new() };
    loop {
        // One more than fits tells whether there are more.
        let most = listing.most.saturating_sub(page.len()).saturating_add(1);
        let mut step = Step::Over;
        look(&from, &end, most, &mut |key, item| {
            step = page.take(key, item);
            matches!(step, Step::Over)
        })?;
        match step {
            Step::Over => return Ok(page.listed(false)),
            Step::Full => return Ok(page.listed(listing.most > 0)),
            Step::Beyond(prefix) => from = From { key: after_all(prefix.as_bytes()), id: String::new() },
        }
    }
}

/// What follows when an item was looked at.
enum Step {
    /// The next one, or nothing.
    Over,
    /// No more fits.
    Full,
    /// What is behind all keys that begin so.
    Beyond(String),
}

struct Page<'a, T> {
    listing: &'a Listing,
    found: Vec<T>,
    prefixes: Vec<String>,
    /// The last key or common beginning that is on the page.
    last: String,
}

impl<T> Page<'_, T> {
    fn len(&self) -> u32 {
        u32::try_from(self.found.len() + self.prefixes.len()).unwrap_or(u32::MAX)
    }

    fn take(&mut self, key: String, item: T) -> Step {
        if self.len() >= self.listing.most {
            return Step::Full;
        }
        match common(self.listing, &key) {
            Some(prefix) => {
                self.prefixes.push(prefix.clone());
                self.last = prefix.clone();
                Step::Beyond(prefix)
            }
            None => {
                self.last = key;
                self.found.push(item);
                Step::Over
            }
        }
    }

    fn listed(self, has_more: bool) -> Listed<T> {
        Listed { found: self.found, prefixes: self.prefixes, next: has_more.then_some(self.last) }
    }
}

/// The beginning of a key up to the first delimiter behind the prefix, if one is asked for and there.
fn common(listing: &Listing, key: &str) -> Option<String> {
    let rest = key.strip_prefix(&listing.prefix)?;
    let at = rest.find(listing.delimiter.as_str()).filter(|_| !listing.delimiter.is_empty())?;
    Some(key[..listing.prefix.len() + at + listing.delimiter.len()].to_owned())
}

fn first(listing: &Listing) -> From {
    let (prefix, marker) = (listing.prefix.as_bytes().to_vec(), listing.marker.as_bytes());
    let after_marker = match common(listing, &listing.marker) {
        // The page before ended with a common beginning: all of it has been told.
        Some(prefix) if prefix == listing.marker => after_all(marker),
        _ if marker.is_empty() || !listing.id_marker.is_empty() => marker.to_vec(),
        _ => [marker, &[0]].concat(),
    };
    if after_marker > prefix || (after_marker == prefix && !listing.id_marker.is_empty()) {
        return From { key: after_marker, id: listing.id_marker.clone() };
    }
    From { key: prefix, id: String::new() }
}

/// What comes after all keys that begin so. Keys are UTF-8, in which no byte is 255.
fn after_all(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(u8::MAX),
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of these keys, each as its keys and common beginnings.
    fn pages(keys: &[&str], listing: &Listing) -> Vec<String> {
        let (mut listing, mut pages) = (listing.clone(), Vec::new());
        loop {
            let page: Listed<String> = walk(&listing, |from, end, most, take| {
                let inside = keys.iter().filter(|key| {
                    let key = key.as_bytes();
                    key >= from.key.as_slice() && key < end
                });
                for key in inside.take(usize::try_from(most).unwrap()) {
                    if !take((*key).to_owned(), (*key).to_owned()) {
                        break;
                    }
                }
                Ok(())
            })
            .unwrap();
            pages.push(format!("{} | {}", page.found.join(" "), page.prefixes.join(" ")));
            match page.next {
                Some(next) => listing.marker = next,
                None => return pages,
            }
        }
    }

    fn listing(prefix: &str, delimiter: &str, marker: &str, most: u32) -> Listing {
        let id_marker = String::new();
        Listing { prefix: prefix.into(), delimiter: delimiter.into(), marker: marker.into(), id_marker, most }
    }

    const KEYS: [&str; 8] = ["a", "b/1", "b/2", "b/c/1", "b/c/2", "b0", "c/", "猫/1"];

    #[test]
    fn common_beginnings_are_told_once_on_whatever_page() {
        assert_eq!(pages(&KEYS, &listing("", "", "", 1000)), ["a b/1 b/2 b/c/1 b/c/2 b0 c/ 猫/1 | "]);
        assert_eq!(pages(&KEYS, &listing("", "/", "", 1000)), ["a b0 | b/ c/ 猫/"]);
        assert_eq!(pages(&KEYS, &listing("", "/", "", 1)), ["a | ", " | b/", "b0 | ", " | c/", " | 猫/"]);
        assert_eq!(pages(&KEYS, &listing("b/", "/", "", 2)), ["b/1 b/2 | ", " | b/c/"]);
        assert_eq!(pages(&KEYS, &listing("b/", "", "", 3)), ["b/1 b/2 b/c/1 | ", "b/c/2 | "]);
        assert_eq!(pages(&KEYS, &listing("b/c", "", "", 2)), ["b/c/1 b/c/2 | "], "a full page is not cut");
        assert_eq!(pages(&KEYS, &listing("c/", "/", "", 5)), [" | c/"].map(|_| "c/ | "), "behind the prefix");
    }

    #[test]
    fn a_page_begins_behind_its_marker() {
        assert_eq!(pages(&KEYS, &listing("", "", "b/c/1", 9)), ["b/c/2 b0 c/ 猫/1 | "]);
        assert_eq!(pages(&KEYS, &listing("", "", "bb", 9)), ["c/ 猫/1 | "]);
        assert_eq!(pages(&KEYS, &listing("b/", "", "a", 9)), ["b/1 b/2 b/c/1 b/c/2 | "]);
        assert_eq!(pages(&KEYS, &listing("b/", "", "z", 9)), [" | "]);
        assert_eq!(pages(&KEYS, &listing("", "/", "b/", 9)), ["b0 | c/ 猫/"]);
        assert_eq!(pages(&KEYS, &listing("", "", "", 0)), [" | "]);
    }
}
