//! `fnlite sql`.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::function::folder;
use crate::server::{Place, Server};

/// Exit code, stdout, stderr.
fn sql(place: &Place, words: &[&str]) -> (Option<i32>, String, String) {
    let output = place.fnlite(&[&["sql"], words].concat()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn check(place: &Place, words: &[&str], code: i32, stdout: &str, stderr: &str) {
    let found = sql(place, words);
    assert_eq!((found.0, found.1.as_str()), (Some(code), stdout), "{words:?}: {found:?}");
    assert!(found.2.contains(stderr) && stderr.is_empty() == found.2.is_empty(), "{words:?}: {found:?}");
}

const BY_STATE: &str =
    "SELECT function, state, count(*) AS runs, NULL AS note FROM invocations GROUP BY 1, 2";

#[test]
fn a_statement_is_answered_by_the_server_or_from_the_file() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    server.invoke("hello", "{}").returned();
    let table = "function  state      runs  note\nhello     succeeded     1  NULL\n";
    check(server.place(), &[BY_STATE], 0, table, "");
    check(server.place(), &[BY_STATE, "--file", "fnlite.db"], 0, table, "");
    let json =
        |place: &Place| -> Value { serde_json::from_str(&sql(place, &[BY_STATE, "--json"]).1).unwrap() };
    let online = json(server.place());
    assert_eq!(online["rows"], json!([["hello", "succeeded", 1, null]]));
    assert_eq!(online["columns"], json!(["function", "state", "runs", "note"]));
    check(server.place(), &[BY_STATE, "--csv"], 0, "function,state,runs,note\nhello,succeeded,1,\n", "");

    let place = server.stop_in_order();
    let before = listing(&place);
    check(&place, &[BY_STATE], 0, table, "no server answers: the file itself was read");
    assert_eq!(json(&place)["rows"], online["rows"]);
    check(&place, &["DELETE FROM log"], 1, "", "is not allowed here");
    check(&place, &["SELECT * FROM key"], 1, "", "reading key.id is not allowed here");
    assert_eq!(listing(&place), before, "the file is as it was, and nothing lies beside it");
    check(&place, &[BY_STATE, "--db", "nothing.db"], 78, "", "nothing.db cannot be opened");
    check(&place, &[BY_STATE, "--file", "server.log"], 78, "", "the file is not a database");
    assert!(!place.file("nothing.db").exists());
}

/// Names, sizes and times of what lies where the server's files are.
fn listing(place: &Place) -> Vec<(String, u64, SystemTime)> {
    let entries = fs::read_dir(place.db().parent().unwrap()).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| {
            let meta = entry.metadata().unwrap();
            (entry.file_name().into_string().unwrap(), meta.len(), meta.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_backup_is_read_beside_the_running_server() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    assert!(server.fnlite(&["backup", "copy.db"]).status.success());
    server.invoke("hello", "{}").returned();
    let count = "SELECT count(*) AS runs FROM invocations";
    check(server.place(), &[count, "--file", "copy.db"], 0, "runs\n   0\n", "");
    check(server.place(), &[count], 0, "runs\n   1\n", "");
}

#[test]
fn parameters_limits_and_standard_input() {
    let server = Server::shared();
    let place = server.place();
    check(
        place,
        &["SELECT ? + 1 AS a, typeof(?) AS b, ? AS c", "-p", "-1", "-p", "007", "-p", "it's"],
        0,
        "a  b     c\n0  text  it's\n",
        "",
    );
    check(place, &["SELECT ?"], 1, "", "sql has 1 parameter, and params 0 values");
    let three = "SELECT value FROM json_each('[1,2,3]')";
    check(place, &[three, "--limit", "2"], 0, "value\n    1\n    2\n", "there are more than these 2 rows");
    check(place, &[three, "--limit", "3", "--csv"], 0, "value\n1\n2\n3\n", "");
    let mut command = place.fnlite(&["sql", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 'piped' AS a;\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"a\npiped\n");
}

#[test]
fn what_is_wrong_is_told_with_an_exit_code() {
    let place = Server::shared().place();
    check(place, &["SELEC 1"], 1, "", "near \"SELEC\": syntax error (column 1)");
    check(place, &["SELECT 1;\nSELECT 2"], 1, "", "sql must hold one statement");
    check(
        place,
        &["SELECT 1", "--key", "wrong", "--url", &Server::shared().url()],
        5,
        "",
        "the key is not known",
    );
    for words in [
        &[][..],
        &["SELECT 1", "--limit", "0"],
        &["SELECT 1", "--csv", "--json"],
        &["--schema", "x", "--csv"],
    ] {
        assert_eq!(sql(place, words).0, Some(2), "{words:?}");
    }
}

#[test]
fn the_schema_is_told_without_a_server() {
    let place = Place::new();
    let (code, said, _) = sql(&place, &["--schema"]);
    assert_eq!(code, Some(0));
    for part in [
        "invocations: one row for each run",
        "\n  request_id",
        "\n  SCF_Message ",
        "appliance: ",
        "X REGEXP 'pattern'",
        " json_extract",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (_, one, _) = sql(&place, &["--schema", "dead_letters"]);
    assert!(one.starts_with("dead_letters: ") && said.contains(one.trim_end()), "{one}");
    check(&place, &["--schema", "runs"], 4, "", "there is no view runs; there are: invocations, logs, ");
    let json: Value = serde_json::from_str(&sql(&place, &["--schema", "--json"]).1).unwrap();
    assert_eq!(
        json["views"][0]["columns"][1],
        json!({"name": "request_id", "type": "text", "says": "request ID"})
    );
}
