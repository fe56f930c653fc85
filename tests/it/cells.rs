//! Cells: what an Instance stands in (`instance/shim/cell.c`): used again where nothing was left in it, and never where anything was.

use std::collections::HashSet;
use std::path::Path;

use fnlite::base::sys::landlock_abi;
use serde_json::{Value, json};

use crate::function::source;
use crate::server::Server;
use crate::wait;

/// Tells what it finds of an earlier run and which temporary folders it has, then leaves what the event names.
const LEAVER: &str = r#"
import ctypes, errno, os, signal, subprocess

libc = ctypes.CDLL(None, use_errno=True)
KEY, MAKE = 77, 0o1666
STATS = ("st_dev", "st_ctime_ns", "st_mode", "st_uid", "st_nlink", "st_size", "st_mtime_ns", "st_atime_ns")

def place(path):
    stat = os.stat(path)
    return [getattr(stat, name) for name in STATS]

def found():
    yield "paths", [path for path in ("/tmp/left", "/dev/shm/left") if os.path.lexists(path)]
    yield "attributes", os.listxattr("/tmp") + os.listxattr("/dev/shm")
    yield "segment", libc.shmget(KEY, 0, 0) != -1
    yield "semaphore", libc.semget(KEY, 0, 0) != -1
    yield "queue", libc.msgget(KEY, 0) != -1
    yield "posix queue", libc.mq_open(b"/left", os.O_RDONLY) != -1 or ctypes.get_errno() != errno.ENOENT
    yield "processes", [name for name in os.listdir("/proc") if name.isdigit() and name not in ("1", "2")]
    yield "pid", os.getpid() != 2

def leave(kind):
    if kind in ("file", "removed file"):
        open("/tmp/left", "w").close()
    if kind == "removed file":
        os.unlink("/tmp/left")
    if kind == "folder":
        os.makedirs("/tmp/left/deeper")
    if kind == "mode":
        os.chmod("/tmp", 0o700)
    if kind == "times":
        os.utime("/tmp", (1, 1))
    if kind == "attribute":
        os.setxattr("/tmp", "user.left", b"1")
    if kind == "shared file":
        open("/dev/shm/left", "w").close()
    if kind == "listing":
        os.listdir("/tmp")
    if kind == "segment" and libc.shmget(KEY, 4096, MAKE) == -1:
        raise OSError(ctypes.get_errno(), kind)
    if kind == "semaphore" and libc.semget(KEY, 1, MAKE) == -1:
        raise OSError(ctypes.get_errno(), kind)
    if kind == "queue" and libc.msgget(KEY, MAKE) == -1:
        raise OSError(ctypes.get_errno(), kind)
    if kind == "posix queue":
        # Landlock lets nobody open one, but it is made.
        libc.mq_open(b"/left", os.O_CREAT | os.O_RDWR, 0o600, None)
        if libc.mq_open(b"/left", os.O_RDONLY) == -1 and ctypes.get_errno() == errno.ENOENT:
            raise RuntimeError(kind)
    if kind == "child":
        subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=0, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if kind == "signals":
        for number in signal.valid_signals():
            try:
                os.kill(1, number)
            except PermissionError:
                pass  # Landlock's scopes, where the kernel has them
    if kind == "init":
        tries = [lambda path=path: os.open("/proc/1/" + path, os.O_RDONLY) for path in ("mem", "fd/0", "ns/mnt", "environ")]
        tries.append(lambda: os.utime("/proc/1", (1, 1)))
        tries.append(lambda: os.setpriority(os.PRIO_PROCESS, 1, 10))
        tries.append(lambda: os.sched_setaffinity(1, os.sched_getaffinity(1)))
        tries.append(lambda: open("/proc/sys/kernel/ns_last_pid", "w").write("100"))
        for number, attempt in enumerate(tries):
            try:
                attempt()
            except OSError:
                continue
            raise RuntimeError("attempt %d was let through" % number)

def main_handler(event, context):
    told = {"places": [place("/tmp"), place("/dev/shm")], "found": [name for name, there in found() if there]}
    leave(event)
    return told
"#;

/// What nothing is left of: children die, and what holds the cell cannot be reached.
const WITHOUT_TRACE: [&str; 4] = ["nothing", "child", "signals", "init"];

const TRACES: [&str; 12] = [
    "file",
    "removed file",
    "folder",
    "mode",
    "times",
    "attribute",
    "shared file",
    "listing",
    "segment",
    "semaphore",
    "queue",
    "posix queue",
];

/// How many runs look for what one has left: more than are parked.
const LOOKS: usize = 12;

/// Whether the kernel lets it be found out that nothing is left, and Landlock keeps descriptors where they are.
fn can_be_used_again() -> bool {
    Path::new("/proc/sys/kernel/ns_last_pid").exists() && landlock_abi() >= 6
}

fn run(server: &Server, kind: &str) -> Value {
    let told = server.invoke("leaver", json!(kind).to_string()).returned();
    assert_eq!(told["found"], json!([]), "{kind}: {told}");
    told
}

/// Which temporary folders it had: a number of the kernel's that is given again, and when they were made.
fn folders(told: &Value) -> HashSet<String> {
    let places = told["places"].as_array().unwrap();
    places.iter().map(|place| format!("{} {}", place[0], place[1])).collect()
}

/// Whether this host can do that at all: before Linux 6.6 such folders had no attributes.
fn can_leave(server: &Server, kind: &str) -> bool {
    let answer = server.call("POST", "/v1/functions/leaver/invoke", json!(kind).to_string().as_bytes());
    if answer.status == 200 {
        return true;
    }
    assert!(kind == "attribute", "{kind}: {}", answer.text());
    eprintln!("NOT TESTED: this host cannot leave what is called {kind}");
    false
}

#[test]
fn what_one_run_leaves_behind_no_other_finds_at_any_level_with_namespaces() {
    for level in [3, 5] {
        let server = Server::at_level(level);
        if server.level() < 3 {
            eprintln!(
                "SKIPPED: this machine gives runs no namespaces; the server reached level {}",
                server.level()
            );
            return;
        }
        server.deploy("leaver", &source(LEAVER));
        for kind in TRACES {
            if !can_leave(server, kind) {
                continue;
            }
            let left = folders(&run(server, kind));
            for _ in 0..LOOKS {
                let seen = folders(&run(server, "nothing"));
                assert!(left.is_disjoint(&seen), "level {level}: {kind}: {left:?}");
            }
        }
        for kind in WITHOUT_TRACE {
            (0..LOOKS).for_each(|_| drop(run(server, kind)));
        }
    }
}

#[test]
fn what_was_left_as_it_was_is_used_again_and_looks_the_same() {
    let server = Server::start(&[]);
    if server.level() < 3 || !can_be_used_again() {
        eprintln!("SKIPPED: this machine has no namespaces, ns_last_pid or scopes of Landlock (Linux 6.12)");
        return;
    }
    server.deploy("leaver", &source(LEAVER));
    for kind in WITHOUT_TRACE {
        let mut seen = HashSet::new();
        wait::until("a run stands where another has stood", || {
            let told = run(&server, kind);
            (!seen.insert(told.to_string())).then_some(())
        });
    }
}
