//! What is kept and for how long, that the file then shrinks, and what goes on when the disk is full or others hold the file.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::keeping::{sql, text};
use crate::server::{Place, Server};
use crate::small_disk::SmallDisk;
use crate::wait;

/// A minute long ago, 2020-09-13.
const THEN_MINUTE: i64 = 26_666_666;

/// What a metric says.
#[track_caller]
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.call("GET", "/metrics", b"").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Stops the server and writes old runs into its file, with two lines each, as if they had been stored then, in minutes that
/// have no others: so many a minute, for so many minutes. Their event is a number of bytes long.
fn with_old_runs(server: Server, function: &str, minute: i64, minutes: i64, each: i64, bytes: i64) -> Place {
    let (status, place) = server.stop();
    assert!(status.success());
    let count = minutes * each;
    let script = format!(
        "PRAGMA synchronous = OFF; BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE n (k) AS (VALUES (0) UNION ALL SELECT k + 1 FROM n WHERE k < {count} - 1)
             SELECT k, (SELECT coalesce(max(id), 0) + 1 FROM invocation) + k AS id, {minute} + k / {each} AS minute FROM n;
         INSERT INTO invocation
             (id, request_id, function_id, qualifier, source, state, status, created_us, started_us, ended_us, duration_us,
              init_us, memory_mb, memory_used_kb, error, event, result)
             SELECT n.id, printf('00000000-0000-4000-8000-%012d', n.id), f.id, '$LATEST', 'rest', 1, 200,
                 minute * 60000000, minute * 60000000, minute * 60000000 + 1000, 1000, 0, 128, 1, '', zeroblob({bytes}), x'31'
             FROM n JOIN function f ON f.name = '{function}';
         INSERT INTO log (ts_us, invocation_id, function_id, level, stream, message)
             SELECT minute * 60000000, n.id, f.id, 0, 1, 'an old line' FROM n JOIN function f ON f.name = '{function}'
             UNION ALL SELECT minute * 60000000, n.id, f.id, 0, 1, 'another' FROM n JOIN function f ON f.name = '{function}'
             ORDER BY 1;
         INSERT OR REPLACE INTO invocation_minute SELECT minute, min(id), max(id) FROM n GROUP BY minute;
         INSERT OR REPLACE INTO log_minute SELECT minute, min(l.id), max(l.id)
             FROM n JOIN log l ON l.invocation_id = n.id GROUP BY minute;
         COMMIT;"
    );
    sql(&place.db(), &script);
    place
}

/// How many runs of a function there are.
fn runs_of(server: &Server, function: &str) -> i64 {
    let query = format!("SELECT count(*) FROM invocations WHERE function = '{function}'");
    sql(&server.place().db(), &query).parse().unwrap()
}

#[test]
fn what_is_older_than_its_function_keeps_it_is_deleted_at_the_next_start() {
    let server = Server::start(&["--keep", "0s"]);
    server.deploy("short", &expression("1"));
    server.deploy("long", &expression("2").with("keep_s", 315_360_000));
    server.deploy("gone", &expression("3"));
    assert_eq!(server.call("DELETE", "/v1/functions/gone", b"").status, 204);
    let (_, mut place) = server.stop();
    for (function, minute) in [("short", 0), ("long", 10), ("gone", 20)] {
        place = with_old_runs(place.serve(&["--keep", "0s"]), function, THEN_MINUTE + minute, 3, 5, 10);
    }
    // Two of them became dead letters, one just now.
    for (id, died, reason) in [("min", "unixepoch() * 1000000", "young"), ("max", "1", "old")] {
        let script = format!(
            "CREATE TEMP TABLE d AS SELECT {id}(i.id) AS id FROM invocation i JOIN function f ON f.id = i.function_id
                 WHERE f.name = 'short';
             UPDATE invocation SET state = 6 WHERE id IN (SELECT id FROM d);
             INSERT INTO dead_letter SELECT i.id, i.function_id, {died}, '{reason}' FROM invocation i JOIN d ON d.id = i.id;"
        );
        sql(&place.db(), &script);
    }
    let server = place.serve(&["--keep", "0s"]);
    let young = server.invoke("short", "{}");
    assert_eq!((runs_of(&server, "short"), runs_of(&server, "gone")), (16, 15), "0s keeps everything");
    let (_, place) = server.stop();

    let server = place.serve(&["--keep", "7d"]);
    wait::until("old runs are deleted", || {
        (metric(&server, "fnlite_retention_runs_total") >= 29).then_some(())
    });
    assert_eq!(["short", "long", "gone"].map(|function| runs_of(&server, function)), [2, 15, 0]);
    assert_eq!(metric(&server, "fnlite_retention_log_lines_total"), 58);
    let db = server.place().db();
    let left = sql(&db, "SELECT reason FROM dead_letters WHERE function = 'short'");
    assert_eq!(left, "young");
    assert_eq!(
        sql(&db, "SELECT count(*) FROM logs WHERE SCF_RequestId IS NULL"),
        "0",
        "lines go with their runs"
    );
    assert_eq!(server.record(&young.request_id).status, 200);
    wait::until("it is told", || {
        let said = "29 old runs with 58 log lines were deleted: 29 by age, 0 because";
        server.place().said().contains(said).then_some(())
    });
}

#[test]
fn the_oldest_minutes_go_until_the_database_fits_and_the_file_shrinks() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    // Two hours of 100 runs a minute and 4 KB each: about 50 MB.
    let place = with_old_runs(server, "hello", THEN_MINUTE, 120, 100, 4000);
    let server = place.serve(&["--keep", "0s", "--keep-size", "0"]);
    let young = server.invoke("hello", "{}");
    let (_, place) = server.stop();
    let before = std::fs::metadata(place.db()).unwrap().len();
    assert!(before > 48 << 20, "{before}");

    let server = place.serve(&["--keep", "0s", "--keep-size", "16MiB"]);
    wait::until("the file is as small as it may be", || {
        (metric(&server, "fnlite_store_db_bytes") <= 16 << 20).then_some(())
    });
    let db = server.place().db();
    let left: i64 = sql(&db, "SELECT count(*) FROM invocation").parse().unwrap();
    assert!((2000..5000).contains(&left), "{left}: what fits stays");
    let oldest = sql(&db, &format!("SELECT min(created_us) / 60000000 - {THEN_MINUTE} FROM invocation"));
    let minutes = sql(&db, "SELECT count(DISTINCT created_us / 60000000) FROM invocation");
    assert_eq!(oldest.parse::<i64>().unwrap() + minutes.parse::<i64>().unwrap(), 121, "the youngest stay");
    assert_eq!(server.record(&young.request_id).status, 200);
    assert_eq!(sql(&db, "PRAGMA integrity_check"), "ok");
}

/// The first pass over an old file must not be noticed by those who run functions meanwhile.
#[test]
fn runs_go_on_while_very_many_old_ones_are_deleted() {
    const MINUTES: i64 = 300;
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let place = with_old_runs(server, "hello", THEN_MINUTE, MINUTES, 100, 100);
    let server = place.serve(&[]);
    let mut caller = server.caller();
    let (mut meanwhile, total) = (0, MINUTES.cast_unsigned() * 100);
    wait::until("old runs are deleted", || {
        let begun = metric(&server, "fnlite_retention_runs_total");
        assert_eq!(caller.invoke("hello", r#"{"key": "k"}"#).returned(), json!({ "hello": "k" }));
        let deleted = metric(&server, "fnlite_retention_runs_total");
        meanwhile += u64::from(begun > 0 && deleted < total - 1);
        // The newest of them stays until there is a newer one.
        (deleted >= total - 1).then_some(())
    });
    assert!(meanwhile > 0, "runs ended while others were deleted");
}

const MIB: u64 = 1 << 20;

/// How long it may take until everything goes on once there is space again.
const RESUMES: Duration = Duration::from_secs(5);

const PRINTS: &str = "def main_handler(event, context):\n    print('a line')\n    return event\n";

/// Waits until the server has seen that it is on that level.
#[track_caller]
fn on_level(server: &Server, level: u64) {
    wait::until("the disk's level is seen", || {
        (metric(server, "fnlite_store_disk_level") == level).then_some(())
    });
}

#[test]
fn the_fuller_the_disk_the_more_is_given_up_and_all_of_it_resumes() {
    let Some(disk) = SmallDisk::new(96) else { return };
    let server = Place::within(disk.path()).serve(&["--disk-low", "16MiB"]);
    server.deploy("prints", &source(PRINTS));
    let ballast = server.place().file("fnlite.db.d/ballast");
    assert_eq!(ballast.metadata().unwrap().len(), 16 * MIB);
    on_level(&server, 0);
    let first = server.invoke("prints", "1");
    assert_eq!(server.printed(&first.request_id), ["a line"]);

    disk.leave(12 * MIB);
    on_level(&server, 1);
    let second = server.invoke("prints", "2");
    assert_eq!(second.returned(), json!(2));
    let record = server.record(&second.request_id);
    let words: Vec<String> =
        record.messages().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(words, ["START", "What", "Response", "END", "Report"]);
    assert!(record.line("What").message.ends_with("the disk that holds the database is nearly full"));
    assert_eq!(metric(&server, "fnlite_log_lines_shed_total"), 1);
    server.deploy("another", &expression("1"));

    disk.leave(6 * MIB);
    on_level(&server, 2);
    let refused = server.call("PUT", "/v1/functions/more", expression("1").body().as_bytes());
    assert_eq!(
        (refused.status, refused.refusal().contains("nearly full")),
        (503, true),
        "{}",
        refused.text()
    );
    let refused = server.call("POST", "/v1/functions/prints/invoke?type=event", b"3");
    assert_eq!(
        (refused.status, refused.refusal().contains("nearly full")),
        (503, true),
        "{}",
        refused.text()
    );
    assert_eq!(server.invoke("prints", "3").returned(), json!(3));

    disk.leave(3 * MIB);
    on_level(&server, 3);
    wait::until("the ballast is dropped", || (!ballast.exists()).then_some(()));
    let refused = server.call("POST", "/v1/functions/prints/invoke", b"4");
    assert_eq!(
        (refused.status, refused.refusal().contains("nearly full")),
        (503, true),
        "{}",
        refused.text()
    );
    assert_eq!(server.record(&first.request_id).printed(), ["a line"], "reading works");
    let doctor = text(&server.fnlite(&["doctor"]));
    assert!(doctor.contains("only reading works"), "{doctor}");
    // Three and the sixteen of the ballast, which are not for runs.
    assert!(disk.free() > 16 * MIB && metric(&server, "fnlite_store_disk_level") == 3, "{}", disk.free());

    disk.leave(40 * MIB);
    let resumed = wait::within(RESUMES, || {
        let answer = server.call("POST", "/v1/functions/prints/invoke", b"5");
        (answer.status == 200 && ballast.exists()).then(|| answer.run())
    });
    let fifth = resumed.expect("runs are taken again within five seconds");
    assert_eq!(server.printed(&fifth.request_id), ["a line"]);
    server.deploy("more", &expression("1"));
}

#[test]
fn events_that_were_accepted_wait_until_there_is_space_for_their_records() {
    let Some(disk) = SmallDisk::new(96) else { return };
    let server = Place::within(disk.path()).serve(&["--disk-low", "16MiB"]);
    server.deploy("held", &folder("gate").with("timeout_s", 60).with("reserved_mb", 128));
    let gate = Gate::new();
    let accept = || server.accept("held", gate.event());
    let state = |id: &str| server.record(id).state;
    let first = accept();
    let held = gate.arrival();
    let second = accept();
    disk.leave(3 * MIB);
    on_level(&server, 3);
    drop(held);
    wait::until("the one that ran is stored", || (state(&first) == "succeeded").then_some(()));
    // The length is the point: without the disk's level it would run at once.
    let began = wait::within(Duration::from_secs(1), || (state(&second) != "queued").then_some(()));
    assert_eq!((began, metric(&server, "fnlite_events_waiting")), (None, 1));
    disk.leave(40 * MIB);
    drop(gate.arrival());
    wait::until("it has run", || (state(&second) == "succeeded").then_some(()));
}

#[test]
fn a_server_starts_on_a_full_disk_and_gives_its_records_out() {
    let Some(disk) = SmallDisk::new(64) else { return };
    let server = Place::within(disk.path()).serve(&["--disk-low", "4MiB"]);
    server.deploy("prints", &source(PRINTS));
    let run = server.invoke("prints", "1");
    let (_, place) = server.stop();
    disk.fill();
    let server = place.serve(&["--disk-low", "4MiB"]);
    assert_eq!(server.printed(&run.request_id), ["a line"]);
    on_level(&server, 3);
    disk.leave(20 * MIB);
    let resumed = wait::within(RESUMES, || {
        (server.call("POST", "/v1/functions/prints/invoke", b"1").status == 200).then_some(())
    });
    resumed.expect("runs are taken again within five seconds");
}

/// A full disk stops deleting, too: without the ballast's space nothing could be freed.
#[test]
fn what_is_too_old_makes_room_on_a_disk_that_is_full() {
    let Some(disk) = SmallDisk::new(128) else { return };
    let server = Place::within(disk.path()).serve(&["--disk-low", "16MiB"]);
    server.deploy("prints", &source(PRINTS));
    let place = with_old_runs(server, "prints", THEN_MINUTE, 100, 100, 4000);
    disk.fill();
    let server = place.serve(&["--disk-low", "16MiB"]);
    let run = wait::until("runs are taken", || {
        let answer = server.call("POST", "/v1/functions/prints/invoke", b"1");
        (answer.status == 200).then(|| answer.run())
    });
    assert_eq!(server.record(&run.request_id).status, 200);
    wait::until("the file has shrunk", || (metric(&server, "fnlite_store_db_bytes") < 8 * MIB).then_some(()));
}

/// What is left of the disk is used up to the last byte: SQLite itself meets ENOSPC.
#[test]
fn a_disk_that_is_really_full_loses_nothing_that_was_answered() {
    let Some(disk) = SmallDisk::new(48) else { return };
    let server = Place::within(disk.path()).serve(&["--disk-low", "0"]);
    server.deploy("prints", &source(PRINTS));
    disk.leave(8 * MIB);
    let event = format!("\"{}\"", "e".repeat(500_000));
    let mut answered = Vec::new();
    let refused = loop {
        let answer = server.call("POST", "/v1/functions/prints/invoke", event.as_bytes());
        if answer.status != 200 {
            break answer;
        }
        answered.push(answer.run().request_id);
        assert!(answered.len() < 200, "the disk is never full");
    };
    assert!(!answered.is_empty(), "{}", refused.text());
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.refusal(), "the disk that holds the database is full");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let refused_again = || {
                let mut caller = server.caller();
                for _ in 0..5 {
                    let answer = caller.call("POST", "/v1/functions/prints/invoke", event.as_bytes());
                    assert_eq!(answer.status, 503, "{}", answer.text());
                }
            };
            scope.spawn(refused_again);
        }
    });
    assert_eq!(server.record(&answered[0]).status, 200, "reading works");
    assert_eq!(
        server.get("/v1/invocations?limit=1000")["invocations"].as_array().unwrap().len(),
        answered.len()
    );

    disk.leave(8 * MIB);
    let resumed = wait::within(RESUMES, || {
        let answer = server.call("POST", "/v1/functions/prints/invoke", event.as_bytes());
        (answer.status == 200).then(|| answer.run().request_id)
    });
    answered.push(resumed.expect("runs are taken again within five seconds"));
    disk.fill();
    let full = server.call("POST", "/v1/functions/prints/invoke", event.as_bytes());
    if full.status == 200 {
        // What was free inside the files has taken it.
        answered.push(full.run().request_id);
    }
    let large = format!("\"{}\"", "e".repeat(3_000_000));
    let full = server.call("POST", "/v1/functions/prints/invoke", large.as_bytes());
    assert_eq!((full.status, full.refusal().is_empty()), (503, false), "bodies in files need room, too");
    let place = server.kill9();
    let words = ["serve", "--disk-low", "0", "--listen", "127.0.0.1:0"];
    let output = place.fnlite_for_moments(&words);
    assert_ne!(
        output.status.code(),
        Some(78),
        "after 78 the unit does not start it again: {}",
        text(&output)
    );
    disk.leave(8 * MIB);
    let server = place.serve(&["--disk-low", "0"]);
    for request_id in &answered {
        assert_eq!(server.record(request_id).printed(), ["a line"]);
    }
    assert_eq!(sql(&server.place().db(), "PRAGMA integrity_check"), "ok");
    let (status, place) = server.stop();
    assert!(status.success() && !place.said().contains("panicked"), "{}", place.said());
}

#[test]
fn another_program_that_writes_for_seconds_is_waited_for_without_an_error() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let foreign = Connection::open(server.place().db()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| server.invoke("hello", "{}"))).collect();
        // The length is the point: seconds, and shorter than every time-out.
        std::thread::sleep(Duration::from_secs(3));
        assert!(calls.iter().all(|call| !call.is_finished()), "an answer without a record");
        foreign.execute_batch("COMMIT").unwrap();
        for call in calls {
            call.join().unwrap().returned();
        }
    });
}

#[test]
fn a_reader_that_stays_holds_nobody_up_and_the_log_is_cut_once_it_is_gone() {
    let server = Server::start(&[]);
    server.deploy("prints", &source(PRINTS));
    let reader = Connection::open(server.place().db()).unwrap();
    let count = |reader: &Connection| -> i64 {
        reader.query_row("SELECT count(*) FROM invocations", [], |row| row.get(0)).unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 0);
    let mut caller = server.caller();
    let event = format!("\"{}\"", "e".repeat(900_000));
    // Far beyond what the log is cut at.
    wait::until("the log has grown", || {
        caller.invoke("prints", &event).returned();
        (metric(&server, "fnlite_store_wal_bytes") > 80 * MIB).then_some(())
    });
    assert_eq!(count(&reader), 0, "it sees what it saw");
    drop(reader);
    wait::until("the log is cut", || {
        caller.invoke("prints", &event).returned();
        (metric(&server, "fnlite_store_wal_bytes") <= 64 * MIB).then_some(())
    });
}

/// The log could not be copied then, for want of room in which the file can grow, and the server never came back.
#[test]
fn a_reader_that_keeps_the_log_from_being_copied_does_not_let_it_fill_the_disk() {
    let Some(disk) = SmallDisk::new(80) else { return };
    let server = Place::within(disk.path()).serve(&[]);
    server.deploy("resting", &source(PRINTS).with("reserved_mb", 0));
    let reader = Connection::open(server.place().db()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let seen: i64 = reader.query_row("SELECT count(*) FROM invocations", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 0);
    let event = format!("\"{}\"", "e".repeat(20_000));
    let mut caller = server.caller();
    let mut accepted = 0;
    let refused = loop {
        let answer = caller.call("POST", "/v1/functions/resting/invoke?type=event", event.as_bytes());
        if answer.status != 202 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 5000, "the disk is never nearly full");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    drop(reader);
    let resumed = wait::within(RESUMES, || {
        let answer = server.call("POST", "/v1/functions/resting/invoke?type=event", event.as_bytes());
        (answer.status == 202).then_some(())
    });
    resumed.expect("events are taken again within five seconds");
    assert_eq!(server.metric("fnlite_events_waiting"), accepted + 1);
    assert_eq!(sql(&server.place().db(), "PRAGMA integrity_check"), "ok");
}
