//! A disk of a test's own, small enough to be filled: a tmpfs. Mounting one needs root; for anybody else the test is run once
//! more where he is root, in a user and a mount namespace.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

use crate::keeping::text;
use crate::server::program;

/// The disk, until it is dropped. Whoever uses it must be gone by then.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    /// A disk of so many MiB; none when all of the test has been done elsewhere.
    pub(crate) fn new(mib: u64) -> Option<SmallDisk> {
        if !rustix::process::geteuid().is_root() {
            run_as_root_of_a_namespace();
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={mib}m,mode=711");
        let mounted =
            program("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "a tmpfs must be had");
        Some(SmallDisk(folder))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Bytes that are free.
    pub(crate) fn free(&self) -> u64 {
        let disk = statvfs(self.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Fills it, or makes room, until so many bytes are free; others may use some meanwhile.
    pub(crate) fn leave(&self, bytes: u64) {
        let path = self.path().join("filler");
        let filler = File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let (is, free) = (filler.metadata().unwrap().len(), self.free());
        let becomes = (is + free).saturating_sub(bytes);
        if becomes <= is {
            filler.set_len(becomes).unwrap();
        } else {
            fallocate(&filler, FallocateFlags::empty(), 0, becomes).unwrap();
        }
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut step = 1 << 20;
        while step >= 4096 {
            let left = self.free();
            if left < step {
                step /= 2;
                continue;
            }
            self.leave(left - step);
        }
    }
}

/// Runs this very test there.
fn run_as_root_of_a_namespace() {
    let this = std::thread::current();
    let (test, tests) = (this.name().unwrap(), std::env::current_exe().unwrap());
    let mut command = program("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--"]).arg(tests).args([
        "--exact",
        test,
        "--nocapture",
    ]);
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test} mounts a disk of its own, so it needs root, or user and mount namespaces, and with those it said:\n{said}"
    );
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the last process of a killed server may be on its way out.
        let gone = program("umount").arg("--lazy").arg(self.path()).status();
        assert!(gone.unwrap().success() || std::thread::panicking(), "the disk stays mounted");
    }
}
