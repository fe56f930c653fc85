//! Processes as /proc tells of them: who they are, and how much memory a tree of them holds (D9). Resident sizes are added
//! up process by process, so pages a handler shares with its own children count for each of them, and pages shared with its
//! zygote count as its own.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most processes looked at in one go: a fork bomb must not keep the watch busy.
const PROCESSES_MAX: usize = 2048;

/// Resident KiB of the processes `roots` and all their descendants now.
pub(crate) fn tree_kb(roots: &[u32]) -> u64 {
    let mut pids: Vec<u32> = roots.to_vec();
    let mut total_kb = 0;
    let mut next = 0;
    while let Some(pid) = pids.get(next).copied().filter(|_| next < PROCESSES_MAX) {
        next += 1;
        total_kb += field_kb(pid, "VmRSS:").unwrap_or(0);
        pids.extend(children(pid).into_iter().filter(|child| !roots.contains(child)));
    }
    total_kb
}

/// The most resident KiB that process ever had.
pub(crate) fn peak_kb(pid: u32) -> Option<u64> {
    field_kb(pid, "VmHWM:")
}

/// The process a pidfd stands for; `None` for one that has been reaped, and for a descriptor of another kind.
pub(crate) fn pid_of(pidfd: BorrowedFd<'_>) -> Option<u32> {
    let info = head(&format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    // -1 is one that is gone, 0 one that this process cannot see.
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// The parent of a process.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let stat = head(&format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything; fields are counted from behind it (proc(5)).
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn field_kb(pid: u32, field: &str) -> Option<u64> {
    let status = head(&format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The first 4 KiB of a small file of /proc, in one read: its size is not known, and asking in growing steps, as std does,
/// takes three times the system calls on the way of every run.
fn head(path: &str) -> Option<String> {
    let mut buffer = [0; 4096];
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}
