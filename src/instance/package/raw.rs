//! Zip files written byte by byte, for tests: every field can lie.

use std::io::Write;

/// One entry; `listed_*` is what the list at the end says where it differs from the entry's own header.
#[derive(Clone, Debug)]
pub(crate) struct RawEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) listed_name: Option<Vec<u8>>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) packed: Vec<u8>,
    pub(crate) size_bytes: u32,
    pub(crate) crc: u32,
    /// Unix mode with its type bits.
    pub(crate) mode: u32,
    /// Where the list says the entry is; none means where it is.
    pub(crate) listed_start: Option<u32>,
    /// Whether it gets an own header and content at all.
    pub(crate) is_written: bool,
}

impl RawEntry {
    /// A stored file.
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: &[u8]) -> RawEntry {
        RawEntry {
            name: name.as_ref().to_vec(),
            listed_name: None,
            flags: 0,
            method: 0,
            packed: content.to_vec(),
            size_bytes: u32::try_from(content.len()).unwrap(),
            crc: crc32(content),
            mode: 0o100_644,
            listed_start: None,
            is_written: true,
        }
    }

    /// A deflated file of `size_bytes` zeros.
    pub(crate) fn zeros(name: &str, size_bytes: usize) -> RawEntry {
        let content = vec![0; size_bytes];
        RawEntry { method: 8, packed: deflate(&content), ..RawEntry::stored(name, &content) }
    }
}

/// One content of 50 KB under a hundred names.
pub(crate) fn overlapping() -> Vec<RawEntry> {
    let kernel = RawEntry::zeros("0", 50_000);
    let again = |index: usize| RawEntry {
        name: index.to_string().into_bytes(),
        listed_start: Some(0),
        is_written: false,
        ..kernel.clone()
    };
    std::iter::once(kernel.clone()).chain((1..100).map(again)).collect()
}

/// The archive of these entries.
pub(crate) fn zip(entries: &[RawEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    for entry in entries {
        starts.push(u32::try_from(bytes.len()).unwrap());
        if entry.is_written {
            bytes.extend(b"PK\x03\x04\x14\0");
            put_common(&mut bytes, entry, &entry.name);
            bytes.extend(&entry.name);
            bytes.extend(&entry.packed);
        }
    }
    let list_start = bytes.len();
    for (entry, start) in entries.iter().zip(starts) {
        let name = entry.listed_name.as_ref().unwrap_or(&entry.name);
        bytes.extend(b"PK\x01\x02\x14\x03\x14\0");
        put_common(&mut bytes, entry, name);
        // No comment, the first disk, no internal attributes; then the external ones.
        bytes.extend([0; 6]);
        bytes.extend((entry.mode << 16).to_le_bytes());
        bytes.extend(entry.listed_start.unwrap_or(start).to_le_bytes());
        bytes.extend(name);
    }
    let list_bytes = u32::try_from(bytes.len() - list_start).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(list_bytes.to_le_bytes());
    bytes.extend(u32::try_from(list_start).unwrap().to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// The fields both headers share: flags to the length of the extra field.
fn put_common(bytes: &mut Vec<u8>, entry: &RawEntry, name: &[u8]) {
    bytes.extend(entry.flags.to_le_bytes());
    bytes.extend(entry.method.to_le_bytes());
    bytes.extend([0, 0, 0x21, 0]);
    bytes.extend(entry.crc.to_le_bytes());
    bytes.extend(u32::try_from(entry.packed.len()).unwrap().to_le_bytes());
    bytes.extend(entry.size_bytes.to_le_bytes());
    bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    bytes.extend([0; 2]);
}

/// Raw deflate, by way of the zip crate: the packed bytes of a one-entry archive.
fn deflate(content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("x", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content).unwrap();
    let mut archive = writer.finish_into_readable().unwrap();
    let mut packed = Vec::new();
    std::io::Read::read_to_end(&mut archive.by_index_raw(0).unwrap(), &mut packed).unwrap();
    packed
}

fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
