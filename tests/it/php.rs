//! What is PHP's own: objects, output, endings, state that forks copy, what the host's configuration lends.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::function::{Function, source};
use crate::server::{Run, Server};
use crate::wait;

const LEVELS: [usize; 4] = [1, 2, 3, 5];

/// A function whose `index.php` is this text.
fn php(text: &str) -> Function {
    source("").with("runtime", "Php8.0").file("index.php", &format!("<?php\n{text}"))
}

/// A function whose handler does this.
fn body(text: &str) -> Function {
    php(&format!("function main_handler($event, $context) {{\n{text}\n}}"))
}

fn run(server: &Server, name: &str, function: &Function, event: &str) -> Run {
    server.deploy(name, function);
    server.invoke(name, event)
}

/// What it returns at once, and what it has printed.
fn told(name: &str, function: &Function) -> (Value, Vec<String>) {
    let server = Server::shared();
    let run = run(server, name, function, "{}");
    (run.returned(), server.printed(&run.request_id))
}

#[test]
fn event_and_context_are_objects_and_lists_are_arrays() {
    let server = Server::shared();
    let function = body("return [get_debug_type($event), get_debug_type($context), $event];");
    server.deploy("php_types", &function);
    for (event, kind) in [
        (r#"{"a": {"b": [1, {}]}}"#, "stdClass"),
        ("[]", "array"),
        ("\"x/é\"", "string"),
        ("5", "int"),
        ("1.0", "float"),
        ("9223372036854775807", "int"),
        ("null", "null"),
    ] {
        let run = server.invoke("php_types", event);
        let expected: Value = serde_json::from_str(event).unwrap();
        assert_eq!(run.returned(), json!([kind, "stdClass", expected]));
    }
    let run = server.invoke("php_types", "[1.0,\"/é\u{2028}\",{},{\"\":[]}]");
    assert_eq!(
        run.body, "[\"array\",\"stdClass\",[1.0,\"/é\u{2028}\",{},{\"\":[]}]]",
        "nothing is escaped or lost"
    );
}

#[test]
fn a_handler_takes_as_many_parameters_as_it_likes() {
    for (number, taken) in ["", "$event", "$event, $context", "...$all"].iter().enumerate() {
        let text = format!("function main_handler({taken}) {{ return func_num_args() ? 1 : 0; }}");
        let function = php(&text);
        assert_eq!(told(&format!("php_taking_{number}x"), &function).0, 1, "{taken}");
    }
}

#[test]
fn variables_of_the_file_are_global_and_there_are_none_of_ours() {
    let text = "$greeting = 'hello';
        function main_handler($event, $context) {
            global $greeting;
            $usual = ['_GET', '_POST', '_COOKIE', '_FILES', '_SERVER', '_ENV', '_REQUEST', 'argv', 'argc', 'greeting'];
            return [$greeting, array_diff(array_keys($GLOBALS), $usual), get_defined_functions()['user'],
                $GLOBALS['argv'], $_SERVER['argv'], getcwd(), __FILE__, $_SERVER['SCRIPT_FILENAME']];
        }";
    let expected = json!([
        "hello",
        [],
        ["main_handler"],
        [""],
        [""],
        "/var/user",
        "/var/user/index.php",
        "/var/user/index.php"
    ]);
    assert_eq!(told("php_global", &php(text)).0, expected);
}

#[test]
fn files_of_the_package_are_found_as_composer_would_find_them() {
    let autoload = "<?php spl_autoload_register(function ($name) { require __DIR__ . \"/$name.php\"; });";
    let function = php(
        "require 'vendor/autoload.php';
        require_once __DIR__ . '/lib.php';
        function main_handler($event, $context) { include 'late.php'; return [Greeting::of('x'), lib(), $late]; }",
    )
    .file("vendor/autoload.php", autoload)
    .file("vendor/Greeting.php", "<?php class Greeting { static function of($x) { return \"hello $x\"; } }")
    .file("lib.php", "<?php function lib() { return 'lib'; }")
    .file("late.php", "<?php $late = 'late';");
    for server in LEVELS.map(Server::at_level) {
        assert_eq!(run(server, "php_files", &function, "{}").returned(), json!(["hello x", "lib", "late"]));
    }
}

#[test]
fn output_is_kept_in_order_and_buffers_that_were_left_open_are_flushed() {
    let function = body(
        "echo \"one\\n\"; print(\"two\\n\"); var_dump(3); printf(\"%s\\n\", 'four');
        ob_start(); echo \"five\\n\"; ob_start(fn($text) => strtoupper($text)); echo \"six\\n\"; return null;",
    );
    assert_eq!(told("php_order", &function).1, ["one", "two", "int(3)", "four", "five", "SIX"]);
    let failing = body("ob_start(); echo \"held\\n\"; throw new Exception('x');");
    let server = Server::shared();
    let run = run(server, "php_held", &failing, "{}");
    run.failed(430);
    assert_eq!(server.printed(&run.request_id)[0], "held");
}

#[test]
fn warnings_and_notes_are_in_the_log_and_the_run_goes_on() {
    let function = body("error_log('noted'); $x = [1]; return [$x[5], @$x[6], hex2bin('0')];");
    let (value, printed) = told("php_warnings", &function);
    assert_eq!(value, json!([null, null, false]));
    let place = "in /var/user/index.php on line 3";
    let expected = [
        "noted".to_owned(),
        format!("PHP Warning:  Undefined array key 5 {place}"),
        format!("PHP Warning:  hex2bin(): Hexadecimal input string must have an even length {place}"),
    ];
    assert_eq!(printed, expected);
}

#[test]
fn die_says_its_words_and_its_status_is_the_runs() {
    let server = Server::shared();
    let loading = "register_shutdown_function(function () { echo \"after\\n\"; });\n";
    for (number, (text, code, printed)) in
        [("die('bye');", 0, vec!["bye"]), ("exit(3);", 3, vec![]), ("exit(300);", 44, vec![])]
            .into_iter()
            .enumerate()
    {
        for spawn in [false, true] {
            let name = format!("php_dying_{number}_{spawn}x");
            let run = run(server, &name, &body(text).with("spawn", spawn), "{}");
            assert_eq!(run.failed(439).error_message, format!("{code} code exit unexpected"));
            assert_eq!(server.printed(&run.request_id), printed);
            // The same while it is loaded.
            let early = php(&format!("{text}\nfunction main_handler($e, $c) {{ return 1; }}"));
            server.deploy(&name, &early.with("spawn", spawn));
            let run = server.invoke(&name, "{}");
            assert_eq!(
                run.failed(439).error_message,
                format!("{code} code exit unexpected"),
                "{text} {spawn}"
            );
        }
    }
    let run = run(server, "php_after", &body(&format!("{loading}echo \"before\\n\"; exit(1);")), "{}");
    run.failed(439);
    assert_eq!(server.printed(&run.request_id), ["before", "after"]);
}

#[test]
fn what_ends_a_script_is_a_failed_run_and_says_where() {
    let server = Server::shared();
    let endings = [
        ("require 'nowhere.php';", "PHP Fatal error:  Uncaught Error: Failed opening required 'nowhere.php'"),
        ("trigger_error('mine', E_USER_ERROR);", "PHP Fatal error:  mine in /var/user/index.php on line"),
        (
            "nothing();",
            "PHP Fatal error:  Uncaught Error: Call to undefined function nothing() in /var/user/index.php:",
        ),
        (
            "eval('class A { abstract function f(); }');",
            "PHP Fatal error:  Class A contains 1 abstract method",
        ),
        ("eval('}');", "PHP Parse error:  Unmatched '}' in /var/user/index.php"),
    ];
    for (number, (text, begin)) in endings.into_iter().enumerate() {
        let begin = if number == 0 { "PHP Fatal error:  " } else { begin };
        for spawn in [false, true] {
            for early in [false, true] {
                let name = format!("php_fatal_{number}_{spawn}_{early}x");
                let handler = "function main_handler($e, $c) { return 1; }";
                let function = if early { php(&format!("{text}\n{handler}")) } else { body(text) };
                let run = run(server, &name, &function.with("spawn", spawn), "{}");
                let trace = run.failed(430).stack_trace;
                assert!(trace.starts_with(begin), "{name}: {trace}");
                assert!(trace.contains("/var/user/index.php"), "{name}: {trace}");
                assert!(!trace.contains("bootstrap"), "{name}: {trace}");
            }
        }
    }
}

#[test]
fn a_trace_is_phps_own_without_our_frames() {
    let text = "class Mine extends Exception {}
function inner() { throw new Mine('outer', 1, new LogicException('first')); }
function main_handler($event, $context) { inner(); }";
    let expected = "PHP Fatal error:  Uncaught LogicException: first in /var/user/index.php:3
Stack trace:
#0 /var/user/index.php(4): inner()
#1 [internal function]: main_handler(Object(stdClass), Object(stdClass))
#2 {main}

Next Mine: outer in /var/user/index.php:3
Stack trace:
#0 /var/user/index.php(4): inner()
#1 [internal function]: main_handler(Object(stdClass), Object(stdClass))
#2 {main}
  thrown in /var/user/index.php on line 3";
    for server in LEVELS.map(Server::at_level) {
        assert_eq!(run(server, "php_trace", &php(text), "{}").failed(430).stack_trace, expected);
    }
}

#[test]
fn what_is_no_json_is_a_failed_run() {
    let server = Server::shared();
    let values = [
        ("NAN", "Inf and NaN cannot be JSON encoded"),
        ("INF", "Inf and NaN cannot be JSON encoded"),
        ("\"\\xff\"", "Malformed UTF-8 characters, possibly incorrectly encoded"),
        ("STDIN", "Type is not supported"),
        ("(function () { $x = new stdClass; $x->x = $x; return $x; })()", "Recursion detected"),
    ];
    for (number, (value, message)) in values.into_iter().enumerate() {
        let run = run(server, &format!("php_json_{number}x"), &body(&format!("return {value};")), "{}");
        let expected = format!("PHP Fatal error:  Uncaught JsonException: {message}");
        assert_eq!(run.failed(430).stack_trace, expected, "{value}");
    }
}

#[test]
fn more_memory_than_the_function_has_is_told_as_that() {
    let all_at_once = body("return strlen(str_repeat('x', 1 << 30));");
    let little_by_little = body("$all = []; while (true) { $all[] = str_repeat('x', 1 << 16); }");
    let own_limit = body("ini_set('memory_limit', '8M'); return strlen(str_repeat('x', 32 << 20));");
    let told = run(Server::shared(), "php_refused", &all_at_once, "{}").failed(434).stack_trace;
    // What it tried to allocate is a little more, by version.
    let begin = "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 10737";
    assert!(told.starts_with(begin) && told.ends_with("in /var/user/index.php on line 3"), "{told}");
    for server in [1, 5].map(Server::at_level) {
        for (name, function) in
            [("php_at_once", &all_at_once), ("php_little", &little_by_little), ("php_own_limit", &own_limit)]
        {
            let run = run(server, name, &function.clone().with("memory_mb", 64), "{}");
            assert_eq!(run.failed(434).error_message, "Task memory exceeded 64 MB", "{name}");
        }
    }
}

#[test]
fn random_numbers_never_repeat_between_runs() {
    let function =
        php("$drawn = [mt_rand(), rand(), lcg_value(), uniqid('', true), openssl_random_pseudo_bytes(8)];
        function main_handler($event, $context) {
            $file = tempnam('/tmp', 'x');
            unlink($file);
            return [mt_rand(), rand(), lcg_value(), uniqid('', true), bin2hex(random_bytes(8)),
                str_shuffle(implode(range(1, 99))),
                bin2hex(openssl_random_pseudo_bytes(8)), $file];
        }");
    for server in [1, 5].map(Server::at_level) {
        server.deploy("php_random", &function);
        let runs: Vec<Value> = (0..20).map(|_| server.invoke("php_random", "{}").returned()).collect();
        for column in 0..8 {
            let seen: BTreeSet<String> = runs.iter().map(|run| run[column].to_string()).collect();
            assert_eq!(seen.len(), runs.len(), "column {column}: {seen:?}");
        }
    }
}

/// A function that tells whether its process is a fork: what it counts at load stays the zygote's own number.
fn is_forked(server: &Server, name: &str, loading: &str) -> bool {
    let text = format!(
        "{loading}
        $loaded_by = getmypid();
        function main_handler($event, $context) {{ return $GLOBALS['loaded_by'] !== getmypid(); }}"
    );
    run(server, name, &php(&text), "{}").returned().as_bool().unwrap()
}

#[test]
fn code_that_a_fork_would_not_copy_is_loaded_for_each_process() {
    let not_forked = [
        ("php_file", "$file = fopen(__FILE__, 'r');", "a file was opened"),
        (
            "php_socket",
            "$pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);",
            "a socket was opened",
        ),
        ("php_written", "file_put_contents(sys_get_temp_dir() . '/x', 'x');", "a file was written to /tmp"),
        ("php_alarm", "pcntl_alarm(600);", "a timer was started"),
        ("php_child", "$child = proc_open(['sleep', '600'], [], $pipes);", "a child process was started"),
        ("php_shared", "$shared = shmop_open(1, 'c', 0600, 100);", "shared memory was made"),
        ("php_tmp", "sys_get_temp_dir();", "the temporary folder was looked up"),
    ];
    for level in [1, 5] {
        let server = Server::at_level(level);
        // Below, there is no SysV IPC of its own: the segment would stay on the host. Above, /tmp is.
        let elsewhere = if level == 1 { "php_shared" } else { "php_tmp" };
        for (name, loading, reason) in not_forked.iter().filter(|(name, ..)| *name != elsewhere) {
            assert!(!is_forked(server, name, loading), "{name} at level {level}");
            let told = server.get(&format!("/v1/functions/{name}")).to_string();
            assert!(told.contains(&format!("{reason} at import")), "{name} at level {level}: {told}");
        }
        for (name, loading) in [
            ("php_plain", "set_time_limit(30); $x = new DateTime; date_default_timezone_set('UTC');"),
            ("php_strict", "set_error_handler(function ($n, $text) { throw new ErrorException($text); });"),
        ] {
            assert!(is_forked(server, name, loading), "{name} at level {level}");
        }
    }
}

#[test]
fn each_run_has_a_folder_for_temporary_files_of_its_own() {
    let function = body(
        "$name = tempnam(sys_get_temp_dir(), 'x'); file_put_contents($name, 'x');
        return [count(glob(sys_get_temp_dir() . '/*')), fwrite(tmpfile(), 'x')];",
    );
    for server in LEVELS.map(Server::at_level) {
        server.deploy("php_temporary", &function);
        for _ in 0..3 {
            assert_eq!(server.invoke("php_temporary", "{}").returned(), json!([1, 1]));
        }
    }
}

#[test]
fn extensions_of_the_hosts_configuration_are_there_and_the_packages_own_settings_hold() {
    let function =
        body("return [extension_loaded('pdo'), extension_loaded('tokenizer'), ini_get('precision')];")
            .file("php_extension/own.ini", "precision = 5\n");
    for server in [1, 5].map(Server::at_level) {
        assert_eq!(run(server, "php_extensions", &function, "{}").returned(), json!([true, true, "5"]));
    }
}

#[test]
fn a_process_that_is_reused_counts_on_and_starts_clean() {
    let server = Server::shared();
    let text = "$n = 0;
        function main_handler($event, $context) {
            global $n;
            if (!empty($event->fail)) { nothing(); }
            if (!empty($event->fatal)) { trigger_error('fatal', E_USER_ERROR); }
            $left = count(glob('/tmp/*'));
            touch('/tmp/x');
            return ['n' => ++$n, 'left' => $left];
        }";
    server.deploy("php_reused", &php(text).with("reuse", true));
    for event in ["{}", r#"{"fail": true}"#, r#"{"fatal": true}"#] {
        let failed = server.invoke("php_reused", event).status;
        assert_eq!(failed, if event == "{}" { 200 } else { 430 });
        wait::until("a process runs another event", || {
            let told = server.invoke("php_reused", "{}").returned();
            assert_eq!(told["left"], 0);
            (told["n"].as_u64().unwrap() > 1).then_some(())
        });
    }
}

#[test]
fn an_ending_by_a_signal_is_told() {
    for (number, signal) in [("SIGTERM", 143), ("SIGSEGV", 139), ("SIGABRT", 134)].into_iter().enumerate() {
        let function = body(&format!("posix_kill(getmypid(), {}); sleep(600);", signal.0));
        for server in [1, 5].map(Server::at_level) {
            let run = run(server, &format!("php_signal_{number}x"), &function, "{}");
            assert_eq!(run.failed(439).error_message, format!("{} code exit unexpected", signal.1));
        }
    }
}

#[test]
fn whoever_the_code_forks_answers_for_nobody() {
    let text = "if (!pcntl_fork()) { exit(5); }
        pcntl_wait($status);
        function main_handler($event, $context) {
            foreach (['return', 'exit', 'fatal', 'parent'] as $what) {
                if ($what === 'parent' || !pcntl_fork()) { break; }
                pcntl_wait($status);
            }
            if ($what === 'exit') { exit(3); }
            if ($what === 'fatal') { trigger_error('fatal', E_USER_ERROR); }
            return $what;
        }";
    for server in [1, 5].map(Server::at_level) {
        for spawn in [false, true] {
            let function = php(text).with("spawn", spawn);
            assert_eq!(run(server, &format!("php_forking_{spawn}x"), &function, "{}").returned(), "parent");
        }
    }
}
