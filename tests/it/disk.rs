//! What is kept and for how long, and that the file then shrinks.

use serde_json::json;

use crate::function::{expression, folder};
use crate::keeping::sql;
use crate::server::{Place, Server};
use crate::wait;

/// A minute long ago, 2020-09-13, and a day of minutes.
const THEN_MINUTE: i64 = 26_666_666;
const DAY_MINUTES: i64 = 24 * 60;

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
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let place = with_old_runs(server, "hello", THEN_MINUTE, DAY_MINUTES, 100, 100);
    let server = place.serve(&[]);
    let mut caller = server.caller();
    let (mut meanwhile, total) = (0, DAY_MINUTES.cast_unsigned() * 100);
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
