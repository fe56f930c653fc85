//! Functions that keep a process for many events, because they ask for it, and those whose processes are never forked.

use serde_json::{Value, json};

use crate::function::{Function, source};
use crate::gate::Gate;
use crate::server::{Run, Server};
use crate::wait;

/// Counts the events of its process in `n` and does what `body` says.
fn counting(body: &str) -> Function {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    source(&format!(
        "import os, time, subprocess, threading\nn = 0\ndef main_handler(event, context):\n    global n\n    n += 1\n{body}"
    ))
}

fn reusing(body: &str) -> Function {
    counting(body).with("reuse", true)
}

/// Runs until one is a process's second event or later, and gives that. Who calls at once may be served by another process, as
/// the one that answered is put back only then.
fn again(server: &Server, name: &str) -> Value {
    wait::until("a process runs another event", || {
        let told = server.invoke(name, "{}").returned();
        (told["n"].as_u64().unwrap() > 1).then_some(told)
    })
}

#[test]
fn a_process_runs_many_events_where_that_is_asked_for_and_nowhere_else() {
    let server = Server::shared();
    server.deploy("reused", &reusing("return {'n': n}"));
    wait::until("a process runs its tenth event", || {
        (server.invoke("reused", "{}").returned()["n"].as_u64().unwrap() >= 10).then_some(())
    });
    server.deploy("never_reused", &counting("return {'n': n}"));
    for _ in 0..20 {
        assert_eq!(server.invoke("never_reused", "{}").returned(), json!({ "n": 1 }));
    }
    assert_eq!(server.get("/v1/functions/reused")["reuse"], true);
    assert_eq!(server.get("/v1/functions/never_reused")["reuse"], false);
}

const NODE: &str = "
const { spawn } = require('child_process');
const fs = require('fs');
let n = 0;
exports.main_handler = async (event, context) => {
  const found = [...fs.readdirSync('/tmp'), ...fs.readdirSync('/proc').filter((name) => Number(name) > 2)];
  fs.writeFileSync('/tmp/file', 'x');
  spawn('sleep', ['600'], { stdio: 'ignore', detached: true }).unref();
  setTimeout(() => console.log('never in time'), 600000);
  n += 1;
  console.log(context.request_id, n);
  return { n, found };
};";

#[test]
fn nodejs_runs_many_events_in_a_process_as_well() {
    let server = Server::shared();
    let function = source("").with("runtime", "Nodejs20.19").file("index.js", NODE).with("reuse", true);
    check_reused(server, "reused_nodejs", &function);
}

/// It finds nothing of the event before, and its log is its own.
fn check_reused(server: &Server, name: &str, function: &Function) {
    server.deploy(name, function);
    for _ in 0..5 {
        let told = again(server, name);
        assert_eq!(told["found"], json!([]), "{told}");
        let run = server.invoke(name, "{}");
        let n = run.returned()["n"].clone();
        assert_eq!(server.printed(&run.request_id), [format!("{} {n}", run.request_id)]);
    }
}

const PHP: &str = "<?php
$n = 0;
function main_handler($event, $context) {
    global $n;
    $found = array_merge(array_slice(scandir('/tmp'), 2), array_filter(scandir('/proc'), function ($name) { return (int) $name > 2; }));
    file_put_contents('/tmp/file', 'x');
    exec('sleep 600 > /dev/null 2>&1 &');
    $n += 1;
    echo \"$context->request_id $n\\n\";
    return ['n' => $n, 'found' => array_values($found)];
}";

#[test]
fn php_runs_many_events_in_a_process_as_well() {
    let server = Server::shared();
    let function = source("").with("runtime", "Php8.0").file("index.php", PHP).with("reuse", true);
    check_reused(server, "reused_php", &function);
}

#[test]
fn the_next_event_finds_no_file_and_no_process_of_the_last() {
    let body = "
found = os.listdir('/tmp') + os.listdir('/dev/shm') + [p for p in os.listdir('/proc') if p.isdigit() and int(p) > 2]
os.makedirs('/tmp/a/b/c')
for number in range(300):
    open('/tmp/a/b/file %d' % number, 'w').write('x')
os.symlink('/var/user/index.py', '/tmp/a/link')
os.chmod('/tmp/a/b', 0)
os.chmod('/tmp/a', 0o500)
open('/dev/shm/x', 'w').write('x')
subprocess.Popen(['sleep', '600'])
subprocess.Popen(['sh', '-c', 'setsid sleep 600 & exit'], stdin=subprocess.DEVNULL).wait()
return {'n': n, 'found': found, 'code': os.path.exists('/var/user/index.py')}";
    let server = Server::shared();
    server.deploy("reused_clean", &reusing(body));
    for _ in 0..3 {
        let told = again(server, "reused_clean");
        assert_eq!((&told["found"], &told["code"]), (&json!([]), &json!(true)), "{told}");
    }
}

#[test]
fn what_is_printed_between_two_events_is_in_nobodys_log() {
    let body = "
import socket
def go_on(n):
    socket.create_connection(('127.0.0.1', event['port'])).recv(1)
    print('late', n)
    socket.create_connection(('127.0.0.1', event['port'])).close()
print('mine', n)
threading.Thread(target=go_on, args=(n,), daemon=True).start()
return {'n': n}";
    let server = Server::shared();
    server.deploy("reused_late", &reusing(body));
    let gate = Gate::new();
    let mut most = 0;
    for _ in 0..20 {
        let run = server.invoke("reused_late", gate.event());
        let n = run.returned()["n"].as_u64().unwrap();
        most = most.max(n);
        // Its thread prints once it is let go here, after the run's end, and then comes again.
        drop(gate.arrival());
        drop(gate.arrival());
        assert_eq!(server.printed(&run.request_id), [format!("mine {n}")]);
    }
    assert!(most > 1);
}

#[test]
fn a_process_that_failed_runs_no_other_event() {
    let server = Server::shared();
    let endings = [("raise ValueError", 430), ("os._exit(3)", 439), ("time.sleep(60)", 433)];
    for (number, (failing, status)) in endings.into_iter().enumerate() {
        let name = format!("reused_failing_{number}x");
        let body = format!("if event.get('fail'):\n    {failing}\nreturn {{'n': n}}");
        server.deploy(&name, &reusing(&body).with("timeout_s", 1));
        for _ in 0..3 {
            let before = again(server, &name)["n"].as_u64().unwrap();
            server.invoke(&name, r#"{"fail":true}"#).failed(status);
            let after = server.invoke(&name, "{}").returned()["n"].as_u64().unwrap();
            // Which of the parked ones failed is not known; the one that did has not counted on.
            assert!(after <= before + 2, "{failing}: {before} {after}");
        }
    }
}

#[test]
fn a_process_is_replaced_after_a_thousand_events_and_when_its_memory_grows() {
    let server = Server::shared();
    server.deploy("reused_often", &reusing("return {'n': n}"));
    let counts: Vec<u64> =
        (0..1500).map(|_| server.invoke("reused_often", "{}").returned()["n"].as_u64().unwrap()).collect();
    let most = counts.iter().max().unwrap();
    assert!((100..=1000).contains(most), "{most}");

    let growing = "held.append(b'x' * (30 << 20))\nreturn {'n': n}";
    let function = reusing(growing);
    let function =
        function.clone().file("index.py", &function.text("index.py").replace("n = 0", "n, held = 0, []"));
    server.deploy("reused_growing", &function.with("memory_mb", 128));
    let counts: Vec<u64> =
        (0..20).map(|_| server.invoke("reused_growing", "{}").returned()["n"].as_u64().unwrap()).collect();
    let most = *counts.iter().max().unwrap();
    assert!((2..=4).contains(&most), "96 of 128 MB are reached with the third or fourth: {counts:?}");
}

#[test]
fn the_memory_of_a_run_is_its_own() {
    let server = Server::shared();
    let body = "if n == 1:\n    x = b'x' * (70 << 20)\n    del x\nreturn {'n': n}";
    server.deploy("reused_memory", &reusing(body));
    let first = server.invoke("reused_memory", "{}");
    assert!(first.memory_mb > 70.0, "{first:?}");
    let run: Run = wait::until("a process runs another event", || {
        let run = server.invoke("reused_memory", "{}");
        (run.returned()["n"] != 1).then_some(run)
    });
    assert!(run.memory_mb < 40.0, "{run:?}");
}

#[test]
fn a_process_that_says_what_nobody_asked_for_runs_no_other_event() {
    let server = Server::shared();
    let body = "threading.Thread(target=lambda: (time.sleep(0.01), os.write(3, b'R\\x01\\0\\0\\0' + bytes(4) + b'7')), daemon=True).start()\nreturn {'n': n}";
    server.deploy("reused_forging", &reusing(body));
    for _ in 0..50 {
        let told = server.invoke("reused_forging", "{}").returned();
        // An answer that came while the next event ran already is the function's own doing; it must never be ours to believe
        // what came before.
        assert!(told == json!(7) || told["n"].as_u64().is_some(), "{told}");
    }
}

#[test]
fn where_nothing_can_be_cleaned_each_run_has_a_fresh_process() {
    let server = Server::at_level(1);
    let deployed = server.deploy("reused_level", &reusing("return {'n': n}"));
    let notes = deployed["notes"].to_string();
    assert!(notes.contains("no process is reused here") && notes.contains("isolation level 3"), "{notes}");
    for _ in 0..10 {
        assert_eq!(server.invoke("reused_level", "{}").returned(), json!({ "n": 1 }));
    }
}

#[test]
fn reuse_is_refused_for_programs_that_load_themselves() {
    let function = source("").with("runtime", "CustomRuntime").with("handler", "x").with("reuse", true);
    let answer = Server::shared().call("PUT", "/v1/functions/reused_custom", function.body().as_bytes());
    assert_eq!(answer.status, 400);
    assert_eq!(answer.refusal(), "reuse is for functions in Python, Node.js and PHP, not for Custom Runtime");
}

#[test]
fn a_function_may_have_its_processes_started_one_by_one() {
    let server = Server::shared();
    server.deploy("spawned", &counting("return {'n': n}").with("spawn", true));
    for _ in 0..3 {
        assert_eq!(server.invoke("spawned", "{}").returned(), json!({ "n": 1 }));
    }
    let told = server.get("/v1/functions/spawned");
    assert_eq!(told["spawn"], true);
    assert!(told["notes"].to_string().contains("it is deployed with spawn"), "{told}");
    server.deploy("spawned_reused", &reusing("return {'n': n}").with("spawn", true));
    again(server, "spawned_reused");
}
