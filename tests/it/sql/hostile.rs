//! Statements that want more than they may have: each is refused or stopped, and others are served meanwhile.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use fnlite::model::limits;
use serde_json::json;

use super::{ask, rows};
use crate::function::{expression, folder};
use crate::server::Server;

/// Counts for ever.
const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) ";
/// 800,000 letters, all the same, and a number: what is the same for all rows is computed once.
const LONG: &str = "(replace(hex(zeroblob(400000)), '0', 'a') || i)";

fn forever(rest: &str) -> String {
    format!("{FOREVER}{rest}")
}

/// A condition on a long text, asked for ever.
fn over_long(condition: &str) -> String {
    forever(&format!("SELECT count(*) FROM n WHERE {condition}")).replace("LONG", LONG)
}

/// What takes time, memory, or both without end.
fn endless() -> Vec<String> {
    vec![
        forever("SELECT count(*) FROM n"),
        forever("SELECT count(*) FROM n a JOIN n b JOIN n c"),
        forever("SELECT i FROM n ORDER BY random()"),
        forever("SELECT median(i) FROM n"),
        forever("SELECT hex(randomblob(400000)) FROM n ORDER BY 1"),
        forever(", m AS MATERIALIZED (SELECT randomblob(999000) AS b FROM n) SELECT count(*) FROM m a, m c"),
        over_long(&format!("LONG LIKE '%{}b'", "a_".repeat(40))),
        over_long("instr(LONG, substr(LONG, 1, 300000) || 'b') > 0"),
        over_long("trim(LONG, replace(LONG, 'a', 'b')) = 'x'"),
        over_long("hex(randomblob(4096)) REGEXP '(A|B.)*[0-9]([0-9A-F].?){100}z'"),
        // LIMIT keeps the text from being made anew for each of them.
        format!(
            "{FOREVER}SELECT count(*) FROM (SELECT replace({LONG}, 'a', char(1)) AS x FROM n LIMIT -1) WHERE json_array({}) = ''",
            vec!["x"; 24].join(", ")
        ),
        over_long("has_word(LONG, 'b')"),
        straight_on(|column| format!("x LIKE '%{}{column}'", "a".repeat(90))),
        straight_on(|column| format!("x GLOB '*{}{column}'", "[ab]".repeat(20))),
    ]
}

/// Much at once with nothing between where a program jumps, which is where SQLite looks whether it has to end.
fn straight_on(column: impl Fn(usize) -> String) -> String {
    let columns: Vec<String> = (1..=200).map(column).collect();
    format!(
        "SELECT {} FROM (SELECT replace(hex(zeroblob(400000)), '0', 'a') AS x LIMIT 1)",
        columns.join(", ")
    )
}

/// More of the kind, for the long rounds.
fn more_endless() -> Vec<String> {
    let wildcards = "%a".repeat(40);
    vec![
        forever("SELECT i FROM n WHERE i < 0"),
        forever("SELECT DISTINCT i FROM n ORDER BY 1"),
        forever("SELECT i, count(*) FROM n GROUP BY i ORDER BY 2"),
        forever("SELECT i FROM n UNION SELECT -i FROM n"),
        forever("SELECT sum(i) OVER (ORDER BY i DESC) FROM n"),
        forever("SELECT json_group_array(i) FROM n"),
        forever("SELECT group_concat(hex(randomblob(900))) FROM n"),
        forever("SELECT max(hex(randomblob(400000))) FROM n"),
        format!("SELECT ({FOREVER}SELECT count(*) FROM n)"),
        "WITH RECURSIVE n(b) AS (VALUES (randomblob(999000)) UNION SELECT randomblob(999000) FROM n) SELECT count(b) FROM n"
            .to_owned(),
        "WITH RECURSIVE a(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM a LIMIT 100000)
         SELECT count(*) FROM a, a b, a c WHERE a.i = -b.i"
            .to_owned(),
        over_long(&format!("LONG LIKE '{wildcards}%b'")),
        over_long(&format!("LONG GLOB '{}*b'", wildcards.replace('%', "*"))),
        over_long(&format!("LONG GLOB '{}b'", "*[ab][a-z]".repeat(9))),
        over_long("replace(LONG, substr(LONG, 1, 300000) || 'b', '') = ''"),
        over_long("ltrim(LONG, substr(LONG, 1, 300000)) = 'x'"),
        // As long as these patterns take.
        over_long("substr(LONG, 1, 260000) REGEXP '(a|aa)+$b'"),
        over_long("substr(LONG, 1, 65536) REGEXP '(?i)(a*){9}(aa|a|b)*c'"),
        over_long("hex(randomblob(16384)) REGEXP '(a|b)*a(a|b){60}c'"),
        over_long("hex(randomblob(16384)) REGEXP '[0-9A-F]*A[0-9A-F]{300}z'"),
        over_long("hex(randomblob(4096)) REGEXP '\\w*\\d\\w?[^\\w]'"),
        over_long("json_extract('[' || replace(LONG, 'aa', '1,') || '1]', '$[399999]') = 2"),
        over_long("json_valid(replace(substr(LONG, 1, 500000), 'a', '['))"),
        over_long("hex(substr(LONG, 1, 400000)) || i LIKE 'b'"),
        over_long("json_log('{\"a\":\"' || LONG || '\"}', 'b') = 1"),
    ]
}

/// What is refused before it has begun.
fn refused() -> Vec<String> {
    let formats = format!("SELECT {} FROM functions", vec!["strftime(name, 0)"; 21].join(", "));
    let named = [
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(2147483647)",
        "SELECT printf('%1000000000d', 1)",
        "SELECT printf('%.1000000000f', 1.5)",
        "SELECT format('%.*c', 1000000000, 'x')",
        "WITH RECURSIVE n(x) AS (VALUES ('ab') UNION ALL SELECT x || x FROM n) SELECT length(x) FROM n",
        // Every word of the text is the beginning of what is sought.
        "SELECT sum(has_word(replace(hex(zeroblob(200000)), '00', 'a '), replace(hex(zeroblob(199)), '00', 'a ') || 'b')) FROM
         json_each('[1,2,3]'), json_each('[1,2,3]')",
        "SELECT json_pretty('[[[[1]]]]', hex(zeroblob(400000)))",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 40000), o AS (SELECT json_group_object('k' || x, x) AS j FROM n)
         SELECT length(json_patch(j, j)) FROM o",
        "DELETE FROM log",
        "VACUUM INTO '/tmp/fnlite-stolen.db'",
        "ATTACH '/etc/passwd' AS x",
        "PRAGMA journal_mode = DELETE",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT * FROM key",
        "SELECT f.name FROM function f JOIN key USING (name)",
        "SELECT env FROM version",
        "SELECT * FROM package_chunk",
        "SELECT * FROM sqlite_schema",
    ];
    [named.map(str::to_owned).to_vec(), vec![formats]].concat()
}

/// The longest that somebody waited while statements ran, and the most memory of the server, MiB.
#[derive(Debug, Default)]
struct Seen {
    health: Duration,
    invoke: Duration,
    memory_mib: u64,
    rounds: u32,
}

#[test]
fn statements_without_end_are_stopped_while_others_are_served() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let before_mib = memory_mib(&server);
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
    let is_long = std::env::var_os("FNLITE_TEST_ALL").is_some();
    let more = if is_long { more_endless() } else { Vec::new() };
    let statements = Mutex::new([more, endless()].concat());
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&server, &done));
        let askers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let Some(sql) = statements.lock().unwrap().pop() else { return };
                        check_stopped(&server, &sql);
                    }
                })
            })
            .collect();
        let ended: Vec<_> = askers.into_iter().map(|asker| asker.join()).collect();
        done.store(true, Ordering::Relaxed);
        let seen = watching.join().unwrap();
        assert!(ended.iter().all(Result::is_ok), "{seen:?}");
        seen
    });
    let after_mib = memory_mib(&server);
    eprintln!("{before_mib} MiB before; {seen:?}; {after_mib} MiB after");
    assert!(after_mib < before_mib + 64, "{after_mib} MiB are kept");
    assert!(seen.rounds > 100, "{seen:?}");
    let statement = Duration::from_secs(limits::SQL_TIME_S);
    assert!(seen.health < statement && seen.invoke < statement, "somebody waited for a statement: {seen:?}");
    assert!(seen.memory_mib < before_mib + 400, "{seen:?}");
    assert_eq!(rows(&server, "SELECT 1"), json!([[1]]));
    let said = server.place().said();
    assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
}

/// Ends, or is refused before. How long one call of a function takes that cannot be interrupted is a matter of the machine: seconds in
/// a build for tests. The shortest of what does not end by itself would take a quarter of an hour.
fn check_stopped(server: &Server, sql: &str) {
    let began = SystemClock.now();
    let answer = ask(server, sql);
    let took = SystemClock.now() - began;
    let said = answer.refusal();
    assert_eq!(answer.status, 400, "{sql}: {said}");
    let is_ended = said.contains("the statement was stopped") || said.contains("too big");
    assert!(is_ended, "{sql}: {said}");
    assert!(took < Duration::from_secs(60), "{sql}: {took:?}");
}

fn watch(server: &Server, done: &AtomicBool) -> Seen {
    let (mut seen, mut caller) = (Seen::default(), server.caller());
    while !done.load(Ordering::Relaxed) {
        let began = SystemClock.now();
        assert_eq!(caller.call("GET", "/healthz", b"").status, 200);
        let healthy = SystemClock.now();
        caller.invoke("hello", "{}").returned();
        seen.invoke = seen.invoke.max(SystemClock.now() - healthy);
        seen.health = seen.health.max(healthy - began);
        seen.memory_mib = seen.memory_mib.max(memory_mib(server));
        seen.rounds += 1;
    }
    seen
}

fn memory_mib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn what_is_not_allowed_is_refused_at_once() {
    let server = Server::shared();
    server.deploy("sql_refused", &expression("event"));
    for sql in refused() {
        let began = SystemClock.now();
        let answer = ask(server, &sql);
        assert_eq!(answer.status, 400, "{sql}: {}", answer.text());
        answer.refusal();
        let took = SystemClock.now() - began;
        assert!(took < Duration::from_secs(2), "{sql}: {took:?}");
    }
    let usual = "SELECT strftime('%Y', created), strftime('%m', created) FROM invocations";
    assert_eq!(ask(server, usual).status, 200);
}

#[test]
fn two_statements_run_at_once_a_few_wait_and_others_are_told() {
    let server = Server::start(&[]);
    let statuses = std::thread::scope(|scope| {
        let all: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| ask(&server, &format!("{FOREVER}SELECT count(*) FROM n")).status))
            .collect();
        assert_eq!(server.call("GET", "/healthz", b"").status, 200);
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(400), count(503)), (8, 8), "{statuses:?}");
}

#[test]
fn a_statement_needs_a_key_that_may_read() {
    let server = Server::shared();
    let body = json!({ "sql": "SELECT 1" }).to_string();
    let status = |key: Option<&str>| server.caller_with(key).call("POST", "/v1/sql", body.as_bytes()).status;
    assert_eq!(status(None), 401);
    let made = server.call("POST", "/v1/keys", br#"{"name":"sql_reader","scope":"read"}"#).json();
    assert_eq!(status(made["key"].as_str()), 200);
    let large = json!({ "sql": format!("SELECT '{}'", "x".repeat(100_000)) }).to_string();
    let answer = server.call("POST", "/v1/sql", large.as_bytes());
    assert_eq!(answer.refusal(), "sql must have at most 100000 bytes, not 100009");
    let huge = json!({ "sql": "SELECT 1", "params": ["x".repeat(2_000_000)] }).to_string();
    assert_eq!(server.call("POST", "/v1/sql", huge.as_bytes()).status, 413);
}
