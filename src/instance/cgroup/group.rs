//! One group: a folder in each hierarchy, with the files of it that every use needs held open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::Folder;
use super::place::Version;
use crate::model::limits;

/// Bytes a group may still be charged with when it is given out again: what the kernel keeps of files that were read, and
/// gives up when the room is wanted.
const LEFT_BYTES_MAX: u64 = 32 << 20;

/// A group with its limits.
#[derive(Debug)]
pub(super) struct Group {
    parts: Vec<Part>,
    /// How often the kernel has ended a process of it.
    kills: File,
    /// What it holds now.
    usage: File,
    /// How many are in it. Not the list of them: the older design repeats for a second what it has told.
    count: File,
    limit_bytes: u64,
    kills_before: u64,
}

/// The folder in one hierarchy.
#[derive(Debug)]
struct Part {
    folder: Folder,
    /// Writing moves the writer here.
    entry: File,
}

impl Group {
    /// Makes one named `name` below `parents`.
    pub(super) fn make(parents: &[Folder], name: &str) -> io::Result<Group> {
        let parts = parents.iter().map(|parent| Part::make(parent, name)).collect::<io::Result<Vec<_>>>()?;
        let open = |controller: &str, name: &str| {
            let part = parts.iter().find(|part| part.folder.hierarchy.has(controller));
            part.ok_or_else(|| io::Error::other("a controller is missing"))
                .and_then(|part| File::open(part.folder.path.join(name)))
        };
        let (kills, usage) = match parents[0].hierarchy.version {
            Version::One => ("memory.oom_control", "memory.usage_in_bytes"),
            Version::Two => ("memory.events", "memory.current"),
        };
        let (kills, usage) = (open("memory", kills)?, open("memory", usage)?);
        let count = open("pids", "pids.current")?;
        Ok(Group { parts, kills, usage, count, limit_bytes: 0, kills_before: 0 })
    }

    /// Limits it anew for its next use.
    pub(super) fn limit(&mut self, memory_bytes: u64) -> io::Result<()> {
        self.kills_before = self.count_kills();
        if self.limit_bytes == memory_bytes {
            return Ok(());
        }
        self.limit_bytes = 0;
        self.parts.iter().try_for_each(|part| limit_memory(&part.folder, memory_bytes))?;
        self.limit_bytes = memory_bytes;
        Ok(())
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.parts.iter().map(|part| part.entry.as_fd())
    }

    /// Whether nobody is in it and little is left of who was.
    pub(super) fn is_empty(&self) -> bool {
        number(&text(&self.count)) == Some(0)
            && number(&text(&self.usage)).is_some_and(|held| held <= LEFT_BYTES_MAX)
    }

    pub(super) fn ran_out_of_memory(&self) -> bool {
        self.count_kills() > self.kills_before
    }

    fn count_kills(&self) -> u64 {
        // Both designs have a line of that name.
        text(&self.kills)
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))
            .and_then(number)
            .unwrap_or(0)
    }

    pub(super) fn anonymous_kb(&self) -> Option<u64> {
        let memory = &self.parts.iter().find(|part| part.folder.hierarchy.has("memory"))?.folder;
        let field = match memory.hierarchy.version {
            Version::One => "rss ",
            Version::Two => "anon ",
        };
        let stat = fs::read_to_string(memory.path.join("memory.stat")).ok()?;
        Some(number(stat.lines().find_map(|line| line.strip_prefix(field))?)? >> 10)
    }

    /// Removes its folders; false while somebody is in one.
    pub(super) fn remove(&mut self) -> bool {
        let is_gone = |removed: io::Result<()>| match removed {
            Ok(()) => true,
            // The last time it was tried.
            Err(cause) => cause.kind() == io::ErrorKind::NotFound,
        };
        // In the others there is somebody as well.
        self.parts.iter().all(|part| is_gone(fs::remove_dir(&part.folder.path)))
    }
}

impl Part {
    fn make(parent: &Folder, name: &str) -> io::Result<Part> {
        let path: PathBuf = parent.path.join(name);
        super::make(&path)?;
        let folder = Folder { hierarchy: parent.hierarchy.clone(), path };
        if folder.hierarchy.has("pids") {
            fs::write(folder.path.join("pids.max"), limits::PROCESSES_MAX.to_string())?;
        }
        if folder.hierarchy.has("memory") && folder.hierarchy.version == Version::Two {
            // What is left of a run that lost a process is of no use.
            fs::write(folder.path.join("memory.oom.group"), "1")?;
        }
        let entry = match folder.hierarchy.version {
            // The older design's `cgroup.procs` takes a lock that forks wait for; for one thread this is the same.
            Version::One => "tasks",
            Version::Two => "cgroup.procs",
        };
        let entry = OpenOptions::new().write(true).open(folder.path.join(entry))?;
        Ok(Part { folder, entry })
    }
}

/// Limits memory, swap included; nothing where the hierarchy does not count it.
pub(super) fn limit_memory(folder: &Folder, bytes: u64) -> io::Result<()> {
    let set = |name: &str, value: &str| fs::write(folder.path.join(name), value);
    // Swap is not counted on every host.
    let set_if_there = |name: &str, value: &str| match set(name, value) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        // Where it is not, some kernels have the file all the same.
        Err(cause) if cause.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => Ok(()),
        done => done,
    };
    match (folder.hierarchy.has("memory"), folder.hierarchy.version) {
        (false, _) => Ok(()),
        (true, Version::Two) => {
            set("memory.max", &bytes.to_string())?;
            set_if_there("memory.swap.max", "0")
        }
        (true, Version::One) => {
            // The limit of both must never be below that of one.
            set_if_there("memory.memsw.limit_in_bytes", "-1")?;
            set("memory.limit_in_bytes", &bytes.to_string())?;
            set_if_there("memory.memsw.limit_in_bytes", &bytes.to_string())
        }
    }
}

/// Gives a group the weight of so many processes. The newer design weighs groups only against each other, and a server that
/// is weighed against its functions as a whole is well off.
pub(super) fn weigh(folder: &Folder, processes: usize) -> io::Result<()> {
    const ONE: usize = 1024;
    if !folder.hierarchy.has("cpu") || folder.hierarchy.version == Version::Two {
        return Ok(());
    }
    fs::write(folder.path.join("cpu.shares"), (ONE * processes).to_string())
}

/// What a file of the kernel's says now.
fn text(file: &File) -> String {
    let mut buffer = [0; 512];
    let length = file.read_at(&mut buffer, 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}
