//! Endings under pressure: a thousand runs that end in every way there is, in a random order, eight at a time. Each ends as
//! it should, nothing of them is left, and those who share the host notice little of it.
//!
//! "Little" is measured on a neighbour: a function called every few milliseconds meanwhile. Its slowest in a hundred may take
//! twice what it takes beside eight callers of a function that behaves, computes for some milliseconds, and is called as fast
//! as it answers. Faults keep all processors busy as well (endless loops, interpreters that load, memory that is filled), and
//! beside nothing a call is several times faster on a host of two cores; but that says what load costs, not what faults do.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::endings::{self, Ending};
use crate::function::{Function, expression, source};
use crate::length::Rounds;
use crate::processes;
use crate::server::Server;
use crate::wait;

/// Callers at once.
const LANES: usize = 8;

/// Between two calls of the neighbour.
const NEIGHBOUR_EVERY: Duration = Duration::from_millis(5);

/// How much more memory the server may hold after a thousand runs than after the first three hundred, KiB. Keeping one in
/// ten of the answers of 6 MB would be 25 MB, keeping each log a hundred.
const GROWN_KB_MAX: u64 = 8 * 1024;

/// How the load that behaves computes: long enough to need its share of a processor, as what fails does.
const COMPUTES: &str = "def main_handler(event, context):\n    return sum(range(1_000_000))\n";

/// What is called, and what is to come of it.
enum Call {
    /// A run that fails.
    Fails(Ending),
    /// A run that returns something, and leaves what it can.
    Returns { name: &'static str, function: Function, event: Value },
    /// No run: the target below `/v1/functions`, the event, and the answer's status.
    Refused { target: &'static str, event: &'static str, http: u16 },
}

fn calls() -> Vec<Call> {
    let fails = endings::endings().into_iter().chain([unborn()]).map(Call::Fails);
    let refused = [
        ("returned/invoke", "{", 400),
        ("returned/invoke?qualifier=7", "{}", 404),
        ("nobody/invoke", "{}", 404),
    ];
    let refused = refused.map(|(target, event, http)| Call::Refused { target, event, http });
    fails.chain(returning()).chain(refused).collect()
}

fn returning() -> Vec<Call> {
    let floods =
        "def main_handler(event, context):\n    for _ in range(500): print('x' * 500)\n    return event\n";
    let leaves = "import os, subprocess\n\ndef main_handler(event, context):\n    subprocess.Popen(['sleep', '600'])\n    \
                  if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            while True: os.sched_yield()\n        \
                  os._exit(0)\n    open(os.environ.get('TMPDIR', '/tmp') + '/left', 'w').write('x' * 4096)\n    \
                  open('/dev/null')\n    return event\n";
    let spawned = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n\
                   def main_handler(event, context): return event\n";
    let events = [json!({}), json!([1, "é"]), json!(5), json!("x".repeat(100_000))];
    [
        ("returned", expression("event")),
        ("floods", source(floods)),
        ("leaves", source(leaves)),
        ("spawned", source(spawned)),
    ]
    .into_iter()
    .zip(events)
    .map(|((name, function), event)| Call::Returns { name, function, event })
    .collect()
}

/// The platform's own failure, or as near to it as a function comes.
fn unborn() -> Ending {
    let dies = "import os\nos.register_at_fork(after_in_child=lambda: os._exit(9))\ndef main_handler(event, context): pass";
    endings::ending("unborn", source(dies), (500, 502), "an Instance could not be made")
}

impl Call {
    /// What is to be deployed for it.
    fn function(&self) -> Option<(&'static str, &Function)> {
        match self {
            Call::Fails(ending) => Some((ending.name, &ending.function)),
            Call::Returns { name, function, .. } => Some((*name, function)),
            Call::Refused { .. } => None,
        }
    }

    fn make_and_check(&self, server: &Server) {
        match self {
            Call::Fails(ending) => {
                let run = server.invoke(ending.name, ending.event.to_string());
                let error = run.failed(ending.status.0);
                endings::check_answer(ending, &run, &error);
            }
            Call::Returns { name, event, .. } => {
                assert_eq!(&server.invoke(name, event.to_string()).returned(), event, "{name}");
            }
            Call::Refused { target, event, http } => {
                let answer = server.call("POST", &format!("/v1/functions/{target}"), event.as_bytes());
                assert_eq!((answer.status, answer.has_run()), (*http, false), "{target}: {}", answer.text());
            }
        }
    }
}

/// Numbers that look random and are the same each time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % count as u64).unwrap()
    }
}

/// So many calls, each kind about as often, in an order of chance.
fn shuffled(calls: &[Call], count: usize, dice: &mut Dice) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).map(|number| number % calls.len()).collect();
    for place in (1..order.len()).rev() {
        order.swap(place, dice.below(place + 1));
    }
    order
}

/// Has the lanes do `work` with each number below `count`.
fn in_lanes(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(number);
                }
            });
        }
    });
}

/// How long the neighbour's calls took while something else went on.
struct Neighbour<'a> {
    server: &'a Server,
    took: BTreeMap<&'static str, Vec<Duration>>,
}

impl<'a> Neighbour<'a> {
    fn move_in(server: &'a Server) -> Neighbour<'a> {
        for (name, function) in [("neighbour", expression("event")), ("computes", source(COMPUTES))] {
            server.deploy(name, &function);
            server.invoke(name, "{}").returned();
        }
        Neighbour { server, took: BTreeMap::new() }
    }

    /// Calls it until `other` is over.
    fn beside(&mut self, what: &'static str, other: impl FnOnce() + Send) {
        let (over, took) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut caller = self.server.caller();
                while !over.load(Ordering::Relaxed) {
                    let began = SystemClock.now();
                    caller.invoke("neighbour", "{}").returned();
                    took.lock().unwrap().push(SystemClock.now() - began);
                    std::thread::sleep(NEIGHBOUR_EVERY);
                }
            });
            // However it ends, the neighbour's thread has to.
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(other));
            over.store(true, Ordering::Relaxed);
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        self.took.entry(what).or_default().extend(took.into_inner().unwrap());
    }

    /// The slowest in a hundred.
    fn p99(&mut self, what: &str) -> Duration {
        let took = self.took.get_mut(what).unwrap();
        took.sort();
        took[took.len() * 99 / 100]
    }
}

/// Deletes all functions and waits until nothing of them is left.
fn settle(server: &Server, calls: &[Call]) {
    for name in calls.iter().filter_map(Call::function).map(|(name, _)| name).chain(["neighbour", "computes"])
    {
        server.call("DELETE", &format!("/v1/functions/{name}"), b"");
    }
    let left = || processes::below(server.pid());
    wait::until("no process is left", || left().is_empty().then_some(()));
    for name in ["tmp", "spool"] {
        let folder = server.place().file(&format!("fnlite.db.d/{name}"));
        let is_empty = || fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_none());
        wait::until("no temporary file is left", || is_empty().then_some(()));
    }
}

/// But for connections to the database and control groups, which are few and kept.
fn open_descriptors(server: &Server) -> Vec<String> {
    let group = format!("/fnlite-{}/", server.pid());
    let mut open = processes::open_descriptors(server.pid());
    open.retain(|path| !path.contains("fnlite.db") && !path.contains(&group));
    open
}

/// So many runs at one level.
fn check(level: usize, count: usize, seed: u64) -> Noticed {
    let level_max = level.to_string();
    let options = ["--isolation-max", &level_max, "--total-concurrency-mb", "16384"];
    let server = Server::start(&options);
    let (calls, mut dice) = (calls(), Dice(seed));
    let deploy = || {
        for (name, function) in calls.iter().filter_map(Call::function) {
            // Only those that are to be late may be, however busy the machine.
            server.deploy(name, &function.clone().or("timeout_s", 60));
        }
    };
    let round =
        |order: &[usize]| in_lanes(order.len(), |number| calls[order[number]].make_and_check(&server));
    deploy();
    round(&shuffled(&calls, count * 3 / 10, &mut dice));
    settle(&server, &calls);
    let (open, resident) = (open_descriptors(&server), processes::status_figure(server.pid(), "VmRSS"));
    deploy();
    let mut neighbour = Neighbour::move_in(&server);
    // In turns, so that what else the machine does falls on both.
    for part in shuffled(&calls, count, &mut dice).chunks(count.div_ceil(4)) {
        let began = SystemClock.now();
        neighbour.beside("faults", || round(part));
        let deadline = SystemClock.now() + (SystemClock.now() - began) / 2;
        neighbour.beside("load", || {
            in_lanes(LANES, |_| {
                let mut caller = server.caller();
                while SystemClock.now() < deadline {
                    caller.invoke("computes", "{}").returned();
                }
            })
        });
    }
    settle(&server, &calls);
    let now = || open_descriptors(&server);
    wait::within(wait::PATIENCE, || (now().len() <= open.len()).then_some(()))
        .unwrap_or_else(|| panic!("level {level}: open before: {open:#?}\nnow: {:#?}", now()));
    let grown_kb = processes::status_figure(server.pid(), "VmRSS").saturating_sub(resident);
    let noticed = Noticed { faults: neighbour.p99("faults"), load: neighbour.p99("load") };
    eprintln!(
        "level {level}: {resident} KiB resident, {grown_kb} more after {count} runs; p99 beside {noticed:?}"
    );
    assert!(grown_kb <= GROWN_KB_MAX, "level {level}: {resident} KiB, then {grown_kb} more");
    noticed
}

/// The neighbour's p99 beside either.
#[derive(Debug)]
struct Noticed {
    faults: Duration,
    load: Duration,
}

#[test]
fn a_thousand_runs_of_all_endings_are_told_apart_and_leave_nothing() {
    let noticed = check(4, 1000, 0x5EED);
    assert!(noticed.faults <= noticed.load * 2, "{noticed:?}");
}

/// Too few for a p99 that tells anything, unless all rounds are asked for.
#[test]
fn runs_of_all_endings_leave_nothing_at_the_lower_levels() {
    let count = Rounds { short: 150, all: 1000, soak: 1000 }.asked();
    for level in [1, 2, 3] {
        check(level, count, 0x5EED + level as u64);
    }
}
