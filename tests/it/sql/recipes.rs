//! What people ask, as the README writes it; and other people's tools on the file while the server writes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fnlite::model::views::{FUNCTIONS, VIEWS};
use serde_json::{Value, json};

use super::rows;
use crate::function::{folder, source};
use crate::keeping;
use crate::server::{Server, program};

/// How slow is checkout by hour?
const BY_HOUR: &str = "\
SELECT substr(created, 1, 13) AS hour, count(*) AS runs, sum(state IN ('failed', 'dead', 'expired')) AS failed,
       round(p50(duration_ms), 1) AS p50, round(p95(duration_ms), 1) AS p95, round(max(duration_ms), 1) AS max
FROM invocations
WHERE function = 'checkout' AND created_us > unixepoch('now', '-1 day') * 1000000
GROUP BY hour ORDER BY hour";

/// Which runs failed last night and why?
const LAST_NIGHT: &str = "\
SELECT created, function, request_id, status, error, substr(result ->> 'stackTrace', -50) AS why
FROM invocations
WHERE state IN ('failed', 'dead', 'expired') AND created_us > unixepoch('now', '-12 hours') * 1000000
ORDER BY id";

/// What did the users of a JSON log see?
const JSON_LINES: &str = "\
SELECT json_log(SCF_Message, 'user') AS user, count(*) AS lines, max(json_log(SCF_Message, 'ms')) AS slowest
FROM logs
WHERE SCF_Message REGEXP '\"level\": *\"(warn|error)\"'
GROUP BY user ORDER BY slowest DESC";

const TALKING: &str = r#"
import json
def main_handler(event, context):
    print("plain text")
    for user, ms, level in [("ann", 7, "warn"), ("bob", 30, "error"), ("ann", 12, "warn"), ("eve", 99, "info")]:
        print(json.dumps({"level": level, "user": user, "ms": ms}))
"#;

fn at_work() -> Server {
    let server = Server::start(&[]);
    server.deploy("checkout", &folder("hello"));
    server.deploy("raise", &folder("raise"));
    server.deploy("talk", &source(TALKING));
    server
}

#[test]
fn the_readme_has_these_recipes_every_view_and_every_function() {
    let readme = include_str!("../../../README.md");
    for recipe in [BY_HOUR, LAST_NIGHT, JSON_LINES] {
        assert!(readme.contains(recipe), "{recipe}");
    }
    for view in VIEWS {
        assert!(readme.contains(&format!("`{}`, {}:", view.name, view.row)), "{}", view.name);
        for column in view.columns {
            let row = format!("| `{}` | {} | {} |", column.name, column.kind.as_str(), column.says);
            assert!(readme.contains(&row), "{row}");
        }
    }
    for function in FUNCTIONS {
        assert!(
            readme.contains(&format!("| `{}` | {} |", function.call, function.says)),
            "{}",
            function.call
        );
    }
}

#[test]
fn the_recipes_answer_what_they_are_for() {
    let server = at_work();
    for _ in 0..3 {
        server.invoke("checkout", "{}").returned();
    }
    let failed = server.invoke("raise", "{}").request_id;
    server.invoke("talk", "{}").returned();

    let by_hour = rows(&server, BY_HOUR);
    let hours: Vec<&Value> = by_hour.as_array().unwrap().iter().collect();
    // The hour may have changed between the runs.
    let runs: i64 = hours.iter().map(|hour| hour[1].as_i64().unwrap()).sum();
    assert!((1..=2).contains(&hours.len()) && runs == 3, "{by_hour}");
    assert!(hours.iter().all(|hour| hour[2] == 0 && hour[3].as_f64() <= hour[5].as_f64()), "{by_hour}");

    let last_night = rows(&server, LAST_NIGHT);
    let [row] = &last_night.as_array().unwrap()[..] else { panic!("{last_night}") };
    assert_eq!((&row[1], &row[2], &row[3]), (&json!("raise"), &json!(failed), &json!(430)));
    assert!(row[5].as_str().unwrap().trim_end().ends_with("ZeroDivisionError: division by zero"), "{row}");

    assert_eq!(rows(&server, JSON_LINES), json!([["bob", 1, 30], ["ann", 2, 12]]));
    assert_eq!(rows(&server, "SELECT count(*) FROM logs WHERE has_word(SCF_Message, 'PLAIN')"), json!([[1]]));
}

/// Runs `checkout` until somebody has seen enough.
fn keep_writing(server: &Server, enough: &AtomicBool) {
    let mut caller = server.caller();
    while !enough.load(Ordering::Relaxed) {
        caller.invoke("checkout", "{}").returned();
    }
}

#[test]
fn sqlite3_answers_the_recipes_too_while_the_server_writes() {
    let server = at_work();
    server.invoke("raise", "{}");
    let db = server.place().db();
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| keep_writing(&server, &enough));
        let by_hour = BY_HOUR.replace("p50(", "avg(").replace("p95(", "max(");
        let mut seen = 0;
        for _ in 0..10 {
            let said = keeping::sql(&db, &by_hour);
            let runs = said.lines().map(|line| line.split('|').nth(1).unwrap().parse::<i64>().unwrap()).sum();
            assert!(runs >= seen, "{said} after {seen}");
            seen = runs;
        }
        assert!(keeping::sql(&db, LAST_NIGHT).contains("ZeroDivisionError"));
        assert!(keeping::sql(&db, "SELECT release FROM appliance").starts_with(env!("CARGO_PKG_VERSION")));
        enough.store(true, Ordering::Relaxed);
    });
}

/// `scripts/test --all` installs the tool.
#[test]
fn datasette_shows_the_views_while_the_server_writes() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/datasette/bin/datasette");
    if !tool.exists() {
        eprintln!("SKIPPED: datasette is not in {}; scripts/test --all installs it", tool.display());
        return;
    }
    let server = at_work();
    server.invoke("checkout", "{}").returned();
    let enough = AtomicBool::new(false);
    let page = |path: &str| -> Value {
        let mut command = program(&tool);
        command.arg("serve").arg(server.place().db()).args(["--get", path]);
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", keeping::text(&output)))
    };
    std::thread::scope(|scope| {
        scope.spawn(|| keep_writing(&server, &enough));
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for view in ["invocations", "logs", "functions", "appliance"] {
                let found = page(&format!("/fnlite/{view}.json?_shape=array&_size=5"));
                assert!(!found.as_array().unwrap().is_empty(), "{view}: {found}");
            }
            page(
                "/fnlite.json?_shape=array&sql=SELECT+function,+count(*)+AS+runs+FROM+invocations+GROUP+BY+1",
            )
        }));
        enough.store(true, Ordering::Relaxed);
        assert_eq!(asked.unwrap()[0]["function"], "checkout");
    });
}
