//! The host's clock jumps while the server runs: lengths stay right, nothing ends early or late, and what is kept is found by
//! id and by whichever time it had.
//!
//! libfaketime is preloaded into the server and reads its offset from a file, which the test rewrites; the monotonic clock is
//! left alone, as a jump would leave it. Function processes have the host's time: their environment is made from nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::function::{Function, folder};
use crate::gate::Gate;
use crate::server::{Place, Record, Server, program};
use crate::wait;

const HOUR_US: i64 = 3_600_000_000;

/// More than anything here takes, much less than a jump.
const SLACK_US: i64 = 300_000_000;

#[test]
fn a_run_takes_as_long_as_it_takes_whatever_the_clock_says() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("held", &held());
    for (from, to) in [(0, 1), (1, 0), (0, -1), (-1, 0)] {
        host.set_clock(from);
        let record = host.run_across(from, to);
        assert_eq!((record.state.as_str(), record.status), ("succeeded", 200));
        assert!((0..SLACK_US).contains(&record.duration_us), "{record:?}");
        assert!((0..SLACK_US).contains(&record.init_us), "{record:?}");
        check_jumped(&record, to - from);
        let report = &record.line("Report").message;
        let told = report.split("Duration:").nth(1).unwrap().split("ms").next().unwrap().trim();
        assert!((told.parse::<f64>().unwrap() * 1000.0) < SLACK_US as f64, "{report}");
    }
}

#[test]
fn what_ran_before_and_after_jumps_is_found_by_id_and_by_time() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("held", &held());
    // Away and back twice, so that minutes that were left are come back to.
    let hours = [0, 1, 0, -1, 0, 1];
    let records: Vec<(i64, Record)> = hours
        .iter()
        .map(|hour| {
            host.set_clock(*hour);
            (*hour, host.run_across(*hour, *hour))
        })
        .collect();
    for (_, record) in &records {
        assert_eq!(host.server.printed(&record.request_id), ["at the gate"]);
    }
    let now_us = records[4].1.created_us;
    for hour in [-1, 0, 1] {
        let around = now_us + hour * HOUR_US;
        let [since, until] = [around - SLACK_US, around + SLACK_US].map(|us| us / 1_000_000);
        let range = format!("since={since}&until={until}");
        let expected =
            ids(records.iter().filter(|(at, _)| *at == hour).map(|(_, record)| record.request_id.as_str()));
        let page = host.server.get(&format!("/v1/invocations?function=held&{range}"));
        let found = page["invocations"].as_array().unwrap().iter();
        assert_eq!(ids(found.map(|run| run["request_id"].as_str().unwrap())), expected, "runs, {hour} h");
        let page = host.server.get(&format!("/v1/logs?function=held&{range}"));
        let printed =
            page["lines"].as_array().unwrap().iter().filter(|line| line["message"] == "at the gate");
        assert_eq!(ids(printed.map(|line| line["request_id"].as_str().unwrap())), expected, "logs, {hour} h");
    }
}

#[test]
fn a_time_out_comes_when_it_should_and_not_with_the_clock() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("late", &folder("gate").with("timeout_s", 3));
    for jump in [1, -1] {
        host.set_clock(0);
        let gate = Gate::new();
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| host.server.invoke("late", gate.event()));
            let _held = gate.arrival();
            host.set_clock(jump);
            run.join().unwrap()
        });
        let error = run.failed(433);
        assert_eq!(error.error_message, "Invoking task timed out after 3 seconds");
        assert!((3000.0..15_000.0).contains(&run.duration_ms), "{jump} h: {run:?}");
        check_jumped(&host.server.record(&run.request_id), jump);
    }
}

#[test]
fn a_stop_waits_as_long_as_it_may_whatever_the_clock_says() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("held", &held());
    let gate = Gate::new();
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| host.server.invoke("held", gate.event()));
        let held = gate.arrival();
        host.server.terminate();
        wait::until("it stops", || host.server.place().said().contains("stopping").then_some(()));
        // The drain time-out is half an hour by then, or more than an hour ahead.
        host.set_clock(1);
        host.set_clock(-1);
        drop(held);
        run.join().unwrap()
    });
    assert_eq!(run.returned(), "passed");
    let (status, place) = host.server.stop();
    assert!(status.success(), "{status}: {}", place.said());
    check_jumped(&place.serve(&[]).record(&run.request_id), -1);
}

/// A minute is 1.2 s at that pace and the oldest age of an event 7 minutes, so both jumps would show.
#[test]
fn an_event_is_tried_as_often_and_as_soon_as_if_the_clock_had_not_jumped() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("failing", &folder("raise"));
    let id = host.server.accept("failing", "{}");
    for (attempt, hours) in [(0, 1), (1, -1)] {
        wait::until("an attempt has failed", || {
            let record = host.server.record(&id);
            (record.state == "retrying" && record.retry_num == attempt).then_some(())
        });
        host.set_clock(hours);
    }
    let record = host.server.over(&id);
    assert_eq!((record.state.as_str(), record.retry_num, record.attempts.len()), ("dead", 2, 2));
    assert_eq!(record.printed().len(), 3, "{record:?}");
}

/// A timer that fires every second: forward the clock makes it fire, once; back it makes it wait, and no moment comes twice.
#[test]
fn a_timer_fires_no_moment_twice_whatever_the_clock_says() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("hello", &folder("hello"));
    let body = br#"{"type":"timer","name":"tick","spec":{"cron":"* * * * * * *"}}"#;
    assert_eq!(host.server.call("POST", "/v1/functions/hello/triggers", body).status, 201);
    let moments = || {
        let page = host.server.get("/v1/invocations?function=hello&limit=1000");
        let moment = |run: &Value| {
            let record = host.server.record(run["request_id"].as_str().unwrap());
            let event: Value = serde_json::from_str(record.event.get()).unwrap();
            event["Time"].as_str().unwrap().to_owned()
        };
        page["invocations"].as_array().unwrap().iter().map(moment).collect::<Vec<_>>()
    };
    let until = |what: &str, enough: &dyn Fn(&[String]) -> bool| {
        wait::until(what, || Some(moments()).filter(|moments| enough(moments)))
    };
    let before = until("it fires", &|moments| moments.len() >= 2);
    host.set_clock(1);
    let ahead = until("it fires an hour later", &|moments| moments.len() >= before.len() + 3);
    let newest = ahead.iter().max().unwrap().clone();
    assert!(ahead.len() < 60, "the hour was not caught up with: {}", ahead.len());
    // Everything until then was seen to; a timer that is made now shows that time passes.
    host.set_clock(0);
    host.server.deploy("other", &folder("hello"));
    assert_eq!(host.server.call("POST", "/v1/functions/other/triggers", body).status, 201);
    wait::until("another one fires", || {
        let page = host.server.get("/v1/invocations?function=other");
        (page["invocations"].as_array().unwrap().len() >= 3).then_some(())
    });
    host.set_clock(1);
    let after = until("it goes on", &|moments| moments.iter().max().unwrap() > &newest);
    let mut once = after.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), after.len(), "{after:?}");
}

#[test]
fn events_that_waited_while_the_clock_was_set_back_are_due_at_the_next_start() {
    let Some(host) = Host::new() else { return };
    host.server.deploy("resting", &folder("hello").with("reserved_mb", 0));
    host.server.deploy("failing", &folder("raise"));
    let ids = [host.server.accept("resting", "{}"), host.server.accept("failing", "{}")];
    wait::until("it waits for its next attempt", || {
        (host.server.record(&ids[1]).state == "retrying").then_some(())
    });
    let Some(host) = Host::over(host.server.kill9(), -1) else { return };
    assert_eq!(host.server.over(&ids[1]).state, "dead");
    host.server.deploy("resting", &folder("hello"));
    let record = host.server.over(&ids[0]);
    assert_eq!((record.state.as_str(), record.retry_num), ("succeeded", 0));
    assert_eq!(host.server.metric("fnlite_events_waiting"), 0);
}

/// That the server's clock jumped during that run, or nothing was tested.
#[track_caller]
fn check_jumped(record: &Record, hours: i64) {
    let seen = record.ended_us - record.started_us;
    assert!((seen - hours * HOUR_US).abs() < SLACK_US, "{record:?}");
}

/// A server whose clock a test sets.
struct Host {
    server: Server,
    clock: PathBuf,
    /// Dropped after the server.
    _traces: Traces,
}

impl Host {
    /// `None` where libfaketime is missing.
    fn new() -> Option<Host> {
        Host::over(Place::new(), 0)
    }

    /// A server on what is there, its clock that many hours ahead.
    fn over(place: Place, hours: i64) -> Option<Host> {
        let Some(library) = library() else {
            eprintln!("SKIPPED: libfaketime is not there; scripts/test installs it");
            return None;
        };
        let clock = place.file("clock");
        set(&clock, hours);
        let words = [
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        ];
        let mut launcher =
            vec!["env", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"];
        launcher.extend(words.iter().map(String::as_str));
        let server = place.serve_by(&launcher, &["--drain-timeout", "30m", "--event-pace", "0.02"]);
        let _traces = Traces(server.pid());
        Some(Host { server, clock, _traces })
    }

    /// Sets the server's clock that many hours ahead of the host's.
    fn set_clock(&self, hours: i64) {
        set(&self.clock, hours);
    }

    /// A run that begins at one time and ends at the other.
    fn run_across(&self, from: i64, to: i64) -> Record {
        self.set_clock(from);
        let gate = Gate::new();
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| self.server.invoke("held", gate.event()));
            let held = gate.arrival();
            self.set_clock(to);
            drop(held);
            run.join().unwrap()
        });
        assert_eq!(run.returned(), "passed");
        assert!(run.duration_ms * 1000.0 < SLACK_US as f64, "{run:?}");
        self.server.record(&run.request_id)
    }
}

/// What libfaketime leaves of a process that is killed, and another one of that number would stumble over.
struct Traces(u32);

impl Drop for Traces {
    fn drop(&mut self) {
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            // A server that ended in order has removed them itself.
            let _ = fs::remove_file(format!("/dev/shm/{name}{}", self.0));
        }
    }
}

/// A function that takes as long as the test wants. A jump must not end it, so it may take longer than one.
fn held() -> Function {
    folder("gate").with("timeout_s", 900)
}

/// Replaced whole: the server reads it at any time.
fn set(clock: &Path, hours: i64) {
    let new = clock.with_extension("new");
    fs::write(&new, format!("{:+}\n", hours * 3600)).unwrap();
    fs::rename(new, clock).unwrap();
}

/// Where the library is: beside the program of its package, by architecture.
fn library() -> Option<PathBuf> {
    let find = ["-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1"];
    let found = program("sh").args(find).output().unwrap();
    let path = String::from_utf8(found.stdout).unwrap();
    path.lines().next().map(PathBuf::from)
}

fn ids<'a>(found: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = found.collect();
    ids.sort_unstable();
    ids
}
