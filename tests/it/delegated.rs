//! A server in a group of its own of the newer control groups, as systemd and containers give it: it moves out of the way of
//! its functions' groups, and back when it stops. `scripts/vm-cgroup2` brings these where the host has the older design.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::function::expression;
use crate::server::{Place, Server, program, spawn};
use crate::wait;

/// Where the newer design is mounted alone.
const TOP: &str = "/sys/fs/cgroup";

/// Lets groups at the top have limits. Where the older design is, no such file is made.
fn hand_down() -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(Path::new(TOP).join("cgroup.subtree_control"))?;
    file.write_all(b"+memory +pids")
}

/// A group that is nobody else's, and goes with the value.
struct Group(PathBuf);

impl Group {
    /// `None`, said aloud, where such groups do not count memory or are not ours to make.
    fn new(name: &str) -> Option<Group> {
        let path = Path::new(TOP).join(format!("test-{name}-{}", std::process::id()));
        let made = hand_down().and_then(|()| fs::create_dir(&path)).map(|()| Group(path));
        made.inspect_err(|cause| eprintln!("SKIPPED: no cgroup v2 with memory and pids to write to: {cause}"))
            .ok()
    }

    /// Starts a server in the group itself, or in one below it.
    fn serve(&self, below: &str) -> Server {
        let words = self.entering(below);
        Place::new().serve_by(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    }

    fn entering(&self, below: &str) -> Vec<String> {
        let procs = self.0.join(below).join("cgroup.procs");
        let script = format!("echo 0 > {} && exec \"$@\"", procs.display());
        ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }

    fn start_another(&self) -> Child {
        let words = self.entering("");
        let mut command: Command = program(&words[0]);
        command.args(&words[1..]).args(["sleep", "600"]);
        spawn(command)
    }

    /// Who is in a group.
    fn members(&self, below: &str) -> Vec<u32> {
        let list = fs::read_to_string(self.0.join(below).join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// The groups below.
    fn below(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        wait::within(wait::PATIENCE, || {
            for group in self.below() {
                let _ = fs::remove_dir(group);
            }
            fs::remove_dir(&self.0).ok()
        });
    }
}

#[test]
fn a_server_moves_out_of_its_group_and_back() {
    let Some(group) = Group::new("alone") else { return };
    // The second would not get in if the first had left the group divided.
    for _ in 0..2 {
        let server = group.serve("");
        assert!(server.level() >= 4, "{}", server.place().said());
        assert_eq!(server.value_of("hello", &expression("event"), "7"), 7);
        assert_eq!(group.members(""), [0; 0]);
        assert!(group.members("fnlite-server").contains(&server.pid()));
        assert!(server.stop().0.success());
        assert_eq!(group.below(), Vec::<PathBuf>::new());
    }
}

#[test]
fn who_shares_its_group_with_others_leaves_it_as_it_is() {
    let Some(group) = Group::new("shared") else { return };
    let mut other = group.start_another();
    wait::until("the other is there", || (group.members("") == [other.id()]).then_some(()));
    let server = group.serve("");
    assert_eq!(server.level(), 3);
    let said = server.place().said();
    assert!(said.contains("other processes are in it, too"), "{said}");
    assert_eq!(server.value_of("hello", &expression("event"), "7"), 7);
    assert!(group.members("").contains(&server.pid()));
    assert_eq!(group.below(), Vec::<PathBuf>::new());
    assert!(server.stop().0.success());
    other.kill().and_then(|()| other.wait()).unwrap();
}

#[test]
fn after_a_kill_the_next_is_started_where_the_server_was() {
    let Some(group) = Group::new("killed") else { return };
    let server = group.serve("");
    let left = group.0.join(format!("fnlite-{}", server.pid()));
    server.kill9();
    assert!(left.exists(), "nobody was left to remove it");
    // Somebody may be dying in it for a moment.
    wait::until("what was left is gone", || {
        let next = group.serve("fnlite-server");
        assert!(next.level() >= 4, "{}", next.place().said());
        assert!(next.stop().0.success());
        (!left.exists()).then_some(())
    });
    assert_eq!(group.below(), [group.0.join("fnlite-server")]);
}
