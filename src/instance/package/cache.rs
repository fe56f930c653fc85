//! The folder of unpacked code, `<database>.d/packages/<sha256>`: a cache that can always be made again from the database
//! (D14), so nothing here is synced to the disk.
//!
//! What is not synced may be empty files after a power cut. Therefore nothing unpacked before the host's last start is
//! believed: the folder carries the boot it belongs to, and another boot begins an empty one. Within one boot every
//! folder under its final name is whole, because it got that name last.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::instance::package::{digest, unpack, unpack_over};
use crate::model::function::Digest;

/// How the name of a folder begins that is being filled.
pub(super) const UNFINISHED_PREFIX: &str = ".unfinished-";
/// How the name of a folder begins that is to be removed.
const OLD_PREFIX: &str = ".old-";
/// How the name of a folder begins that has several layers in it; the digest of their digests follows.
const LAYERS_PREFIX: &str = "layers-";
/// The file that names the boot.
const BOOT_FILE: &str = ".boot";

/// The cache. Functions may pass through its folder to their own code but not list it: mode 0711.
#[derive(Debug)]
pub struct Packages {
    root: PathBuf,
    leftovers: Mutex<Vec<PathBuf>>,
}

/// Where a version's code and its layers are unpacked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) code: PathBuf,
    /// All of its layers in one folder, if it has any.
    pub(crate) layers: Option<PathBuf>,
}

impl Packages {
    /// Opens or makes the cache at `root`. Quick: what a killed server or an earlier boot left, and every package that is not
    /// `wanted`, is only set aside, for [`sweep`](Packages::sweep); later it might be in use by a run of what was deployed
    /// before. Only one server may have the cache open; the caller holds the database's lock.
    pub fn open(root: &Path, wanted: impl Fn(&str) -> bool) -> Result<Packages> {
        Packages::open_in_boot(root, &boot_id(), wanted)
    }

    fn open_in_boot(root: &Path, boot: &str, wanted: impl Fn(&str) -> bool) -> Result<Packages> {
        make_folder(root)?;
        let is_of_this_boot = fs::read_to_string(root.join(BOOT_FILE)).is_ok_and(|of| of == boot);
        let mut leftovers = Vec::new();
        for entry in fs::read_dir(root)? {
            let name = entry?.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let is_kept = !hidden && is_of_this_boot && name.to_str().is_none_or(&wanted);
            if name == BOOT_FILE || is_kept {
                continue;
            }
            leftovers.push(if hidden { root.join(name) } else { set_aside(root, &name)? });
        }
        // Not written again: a full disk is not to keep the server from starting.
        if !is_of_this_boot {
            fs::write(root.join(BOOT_FILE), boot)?;
        }
        Ok(Packages { root: root.to_owned(), leftovers: Mutex::new(leftovers) })
    }

    /// The folder with the unpacked code of `digest`; `fetch` gives the archive's bytes where it is not there yet.
    ///
    /// Safe from many threads at once. Fails with `Internal` where the archive's bytes are not those of the digest.
    pub fn ensure(&self, wanted: Digest, fetch: impl FnOnce() -> Result<Vec<u8>>) -> Result<PathBuf> {
        let folder = self.root.join(wanted.to_string());
        if folder.is_dir() {
            return Ok(folder);
        }
        let bytes = fetch()?;
        if digest(&bytes) != wanted {
            return Err(Error::internal("stored code is damaged: its digest is not the one it is known by"));
        }
        // Somebody may have removed the cache while we run; it is only a cache.
        make_folder(&self.root)?;
        unpack(&bytes, &folder)?;
        Ok(folder)
    }

    /// The folder with the content of all those archives, one over the other; none where there are none. Fails as
    /// [`ensure`](Packages::ensure) does.
    pub fn ensure_layers(
        &self,
        wanted: &[Digest],
        fetch: impl Fn(Digest) -> Result<Vec<u8>>,
    ) -> Result<Option<PathBuf>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let all: Vec<u8> = wanted.iter().flat_map(|digest| digest.0).collect();
        let folder = self.root.join(format!("{LAYERS_PREFIX}{}", digest(&all)));
        if folder.is_dir() {
            return Ok(Some(folder));
        }
        let archives = wanted.iter().map(|digest| fetch(*digest)).collect::<Result<Vec<_>>>()?;
        if archives.iter().zip(wanted).any(|(bytes, wanted)| digest(bytes) != *wanted) {
            return Err(Error::internal(
                "a stored layer is damaged: its digest is not the one it is known by",
            ));
        }
        make_folder(&self.root)?;
        let archives: Vec<&[u8]> = archives.iter().map(Vec::as_slice).collect();
        unpack_over(&archives, &folder)?;
        Ok(Some(folder))
    }

    /// Removes what [`open`](Packages::open) set aside. Slow; any thread may do it while others unpack.
    pub fn sweep(&self) -> Result<()> {
        let old = std::mem::take(&mut *self.leftovers.lock().expect("no holder of this lock can panic"));
        old.iter().try_for_each(|path| remove(path))
    }
}

/// Renames an entry out of the way, so that removing it can take its time and be interrupted.
fn set_aside(root: &Path, name: &std::ffi::OsStr) -> Result<PathBuf> {
    let mut aside = std::ffi::OsString::from(OLD_PREFIX);
    aside.push(name);
    let aside = root.join(aside);
    if fs::symlink_metadata(&aside).is_ok() {
        remove(&aside)?;
    }
    fs::rename(root.join(name), &aside)?;
    Ok(aside)
}

fn remove(path: &Path) -> Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(cause) => Err(cause),
    };
    match gone {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause.into()),
        _ => Ok(()),
    }
}

/// Makes `folder` and the folder above it (`<database>.d`), both with mode 0711 whatever the umask.
fn make_folder(folder: &Path) -> Result<()> {
    for path in folder.parent().into_iter().chain([folder]) {
        match fs::DirBuilder::new().mode(0o711).create(path) {
            Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o711))?,
            Err(_) if path.is_dir() => {}
            Err(cause) => {
                let name = path.display();
                return Err(Error::internal(format!("the folder {name} cannot be made")).because(cause));
            }
        }
    }
    Ok(())
}

/// Which start of the host this is; empty where the kernel does not say, so that two starts look alike only there.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::package::pack::from_files;

    fn archive(text: &str) -> Vec<u8> {
        from_files(&[("index.py".to_owned(), text.to_owned())]).unwrap()
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn code_is_fetched_once_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("fnlite.db.d/packages");
        let bytes = archive("x = 1");
        let packages = Packages::open(&root, |_| true).unwrap();
        let folder = packages.ensure(digest(&bytes), || Ok(bytes.clone())).unwrap();
        assert_eq!(fs::read_to_string(folder.join("index.py")).unwrap(), "x = 1");
        packages.ensure(digest(&bytes), || panic!("it is there already")).unwrap();
        for folder in [home.path().join("fnlite.db.d"), root] {
            assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o711);
        }
    }

    #[test]
    fn a_later_layer_covers_an_earlier_one() {
        let home = tempfile::tempdir().unwrap();
        let packages = Packages::open(&home.path().join("d/packages"), |_| true).unwrap();
        let archive = |files: &[(&str, &str)]| {
            let files: Vec<_> =
                files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
            from_files(&files).unwrap()
        };
        let layers = [
            archive(&[("a.txt", "1"), ("both/x.txt", "1"), ("file", "1"), ("folder/y.txt", "1")]),
            archive(&[("b.txt", "2"), ("both/x.txt", "2"), ("file/z.txt", "2"), ("folder", "2")]),
        ];
        let digests = layers.each_ref().map(|layer| digest(layer));
        let fetch = |wanted| Ok(layers.iter().find(|layer| digest(layer) == wanted).unwrap().clone());
        let folder = packages.ensure_layers(&digests, fetch).unwrap().unwrap();
        let text = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        let texts = ["a.txt", "b.txt", "both/x.txt", "file/z.txt", "folder"].map(text);
        assert_eq!(texts.concat(), "12222");
        assert_eq!(packages.ensure_layers(&[], |_| panic!("there is none")).unwrap(), None);
        let other_way = packages.ensure_layers(&[digests[1], digests[0]], fetch).unwrap().unwrap();
        assert_eq!(fs::read_to_string(other_way.join("both/x.txt")).unwrap(), "1");
    }

    #[test]
    fn damaged_code_is_not_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let packages = Packages::open(&home.path().join("d/packages"), |_| true).unwrap();
        let wanted = digest(b"something else");
        assert!(packages.ensure(wanted, || Ok(archive("x = 1"))).unwrap_err().message.contains("damaged"));
        assert_eq!(names(&home.path().join("d/packages")), [BOOT_FILE]);
    }

    #[test]
    fn many_at_once_get_one_whole_folder() {
        let home = tempfile::tempdir().unwrap();
        let packages = Packages::open(&home.path().join("d/packages"), |_| true).unwrap();
        let bytes = archive(&"x = 1\n".repeat(10_000));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = packages.ensure(digest(&bytes), || Ok(bytes.clone())).unwrap();
                    assert_eq!(fs::metadata(folder.join("index.py")).unwrap().len(), 60_000);
                });
            }
        });
        assert_eq!(names(&home.path().join("d/packages")).len(), 2);
    }

    #[test]
    fn half_made_and_unwanted_folders_are_swept() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("d/packages");
        let (kept, dropped) = (archive("kept"), archive("dropped"));
        let packages = Packages::open(&root, |_| true).unwrap();
        packages.ensure(digest(&kept), || Ok(kept.clone())).unwrap();
        packages.ensure(digest(&dropped), || Ok(dropped.clone())).unwrap();
        fs::create_dir_all(root.join(".unfinished-x/y")).unwrap();
        let packages = Packages::open(&root, |name| name == digest(&kept).to_string()).unwrap();
        packages.sweep().unwrap();
        assert_eq!(names(&root), [BOOT_FILE.to_owned(), digest(&kept).to_string()]);
    }

    #[test]
    fn another_boot_begins_an_empty_cache() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("d/packages");
        let bytes = archive("x = 1");
        let packages = Packages::open_in_boot(&root, "one", |_| true).unwrap();
        let folder = packages.ensure(digest(&bytes), || Ok(bytes.clone())).unwrap();
        Packages::open_in_boot(&root, "one", |_| true).unwrap();
        assert!(folder.is_dir());
        let packages = Packages::open_in_boot(&root, "two", |_| true).unwrap();
        assert!(!folder.exists());
        packages.sweep().unwrap();
        assert_eq!(names(&root), [BOOT_FILE]);
    }
}
