//! What can be seen of an attempt from outside: files as they were, no process left, the server as small as before.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock::{Clock, SystemClock};
use crate::cli::exit::Failure;
use crate::instance::memory;

/// How long what an attempt started may take to be gone once its run has ended. The promise is half a second; a busy host
/// may need longer to bury a thousand processes.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much the server may have grown since the start, KiB, and how many descriptors it may hold more: parked runs come and
/// go, floods must not stay.
const GROWTH_KB_MAX: u64 = 96 << 10;
const DESCRIPTORS_MORE_MAX: usize = 300;

/// Files laid out for attempts to read and write, and how the server was before.
#[derive(Debug)]
pub(super) struct Outside {
    /// Everybody may read it; a secret is in it.
    pub(super) bait: PathBuf,
    /// Everybody may write to it.
    pub(super) bait_open: PathBuf,
    text: String,
    memory_kb: u64,
    descriptors: usize,
}

impl Outside {
    /// Lays the bait out in `folder`.
    pub(super) fn lay_out(folder: &Path, secret: &str) -> Result<Outside, Failure> {
        let (bait, bait_open) = (folder.join("bait.txt"), folder.join("bait-open.txt"));
        let text = format!("{secret}\n");
        for (path, mode) in [(&bait, 0o644), (&bait_open, 0o666)] {
            fs::write(path, &text)?;
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(Outside { bait, bait_open, text, memory_kb: memory_kb(), descriptors: descriptors() })
    }

    /// What is wrong, if anything is; waits a while for processes named `mark` to be gone.
    pub(super) fn amiss(&self, mark: &str) -> Option<String> {
        for bait in [&self.bait, &self.bait_open] {
            if fs::read_to_string(bait).ok().as_ref() != Some(&self.text) {
                return Some(format!("{} was changed", bait.display()));
            }
        }
        let left = wait_for_none(mark);
        if left > 0 {
            return Some(format!("{left} processes are left"));
        }
        let grown_kb = memory_kb().saturating_sub(self.memory_kb);
        if grown_kb > GROWTH_KB_MAX {
            return Some(format!("the server grew by {} MB", grown_kb >> 10));
        }
        let more = descriptors().saturating_sub(self.descriptors);
        (more > DESCRIPTORS_MORE_MAX).then(|| format!("the server has {more} more descriptors open"))
    }

    /// Waits a while for processes named `mark` to be gone; whether they are is told by [`Outside::amiss`].
    pub(super) fn settle(&self, mark: &str) {
        wait_for_none(mark);
    }

    /// Puts the bait back, so that one attempt's harm is not the next one's.
    pub(super) fn restore(&self) -> Result<(), Failure> {
        fs::write(&self.bait, &self.text)?;
        Ok(fs::write(&self.bait_open, &self.text)?)
    }
}

/// How many processes of that name still live after a while.
fn wait_for_none(mark: &str) -> usize {
    let deadline = SystemClock.now() + GONE_WITHIN;
    loop {
        let left = living(mark);
        if left == 0 || SystemClock.now() >= deadline {
            return left;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// How many processes of that name live; one that only waits to be reaped does not.
fn living(mark: &str) -> usize {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let stats = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let is_such = |stat: &String| {
        let Some((head, rest)) = stat.rsplit_once(") ") else { return false };
        head.split_once('(').is_some_and(|(_, name)| name == mark) && !rest.starts_with(['Z', 'X'])
    };
    stats.filter(is_such).count()
}

/// Resident KiB of this process, in which the server is.
fn memory_kb() -> u64 {
    memory::resident_kb(std::process::id()).unwrap_or(0)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
