//! The root of the file system as a function sees it, made by allow-list on a fresh tmpfs: what is not named here is not
//! there. Runs in the launched process, in a mount namespace of its own, before any user code.
//!
//! Sources are taken as detached trees before the new root is mounted anywhere, so nothing here depends on where the
//! database or the interpreter live. Fewer mounts are better: every cell copies them all.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::base::sys;
use crate::instance::network;
use crate::instance::protocol::LaunchOrder;
use crate::instance::shim;
use crate::model::limits;

/// A step of building the walls that failed, and why.
#[derive(Debug)]
pub(crate) struct Step(pub(crate) &'static str, pub(crate) io::Error);

/// Where code stands (contract 2.6).
pub(crate) const CODE: &str = "/var/user";

/// Where layers stand (contract 1.2).
pub(crate) const LAYERS: &str = "/opt";

/// Where the platform's own files stand (contract 2.6).
pub(crate) const RUNTIME: &str = "/var/runtime";

/// System folders shown as they are, or as the links they are on hosts with a merged /usr.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Folders of /etc that programs of /usr look into.
const ETC_FOLDERS: &[&str] = &["alternatives", "ssl/certs", "ld.so.conf.d"];

/// Files of /etc that are copied: small, and none tells of the host's users.
const ETC_FILES: &[&str] = &[
    "ld.so.cache",
    "ld.so.conf",
    "hosts",
    "nsswitch.conf",
    "host.conf",
    "gai.conf",
    "localtime",
    "timezone",
    "protocols",
    "services",
    "mime.types",
    "os-release",
];

/// Devices every program may expect.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Where the new root is put together; any folder does, since it is the root itself a moment later.
const SCAFFOLD: &str = "/tmp";

/// Options of the private tmpfs mounts.
pub(crate) fn tmp_options() -> String {
    format!("mode=1777,size={},nr_inodes=65536", limits::TMP_BYTES)
}

/// Builds the view and makes it this process's root; says whether it has a /proc of the own pid namespace.
pub(crate) fn enter(order: &LaunchOrder) -> Result<bool, Step> {
    let step = |name: &'static str| move |cause: io::Error| Step(name, cause);
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|e| Step("private mounts", e.into()))?;
    let trees = take_trees(order).map_err(step("source trees"))?;
    rustix::mount::mount("tmpfs", SCAFFOLD, "tmpfs", MountFlags::NOSUID, Some(c"mode=755,size=16m"))
        .map_err(|e| Step("root tmpfs", e.into()))?;
    for (tree, place) in trees {
        put(&tree, &place).map_err(step("bind mounts"))?;
    }
    furnish(order).map_err(step("root files"))?;
    turn().map_err(step("pivot_root"))?;
    sys::make_mounts_read_only("/").map_err(step("read-only root"))?;
    mount_private_tmp().map_err(step("private /tmp"))?;
    Ok(mount_proc().is_ok())
}

/// A /proc of this process's pid namespace; refused inside most containers.
pub(crate) fn mount_proc() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(rustix::mount::mount("proc", "/proc", "proc", flags, None)?)
}

/// Fresh, empty /tmp and /dev/shm.
pub(crate) fn mount_private_tmp() -> io::Result<()> {
    let options = std::ffi::CString::new(tmp_options()).map_err(io::Error::other)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", "/tmp", "tmpfs", flags, Some(options.as_c_str()))?;
    Ok(rustix::mount::mount(
        "tmpfs",
        "/dev/shm",
        "tmpfs",
        flags | MountFlags::NOEXEC,
        Some(options.as_c_str()),
    )?)
}

/// Every host tree to be shown, detached, with its place below the scaffold.
fn take_trees(order: &LaunchOrder) -> io::Result<Vec<(OwnedFd, PathBuf)>> {
    let mut trees = Vec::new();
    let mut take = |source: &Path, place: &Path| -> io::Result<()> {
        trees.push((open_tree(source)?, below(place)));
        Ok(())
    };
    for name in SYSTEM {
        let path = Path::new("/").join(name);
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            take(&path, &path)?;
        }
    }
    for name in ETC_FOLDERS.iter().map(|name| Path::new("/etc").join(name)).filter(|path| path.is_dir()) {
        take(&name, &name)?;
    }
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        take(&path, &path)?;
    }
    if !order.interpreter.prefix.starts_with("/usr") {
        take(&order.interpreter.prefix, &order.interpreter.prefix)?;
    }
    take(&order.package, Path::new(CODE))?;
    if let Some(layers) = &order.layers {
        take(layers, Path::new(LAYERS))?;
    }
    Ok(trees)
}

fn below(place: &Path) -> PathBuf {
    Path::new(SCAFFOLD).join(place.strip_prefix("/").unwrap_or(place))
}

fn open_tree(source: &Path) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, source, flags)
        .map_err(|errno| io::Error::other(format!("{}: {errno}", source.display())))
}

/// Puts a detached tree at its place, a file on a file and a folder on a folder.
fn put(tree: &OwnedFd, place: &Path) -> io::Result<()> {
    let is_folder = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode).is_dir();
    if is_folder {
        fs::create_dir_all(place)?;
    } else {
        fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
        fs::File::create(place)?;
    }
    Ok(rustix::mount::move_mount(tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// The folders, links and files of our own making.
fn furnish(order: &LaunchOrder) -> io::Result<()> {
    for folder in [
        "proc",
        "tmp",
        "dev/shm",
        "opt",
        "var/runtime",
        "var/tmp",
        "home/qcloud",
        "etc",
        "run",
        "root",
        "sys",
    ] {
        fs::create_dir_all(below(Path::new(folder)))?;
    }
    for name in SYSTEM {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, below(Path::new(name)))?;
        }
    }
    for name in ETC_FILES {
        if let Ok(bytes) = fs::read(Path::new("/etc").join(name)) {
            fs::write(below(&Path::new("etc").join(name)), bytes)?;
        }
    }
    if let Ok(bytes) = network::resolvers(order.reach) {
        fs::write(below(Path::new("etc/resolv.conf")), bytes)?;
    }
    for (link, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        symlink(target, below(&Path::new("dev").join(link)))?;
    }
    fs::write(
        below(Path::new("etc/passwd")),
        "root:x:0:0::/:/bin/false\nqcloud:x:1000:1000::/home/qcloud:/bin/bash\n",
    )?;
    fs::write(below(Path::new("etc/group")), "root:x:0:\nqcloud:x:1000:\n")?;
    let ours = below(Path::new(RUNTIME));
    let put_program = |name: &str, bytes: &[u8]| {
        fs::write(ours.join(name), bytes)?;
        fs::set_permissions(ours.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755))
    };
    if let Some(kit) = order.kit() {
        fs::write(ours.join("bootstrap"), kit.bootstrap)?;
        put_program(kit.shim.0, kit.shim.1)?;
    }
    put_program("init", shim::INIT)
}

/// Makes the scaffold the root and lets the host's root go.
fn turn() -> io::Result<()> {
    rustix::process::chdir(SCAFFOLD)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}
