//! What a Python function finds around it: event, context, environment, files, streams, and nobody else.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::function::{Function, expression, folder, source};
use crate::gate::Gate;
use crate::server::Server;
use crate::wait;

/// The fifth is the fourth for a function that asks for no network of its own.
const LEVELS: [usize; 4] = [1, 2, 3, 5];

#[test]
fn the_context_has_every_field_of_the_contract() {
    let function = expression("context").with("timeout_s", 7).with("memory_mb", 256);
    for server in LEVELS.map(Server::at_level) {
        server.deploy("told", &function);
        let run = server.invoke("told", "{}");
        let expected = json!({
            "memory_limit_in_mb": 256,
            "time_limit_in_ms": 7000,
            "request_id": run.request_id,
            "environment": r#"{"SCF_NAMESPACE":"default"}"#,
            "environ": "SCF_NAMESPACE=default;SCF_NAMESPACE=default",
            "function_version": "$LATEST",
            "function_name": "told",
            "namespace": "default",
            "tencentcloud_region": "ap-guangzhou",
            "tencentcloud_appid": "1250000000",
            "tencentcloud_uin": "100000000001",
        });
        assert_eq!(run.returned(), expected);
    }
}

#[test]
fn the_context_is_a_dict_and_the_event_is_what_was_sent() {
    let text = "[type(context).__name__, type(event).__name__, event]";
    let server = Server::shared();
    server.deploy("types", &expression(text));
    for (event, kind) in [
        (r#"{"a": [1, 2.5, null, true]}"#, "dict"),
        ("[]", "list"),
        ("\"x\"", "str"),
        ("5", "int"),
        ("1.5", "float"),
        ("null", "NoneType"),
    ] {
        let expected: Value = serde_json::from_str(event).unwrap();
        assert_eq!(server.invoke("types", event).returned(), json!(["dict", kind, expected]));
    }
    assert_eq!(server.invoke("types", "").returned(), json!(["dict", "dict", {}]), "nothing sent means {{}}");
}

#[test]
fn the_environment_is_the_contracts_and_the_users_and_nothing_else() {
    let function = expression("dict(__import__('os').environ)")
        .with("env", json!({ "GREETING": "grüße", "TZ": "Asia/Shanghai" }));
    for (level, server) in LEVELS.map(|level| (level, Server::at_level(level))) {
        let found = server.value_of("environment", &function, "{}");
        for (name, value) in [
            ("GREETING", "grüße"),
            ("TZ", "Asia/Shanghai"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/home/qcloud"),
            ("USER", "qcloud"),
            ("LOGNAME", "qcloud"),
            ("SHELL", "/bin/bash"),
            ("SHLVL", "3"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("_SCF_SERVER_PORT", "28902"),
            ("TENCENTCLOUD_RUNENV", "SCF"),
            ("TENCENTCLOUD_REGION", "ap-guangzhou"),
            ("TENCENTCLOUD_APPID", "1250000000"),
            ("TENCENTCLOUD_UIN", "100000000001"),
            ("TENCENTCLOUD_TZ", "UTC"),
            ("SCF_RUNTIME", "Python3.10"),
            ("SCF_FUNCTIONNAME", "environment"),
            ("SCF_FUNCTIONVERSION", "$LATEST"),
            ("SCF_NAMESPACE", "default"),
            ("PYTHONDONTWRITEBYTECODE", "x"),
        ] {
            assert_eq!(found[name], value, "{name}");
        }
        let allowed = "GREETING TZ LANG LC_ALL HOME USER LOGNAME SHELL SHLVL PATH HOSTNAME PWD _ _SCF_SERVER_PORT \
            TENCENTCLOUD_RUNENV TENCENTCLOUD_REGION TENCENTCLOUD_APPID TENCENTCLOUD_UIN TENCENTCLOUD_TZ USER_CODE_ROOT \
            SCF_RUNTIME SCF_FUNCTIONNAME SCF_FUNCTIONVERSION SCF_NAMESPACE PYTHONDONTWRITEBYTECODE PYTHONPATH \
            OPENBLAS_NUM_THREADS OMP_NUM_THREADS TMPDIR";
        let allowed: BTreeSet<&str> = allowed.split_ascii_whitespace().collect();
        let more: Vec<&String> =
            found.as_object().unwrap().keys().filter(|name| !allowed.contains(name.as_str())).collect();
        assert!(more.is_empty(), "{more:?}");
        if level == 3 {
            for (name, value) in
                [("PWD", "/var/user"), ("USER_CODE_ROOT", "/var/user/"), ("PYTHONPATH", "/var/user:/opt")]
            {
                assert_eq!(found[name], value, "{name}");
            }
        }
    }
}

#[test]
fn the_code_is_the_working_directory_and_cannot_be_changed() {
    let function = source(
        "
import os

def try_to(path):
    try:
        with open(path, 'w') as file:
            file.write('x')
        return 'written'
    except OSError:
        return 'refused'

def main_handler(event, context):
    return {'cwd': os.getcwd(), 'files': sorted(os.listdir('.')), 'data': open('data.txt').read(),
            'tries': {path: try_to(path) for path in event}}
",
    )
    .file("data.txt", "däta\n");
    for (level, server) in LEVELS.map(|level| (level, Server::at_level(level))) {
        server.deploy("folder", &function);
        let found = server.invoke("folder", r#"["new.txt", "index.py"]"#).returned();
        // At level 1 the user is what keeps code and function apart, if the server may choose one.
        if level > 1 || rustix::process::geteuid().is_root() {
            let refused = json!({ "new.txt": "refused", "index.py": "refused" });
            assert_eq!(found["tries"], refused, "level {level}");
        }
        assert_eq!(found["files"], json!(["data.txt", "index.py"]));
        assert_eq!(found["data"], "däta\n");
        if level == 3 {
            assert_eq!(found["cwd"], "/var/user");
        }
    }
    let places = [
        "/x",
        "/var/user/x",
        "/home/qcloud/x",
        "/etc/x",
        "/usr/x",
        "/opt/x",
        "/var/runtime/x",
        "/dev/x",
        "/var/tmp/x",
    ];
    let run = Server::shared().invoke("folder", json!(places).to_string());
    let refused: Value = places.iter().map(|place| ((*place).to_owned(), json!("refused"))).collect();
    assert_eq!(run.returned()["tries"], refused);
}

#[test]
fn text_is_utf_8_everywhere() {
    let function = source(
        "
import locale, os, subprocess, sys

def main_handler(event, context):
    with open('/tmp/ß.txt', 'w') as file:
        file.write('中文')
    print('öut', os.listdir('/tmp'))
    print('ërr', file=sys.stderr)
    print('lone \\ud800 half')
    subprocess.run(['echo', 'çhild'])
    return [sys.getfilesystemencoding(), locale.getpreferredencoding(), sys.stdout.encoding, open('/tmp/ß.txt').read()]
",
    );
    let server = Server::shared();
    server.deploy("text", &function);
    let run = server.invoke("text", "{}");
    assert_eq!(run.returned(), json!(["utf-8", "UTF-8", "utf-8", "中文"]));
    let printed: BTreeSet<String> = server.printed(&run.request_id).into_iter().collect();
    let expected = ["öut ['ß.txt']", "ërr", "lone \\ud800 half", "çhild"];
    assert_eq!(printed, expected.map(str::to_owned).into());
}

#[test]
fn every_run_has_an_empty_tmp_of_512_mb_of_its_own() {
    let function = source(
        "
import os, tempfile

def main_handler(event, context):
    before = [os.listdir(place) for place in ('/tmp', '/dev/shm')]
    tempfile.NamedTemporaryFile(delete=False).write(b'x')
    os.mkdir('/tmp/folder', 0o700)
    size = os.statvfs('/tmp')
    return before, len(os.listdir('/tmp')), size.f_blocks * size.f_frsize
",
    );
    let server = Server::shared();
    server.deploy("scratch", &function);
    for _ in 0..3 {
        assert_eq!(server.invoke("scratch", "{}").returned(), json!([[[], []], 2, 512 << 20]));
    }
}

/// Without a file system of its own, temporary files go to a folder that only this function may enter.
#[test]
fn temporary_files_work_at_every_level() {
    let function = source(
        "import tempfile\n\ndef main_handler(event, context):\n    with tempfile.TemporaryFile() as file:\n        file.write(b'x')\n        return file.tell()\n",
    );
    for server in LEVELS.map(Server::at_level) {
        assert_eq!(server.value_of("temporary", &function, "{}"), 1);
    }
}

#[test]
fn standard_input_is_empty() {
    let function = source(
        "import os, sys\n\ndef main_handler(event, context):\n    return [sys.stdin.read(), os.read(0, 10).decode()]\n",
    );
    for server in LEVELS.map(Server::at_level) {
        assert_eq!(server.value_of("input", &function, "{}"), json!(["", ""]));
    }
}

#[test]
fn every_way_to_print_reaches_the_log() {
    let server = Server::shared();
    server.deploy("logging", &folder("logging"));
    let run = server.invoke("logging", r#"{"length": 100}"#);
    assert_eq!(run.returned(), "done");
    let record = server.record(&run.request_id);
    let of = |stream: &str| -> Vec<String> {
        record.log.iter().filter(|line| line.stream == stream).map(|line| line.message.clone()).collect()
    };
    let long = format!("ünïcode, 中文, and a very long line: {}", "x".repeat(100));
    let expected = ["printed", "logged as info", "logged as error", "printed by a child process", &long];
    assert_eq!(of("stdout"), expected);
    assert_eq!(of("stderr"), ["printed to standard error"]);
}

#[test]
fn a_logger_that_the_user_sets_up_is_the_users() {
    let server = Server::shared();
    let function = source(
        "
import logging
logging.basicConfig(level=logging.WARNING, format='%(levelname)s:%(message)s', force=True)

def main_handler(event, context):
    logging.info('not wanted')
    logging.warning('wanted')
",
    );
    server.deploy("own-logger", &function);
    let run = server.invoke("own-logger", "{}");
    assert_eq!(server.printed(&run.request_id), ["WARNING:wanted"]);
}

#[test]
fn values_become_json_as_in_the_contract() {
    let server = Server::shared();
    let digits = "7".repeat(5000);
    for (number, (returned, json)) in [
        ("None", "null"),
        ("True", "true"),
        ("2**53 + 1", "9007199254740993"),
        ("1e400 if False else 1.0", "1.0"),
        ("'中文 é \\U0001f600'", "\"中文 é 😀\""),
        ("'\"\\\\/\\n\\t\\x00\\x7f\\u2028'", "\"\\\"\\\\/\\n\\t\\u0000\u{7f}\u{2028}\""),
        ("''", "\"\""),
        ("{'b': 1, 'a': [True, None, {'x': (1, 2)}]}", r#"{"b": 1, "a": [true, null, {"x": [1, 2]}]}"#),
        ("{1: 'one', None: 0, True: 2.50}", r#"{"1": 2.5, "null": 0}"#),
        ("__import__('decimal').Decimal('1.10')", "\"1.10\""),
        ("int('7' * 5000)", digits.as_str()),
        ("event", "{}"),
        ("__import__('json').dumps({'a': 1})", r#""{\"a\": 1}""#),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("value-{number}");
        server.deploy(&name, &expression(returned));
        let run = server.invoke(&name, "{}");
        assert_eq!((run.status, run.body.as_str()), (200, json), "{returned}");
        let record = server.record(&run.request_id);
        assert_eq!(record.result.unwrap().get(), json, "{returned}");
    }
}

#[test]
fn what_the_code_changes_in_json_holds_for_events_and_values() {
    let server = Server::shared();
    for (number, (changed, expected)) in [
        ("", json!(1.5)),
        ("json.loads = lambda text: {'a': 'loads'}", json!("loads")),
        ("json.JSONDecoder.decode = lambda self, text: {'a': 'decode'}", json!("decode")),
        ("json.decoder.JSONDecoder.raw_decode = lambda self, text, idx=0: ({'a': 'raw'}, len(text))", json!("raw")),
        ("json._default_decoder = json.JSONDecoder(parse_float=str)", json!("1.5")),
        ("json._default_decoder.scan_once = lambda text, at: ({'a': 'scanned'}, len(text))", json!("scanned")),
        ("json.JSONEncoder.default = lambda self, value: 'default'", json!("default")),
        ("json.dumps = lambda value, **how: '\"dumps\"'", json!("dumps")),
        ("import sys, types\nsys.modules['json'] = types.SimpleNamespace(loads=lambda text: {'a': 7}, dumps=lambda value, **how: '[%d]' % value)", json!([7])),
        ("import sys\nsys.modules['json'] = None", json!(1.5)),
    ]
    .into_iter()
    .enumerate()
    {
        let returned = if changed.contains("default =") { "object()" } else { "event['a']" };
        let text = format!("import json\n{changed}\ndef main_handler(event, context): return {returned}");
        let name = format!("json-{number}");
        for function in [source(&text), source(&text).with("spawn", true)] {
            assert_eq!(server.value_of(&name, &function, " {\"a\": 1.5}\n"), expected, "{changed}");
        }
    }
}

#[test]
fn what_a_run_changes_in_json_holds_for_the_next_of_its_process() {
    let server = Server::at_level(5);
    let text = "import json\ndef main_handler(event):\n    json.loads = lambda text: {'a': 2}\n    return event['a']";
    server.deploy("json-changes", &source(text).with("reuse", true));
    let run = || server.invoke("json-changes", r#"{"a": 1}"#).returned();
    assert_eq!(run(), 1);
    // A process is parked again behind its answer, so the next call may be early and find another one.
    let value =
        wait::until("a run in a process that has run before", || Some(run()).filter(|value| *value != 1));
    assert_eq!(value, 2);
}

#[test]
fn handlers_take_none_one_or_both_parameters() {
    let server = Server::shared();
    for (number, (handler, expected)) in [
        ("def main_handler(): return 0", json!(0)),
        ("def main_handler(event): return event['a']", json!(1)),
        ("def main_handler(event, context): return [event['a'], context['function_name']]", json!([1, "taking-2"])),
        ("def main_handler(event, context=None): return context['function_name']", json!("taking-3")),
        ("def main_handler(*all): return len(all)", json!(2)),
        ("main_handler = lambda event, context: event['a']", json!(1)),
        ("class Handler:\n    def __call__(self, event, context): return event['a']\nmain_handler = Handler()", json!(1)),
        ("class Handler:\n    def run(self, event): return event['a']\nmain_handler = Handler().run", json!(1)),
        ("import functools\nmain_handler = functools.partial(lambda x, event, context: x + event['a'], 41)", json!(42)),
        ("import functools\ndef wrap(f):\n    @functools.wraps(f)\n    def inner(event, context): return f(event)\n    return inner\n@wrap\ndef main_handler(event): return event['a']", json!(1)),
        ("def main_handler(event, *, option=3): return option", json!(3)),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("taking-{number}");
        assert_eq!(server.value_of(&name, &source(handler), r#"{"a": 1}"#), expected, "{handler}");
    }
}

#[test]
fn what_the_first_runs_copied_is_copied_before_an_event_comes() {
    let function = source(
        "
import resource

memory = [bytearray(b'x' * 100_000) for _ in range(20)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def main_handler(event):
    faults()
    before = faults()
    for part in memory:
        part[50_000] += 1
    return [faults() - before, memory[7][50_000] - ord('x')]
",
    );
    for level in [1, 3, 5] {
        let server = Server::at_level(level);
        server.deploy("copies", &function);
        let run = || -> (u64, u64) {
            let value = server.invoke("copies", "{}").returned();
            (value[0].as_u64().unwrap(), value[1].as_u64().unwrap())
        };
        let first = run();
        assert!(first.0 >= 20, "level {level}: {first:?}");
        wait::until("an Instance that has all it needs", || {
            let (faults, changed) = run();
            assert_eq!(changed, 1, "a run found what another one had written");
            (faults < 5).then_some(())
        });
    }
}

/// What at import makes a module unsafe to fork, and how the function's record names it.
const UNSAFE: [(&str, &str, &str); 11] = [
    (
        "thread",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\ndef check(): return threading.active_count() > 1",
        "a thread was started",
    ),
    (
        "socket",
        "import socket\nopened = socket.socket()\ndef check(): return opened.fileno() >= 0",
        "a socket was opened",
    ),
    (
        "child",
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\ndef check(): return child.poll() is None",
        "a child process was started",
    ),
    (
        "written",
        "import os\npath = os.environ.get('TMPDIR', '/tmp') + '/written'\nopen(path, 'w').close()\ndef check(): return os.path.exists(path)",
        "a file was written to /tmp",
    ),
    (
        "poll",
        "import select\npoll = select.epoll()\ndef check(): return poll.fileno() >= 0",
        "an event descriptor was opened",
    ),
    (
        "pipe",
        "import os\nends = os.pipe()\ndef check(): return os.write(ends[1], b'x') == 1",
        "a pipe was opened",
    ),
    ("open", "file = open(__file__)\ndef check(): return file.read(5) == 'print'", "a file was opened"),
    (
        "folder",
        "import os\nfolder = os.open('/usr', 0)\ndef check(): return folder > 2",
        "a folder was opened",
    ),
    (
        "memory",
        "import mmap\nmemory = mmap.mmap(-1, 4096)\ndef check(): return memory.read(1) == b'\\0'",
        "shared memory was made",
    ),
    (
        "unlinked",
        "import mmap, os\nfile = os.memfd_create('x')\nos.truncate(file, 4096)\nmemory = mmap.mmap(file, 4096)\nos.close(file)\ndef check(): return memory.read(1) == b'\\0'",
        "shared memory was made",
    ),
    (
        "timer",
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 600)\ndef check(): return signal.getitimer(signal.ITIMER_REAL)[0] > 0",
        "a timer was started",
    ),
];

fn unsafe_function(module: &str) -> Function {
    source(&format!(
        "print('loading')\n{module}\n\ndef main_handler(event, context):\n    return [check(), event]\n"
    ))
}

#[test]
fn a_module_that_cannot_be_forked_is_started_anew_for_every_run() {
    for (level, server) in LEVELS.map(|level| (level, Server::at_level(level))) {
        for (name, module, reason) in UNSAFE {
            let name = format!("unsafe-{name}");
            server.deploy(&name, &unsafe_function(module));
            for number in 0..3 {
                let run = server.invoke(&name, number.to_string());
                assert_eq!(run.returned(), json!([true, number]), "level {level}: {name}");
                assert_eq!(server.printed(&run.request_id), ["loading"], "level {level}: {name}");
            }
            let told = server.get(&format!("/v1/functions/{name}")).to_string();
            assert!(told.contains(&format!("{reason} at import")), "level {level}: {told}");
        }
    }
}

#[test]
fn a_thread_of_the_module_works_in_every_run() {
    let server = Server::shared();
    server.deploy("at-import", &folder("thread_at_import"));
    for number in [3, 4] {
        let value = server.invoke("at-import", json!({ "number": number }).to_string()).returned();
        assert_eq!(value, json!({ "doubled": number * 2, "socket": true }));
    }
}

/// The user's folder comes first on the search path, so such a name is the user's; ours must not stumble over it.
#[test]
fn a_package_may_use_names_of_the_standard_library() {
    let server = Server::shared();
    let shadow = source("def main_handler(event, context):\n    raise ValueError(event['a'])\n");
    let names = ["json", "traceback", "socket", "struct", "time", "random", "linecache", "io", "gc"];
    let shadow = names.iter().fold(shadow, |function, name| {
        function.file(&format!("{name}.py"), "this = 'no standard library'\n")
    });
    server.deploy("shadows", &shadow);
    let error = server.invoke("shadows", r#"{"a": "mine"}"#).failed(430);
    assert!(error.stack_trace.ends_with("ValueError: mine"), "{error:?}");
    assert!(error.stack_trace.starts_with("Traceback"), "{error:?}");
    let handler = expression("['json', event]");
    for name in ["json", "time", "code", "decimal", "threading"] {
        let function = handler
            .clone()
            .file(&format!("{name}.py"), "def main_handler(event, context):\n    return ['mine', event]\n");
        let function = function.with("handler", format!("{name}.main_handler"));
        assert_eq!(server.value_of(&format!("named-{name}"), &function, "[1]"), json!(["mine", [1]]));
    }
}

#[test]
fn two_runs_at_once_see_nothing_of_each_other() {
    let function = source(
        "
import os, socket
seen = []

def main_handler(event, context):
    with socket.create_connection(('127.0.0.1', event['port'])) as gate:
        mine = str(event['port'])
        seen.append(mine)
        os.environ['MINE_' + mine] = mine
        for place in ('/tmp/', '/dev/shm/'):
            open(place + mine, 'w').close()
        gate.sendall(b'r')
        gate.recv(1)
    return [seen, [name for name in os.environ if name.startswith('MINE_')], os.listdir('/tmp'), os.listdir('/dev/shm'),
            [pid for pid in os.listdir('/proc') if pid.isdigit() and int(pid) > 2] if os.path.exists('/proc/self') else []]
",
    );
    let server = Server::shared();
    server.deploy("alone", &function);
    let gates = [Gate::new(), Gate::new()];
    std::thread::scope(|scope| {
        let calls =
            gates.each_ref().map(|gate| scope.spawn(|| (gate.event(), server.invoke("alone", gate.event()))));
        // Both have left their traces before either looks.
        let held = gates.each_ref().map(Gate::arrival);
        held.iter().for_each(|held| held.hear());
        drop(held);
        for (event, run) in calls.map(|call| call.join().unwrap()) {
            let event: Value = serde_json::from_str(&event).unwrap();
            let mine = event["port"].to_string();
            let variable = format!("MINE_{mine}");
            assert_eq!(run.returned(), json!([[mine], [variable], [mine], [mine], []]));
        }
    });
}

#[test]
fn random_numbers_never_repeat_between_runs() {
    let function = source(
        "
import os, random, secrets, ssl, tempfile, uuid
drawn = [random.random(), uuid.uuid4(), secrets.token_hex(), ssl.RAND_bytes(8), tempfile.mktemp()]

def main_handler(event, context):
    return [random.random(), random.SystemRandom().random(), str(uuid.uuid4()), str(uuid.uuid1()), secrets.token_hex(),
            ssl.RAND_bytes(16).hex(), os.urandom(16).hex(), tempfile.mktemp()]
",
    );
    for server in LEVELS.map(Server::at_level) {
        server.deploy("chance", &function);
        let runs: Vec<Value> = (0..8).map(|_| server.invoke("chance", "{}").returned()).collect();
        for source in 0..8 {
            let drawn: BTreeSet<String> = runs.iter().map(|run| run[source].to_string()).collect();
            assert_eq!(drawn.len(), runs.len(), "source {source}: {runs:#?}");
        }
    }
}

/// How much of what may be executed lies in huge pages, kB.
const HUGE_CODE: &str = "def main_handler(event, context):
    kb, is_code = 0, False
    for line in open('/proc/self/smaps'):
        fields = line.split()
        if not fields[0].endswith(':'):
            is_code = 'x' in fields[1]
        elif is_code and fields[0] == 'AnonHugePages:':
            kb += int(fields[1])
    return kb
";

#[test]
fn a_busy_zygote_has_the_interpreters_code_in_huge_pages() {
    let server = Server::shared();
    let kb_now = || server.invoke("huge-code", "{}").returned().as_u64().unwrap();
    assert_eq!(server.value_of("huge-code", &source(HUGE_CODE), "{}"), 0, "an idle one pays for none");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or_default());
    let is_old = (numbers.next(), numbers.next()) < (Some(6), Some(1));
    if is_old || fs::metadata("/sys/kernel/mm/transparent_hugepage").is_err() {
        eprintln!(
            "NOT TESTED: Linux {release} here has no huge pages that one can ask for (6.1 and newer can)"
        );
        return;
    }
    let kb = wait::until("there are some", || Some(kb_now()).filter(|kb| *kb > 0));
    assert!(kb % 2048 == 0 && kb <= 8 * 2048, "{kb} kB");
}

/// Memory of several kinds, made while the code is loaded, and in how many mappings the C library lies.
const HELD: &str = "import ctypes, hashlib, mmap

MADV_WIPEONFORK = 18
SMALL = [str(number) for number in range(20000)]
LARGE = [bytes([number]) * 3000 for number in range(256)]
SECRET = mmap.mmap(-1, 1 << 16, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
SECRET.write(b's' * (1 << 16))
SECRET_AT = ctypes.addressof(ctypes.c_char.from_buffer(SECRET))
WIPES = ctypes.CDLL(None).madvise(ctypes.c_void_p(SECRET_AT), ctypes.c_size_t(1 << 16), MADV_WIPEONFORK)

def main_handler(event, context):
    digest = hashlib.sha256(''.join(SMALL).encode() + b''.join(LARGE)).hexdigest()
    parts = sum('/libc.so' in line or '/libc-' in line for line in open('/proc/self/maps'))
    return {'digest': digest, 'wiped': WIPES == 0 and set(SECRET[:]) == {0}, 'parts': parts}
";

#[test]
fn what_a_busy_zygote_moves_into_huge_pages_is_what_it_was() {
    let server = Server::shared();
    let idle = server.value_of("held", &source(HELD), "{}");
    assert_eq!(idle["wiped"], true, "{idle}");
    let busy = wait::until("the C library is in fewer mappings", || {
        let now = server.invoke("held", "{}").returned();
        (now["parts"].as_u64() < idle["parts"].as_u64()).then_some(now)
    });
    assert_eq!((&busy["digest"], &busy["wiped"]), (&idle["digest"], &idle["wiped"]));
}

#[test]
fn the_first_run_of_a_version_reports_its_loading_and_no_other_does() {
    let server = Server::shared();
    let function = source(
        "print('loading')\ndef main_handler(event, context):\n    print('running')\n    return 'Hello World'\n",
    );
    for round in 0..2 {
        server.deploy("loading", &function.clone().with("description", format!("round {round}")));
        let first = server.record(&server.invoke("loading", "{}").request_id);
        let report = shape(&first.line("Init Report").message);
        assert_eq!(
            report,
            "Init Report RequestId: ID Coldstart: #ms (InitRuntime: #ms InitFunction: #ms) Memory: #MB MemUsage: #MB"
        );
        let messages = first.messages();
        assert_eq!(
            messages.iter().map(|text| shape(text)).collect::<Vec<_>>(),
            [
                "START RequestId: ID",
                "loading",
                &report,
                "running",
                "Response RequestId: ID RetMsg: \"Hello World\"",
                "END RequestId: ID",
                "Report RequestId: ID Duration: #ms Memory: #MB MemUsage: #MB",
            ]
        );
        assert!(first.init_us > 0, "{first:?}");
        let second = server.record(&server.invoke("loading", "{}").request_id);
        let words: Vec<String> = second.messages().iter().map(|text| shape(text)).collect();
        assert_eq!(
            words[1..],
            ["running".to_owned(), messages[4].clone(), messages[5].clone(), shape(&messages[6])]
        );
        assert_eq!(second.init_us, 0);
    }
}

/// The text with numbers as `#` and request ids as `ID`.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for word in text.split_inclusive(' ') {
        let is_number = word.chars().any(|c| c.is_ascii_digit()) && !word.contains('"');
        let id = word.len() >= 36 && word.trim_end().len() == 36;
        let digits = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        match (id, is_number && digits.len() < word.len()) {
            (true, _) => shape += "ID ",
            (false, true) => shape += &format!("#{digits}"),
            (false, false) => shape += word,
        }
    }
    shape.trim_end().to_owned()
}

#[test]
fn a_record_says_how_the_run_went() {
    let server = Server::shared();
    server.deploy("recorded", &folder("hello").with("memory_mb", 256));
    let event = r#"{"key": "abctest", "n": 1.10,   "n": 1e400}"#;
    let run = server.invoke("recorded", event);
    assert_eq!(run.returned(), json!({ "hello": "abctest" }));
    let record = server.record(&run.request_id);
    let told = (
        record.namespace.as_str(),
        record.function.as_str(),
        record.qualifier.as_str(),
        record.source.as_str(),
    );
    assert_eq!(told, ("default", "recorded", "$LATEST", "rest"));
    assert_eq!((record.state.as_str(), record.status, record.error.as_str()), ("succeeded", 200, ""));
    assert_eq!(record.event.get(), event, "the event is kept as the bytes that came");
    assert_eq!(record.result.unwrap().get(), run.body);
    assert_eq!(record.memory_mb, 256);
    assert!(record.created_us <= record.started_us && record.started_us <= record.ended_us);
    assert!(record.duration_us > 0 && record.duration_us <= record.ended_us - record.created_us);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let (ms, mb) = (record.duration_us as f64 / 1000.0, record.memory_used_kb as f64 / 1024.0);
    assert!((run.duration_ms - ms).abs() < 0.1 && (run.memory_mb - mb).abs() < 0.1, "{run:?}");
    assert!((1.0..256.0).contains(&run.memory_mb), "{run:?}");
    let lines = server.get(&format!("/v1/logs?request_id={}", run.request_id));
    let lines: Vec<&Value> = lines["lines"].as_array().unwrap().iter().map(|line| &line["message"]).collect();
    assert_eq!(lines, record.log.iter().map(|line| &line.message).collect::<Vec<_>>());
}

#[test]
fn output_keeps_its_order_and_its_stream_and_survives_the_process() {
    let function = source(
        "
import os, signal, subprocess, sys

def main_handler(event, context):
    for number in range(100):
        print('out', number)
        print('err', number, file=sys.stderr)
    os.write(1, b'raw\\n')
    subprocess.run(['sh', '-c', 'echo child; echo child error >&2'])
    sys.stdout.write('no line end')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
",
    );
    for server in LEVELS.map(Server::at_level) {
        server.deploy("printing", &function);
        let run = server.invoke("printing", "{}");
        run.failed(439);
        let record = server.record(&run.request_id);
        for (stream, word, rest) in
            [("stdout", "out", vec!["raw", "child", "no line end"]), ("stderr", "err", vec!["child error"])]
        {
            let lines = record.log.iter().filter(|line| line.stream == stream);
            let lines: Vec<String> = lines.map(|line| line.message.clone()).collect();
            let expected =
                (0..100).map(|number| format!("{word} {number}")).chain(rest.into_iter().map(str::to_owned));
            assert_eq!(lines, expected.collect::<Vec<_>>());
        }
        let times: Vec<i64> = record.log.iter().map(|line| line.ts_us).collect();
        assert!(times.iter().all(|time| (record.created_us..=record.ended_us).contains(time)), "{record:?}");
    }
}

#[test]
fn a_flood_of_output_is_cut_where_the_contract_cuts_it_and_counted() {
    let server = Server::shared();
    let function = source("def main_handler(event, context):\n    for _ in range(event['lines']):\n        print(event['text'] * event['times'])\n").with("timeout_s", 20);
    server.deploy("flood", &function);
    let printed = |event: Value| {
        let run = server.invoke("flood", event.to_string());
        run.returned();
        let record = server.record(&run.request_id);
        let dropped = record.log.iter().find(|line| line.message.starts_with("[PLATFORM] "));
        (record.printed(), dropped.map(|line| line.message.clone()).unwrap_or_default())
    };
    let (lines, dropped) = printed(json!({ "lines": 2, "text": "é", "times": 10_000 }));
    assert_eq!((lines.len(), lines[0].len(), dropped.as_str()), (2, 8192, ""));
    let (lines, dropped) = printed(json!({ "lines": 5007, "text": "x", "times": 1 }));
    assert_eq!((lines.len(), &dropped[..26]), (5000, "[PLATFORM] 7 lines dropped"));
    let (lines, dropped) = printed(json!({ "lines": 300, "text": "x", "times": 8192 }));
    assert_eq!((lines.len(), &dropped[..28]), (128, "[PLATFORM] 172 lines dropped"));
}

#[test]
fn a_long_run_is_found_with_its_lines_while_it_runs() {
    let server = Server::shared();
    server.deploy("long", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.invoke("long", gate.event()));
        let held = gate.arrival();
        let page = server.get("/v1/invocations?function=long&status=running");
        assert_eq!(
            (&page["invocations"][0]["state"], &page["invocations"][0]["status"]),
            (&json!("running"), &json!(202))
        );
        let id = page["invocations"][0]["request_id"].as_str().unwrap().to_owned();
        wait::until("its first line is there", || (server.printed(&id) == ["at the gate"]).then_some(()));
        let record = server.record(&id);
        assert_eq!((record.state.as_str(), record.status, record.ended_us), ("running", 202, 0));
        assert!(record.result.is_none() && record.event.get() == gate.event());
        let lines = server.get(&format!("/v1/logs?function=long&request_id={id}"));
        assert!(lines.to_string().contains("at the gate"), "{lines}");
        drop(held);
        let run = call.join().unwrap();
        assert_eq!((run.request_id.as_str(), run.returned()), (id.as_str(), json!("passed")));
        let record = server.record(&id);
        assert_eq!((record.state.as_str(), record.status), ("succeeded", 200));
        let words: Vec<String> =
            record.messages().iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(words, ["START", "Init", "at", "Response", "END", "Report"]);
        let page = server.get("/v1/invocations?function=long&status=running");
        assert_eq!(page["invocations"], json!([]));
    });
}

#[test]
fn threads_children_and_pools_work_inside_a_run() {
    let function = source(
        "
import concurrent.futures, multiprocessing, subprocess, threading

def square(number):
    return number * number

def main_handler(event, context):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        threads = sum(pool.map(square, range(20)))
    with multiprocessing.Pool(2) as pool:
        processes = sum(pool.map(square, range(20)))
    return [threads, processes, subprocess.check_output(['echo', 'x'], text=True)]
",
    )
    .with("memory_mb", 256)
    .with("timeout_s", 20);
    assert_eq!(Server::shared().value_of("parallel", &function, "{}"), json!([2470, 2470, "x\n"]));
}
