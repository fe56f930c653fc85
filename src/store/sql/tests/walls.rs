//! What statements cannot do.

use super::Door;
use crate::base::clock::{Clock, SystemClock};
use crate::error::Kind;
use crate::model::limits;
use crate::model::sql::{Params, RowLimit, Value};

/// Each is refused with a sentence that says what is allowed.
#[track_caller]
fn check_denied(door: &Door, sql: &str) {
    let said = door.refusal(sql);
    assert!(
        said.contains("is not allowed here; a statement may read the views invocations"),
        "{sql}: {said}"
    );
}

#[test]
fn nothing_is_written() {
    let door = Door::new();
    for sql in [
        "DELETE FROM log",
        "UPDATE invocation SET status = 200",
        "INSERT INTO log VALUES (1, 1, 1, 1, 1, 1, 'x', 0)",
        "REPLACE INTO server VALUES (1, 'x', 'x', 1, 1)",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "CREATE TEMP VIEW v AS SELECT * FROM key",
        "CREATE VIRTUAL TABLE t USING fts5(x)",
        "CREATE INDEX i ON log (message)",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT 1; END",
        "DROP VIEW logs",
        "ALTER TABLE log ADD COLUMN x",
        "WITH x AS (SELECT 1) DELETE FROM log",
        "EXPLAIN DELETE FROM log",
        "EXPLAIN QUERY PLAN DELETE FROM log",
        "DELETE FROM log RETURNING *",
        "VACUUM",
        "VACUUM INTO '/tmp/fnlite-stolen.db'",
        "VACUUM main INTO '/tmp/fnlite-stolen.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "ATTACH ':memory:' AS x",
        "ATTACH '/etc/passwd' AS x",
        "DETACH main",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA table_info(key)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA temp_store_directory = '/tmp'",
        "SELECT 1; DROP TABLE log",
        "SELECT load_extension('/tmp/x')",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT fts5(x'00')",
        "SELECT rtreecheck('log')",
        "SELECT sqlite_log(1, 'x')",
        "SELECT json_pretty('{}', '  ')",
        "SELECT unhex('00', 'x')",
    ] {
        check_denied(&door, sql);
    }
    assert!(!std::path::Path::new("/tmp/fnlite-stolen.db").exists());
    assert_eq!(door.value("SELECT count(*) FROM logs"), Value::Integer(2));
}

/// Ways to a table that ends with what is not to be read.
#[test]
fn secrets_are_read_in_no_disguise() {
    let door = Door::new();
    for sql in [
        "SELECT * FROM key",
        "SELECT count(*) FROM key",
        "SELECT 1 FROM KEY",
        "SELECT rowid FROM key",
        "SELECT max(id) FROM \"key\"",
        "SELECT * FROM main.key",
        "SELECT * FROM [Key] AS logs",
        "SELECT logs.secret_sha256 FROM key AS logs",
        "SELECT * FROM (SELECT secret_sha256 FROM key) AS functions",
        "SELECT (SELECT hex(secret_sha256) FROM key)",
        "SELECT (SELECT 1 FROM key)",
        "SELECT EXISTS (SELECT * FROM key WHERE hex(secret_sha256) LIKE '07%')",
        "SELECT 1 WHERE 'ci' IN (SELECT name FROM key)",
        "WITH logs AS (SELECT * FROM key) SELECT * FROM logs",
        "WITH functions AS (SELECT * FROM key) SELECT count(*) FROM functions",
        "WITH RECURSIVE logs(x) AS (SELECT name FROM key UNION ALL SELECT x FROM logs LIMIT 3) SELECT x FROM logs",
        "SELECT name FROM functions UNION SELECT name FROM key",
        "SELECT name FROM functions EXCEPT SELECT name FROM key",
        "SELECT name FROM functions ORDER BY (SELECT secret_sha256 FROM key)",
        "SELECT sum((SELECT id FROM key)) OVER () FROM functions",
        // SQLite asks nobody about what USING and NATURAL JOIN compare.
        "SELECT f.name FROM function f JOIN key USING (name)",
        "SELECT f.name FROM function f NATURAL JOIN key",
        "SELECT f.id FROM function f JOIN key USING (id)",
        "SELECT 1 FROM (SELECT 'ci' AS name) JOIN key USING (name)",
        "SELECT name FROM (SELECT 'ci' AS name) FULL JOIN key USING (name)",
        "SELECT name FROM (SELECT 'x' AS name) RIGHT JOIN key USING (name)",
        "SELECT f.id FROM function f JOIN package_chunk USING (id)",
        "SELECT f.id FROM function f JOIN idempotency ON true",
        "SELECT * FROM package_chunk",
        "SELECT length(bytes) FROM package_chunk",
        "SELECT * FROM idempotency",
        "SELECT * FROM log_words",
        "SELECT env FROM version",
        "SELECT * FROM version",
        "SELECT version.* FROM version",
        "SELECT 1 FROM version WHERE env LIKE '%secret%'",
        "SELECT id FROM version ORDER BY env",
        "SELECT count(*) FROM version GROUP BY env",
        "SELECT max(env) FROM version",
        "SELECT (SELECT env FROM version)",
        "SELECT typeof(env) FROM version",
        "SELECT v.id FROM version v JOIN (SELECT '{}' AS env) x USING (env)",
        "SELECT v.id FROM (SELECT '{}' AS env) x JOIN version v USING (env)",
        "SELECT v.id FROM version v NATURAL JOIN (SELECT '{}' AS env) x",
        "SELECT v.id FROM version v LEFT JOIN (SELECT '{}' AS env) x USING (env)",
        "SELECT env FROM (SELECT '{}' AS env) x FULL JOIN version USING (env)",
        "WITH x(env) AS (VALUES ('{}')) SELECT count(*) FROM version JOIN x USING (env)",
        "SELECT value FROM json_each((SELECT env FROM version))",
        "SELECT j.value FROM version, json_each(version.env) j",
        "SELECT * FROM json_each('[]') NATURAL JOIN key",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM sqlite_master",
        "SELECT count(*) FROM sqlite_schema",
        "SELECT * FROM temp.sqlite_schema",
        "SELECT * FROM sqlite_sequence",
        "SELECT f.name FROM function f JOIN sqlite_schema USING (name)",
        "SELECT * FROM sqlite_stat1",
        "SELECT * FROM pragma_table_info('key')",
        "SELECT count(*) FROM pragma_table_info('key')",
        "SELECT f.name FROM function f JOIN pragma_table_info('key') USING (name)",
        "SELECT count(*) FROM pragma_table_list",
        "SELECT count(*) FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "SELECT count(*) FROM dbstat",
        "SELECT f.name FROM function f JOIN dbstat USING (name)",
        "SELECT * FROM fts3tokenize('simple', 'a b')",
        "SELECT * FROM sqlite_dbpage",
        "SELECT * FROM bytecode('SELECT 1')",
    ] {
        let said = door.refusal(sql);
        let is_denied = said.contains("is not allowed here") || said.contains("no such table");
        assert!(is_denied, "{sql}: {said}");
        assert!(!said.contains("07070707") && !said.contains("ZEBRA"), "{said}");
    }
}

#[test]
fn what_is_open_is_read_in_every_way() {
    let door = Door::new();
    for sql in [
        "SELECT count(*) FROM (SELECT 1 UNION SELECT 2)",
        "WITH x AS (SELECT 1 AS a) SELECT count(*) FROM x",
        "WITH x(n) AS (VALUES (1), (2)) SELECT n FROM x JOIN x AS y USING (n)",
        "SELECT count(*) FROM version",
        "SELECT id, runtime FROM version ORDER BY handler",
        "SELECT f.name FROM function f JOIN version v ON v.function_id = f.id",
        "SELECT name, count(*) OVER (ORDER BY name) FROM functions",
        "SELECT function, event ->> 'n' FROM invocations",
        "SELECT i.request_id, l.SCF_Message FROM invocations i JOIN logs l ON l.invocation_id = i.id",
        "SELECT * FROM logs NATURAL JOIN (SELECT 1 AS id)",
        "SELECT key, value FROM json_each('{\"a\": 1}')",
        "SELECT count(*) FROM json_tree('[1, [2]]')",
        "SELECT * FROM dead_letters",
        "SELECT * FROM functions",
        "SELECT * FROM appliance",
        "VALUES (1, 2)",
        "SELECT 'a' LIKE 'A', 'a' GLOB 'a', 'a' NOT LIKE '%b' ESCAPE 'x'",
    ] {
        door.ask(sql);
    }
}

#[test]
fn a_store_that_closes_ends_statements() {
    let door = Door::new();
    let began = SystemClock.now();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            door.try_ask(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            )
        });
        while !door.store.0.turns.is_one_taken() {
            std::thread::yield_now();
        }
        door.store.close();
        let error = asked.join().unwrap().unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::Busy, "the server is stopping"));
    });
    assert!((SystemClock.now() - began).as_secs() < limits::SQL_TIME_S);
    assert_eq!(door.try_ask("SELECT 1").unwrap_err().kind, Kind::Busy);
    assert!(!door.fixture.path().with_extension("db-wal").exists(), "nobody had the file open any more");
}

/// A thread's stack is small, and SQLite's compiler recurses.
#[test]
fn large_and_deep_statements_are_refused_or_answered_and_crash_nothing() {
    let door = Door::new();
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    // Each stands on the one before, once or twice: 2 to the power of so many.
    let ctes = |levels: usize, join: &str| {
        let one = |n: usize| {
            format!(", t{n} AS (SELECT a.x FROM t{} a {})", n - 1, join.replace('#', &(n - 1).to_string()))
        };
        format!(
            "WITH t0 AS (SELECT 1 AS x){} SELECT count(*) FROM t{levels}",
            (1..=levels).map(one).collect::<String>()
        )
    };
    let many = |piece: &str, count: usize| vec![piece; count].join(",");
    for (sql, is_refused) in [
        (nested("(", "1", ")", 10_000), true),
        (nested("-", "1", "", 90_000), true),
        (nested("NOT ", "1", "", 20_000), true),
        (nested("abs(", "1", ")", 10_000), true),
        (nested("CASE WHEN 1 THEN ", "1", " END", 3000), true),
        (nested("(SELECT ", "1", ")", 5000), true),
        (nested("EXISTS(SELECT ", "1", ")", 4000), true),
        (
            format!(
                "SELECT * FROM {}",
                nested("(SELECT * FROM ", "logs", ")", 4000).replace("SELECT (", "(")
            ),
            true,
        ),
        (format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5000)), true),
        (format!("SELECT 1{}", " + 1".repeat(20_000)), true),
        (format!("SELECT 1 WHERE 1{}", " AND 1".repeat(15_000)), true),
        (format!("SELECT {}", many("1", 40_000)), true),
        (format!("SELECT max({})", many("1", 40_000)), true),
        (format!("SELECT * FROM {}", many("logs", 30)), true),
        (format!("SELECT 1 IN ({})", many("1", 49_000)), true),
        (format!("SELECT 1 IN ({})", many("7", 3000)), false),
        (format!("VALUES {}", many("(1)", 500)), false),
        (format!("SELECT '{}'", "x".repeat(99_000)), false),
        (format!("SELECT {}", "x".repeat(90_000)), true),
        (ctes(39, ""), false),
        (ctes(500, ""), true),
        (ctes(4, "JOIN t# b"), false),
        (ctes(8, "JOIN t# b"), true),
        (ctes(16, "JOIN t# b"), true),
        (ctes(39, "JOIN t# b"), true),
        (format!("SELECT ?{}", "9".repeat(50_000)), true),
        ("SELECT ?1000000".to_owned(), true),
        (format!("SELECT 1{}", " /* ".repeat(20_000)), false),
    ] {
        let shown: String = sql.chars().take(60).collect();
        let began = SystemClock.now();
        let answered = on_a_small_stack(&door, &sql);
        assert_eq!(answered.is_err(), is_refused, "{shown}: {answered:?}");
        let took = SystemClock.now() - began;
        assert!(took.as_secs() < 2 * limits::SQL_TIME_S, "{shown}: {took:?}");
    }
}

/// As the server's own threads have it.
fn on_a_small_stack(door: &Door, sql: &str) -> Result<usize, String> {
    std::thread::scope(|scope| {
        let asked = std::thread::Builder::new()
            .stack_size(512 * 1024)
            .spawn_scoped(scope, || door.try_ask_with(sql, Params::InOrder(Vec::new()), RowLimit::default()));
        let answered = asked.unwrap().join().unwrap();
        answered.map(|answer| answer.rows.len()).map_err(|error| error.message)
    })
}
