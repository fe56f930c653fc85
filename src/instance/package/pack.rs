//! Making code archives, for callers who bring files.
//!
//! The same files give the same bytes (no times, sorted by name), so deploying unchanged code changes nothing.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::error::{Error, Result};
use crate::instance::package::name::checked;
use crate::instance::package::refused;

/// One file to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Packs texts by path; a text that begins with `#!` may be executed. Fails with `Invalid` where a path is given twice or is not allowed in an archive.
pub fn from_files(files: &[(String, String)]) -> Result<Vec<u8>> {
    let mut sources = BTreeMap::new();
    for (path, text) in files {
        let source = Source { content: text.as_bytes().to_vec(), executable: text.starts_with("#!") };
        if sources.insert(path.clone(), source).is_some() {
            return Err(refused("would have the same path twice"));
        }
    }
    pack(&sources)
}

/// Packs files by path.
pub fn pack(sources: &BTreeMap<String, Source>) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, source) in sources {
        if checked(path)? != path {
            return Err(refused("would have a path that is no plain file's"));
        }
        let mode = if source.executable { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        writer.start_file(path.as_str(), options).map_err(unpackable)?;
        writer.write_all(&source.content)?;
    }
    Ok(writer.finish().map_err(unpackable)?.into_inner())
}

fn unpackable(cause: zip::result::ZipError) -> Error {
    Error::internal("the files could not be packed").because(cause)
}
