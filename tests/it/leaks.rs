//! What one run leaves, no other sees: not a later one, not one beside it, not one of another function, however the
//! Instance came to be and wherever the trace was left. `tests/functions/python/leak` knows the places.
//!
//! Below level 3 not all of that can be kept. What cannot is named here, place by place, and in the README.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::function::{Function, folder, source};
use crate::gate::Gate;
use crate::processes;
use crate::server::Server;
use crate::wait;

/// As many runs as could have been parked while the trace was left, and some that are made later.
const LOOKS: usize = 8;

/// What a run found, place by place.
type Found = Map<String, Value>;

/// A function that leaves traces, and their mark: one that no other test and no other server on the host leaves. What would
/// stay on the host is cleared away however the test ends.
struct Leaking<'a> {
    server: &'a Server,
    name: &'a str,
    mark: String,
}

impl<'a> Leaking<'a> {
    fn deploy(server: &'a Server, name: &'a str, function: &Function) -> Leaking<'a> {
        server.deploy(name, &function.clone().with("timeout_s", 60));
        Leaking { server, name, mark: format!("{name}-{}", std::process::id()) }
    }

    fn event(&self, more: Value) -> String {
        let mut event = json!({ "mark": self.mark });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event.to_string()
    }

    #[track_caller]
    fn run(&self, more: Value) -> Found {
        let found = self.server.invoke(self.name, self.event(more)).returned();
        let Value::Object(found) = found else { panic!("{found}") };
        found
    }

    #[track_caller]
    fn look(&self) -> Found {
        self.run(json!({}))
    }

    /// A run is killed when its caller has the answer already. It holds its locks until its last thread is gone, which its
    /// first need not be.
    fn wait_until_gone(&self) {
        wait::until("the run's processes are gone", || (processes::unburied(&self.mark) == 0).then_some(()));
    }
}

impl Drop for Leaking<'_> {
    fn drop(&mut self) {
        self.server.invoke(self.name, self.event(json!({ "do": "clear" })));
    }
}

/// Where they differ.
fn differing<'a>(one: &'a Found, other: &Found) -> BTreeSet<&'a str> {
    one.keys().filter(|place| one[*place] != other[*place]).map(String::as_str).collect()
}

/// Where no run of a level can leave anything at all, where that depends on the rights of whoever runs the tests or on what
/// else happens at that moment, and where what it leaves stays.
struct Level {
    level: usize,
    refused: &'static [&'static str],
    depends: &'static [&'static str],
    stays: &'static [&'static str],
}

const WALLED: Level = Level {
    level: 3,
    refused: &["/var/tmp", "code", "host name", "keyring", "messages of POSIX", "out-of-memory score"],
    depends: &[],
    stays: &[],
};

const HELD: Level = Level {
    level: 2,
    refused: &[
        "/dev/shm",
        "/tmp",
        "/var/tmp",
        "code",
        "host name",
        "keyring",
        "messages of POSIX",
        "messages of System V",
        "out-of-memory score",
        "semaphores of System V",
        "shared memory of POSIX",
        "shared memory of System V",
    ],
    depends: &[],
    stays: &[],
};

const BARE: Level = Level {
    level: 1,
    refused: &["code", "host name"],
    // The rank is that of all processes of the user then, and one that is being forked is not among them.
    depends: &["out-of-memory score", "rank"],
    stays: &[
        "/dev/shm",
        "/tmp",
        "/var/tmp",
        "keyring",
        "messages of POSIX",
        "messages of System V",
        "semaphores of System V",
        "shared memory of POSIX",
        "shared memory of System V",
    ],
};

/// Leaves traces everywhere and looks for them in many runs.
fn check(expected: &Level, name: &str, function: &Function) {
    let level = expected.level;
    let leaking = Leaking::deploy(Server::at_level(level), name, function);
    let clean = leaking.look();
    let left = leaking.run(json!({ "do": "leave" }));
    let not_left: BTreeSet<&str> = clean.keys().map(String::as_str).collect();
    let mut not_left: Vec<&str> = not_left.difference(&differing(&clean, &left)).copied().collect();
    not_left.retain(|place| !expected.depends.contains(place));
    assert_eq!(not_left, expected.refused, "level {level}: {left:#?}");
    leaking.wait_until_gone();
    for look in 0..LOOKS {
        let found = leaking.look();
        let mut stayed: Vec<&str> = differing(&clean, &found).into_iter().collect();
        stayed.retain(|place| !expected.depends.contains(place));
        assert_eq!(stayed, expected.stays, "level {level}, look {look}: {found:#?}");
    }
}

#[test]
fn nothing_survives_a_run_at_level_4() {
    check(&Level { level: 4, ..WALLED }, "leak4", &folder("leak"));
}

#[test]
fn nothing_survives_a_run_at_level_3() {
    check(&WALLED, "leak3", &folder("leak"));
}

#[test]
fn nothing_survives_a_run_at_level_2() {
    check(&HELD, "leak2", &folder("leak"));
}

#[test]
fn what_survives_a_run_at_level_1_is_what_the_readme_says() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: without root the traces would be left to whoever runs the tests");
        return;
    }
    check(&BARE, "leak1", &folder("leak"));
}

/// Read locks and whole-file locks on files that several runs may read, such as their code, are seen beside the run that
/// holds them. They end with it.
const SEEN_BESIDE: [&str; 1] = ["locks"];

#[test]
fn nothing_of_a_run_is_seen_in_one_beside_it_at_level_3() {
    let server = Server::at_level(3);
    let leaking = Leaking::deploy(server, "beside", &folder("leak"));
    // The same code on the host's disk, too, and the same names.
    let mut other = Leaking::deploy(server, "other", &folder("leak"));
    other.mark.clone_from(&leaking.mark);
    let clean = [&leaking, &other].map(Leaking::look);
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let mut event: Value = serde_json::from_str(&gate.event()).unwrap();
        event["do"] = json!("leave");
        let run = scope.spawn(|| leaking.run(event));
        let held = gate.arrival();
        held.hear();
        for _ in 0..LOOKS {
            for (looking, clean) in [&leaking, &other].into_iter().zip(&clean) {
                let found = looking.look();
                let seen: Vec<&str> = differing(clean, &found).into_iter().collect();
                assert_eq!(seen, SEEN_BESIDE, "{}: {found:#?}", looking.name);
            }
        }
        drop(held);
        run.join().unwrap();
    });
    leaking.wait_until_gone();
    assert!(differing(&clean[0], &leaking.look()).is_empty());
}

/// A module whose Instances are started by themselves.
#[test]
fn nothing_survives_a_run_that_was_not_forked() {
    let threaded = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n\
                    from leaking import main_handler\n";
    let leak = folder("leak");
    let function = leak.clone().file("leaking.py", &leak.text("index.py")).file("index.py", threaded);
    check(&WALLED, "single3", &function);
    check(&HELD, "single2", &function);
}

/// Modules that make something at import which a fork would share, and a function that changes it and tells what it was.
const SHARED: [(&str, &str); 8] = [
    ("anonymous memory", "import mmap\nm = mmap.mmap(-1, 4096)\ndef use(): m[0] += 1; return m[0]"),
    (
        "memory that is read-only for now",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096)\na = ctypes.addressof(ctypes.c_char.from_buffer(m))\nl = ctypes.CDLL(None)\n\
         l.mprotect(ctypes.c_void_p(a), 4096, 1)\n\
         def use():\n    l.mprotect(ctypes.c_void_p(a), 4096, 3)\n    m[0] += 1\n    return m[0]",
    ),
    (
        "a file in memory, mapped",
        "import mmap, os\nf = os.memfd_create('v')\nos.truncate(f, 4096)\nm = mmap.mmap(f, 4096)\nos.close(f)\n\
         def use(): m[0] += 1; return m[0]",
    ),
    (
        "a file in memory",
        "import os\nf = os.memfd_create('f')\ndef use():\n    os.write(f, b'x')\n    return os.fstat(f).st_size",
    ),
    ("a position", "f = open(__file__)\ndef use(): return f.readline()"),
    (
        "a folder's position",
        "import os\nf = os.open('/usr', 0)\ndef use():\n    return [os.lseek(f, 0, 1), os.lseek(f, 5, 0)]",
    ),
    (
        "a pipe",
        "import os\nr, w = os.pipe()\n\
         def use():\n    os.write(w, b'xx')\n    os.read(r, 1)\n    return len(os.read(r, 9)) + os.write(w, b'x')",
    ),
    (
        "a queue of events",
        "import ctypes, os\nf = ctypes.CDLL(None).eventfd(1, 0)\n\
         def use():\n    found = os.read(f, 8).hex()\n    os.write(f, (2).to_bytes(8, 'little'))\n    return found",
    ),
];

#[test]
fn what_a_module_makes_at_import_is_as_new_in_every_run() {
    for level in 1..=4 {
        let server = Server::at_level(level);
        for (number, (what, module)) in SHARED.into_iter().enumerate() {
            let name = format!("shared-{number}");
            let handler = "\n\ndef main_handler(event, context):\n    return use()\n";
            server.deploy(&name, &source(&format!("{module}{handler}")));
            let first = server.invoke(&name, "{}").returned();
            for _ in 0..4 {
                assert_eq!(server.invoke(&name, "{}").returned(), first, "level {level}: {what}");
            }
        }
    }
}

/// Generators that are made at import: those seeded with nothing differ from run to run, a seeded one does what it says.
#[test]
fn a_generator_without_a_seed_draws_other_numbers_in_every_run() {
    let function = source(
        "
import random
from random import Random
class Own(Random): pass
unseeded = [Random(), random.Random(None), Own()]
unseeded[0].random()
again = Random(5)
again.seed()
seeded = [Random(5), Own(7)]
unseeded[2].seed(7)

def main_handler(event, context):
    both = [[one.random() for one in some] for some in (unseeded[:2] + [again], seeded + [unseeded[2]])]
    return both + [Random().random(), random.Random.seed.__module__]
",
    );
    for level in 1..=4 {
        let server = Server::at_level(level);
        server.deploy("generators", &function);
        let runs: Vec<Value> = (0..LOOKS).map(|_| server.invoke("generators", "{}").returned()).collect();
        let drawn: BTreeSet<String> = runs
            .iter()
            .flat_map(|run| run[0].as_array().unwrap().iter().chain([&run[2]]))
            .map(Value::to_string)
            .collect();
        assert_eq!(drawn.len(), LOOKS * 4, "level {level}: {runs:#?}");
        let seeded: BTreeSet<String> = runs.iter().map(|run| run[1].to_string()).collect();
        assert_eq!(seeded.len(), 1, "level {level}: {runs:#?}");
        assert_eq!(runs[0][3], "random", "the library's own method is back");
    }
}

/// Below level 3 /tmp is the host's, and each run has a folder instead.
#[test]
fn below_level_3_each_run_has_a_temporary_folder_that_goes_with_it() {
    let function = source(
        "
import os, tempfile

def main_handler(event, context):
    folder = tempfile.gettempdir()
    found = os.listdir(folder)
    deep = folder
    for _ in range(event):
        deep = os.path.join(deep, 'd' * 20)
        os.mkdir(deep)
    open(os.path.join(folder, 'file'), 'w').close()
    os.chmod(folder, 0)
    return [os.environ['TMPDIR'], folder, found]
",
    );
    for level in [1, 2] {
        let server = Server::at_level(level);
        server.deploy("tmp-user", &function);
        let folders: BTreeSet<String> = (0..LOOKS)
            .map(|_| {
                let told = server.invoke("tmp-user", "100").returned();
                assert_eq!((&told[0], &told[2]), (&told[1], &json!([])), "level {level}");
                told[0].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(folders.len(), LOOKS, "level {level}: {folders:?}");
        let left = || folders.iter().find(|folder| std::path::Path::new(folder).exists());
        wait::until("the folders are gone", || left().is_none().then_some(()));
    }
}
