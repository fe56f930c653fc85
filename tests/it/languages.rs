//! One table for all languages: return encapsulation, errors, statuses and logs are the same whatever the code is written in
//! (contract 3.1, 3.2, 4.1, 4.2).
//!
//! Each language has a function `table` that does what its event asks for, and some that cannot be loaded. What each row came
//! to is compared with the file `golden.txt` beside the language's functions: one line for the answer, and one for each line of
//! the log that the function printed. Where a language cannot do as the others do, the golden file shows it, and
//! [`Row::status`] must still hold. With `FNLITE_GOLDEN=write` the files are written instead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::function::written_in;
use crate::length::Rounds;
use crate::processes;
use crate::server::{Place, Run, RunError, Server, program, test_python_2};
use crate::wait;

/// A language, and how its folders are deployed.
pub(crate) struct Language {
    /// The folder below `tests/functions`.
    pub folder: &'static str,
    pub runtime: &'static str,
    pub handler: &'static str,
    /// Rows that end otherwise than the table says, because the language cannot do it: name and status.
    pub exceptions: &'static [(&'static str, u16)],
    /// Environment variables it has beside those that all have.
    pub variables: &'static [(&'static str, &'static str)],
    /// What is to be deployed of a function's folder: the folder itself, unless it must be built first.
    pub build: fn(&Path) -> PathBuf,
}

const PYTHON: Language = Language {
    folder: "python",
    runtime: "Python3.10",
    handler: "index.main_handler",
    exceptions: &[],
    variables: &[("PYTHONPATH", "/var/user:/opt"), ("PYTHONDONTWRITEBYTECODE", "x")],
    build: Path::to_path_buf,
};

const PYTHON_2: Language = Language { folder: "python2", runtime: "Python2.7", ..PYTHON };

const NODE: Language = Language {
    folder: "nodejs",
    runtime: "Nodejs20.19",
    handler: "index.main_handler",
    exceptions: &[],
    variables: &[(
        "NODE_PATH",
        "/var/user:/var/user/node_modules:/var/lang/node20/lib/node_modules:/opt:/opt/node_modules",
    )],
    build: Path::to_path_buf,
};

const PHP: Language = Language {
    folder: "php",
    runtime: "Php8.0",
    handler: "index.main_handler",
    exceptions: &[],
    variables: &[("PHP_INI_SCAN_DIR", "/opt/php_extension:/var/user/php_extension")],
    build: Path::to_path_buf,
};

const GO: Language = Language {
    folder: "go",
    runtime: "Go1",
    handler: "main",
    // What is not there is refused when it is deployed, and what fails while it is loaded ends.
    exceptions: &[("load-error", 439)],
    variables: &[("_LAMBDA_SERVER_PORT", "28902")],
    build: built_by_go,
};

/// The program of a folder, in a folder of its own, built by one test at a time and only where something has changed.
pub(crate) fn built_by_go(folder: &Path) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/functions");
    let place = target.join("go").join(folder.file_name().unwrap());
    let main = place.join("main");
    fs::create_dir_all(&place).unwrap();
    let lock = fs::File::create(target.join("go.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let sources = [folder, &folder.join("../library")].map(|folder| fs::read_dir(folder).unwrap());
    let newest = sources.into_iter().flatten().filter_map(|file| changed(&file.unwrap().path())).max();
    if changed(&main) > newest {
        return place;
    }
    let mut go = program("go");
    go.args(["build", "-o"]).arg(&main).arg(".").current_dir(folder);
    go.envs([("GO111MODULE", "off"), ("CGO_ENABLED", "0"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")]);
    let caches = [("GOCACHE", "cache"), ("GOPATH", "path")]
        .map(|(name, folder)| (name, target.join("go-build").join(folder)));
    let out = go.envs(caches).output().unwrap();
    assert!(out.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&out.stderr));
    place
}

/// A bootstrap that knows nothing of handlers, and of which nothing is loaded but itself.
const CUSTOM: Language = Language {
    folder: "custom",
    runtime: "CustomRuntime",
    handler: "index.main_handler",
    exceptions: &[("load-error", 439), ("missing-handler", 430), ("missing-file", 430)],
    variables: &[("_HANDLER", "index.main_handler"), ("SCF_RUNTIME_API", "127.0.0.1")],
    build: Path::to_path_buf,
};

/// One thing to try.
struct Row {
    name: String,
    /// The folder of the function.
    function: &'static str,
    handler: Option<&'static str>,
    event: Value,
    timeout_s: u32,
    memory_mb: u32,
    /// The platform's status.
    status: u16,
}

fn row(name: &str, function: &'static str, event: Value, status: u16) -> Row {
    Row { name: name.to_owned(), function, handler: None, event, timeout_s: 20, memory_mb: 128, status }
}

fn table(name: &str, event: Value, status: u16) -> Row {
    row(name, "table", event, status)
}

fn rows(language: &Language) -> Vec<Row> {
    let value = |word: &str| table(word, json!({ "do": "return", "what": word }), 200);
    let values = [
        "null",
        "true",
        "false",
        "largest-exact",
        "beyond-exact",
        "fraction",
        "negative",
        "text",
        "controls",
        "empty-text",
        "empty-list",
        "empty-object",
        "nested",
    ];
    let missing = if language.handler.contains('.') { "index.nothing" } else { "nothing" };
    let mut rows: Vec<Row> = values.map(value).into();
    rows.extend([
        table(
            "echo",
            json!({ "do": "echo", "what": { "a": [1, -2.5, null, true, "é\u{1}世界🌍", {}, []] } }),
            200,
        ),
        table("unserialisable", json!({ "do": "unserialisable" }), 430),
        table("too-large", json!({ "do": "large" }), 407),
        table("raised", json!({ "do": "raise" }), 430),
        table("exit-0", json!({ "do": "exit", "what": 0 }), 439),
        table("exit-3", json!({ "do": "exit", "what": 3 }), 439),
        table("killed", json!({ "do": "kill" }), 439),
        Row { timeout_s: 1, ..table("timed-out", json!({ "do": "sleep" }), 433) },
        Row { memory_mb: 64, ..table("memory", json!({ "do": "memory" }), 434) },
        table("print", json!({ "do": "print" }), 200),
        table("flood", json!({ "do": "flood", "what": 5000 }), 200),
        table("child", json!({ "do": "child", "what": SLEEP }), 200),
        row("load-error", "load_error", json!({}), 430),
        row("syntax-error", "syntax_error", json!({}), 430),
        row("missing-dependency", "missing_dependency", json!({}), 430),
        Row { handler: Some(missing), ..table("missing-handler", json!({}), 437) },
        Row { handler: Some("missing.main_handler"), ..table("missing-file", json!({}), 437) },
    ]);
    // A program that is not in the package is refused when it is deployed.
    rows.retain(|row| language.folder != "go" || row.handler.is_none());
    rows.retain(|row| folder_of(language, row.function).is_dir());
    rows
}

/// A length of sleep by which a child is known: a year, and some that nobody else would choose.
const SLEEP: &str = "31536042.0617";

fn functions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/functions")
}

fn folder_of(language: &Language, function: &str) -> PathBuf {
    functions().join(language.folder).join(function)
}

/// Deploys what a row needs, under a name of its own, as a user would; the name.
fn deploy(server: &Server, language: &Language, row: &Row) -> String {
    let name =
        format!("{}-{}-{}-{}", language.folder, row.function.replace('_', "-"), row.timeout_s, row.memory_mb);
    let name = if row.handler.is_some() { format!("{name}-{}", row.name) } else { name };
    let code = (language.build)(&folder_of(language, row.function));
    let handler = row.handler.unwrap_or(language.handler);
    let (timeout, memory) = (row.timeout_s.to_string(), row.memory_mb.to_string());
    let words =
        ["deploy", &name, code.to_str().unwrap(), "--runtime", language.runtime, "--handler", handler];
    let out = server.fnlite(&[&words[..], &["--timeout", &timeout, "--memory", &memory]].concat());
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    name
}

/// What a row came to, as the golden file has it.
fn told(row: &Row, run: &Run, printed: &[String]) -> String {
    let mut text = format!("{}: {}", row.name, run.status);
    if run.status == 200 {
        write!(text, " {}", run.body).unwrap();
    } else {
        let error: RunError = serde_json::from_str(&run.body).unwrap();
        write!(text, " {}", error.error_message).unwrap();
        let mut lines = error.stack_trace.lines();
        // Of a trace, the line that names the error: the first or the last, by language.
        let names_it = |line: &&str| !line.starts_with([' ', '\t']) && line.contains("rror");
        if let Some(line) = lines.clone().find(names_it).or_else(|| lines.next()) {
            // What a compiler says of a mistake is another text in each of its versions.
            let line = if row.function == "syntax_error" { line.split(": ").next().unwrap() } else { line };
            write!(text, " | {line}").unwrap();
        }
    }
    text.push('\n');
    // Where something was built is in what Go prints of a panic.
    let mut printed: Vec<String> =
        printed.iter().map(|line| line.replace(env!("CARGO_MANIFEST_DIR"), "")).collect();
    // The order of lines is exact within a stream, and between two of them that of arrival.
    if row.name == "print" {
        printed.sort();
    }
    for line in printed.iter().take(4) {
        writeln!(text, "    {line}").unwrap();
    }
    if printed.len() > 4 {
        writeln!(text, "    … {} lines, the last of them: {}", printed.len(), printed.last().unwrap())
            .unwrap();
    }
    text
}

fn check_all(language: &Language, level: usize) {
    check_all_on(Server::at_level(level), language);
}

fn check_all_on(server: &Server, language: &Language) {
    let mut found = String::new();
    for row in rows(language) {
        let name = deploy(server, language, &row);
        let run = server.invoke(&name, row.event.to_string());
        let expected = language.exceptions.iter().find(|(name, _)| *name == row.name);
        let expected = expected.map_or(row.status, |(_, status)| *status);
        assert_eq!(run.status, expected, "{} {}: {}", language.folder, row.name, run.body);
        check_error(language, &row, &run);
        let record = server.record(&run.request_id);
        assert_eq!(record.result.as_ref().unwrap().get(), run.body, "{} {}", language.folder, row.name);
        found.push_str(&told(&row, &run, &record.printed()));
    }
    wait::until("a child that was left is gone", || {
        processes::all(|process| process.arguments().iter().any(|word| word == SLEEP))
            .is_empty()
            .then_some(())
    });
    compare(&functions().join(language.folder).join("golden.txt"), &found);
}

/// A failed run's body is the contract's whole error object, in the contract's order.
fn check_error(language: &Language, row: &Row, run: &Run) {
    if run.status == 200 {
        return;
    }
    let what = format!("{} {}", language.folder, row.name);
    let error: RunError = serde_json::from_str(&run.body).unwrap_or_else(|_| panic!("{what}: {run:?}"));
    assert_eq!((error.error_code, error.status_code), (-1, run.status), "{what}");
    assert_eq!(error.request_id, run.request_id, "{what}");
    // Where the language itself notices that there is no memory, it says where.
    let traced = run.status == 430 || run.status == 434 && !error.stack_trace.is_empty();
    assert_eq!(!error.stack_trace.is_empty(), traced, "{what}: {}", error.stack_trace);
    let paths = error.stack_trace.lines().filter(|line| line.contains("index."));
    for line in paths {
        assert!(line.contains("/var/user/index."), "{what}: {line}");
    }
}

fn compare(golden: &Path, found: &str) {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether it is to be written")]
    if std::env::var_os("FNLITE_GOLDEN").is_some_and(|word| word == "write") {
        fs::write(golden, found).unwrap();
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    for (line, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(found, expected, "{}:{}", golden.display(), line + 1);
    }
    assert_eq!(
        found.lines().count(),
        expected.lines().count(),
        "{}: rows are missing or new",
        golden.display()
    );
}

/// Context and environment (contract 2.2, 2.5), field by field.
fn check_surroundings(language: &Language) {
    check_surroundings_on(Server::shared(), language);
}

fn check_surroundings_on(server: &Server, language: &Language) {
    let row = Row { timeout_s: 7, memory_mb: 256, ..table("surroundings", json!({ "do": "context" }), 200) };
    let name = deploy(server, language, &row);
    let run = server.invoke(&name, row.event.to_string());
    let expected = json!({
        "memory_limit_in_mb": 256,
        "time_limit_in_ms": 7000,
        "request_id": run.request_id,
        "environment": r#"{"SCF_NAMESPACE":"default"}"#,
        "environ": "SCF_NAMESPACE=default;SCF_NAMESPACE=default",
        "function_version": "$LATEST",
        "function_name": name,
        "namespace": "default",
        "tencentcloud_region": "ap-guangzhou",
        "tencentcloud_appid": "1250000000",
        "tencentcloud_uin": "100000000001",
    });
    assert_eq!(run.returned(), expected, "{}", language.folder);
    check_environment(server, language, &name);
}

fn check_environment(server: &Server, language: &Language, name: &str) {
    let environment = server.invoke(name, json!({ "do": "environment" }).to_string()).returned();
    let shared = [
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("HOME", "/home/qcloud"),
        ("USER", "qcloud"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("PWD", "/var/user"),
        ("_SCF_SERVER_PORT", "28902"),
        ("TENCENTCLOUD_RUNENV", "SCF"),
        ("TENCENTCLOUD_REGION", "ap-guangzhou"),
        ("TENCENTCLOUD_APPID", "1250000000"),
        ("TENCENTCLOUD_UIN", "100000000001"),
        ("TENCENTCLOUD_TZ", "UTC"),
        ("USER_CODE_ROOT", "/var/user/"),
        ("SCF_RUNTIME", language.runtime),
        ("SCF_FUNCTIONNAME", name),
        ("SCF_FUNCTIONVERSION", "$LATEST"),
        ("SCF_NAMESPACE", "default"),
    ];
    for (key, value) in shared.iter().chain(language.variables) {
        assert_eq!(environment[key], *value, "{}: {key}", language.folder);
    }
}

/// Thousands of runs with timers, files, memory and child processes: all of them end, and nothing is left or grows.
fn check_under_strain(language: &Language) {
    const CALLERS: usize = 4;
    let server = Server::start(&[]);
    let event = json!({ "do": "strain" });
    let name = deploy(&server, language, &table("strain", event.clone(), 200));
    let runs = Rounds { short: 400, all: 2000, soak: 20_000 }.asked();
    let call = |runs: usize| {
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    let mut caller = server.caller();
                    for _ in 0..runs / CALLERS {
                        assert_eq!(
                            caller.invoke(&name, event.to_string()).returned(),
                            json!([1 << 22, 1 << 22])
                        );
                    }
                });
            }
        });
    };
    call(runs / 4);
    let before = at_rest(&server);
    call(runs);
    let after = at_rest(&server);
    // The zygote and what holds it; what is parked is other processes each time.
    let stayed: Vec<_> =
        before.iter().filter_map(|(process, kb)| Some((process, *kb, *after.get(process)?))).collect();
    assert!(stayed.len() >= 2, "{before:?} {after:?}");
    for (process, before_kb, after_kb) in stayed {
        let most_kb = before_kb + before_kb / 10 + 1024;
        assert!(after_kb <= most_kb, "{}: {before_kb} {after_kb} KiB", process.describe());
    }
    // Once the function is used no more, one Instance stays parked, and a few control groups with six descriptors each.
    wait::until("what busy times need is given back", || {
        let open = processes::open_descriptors(server.pid()).len();
        (open < 100 && processes::below(server.pid()).len() < 10).then_some(())
    });
}

/// The processes below a server, with their memory in KiB, once they are the same for a while: what is parked has been made, what
/// is dead is buried.
fn at_rest(server: &Server) -> BTreeMap<processes::Process, u64> {
    const LOOKS: u32 = 40;
    let (mut before, mut same) = (Vec::new(), 0);
    wait::until("processes come to rest", || {
        let mut now = processes::below(server.pid());
        now.sort();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        (same == LOOKS).then_some(())
    });
    let held =
        |process: processes::Process| Some((process, process.is_alive().then(|| process.resident_kb())??));
    before.into_iter().filter_map(held).collect()
}

/// A server that finds Python 2.7, which Debian has no more, where some version manager has it; `scripts/test` says so if
/// none does.
fn server_with_python_2() -> Option<Server> {
    let folder = test_python_2()?;
    let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
    let place = Place::new();
    // What lies in the server's folder is nothing that an interpreter runs which the server asks.
    fs::write(place.file("json.py"), "raise SystemExit(1)").unwrap();
    Some(place.serve_by(&["env", &path], &[]))
}

#[test]
fn python_2_ends_as_the_table_says() {
    let Some(server) = server_with_python_2() else { return };
    check_all_on(&server, &PYTHON_2);
    check_surroundings_on(&server, &PYTHON_2);
}

#[test]
fn python_2_is_its_own_language() {
    let Some(server) = server_with_python_2() else { return };
    let function = |code: &str| written_in("Python2.7", "index.py", code);
    let talks = "# -*- coding: utf-8 -*-\nimport logging, random, sys\nreload(sys)\nsys.setdefaultencoding('utf-8')\n\
                 drawn = random.random()\ndef main_handler(event, context):\n    print 'bytes é', event, 7 / 2\n    \
                 print u'text é'\n    logging.info('logged %s', u'é')\n    \
                 return [[str(u'é'), 'é', u'é', 2 ** 53 + 1, sorted(event)], random.random()]\n";
    server.deploy("talks", &function(talks));
    let runs = [(); 3].map(|()| server.invoke("talks", r#"{"b": 1, "a": "é"}"#));
    let values = runs.each_ref().map(Run::returned);
    assert_eq!(values[0][0], json!(["é", "é", "é", (1_u64 << 53) + 1, ["a", "b"]]));
    assert!(values[0][1] != values[1][1] && values[1][1] != values[2][1], "{values:?}");
    let printed = server.printed(&runs[0].request_id);
    assert_eq!(printed, [r"bytes é {u'a': u'\xe9', u'b': 1} 3", "text é", "logged é"]);
    let searches = function("import sys\ndef main_handler(event, context): return sys.path\n");
    let path = server.value_of("searches", &searches, "{}");
    assert_eq!(path.as_array().unwrap()[..2], [json!("/var/user"), json!("/opt")]);
    assert!(!path.to_string().contains("/var/runtime"), "{path}");
    // Its handler's file may have the name of a module of the library.
    let named =
        written_in("Python2.7", "json.py", "def main_handler(event, context): return [u'\\xe9', __name__]");
    assert_eq!(
        server.value_of("named", &named.with("handler", "json.main_handler"), "{}"),
        json!(["é", "json"])
    );
    for (name, code, status, message) in [
        ("old", "class X: pass\ndef main_handler(event, context): raise X()\n", 430, "index.X"),
        (
            "threads",
            "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,))\nt.daemon = True\n\
                     t.start()\ndef main_handler(event, context): raise ValueError(t.is_alive())\n",
            430,
            "ValueError: True",
        ),
        (
            "child",
            "import subprocess\np = subprocess.Popen(['true'])\ndef main_handler(event, context): \
                   raise ValueError(p.wait())\n",
            430,
            "ValueError: 0",
        ),
        ("bytes", "def main_handler(event, context): return '\\xff'\n", 430, "UnicodeDecodeError"),
        ("leaves", "def main_handler(event, context): exit(4)\n", 439, ""),
        ("three", "def main_handler(event, context): print('x', end='')\n", 430, "SyntaxError"),
    ] {
        server.deploy(name, &function(code));
        let error = server.invoke(name, "{}").failed(status);
        assert!(error.stack_trace.contains(message), "{name}: {}", error.stack_trace);
    }
    assert_eq!(verdict_of_python_2(&server), "ok");
    let moved = server.stop_in_order().serve(&[]);
    assert_eq!(verdict_of_python_2(&moved), "fail", "its functions cannot run on this host");
}

fn verdict_of_python_2(server: &Server) -> Value {
    let doctor = server.get("/v1/doctor");
    let checks = doctor["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "Python2.7").unwrap()["verdict"].clone()
}

/// What is written for it is nothing for Python 3 (D15).
#[test]
fn python_2_never_becomes_python_3() {
    let answer = Server::shared().call(
        "PUT",
        "/v1/functions/old",
        written_in("Python2.7", "index.py", "print 'x'").body().as_bytes(),
    );
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("needs python2.7 on the server's PATH"), "{}", answer.text());
    assert_eq!(verdict_of_python_2(Server::shared()), "warn", "no function needs it");
}

#[test]
fn python_runs_under_strain_leave_nothing() {
    check_under_strain(&PYTHON);
}

#[test]
fn node_runs_under_strain_leave_nothing() {
    check_under_strain(&NODE);
}

#[test]
fn php_runs_under_strain_leave_nothing() {
    check_under_strain(&PHP);
}

#[test]
fn php_ends_as_the_table_says() {
    check_all(&PHP, 5);
}

#[test]
fn php_ends_as_the_table_says_at_isolation_level_1() {
    check_all(&PHP, 1);
}

#[test]
fn php_code_finds_context_and_environment() {
    check_surroundings(&PHP);
}

#[test]
fn go_runs_under_strain_leave_nothing() {
    check_under_strain(&GO);
}

#[test]
fn go_ends_as_the_table_says() {
    check_all(&GO, 5);
}

#[test]
fn go_ends_as_the_table_says_at_isolation_level_1() {
    check_all(&GO, 1);
}

#[test]
fn custom_runtimes_under_strain_leave_nothing() {
    check_under_strain(&CUSTOM);
}

#[test]
fn custom_runtimes_end_as_the_table_says() {
    check_all(&CUSTOM, 5);
}

#[test]
fn custom_runtimes_end_as_the_table_says_at_isolation_level_1() {
    check_all(&CUSTOM, 1);
}

#[test]
fn custom_runtimes_find_their_environment() {
    let server = Server::shared();
    let name = deploy(server, &CUSTOM, &table("environment", json!({}), 200));
    check_environment(server, &CUSTOM, &name);
}

#[test]
fn python_ends_as_the_table_says() {
    check_all(&PYTHON, 5);
}

#[test]
fn python_ends_as_the_table_says_at_isolation_level_1() {
    check_all(&PYTHON, 1);
}

#[test]
fn python_code_finds_context_and_environment() {
    check_surroundings(&PYTHON);
}

#[test]
fn node_ends_as_the_table_says() {
    check_all(&NODE, 5);
}

#[test]
fn node_ends_as_the_table_says_at_isolation_level_1() {
    check_all(&NODE, 1);
}

#[test]
fn node_code_finds_context_and_environment() {
    check_surroundings(&NODE);
}
