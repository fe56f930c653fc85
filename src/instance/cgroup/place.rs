//! Where this host lets us make groups: found in /proc, whatever is mounted where (cgroups(7)).
//!
//! In the newer design a group that hands controllers down holds no processes itself. A server in such a group moves out
//! of its way, into a group below it, and back when it stops: else nobody could be started in its group again.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::SERVER;

/// Which of the kernel's two designs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// A hierarchy for each controller, or several.
    One,
    /// One hierarchy for all.
    Two,
}

/// A hierarchy, and the folder of it that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) folder: PathBuf,
    /// Which of [`NEEDED`] and [`WANTED`] it is for.
    pub(super) controllers: Vec<&'static str>,
}

/// Without these there are no groups.
const NEEDED: [&str; 2] = ["memory", "pids"];

/// Gives every run the same share of a busy processor, however many processes it has.
const WANTED: &str = "cpu";

/// The hierarchies that count memory and processes for us.
pub(super) fn find() -> Result<Vec<Hierarchy>, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|cause| format!("{path}: {cause}"));
    choose(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?, &|folder| {
        fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default()
    })
}

/// The newer design where it has both controllers, else the older.
fn choose(mounts: &str, own: &str, controllers: &dyn Fn(&Path) -> String) -> Result<Vec<Hierarchy>, String> {
    let mounted: Vec<Mount<'_>> = mounts.lines().filter_map(Mount::parse).collect();
    let Some(folder) = unified(&mounted, own) else { return choose_older(&mounted, own) };
    let has = controllers(&folder);
    let has = |name: &str| has.split_ascii_whitespace().any(|one| one == name);
    let Some(missing) = NEEDED.into_iter().find(|name| !has(name)) else {
        let controllers = NEEDED.into_iter().chain([WANTED]).filter(|name| has(name)).collect();
        return Ok(vec![Hierarchy { version: Version::Two, folder, controllers }]);
    };
    choose_older(&mounted, own).map_err(|_| format!("{} was given no {missing} controller", folder.display()))
}

fn choose_older(mounted: &[Mount<'_>], own: &str) -> Result<Vec<Hierarchy>, String> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for name in NEEDED.into_iter().chain([WANTED]) {
        let Some(folder) = separate(mounted, own, name) else {
            if name == WANTED {
                continue;
            }
            return Err(format!("no {name} controller is to be had"));
        };
        // Several may live together.
        match found.iter_mut().find(|one| one.folder == folder) {
            Some(one) => one.controllers.push(name),
            None => found.push(Hierarchy { version: Version::One, folder, controllers: vec![name] }),
        }
    }
    Ok(found)
}

/// The group this process is in; or the one above, if a server was put where it would have moved itself.
fn unified(mounted: &[Mount<'_>], own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.strip_suffix(SERVER).and_then(|above| above.strip_suffix('/')).unwrap_or(path);
    mounted.iter().filter(|mount| mount.kind == "cgroup2").find_map(|mount| mount.folder(path))
}

fn separate(mounted: &[Mount<'_>], own: &str, controller: &str) -> Option<PathBuf> {
    let is_it = |list: &str| list.split(',').any(|one| one == controller);
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        is_it(controllers).then_some(path)
    })?;
    mounted
        .iter()
        .filter(|mount| mount.kind == "cgroup" && is_it(mount.options))
        .find_map(|mount| mount.folder(path))
}

/// A line of mountinfo (proc(5)), as far as it matters here.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl Mount<'_> {
    fn parse(line: &str) -> Option<Mount<'_>> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let mut after = after.split(' ');
        Some(Mount {
            root: before.next()?,
            point: before.next()?,
            kind: after.next()?,
            options: after.nth(1)?,
        })
    }

    /// Where a path within the hierarchy is to be found; `None` if this mount does not show it.
    fn folder(&self, path: &str) -> Option<PathBuf> {
        let below = if self.root == "/" { path } else { path.strip_prefix(self.root)? };
        // Outside of what a namespace shows, paths begin with `/..`.
        let is_shown =
            (below.is_empty() || below.starts_with('/')) && !below.split('/').any(|part| part == "..");
        is_shown.then(|| Path::new(self.point).join(below.trim_start_matches('/')).components().collect())
    }
}

impl Hierarchy {
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    /// Whether it can be done without.
    pub(super) fn is_optional(&self) -> bool {
        self.controllers == [WANTED]
    }

    /// Sees to it that groups of ours may be limited and entered; this server moves out of their way if it must. Where others
    /// are in its group that is not ours to do.
    pub(super) fn delegate(&self) -> io::Result<Option<Moved>> {
        if self.version == Version::One {
            return Ok(None);
        }
        // Who enters a group must be allowed to write to what it and the one left have in common.
        OpenOptions::new().write(true).open(self.folder.join("cgroup.procs"))?;
        match self.hand_down(&self.folder) {
            // There are processes in it: this one, and perhaps others.
            Err(cause) if cause.kind() == io::ErrorKind::ResourceBusy => self.move_out().map(Some),
            handed => handed.map(|()| None),
        }
    }

    fn move_out(&self) -> io::Result<Moved> {
        let moved = Moved::below(self)?;
        self.hand_down(&self.folder).map_err(|cause| match cause.kind() {
            io::ErrorKind::ResourceBusy => io::Error::new(cause.kind(), "other processes are in it, too"),
            _ => cause,
        })?;
        Ok(moved)
    }

    /// Lets groups below `folder` have limits.
    pub(super) fn hand_down(&self, folder: &Path) -> io::Result<()> {
        match self.version {
            Version::One => Ok(()),
            // Some kernels refuse to divide processors where a process has a claim on them (sched(7)).
            Version::Two => {
                control(folder, '+', &self.controllers).or_else(|_| control(folder, '+', &NEEDED))
            }
        }
    }
}

fn control(folder: &Path, sign: char, controllers: &[&str]) -> io::Result<()> {
    let words: Vec<String> = controllers.iter().map(|name| format!("{sign}{name}")).collect();
    fs::write(folder.join("cgroup.subtree_control"), words.join(" "))
}

/// That this server has left its group for one below it; ends when this is dropped.
#[derive(Debug)]
pub(super) struct Moved {
    home: Hierarchy,
}

impl Moved {
    fn below(home: &Hierarchy) -> io::Result<Moved> {
        super::make(&home.folder.join(SERVER))?;
        let moved = Moved { home: home.clone() };
        fs::write(home.folder.join(SERVER).join("cgroup.procs"), "0")?;
        Ok(moved)
    }

    fn go_back(&self) -> io::Result<()> {
        let folder = &self.home.folder;
        // As long as it hands down, it takes nobody in.
        control(folder, '-', &self.home.controllers)?;
        fs::write(folder.join("cgroup.procs"), "0")?;
        fs::remove_dir(folder.join(SERVER))
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        if let Err(cause) = self.go_back() {
            log::info!("{} stays divided: {cause}", self.home.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 23 0:28 / /sys/fs/cgroup/cpu,pids rw,relatime shared:9 - cgroup cgroup rw,cpu,pids
33 23 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
34 23 0:30 / /proc rw,relatime - proc proc rw";

    fn chosen(mounts: &str, own: &str, controllers: &'static str) -> Result<Vec<Hierarchy>, String> {
        choose(mounts, own, &|_| controllers.to_owned())
    }

    #[test]
    fn the_newer_design_is_taken_where_it_has_the_controllers() {
        let found =
            chosen(HYBRID, "5:memory:/a\n4:cpu,pids:/b\n0::/s/f.service\n", "cpu memory pids").unwrap();
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (one.version, one.folder.to_str()),
            (Version::Two, Some("/sys/fs/cgroup/unified/s/f.service"))
        );
    }

    #[test]
    fn else_the_older_one_with_each_controller_where_it_is() {
        let found = chosen(HYBRID, "5:memory:/a\n4:cpu,pids:/\n0::/\n", "cpu hugetlb").unwrap();
        let folders: Vec<_> =
            found.iter().map(|one| (one.folder.to_str().unwrap(), one.controllers.join(" "))).collect();
        assert_eq!(
            folders,
            [
                ("/sys/fs/cgroup/memory/a", "memory".to_owned()),
                ("/sys/fs/cgroup/cpu,pids", "pids cpu".to_owned())
            ]
        );
    }

    #[test]
    fn controllers_that_live_together_are_one_folder() {
        let mounts = "31 23 0:27 / /cg rw - cgroup cgroup rw,memory,pids";
        let found = chosen(mounts, "5:pids,memory:/a", "").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].controllers, ["memory", "pids"]);
    }

    #[test]
    fn a_container_is_shown_its_own_part() {
        let mounts = "31 23 0:27 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw";
        let found = chosen(mounts, "0::/docker/1/x", "memory pids").unwrap();
        assert_eq!(found[0].folder, Path::new("/sys/fs/cgroup/x"));
        for hidden in ["0::/docker/12", "0::/../other", "0::/"] {
            assert!(chosen(mounts, hidden, "memory pids").is_err(), "{hidden}");
        }
    }

    #[test]
    fn a_server_put_where_it_would_move_is_at_home_above() {
        let mounts = "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup rw";
        for (own, home) in [
            ("0::/svc/fnlite-server", "/sys/fs/cgroup/svc"),
            ("0::/fnlite-server", "/sys/fs/cgroup"),
            ("0::/my-fnlite-server", "/sys/fs/cgroup/my-fnlite-server"),
        ] {
            assert_eq!(chosen(mounts, own, "memory pids").unwrap()[0].folder, Path::new(home));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mounts = "31 23 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        assert_eq!(chosen(mounts, "5:memory:/", ""), Err("no pids controller is to be had".to_owned()));
        assert_eq!(chosen("", "0::/", ""), Err("no memory controller is to be had".to_owned()));
        let mounts = "31 23 0:27 / /cg rw - cgroup2 cgroup rw";
        assert_eq!(chosen(mounts, "0::/a", "memory"), Err("/cg/a was given no pids controller".to_owned()));
    }
}
