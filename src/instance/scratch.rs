//! Temporary folders where /tmp cannot be private, which is below level 3: one [`Folder`] for each process tree, and in it
//! one for each process that runs the user's code, by number: 0 for the one that loads it, then the Instances'. The
//! processes make theirs (`instance/shim`), which become their `$TMPDIR`; removing is done here.
//!
//! What must stay true: nothing that a function put into such a folder, however deep, much or forbidden, holds up anybody
//! but the one thread that removes. What a killed server left is out of the way before the next one uses the place.

mod remove;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::base::thread;
use crate::error::{Error, Result};
use crate::instance::tree;

/// Folders that may wait to be removed; what is beyond goes with its tree's.
const GRAVES_MAX: usize = 4096;

/// How long a killed Instance may take to be gone before its folder is removed all the same.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// The place of one server's temporary folders.
#[derive(Debug)]
pub(crate) struct Scratch {
    root: PathBuf,
    next: AtomicU64,
    /// Taken when it is dropped.
    graves: Option<Sender<Grave>>,
    remover: Option<JoinHandle<()>>,
}

/// A folder to remove, once nobody holds the other end of the leash.
#[derive(Debug)]
struct Grave {
    path: PathBuf,
    leash: Option<OwnedFd>,
}

/// One tree's folder; removed when it is dropped, which is to be when the tree is gone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    scratch: Arc<Scratch>,
}

impl Scratch {
    /// Takes the place over, with nothing of earlier servers in it.
    pub(crate) fn open(root: &Path) -> Result<Arc<Scratch>> {
        let failed = |cause| Error::invalid(format!("{} cannot be used", root.display())).because(cause);
        let old = put_aside(root).map_err(failed)?;
        fs::create_dir_all(root).map_err(failed)?;
        fs::set_permissions(root, Permissions::from_mode(0o711)).map_err(failed)?;
        let (graves, inbox) = crossbeam_channel::bounded(GRAVES_MAX);
        let remover = thread::spawn("tmp-remover", move || {
            old.iter().for_each(|path| bury(path));
            remove_all(&inbox);
        })?;
        let next = AtomicU64::new(1);
        Ok(Arc::new(Scratch { root: root.to_owned(), next, graves: Some(graves), remover: Some(remover) }))
    }

    /// A new folder that only this user, or ours, may enter.
    pub(crate) fn folder(self: &Arc<Scratch>, uid: Option<u32>) -> io::Result<Folder> {
        let path = self.root.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Folder { path, scratch: Arc::clone(self) };
        std::os::unix::fs::chown(&folder.path, uid, uid)?;
        Ok(folder)
    }

    /// Has it removed; false where too many wait.
    fn order(&self, path: PathBuf, leash: Option<OwnedFd>) -> bool {
        self.graves.as_ref().is_some_and(|graves| graves.try_send(Grave { path, leash }).is_ok())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.graves = None;
        if self.remover.take().is_some_and(|remover| remover.join().is_err()) {
            log::error!("removing temporary folders had panicked");
        }
    }
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Has an Instance's part removed when its supervisor, at the other end of the leash, is gone.
    pub(crate) fn remove_part(&self, number: u64, leash: OwnedFd) {
        // Where too many wait it goes with the whole.
        self.scratch.order(self.path.join(number.to_string()), Some(leash));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.scratch.order(self.path.clone(), None) {
            bury(&self.path);
        }
    }
}

/// Renames what is there, so that nobody waits for it to be removed; all that was put aside so far.
fn put_aside(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for number in 0.. {
        let mut aside = root.as_os_str().to_owned();
        aside.push(format!(".old{number}"));
        let aside = PathBuf::from(aside);
        if aside.exists() {
            old.push(aside);
            continue;
        }
        match fs::rename(root, &aside) {
            Ok(()) => old.push(aside),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
        break;
    }
    Ok(old)
}

fn remove_all(inbox: &Receiver<Grave>) {
    for Grave { path, leash } in inbox {
        if leash.is_some_and(|leash| !tree::wait_hangup(&leash, GONE_WITHIN)) {
            log::warn!("a run that was ended is not gone yet: {}", path.display());
        }
        bury(&path);
    }
}

fn bury(path: &Path) {
    if let Err(cause) = remove::remove(path)
        && cause.kind() != io::ErrorKind::NotFound
    {
        log::warn!("{} cannot be removed: {cause}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_value_and_all_of_them_before_the_place_does() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tmp");
        let scratch = Scratch::open(&root).unwrap();
        let folders = [scratch.folder(None).unwrap(), scratch.folder(None).unwrap()];
        assert_ne!(folders[0].path(), folders[1].path());
        fs::write(folders[0].path().join("file"), "x").unwrap();
        drop(folders);
        drop(scratch);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_server_left_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tmp");
        for old in [&root, &place.path().join("tmp.old0")] {
            fs::create_dir_all(old.join("1/0")).unwrap();
            fs::write(old.join("1/0/file"), "x").unwrap();
        }
        drop(Scratch::open(&root).unwrap());
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, std::slice::from_ref(&root));
        assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    }
}
