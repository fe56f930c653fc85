//! Code on this side of the wire: a folder, a single file, or a zip, made into a code archive.
//!
//! What is packed is what the folder holds, and nothing from elsewhere: links are followed only to files inside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::instance::package::pack::{Source, pack};
use crate::model::limits;

/// Names of folders that are never code: version control and caches.
const SKIPPED: [&str; 5] = [".git", ".hg", ".svn", "__pycache__", ".pytest_cache"];

/// The code archive of what is at `path`.
pub(super) fn archive(path: &Path) -> Result<Vec<u8>> {
    let data = fs::metadata(path).map_err(|cause| unreadable(path, &cause))?;
    if data.is_dir() {
        return pack(&gather(path)?);
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
        return read_within(path, data.len(), limits::PACKAGE_BYTES_MAX as u64);
    }
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| no_text(path))?;
    pack(&BTreeMap::from([(name.to_owned(), source(path, &data)?)]))
}

/// Every file below `root`, by its path in the archive.
fn gather(root: &Path) -> Result<BTreeMap<String, Source>> {
    let home = root.canonicalize().map_err(|cause| unreadable(root, &cause))?;
    let mut sources = BTreeMap::new();
    let mut total_bytes = 0;
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|cause| unreadable(&folder, &cause))? {
            let path = entry.map_err(|cause| unreadable(&folder, &cause))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| no_text(&path))?;
            let inside = format!("{prefix}{name}");
            let data = resolved(&path, &home)?;
            if !data.is_dir() {
                total_bytes += data.len();
                check_total(sources.len() + 1, total_bytes, &path)?;
                sources.insert(inside, source(&path, &data)?);
            } else if !SKIPPED.contains(&name) {
                folders.push((path, format!("{inside}/")));
            }
        }
    }
    if sources.is_empty() {
        return Err(Error::invalid(format!("{} holds no files", root.display())));
    }
    Ok(sources)
}

/// What is at `path`, a link to a file inside `home` followed.
fn resolved(path: &Path, home: &Path) -> Result<fs::Metadata> {
    let data = fs::symlink_metadata(path).map_err(|cause| unreadable(path, &cause))?;
    if !data.is_symlink() {
        return Ok(data);
    }
    let target: PathBuf = path.canonicalize().map_err(|cause| unreadable(path, &cause))?;
    let data = fs::metadata(&target).map_err(|cause| unreadable(path, &cause))?;
    match (target.starts_with(home), data.is_dir()) {
        (true, false) => Ok(data),
        (true, true) => Err(Error::invalid(format!(
            "{} is a link to a folder, which an archive cannot hold",
            path.display()
        ))),
        (false, _) => Err(Error::invalid(format!("{} is a link that leaves the folder", path.display()))),
    }
}

fn source(path: &Path, data: &fs::Metadata) -> Result<Source> {
    if !data.is_file() {
        return Err(Error::invalid(format!("{} is no plain file", path.display())));
    }
    let content = read_within(path, data.len(), limits::UNPACKED_BYTES_MAX)?;
    Ok(Source { content, executable: data.permissions().mode() & 0o100 != 0 })
}

fn read_within(path: &Path, bytes: u64, bytes_max: u64) -> Result<Vec<u8>> {
    if bytes > bytes_max {
        let (name, limit_mb) = (path.display(), bytes_max / (1024 * 1024));
        return Err(Error::limit(format!("{name} is larger than {limit_mb} MB")));
    }
    fs::read(path).map_err(|cause| unreadable(path, &cause))
}

/// Says no before the memory is used up; the server would say it later.
fn check_total(files: usize, bytes: u64, path: &Path) -> Result<()> {
    if files > limits::PACKAGE_ENTRIES_MAX {
        return Err(Error::limit(format!(
            "more than {} files; {} is one more",
            limits::PACKAGE_ENTRIES_MAX,
            path.display()
        )));
    }
    if bytes > limits::UNPACKED_BYTES_MAX {
        let limit_mb = limits::UNPACKED_BYTES_MAX / (1024 * 1024);
        return Err(Error::limit(format!(
            "more than {limit_mb} MB of files; {} goes beyond",
            path.display()
        )));
    }
    Ok(())
}

fn unreadable(path: &Path, cause: &io::Error) -> Error {
    let sentence = format!("{} cannot be read: {cause}", path.display());
    if cause.kind() == io::ErrorKind::NotFound {
        Error::not_found(sentence)
    } else {
        Error::invalid(sentence)
    }
}

fn no_text(path: &Path) -> Error {
    Error::invalid(format!("{} has a name that is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::instance::package;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("lib/__pycache__")).unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        for name in ["index.py", "lib/a.py", "lib/__pycache__/a.pyc", ".git/config"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_packed_without_what_is_no_code() {
        let folder = folder();
        symlink("a.py", folder.path().join("lib/b.py")).unwrap();
        let sources = gather(folder.path()).unwrap();
        assert_eq!(sources.keys().collect::<Vec<_>>(), ["index.py", "lib/a.py", "lib/b.py"]);
        let bytes = archive(folder.path()).unwrap();
        assert_eq!(package::check(&bytes).unwrap().entries, 3);
        assert_eq!(archive(folder.path()).unwrap(), bytes, "the same every time");
    }

    #[test]
    fn links_lead_nowhere_else() {
        for (target, said) in [
            ("/etc/passwd", "leaves"),
            ("../..", "leaves"),
            ("lib", "link to a folder"),
            ("nothing", "cannot be read"),
        ] {
            let folder = folder();
            symlink(target, folder.path().join("link")).unwrap();
            assert!(archive(folder.path()).unwrap_err().message.contains(said), "{target}");
        }
    }

    #[test]
    fn a_single_file_is_enough() {
        let folder = folder();
        let bytes = archive(&folder.path().join("index.py")).unwrap();
        assert_eq!(package::check(&bytes).unwrap().unpacked_bytes, 8);
        assert!(archive(&folder.path().join("missing.py")).is_err());
        assert!(archive(&folder.path().join(".git/hooks")).is_err());
        let empty = tempfile::tempdir().unwrap();
        assert!(archive(empty.path()).unwrap_err().message.contains("no files"));
    }
}
