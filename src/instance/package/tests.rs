//! What is accepted, and every way an archive can be wrong.

use std::os::unix::fs::MetadataExt;

use super::raw::{RawEntry, overlapping, zip};
use super::*;
use crate::model::limits;

/// Checks `entries` as an archive and that the refusal, if any, says what is expected ("" for none).
#[track_caller]
fn expect(entries: &[RawEntry], said: &str) {
    expect_bytes(&zip(entries), said);
}

#[track_caller]
fn expect_bytes(bytes: &[u8], said: &str) {
    match check(bytes) {
        Ok(_) => assert_eq!(said, "", "accepted"),
        Err(error) => {
            assert!(!said.is_empty() && error.message.contains(said), "{error:#}, not {said:?}");
            assert!(matches!(error.kind, Kind::Invalid | Kind::Limit), "{error:?}");
        }
    }
}

fn file(name: &str) -> RawEntry {
    RawEntry::stored(name, b"x = 1\n")
}

#[test]
fn a_plain_archive_is_unpacked_with_its_bits() {
    let entries = [
        file("index.py"),
        RawEntry { mode: 0o106_755, ..file("bin/tool") },
        RawEntry { mode: 0o100_666, ..file("./lib/open.py") },
        RawEntry { mode: 0o041_777, ..RawEntry::stored("empty/", b"") },
        RawEntry { mode: 0, ..file("no_mode.py") },
        RawEntry::zeros("zeros", 1000),
    ];
    let bytes = zip(&entries);
    let checked = check(&bytes).unwrap();
    assert_eq!((checked.entries, checked.unpacked_bytes), (6, 4 * 6 + 1000));
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("code");
    unpack(&bytes, &folder).unwrap();
    for (path, mode) in [
        ("", 0o040_755),
        ("index.py", 0o100_644),
        ("bin", 0o040_755),
        ("bin/tool", 0o100_755),
        ("lib/open.py", 0o100_644),
        ("empty", 0o040_755),
        ("no_mode.py", 0o100_644),
    ] {
        assert_eq!(fs::symlink_metadata(folder.join(path)).unwrap().mode(), mode, "{path}");
    }
    assert_eq!(fs::read(folder.join("index.py")).unwrap(), b"x = 1\n");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn packed_files_are_accepted_and_the_same_every_time() {
    let files = [("src/b.py".to_owned(), "b".to_owned()), ("a.py".to_owned(), "a".repeat(5000))];
    let bytes = pack::from_files(&files).unwrap();
    let checked = check(&bytes).unwrap();
    assert_eq!((checked.entries, checked.unpacked_bytes), (2, 5001));
    let turned = [files[1].clone(), files[0].clone()];
    assert_eq!(pack::from_files(&turned).unwrap(), bytes);
    for wrong in ["../a.py", "/a.py", "a/", "", "a\\b"] {
        assert!(pack::from_files(&[(wrong.to_owned(), String::new())]).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_no_zip_is_refused() {
    expect_bytes(b"", "no zip");
    expect_bytes(b"PK\x05\x06", "no zip");
    expect_bytes(b"#!/bin/sh\necho hello\n", "no zip");
    expect(&[], "no entries");
    let whole = zip(&[file("index.py"), file("a/b.py")]);
    for length in 0..whole.len() {
        assert!(check(&whole[..length]).is_err(), "cut off at {length}");
    }
    expect_bytes(&[b"stub".as_slice(), &whole].concat(), "not where it says");
    expect_bytes(&[whole.as_slice(), b"more"].concat(), "no zip");
    expect_bytes(&vec![0; limits::PACKAGE_BYTES_MAX + 1], "at most 50 MB");
}

/// Neither a panic nor an accepted archive whose content is not what its list says.
#[test]
fn flipped_bytes_never_get_through_unnoticed() {
    let mut content = RawEntry::zeros("index.py", 3000);
    content.mode = 0o100_644;
    let whole = zip(&[content, file("a/b.py")]);
    let honest = check(&whole).unwrap();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            if let Ok(checked) = check(&bytes) {
                assert_eq!(checked.unpacked_bytes, honest.unpacked_bytes, "byte {at}");
            }
        }
    }
}

#[test]
fn random_bytes_are_refused() {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for length in 0..500 {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend((0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        }));
        bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        bytes.extend([4, 0, 0, 0, 0, 0]);
        assert!(check(&bytes).is_err());
    }
}

/// The names of the public zip-slip archives, for Unix and for Windows, and their kin.
#[test]
fn slips_are_refused() {
    expect(&[file("good.txt"), file(&format!("{}tmp/evil.txt", "../".repeat(40)))], "leaves the archive");
    expect(&[file("good.txt"), file(&format!("{}Temp\\evil.txt", "..\\".repeat(38)))], "backslash");
    expect(&[file("/etc/cron.d/evil")], "not relative");
    expect(&[file("C:/evil")], "not relative");
    expect(&[file("a/../../evil")], "leaves the archive");
    expect(&[file("")], "is empty");
    expect(&[file("a\0.py")], "control character");
    expect(&[file(&"a".repeat(2000))], "longer than 1024 bytes");
    // In CP437 these bytes are letters, so what would be an overlong "/" in careless UTF-8 is none here.
    expect(&[RawEntry::stored(b"..\xc0\xafevil", b"")], "");
}

#[test]
fn only_plain_files_and_folders_are_made() {
    for kind in [0o120_000, 0o020_000, 0o060_000, 0o010_000, 0o140_000, 0o160_000] {
        expect(&[RawEntry { mode: kind | 0o777, ..file("thing") }], "no plain file or folder");
        expect(
            &[RawEntry { mode: kind | 0o777, ..RawEntry::stored("thing/", b"") }],
            "no plain file or folder",
        );
    }
    expect(&[RawEntry { mode: 0o040_755, ..file("thing") }], "no plain file or folder");
    expect(&[file("./")], "with content");
    expect(&[file("folder/")], "with content");
}

#[test]
fn names_that_meet_are_refused() {
    expect(&[file("a.py"), file("a.py")], "two entries of the same name");
    expect(&[file("a.py"), file("./a.py")], "twice");
    expect(&[file("a"), file("a/b.py")], "both as a file and as a folder");
    expect(&[file("a/b.py"), file("a")], "both as a file and as a folder");
    expect(&[file("A.py"), file("a.py")], "only in case");
    expect(&[file("lib/a.py"), file("Lib/b.py")], "only in case");
    // One name in CP437, the other the same characters in UTF-8.
    let utf8 = RawEntry { flags: 1 << 11, ..RawEntry::stored("é.py", b"") };
    expect(&[RawEntry::stored(b"\x82.py", b""), utf8], "twice");
}

#[test]
fn encrypted_and_foreign_entries_are_refused() {
    for flags in [1, 1 << 6, 1 << 13] {
        expect(&[RawEntry { flags, ..file("a.py") }], "encrypted");
    }
    for method in [1, 6, 9, 12, 14, 93, 95, 98, 99] {
        expect(&[RawEntry { method, ..file("a.py") }], "neither stored nor deflated");
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let whole = RawEntry::zeros("a.py", 5000);
    expect(&[RawEntry { size_bytes: 100, ..whole.clone() }], "damaged at 'a.py'");
    expect(&[RawEntry { size_bytes: 6000, ..whole.clone() }], "damaged at 'a.py'");
    expect(&[RawEntry { size_bytes: u32::MAX - 1, ..whole.clone() }], "damaged at 'a.py'");
    expect(&[RawEntry { crc: 1, ..whole.clone() }], "damaged at 'a.py'");
    expect(&[RawEntry { packed: vec![0xff; 50], ..whole.clone() }], "damaged at 'a.py'");
    expect(&[RawEntry { listed_name: Some(b"b.py".to_vec()), ..whole.clone() }], "contradicts itself");
    // A list that leaves out an entry: other readers would show other contents.
    let hidden = zip(&[file("hidden.py")]);
    let hidden = &hidden[..hidden.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap()];
    let mut outer = zip(&[file("a.py")]);
    let list = outer.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    outer.splice(list..list, hidden.iter().copied());
    let list_start_field = outer.len() - 6;
    let moved = u32::try_from(list + hidden.len()).unwrap();
    outer[list_start_field..list_start_field + 4].copy_from_slice(&moved.to_le_bytes());
    expect_bytes(&outer, "contradicts itself");
}

/// One content under many names: 4 MB here, petabytes where readers do not look.
#[test]
fn overlapping_entries_are_refused() {
    expect(&overlapping(), "overlap");
    // An entry whose content reaches into the next one's header.
    let mut reaching = file("a.py");
    reaching.packed.truncate(3);
    let bytes = zip(&[reaching, file("b.py")]);
    let mut longer = bytes.clone();
    let list = longer.windows(4).position(|found| found == b"PK\x01\x02").unwrap();
    longer[list + 20] = 40;
    expect_bytes(&longer, "overlap");
}

#[test]
fn bombs_are_refused_while_they_are_read() {
    expect(&[RawEntry::zeros("small", 1024 * 1024)], "");
    expect(&[RawEntry::zeros("bomb", 1024 * 1024 + 1)], "more than 100 times its size");
    let mib = RawEntry::zeros("0", 1024 * 1024);
    let many = |count: usize| {
        (0..count).map(|n| RawEntry { name: n.to_string().into_bytes(), ..mib.clone() }).collect::<Vec<_>>()
    };
    expect(&many(500), "");
    expect(&many(501), "500 MB unpacked; '500' goes beyond");
    // What does not pack well may be large.
    let noise: Vec<u8> = (0..60_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let counted = RawEntry { mode: 0o100_644, ..RawEntry::stored("noise", &noise) };
    expect(&[counted], "");
}

#[test]
fn too_many_entries_are_refused() {
    let entries = |count: usize| (0..count).map(|n| RawEntry::stored(n.to_string(), b"")).collect::<Vec<_>>();
    expect(&entries(limits::PACKAGE_ENTRIES_MAX), "");
    expect(&entries(limits::PACKAGE_ENTRIES_MAX + 1), "at most 10000 entries");
    expect(&entries(65_535), "at most 10000 entries");
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for n in 0..65_536 {
        writer.start_file(n.to_string(), ::zip::write::SimpleFileOptions::default()).unwrap();
    }
    expect_bytes(&writer.finish().unwrap().into_inner(), "zip64");
    let deep = (0..200).map(|n| file(&format!("{n}{}/x", "/a".repeat(100)))).collect::<Vec<_>>();
    expect(&deep, "more than 10000 folders");
}

#[test]
fn what_fails_half_way_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let bytes = zip(&[file("good.py"), RawEntry { crc: 1, ..file("bad.py") }]);
    assert!(unpack(&bytes, &home.path().join("code")).is_err());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
