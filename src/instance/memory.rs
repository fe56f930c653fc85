//! Processes as /proc tells of them: who they are, and how much memory a tree of them holds (D9). Resident sizes are added
//! up process by process, so pages a handler shares with its own children count for each of them, and pages shared with its
//! zygote count as its own.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::base::clock::Clock;

/// Most processes looked at in one go: a fork bomb must not keep the watch busy.
const PROCESSES_MAX: usize = 2048;

/// How often the memory of a tree is looked at (D9).
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A look takes milliseconds where there are a thousand processes or threads, which may sleep meanwhile: it must not cost the
/// server more than one part in about so many of a processor's time.
const LOOK_SHARE: u32 = 10;

/// Longest time between two looks.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(250);

/// When the memory of a tree is looked at next. What ends before the first look costs none.
#[derive(Debug)]
pub(crate) struct Watch {
    due: Instant,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Watch {
        Watch { due: now + LOOK_EVERY }
    }

    /// Until the next look.
    pub(crate) fn due_in(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Looks if it is time to, with [`tree_kb`].
    pub(crate) fn look(&mut self, roots: impl FnOnce() -> Vec<u32>, clock: &dyn Clock) -> Option<u64> {
        let began = clock.now();
        if began < self.due {
            return None;
        }
        let held_kb = tree_kb(&roots());
        let now = clock.now();
        self.due = now + rest_after(now - began);
        Some(held_kb)
    }
}

fn rest_after(look: Duration) -> Duration {
    (look * LOOK_SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY)
}

/// Resident KiB of the processes `roots` and all their descendants now.
pub(crate) fn tree_kb(roots: &[u32]) -> u64 {
    let mut pids: Vec<u32> = roots.to_vec();
    let mut total_kb = 0;
    let mut next = 0;
    while let Some(pid) = pids.get(next).copied().filter(|_| next < PROCESSES_MAX) {
        next += 1;
        total_kb += resident_kb(pid).unwrap_or(0);
        pids.extend(children(pid).into_iter().filter(|child| !roots.contains(child)));
    }
    total_kb
}

/// The most resident KiB that process ever had.
pub(crate) fn peak_kb(pid: u32) -> Option<u64> {
    field_kb(pid, "\nVmHWM:")
}

/// The same of that process or one of its children, whichever had more: of two of which one only started the other.
pub(crate) fn peak_of_two_kb(pid: u32) -> Option<u64> {
    children(pid).into_iter().chain([pid]).filter_map(peak_kb).max()
}

/// Begins to count [`peak_kb`] anew (proc_pid_clear_refs(5)); where that is not to be had, it stays what it was.
pub(crate) fn reset_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The process a pidfd stands for; `None` for one that has been reaped, and for a descriptor of another kind.
pub(crate) fn pid_of(pidfd: BorrowedFd<'_>) -> Option<u32> {
    let info = text(&format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    // -1 is one that is gone, 0 one that this process cannot see.
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// The parent of a process.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    stat_field(pid, 4)?.parse().ok()
}

/// Whether a process is on its way out: its files are closed some time before its end can be seen.
pub(crate) fn is_ending(pid: u32) -> bool {
    /// PF_EXITING of the kernel's flags of a task.
    const EXITING: u32 = 4;
    stat_field(pid, 9).and_then(|flags| flags.parse::<u32>().ok()).is_some_and(|flags| flags & EXITING != 0)
}

/// A field by its number in proc_pid_stat(5), from the third on.
fn stat_field(pid: u32, number: usize) -> Option<String> {
    let stat = text(&format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything, so that is where counting begins.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(number - 3).map(str::to_owned)
}

/// Resident KiB of one process now.
pub(crate) fn resident_kb(pid: u32) -> Option<u64> {
    field_kb(pid, "\nVmRSS:")
}

/// A field of proc_pid_status(5), by how its line begins. It is looked for among bytes: text would be checked from end to end and
/// cut into lines first, some ten microseconds for each process that is looked at.
fn field_kb(pid: u32, field: &str) -> Option<u64> {
    let status = content(&format!("/proc/{pid}/status"))?;
    let at = memchr::memmem::find(&status, field.as_bytes())? + field.len();
    let line = status[at..].split(|byte| *byte == b'\n').next()?;
    str::from_utf8(line).ok()?.trim().strip_suffix(" kB")?.parse().ok()
}

fn text(path: &str) -> Option<String> {
    content(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A file of /proc, in one read where it has less than 4 KiB: its size is not known, and asking in growing steps, as std
/// does, takes three times the system calls on the way of every run. It has more where a user is in hundreds of groups, which
/// `status` names before it comes to memory.
fn content(path: &str) -> Option<Vec<u8>> {
    const USUAL_BYTES: usize = 4096;
    let file = File::open(path).ok()?;
    let mut bytes = vec![0; USUAL_BYTES];
    let mut length = file.read_at(&mut bytes, 0).ok()?;
    while length == bytes.len() {
        bytes.resize(length + USUAL_BYTES, 0);
        length += file.read_at(&mut bytes[length..], length as u64).ok()?;
    }
    bytes.truncate(length);
    Some(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn looks_are_rare_where_they_take_long() {
        let ms = Duration::from_millis;
        assert_eq!(rest_after(Duration::ZERO), ms(20));
        assert_eq!(rest_after(ms(5)), ms(50));
        assert_eq!(rest_after(Duration::from_secs(5)), ms(250));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that ends is what this is about")]
    fn a_process_is_ending_from_its_end_until_somebody_asks_for_it() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(!is_ending(child.id()));
        drop(child.stdin.take());
        while !is_ending(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_ending(child.id()), "nobody is there");
    }

    #[test]
    fn what_stands_behind_a_long_list_of_groups_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for groups in [1, 677, 678, 679, 680, 2000] {
            let whole = format!("Groups:\t{}\nVmRSS:\t  12 kB\n", "65534 ".repeat(groups));
            fs::write(file.path(), &whole).unwrap();
            assert_eq!(text(file.path().to_str().unwrap()), Some(whole), "{groups}");
        }
    }

    #[test]
    fn a_tree_is_looked_at_when_it_is_due_and_not_before() {
        let clock = ManualClock::new(0);
        let mut watch = Watch::new(clock.now());
        let mut look = || watch.look(|| vec![std::process::id()], &clock);
        assert_eq!(look(), None);
        clock.advance(LOOK_EVERY);
        assert!(look().is_some_and(|held_kb| held_kb > 0));
        assert_eq!(look(), None);
    }
}
