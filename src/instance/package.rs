//! Code archives: checked, unpacked, addressed by the SHA-256 of their bytes.
//!
//! A package comes from whoever may deploy and is believed in nothing: [`check`] reads every entry to its end before the
//! archive is stored, and [`unpack`] goes through the same door again (`archive`), so no archive reaches the disk by
//! another way. Packing, for callers who bring files instead of an archive, is [`pack`]; the folder of unpacked code is
//! [`cache`].
//!
//! # What the next editor must keep true
//!
//! - The zip crate's `extract()` is never called: it follows rules of its own.
//! - No size in a header is believed. Whatever is allocated or written is bounded by bytes counted while inflating.
//! - Only plain files and folders are ever made, with names that `name` has passed, inside a folder that nobody else
//!   writes to. That is why no entry has to be resolved against the file system.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind, Result};
use crate::instance::package::archive::{Archive, Entry};
use crate::instance::package::pack::Source;
use crate::model::function::Digest;

mod archive;
pub mod cache;
mod directory;
mod name;
pub mod pack;
pub mod program;
#[cfg(test)]
pub(crate) mod raw;

/// What is known of an archive that passed every check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// SHA-256 of the archive's bytes, its address.
    pub digest: Digest,
    /// Files and folders listed in it.
    pub entries: usize,
    /// All its files once unpacked, bytes.
    pub unpacked_bytes: u64,
}

/// Reads the whole archive against every rule, writing nothing.
///
/// Fails with `Invalid` where the archive is no zip or is built to mislead, with `Limit` where it is larger than
/// promised; the sentence names the entry.
pub fn check(bytes: &[u8]) -> Result<Checked> {
    let mut archive = Archive::open(bytes)?;
    let entries = archive.entries().len();
    for index in 0..entries {
        archive.read(index, &mut io::sink())?;
    }
    Ok(Checked { digest: digest(bytes), entries, unpacked_bytes: archive.unpacked_bytes() })
}

/// One file of an archive; none where there is no such file, or it has more than `bytes_max` bytes.
pub fn file(bytes: &[u8], path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>> {
    let mut archive = Archive::open(bytes)?;
    let is_it = |entry: &Entry| matches!(entry, Entry::File { path: known, .. } if known == path);
    let Some(index) = archive.entries().iter().position(is_it) else { return Ok(None) };
    let mut content = Vec::new();
    archive.read(index, &mut content)?;
    Ok((content.len() <= bytes_max).then_some(content))
}

/// Every file of an archive, by path; none where they have more than `bytes_max` bytes together. Folders without files are not
/// told of.
pub fn sources(bytes: &[u8], bytes_max: u64) -> Result<Option<BTreeMap<String, Source>>> {
    let mut archive = Archive::open(bytes)?;
    let mut found = BTreeMap::new();
    for index in 0..archive.entries().len() {
        let mut content = Vec::new();
        archive.read(index, &mut content)?;
        if archive.unpacked_bytes() > bytes_max {
            return Ok(None);
        }
        if let Entry::File { path, executable } = &archive.entries()[index] {
            found.insert(path.clone(), Source { content, executable: *executable });
        }
    }
    Ok(Some(found))
}

/// Unpacks into `folder`, which appears whole or not at all: the work is done in a hidden folder beside it, which then
/// takes its name. If another has put `folder` there meanwhile, theirs stays.
///
/// Folders get mode 0755, files 0644, or 0755 where the archive marks them executable.
pub fn unpack(bytes: &[u8], folder: &Path) -> Result<()> {
    unpack_over(&[bytes], folder)
}

/// Unpacks several archives into one folder, as [`unpack`] does one: what a later one has covers what an earlier one has.
pub fn unpack_over(archives: &[&[u8]], folder: &Path) -> Result<()> {
    let beside =
        folder.parent().ok_or_else(|| Error::internal("code cannot be unpacked into the root folder"))?;
    let unfinished = tempfile::Builder::new().prefix(cache::UNFINISHED_PREFIX).tempdir_in(beside)?;
    for (place, bytes) in archives.iter().enumerate() {
        let mut archive = Archive::open(bytes)?;
        for index in 0..archive.entries().len() {
            if place > 0 {
                make_way(&archive.entries()[index], unfinished.path())?;
            }
            unpack_entry(&mut archive, index, unfinished.path())?;
        }
    }
    fs::set_permissions(unfinished.path(), fs::Permissions::from_mode(0o755))?;
    match fs::rename(unfinished.path(), folder) {
        Ok(()) => {
            // It has another name now; there is nothing left to remove.
            let _ = unfinished.keep();
            Ok(())
        }
        Err(_) if folder.is_dir() => Ok(()),
        Err(cause) => Err(Error::internal("unpacked code could not be put in its place").because(cause)),
    }
}

/// The address of an archive.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Removes what an earlier archive has put where this entry goes, but for folders that both have.
fn make_way(entry: &Entry, root: &Path) -> Result<()> {
    let (Entry::Folder { path } | Entry::File { path, .. }) = entry;
    let is_folder = matches!(entry, Entry::Folder { .. });
    for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
        let place = root.join(&path[..end]);
        let wants_folder = end < path.len() || is_folder;
        match fs::symlink_metadata(&place) {
            Ok(there) if there.is_dir() && !wants_folder => fs::remove_dir_all(&place)?,
            Ok(there) if !there.is_dir() => fs::remove_file(&place)?,
            _ => {}
        }
    }
    Ok(())
}

fn unpack_entry(archive: &mut Archive<'_>, index: usize, root: &Path) -> Result<()> {
    match archive.entries()[index].clone() {
        Entry::Folder { path } => {
            make_folders(root, &path)?;
            archive.read(index, &mut io::sink())
        }
        Entry::File { path, executable } => {
            if let Some((parents, _)) = path.rsplit_once('/') {
                make_folders(root, parents)?;
            }
            let mode = if executable { 0o755 } else { 0o644 };
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(root.join(&path))?;
            archive.read(index, &mut file)?;
            file.flush()?;
            // Said again because the umask had its say in the mode above.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            Ok(())
        }
    }
}

/// Makes every folder of the relative `path` that is not there yet.
fn make_folders(root: &Path, path: &str) -> Result<()> {
    let mut folder = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        folder.push(part);
        match fs::DirBuilder::new().mode(0o755).create(&folder) {
            Ok(()) => fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// An archive that breaks a rule.
fn refused(sentence: impl AsRef<str>) -> Error {
    Error::invalid(format!("the code archive {}", sentence.as_ref()))
}

/// An archive that is larger than promised.
fn too_much(sentence: impl AsRef<str>) -> Error {
    Error::new(Kind::Limit, format!("the code archive {}", sentence.as_ref()))
}

#[cfg(test)]
mod tests;
