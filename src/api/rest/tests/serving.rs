//! The server itself: health, numbers, backup, and what is not there.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::Door;

#[test]
fn health_is_one_word_and_readiness_ends_when_stopping_begins() {
    let door = Door::new();
    let health = door.ask_with(&[], "GET /healthz", "");
    assert_eq!((health.status, health.body.as_slice()), (200, &b"ok\n"[..]));
    let ready = || {
        let reply = door.ask_with(&[], "GET /readyz", "");
        (reply.status, reply.json())
    };
    assert_eq!(ready(), (200, json!({"ready": true, "isolation_level": 1, "network_policies": ["host"]})));
    door.stopping.store(true, Ordering::Relaxed);
    assert_eq!(ready(), (503, json!({"ready": false, "isolation_level": 1, "network_policies": ["host"]})));
}

#[test]
fn the_version_is_this_releases() {
    let version = Door::new().ask_with(&[], "GET /version", "").json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_appliance_tells_how_it_is() {
    let door = Door::new();
    door.deploy("hello");
    door.deploy("other");
    door.ask("DELETE /v1/functions/other", "");
    door.dead_letter("hello");
    door.ask("POST /v1/functions/hello/invoke?type=event", "{}");
    let told = door.ask("GET /v1/appliance", "").json();
    for (field, expected) in [
        ("release", json!(env!("CARGO_PKG_VERSION"))),
        ("url", json!(null)),
        ("isolation_level", json!(1)),
        ("functions", json!(1)),
        ("runs_running", json!(0)),
        ("memory_total_mb", json!(1024)),
        ("events_running", json!(0)),
        ("events_max", json!(3)),
        ("events_bytes_max", json!(1024 * 1024)),
        ("events_accepted", json!(2)),
        ("dead_letters", json!(1)),
        ("disk_level", json!(0)),
    ] {
        assert_eq!(told[field], expected, "{field}");
    }
    let number = |field: &str| told[field].as_i64().unwrap();
    assert!(number("db_bytes") + number("wal_bytes") > 0 && number("disk_free_bytes") > 0, "{told}");
    assert!(0 < number("started_us") && number("started_us") <= number("now_us"), "{told}");
    let metrics = String::from_utf8(door.ask("GET /metrics", "").body).unwrap();
    for line in ["fnlite_functions 1", "fnlite_dead_letters 1", "fnlite_events_max 3"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[test]
fn the_doctor_tells_what_was_found() {
    let told = Door::new().ask("GET /v1/doctor", "").json();
    let checks = told["checks"].as_array().unwrap();
    let isolation = checks.iter().find(|check| check["name"] == "isolation").unwrap();
    assert_eq!(isolation["verdict"], "warn", "the door of these tests is held at level 1");
    assert!(checks.iter().any(|check| check["name"] == "Python3.11"), "{checks:?}");
    let quick = Door::new().ask("GET /v1/doctor?runtimes=false", "").json();
    let names: Vec<_> = quick["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["isolation", "network", "user", "disk", "database", "secrets", "concurrency"]);
    assert_eq!(Door::new().ask("GET /v1/doctor?runtimes=some", "").status, 400);
}

#[test]
fn a_backup_is_a_database() {
    let door = Door::new();
    let backup = door.ask("POST /v1/backup", "");
    assert_eq!((backup.status, backup.header("Content-Type")), (200, Some("application/vnd.sqlite3")));
    assert!(backup.body.starts_with(b"SQLite format 3\0"));
}

#[test]
fn a_run_that_could_not_start_is_on_record_and_counted() {
    let door = Door::new();
    door.deploy("hello");
    // No launcher is in this test's binary, so the platform fails: an ending like any other.
    let reply = door.ask("POST /v1/functions/hello/invoke", "{}");
    assert_eq!((reply.status, reply.header("X-Fnlite-Status")), (502, Some("500")));
    let id = reply.header("X-Fnlite-Request-Id").unwrap();
    assert_eq!(reply.json()["requestId"], id);
    assert!(reply.header("X-Fnlite-Duration-Ms").is_some() && reply.header("X-Fnlite-Memory-Mb").is_some());
    assert_eq!(door.ask(&format!("GET /v1/invocations/{id}"), "").json()["status"], 500);
    let metrics = String::from_utf8(door.ask("GET /metrics", "").body).unwrap();
    for line in [
        "faas_invocations_total{faas_name=\"hello\",namespace=\"default\"} 1",
        "faas_errors_total{faas_name=\"hello\",namespace=\"default\"} 1",
        "faas_invoke_duration_seconds_count{faas_name=\"hello\",namespace=\"default\"} 1",
        "fnlite_runs_running 0",
        "# TYPE faas_invoke_duration_seconds histogram",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[test]
fn a_function_or_version_that_is_not_there_is_no_run() {
    let door = Door::new();
    door.ask("POST /v1/functions/nobody/invoke", "{}").refused(404);
    door.deploy("hello");
    door.ask("POST /v1/functions/hello/invoke?qualifier=7", "{}").refused(404);
    assert_eq!(door.ask("GET /v1/invocations", "").json()["invocations"], json!([]));
}

#[test]
fn other_methods_are_told_and_other_paths_are_not_there() {
    let door = Door::new();
    let reply = door.ask("PATCH /v1/functions/hello", "");
    assert_eq!(reply.header("Allow"), Some("PUT, GET, HEAD, DELETE"));
    assert!(reply.refused(405).contains("PUT"));
    for line in
        ["GET /", "OPTIONS *", "GET /v2/functions", "GET /v1/functions/", "GET /healthz/", "GET /v1/keys/1/2"]
    {
        door.ask(line, "").refused(404);
    }
    assert_eq!(door.ask("HEAD /healthz", "").status, 200);
}
