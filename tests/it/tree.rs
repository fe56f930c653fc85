//! Process trees: whatever a handler starts is gone with its run.

use std::collections::BTreeSet;
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use serde_json::json;

use crate::function::{expression, folder, source};
use crate::processes::{self, Process};
use crate::server::Server;
use crate::wait;

/// How long after its deadline a run's processes may still be there.
const GONE_WITHIN: Duration = Duration::from_millis(500);

/// Plants a tree that does not want to end, each process under the name in the event (its `comm`, which forks inherit): a
/// process and a grandchild in a session of its own that ignore every signal they can, a chain of orphans, one that is
/// stopped, and a program of the host's. All hold the run's output.
pub(crate) const STUBBORN: &str = "
import ctypes, os, signal, subprocess, time

def stay(word):
    print(word, flush=True)
    while True:
        time.sleep(600)

def main_handler(event, context):
    ctypes.CDLL(None).prctl(15, event['name'].encode())
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    subprocess.Popen(['sleep', event['seconds']], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            stay('grandchild')
        os._exit(0)
    if os.fork() == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        stay('stopped')
    for _ in range(3):
        if os.fork() == 0:
            if os.fork() == 0:
                stay('orphan')
            os._exit(0)
    if event['then'] == 'stay':
        stay('parent')
    if event['then'] == 'return':
        return 'returned'
    if event['then'] == 'raise':
        raise ValueError
    os._exit(3)
";

/// Parent, grandchild, the stopped one, three orphans, sleep.
pub(crate) const STUBBORN_SIZE: usize = 7;

/// What a run of [`STUBBORN`] is found by.
pub(crate) struct Mark {
    name: String,
    seconds: String,
}

impl Mark {
    pub(crate) fn new(number: usize) -> Mark {
        let unique = std::process::id() as usize * 100 + number;
        Mark { name: format!("stub{unique}"), seconds: format!("6{unique}") }
    }

    pub(crate) fn event(&self, then: &str) -> String {
        json!({ "name": self.name, "seconds": self.seconds, "then": then }).to_string()
    }

    pub(crate) fn alive(&self) -> Vec<Process> {
        processes::all(|process| {
            process.name() == self.name || process.arguments() == ["sleep", &self.seconds]
        })
    }
}

#[test]
fn a_run_that_times_out_leaves_no_process_and_keeps_its_output_at_level_1() {
    check_deadline(1);
}

#[test]
fn a_run_that_times_out_leaves_no_process_and_keeps_its_output_at_level_2() {
    check_deadline(2);
}

#[test]
fn a_run_that_times_out_leaves_no_process_and_keeps_its_output_at_level_3() {
    check_deadline(3);
}

#[test]
fn a_run_that_times_out_leaves_no_process_and_keeps_its_output_at_level_4() {
    check_deadline(4);
}

/// Both ways to make an Instance, forked and spawned. A machine that has better things to do may be late now and then, not
/// three times.
fn check_deadline(level: usize) {
    for (number, module) in ["", SPAWNED].into_iter().enumerate() {
        let name = format!("stubborn-{number}");
        let function = source(&format!("{module}{STUBBORN}")).with("timeout_s", 2);
        Server::at_level(level).deploy(&name, &function);
        let mut late_us = Vec::new();
        while late_us.last().is_none_or(|us| *us > GONE_WITHIN.as_micros()) {
            assert!(late_us.len() < 3, "level {level}: gone {late_us:?} µs after the deadline");
            late_us.push(time_out(level, &name, &Mark::new(level * 10 + number * 3 + late_us.len())));
        }
    }
}

/// Lets a run time out; how many microseconds after its deadline the last of its processes was gone.
fn time_out(level: usize, name: &str, mark: &Mark) -> u128 {
    let server = Server::at_level(level);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.invoke(name, mark.event("stay")));
        let tree =
            wait::until("the tree stands", || Some(mark.alive()).filter(|tree| tree.len() == STUBBORN_SIZE));
        let run = call.join().unwrap();
        run.failed(433);
        let left = || tree.iter().find(|process| process.is_alive()).map(|process| process.describe());
        wait::until("the tree is gone", || left().is_none().then_some(()));
        // All may have been counted while some of them were on the way to their last form, which takes its own moment.
        wait::until("nothing is left", || mark.alive().is_empty().then_some(()));
        let gone_us = SystemClock.wall_us();
        let record = server.record(&run.request_id);
        let printed: BTreeSet<String> = record.printed().into_iter().collect();
        assert_eq!(printed, ["grandchild", "orphan", "parent"].map(str::to_owned).into(), "level {level}");
        u128::try_from(gone_us - record.started_us).unwrap() - 2_000_000
    })
}

/// Makes a module one that cannot be forked.
pub(crate) const SPAWNED: &str =
    "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n";

#[test]
fn what_a_run_leaves_behind_ends_with_it_however_it_ends() {
    for level in 1..=4 {
        let server = Server::at_level(level);
        server.deploy("leaving", &source(STUBBORN).with("timeout_s", 20));
        for (number, (then, status)) in
            [("return", 200), ("raise", 430), ("exit", 439)].into_iter().enumerate()
        {
            let mark = Mark::new(50 + number + 3 * level);
            let run = server.invoke("leaving", mark.event(then));
            assert_eq!(run.status, status, "level {level}: {}", run.body);
            let gone = wait::within(GONE_WITHIN, || mark.alive().is_empty().then_some(()));
            assert!(gone.is_some(), "level {level}, {then}: {:?}", mark.alive());
        }
    }
}

#[test]
fn an_instance_that_never_comes_to_be_leaves_no_init() {
    let server = Server::start(&[]);
    let hook = "import os\nos.register_at_fork(after_in_child=lambda: os._exit(9))\ndef main_handler(event, context): pass";
    server.deploy("unborn", &source(hook));
    for _ in 0..3 {
        assert_eq!(server.invoke("unborn", "{}").status, 500);
    }
    let inits =
        || processes::below(server.pid()).into_iter().filter(|process| process.arguments() == ["init"]);
    let gone = wait::within(wait::PATIENCE, || (inits().count() == 0).then_some(()));
    assert!(gone.is_some(), "{} are left", inits().count());
}

/// Takes the place of the process its runs are forked from, and forks nothing.
const SILENT: &str = "
import socket
control = socket.socket(fileno=3)
control.send(b'{\"kind\": \"Z\", \"text\": \"\", \"load_us\": 1}')
kept = []
while True:
    kept.append(control.recvmsg(64, 1024))
";

#[test]
fn a_zygote_that_makes_nothing_holds_up_the_end_of_no_other_run() {
    let server = Server::start(&[]);
    server.deploy("silent", &source(SILENT).with("timeout_s", 1));
    server.deploy("stays", &source(STUBBORN));
    let mark = Mark::new(90);
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| assert_eq!(server.invoke("silent", "{}").status, 433));
        }
    });
    // All of those are over and given to whoever ends them; waiting a moment for each would take seven seconds.
    server.invoke("stays", mark.event("return")).returned();
    let gone = wait::within(3 * GONE_WITHIN, || mark.alive().is_empty().then_some(()));
    assert!(gone.is_some(), "{:?}", mark.alive());
}

#[test]
fn three_hundred_runs_of_all_kinds_leave_no_process_and_no_descriptor() {
    let server = Server::start(&[]);
    let kinds = [
        ("returns", expression("event"), "{}", 200),
        ("raises", folder("raise"), "{}", 430),
        ("exits", folder("exit"), r#"{"how": "os._exit", "code": 3}"#, 439),
        ("killed", folder("exit"), r#"{"how": "SIGKILL"}"#, 439),
        (
            "floods",
            source("def main_handler(event, context):\n    for _ in range(2000): print('x' * 500)"),
            "{}",
            200,
        ),
        ("no-json", folder("not_json"), r#"{"what": "set"}"#, 430),
        ("too-large", expression("'x' * (7 << 20)"), "{}", 407),
        ("no-handler", expression("1").with("handler", "index.none"), "{}", 437),
        ("cannot-load", source("1 / 0"), "{}", 430),
        ("spawned", source(&format!("{SPAWNED}def main_handler(event, context): return 1")), "{}", 200),
        (
            "children",
            source(
                "import subprocess\ndef main_handler(event, context):\n    [subprocess.Popen(['sleep', '600']) for _ in range(5)]",
            ),
            "{}",
            200,
        ),
        ("daemons", source(STUBBORN), "", 439),
        ("memory", folder("memory").with("memory_mb", 64), r#"{"mb": 1000}"#, 434),
        ("off", expression("1").with("reserved_mb", 0), "{}", 432),
        ("late", folder("sleep").with("timeout_s", 1), r#"{"seconds": 60}"#, 433),
    ];
    let mark = Mark::new(80);
    let event =
        |name: &str, event: &str| if name == "daemons" { mark.event("exit") } else { event.to_owned() };
    let round = |times: usize| {
        std::thread::scope(|scope| {
            for lane in kinds.chunks(4) {
                let mut caller = server.caller();
                scope.spawn(move || {
                    // Each late one takes its second.
                    let often = |name| if name == "late" { times.div_ceil(8) } else { times };
                    for (name, _, given, status) in
                        lane.iter().flat_map(|kind| std::iter::repeat_n(kind, often(kind.0)))
                    {
                        assert_eq!(caller.invoke(name, event(name, given)).status, *status, "{name}");
                    }
                });
            }
        });
    };
    let deploy = || kinds.iter().for_each(|(name, function, ..)| drop(server.deploy(name, function)));
    // Deleting lets go of all that is kept warm.
    let settle = || {
        for (name, ..) in &kinds {
            assert_eq!(server.call("DELETE", &format!("/v1/functions/{name}"), b"").status, 204);
        }
        let left = || processes::below(server.pid());
        wait::until("no process is left", || left().is_empty().then_some(()));
        assert!(mark.alive().is_empty());
    };
    deploy();
    round(2);
    settle();
    // Connections to the database and control groups, which are few and kept, do not count.
    let group = format!("/fnlite-{}/", server.pid());
    let open = || {
        let mut open = processes::open_descriptors(server.pid());
        open.retain(|path| !path.contains("fnlite.db") && !path.contains(&group));
        open
    };
    let before = open();
    deploy();
    round(22);
    settle();
    let closed = wait::within(wait::PATIENCE, || (open().len() <= before.len()).then_some(()));
    assert!(closed.is_some(), "before: {before:#?}\nnow: {:#?}", open());
}
