//! A server that is killed, with a signal that nobody can handle, takes every process of its functions along: parked,
//! running, loading and on the way to be made, at every level.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::length::Rounds;
use crate::processes::{self, Process};
use crate::server::Server;
use crate::tree::{Mark, SPAWNED, STUBBORN, STUBBORN_SIZE};
use crate::wait;

/// How long what a killed server had may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn no_process_of_a_function_survives_the_server() {
    for level in ["1", "2", "3", "4", "5"] {
        let server = Server::start(&["--isolation-max", level]);
        let gate = Gate::new();
        server.deploy("parked", &expression("1"));
        server.deploy("running", &folder("gate").with("timeout_s", 60));
        server.deploy("spawned", &source(&format!("{SPAWNED}def main_handler(event, context): return 1")));
        server.deploy("loading", &source("import time\ntime.sleep(60)"));
        server.deploy("stubborn", &source(STUBBORN).with("timeout_s", 60));
        let mark = Mark::new(70 + level.parse::<usize>().unwrap());
        for name in ["parked", "spawned"] {
            server.invoke(name, "{}").returned();
        }
        // Networks are processes, too.
        for policy in server.get("/readyz")["network_policies"].as_array().unwrap() {
            let name = format!("network-{}", policy.as_str().unwrap());
            server.value_of(&name, &expression("1").with("network", policy.clone()), "{}");
        }
        std::thread::scope(|scope| {
            for (name, event) in
                [("running", gate.event()), ("loading", "{}".to_owned()), ("stubborn", mark.event("stay"))]
            {
                let mut caller = server.caller();
                let target = format!("/v1/functions/{name}/invoke");
                // No answer comes: its server is killed.
                scope.spawn(move || drop(caller.try_call("POST", &target, event.as_bytes())));
            }
            let held = gate.arrival();
            wait::until("the tree stands", || (mark.alive().len() == STUBBORN_SIZE).then_some(()));
            wait::until("the module is loading", || {
                processes::marked("SCF_FUNCTIONNAME=loading").first().copied()
            });
            let all = processes::below(server.pid());
            assert!(all.len() > 10, "{all:?}");
            let place = server.kill9();
            let left = || {
                all.iter()
                    .chain(&mark.alive())
                    .filter(|process| process.is_alive())
                    .map(|process| process.describe())
                    .collect::<Vec<_>>()
            };
            let gone = wait::within(Duration::from_secs(5), || left().is_empty().then_some(()));
            assert!(gone.is_some(), "level {level}: {:#?}", left());
            drop((held, place));
        });
    }
}

/// How often a server is killed at a moment of chance, at each level.
fn rounds() -> usize {
    Rounds { short: 6, all: 60, soak: 300 }.asked()
}

/// Trees are made and unmade all the time: functions are deployed, called for the first time, and replaced.
#[test]
fn no_process_survives_a_server_that_is_killed_while_it_makes_some() {
    for level in ["1", "2", "3", "4", "5"] {
        for round in 0..rounds() {
            let server = Server::start(&["--isolation-max", level]);
            let variable = format!("FNLITE_TEST_ROUND={}-{level}-{round}", std::process::id());
            let (_, value) = variable.split_once('=').unwrap();
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for lane in 0..4 {
                    let (mut caller, over) = (server.caller(), &over);
                    scope.spawn(move || {
                        let name = format!("lane-{lane}");
                        let text = if lane % 2 == 0 { "" } else { SPAWNED };
                        let text = format!("{text}def main_handler(event, context): return 1\n");
                        let env = serde_json::json!({ "FNLITE_TEST_ROUND": value });
                        let body = source(&text).with("env", env).body();
                        let (put, post) =
                            (format!("/v1/functions/{name}"), format!("/v1/functions/{name}/invoke"));
                        while !over.load(Ordering::Relaxed) {
                            // Both fail once the server is gone.
                            let _ = caller.try_call("PUT", &put, body.as_bytes());
                            let _ = caller.try_call("POST", &post, b"{}");
                        }
                    });
                }
                wait::until("a function is loaded", || {
                    (!processes::marked(&variable).is_empty()).then_some(())
                });
                // Somewhere else in what goes on each time: that it is no state is the point.
                std::thread::sleep(Duration::from_millis(17 * round as u64 % 100));
                let all = processes::below(server.pid());
                let place = server.kill9();
                over.store(true, Ordering::Relaxed);
                let left = || {
                    let known = all.iter().copied().filter(|process| process.is_alive());
                    let found = known.chain(processes::marked(&variable)).chain(processes::all(is_orphan));
                    found.map(Process::describe).collect::<Vec<_>>()
                };
                let gone = wait::within(GONE_WITHIN, || left().is_empty().then_some(()));
                assert!(gone.is_some(), "level {level}, round {round}: {:#?}", left());
                drop(place);
            });
        }
    }
}

/// An init of ours, or a launcher, whose parent is gone. Other tests may have killed a server just now, too.
fn is_orphan(process: Process) -> bool {
    let arguments = process.arguments();
    let ours = arguments.first().is_some_and(|word| word == "init")
        && fs::read_link(format!("/proc/{}/exe", process.pid))
            .is_ok_and(|exe| exe.to_string_lossy().contains("init"))
        || arguments.get(1).is_some_and(|word| word == "__launch");
    ours && process.pid != 1 && processes::parent(process.pid) == Some(1)
}
