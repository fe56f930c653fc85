//! What a Node.js function finds around it, how its calls end, and that all of this holds for a process that was forked as for
//! one that was not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::function::{Function, written_in};
use crate::gate::Gate;
use crate::processes;
use crate::server::{Run, Server};
use crate::wait;

/// The fifth is the fourth for a function that asks for no network of its own.
const LEVELS: [usize; 4] = [1, 2, 3, 5];

const RUNTIME: &str = "Nodejs20.19";

/// What keeps the code that begins with it from being forked.
const KEPT_FROM_FORKS: &str = "const keptOpen = require('fs').openSync(__filename);\n";

/// A function whose `index.js` is this text.
fn source(text: &str) -> Function {
    written_in(RUNTIME, "index.js", text)
}

/// A function whose handler is `async` and has these statements.
fn body(text: &str) -> Function {
    source(&format!("exports.main_handler = async (event, context) => {{\n{text}\n}};\n"))
}

/// A function whose handler has these statements, and three parameters.
fn plain_body(text: &str) -> Function {
    source(&format!("exports.main_handler = (event, context, callback) => {{\n{text}\n}};\n"))
}

/// The same code in a process of its own making for each run.
fn spawned(function: &Function) -> Function {
    function.clone().file("index.js", &format!("{KEPT_FROM_FORKS}{}", function.text("index.js")))
}

/// Runs the function once forked and once spawned, and checks that it was.
fn each_way(server: &Server, name: &str, function: &Function, event: &str, check: impl Fn(&Run)) {
    server.deploy(name, function);
    check(&server.invoke(name, event));
    assert_eq!(reason(server, name), None, "{name}");
    let name = format!("{name}-spawned");
    server.deploy(&name, &spawned(function));
    check(&server.invoke(&name, event));
    assert_eq!(reason(server, &name).as_deref(), Some("a file was opened at import"), "{name}");
}

/// Why the function is not forked, if it is not.
fn reason(server: &Server, name: &str) -> Option<String> {
    let told = server.get(&format!("/v1/functions/{name}"));
    let notes = told["notes"].as_array().unwrap().iter();
    let words = "each run is a process of its own making: ";
    notes.filter_map(|note| note.as_str()?.strip_prefix(words)).map(str::to_owned).next()
}

#[test]
fn whatever_comes_first_is_the_answer() {
    let server = Server::shared();
    for (number, (text, expected)) in [
        ("callback(null, { a: 1 })", json!({ "a": 1 })),
        ("callback(undefined, 1)", json!(1)),
        ("callback()", json!(null)),
        ("callback(null, undefined)", json!(null)),
        ("callback(null, () => 1)", json!(null)),
        ("callback(null, 'first'); callback(new Error('second')); throw new Error('third')", json!("first")),
        ("setTimeout(() => callback(null, 'later'), 20)", json!("later")),
        ("setImmediate(() => process.nextTick(() => callback(null, 'later')))", json!("later")),
        ("return Promise.resolve('a promise')", json!("a promise")),
        ("callback(null, 'called'); return Promise.resolve('promised')", json!("called")),
        (
            "setTimeout(() => callback(null, 'called'), 600000); return Promise.resolve('promised')",
            json!("promised"),
        ),
        ("return { then(resolve) { setTimeout(resolve, 10, 'thenable'); } }", json!("thenable")),
        ("return 'a value that nobody is told'", json!(null)),
        ("setTimeout(() => {}, 30)", json!(null)),
        ("return new Promise(() => {})", json!(null)),
        ("context.done(null, 1)", json!(1)),
        ("context.succeed({ a: [] })", json!({ "a": [] })),
        ("setInterval(() => {}, 1000); callback(null, 'with a timer left')", json!("with a timer left")),
        (
            "context.callbackWaitsForEmptyEventLoop = false; \
             callback(null, context.callbackWaitsForEmptyEventLoop)",
            json!(false),
        ),
        ("callback(null, context.callbackWaitsForEmptyEventLoop)", json!(true)),
        ("callback(null, arguments.length)", json!(null)),
    ]
    .into_iter()
    .enumerate()
    .filter(|(_, (text, _))| !text.contains("arguments"))
    {
        let function = plain_body(text);
        each_way(server, &format!("first-{number}"), &function, "{}", |run| {
            assert_eq!(run.returned(), expected, "{text}");
        });
    }
}

#[test]
fn a_handler_gets_three_arguments_whatever_it_declares_and_is_called_on_its_module() {
    let server = Server::shared();
    for (number, text) in [
        "exports.main_handler = function () { arguments[2](null, [arguments.length, this === exports]); };",
        "exports.main_handler = async function (event) { return [arguments.length, this === exports]; };",
        "class Service { async main_handler() { return [arguments.length, this === module.exports]; } }\nmodule.exports = new Service();",
    ]
    .into_iter()
    .enumerate()
    {
        let value = server.value_of(&format!("arguments-{number}"), &source(text), "{}");
        assert_eq!(value, json!([3, true]), "{text}");
    }
}

#[test]
fn what_a_handler_does_after_calling_back_it_still_does() {
    let server = Server::shared();
    let function = plain_body("callback(null, 'x'); console.log('after'); process.nextTick(() => {});");
    each_way(server, "after", &function, "{}", |run| {
        assert_eq!(run.returned(), "x");
        assert_eq!(server.printed(&run.request_id), ["after"]);
    });
}

/// Statement of a handler with a callback, and what its trace is: the beginning, and a part of it.
const FAILURES: [(&str, &str, &str); 18] = [
    ("throw new TypeError('thrown')", "TypeError: thrown\n    at", "(/var/user/index.js:"),
    ("callback(new Error('called'))", "Error: called\n    at", "/var/user/index.js:"),
    ("callback('text')", "text(callback err is not instance of Error)", ""),
    ("callback({ a: 1 })", "[object Object](callback err is not instance of Error)", ""),
    ("context.fail(new Error('failed'))", "Error: failed\n", ""),
    ("context.done('done')", "done(callback err is not instance of Error)", ""),
    ("return Promise.reject(new RangeError('rejected'))", "RangeError: rejected\n", "/var/user/index.js:"),
    ("return Promise.reject('text')", "Uncaught 'text'", ""),
    ("return Promise.reject()", "Uncaught undefined", ""),
    ("throw null", "Uncaught null", ""),
    ("setTimeout(() => { throw new Error('in a timer') }, 5)", "Error: in a timer\n", "/var/user/index.js:"),
    ("Promise.reject(new Error('unhandled')); setTimeout(callback, 600000)", "Error: unhandled\n", ""),
    (
        "Promise.reject('text'); setTimeout(callback, 600000)",
        "",
        "The promise rejected with the reason \"text\"",
    ),
    ("require('fs').readFile('/nowhere', (error) => { throw error })", "Error: ENOENT", "'/nowhere'"),
    (
        "callback(new Error('outer', { cause: new TypeError('inner') }))",
        "Error: outer\n",
        "[cause]: TypeError: inner",
    ),
    ("callback(null, { a: 1n })", "stringify response to json failed: TypeError: Do not know", "BigInt"),
    (
        "const a = {}; a.a = a; callback(null, a)",
        "stringify response to json failed: TypeError: Converting",
        "",
    ),
    (
        "const error = new Error(); Object.defineProperty(error, 'stack', { get() { throw 1 } }); callback(error)",
        "an error that cannot be shown",
        "",
    ),
];

#[test]
fn every_error_ends_the_run_with_its_trace_and_nothing_of_ours_in_it() {
    for server in [1, 5].map(Server::at_level) {
        for (number, (text, begins, contains)) in FAILURES.into_iter().enumerate() {
            each_way(server, &format!("error-{number}"), &plain_body(text), "{}", |run| {
                let error = run.failed(430);
                let trace = error.stack_trace.as_str();
                assert!(trace.starts_with(begins) && trace.contains(contains), "{text}: {trace}");
                assert!(!trace.contains("bootstrap") && !trace.contains("/proc/self/fd"), "{text}: {trace}");
            });
        }
    }
}

#[test]
fn a_process_that_ends_ends_its_run() {
    for server in LEVELS.map(Server::at_level) {
        for (number, (text, code)) in [
            ("process.exit()", 0),
            ("process.exit(3)", 3),
            ("setTimeout(() => process.exit(4), 5)", 4),
            ("process.on('exit', (code) => { process.exitCode = code + 1; }); process.exit(4)", 5),
            ("process.exitCode = 6", 6),
            ("process.abort()", 134),
            ("process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 600000)", 143),
            ("process.reallyExit(8)", 8),
        ]
        .into_iter()
        .enumerate()
        {
            each_way(server, &format!("exit-{number}"), &plain_body(text), "{}", |run| {
                let error = run.failed(439);
                assert_eq!(error.error_message, format!("{code} code exit unexpected"), "{text}");
            });
        }
    }
}

#[test]
fn a_listener_of_the_users_for_errors_is_asked_instead_of_us() {
    let server = Server::shared();
    let function = plain_body(
        "process.on('uncaughtException', (error) => callback(null, error.message)); \
         setTimeout(() => { throw new Error('caught') }, 1);",
    );
    each_way(server, "listener", &function, "{}", |run| assert_eq!(run.returned(), "caught"));
    let function = plain_body(
        "process.on('unhandledRejection', (error) => callback(null, error)); Promise.reject('seen'); \
         setTimeout(() => {}, 600000)",
    );
    each_way(server, "rejections", &function, "{}", |run| assert_eq!(run.returned(), "seen"));
}

#[test]
fn code_that_removes_every_listener_ends_no_other_way() {
    let server = Server::shared();
    let function =
        plain_body("process.removeAllListeners(); setTimeout(() => { throw new Error('bare') }, 1);");
    each_way(server, "bare", &function, "{}", |run| {
        assert!(run.failed(430).stack_trace.starts_with("Error: bare\n"), "{run:?}");
    });
    let function = plain_body("process.removeAllListeners();");
    each_way(server, "bare-and-idle", &function, "{}", |run| assert_eq!(run.returned(), json!(null)));
}

#[test]
fn the_context_tells_how_much_time_is_left() {
    let server = Server::shared();
    let function = body(
        "const before = context.getRemainingTimeInMillis();
        await new Promise((resolve) => setTimeout(resolve, 50));
        return [before, context.getRemainingTimeInMillis(), Object.keys(context).sort()];",
    )
    .with("timeout_s", 10);
    each_way(server, "remaining", &function, "{}", |run| {
        let told = run.returned();
        let (before, after) = (told[0].as_i64().unwrap(), told[1].as_i64().unwrap());
        assert!(before > 8000 && before <= 10_000 && after <= before - 49, "{told}");
        let members = [
            "callbackWaitsForEmptyEventLoop",
            "done",
            "environ",
            "environment",
            "fail",
            "function_name",
            "function_version",
            "getRemainingTimeInMillis",
            "memory_limit_in_mb",
            "namespace",
            "request_id",
            "succeed",
            "tencentcloud_appid",
            "tencentcloud_region",
            "tencentcloud_uin",
            "time_limit_in_ms",
        ];
        assert_eq!(told[2], json!(members));
    });
}

/// A package: what it is called here, its files with the one of the handler first, and what the handler says.
type Package = (&'static str, Vec<(&'static str, &'static str)>, Value);

fn packages() -> Vec<Package> {
    let esm = "import { readFile } from 'node:fs/promises';
import lib, { named } from 'lib';
const waited = await readFile(new URL('data.json', import.meta.url), 'utf8');
export const main_handler = async (event) => [lib, named, JSON.parse(waited), event, import.meta.url];\n";
    let lib = ("node_modules/lib/package.json", r#"{"name": "lib", "exports": "./main.mjs"}"#);
    let main = ("node_modules/lib/main.mjs", "export default 'default';\nexport const named = 'named';\n");
    let data = ("data.json", "[1]");
    let url = |name: &str| json!(["default", "named", [1], 7, format!("file:///var/user/{name}")]);
    vec![
        ("mjs", vec![("index.mjs", esm), lib, main, data], url("index.mjs")),
        (
            "module",
            vec![("index.js", esm), ("package.json", r#"{"type": "module"}"#), lib, main, data],
            url("index.js"),
        ),
        (
            "default",
            vec![("index.mjs", "export default { async main_handler(event) { return event; } };\n")],
            json!(7),
        ),
        (
            "cjs",
            vec![("index.cjs", "exports.main_handler = async (event) => [__filename, event];\n")],
            json!(["/var/user/index.cjs", 7]),
        ),
        (
            "folders",
            vec![
                (
                    "index.js",
                    "const data = require('./data');
const { twice } = require('lib/tools');
const same = require('./lib') === require('./lib/index.js');
exports.main_handler = async (event) => [data, twice(event), same, __dirname, __filename, process.cwd()];\n",
                ),
                data,
                ("lib/index.js", "module.exports = {};\n"),
                ("node_modules/lib/tools.js", "exports.twice = (number) => number * 2;\n"),
            ],
            json!([[1], 14, true, "/var/user", "/var/user/index.js", "/var/user"]),
        ),
        (
            "found-by-path",
            vec![
                ("index.js", "exports.main_handler = async () => require('plain');\n"),
                ("plain.js", "module.exports = 'by NODE_PATH';\n"),
            ],
            json!("by NODE_PATH"),
        ),
    ]
}

/// The value with the code where it has its place; without namespaces it is where the server unpacked it.
fn as_shown(server: &Server, body: &str) -> Value {
    const DIGEST_CHARS: usize = 64;
    let folder = server.place().file("fnlite.db.d/packages/").display().to_string();
    let mut parts = body.split(folder.as_str());
    let first = parts.next().unwrap().to_owned();
    let shown = parts.fold(first, |text, part| text + "/var/user" + &part[DIGEST_CHARS..]);
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn packages_are_found_as_node_finds_them() {
    for server in [2, 5].map(Server::at_level) {
        for (name, files, expected) in packages() {
            let ((first, text), rest) = files.split_first().unwrap();
            let function = rest
                .iter()
                .fold(written_in(RUNTIME, first, text), |function, (path, text)| function.file(path, text));
            let name = format!("package-{name}");
            server.deploy(&name, &function);
            for _ in 0..2 {
                assert_eq!(as_shown(server, &server.invoke(&name, "7").body), expected, "{name}");
            }
            assert_eq!(reason(server, &name), None, "{name}");
        }
    }
}

#[test]
fn what_goes_wrong_while_loading_is_told_like_what_goes_wrong_in_a_run() {
    let server = Server::shared();
    let module = |text: &str| written_in(RUNTIME, "index.mjs", text);
    let handler = "export const main_handler = async () => 1;\n";
    for (number, (function, status, said)) in [
        (source("throw new Error('x')"), 430, "Error: x\n    at Object.<anonymous> (/var/user/index.js:1:7)"),
        (source("throw 'x'"), 430, "Uncaught 'x'"),
        (
            module("setTimeout(() => { throw new Error('late') }, 1); await new Promise(() => {});"),
            430,
            "Error: late\n    at",
        ),
        (source("require('./absent')"), 430, "Require stack:\n- /var/user/index.js\n    at"),
        (
            source("require('lib')").file("node_modules/lib/index.js", "}"),
            430,
            "/var/user/node_modules/lib/index.js:1",
        ),
        (module("import 'absent';"), 430, "Cannot find package 'absent' imported from /var/user/index.mjs"),
        (
            module("await Promise.reject(new Error('x'));"),
            430,
            "Error: x\n    at file:///var/user/index.mjs:1:",
        ),
        (module("export const x = ;"), 430, "SyntaxError"),
        (source("process.exit(5)"), 439, "5 code exit unexpected"),
        (module(&format!("await new Promise(() => {{}});\n{handler}")), 439, "13 code exit unexpected"),
        (source("exports.other = 1"), 437, "module 'index' has no export 'main_handler'"),
        (
            source("exports.main_handler = 1"),
            437,
            "export 'main_handler' of module 'index' is not a function",
        ),
        (source("module.exports = null"), 437, "module 'index' has no export 'main_handler'"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("loading-{number}");
        server.deploy(&name, &function);
        let error = server.invoke(&name, "{}").failed(status);
        let text = if status == 430 { &error.stack_trace } else { &error.error_message };
        assert!(text.contains(said), "{number}: {text}");
        assert!(!text.contains("bootstrap"), "{number}: {text}");
    }
}

#[test]
fn the_module_is_loaded_once_for_all_runs() {
    let server = Server::shared();
    let function = source(
        "console.log('loading');\nlet count = 0;\nexports.main_handler = async () => { count += 1; return count; };\n",
    );
    server.deploy("once", &function);
    let runs: Vec<Run> = (0..4).map(|_| server.invoke("once", "{}")).collect();
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(run.returned(), 1, "no run sees what another did");
        assert_eq!(server.printed(&run.request_id).len(), usize::from(number == 0));
    }
}

#[test]
fn every_way_to_print_reaches_the_log_in_order_and_survives_the_process() {
    let function = body(
        "for (let number = 0; number < 100; number++) {
            console.log('out', number);
            console.error('err', number);
        }
        console.info('info %d', 1);
        console.debug('debug');
        console.warn('warn', { a: [1] });
        process.stdout.write('written\\n');
        process.stdout.write(Buffer.from('grüße, 世界\\n'));
        require('fs').writeSync(1, 'by number\\n');
        require('child_process').execFileSync('echo', ['child'], { stdio: 'inherit' });
        require('child_process').execFileSync(process.execPath, ['-e', 'console.log(\"node\")'], { stdio: 'inherit' });
        process.stdout.write('x'.repeat(8000) + '\\nno line end');
        process.kill(process.pid, 'SIGKILL');",
    )
    .with("timeout_s", 20)
    .with("memory_mb", 256);
    for server in LEVELS.map(Server::at_level) {
        each_way(server, "printing", &function, "{}", |run| {
            run.failed(439);
            let record = server.record(&run.request_id);
            let of = |stream: &str| -> Vec<String> {
                record
                    .log
                    .iter()
                    .filter(|line| line.stream == stream)
                    .map(|line| line.message.clone())
                    .collect()
            };
            let count = |word: &str| (0..100).map(|number| format!("{word} {number}")).collect::<Vec<_>>();
            let long = "x".repeat(8000);
            let rest = [
                "info 1",
                "debug",
                "written",
                "grüße, 世界",
                "by number",
                "child",
                "node",
                &long,
                "no line end",
            ];
            assert_eq!(of("stdout"), [count("out"), rest.map(str::to_owned).to_vec()].concat());
            assert_eq!(of("stderr"), [count("err"), vec!["warn { a: [ 1 ] }".to_owned()]].concat());
        });
    }
}

#[test]
fn older_runtimes_put_time_and_request_id_before_each_line() {
    let server = Server::shared();
    let text = "console.log('loading');\nexports.main_handler = async () => console.log('%s!', 'hello');\n";
    server.deploy("prefixed", &written_in("Nodejs12.16", "index.js", text));
    let run = server.invoke("prefixed", "{}");
    run.returned();
    let printed = server.printed(&run.request_id);
    let words: Vec<&str> = printed.last().unwrap().split('\t').collect();
    assert!(words[0].ends_with('Z') && words[0].len() == 24, "{words:?}");
    assert_eq!(words[1..], [&run.request_id, "hello!"]);
}

#[test]
fn what_is_left_open_is_not_waited_for() {
    let gate = Gate::new();
    let port: Value = serde_json::from_str(&gate.event()).unwrap();
    let server = Server::shared();
    let function = body(
        "setInterval(() => {}, 10);
        require('http').createServer().listen(0);
        const socket = require('net').connect(event.port, '127.0.0.1');
        await new Promise((resolve) => socket.on('connect', resolve));
        return 'answered';",
    );
    each_way(server, "left-open", &function, &port.to_string(), |run| assert_eq!(run.returned(), "answered"));
}

/// Parts of Node.js that a fork could break, each with what it gives.
const FEATURES: [(&str, &str, &str); 17] = [
    ("timers", "await new Promise((resolve) => setTimeout(resolve, 20)); return 1", "1"),
    (
        "files",
        "await require('fs').promises.writeFile(require('os').tmpdir() + '/x', 'x'); return (await require('fs').promises.readFile(require('os').tmpdir() + '/x', 'utf8'))",
        "\"x\"",
    ),
    (
        "crypto",
        "const { promisify } = require('util'); return (await promisify(require('crypto').pbkdf2)('a', 'b', 1000, 8, 'sha256')).toString('hex')",
        "\"a9ad83929ae9ec53\"",
    ),
    (
        "keys",
        "const { promisify } = require('util'); const { privateKey } = await promisify(require('crypto').generateKeyPair)('ed25519'); return privateKey.type",
        "\"private\"",
    ),
    (
        "digest",
        "return Buffer.from(await require('crypto').webcrypto.subtle.digest('SHA-1', Buffer.from('abc'))).toString('hex')",
        "\"a9993e364706816aba3e25717850c26c9cd0d89d\"",
    ),
    (
        "zlib",
        "const { promisify } = require('util'); const zlib = require('zlib'); return (await promisify(zlib.gunzip)(await promisify(zlib.gzip)('zipped'))).toString()",
        "\"zipped\"",
    ),
    ("dns", "return (await require('dns').promises.lookup('127.0.0.1')).address", "\"127.0.0.1\""),
    (
        "http",
        "const http = require('http'); const server = http.createServer((asked, told) => asked.pipe(told)); await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve)); const answer = await fetch('http://127.0.0.1:' + server.address().port, { method: 'POST', body: 'echo' }); return await answer.text()",
        "\"echo\"",
    ),
    (
        "worker",
        "const { Worker } = require('worker_threads'); const worker = new Worker('require(\"worker_threads\").parentPort.postMessage(6 * 7)', { eval: true }); return await new Promise((resolve, reject) => { worker.on('message', resolve); worker.on('error', reject); })",
        "42",
    ),
    (
        "children",
        "const { promisify } = require('util'); return (await promisify(require('child_process').execFile)('sh', ['-c', 'echo $((6 * 7))'])).stdout",
        "\"42\\n\"",
    ),
    (
        "forks",
        "const fs = require('fs'); const file = require('os').tmpdir() + '/child.js'; fs.writeFileSync(file, 'process.send([process.execArgv, process.argv.length])'); const child = require('child_process').fork(file); return await new Promise((resolve) => child.on('message', resolve))",
        "[[],2]",
    ),
    (
        "wasm",
        "const bytes = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11); const { instance } = await WebAssembly.instantiate(bytes, {}); const module = await WebAssembly.compile(bytes); return [instance.exports.f(), (await WebAssembly.instantiate(module)).exports.f()]",
        "[42,42]",
    ),
    (
        "memory",
        "let kept = []; for (let round = 0; round < 300; round++) { kept = kept.slice(-3).concat([Array.from({ length: 20000 }, (_, number) => ({ number }))]); } return kept[3][19999].number",
        "19999",
    ),
    (
        "streams",
        "const { pipeline } = require('stream/promises'); const { Readable } = require('stream'); let text = ''; await pipeline(Readable.from(['a', 'b']), async (source) => { for await (const part of source) text += part; }); return text",
        "\"ab\"",
    ),
    (
        "signals",
        "setTimeout(() => {}, 60000); return await new Promise((resolve) => { process.on('SIGUSR2', resolve); process.kill(process.pid, 'SIGUSR2'); })",
        "\"SIGUSR2\"",
    ),
    ("vm", "return require('vm').runInNewContext('1 + 1')", "2"),
    ("import", "return (await import('node:path')).join('a', 'b')", "\"a/b\""),
];

#[test]
fn all_parts_of_node_work_in_a_run() {
    for server in [1, 5].map(Server::at_level) {
        for (name, text, expected) in FEATURES {
            let function = body(text).with("memory_mb", 512).with("timeout_s", 20);
            each_way(server, &format!("part-{name}"), &function, "{}", |run| {
                assert_eq!((run.status, run.body.as_str()), (200, expected), "{name}");
            });
        }
    }
}

#[test]
fn random_numbers_never_repeat_between_runs() {
    let function = source(
        "
const crypto = require('crypto');
const { randomUUID } = crypto;
const { random } = Math;
const drawn = [random(), randomUUID(), crypto.randomInt(1e9), crypto.randomBytes(8), crypto.webcrypto.randomUUID()];

exports.main_handler = async () => [
  random(), Math.random(), randomUUID(), crypto.randomUUID(), crypto.webcrypto.randomUUID(), crypto.randomInt(2 ** 40),
  crypto.randomBytes(8).toString('hex'), crypto.getRandomValues(new Uint32Array(2)).join(),
  require('vm').runInNewContext('Math.random()'), require('fs').mkdtempSync(require('os').tmpdir() + '/x-'),
  await new Promise((resolve, reject) => crypto.randomInt(2 ** 40, (error, number) => error ? reject(error) : resolve(number))),
  await new Promise((resolve) => new (require('worker_threads').Worker)(
    'require(\"worker_threads\").parentPort.postMessage(Math.random())', { eval: true }).on('message', resolve)),
];
",
    )
    .with("memory_mb", 256);
    for (level, server) in LEVELS.map(|level| (level, Server::at_level(level))) {
        // At level 1 and 2 the name of the temporary folder is the Instance's own anyway.
        server.deploy("chance", &function);
        let runs: Vec<Value> = (0..8).map(|_| server.invoke("chance", "{}").returned()).collect();
        assert_eq!(reason(server, "chance"), None);
        for source in 0..runs[0].as_array().unwrap().len() {
            let drawn: BTreeSet<String> = runs.iter().map(|run| run[source].to_string()).collect();
            assert_eq!(drawn.len(), runs.len(), "level {level}, source {source}: {runs:#?}");
        }
    }
}

#[test]
fn random_numbers_are_spread_evenly() {
    let function = body(
        "const counts = new Array(16).fill(0); let low = 0;
        for (let left = 160000; left > 0; left--) {
            const drawn = Math.random();
            counts[Math.floor(drawn * 16)] += 1;
            low += Math.floor(drawn * 2 ** 53) % 2;
        }
        return [counts, low];",
    );
    let told = Server::shared().value_of("spread", &function, "{}");
    let near = |count: &Value, expected: u64| count.as_u64().unwrap().abs_diff(expected) < expected / 20;
    let counts = told[0].as_array().unwrap();
    assert!(counts.len() == 16 && counts.iter().all(|count| near(count, 10_000)), "{told}");
    assert!(near(&told[1], 80_000), "{told}");
}

/// What at import makes code unsafe to fork, how the function's record names it, and how the handler finds it.
const UNSAFE: [(&str, &str, &str, &str); 12] = [
    (
        "worker",
        "const { Worker } = require('worker_threads'); const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });",
        "worker.threadId > 0",
        "a thread was started",
    ),
    (
        "listener",
        "const server = require('net').createServer().listen(0);",
        "server.listening",
        "a socket was opened",
    ),
    (
        "socket",
        "const socket = require('dgram').createSocket('udp4').unref(); socket.bind(0);",
        "socket !== null",
        "a socket was opened",
    ),
    (
        "child",
        "const child = require('child_process').spawn('sleep', ['600']);",
        "child.exitCode === null",
        "a child process was started",
    ),
    (
        "written",
        "const fs = require('fs'); fs.writeFileSync((process.env.TMPDIR || '/tmp') + '/written', '');",
        "fs.existsSync((process.env.TMPDIR || '/tmp') + '/written')",
        "a file was written to /tmp",
    ),
    (
        "file",
        "const fs = require('fs'); const fd = fs.openSync(__filename);",
        "fs.readSync(fd, Buffer.alloc(5)) === 5",
        "a file was opened",
    ),
    (
        "folder",
        "const fs = require('fs'); const fd = fs.openSync('/usr');",
        "fs.fstatSync(fd).isDirectory()",
        "a file was opened",
    ),
    (
        "handle",
        "const opening = require('fs').promises.open(__filename);",
        "typeof (await opening).fd === 'number'",
        "a request was under way | a file was opened",
    ),
    (
        "reading",
        "const reading = require('fs').promises.readFile(__filename, 'utf8');",
        "(await reading).length > 0",
        "a request was under way | a file was opened",
    ),
    (
        "name",
        "const asked = require('dns').promises.lookup('localhost');",
        "typeof (await asked).address === 'string'",
        "a request was under way | a file was opened",
    ),
    (
        "watch",
        "const watcher = require('fs').watch('/usr');",
        "watcher !== null",
        "an event descriptor was opened",
    ),
    (
        "channel",
        "const { port1, port2 } = new MessageChannel(); port1.on('message', () => {});",
        "port2 !== null",
        "a thread was started",
    ),
];

#[test]
fn code_that_cannot_be_forked_is_started_anew_for_every_run() {
    for (level, server) in LEVELS.map(|level| (level, Server::at_level(level))) {
        for (name, code, check, said) in UNSAFE {
            let name = format!("unsafe-{name}");
            let text = format!(
                "console.log('loading');\n{code}\nexports.main_handler = async (event) => [{check}, event];\n"
            );
            server.deploy(&name, &source(&text).with("memory_mb", 256));
            for number in 0..2 {
                let run = server.invoke(&name, number.to_string());
                assert_eq!(run.returned(), json!([true, number]), "level {level}: {name}");
                assert_eq!(server.printed(&run.request_id), ["loading"], "level {level}: {name}");
            }
            let reason = reason(server, &name).unwrap_or_default();
            let said = said.split(" | ").any(|said| reason.contains(said));
            assert!(said && reason.contains("at import"), "level {level}: {name}: {reason}");
        }
    }
}

#[test]
fn what_is_safe_at_import_is_forked() {
    let server = Server::shared();
    for (name, code, check) in [
        (
            "interval",
            "let count = 0; setInterval(() => { count += 1; }, 5);",
            "await new Promise((resolve) => setTimeout(() => resolve(count > 0), 60))",
        ),
        (
            "immediate",
            "let done = false; setImmediate(() => { done = true; });",
            "await new Promise((resolve) => setImmediate(() => resolve(done)))",
        ),
        ("agent", "const agent = new (require('https').Agent)({ keepAlive: true });", "agent.keepAlive"),
        ("read", "const text = require('fs').readFileSync(__filename, 'utf8');", "text.length > 0"),
        (
            "awaited",
            "let text; require('util').promisify(setTimeout)(0).then(() => { text = 'x'; });",
            "await new Promise((resolve) => setTimeout(() => resolve(text === 'x'), 30))",
        ),
        (
            "hashed",
            "const hash = require('crypto').createHash('md5').update('x').digest('hex');",
            "hash.length === 32",
        ),
        (
            "emitter",
            "const emitter = new (require('events'))(); emitter.on('x', () => {});",
            "emitter.emit('x')",
        ),
    ] {
        let text = format!("{code}\nexports.main_handler = async () => {check};\n");
        let name = format!("safe-{name}");
        for _ in 0..3 {
            assert_eq!(server.value_of(&name, &source(&text), "{}"), true, "{name}");
        }
        assert_eq!(reason(server, &name), None, "{name}");
    }
}

/// Where temporary files of an Instance are in a folder of its own, one that is looked up at import would be another's.
#[test]
fn temporary_files_work_at_every_level() {
    let at_import = source(
        "const folder = require('os').tmpdir();\nexports.main_handler = async () => {\n  \
         require('fs').writeFileSync(folder + '/x', 'x');\n  return require('fs').readdirSync(folder);\n};\n",
    );
    let in_a_run = body(
        "const folder = require('os').tmpdir(); require('fs').writeFileSync(folder + '/x', 'x');
        return require('fs').readdirSync(folder);",
    );
    for (level, server) in LEVELS.map(|level| (level, Server::at_level(level))) {
        for (name, function) in [("tmp-at-import", &at_import), ("tmp-in-a-run", &in_a_run)] {
            server.deploy(name, function);
            for _ in 0..2 {
                assert_eq!(server.invoke(name, "{}").returned(), json!(["x"]), "level {level}: {name}");
            }
        }
        assert_eq!(reason(server, "tmp-at-import").is_some(), level < 3, "level {level}");
        assert_eq!(reason(server, "tmp-in-a-run"), None, "level {level}");
    }
}

#[test]
fn an_instance_knows_its_own_number_and_leaves_nothing_behind() {
    let server = Server::shared();
    let function = body(
        "const child = require('child_process').spawn('sleep', [event.length], { detached: true });
        return [process.pid, Number(require('fs').readlinkSync('/proc/self')), child.pid > 0, process.argv.length];",
    );
    each_way(server, "number", &function, r#"{"length": "31536043.0618"}"#, |run| {
        let told = run.returned();
        assert_eq!(told[0], told[1], "{told}");
        assert_eq!((&told[2], &told[3]), (&json!(true), &json!(2)), "{told}");
        wait::until("the child is gone", || {
            processes::all(|process| process.arguments().iter().any(|word| word == "31536043.0618"))
                .is_empty()
                .then_some(())
        });
    });
}

#[test]
fn an_event_and_an_answer_may_be_large() {
    let server = Server::shared();
    let function = body("console.log(event.text.length); return event.text;").with("memory_mb", 512);
    let text = "grüße 世界 🌍 ".repeat(150_000);
    let event = json!({ "text": text }).to_string();
    each_way(server, "large", &function, &event, |run| {
        assert_eq!(run.returned(), text.as_str());
    });
    for length in [1290, 1300, 1310, 4000, 4090, 4100, 9000] {
        let text = "世".repeat(length);
        let run = server.invoke("large", json!({ "text": text }).to_string());
        assert_eq!(run.returned(), text.as_str(), "{length}");
    }
}

#[test]
fn memory_that_is_not_there_ends_the_run_as_such() {
    let server = Server::shared();
    for (number, text) in [
        "return Buffer.alloc(2 ** 32).length",
        "const all = []; for (;;) { all.push(new Array(1e5).fill(all.length)); }",
        "const all = []; for (;;) { all.push({ all: String(Math.random()) }); }",
        "const all = []; for (;;) { all.push(Buffer.alloc(1 << 20, 1)); }",
    ]
    .into_iter()
    .enumerate()
    {
        let function = body(text).with("timeout_s", 30);
        each_way(server, &format!("memory-{number}"), &function, "{}", |run| {
            assert_eq!(run.failed(434).error_message, "Task memory exceeded 128 MB", "{text}");
        });
    }
}

#[test]
fn what_is_thrown_away_is_collected_in_time() {
    let function = body(
        "let sum = 0; for (let round = 0; round < 2000; round++) { sum += JSON.stringify(new Array(5000).fill(round)).length; }
        return sum > 0;",
    )
    .with("timeout_s", 30);
    each_way(Server::shared(), "churn", &function, "{}", |run| assert_eq!(run.returned(), true));
}
