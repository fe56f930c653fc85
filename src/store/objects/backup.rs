//! The files that belong to a backup. The backup's own rows say which: it is of one moment, and what files hold never changes, so
//! they can be copied after it, unless they were removed meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::objects::files::{self, make_folder};
use crate::store::{backup, connection};

/// What came of copying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files that are in the copy.
    pub files: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// Files that were not there any more.
    pub missing: u64,
}

/// Copies the files that the database `of`, which nobody uses, names: from the folder `from` to `to`, laid out as there, each
/// readable by its owner only. One that is there already stays, so one folder can hold those of many backups.
pub fn copy_files(of: &Path, from: &Path, to: &Path) -> Result<Copied> {
    let mut copied = Copied::default();
    for (file, size) in files::named(&connection::untouched(of)?)? {
        let target = files::place_in(to, &file);
        if files::is_whole(&target, size) || copy(&files::place_in(from, &file), &target)? {
            copied.files += 1;
            copied.bytes += size;
        } else {
            copied.missing += 1;
        }
    }
    Ok(copied)
}

/// Copies a file, which has its name only once it is whole and on the disk; whether it was there.
fn copy(from: &Path, to: &Path) -> Result<bool> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(not_copied(cause)),
    };
    let folder = to.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let unfinished = connection::beside(to, ".tmp");
    let mut write = || -> io::Result<()> {
        let mut target =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        io::copy(&mut source, &mut target)?;
        target.sync_all()?;
        fs::rename(&unfinished, to)
    };
    write().map_err(not_copied)?;
    backup::sync(folder)?;
    Ok(true)
}

fn not_copied(cause: io::Error) -> Error {
    Error::invalid(format!("the files of objects cannot be copied: {cause}")).because(cause)
}
