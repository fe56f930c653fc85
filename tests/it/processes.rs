//! What /proc says about processes: whose children there are, which carry a mark, how much a process holds open.
//!
//! A process that has ended and waits to be reaped counts as gone: whoever should reap it may be this machine's init.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A process as it can be told apart from a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub pid: u32,
    started: u64,
}

impl Process {
    pub(crate) fn is_alive(self) -> bool {
        look(self.pid) == Some(self)
    }

    /// Its short name.
    pub(crate) fn name(self) -> String {
        fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default().trim_end().to_owned()
    }

    /// Its command line.
    pub(crate) fn arguments(self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = line.split_inclusive(|byte| *byte == 0);
        words.map(|word| String::from_utf8_lossy(word).trim_end_matches('\0').to_owned()).collect()
    }

    /// Its resident memory, KiB; none once it has ended.
    pub(crate) fn resident_kb(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// For messages.
    pub(crate) fn describe(self) -> String {
        format!("{} {} {:?}", self.pid, self.name(), self.arguments())
    }
}

/// The process of that number, if one lives.
pub(crate) fn look(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; fields are counted from behind it (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Process { pid, started })
}

/// The parent of the process of that number.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Every living process that is such a one.
pub(crate) fn all(is_such: impl Fn(Process) -> bool) -> Vec<Process> {
    pids().filter_map(look).filter(|process| is_such(*process)).collect()
}

/// How many processes of that name there are, with those that have ended and were not reaped yet.
pub(crate) fn unburied(name: &str) -> usize {
    let name_of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pids().filter(|pid| name_of(*pid).trim_end() == name).count()
}

/// Every living process whose environment has this variable, `NAME=value`.
pub(crate) fn marked(variable: &str) -> Vec<Process> {
    all(|process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    })
}

/// Every living descendant of a process.
pub(crate) fn below(pid: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let children = children(parent);
        found.extend(children.iter().copied().filter_map(look));
        parents.extend(children);
    }
    found
}

/// What a process has open, by what its descriptors lead to.
pub(crate) fn open_descriptors(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut open: Vec<String> = links
        .filter_map(|link| Some(fs::read_link(link.path()).ok()?.to_string_lossy().into_owned()))
        .collect();
    open.sort();
    open
}

/// A number out of /proc/PID/status: KiB for sizes.
pub(crate) fn status_figure(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// The names of a process's threads.
pub(crate) fn threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim_end().to_owned())
        .collect()
}

/// Lets this process open as many files as it may; how many that are.
pub(crate) fn raise_open_files() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.unwrap_or(u64::MAX)
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').filter_map(|word| word.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The process that a function's Instances are forked from: the one with children.
pub(crate) fn zygote_of(name: &str) -> Option<Process> {
    let marked = marked(&format!("SCF_FUNCTIONNAME={name}"));
    marked.into_iter().find(|process| !below(process.pid).is_empty())
}
