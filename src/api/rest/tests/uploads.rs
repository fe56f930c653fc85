//! Archives that lie, by way of the door. Each rule has its test in `instance/package`; here it is that every refusal names
//! the archive, has the right status, and leaves neither a function nor a package.

use serde_json::json;

use super::Door;
use crate::instance::package;
use crate::instance::package::raw::{RawEntry, overlapping, zip};

const TARGET: &str = "PUT /v1/functions/victim?runtime=Python3.10&handler=index.main_handler";
const UTF8: u16 = 1 << 11;

fn file(name: impl AsRef<[u8]>) -> RawEntry {
    RawEntry::stored(name, b"x = 1\n")
}

fn many(count: usize, entry: &RawEntry) -> Vec<RawEntry> {
    (0..count).map(|n| RawEntry { name: n.to_string().into_bytes(), ..entry.clone() }).collect()
}

fn typed(mode: u32) -> Vec<RawEntry> {
    vec![RawEntry { mode, ..file("thing") }]
}

fn lying(change: impl FnOnce(&mut RawEntry)) -> Vec<RawEntry> {
    let mut entry = RawEntry::zeros("a.py", 5000);
    change(&mut entry);
    vec![entry]
}

#[test]
fn a_refused_archive_leaves_nothing() {
    let door = Door::new();
    for (what, status, entries) in [
        ("slip", 400, vec![file("../../../tmp/evil")]),
        ("slip within", 400, vec![file("a/../../evil")]),
        ("absolute", 400, vec![file("/etc/cron.d/evil")]),
        ("drive", 400, vec![file("C:/evil")]),
        ("backslash", 400, vec![file("..\\evil")]),
        ("NUL", 400, vec![file("a\0.py")]),
        ("symbolic link", 400, typed(0o120_777)),
        ("character device", 400, typed(0o020_666)),
        ("block device", 400, typed(0o060_666)),
        ("pipe", 400, typed(0o010_666)),
        ("socket", 400, typed(0o140_666)),
        ("twice", 400, vec![file("a.py"), file("./a.py")]),
        ("case", 400, vec![file("a.py"), file("A.py")]),
        ("CP437 and UTF-8", 400, vec![file(b"\x82.py"), RawEntry { flags: UTF8, ..file("é.py") }]),
        ("file and folder", 400, vec![file("a"), file("a/b.py")]),
        ("encrypted", 400, vec![RawEntry { flags: 1, ..file("a.py") }]),
        ("smaller than said", 400, lying(|entry| entry.size_bytes = 6000)),
        ("larger than said", 400, lying(|entry| entry.size_bytes = 100)),
        ("checksum", 400, lying(|entry| entry.crc = 1)),
        ("two names", 400, lying(|entry| entry.listed_name = Some(b"b.py".to_vec()))),
        ("overlapping", 400, overlapping()),
        ("ratio", 413, vec![RawEntry::zeros("bomb", 2 << 20)]),
        ("over 500 MB", 413, many(501, &RawEntry::zeros("", 1 << 20))),
        ("10,001 entries", 413, many(10_001, &file(""))),
        ("65,535 entries", 413, many(65_535, &RawEntry::stored("", b""))),
    ] {
        let archive = zip(&entries);
        let message = door.ask(TARGET, &archive).refused(status);
        assert!(message.starts_with("the code archive"), "{what}: {message}");
        assert!(!door.store.has_package(&package::digest(&archive).to_string()).unwrap(), "{what} is stored");
    }
    assert_eq!(door.ask("GET /v1/functions", "").json()["functions"], json!([]));
}

/// What lies within a file of the archive is that file's business.
#[test]
fn an_archive_within_an_archive_is_a_file() {
    let door = Door::new();
    let inner = zip(&[file("../evil"), RawEntry::zeros("bomb", 2 << 20)]);
    let archive = zip(&[file("index.py"), RawEntry::stored("inner.zip", &inner)]);
    assert_eq!(door.ask(TARGET, &archive).status, 201);
    assert_eq!(door.ask("GET /v1/functions/victim/code", "").body, archive);
}
