//! Every ending has its own name: the status of the contract, the caller's answer, the record and the log say the same.

use serde_json::{Value, json};

use crate::function::{Function, expression, folder, source};
use crate::server::{Record, Run, RunError, Server};
use crate::wait;

const USER_CODE: &str = "user code exception caught";

/// One way not to return.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What the user did.
    pub name: &'static str,
    pub function: Function,
    pub event: Value,
    /// The platform's status and the answer's.
    pub status: (u16, u16),
    /// The error's message, whole.
    message: String,
    /// How the traceback's last line begins; empty where there is none.
    trace: &'static str,
}

pub(crate) fn ending(name: &'static str, function: Function, status: (u16, u16), message: &str) -> Ending {
    Ending { name, function, event: json!({}), status, message: message.to_owned(), trace: "" }
}

fn raised(name: &'static str, function: Function, trace: &'static str) -> Ending {
    Ending { trace, ..ending(name, function, (430, 502), USER_CODE) }
}

impl Ending {
    fn with_event(self, event: Value) -> Ending {
        Ending { event, ..self }
    }
}

/// All but those that are refused before they run.
pub(crate) fn endings() -> Vec<Ending> {
    [
        code_that_raises(),
        code_that_cannot_be_loaded(),
        values_that_are_no_json(),
        processes_that_end(),
        limits(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn code_that_raises() -> Vec<Ending> {
    vec![
        raised("raised", folder("raise"), "ZeroDivisionError: division by zero"),
        raised(
            "raised-no-exception",
            source("def main_handler(event, context):\n    raise KeyboardInterrupt"),
            "KeyboardInterrupt",
        ),
        raised(
            "recursed",
            source("def main_handler(event, context):\n    return main_handler(event, context)"),
            "RecursionError: ",
        ),
        raised("not-callable", source("main_handler = 5"), "TypeError: 'int' object is not callable"),
        raised(
            "three-parameters",
            source("def main_handler(event, context, more):\n    pass"),
            "TypeError: ",
        ),
        raised("no-characters", expression("int('\\udc80')"), "ValueError: "),
        raised(
            "raised-in-a-module-of-its-own",
            source("import other\n\ndef main_handler(event, context):\n    return other.fail()")
                .file("other.py", "def fail():\n    raise LookupError('in other')\n"),
            "LookupError: in other",
        ),
        raised(
            "error-that-cannot-be-shown",
            source(
                "class Bad(Exception):\n    def __str__(self):\n        raise ValueError\n\ndef main_handler(event, context):\n    raise Bad()",
            ),
            "index.Bad: ",
        ),
    ]
}

fn code_that_cannot_be_loaded() -> Vec<Ending> {
    let python = "def main_handler(event, context):\n    return 1\n";
    let init = "Initializing the function timed out after 1 seconds";
    vec![
        raised(
            "import-error",
            folder("missing_dependency"),
            "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
        ),
        raised("syntax-error", folder("syntax_error"), "SyntaxError: "),
        raised("nul-in-the-source", source("x = 1\0\n"), ""),
        raised("exception-at-load", source("raise ValueError('while loading')"), "ValueError: while loading"),
        ending(
            "no-such-file",
            source(python).with("handler", "missing.main_handler"),
            (437, 502),
            "No module named 'missing'",
        ),
        ending(
            "no-such-handler",
            source(python).with("handler", "index.nothing"),
            (437, 502),
            "module 'index' has no attribute 'nothing'",
        ),
        ending("exit-at-load", source("import sys\nsys.exit(5)"), (439, 502), "5 code exit unexpected"),
        ending("hard-exit-at-load", source("import os\nos._exit(6)"), (439, 502), "6 code exit unexpected"),
        ending(
            "killed-at-load",
            source("import os\nos.kill(os.getpid(), 9)"),
            (439, 502),
            "137 code exit unexpected",
        ),
        ending(
            "init-too-long",
            source("import time\ntime.sleep(60)").with("init_timeout_s", 1),
            (450, 502),
            init,
        ),
        ending(
            "memory-at-load",
            source("x = b'x' * (100 << 20)\nimport time\ntime.sleep(60)").with("memory_mb", 64),
            (434, 502),
            "Task memory exceeded 64 MB",
        ),
    ]
}

fn values_that_are_no_json() -> Vec<Ending> {
    let too_large = "The size of response exceeds the upper limit (6MB)";
    let what = |word: &str| json!({ "what": word });
    vec![
        raised("set", folder("not_json"), "TypeError: Object of type set is not JSON serializable")
            .with_event(what("set")),
        raised("function", folder("not_json"), "TypeError: Object of type function")
            .with_event(what("function")),
        raised("nan", folder("not_json"), "ValueError: Out of range float values").with_event(what("nan")),
        raised("infinity", expression("[float('-inf')]"), "ValueError: Out of range float values"),
        raised("lone-surrogate", folder("not_json"), "UnicodeEncodeError: ").with_event(what("surrogate")),
        raised("bytes", expression("b'x'"), "TypeError: Object of type bytes is not JSON serializable"),
        raised("key-that-is-no-text", expression("{(1, 2): 3}"), "TypeError: keys must be str"),
        raised(
            "circle",
            source("def main_handler(event, context):\n    event['self'] = event\n    return event"),
            "ValueError: Circular reference detected",
        ),
        raised(
            "coroutine",
            source("async def main_handler(event, context):\n    return 1"),
            "TypeError: Object of type coroutine",
        ),
        ending("answer-too-large", expression("'x' * (6 << 20)"), (407, 502), too_large),
        ending(
            "answer-far-too-large",
            expression("'x' * (64 << 20)").with("memory_mb", 512),
            (407, 502),
            too_large,
        ),
    ]
}

fn processes_that_end() -> Vec<Ending> {
    let exit = |name, how: &str, code: i32, message: &str| {
        let event = json!({ "how": how, "code": code });
        ending(name, folder("exit"), (439, 502), message).with_event(event)
    };
    vec![
        exit("sys-exit", "sys.exit", 0, "0 code exit unexpected"),
        exit("sys-exit-3", "sys.exit", 3, "3 code exit unexpected"),
        exit("os-exit", "os._exit", 0, "0 code exit unexpected"),
        exit("os-exit-145", "os._exit", 145, "145 code exit unexpected"),
        exit("killed", "SIGKILL", 0, "137 code exit unexpected"),
        exit("terminated", "SIGTERM", 0, "143 code exit unexpected"),
        exit("segmentation-fault", "SIGSEGV", 0, "139 code exit unexpected"),
        exit("aborted", "SIGABRT", 0, "134 code exit unexpected"),
        // Builtins that `site` brings.
        ending("exit", expression("exit(6)"), (439, 502), "6 code exit unexpected"),
        ending("quit", expression("quit()"), (439, 502), "0 code exit unexpected"),
        ending(
            "sys-exit-text",
            source("import sys\ndef main_handler(event, context):\n    sys.exit('that was it')"),
            (439, 502),
            "1 code exit unexpected",
        ),
        ending(
            "children-ignored",
            source(
                "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\ndef main_handler(event, context):\n    os._exit(3)",
            ),
            (439, 502),
            "3 code exit unexpected",
        ),
    ]
}

fn limits() -> Vec<Ending> {
    let memory = |name, event: &str, source: Function| {
        let event: Value = serde_json::from_str(event).unwrap();
        let over = "Task memory exceeded 64 MB";
        ending(name, source.with("memory_mb", 64), (434, 502), over).with_event(event)
    };
    let holding =
        "import time\ndef main_handler(event, context):\n    x = b'x' * (100 << 20)\n    time.sleep(60)";
    let child = "import subprocess, sys\ndef main_handler(event, context):\n    subprocess.run([sys.executable, '-c', 'import time; x = b\"x\" * (100 << 20); time.sleep(60)'])";
    vec![
        ending(
            "timed-out",
            folder("sleep").with("timeout_s", 1),
            (433, 504),
            "Invoking task timed out after 1 seconds",
        )
        .with_event(json!({ "seconds": 60 })),
        ending(
            "busy-until-timed-out",
            source("def main_handler(event, context):\n    while True: pass").with("timeout_s", 1),
            (433, 504),
            "Invoking task timed out after 1 seconds",
        ),
        memory("memory", "{}", source(holding).with("timeout_s", 20)),
        memory("memory-of-a-child", "{}", source(child).with("timeout_s", 20)),
        Ending { trace: "MemoryError", ..memory("memory-error", r#"{"mb": 1000}"#, folder("memory")) },
        ending(
            "over-concurrency",
            expression("1").with("reserved_mb", 0),
            (432, 429),
            "Function [ over-concurrency ] concurrency exceeded reserved quota 0 MB",
        ),
    ]
}

/// Every ending, at one level of isolation: no wall may change what a user sees.
fn check_all(level: usize) {
    check_all_on(Server::at_level(level));
}

/// The same on a host of any kind.
pub(crate) fn check_all_on(server: &Server) {
    for ending in endings() {
        server.deploy(ending.name, &ending.function);
        let run = server.invoke(ending.name, ending.event.to_string());
        let error: RunError =
            serde_json::from_str(&run.body).unwrap_or_else(|_| panic!("{}: {run:?}", ending.name));
        check_answer(&ending, &run, &error);
        check_record(&run, &error, &server.record(&run.request_id));
    }
}

/// That the caller hears of the ending what the contract says.
pub(crate) fn check_answer(ending: &Ending, run: &Run, error: &RunError) {
    let name = ending.name;
    assert_eq!((run.status, run.http), ending.status, "{name}: {}", run.body);
    assert_eq!(error.error_message, ending.message, "{name}");
    assert_eq!((error.error_code, error.status_code), (-1, run.status), "{name}");
    assert_eq!(error.request_id, run.request_id, "{name}");
    let body: Value = serde_json::from_str(&run.body).unwrap();
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["errorCode", "errorMessage", "requestId", "stackTrace", "statusCode"], "{name}");
    check_trace(ending, &error.stack_trace);
}

/// Tracebacks show the user's own frames, where the contract says the code is.
fn check_trace(ending: &Ending, trace: &str) {
    let name = ending.name;
    let must_be_there = error_is_users(ending.status.0) || !ending.trace.is_empty();
    assert_eq!(!trace.is_empty(), must_be_there, "{name}: {trace}");
    let last = trace.lines().last().unwrap_or_default();
    assert!(last.starts_with(ending.trace), "{name}: {trace}");
    for frame in trace.lines().filter(|line| line.trim_start().starts_with("File ")) {
        assert!(frame.trim_start().starts_with(r#"File "/var/user/"#), "{name}: {trace}");
    }
}

fn error_is_users(status: u16) -> bool {
    status == 430
}

fn check_record(run: &Run, error: &RunError, record: &Record) {
    let name = &record.function;
    assert_eq!((record.state.as_str(), record.status), ("failed", run.status), "{name}");
    assert_eq!(record.error, error.error_message, "{name}");
    assert_eq!(record.result.as_ref().unwrap().get(), run.body, "{name}");
    assert!(record.created_us <= record.started_us && record.started_us <= record.ended_us, "{name}");
    let reason = if error.stack_trace.is_empty() { &error.error_message } else { &error.stack_trace };
    let id = &run.request_id;
    let cut = |text: String| text.chars().take(7000).collect::<String>();
    let line = record.line("ERROR ");
    assert_eq!(cut(line.message.clone()), cut(format!("ERROR RequestId: {id} Result: {reason}")), "{name}");
    assert_eq!(line.level, "ERROR", "{name}");
    let response = cut(record.line("Response ").message.clone());
    assert_eq!(response, cut(format!("Response RequestId: {id} RetMsg: {}", run.body)), "{name}");
    check_order(record);
}

/// START, …, ERROR, Response, END, Report.
fn check_order(record: &Record) {
    let words: Vec<&str> =
        record.log.iter().map(|line| line.message.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(words.first(), Some(&"START"), "{:#?}", record.log);
    assert_eq!(words[words.len() - 4..], ["ERROR", "Response", "END", "Report"], "{:#?}", record.log);
}

#[test]
fn every_ending_has_its_own_name_at_isolation_level_1() {
    check_all(1);
}

#[test]
fn every_ending_has_its_own_name_at_isolation_level_2() {
    check_all(2);
}

#[test]
fn every_ending_has_its_own_name_at_isolation_level_3() {
    check_all(3);
}

#[test]
fn every_ending_has_its_own_name_at_isolation_level_4() {
    check_all(4);
}

/// The four rows of the table in the platform's "Basic Concepts", by its own names.
const ALWAYS_FAILED: &str = "def always_failed_handler(event,context):\n  raise Exception('I failed!')\n";

#[test]
fn raise_is_used_to_throw_an_exception() {
    let server = Server::shared();
    let function = source(ALWAYS_FAILED).with("handler", "index.always_failed_handler");
    server.deploy("row-raise", &function);
    let run = server.invoke("row-raise", r#"{"key":"abctest"}"#);
    assert_eq!(run.http, 502);
    let error = run.failed(430);
    assert_eq!(
        error.stack_trace,
        "Traceback (most recent call last):\n  File \"/var/user/index.py\", line 2, in always_failed_handler\n    \
         raise Exception('I failed!')\nException: I failed!"
    );
    let record = server.record(&run.request_id);
    assert!(record.line("ERROR ").message.ends_with(&error.stack_trace));
}

#[test]
fn the_handler_does_not_exist() {
    let server = Server::shared();
    server.deploy("row-handler", &source(ALWAYS_FAILED).with("handler", "index.xxx"));
    let error = server.invoke("row-handler", "{}").failed(437);
    assert!(error.error_message.ends_with("has no attribute 'xxx'"), "{error:?}");
}

#[test]
fn the_dependent_module_does_not_exist() {
    let server = Server::shared();
    server.deploy(
        "row-module",
        &source("import xxx\n\ndef main_handler(event, context):\n    return xxx.one()\n"),
    );
    let error = server.invoke("row-module", "{}").failed(430);
    assert!(error.stack_trace.ends_with("ModuleNotFoundError: No module named 'xxx'"), "{error:?}");
    assert!(error.stack_trace.contains("File \"/var/user/index.py\", line 1, in <module>"), "{error:?}");
    server.deploy("row-name", &source("def main_handler(event, context):\n    return xxx.one()\n"));
    let error = server.invoke("row-name", "{}").failed(430);
    assert!(error.stack_trace.ends_with("name 'xxx' is not defined"), "{error:?}");
}

#[test]
fn timed_out() {
    let server = Server::shared();
    server.deploy("row-time", &folder("sleep").with("timeout_s", 1));
    let run = server.invoke("row-time", r#"{"seconds": 60}"#);
    assert_eq!(run.http, 504);
    assert!((1000.0..1500.0).contains(&run.duration_ms), "{run:?}");
    assert_eq!(run.failed(433).error_message, "Invoking task timed out after 1 seconds");
    assert_eq!(server.printed(&run.request_id), ["sleeping for 60 s"]);
}

/// At lower levels a handler reaches every process of its user, those of other servers' functions among them, so this is
/// tried only where it has a process table of its own.
#[test]
fn a_handler_that_kills_all_it_can_ends_nothing_but_itself() {
    let text = "import os\ndef main_handler(event, context):\n    if not event: return 'alive'\n    try:\n        os.kill(-1, 9)\n    \
                finally:\n        os.kill(os.getpid(), 9)\n";
    let server = Server::shared();
    server.deploy("kills-all", &source(text));
    for _ in 0..3 {
        let error = server.invoke("kills-all", r#"{"now": true}"#).failed(439);
        assert_eq!(error.error_message, "137 code exit unexpected");
        assert_eq!(server.invoke("kills-all", "{}").returned(), "alive");
    }
}

/// What is refused before it runs has the API's own error body, no run's headers, and leaves no record.
#[test]
fn a_refused_event_leaves_nothing() {
    let server = Server::shared();
    server.deploy("refusing", &expression("event"));
    let too_large = format!("\"{}\"", "x".repeat(6 * 1024 * 1024));
    for (target, event, status, said) in [
        ("refusing/invoke", "{", 400, "event"),
        ("refusing/invoke", "{} {}", 400, "event"),
        ("refusing/invoke", "{'a': 1}", 400, "event"),
        ("refusing/invoke", "[1,]", 400, "event"),
        ("refusing/invoke", &too_large, 413, "6291456"),
        ("not-deployed/invoke", "{}", 404, "not-deployed"),
        ("refusing/invoke?qualifier=7", "{}", 404, "7"),
        ("refusing/invoke?namespace=elsewhere", "{}", 404, "elsewhere"),
    ] {
        let answer = server.call("POST", &format!("/v1/functions/{target}"), event.as_bytes());
        let sentence = answer.refusal();
        assert_eq!(answer.status, status, "{target}: {sentence}");
        assert!(sentence.contains(said), "{target}: {sentence}");
        assert!(!answer.has_run(), "{target}");
    }
    assert_eq!(server.get("/v1/invocations?function=refusing")["invocations"], json!([]));
}

#[test]
fn the_largest_event_and_the_largest_answer_pass() {
    let server = Server::shared();
    server.deploy("largest", &expression("event").with("memory_mb", 256));
    let event = format!("\"{}\"", "x".repeat(6 * 1024 * 1024 - 2));
    let run = server.invoke("largest", &event);
    assert_eq!((run.http, run.body.len()), (200, event.len()));
    assert!(run.body == event, "it came back changed");
}

#[test]
fn hundreds_of_runs_that_wait_for_the_same_code_all_get_their_instance() {
    let server = Server::start(&["--total-concurrency-mb", "60000"]);
    server
        .deploy("wanted", &source("import time\ntime.sleep(2)\ndef main_handler(event, context): return 1"));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..400).map(|_| scope.spawn(|| server.invoke("wanted", "{}"))).collect();
        calls.into_iter().for_each(|call| drop(call.join().unwrap().returned()));
    });
}

#[test]
fn what_a_function_has_reserved_is_kept_for_it_from_its_deploy_on() {
    let server = Server::start(&["--total-concurrency-mb", "256"]);
    server.deploy("other", &expression("1"));
    server.invoke("other", "{}").returned();
    server.deploy("kept", &expression("2").with("reserved_mb", 256));
    server.invoke("other", "{}").failed(432);
    server.invoke("kept", "{}").returned();
    server.deploy("kept", &expression("2"));
    server.invoke("other", "{}").returned();
}

#[test]
fn runs_beyond_the_concurrency_are_refused_and_those_within_are_not() {
    let server = Server::start(&["--total-concurrency-mb", "256"]);
    server.deploy("two-at-once", &folder("sleep").with("timeout_s", 20));
    let events = |server: &Server| {
        let page = server.get("/v1/invocations?function=two-at-once&status=running");
        page["invocations"].as_array().unwrap().len()
    };
    std::thread::scope(|scope| {
        let calls = [(); 2].map(|()| scope.spawn(|| server.invoke("two-at-once", r#"{"seconds": 2}"#)));
        wait::until("both run", || (events(&server) == 2).then_some(()));
        let run = server.invoke("two-at-once", "{}");
        assert_eq!(run.http, 429);
        let error = run.failed(432);
        assert_eq!(
            error.error_message,
            "Function [ two-at-once ] concurrency exceeded region unreserved quota 256 MB"
        );
        assert_eq!(server.record(&run.request_id).state, "failed");
        calls.into_iter().for_each(|call| drop(call.join().unwrap().returned()));
    });
    server.invoke("two-at-once", "{}").returned();
}
