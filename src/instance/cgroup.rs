//! Control groups: what holds the memory and the number of processes of an Instance and all it starts, whatever kind of
//! memory it is (level 4). Files in /tmp, /dev/shm and memory files count too, which nothing else does.
//!
//! A group costs more to make than an Instance can afford, so groups are used again: [`Groups::take`] gives one that nobody
//! is in any more. An Instance enters by itself, by writing to descriptors that were opened here ([`Lease::entries`]); it
//! needs no right of its own for that. In the older design a thread that moves itself takes no lock that forks wait for; in
//! the newer one it does, and waits some 10 ms for it when nobody has for a while: it is parked then, and nobody waits.
//!
//! Code that has taken its zygote over keeps the descriptors of every group that its Instances were to enter, and may enter
//! them itself whenever it likes, with as much memory as it takes to have whoever is in one ended. So groups that a zygote is
//! told of are of a set of its own ([`Lease::apart`]), and are removed with it: to nobody else they are ever given.
//!
//! What must stay true: a group is given out only empty, so that nobody pays for another one's memory; a limit stands
//! before anybody enters; who cannot enter does not run; no function gets a group that another one's code may enter. Groups
//! of a server that was killed are removed by the next one.

mod group;
mod place;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::sleep;
use std::time::Duration;

use self::group::Group;
use self::place::{Hierarchy, Moved};
use crate::model::limits;

/// Empty groups of a set that are kept for later: each is six open files. As many as are dying at once under load.
const FREE_MAX: usize = 64;

/// Groups of a set that may wait for whoever is in them to be gone. Under load hundreds are dying at once; beyond that
/// somebody has entered by itself, and stays.
const HELD_MAX: usize = 512;

/// Groups looked at for an empty one before a new one is made: the first were left first.
const LOOKS_MAX: usize = 4;

/// How often, and how long apart, it is tried to remove what somebody is dying in.
const BURIED_TRIES: usize = 200;
const BURIED_AFTER: Duration = Duration::from_millis(5);

/// Begins the name of every folder of ours; the server's process id follows.
const PREFIX: &str = "fnlite-";

/// Where a server whose own group may hold no processes moves itself.
const SERVER: &str = "fnlite-server";

/// A set of this server's groups.
#[derive(Debug)]
pub(crate) struct Groups {
    ground: Arc<Ground>,
    free: Mutex<VecDeque<Group>>,
}

/// What all sets of groups share.
#[derive(Debug, Default)]
struct Ground {
    /// This server's folder in each hierarchy.
    folders: Vec<Folder>,
    next: AtomicU64,
    /// Of sets that are no more, with somebody in it when it was last tried to remove them.
    left: Mutex<Vec<Group>>,
    /// Last, as it ends after the folders.
    moved: Option<Moved>,
}

/// A folder of this server's in one hierarchy.
#[derive(Debug)]
struct Folder {
    hierarchy: Hierarchy,
    path: PathBuf,
}

impl Groups {
    /// Makes this server's folders, and tries one group; the error says what this host does not give.
    pub(crate) fn open() -> Result<Groups, String> {
        // From here on what was made is removed again if the rest cannot be.
        let mut ground = Ground::default();
        for hierarchy in place::find()? {
            let (folder, optional) = (hierarchy.folder.clone(), hierarchy.is_optional());
            match ground.add(hierarchy) {
                Ok(()) => {}
                Err(cause) if optional => log::info!("{}: {cause}", folder.display()),
                Err(cause) => return Err(format!("{}: {cause}", folder.display())),
            }
        }
        let groups = Groups { ground: Arc::new(ground), free: Mutex::default() };
        groups.try_one().map_err(|cause| cause.to_string())?;
        Ok(groups)
    }

    fn try_one(&self) -> io::Result<()> {
        let mut group = self.make()?;
        let limited = group.limit(64 << 20);
        let is_empty = group.is_empty();
        self.take_back(group);
        limited.and(if is_empty { Ok(()) } else { Err(io::Error::other("a new group is not empty")) })
    }

    fn make(&self) -> io::Result<Group> {
        let number = self.ground.next.fetch_add(1, Ordering::Relaxed);
        Group::make(&self.ground.folders, &number.to_string())
    }

    /// How many hierarchies a process has to enter.
    pub(crate) fn count(&self) -> usize {
        self.ground.folders.len()
    }

    /// Which kind of groups these are, for people.
    pub(crate) fn kind(&self) -> &'static str {
        if self.ground.folders.iter().any(|folder| folder.hierarchy.version == place::Version::One) {
            "cgroup v1"
        } else {
            "cgroup v2"
        }
    }

    /// What all groups together may hold, bytes: beyond it the kernel ends one of the functions and nobody else. On a busy
    /// host they get as much of the processors as `cores` processes would.
    pub(crate) fn limit_all(&self, memory_bytes: u64, cores: usize) {
        for folder in &self.ground.folders {
            let limited =
                group::limit_memory(folder, memory_bytes).and_then(|()| group::weigh(folder, cores));
            if let Err(cause) = limited {
                log::warn!("{}: functions together are not limited: {cause}", folder.path.display());
            }
        }
    }

    /// An empty group for a run of `memory_mb`: what its processes hold together and what they keep in /tmp (D9).
    pub(crate) fn take(self: &Arc<Groups>, memory_mb: u32) -> io::Result<Lease> {
        let memory_bytes = (u64::from(memory_mb) << 20) + limits::TMP_BYTES;
        let mut group = match self.find_empty() {
            Some(group) => group,
            None if self.is_full() => {
                return Err(io::Error::other("processes stay in control groups they should have left"));
            }
            None => self.make()?,
        };
        match group.limit(memory_bytes) {
            Ok(()) => Ok(Lease { groups: Arc::clone(self), group: Some(group) }),
            Err(cause) => {
                self.take_back(group);
                Err(cause)
            }
        }
    }

    fn find_empty(&self) -> Option<Group> {
        let mut free = self.lock();
        let looks = if free.len() < HELD_MAX { LOOKS_MAX } else { free.len() };
        let index = free.iter().take(looks).position(Group::is_empty)?;
        free.remove(index)
    }

    fn is_full(&self) -> bool {
        self.lock().len() >= HELD_MAX
    }

    fn take_back(&self, group: Group) {
        self.lock().push_back(group);
        self.remove_one_beyond(FREE_MAX);
    }

    /// Keeps no more than so many of the groups that nobody uses now.
    pub(crate) fn shrink(&self, kept: usize) {
        let beyond = self.lock().len().saturating_sub(kept);
        (0..beyond).for_each(|_| self.remove_one_beyond(kept));
    }

    /// Of those that were left first, one that nobody is dying in still.
    fn remove_one_beyond(&self, kept: usize) {
        let mut free = self.lock();
        if free.len() > kept
            && let Some(index) = free.iter_mut().take(LOOKS_MAX).position(Group::remove)
        {
            free.remove(index);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Group>> {
        self.free.lock().expect("no holder of this lock can panic")
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let free = self.free.get_mut().expect("no holder of this lock can panic");
        self.ground.lock().extend(free.drain(..));
        self.ground.remove_left();
    }
}

impl Ground {
    /// Makes this server's folder below the group it is in itself.
    fn add(&mut self, hierarchy: Hierarchy) -> io::Result<()> {
        self.moved = hierarchy.delegate()?;
        remove_abandoned(&hierarchy.folder);
        let path = hierarchy.folder.join(format!("{PREFIX}{}", std::process::id()));
        make(&path)?;
        self.folders.push(Folder { hierarchy, path });
        self.folders.iter().try_for_each(|folder| folder.hierarchy.hand_down(&folder.path))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Group>> {
        self.left.lock().expect("no holder of this lock can panic")
    }

    /// Removes what nobody is in any more; true if that is all.
    fn remove_left(&self) -> bool {
        let mut left = self.lock();
        left.retain_mut(|group| !group.remove());
        left.is_empty()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for _ in 0..BURIED_TRIES {
            if self.remove_left() {
                break;
            }
            // Who was killed a moment ago is still in one.
            sleep(BURIED_AFTER);
        }
        for folder in &self.folders {
            if let Err(cause) = fs::remove_dir(&folder.path) {
                log::info!("{} is left for the next start: {cause}", folder.path.display());
            }
        }
    }
}

/// A group in use; it goes back when this is dropped, which should be when its processes are dead or dying.
#[derive(Debug)]
pub(crate) struct Lease {
    groups: Arc<Groups>,
    group: Option<Group>,
}

impl Lease {
    /// What a process writes `0` to in order to enter, one after the other.
    pub(crate) fn entries(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.group.iter().flat_map(Group::entries)
    }

    /// Another set of groups, empty still; nobody gets one of them from any other set.
    pub(crate) fn apart(&self) -> Arc<Groups> {
        let ground = Arc::clone(&self.groups.ground);
        ground.remove_left();
        Arc::new(Groups { ground, free: Mutex::default() })
    }

    /// Memory its processes hold that is no file, KiB; pages shared with whom they were forked from do not count.
    pub(crate) fn anonymous_kb(&self) -> Option<u64> {
        self.group.as_ref().and_then(Group::anonymous_kb)
    }

    /// Whether the kernel has ended a process of it for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.group.as_ref().is_some_and(Group::ran_out_of_memory)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(group) = self.group.take() {
            self.groups.take_back(group);
        }
    }
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        // Of a killed server that had the same process id.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Removes what servers left that are no more.
fn remove_abandoned(beside: &Path) {
    let Ok(entries) = fs::read_dir(beside) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse().ok());
        if owner.is_some_and(is_gone) {
            remove_tree(&entry.path());
        }
    }
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// What still has somebody in it cannot be removed, and stays.
fn remove_tree(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
