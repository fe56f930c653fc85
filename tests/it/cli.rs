//! The command line as scripts see it: exit codes, what goes to stdout and what to stderr, where the server is found.
//! The server here is a script: it answers what a test tells it and keeps what it was asked.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fnlite::instance::package;

/// A folder to run in, with a scripted server's socket file where `fnlite` looks for it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    server: Option<JoinHandle<()>>,
    asked: Receiver<Asked>,
}

/// One request as it came.
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// One answer of the script: status line's end, further headers, body.
pub(crate) struct Answer(pub(crate) &'static str, pub(crate) String, pub(crate) String);

pub(crate) fn ok(body: &str) -> Answer {
    Answer("200 OK", String::new(), body.to_owned())
}

pub(crate) fn refused(status: &'static str, message: &str) -> Answer {
    Answer(
        status,
        String::new(),
        format!(r#"{{"error":{{"code":"X","message":"{message}","request_id":"r1"}}}}"#),
    )
}

/// The end of a run with that status of the contract.
fn ended(http: &'static str, status: u16, body: &str) -> Answer {
    let headers = format!(
        "X-Fnlite-Request-Id: 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae\r\nX-Fnlite-Status: {status}\r\n\
         X-Fnlite-Duration-Ms: 1.24\r\nX-Fnlite-Memory-Mb: 9.5\r\n"
    );
    Answer(http, headers, body.to_owned())
}

/// A place whose server gives these answers, one after another.
pub(crate) fn place(answers: Vec<Answer>) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("fnlite.sock")).unwrap();
    let (tell, asked) = channel();
    let server = Builder::new().name("scripted server".to_owned()).spawn(move || {
        for Answer(status, headers, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            tell.send(read_request(&mut stream)).unwrap();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    Place { folder, server: Some(server.unwrap()), asked }
}

fn read_request(stream: &mut UnixStream) -> Asked {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "cut off: {}", String::from_utf8_lossy(&bytes));
        bytes.extend(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |n| n.parse().unwrap());
        if bytes.len() >= end + 4 + length {
            let line = head.lines().next().unwrap().to_owned();
            return Asked { line, head, body: bytes[end + 4..].to_vec() };
        }
    }
}

impl Place {
    #[expect(clippy::disallowed_methods, reason = "the program under test is a process")]
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fnlite"));
        command.args(arguments.split(' ')).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs to its end, and the script too.
    pub(crate) fn run(&mut self, arguments: &str) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.server.take().into_iter().for_each(|server| server.join().unwrap());
        output
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked.recv().unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

#[track_caller]
pub(crate) fn expect(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    assert_eq!(out, stdout, "stderr: {err}");
    assert!(err.contains(stderr), "stderr: {err}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn the_value_goes_to_stdout_and_the_rest_to_stderr() {
    let value = r#"{"n": 1.10,  "é":"中"}"#;
    let mut place = place(vec![ended("200 OK", 200, value)]);
    let output = place.run("invoke hello -d {\"key\":1.0}");
    expect(&output, 0, &format!("{value}\n"), "returned in 1.24 ms, 9.5 MB, request 4ca7089c-");
    let asked = place.asked();
    assert_eq!(asked.line, "POST /v1/functions/hello/invoke HTTP/1.1");
    assert_eq!(asked.body, br#"{"key":1.0}"#);
}

#[test]
fn json_output_keeps_the_value_byte_for_byte() {
    let mut place = place(vec![ended("200 OK", 200, "[1.10, 1e400]")]);
    let expected = r#"{"request_id":"4ca7089c-3bb0-48cf-bcdb-26d130fed2ae","status":200,"duration_ms":1.24,"memory_mb":9.5,"result":[1.10, 1e400]}"#;
    expect(&place.run("invoke hello --json"), 0, &format!("{expected}\n"), "");
}

#[test]
fn a_failed_function_is_exit_code_3_and_its_trace_on_stderr() {
    let body = r#"{"errorCode":-1,"errorMessage":"user code exception caught","requestId":"x","stackTrace":"Traceback\nValueError: no","statusCode":430}"#;
    let mut failing = place(vec![ended("502 Bad Gateway", 430, body)]);
    expect(&failing.run("invoke hello"), 3, "", "Traceback\nValueError: no\nfailed with status 430");
    let mut limited =
        place(vec![ended("429 Too Many Requests", 432, r#"{"errorMessage":"full","statusCode":432}"#)]);
    expect(&limited.run("invoke hello"), 3, "", "full\n");
}

#[test]
fn the_servers_refusals_have_exit_codes_of_their_own() {
    for (status, code) in [
        ("404 Not Found", 4),
        ("401 Unauthorized", 5),
        ("403 Forbidden", 5),
        ("400 Bad Request", 1),
        ("503 Busy", 1),
    ] {
        for command in [
            "invoke hello",
            "invoke hello --async",
            "show 4ca7089c",
            "show --wait 4ca7089c",
            "list",
            "dead list",
            "dead show 4ca7089c",
            "dead replay --all",
            "dead drop --all hello",
            "delete hello",
            "keys list",
            "doctor",
            "runs",
            "logs",
            "logs -f",
        ] {
            let mut place = place(vec![refused(status, "said so")]);
            expect(&place.run(command), code, "", "fnlite: said so");
        }
    }
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let mut place = place(Vec::new());
    expect(&place.run("list --socket gone.sock"), 1, "", "start one with `fnlite serve`");
    expect(&place.run("list --url http://127.0.0.1:1"), 1, "", "no server answers at http://127.0.0.1:1");
}

#[test]
fn wrong_usage_is_2_and_unusable_configuration_78() {
    let mut place = place(Vec::new());
    for line in [
        "",
        "fly",
        "invoke",
        "list --port 1",
        "keys create",
        "logs --since 5",
        "logs -f --until 1h",
        "logs -f --status failed",
        "bench",
        "man fly",
        "deploy a b --env X",
        "invoke a --wait",
        "invoke a --idempotency-key x",
        "invoke a --async --wait=5",
        "dead",
        "dead replay",
        "dead drop x --all",
    ] {
        let output = place.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        assert!(output.stdout.is_empty(), "{line}");
    }
    expect(&place.run("list --config none.toml"), 78, "", "none.toml cannot be read");
    expect(&place.run("list --url https://x"), 78, "", "reverse proxy");
    place.file("fnlite.toml", "[serve]\nlog = 'loud'\n");
    expect(&place.run("serve"), 78, "", "log must be error, warn, info, debug or trace");
    place.file("fnlite.toml", "nonsense = 1\n");
    expect(&place.run("list"), 78, "", "unknown field `nonsense`");
}

#[test]
fn flags_beat_variables_beat_the_file() {
    let line = |place: &Place| place.asked().line;
    let mut flag = place(vec![ok(r#"{"functions":[]}"#)]);
    flag.file("fnlite.toml", "socket = 'wrong.sock'\n");
    let mut command = flag.command("list --socket fnlite.sock -n typed");
    assert!(
        command.env("FNLITE_SOCKET", "wrong.sock").env("FNLITE_NAMESPACE", "set").status().unwrap().success()
    );
    assert_eq!(line(&flag), "GET /v1/functions?limit=1000&namespace=typed HTTP/1.1");
    flag.run("man");

    let mut variable = place(vec![ok(r#"{"functions":[]}"#)]);
    variable.file("fnlite.toml", "socket = 'wrong.sock'\n[client]\nnamespace = 'filed'\n");
    assert!(variable.command("list").env("FNLITE_SOCKET", "fnlite.sock").status().unwrap().success());
    assert_eq!(line(&variable), "GET /v1/functions?limit=1000&namespace=filed HTTP/1.1");
    variable.run("man");
}

#[test]
fn a_folder_is_deployed_as_an_archive() {
    let mut place = place(vec![ok(
        r#"{"name":"hello","runtime":"Python3.10","handler":"index.main_handler","timeout_s":5,"memory_mb":128,"notes":["python3 stands in"]}"#,
    )]);
    place.file("code/index.py", "def main_handler(event, context): pass");
    place.file("code/__pycache__/index.pyc", "");
    let output = place.run("deploy hello code --timeout 5 --env A=1 --env B=x=y");
    expect(&output, 0, &String::from_utf8_lossy(&output.stdout), "note: python3 stands in");
    assert!(
        output.stdout.starts_with(b"deployed hello: Python3.10, index.main_handler, 128 MB, 5 s"),
        "{output:?}"
    );
    let asked = place.asked();
    assert_eq!(asked.line, "PUT /v1/functions/hello HTTP/1.1");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    let archive = STANDARD.decode(body["code"]["zip_base64"].as_str().unwrap()).unwrap();
    assert_eq!(package::check(&archive).unwrap().entries, 1);
    let mut rest = body;
    rest.as_object_mut().unwrap().shift_remove("code");
    assert_eq!(
        rest.to_string(),
        r#"{"runtime":"Python3.10","handler":"index.main_handler","timeout_s":5,"env":{"A":"1","B":"x=y"}}"#
    );
}

#[test]
fn events_come_from_files_and_standard_input() {
    let mut from_file = place(vec![ended("200 OK", 200, "1")]);
    from_file.file("event.json", "{\"from\": \"file\"}\n");
    expect(&from_file.run("invoke hello -d @event.json"), 0, "1\n", "");
    assert_eq!(from_file.asked().body, b"{\"from\": \"file\"}\n");

    let mut from_stdin = place(vec![ended("200 OK", 200, "1")]);
    let mut command = from_stdin.command("invoke hello -d -");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[]").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(from_stdin.asked().body, b"[]");
    expect(&from_stdin.run("invoke hello -d @gone"), 2, "", "gone cannot be read");
}

#[test]
fn a_backup_is_written_whole_or_not_at_all() {
    let mut good = place(vec![ok("SQLite format 3")]);
    expect(&good.run("backup copy.db"), 0, "", "15 B in copy.db");
    assert_eq!(fs::read(good.folder.path().join("copy.db")).unwrap(), b"SQLite format 3");
    expect(&good.run("backup copy.db"), 78, "", "--force replaces it");

    let mut bad = place(vec![refused("403 Forbidden", "no")]);
    expect(&bad.run("backup copy.db"), 5, "", "no");
    let names: Vec<_> =
        fs::read_dir(bad.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["fnlite.sock"]);
}

#[test]
fn a_key_is_sent_only_where_one_is_needed() {
    let mut place = place(vec![ok(r#"{"id":2,"name":"ci","scope":"invoke","key":"fnl_secret"}"#)]);
    expect(&place.run("keys create ci --scope invoke --key typed"), 0, "fnl_secret\n", "not shown again");
    let asked = place.asked();
    assert!(!asked.head.contains("Authorization"), "{}", asked.head);
    assert_eq!(asked.body, br#"{"name":"ci","scope":"invoke"}"#);
}

/// `fnlite … | head` ends quietly when head has seen enough.
#[test]
fn a_reader_that_leaves_is_no_fault() {
    let place = place(Vec::new());
    for line in ["completions bash", "man", "--help"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(line).stdout(writer).output().unwrap();
        expect(&output, 0, "", "");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn completions_and_pages_come_from_the_same_definitions() {
    let mut place = place(Vec::new());
    for (line, part) in [
        ("completions bash", "_fnlite"),
        ("completions zsh", "#compdef fnlite"),
        ("man", ".TH fnlite 1"),
        ("man deploy", "fnlite\\-deploy"),
    ] {
        let output = place.run(line);
        assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{line}: {output:?}");
        assert_eq!(output.status.code(), Some(0));
    }
}
