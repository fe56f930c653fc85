//! Removing a folder that hostile code has filled: however deep it is, this takes two descriptors and no deeper stack, and it
//! follows no link. The standard library's way goes down by recursion, which depth can make end the whole server.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

/// Entries looked at in one round: a folder may have a million.
const ENTRIES_MAX: usize = 4096;

/// Rounds before somebody must be making new entries as fast as we remove them; a round takes a level away, or so many
/// entries.
const ROUNDS_MAX: usize = 1_000_000;

/// Removes the folder and all that is in it.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let mut removal = Removal { top: open(CWD, path)?, moved: 0, rounds: 0 };
    while let Some(names) = removal.round(None)? {
        for name in names {
            removal.remove_entry(&name)?;
        }
    }
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

struct Removal {
    top: OwnedFd,
    /// Folders that were moved up.
    moved: u64,
    rounds: usize,
}

impl Removal {
    /// Some entries of a folder, the top unless another is given; `None` once it is empty.
    fn round(&mut self, folder: Option<&OwnedFd>) -> io::Result<Option<Vec<CString>>> {
        self.rounds += 1;
        if self.rounds > ROUNDS_MAX {
            return Err(io::Error::other("it is filled again and again"));
        }
        let names = entries(folder.unwrap_or(&self.top))?;
        Ok(Some(names).filter(|names| !names.is_empty()))
    }

    /// Removes an entry of the top. What a folder holds is removed or, where it is a folder, moved up to the top for
    /// another round, so that nothing is ever deeper than one level below it.
    fn remove_entry(&mut self, name: &CStr) -> io::Result<()> {
        if !is_folder(&self.top, name)? {
            return Ok(rustix::fs::unlinkat(&self.top, name, AtFlags::empty())?);
        }
        let folder = open(&self.top, name)?;
        while let Some(names) = self.round(Some(&folder))? {
            for inner in names {
                if is_folder(&folder, &inner)? {
                    self.move_up(&folder, &inner)?;
                } else {
                    rustix::fs::unlinkat(&folder, &inner, AtFlags::empty())?;
                }
            }
        }
        Ok(rustix::fs::unlinkat(&self.top, name, AtFlags::REMOVEDIR)?)
    }

    /// Under a name that nothing there has.
    fn move_up(&mut self, folder: &OwnedFd, name: &CStr) -> io::Result<()> {
        // Moving a folder is writing to it, which its owner may have to allow first; root needs no leave.
        let _ = allow(folder, name);
        loop {
            self.moved += 1;
            let place = format!(".removed-{}", self.moved);
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(folder, name, &self.top, &place, flags) {
                Err(Errno::EXIST) => {}
                renamed => return Ok(renamed?),
            }
        }
    }
}

fn open(at: impl AsFd, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&at, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            allow(&at, name)?;
            Ok(rustix::fs::openat(&at, name, flags, Mode::empty())?)
        }
        opened => Ok(opened?),
    }
}

fn allow(at: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<()> {
    rustix::fs::chmodat(at, name, Mode::RWXU, AtFlags::empty())
}

fn is_folder(at: &OwnedFd, name: &CStr) -> rustix::io::Result<bool> {
    let status = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::FileType::from_raw_mode(status.st_mode).is_dir())
}

fn entries(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == ENTRIES_MAX {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_of_any_depth_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("deep");
        fs::create_dir(&root).unwrap();
        let mut at = open(CWD, &root).unwrap();
        // Deeper than a path can be named and than one process may have files open.
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open(&at, "d").unwrap();
        }
        remove(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn what_is_forbidden_is_removed_and_what_is_linked_is_not() {
        let place = tempfile::tempdir().unwrap();
        let (root, other) = (place.path().join("root"), place.path().join("other"));
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        symlink(&other, root.join("link")).unwrap();
        symlink(&other, root.join("a/link")).unwrap();
        fs::write(root.join("a/.removed-1"), "x").unwrap();
        for folder in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o0)).unwrap();
        }
        remove(&root).unwrap();
        assert!(!root.exists() && other.join("kept").exists());
    }
}
