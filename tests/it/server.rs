//! A real server: a process of its own on a free port, with a database of its own, and the few things tests ask of one.
//!
//! None outlives the tests, however they end: a server is killed when its value is dropped, and by the kernel when the
//! test process goes.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use fnlite::base::thread;
use fnlite::cli::client::{Address, Call, Client};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::function::Function;
use crate::wait::{self, PATIENCE};

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    place: Option<Place>,
    child: Child,
    address: Address,
    /// Where the object storage alone listens, if anywhere.
    cos_address: Option<Address>,
    /// The link into the console that it has shown.
    console_url: String,
}

/// Where a server keeps its files, and the key that its first start made.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
    key: String,
}

/// What a starting server says (`serve --json`).
#[derive(Deserialize)]
struct Announcement {
    address: String,
    cos_address: Option<String>,
    console_url: String,
    key: Option<String>,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place::within(&std::env::temp_dir())
    }

    /// In a folder of its own in that one.
    pub(crate) fn within(folder: &Path) -> Place {
        let folder = tempfile::tempdir_in(folder).unwrap();
        // Functions run as users of their own, who must get to their code where they see the host's file system.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        Place { folder, key: String::new() }
    }

    /// The database file.
    pub(crate) fn db(&self) -> PathBuf {
        self.file("fnlite.db")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The program, run where the server's files are; words that begin with `--` may be options of any command.
    pub(crate) fn fnlite(&self, words: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_fnlite"));
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The same, for a server that should refuse to start: one that does start is ended.
    pub(crate) fn fnlite_for_moments(&self, words: &[&str]) -> Output {
        let mut command = program("timeout");
        command.args(["5", env!("CARGO_BIN_EXE_fnlite")]).args(words);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// For a copy of that server's database, which knows its keys.
    pub(crate) fn with_key_of(self, server: &Server) -> Place {
        Place { key: server.place().key.clone(), ..self }
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn serve(self, options: &[&str]) -> Server {
        self.serve_by(&[], options)
    }

    /// The same by way of a program that becomes the server.
    pub(crate) fn serve_by(mut self, launcher: &[&str], options: &[&str]) -> Server {
        let mut command = program("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(launcher);
        command.args([env!("CARGO_BIN_EXE_fnlite"), "serve", "--json"]);
        command.args(["--listen", "127.0.0.1:0"]).args(options).current_dir(self.folder.path());
        let said = fs::OpenOptions::new().create(true).append(true).open(self.file("server.log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        let mut child = spawn(command);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Announcement>(&line) else {
            panic!("the server did not start: {line}{}", self.said())
        };
        self.key = ready.key.unwrap_or(self.key);
        let cos_address = ready.cos_address.map(|url| Address::from_url(&url).unwrap());
        let (address, console_url) = (Address::from_url(&ready.address).unwrap(), ready.console_url);
        Server { place: Some(self), child, address, cos_address, console_url }
    }

    /// Has its folder removed once this process is gone, however that ends, and then the server, whose lock is waited for:
    /// a `static` is dropped by nobody, and a thousand tests would leave a disk full.
    fn remove_at_the_end(&self) {
        let mut sweeper = program("setsid");
        sweeper
            .args(["sh", "-c", r#"cat; flock "$1/fnlite.db.lock" rm -rf "$1""#, "sweeper"])
            .arg(self.folder.path());
        sweeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // The end of its input is the end of this process.
        std::mem::forget(sweeper.spawn().unwrap());
    }

    /// What the server has written on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.file("server.log")).unwrap()
    }
}

impl Server {
    /// A server of the test's own.
    pub(crate) fn start(options: &[&str]) -> Server {
        Place::new().serve(options)
    }

    /// The server that tests share which leave it as they found it. Names of functions must be the test's own.
    pub(crate) fn shared() -> &'static Server {
        Server::at_level(5)
    }

    /// A shared server that isolates at most at that level, 1 to 5.
    pub(crate) fn at_level(level: usize) -> &'static Server {
        static SERVERS: [OnceLock<Server>; 5] = [const { OnceLock::new() }; 5];
        SERVERS[level - 1].get_or_init(|| {
            let server = Server::start(&["--isolation-max", &level.to_string()]);
            tell_when_a_test_fails(level, server.place().file("server.log"));
            server.place().remove_at_the_end();
            server
        })
    }

    pub(crate) fn console_url(&self) -> &str {
        &self.console_url
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn place(&self) -> &Place {
        self.place.as_ref().unwrap()
    }

    /// Runs a command line against this server's socket file.
    pub(crate) fn fnlite(&self, words: &[&str]) -> Output {
        self.place().fnlite(words).output().unwrap()
    }

    /// Where it listens, as a URL.
    pub(crate) fn url(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.host().parse().unwrap()
    }

    /// Where the object storage alone listens.
    pub(crate) fn cos_address(&self) -> SocketAddr {
        self.cos_address.as_ref().unwrap().host().parse().unwrap()
    }

    /// A connection that shows the first key.
    pub(crate) fn caller(&self) -> Caller {
        self.caller_with(Some(self.place().key()))
    }

    /// A connection that shows that key, or none.
    pub(crate) fn caller_with(&self, key: Option<&str>) -> Caller {
        let client = Client::new(self.address.clone(), PATIENCE);
        Caller { client, authorization: key.map(|key| format!("Bearer {key}")) }
    }

    /// One request on a connection of its own.
    pub(crate) fn call(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.caller().call(method, target, body)
    }

    /// Asks for JSON that is there.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Value {
        let answer = self.call("GET", target, b"");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    /// Deploys, and gives the server's answer.
    #[track_caller]
    pub(crate) fn deploy(&self, name: &str, function: &Function) -> Value {
        let answer = self.call("PUT", &format!("/v1/functions/{name}"), function.body().as_bytes());
        assert!(matches!(answer.status, 200 | 201), "{name}: {}", answer.text());
        answer.json()
    }

    /// Runs a function with that event.
    pub(crate) fn invoke(&self, name: &str, event: impl AsRef<[u8]>) -> Run {
        self.caller().invoke(name, event)
    }

    /// Has an event run later; its request id.
    #[track_caller]
    pub(crate) fn accept(&self, name: &str, event: impl AsRef<[u8]>) -> String {
        self.caller().accept(name, event)
    }

    /// The record of an event once it is over.
    #[track_caller]
    pub(crate) fn over(&self, request_id: &str) -> Record {
        wait::until("the event is over", || {
            let found = self.get(&format!("/v1/invocations/{request_id}?wait=5s"));
            ["succeeded", "failed", "expired", "dead"]
                .contains(&found["state"].as_str().unwrap())
                .then_some(())
        });
        self.record(request_id)
    }

    /// The isolation level that it has reached.
    #[track_caller]
    pub(crate) fn level(&self) -> u64 {
        self.get("/readyz")["isolation_level"].as_u64().unwrap()
    }

    /// A value of `/metrics` without labels.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.call("GET", "/metrics", b"").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    }

    /// Deploys, runs once, and gives what came back as JSON.
    #[track_caller]
    pub(crate) fn value_of(&self, name: &str, function: &Function, event: &str) -> Value {
        self.deploy(name, function);
        self.invoke(name, event).returned()
    }

    /// The record of a run with all of its log.
    #[track_caller]
    pub(crate) fn record(&self, request_id: &str) -> Record {
        let mut record: Record = self.page(&format!("/v1/invocations/{request_id}"));
        let mut next = record.log_next_cursor.take();
        while let Some(cursor) = next {
            let page: Lines =
                self.page(&format!("/v1/logs?request_id={request_id}&limit=1000&cursor={cursor}"));
            record.log.extend(page.lines);
            next = page.next_cursor;
        }
        record
    }

    #[track_caller]
    fn page<T: DeserializeOwned>(&self, target: &str) -> T {
        let answer = self.call("GET", target, b"");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|cause| panic!("{cause}: {}", answer.text()))
    }

    /// What the user's code of a run printed, line by line.
    #[track_caller]
    pub(crate) fn printed(&self, request_id: &str) -> Vec<String> {
        self.record(request_id).printed()
    }

    /// Kills it, as a power cut of its process would; its value stays.
    pub(crate) fn kill(&self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).unwrap();
    }

    /// Ends it the hard way.
    pub(crate) fn kill9(mut self) -> Place {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.place.take().unwrap()
    }

    /// Tells it to stop, and waits for that.
    pub(crate) fn stop(mut self) -> (ExitStatus, Place) {
        self.terminate();
        let status = wait::until("the server stops", || self.child.try_wait().unwrap());
        (status, self.place.take().unwrap())
    }

    /// The same, where it has to end well.
    pub(crate) fn stop_in_order(self) -> Place {
        let (status, place) = self.stop();
        assert!(status.success(), "{status}: {}", place.said());
        place
    }

    /// Waits for it to end of itself.
    #[cfg(feature = "failpoints")]
    pub(crate) fn ended(mut self) -> (ExitStatus, Place) {
        let status = wait::until("the server ends", || self.child.try_wait().unwrap());
        (status, self.place.take().unwrap())
    }

    /// Tells it to stop.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }
}

/// A shared server is dropped by nobody, so a failing test shows the end of its log.
fn tell_when_a_test_fails(level: usize, log: PathBuf) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        let said = fs::read_to_string(&log).unwrap_or_default();
        let from = said.lines().count().saturating_sub(20);
        let end: Vec<&str> = said.lines().skip(from).collect();
        eprintln!("the server at level {level} said:\n{}", end.join("\n"));
    }));
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            // Killing and waiting fail only for a server that is gone already.
            let _ = self.child.kill();
            let _ = self.child.wait();
            if std::thread::panicking() {
                eprintln!("the server said:\n{}", place.said());
            }
        }
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Caller {
    client: Client,
    authorization: Option<String>,
}

impl Caller {
    pub(crate) fn call(&mut self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.try_call(method, target, body).unwrap_or_else(|cause| panic!("{method} {target}: {cause:#}"))
    }

    /// Fails where the server is gone.
    pub(crate) fn try_call(
        &mut self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> fnlite::error::Result<Answer> {
        self.try_call_with(&[], method, target, body)
    }

    /// The same with further headers.
    pub(crate) fn call_with(
        &mut self,
        headers: &[(&str, &str)],
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Answer {
        let answer = self.try_call_with(headers, method, target, body);
        answer.unwrap_or_else(|cause| panic!("{method} {target}: {cause:#}"))
    }

    fn try_call_with(
        &mut self,
        headers: &[(&str, &str)],
        method: &str,
        target: &str,
        body: &[u8],
    ) -> fnlite::error::Result<Answer> {
        let key = self.authorization.iter().map(|value| ("Authorization", value.as_str()));
        let headers: Vec<_> = key.chain(headers.iter().copied()).collect();
        let reply = self.client.send(&Call { method, target, headers: &headers, body })?;
        let run = ["Request-Id", "Status", "Duration-Ms", "Memory-Mb"]
            .map(|name| reply.head.header(&format!("X-Fnlite-{name}")).unwrap_or_default());
        let allow = reply.head.header("Allow").unwrap_or_default();
        let kind = reply.head.header("Content-Type").unwrap_or_default();
        let tag = reply.head.header("ETag").unwrap_or_default();
        Ok(Answer { status: reply.head.status, allow, kind, tag, run, body: reply.body })
    }

    /// Has an event run later; its request id.
    #[track_caller]
    pub(crate) fn accept(&mut self, name: &str, event: impl AsRef<[u8]>) -> String {
        let target = format!("/v1/functions/{name}/invoke?type=event");
        let answer = self.call("POST", &target, event.as_ref());
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["request_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn invoke(&mut self, name: &str, event: impl AsRef<[u8]>) -> Run {
        self.call("POST", &format!("/v1/functions/{name}/invoke"), event.as_ref()).run()
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// The Allow header.
    pub allow: String,
    /// The Content-Type header.
    pub kind: String,
    /// The ETag header.
    pub tag: String,
    /// The headers of a run: request id, status, duration, memory.
    run: [String; 4],
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("{cause}: {}", self.text()))
    }

    /// The sentence of a refusal, whose shape is checked.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let body = self.json();
        let error = body["error"].as_object().unwrap_or_else(|| panic!("no refusal: {}", self.text()));
        assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message", "request_id"]);
        assert!(error.values().all(|value| value.as_str().is_some_and(|text| !text.is_empty())), "{body}");
        error["message"].as_str().unwrap().to_owned()
    }

    /// The run's.
    pub(crate) fn request_id(&self) -> &str {
        &self.run[0]
    }

    /// Whether there was a run at all.
    pub(crate) fn has_run(&self) -> bool {
        self.run.iter().any(|header| !header.is_empty())
    }

    /// How the run went that this is the answer of.
    #[track_caller]
    pub(crate) fn run(self) -> Run {
        let [request_id, status, duration_ms, memory_mb] = &self.run;
        assert!(self.has_run(), "no run: {} {}", self.status, self.text());
        Run {
            http: self.status,
            request_id: request_id.clone(),
            status: status.parse().unwrap(),
            duration_ms: duration_ms.parse().unwrap(),
            memory_mb: memory_mb.parse().unwrap(),
            body: String::from_utf8(self.body).unwrap(),
        }
    }
}

/// How a run went, as its caller hears it.
#[derive(Debug)]
pub(crate) struct Run {
    /// The answer's status.
    pub http: u16,
    pub request_id: String,
    /// The platform's status.
    pub status: u16,
    pub duration_ms: f64,
    pub memory_mb: f64,
    pub body: String,
}

impl Run {
    /// The value it returned.
    #[track_caller]
    pub(crate) fn returned(&self) -> Value {
        assert_eq!((self.http, self.status), (200, 200), "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error it ended with.
    #[track_caller]
    pub(crate) fn failed(&self, status: u16) -> RunError {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The contract's error body (4.2), all of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RunError {
    pub error_code: i32,
    pub error_message: String,
    pub request_id: String,
    pub stack_trace: String,
    pub status_code: u16,
}

/// What is kept of a run.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub request_id: String,
    pub namespace: String,
    pub function: String,
    pub qualifier: String,
    pub source: String,
    pub state: String,
    pub status: u16,
    pub retry_num: u32,
    /// 0 unless it waits.
    #[serde(default)]
    pub due_us: i64,
    pub created_us: i64,
    pub started_us: i64,
    pub ended_us: i64,
    pub duration_us: i64,
    pub init_us: i64,
    pub memory_mb: u32,
    pub memory_used_kb: u64,
    pub error: String,
    pub event: Box<RawValue>,
    /// Nothing while it runs.
    #[serde(default, deserialize_with = "there")]
    pub result: Option<Box<RawValue>>,
    /// Those before the one that the rest tells of.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    pub log: Vec<Line>,
    log_next_cursor: Option<String>,
}

/// An attempt that was followed by another one.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    pub retry_num: u32,
    pub status: u16,
    pub error: String,
}

/// A value that is there even if it is `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Lines {
    lines: Vec<Line>,
    next_cursor: Option<String>,
}

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Line {
    pub ts_us: i64,
    #[serde(default)]
    pub retry_num: u32,
    pub stream: String,
    pub level: String,
    pub message: String,
}

impl Record {
    /// What the user's code printed.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.log.iter().filter(|line| line.stream != "platform").map(|line| line.message.clone()).collect()
    }

    /// The whole log, the request id as `ID`.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.log.iter().map(|line| line.message.replace(&self.request_id, "ID")).collect()
    }

    /// The line that begins with that word.
    #[track_caller]
    pub(crate) fn line(&self, word: &str) -> &Line {
        let mut found =
            self.log.iter().filter(|line| line.stream == "platform" && line.message.starts_with(word));
        let line = found.next().unwrap_or_else(|| panic!("no {word} line in {:#?}", self.log));
        assert!(found.next().is_none(), "two {word} lines in {:#?}", self.log);
        line
    }
}

/// A program that meets no settings of whoever runs the tests, and finds the system's own interpreters: what a version
/// manager keeps in somebody's home cannot be entered by a function's user where there is no file system of its own.
#[expect(clippy::disallowed_methods, reason = "the program under test is a process")]
pub(crate) fn program(path: impl AsRef<Path>) -> Command {
    let mut command = Command::new(path.as_ref());
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Public test data that is not part of the project; need not be there.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
pub(crate) fn test_data() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("FNLITE_TEST_DATA").map_or_else(beside, PathBuf::from)
}

/// The folder of a Python 2.7; need not be there.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
pub(crate) fn test_python_2() -> Option<PathBuf> {
    std::env::var_os("FNLITE_TEST_PYTHON2").map(PathBuf::from)
}

/// Starts a process from a thread that lives as long as this process: the kernel's "die with your parent", which
/// `setpriv` asks for, means the thread that started it.
pub(crate) fn spawn(command: Command) -> Child {
    static SPAWNER: OnceLock<Sender<(Command, Sender<Child>)>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<(Command, Sender<Child>)>();
        let start = move || {
            for (mut command, reply) in inbox {
                reply.send(command.spawn().unwrap()).unwrap();
            }
        };
        drop(thread::spawn("spawner", start).unwrap());
        orders
    });
    let (reply, child) = channel();
    spawner.send((command, reply)).unwrap();
    child.recv().unwrap()
}
