//! Names of entries: which are allowed, which stand in each other's way, and how they are shown in a message.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use crate::error::Result;
use crate::instance::package::{refused, too_much};
use crate::model::limits;

/// Longest name of one file or folder, bytes; what Linux file systems allow.
const PART_BYTES_MAX: usize = 255;

/// A relative path that stays where it is put: no `..`, nothing absolute, nothing another system would read otherwise.
/// A leading `./` is dropped; a trailing `/` marks a folder and is dropped too. Empty for the archive's own root.
pub(super) fn checked(name: &str) -> Result<&str> {
    let wrong = |what: &str| Err(refused(format!("has the entry {}, whose name {what}", shown(name))));
    if name.is_empty() {
        return wrong("is empty");
    }
    if name.len() > limits::PACKAGE_NAME_BYTES_MAX {
        return wrong(&format!("is longer than {} bytes", limits::PACKAGE_NAME_BYTES_MAX));
    }
    if name.contains('\\') {
        return wrong("has a backslash");
    }
    if name.chars().any(char::is_control) {
        return wrong("has a control character");
    }
    if name.starts_with('/') || has_drive(name) {
        return wrong("is not relative");
    }
    let path = name.strip_prefix("./").unwrap_or(name);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(path);
    }
    match path.split('/').find_map(wrong_part) {
        Some(what) => wrong(what),
        None => Ok(path),
    }
}

fn has_drive(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

fn wrong_part(part: &str) -> Option<&'static str> {
    match part {
        ".." => Some("leaves the archive"),
        "." | "" => Some("has an empty part"),
        part if part.len() > PART_BYTES_MAX => Some("has a part longer than 255 bytes"),
        _ => None,
    }
}

/// A name as a message may carry it: on one line, without what a terminal would obey, at most 80 characters.
pub(super) fn shown(name: &str) -> String {
    const CHARS_MAX: usize = 80;
    let escaped: String = name.chars().take(CHARS_MAX + 1).flat_map(char::escape_debug).collect();
    if escaped.chars().count() <= CHARS_MAX {
        return format!("'{escaped}'");
    }
    let shortened: String = escaped.chars().take(CHARS_MAX - 3).collect();
    format!("'{shortened}...'")
}

/// Every path an archive makes, to find entries that stand in each other's way: the same file twice (also where two
/// spellings of a name mean the same characters), a file where a folder is needed, names that differ only in case (which
/// a file system may hold to be one).
#[derive(Default)]
pub(super) struct Tree {
    nodes: HashMap<String, Node>,
    folders: usize,
}

struct Node {
    path: String,
    is_folder: bool,
}

impl Tree {
    /// Adds a file and the folders above it.
    pub(super) fn add_file(&mut self, path: &str) -> Result<()> {
        if let Some((parents, _)) = path.rsplit_once('/') {
            self.add_folder(parents)?;
        }
        self.add(path, false)
    }

    /// Adds a folder and the folders above it.
    pub(super) fn add_folder(&mut self, path: &str) -> Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.filter(|end| *end > 0).try_for_each(|end| self.add(&path[..end], true))
    }

    fn add(&mut self, path: &str, is_folder: bool) -> Result<()> {
        match self.nodes.entry(path.to_lowercase()) {
            Slot::Vacant(slot) => {
                slot.insert(Node { path: path.to_owned(), is_folder });
                self.folders += usize::from(is_folder);
            }
            Slot::Occupied(slot) => collide(slot.get(), path, is_folder)?,
        }
        // Folders that no entry lists are made as well; unbounded, 10,000 deep names would make millions.
        if self.folders > limits::PACKAGE_ENTRIES_MAX {
            return Err(too_much(format!("has more than {} folders", limits::PACKAGE_ENTRIES_MAX)));
        }
        Ok(())
    }
}

fn collide(there: &Node, path: &str, is_folder: bool) -> Result<()> {
    if there.path != path {
        let (one, other) = (shown(&there.path), shown(path));
        return Err(refused(format!("has {one} and {other}, names that differ only in case")));
    }
    match (there.is_folder, is_folder) {
        (true, true) => Ok(()),
        (false, false) => Err(refused(format!("has the entry {} twice", shown(path)))),
        _ => Err(refused(format!("has {} both as a file and as a folder", shown(path)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for (name, path) in [
            ("index.py", "index.py"),
            ("./index.py", "index.py"),
            ("src/", "src"),
            ("./", ""),
            ("a/..b/c..", "a/..b/c.."),
            ("中文/é.py", "中文/é.py"),
            ("a b/-c", "a b/-c"),
        ] {
            assert_eq!(checked(name).unwrap(), path, "{name:?}");
        }
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../x",
            "a/..",
            "./../x",
            "a//b",
            "a/./b",
            "././a",
            "//x",
            "C:x",
            "c:/x",
            "a\\b",
            "..\\..\\x",
            "\\\\host\\x",
            "a\0b",
            "a\nb",
            "a\x1b[2Jb",
            "a\u{85}b",
            "a/b//",
        ] {
            assert!(checked(name).is_err(), "{name:?}");
        }
        assert!(checked(&"a".repeat(256)).is_err());
        assert!(checked(&"ab/".repeat(400)).is_err());
    }

    #[test]
    fn shown_names_are_short_and_harmless() {
        assert_eq!(shown("a\x1b[31m'b"), "'a\\u{1b}[31m\\'b'");
        assert_eq!(shown(&"é".repeat(500)), format!("'{}...'", "é".repeat(77)));
    }

    #[test]
    fn what_stands_in_each_others_way_is_found() {
        let build = |paths: &[&str]| {
            let mut tree = Tree::default();
            paths.iter().try_for_each(|path| match path.strip_suffix('/') {
                Some(folder) => tree.add_folder(folder),
                None => tree.add_file(path),
            })
        };
        for good in [&["a/b", "a/c", "a/"][..], &["a/", "a/b/", "a/"], &["a", "ab", "b/a"]] {
            assert!(build(good).is_ok(), "{good:?}");
        }
        for bad in [
            &["a", "a"][..],
            &["a", "a/b"],
            &["a/b", "a"],
            &["a", "a/"],
            &["a", "A"],
            &["x/a", "X/b"],
            &["É", "é"],
        ] {
            assert!(build(bad).is_err(), "{bad:?}");
        }
    }
}
