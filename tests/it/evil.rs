//! Hostile functions at every level: `fnlite doctor --self-test`, which people run on their own hosts, run to its end here
//! and looked at from outside. The table of attempts is `src/cli/self_test/attempts.rs`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::processes;
use crate::server::{Place, Server};
use crate::wait;

/// What came of one attempt at one level.
#[derive(Debug, Deserialize)]
struct Row {
    level: u8,
    attempt: String,
    promised_from: u8,
    verdict: String,
    holds: bool,
    detail: String,
}

/// Fewest attempts that make a suite.
const ATTEMPTS_MIN: usize = 60;

/// Runs a self-test whose temporary files go to `place`.
fn self_test(place: &Place, words: &[&str]) -> (Option<i32>, Vec<Row>) {
    let folder = place.file("self-test");
    fs::create_dir_all(&folder).unwrap();
    let mut command = place.fnlite(&["doctor", "--self-test", "--json"]);
    let output = command.args(words).env("TMPDIR", &folder).output().unwrap();
    let rows = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|cause| panic!("{cause}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_nothing_is_left(&folder);
    (output.status.code(), rows)
}

/// Neither files nor processes: those of hostile functions have names that begin like this, and all know their folder.
fn assert_nothing_is_left(folder: &Path) {
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "files are left");
    let folder = folder.to_str().unwrap();
    let is_such = |process: processes::Process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(folder)
    };
    wait::until("no process is left", || processes::all(is_such).is_empty().then_some(()));
}

/// Every attempt, heavy ones too, at that level.
fn assert_holds(level: u8) {
    let place = Place::new();
    let (code, rows) = self_test(&place, &["--heavy", "--level", &level.to_string()]);
    assert!(rows.len() >= ATTEMPTS_MIN && rows.iter().all(|row| row.level == level), "{}", rows.len());
    let is_held = |row: &Row| matches!(row.verdict.as_str(), "denied" | "contained");
    let is_broken = |row: &&Row| !row.holds || (row.promised_from <= level && !is_held(row));
    let broken: Vec<String> =
        rows.iter().filter(is_broken).map(|row| format!("{}: {}", row.attempt, row.detail)).collect();
    assert!(broken.is_empty(), "level {level}: {broken:#?}");
    assert_eq!(code, Some(0));
}

/// The highest level that the host gives to whoever runs the tests.
fn level_max() -> u8 {
    Server::shared().level().try_into().unwrap()
}

#[test]
fn the_highest_level_holds_hostile_code() {
    assert_holds(level_max());
}

#[test]
fn lower_levels_hold_what_they_promise() {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
    if std::env::var_os("FNLITE_TEST_ALL").is_none() {
        return eprintln!("only the highest level is tested; scripts/test --all tests the others, too");
    }
    for level in 1..level_max() {
        assert_holds(level);
    }
}

/// The attempts are real: where nothing holds them, they succeed.
#[test]
fn without_walls_hostile_code_gets_what_it_wants() {
    let names = [
        "read_host_file",
        "write_host_file",
        "read_host_processes",
        "follow_link",
        "write_outside_tmp",
        "ptrace_by_parent",
        "new_user_namespace",
        "use_keyrings",
        "catch_page_faults",
        "leave_in_sysv_memory",
        "reach_host_port",
    ];
    let words: Vec<&str> =
        names.iter().flat_map(|name| ["--attempt", name]).chain(["--level", "1"]).collect();
    let (code, rows) = self_test(&Place::new(), &words);
    assert_eq!(rows.len(), names.len());
    // A host may have walls of its own, such as a kernel without keyrings; what needs none is let through everywhere.
    for name in ["read_host_file", "write_host_file", "read_host_processes", "follow_link"] {
        let row = rows.iter().find(|row| row.attempt == name).unwrap();
        assert_eq!(row.verdict, "allowed", "{row:?}");
    }
    let allowed = rows.iter().filter(|row| row.verdict == "allowed").count();
    assert!(allowed > names.len() / 2, "{rows:#?}");
    assert_eq!(code, Some(0), "level 1 promises nothing of these");
}

#[test]
fn the_self_test_says_what_it_needs() {
    let place = Place::new();
    let said = |words: &[&str]| {
        let output = place.fnlite(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&["doctor", "--self-test", "--attempt", "nonsense"]);
    assert_eq!((code, text.contains("there is no attempt nonsense")), (Some(2), true), "{text}");
    assert_eq!(said(&["doctor", "--heavy"]).0, Some(2));
}
