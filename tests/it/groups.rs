//! Level 4: what a run and all it starts hold together is counted, whatever kind of memory it is, and bounded.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::server::{Run, Server};
use crate::wait;

/// A server that counts in control groups; where it cannot, it says so, and so does the test.
fn counting() -> Option<Server> {
    let server = Server::start(&[]);
    let level = server.level();
    if level < 4 {
        eprintln!(
            "SKIPPED: this machine gives no control groups to write to; the server reached level {level}"
        );
    }
    (level >= 4).then_some(server)
}

/// Whether the kernel ends all of a group that it takes a process of; the older design does not.
fn ends_groups_whole(server: &Server) -> bool {
    let said = server.fnlite(&["doctor"]).stdout;
    let is_newer = String::from_utf8_lossy(&said).contains("(cgroup v2)");
    if !is_newer {
        eprintln!("SKIPPED: this machine has cgroup v1, where one process of a run is ended and not all");
    }
    is_newer
}

/// The folders of a server's groups that are there now.
fn folders_of(pid: u32) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let name = format!("fnlite-{pid}");
    points.flat_map(|point| folders_named(&name, PathBuf::from(point), 4)).collect()
}

fn folders_named(name: &str, below: PathBuf, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .flat_map(|folder| match folder.file_name() == name {
            true => vec![folder.path()],
            false if depth > 0 => folders_named(name, folder.path(), depth - 1),
            false => Vec::new(),
        })
        .collect()
}

fn run(server: &Server, name: &str, event: Value) -> Run {
    server.invoke(name, event.to_string())
}

/// Holds so many MB in memory files, which are no process's own memory, each smaller than a file may be.
const MEMORY_FILES: &str = "
import os
def main_handler(event, context):
    files = [os.memfd_create('x') for _ in range(event['files'])]
    for file in files:
        for _ in range(event['mb']):
            os.write(file, bytes(1 << 20))
    return len(files)
";

#[test]
fn memory_that_belongs_to_no_process_counts() {
    let Some(server) = counting() else { return };
    server.deploy("files", &source(MEMORY_FILES).with("memory_mb", 64).with("timeout_s", 60));
    assert_eq!(run(&server, "files", json!({ "files": 2, "mb": 150 })).returned(), 2);
    let over = run(&server, "files", json!({ "files": 3, "mb": 300 }));
    assert_eq!(over.failed(434).error_message, "Task memory exceeded 64 MB");
    assert_eq!(
        run(&server, "files", json!({ "files": 1, "mb": 1 })).returned(),
        1,
        "the next has all of its own"
    );
}

#[test]
fn a_run_ends_whole_when_one_of_its_processes_took_too_much() {
    let Some(server) = counting().filter(ends_groups_whole) else { return };
    let code = "
import os
def main_handler(event, context):
    files = [os.memfd_create('x') for _ in range(3)]
    if os.fork() == 0:
        for file in files:
            for _ in range(300):
                os.write(file, bytes(1 << 20))
        os._exit(0)
    os.wait()
    return 'alone'
";
    server.deploy("family", &source(code).with("memory_mb", 64).with("timeout_s", 60));
    assert_eq!(server.invoke("family", "1").status, 434);
}

#[test]
fn memory_files_of_a_spawned_run_count_as_well() {
    let Some(server) = counting() else { return };
    let code =
        format!("import threading\nthreading.Thread(target=input, daemon=True).start()\n{MEMORY_FILES}");
    server.deploy("spawned", &source(&code).with("memory_mb", 64).with("timeout_s", 60));
    assert_eq!(run(&server, "spawned", json!({ "files": 1, "mb": 10 })).returned(), 1);
    assert_eq!(run(&server, "spawned", json!({ "files": 3, "mb": 300 })).status, 434);
}

#[test]
fn code_that_takes_too_much_while_it_loads_is_at_fault_itself() {
    let Some(server) = counting() else { return };
    let hoard = "
import os
files = [os.memfd_create('x') for _ in range(3)]
for file in files:
    for _ in range(300):
        os.write(file, bytes(1 << 20))
def main_handler(event, context):
    return 1
";
    server.deploy("hoard", &source(hoard).with("memory_mb", 64));
    assert_eq!(server.invoke("hoard", "1").status, 434);
}

/// Forks so many children that wait, and says how many there are.
const FORKS: &str = "
import os, time
def main_handler(event, context):
    made = 0
    try:
        for _ in range(event):
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            made += 1
    except OSError:
        pass
    time.sleep(0.1)
    return made
";

#[test]
fn pages_that_forks_share_are_counted_once() {
    let Some(server) = counting() else { return };
    server.deploy("forks", &source(FORKS).with("timeout_s", 30));
    // Each is 8 MB, nearly all of it shared: counted one by one they would be far over 128 MB.
    assert_eq!(server.invoke("forks", "40").returned(), 40);
}

#[test]
fn a_run_has_no_more_processes_than_it_may() {
    let Some(server) = counting() else { return };
    server.deploy("bomb", &source(FORKS).with("memory_mb", 3072).with("timeout_s", 60));
    let made = server.invoke("bomb", "3000").returned().as_u64().unwrap();
    assert!((900..1024).contains(&made), "{made}");
    assert_eq!(server.value_of("after", &expression("event"), "7"), 7);
}

#[test]
fn groups_are_used_again_and_go_with_the_server() {
    let Some(server) = counting() else { return };
    server.deploy("hello", &expression("event"));
    for number in 0..300 {
        assert_eq!(server.invoke("hello", number.to_string()).returned(), number);
    }
    let folders = folders_of(server.pid());
    assert!(!folders.is_empty());
    let made = fs::read_dir(&folders[0]).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    // At most those that are kept, and a few that somebody was dying in.
    assert!((1..80).contains(&made), "{made} groups for 300 runs one by one");
    let pid = server.pid();
    let (status, _place) = server.stop();
    assert!(status.success());
    assert_eq!(folders_of(pid), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_server_left_is_cleared_by_the_next() {
    let Some(server) = counting() else { return };
    server.deploy("hello", &expression("event"));
    server.invoke("hello", "1").returned();
    let pid = server.pid();
    let place = server.kill9();
    assert!(!folders_of(pid).is_empty(), "nobody was left to remove them");
    let mut place = Some(place);
    wait::until("the groups are gone", || {
        let (_, back) = place.take().unwrap().serve(&[]).stop();
        place = Some(back);
        folders_of(pid).is_empty().then_some(())
    });
}

/// Takes the place of the process its runs are forked from and keeps what lets those enter their groups. At the second
/// event it has a process enter each of them and take more memory there than a group may hold.
const THIEF: &str = "
import array, os, socket

def plunder(entries):
    for entry in entries:
        os.write(entry, b'0')
    for _ in range(3):
        file = os.memfd_create('x')
        for _ in range(300):
            os.write(file, bytes(1 << 20))

def plunder_all(groups):
    for entries in groups.values():
        if os.fork() == 0:
            try:
                plunder(entries)
            finally:
                os._exit(0)
        os.wait()

control = socket.socket(fileno=3)
control.send(b'{\"kind\": \"Z\", \"text\": \"\", \"load_us\": 1}')
groups, orders = {}, 0
while True:
    order, passed, _, _ = control.recvmsg(64, 1024)
    if order[:1] != b'N':
        continue
    orders += 1
    numbers = [number for _, _, data in passed for number in array.array('i', data)]
    if orders == 13:  # those before were the tries of the first event
        plunder_all(groups)
    groups.setdefault(os.fstat(numbers[3]).st_ino, numbers[3:])
    for number in numbers[:3]:
        os.close(number)
";

#[test]
fn code_that_took_its_zygote_over_gets_into_no_group_of_others() {
    let Some(server) = counting() else { return };
    server.deploy("thief", &source(THIEF).with("memory_mb", 64).with("timeout_s", 60));
    server.deploy("victim", &folder("gate").with("memory_mb", 64).with("timeout_s", 60));
    server.invoke("thief", "{}").failed(500);
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let run = || scope.spawn(|| server.invoke("victim", gate.event()));
        let (runs, held) = ([run(), run()], [gate.arrival(), gate.arrival()]);
        server.invoke("thief", "{}").failed(500);
        drop(held);
        for run in runs {
            run.join().unwrap().returned();
        }
    });
}
