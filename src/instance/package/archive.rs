//! An archive opened against the rules: what it lists is checked when it is opened, what it holds while it is read.

use std::io::{Cursor, Read, Write};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result};
use crate::instance::package::directory::count_entries;
use crate::instance::package::name::{Tree, checked, shown};
use crate::instance::package::{refused, too_much};
use crate::model::limits;

/// Inflated bytes handled at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Entries smaller than this once unpacked may be packed as tightly as they like.
const RATIO_FROM_BYTES: u64 = 1024 * 1024;
/// Bits of an entry's flags that say it is encrypted, in whole or in part.
const ENCRYPTED_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;

/// One thing an archive makes; paths are relative, checked, and without a trailing `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A folder; the empty path is the archive's own root.
    Folder {
        /// Where.
        path: String,
    },
    /// A plain file.
    File {
        /// Where.
        path: String,
        /// Whether its owner may execute it.
        executable: bool,
    },
}

impl Entry {
    pub(super) fn path(&self) -> &str {
        match self {
            Entry::Folder { path } | Entry::File { path, .. } => path,
        }
    }
}

/// An archive whose list of entries passed every rule.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    entries: Vec<Entry>,
    unpacked_bytes: u64,
}

impl<'a> Archive<'a> {
    /// Checks everything that can be known without inflating.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Archive<'a>> {
        let count = count_entries(bytes)?;
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if zip.has_duplicate_names() || zip.len() != count {
            return Err(refused("lists two entries of the same name"));
        }
        if zip.has_overlapping_entries().map_err(damaged)? {
            return Err(refused("has entries that overlap"));
        }
        let entries = list(&zip)?;
        // Last, because the checks above have better words for what they find.
        zip.validate_header_consistency().map_err(|cause| {
            refused("contradicts itself: an entry's header and the list differ").because(cause)
        })?;
        Ok(Archive { zip, entries, unpacked_bytes: 0 })
    }

    /// What it makes, in the archive's order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of all entries read so far.
    pub(super) fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    /// Inflates one entry into `sink`, to its end and its checksum; counts every byte against the limits.
    pub(super) fn read(&mut self, index: usize, sink: &mut dyn Write) -> Result<()> {
        let shown = shown(self.entries[index].path());
        let is_folder = matches!(self.entries[index], Entry::Folder { .. });
        let mut source = self.zip.by_index(index).map_err(damaged)?;
        let (size_bytes, packed_bytes) = (source.size(), source.compressed_size());
        let left_bytes = limits::UNPACKED_BYTES_MAX - self.unpacked_bytes;
        let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(size_bytes).unwrap_or(CHUNK_BYTES) + 1)];
        let mut read_bytes = 0;
        loop {
            let count = match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(cause) => return Err(refused(format!("is damaged at {shown}")).because(cause)),
            };
            read_bytes += count as u64;
            check_growth(&shown, read_bytes, packed_bytes, left_bytes)?;
            if is_folder {
                return Err(refused(format!("has the folder {shown} with content")));
            }
            sink.write_all(&chunk[..count])?;
        }
        if read_bytes != size_bytes {
            return Err(refused(format!("is damaged at {shown}: its size is not the one it states")));
        }
        self.unpacked_bytes += read_bytes;
        Ok(())
    }
}

fn check_growth(shown: &str, read_bytes: u64, packed_bytes: u64, left_bytes: u64) -> Result<()> {
    if read_bytes > left_bytes {
        let limit_mb = limits::UNPACKED_BYTES_MAX / (1024 * 1024);
        return Err(too_much(format!("must be at most {limit_mb} MB unpacked; {shown} goes beyond")));
    }
    if read_bytes > RATIO_FROM_BYTES && read_bytes > packed_bytes.saturating_mul(limits::PACKAGE_RATIO_MAX) {
        return Err(too_much(format!(
            "has the entry {shown}, which unpacks to more than {} times its size",
            limits::PACKAGE_RATIO_MAX
        )));
    }
    Ok(())
}

fn list(zip: &ZipArchive<Cursor<&[u8]>>) -> Result<Vec<Entry>> {
    let mut tree = Tree::default();
    let mut entries = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let entry = describe(zip, index)?;
        match &entry {
            Entry::Folder { path } => tree.add_folder(path)?,
            Entry::File { path, .. } => tree.add_file(path)?,
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// What the entry makes, if it is a plain file or folder that we can read.
fn describe(zip: &ZipArchive<Cursor<&[u8]>>, index: usize) -> Result<Entry> {
    const TYPE: u32 = 0o170_000;
    const FOLDER: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;
    let data = zip.by_index_data(index).map_err(damaged)?;
    let name = data.name().map_err(damaged)?;
    let path = checked(&name)?.to_owned();
    if data.flags().as_u16() & ENCRYPTED_FLAGS != 0 {
        return Err(refused(format!("has the entry {}, which is encrypted", shown(&name))));
    }
    if !matches!(data.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(refused(format!("has the entry {}, which is neither stored nor deflated", shown(&name))));
    }
    let mode = data.unix_mode().unwrap_or(0);
    match (mode & TYPE, name.ends_with('/')) {
        (0 | FILE | FOLDER, true) => Ok(Entry::Folder { path }),
        (0 | FILE, false) if !path.is_empty() => Ok(Entry::File { path, executable: mode & 0o100 != 0 }),
        _ => Err(refused(format!("has the entry {}, which is no plain file or folder", shown(&name)))),
    }
}

fn damaged(cause: ZipError) -> Error {
    refused("is damaged").because(cause)
}
