//! What hostile code tries against the server and the runs of others. Each test is named after a fault that was there.

use std::fs;
use std::net::TcpListener;
use std::thread;

use fnlite::base::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::function::{expression, source};
use crate::processes::{self, Process};
use crate::server::Server;
use crate::wait;

fn pid_of(process: Process) -> Pid {
    Pid::from_raw(process.pid.try_into().unwrap()).unwrap()
}

/// A module that takes its zygote over: it says that it is ready, and answers each order with a handle of the server, which
/// any socket of the server's gives it (SO_PEERPIDFD, Linux 6.5), as the process to be killed when the run is over.
const IMPOSTOR: &str = "
import array, os, socket, struct

def rights(*fds):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))]

control = socket.socket(fileno=3)
control.send(b'{\"kind\":\"Z\",\"text\":\"\",\"load_us\":1}')
while True:
    order, passed, _, _ = control.recvmsg(64, 1024)
    if not order:
        os._exit(0)
    fds = [fd for _, _, data in passed for fd in array.array('i', data)]
    if order[:1] != b'N':
        continue
    event = socket.socket(fileno=fds[0])
    try:
        server = struct.unpack('i', event.getsockopt(socket.SOL_SOCKET, 77, 4))[0]
    except OSError:
        server = os.pidfd_open(os.getpid())
    event.sendmsg([b'P'], rights(server, os.pidfd_open(os.getpid())))
    if os.fork() == 0:
        head = struct.unpack('<II', event.recv(8))
        event.recv(sum(head))
        event.send(b'R' + struct.pack('<II', 4, 0) + b'null')
        os.read(fds[0], 1)
        os._exit(0)
";

#[test]
fn the_server_kills_no_process_that_a_function_names_to_it() {
    for level in [4, 3, 1] {
        let server = Server::start(&["--isolation-max", &level.to_string()]);
        server.deploy("impostor", &source(IMPOSTOR));
        server.deploy("honest", &expression("event"));
        for _ in 0..3 {
            server.invoke("impostor", "{}");
            assert_eq!(server.invoke("honest", "5").returned(), 5, "level {level}");
        }
        let (status, place) = server.stop();
        assert!(status.success(), "level {level}: {status:?} {}", place.said());
    }
}

/// Gives the server a socket to close whose peer never reads, so that closing it would wait for 20 s; the flood before it
/// keeps the server from taking it while the function still has it, too.
const LINGERER: &str = r"
import array, os, socket, struct, time

def main_handler(event, context):
    lingers = socket.create_connection(('127.0.0.1', event))
    lingers.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 20))
    lingers.setblocking(False)
    try:
        while True:
            lingers.send(bytes(65536))
    except BlockingIOError:
        pass
    os.write(1, b'\n' * 60000)
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [lingers.fileno()]))]
    event_socket = socket.socket(fileno=3)
    event_socket.sendmsg([b'R'], passed)
    os.close(lingers.detach())
    time.sleep(60)
";

#[test]
fn a_socket_that_lingers_holds_no_run_beyond_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for level in [3, 2] {
        let server = Server::at_level(level);
        server.deploy("lingerer", &source(LINGERER).with("timeout_s", 1));
        let began = SystemClock.now();
        server.invoke("lingerer", &port).failed(433);
        let took = SystemClock.now() - began;
        assert!(took.as_secs() < 10, "level {level}: {took:?}");
        drop(listener.accept().unwrap());
    }
}

#[test]
fn memory_of_a_process_that_lost_its_parent_counts() {
    let function = source(
        "
import os, time

def main_handler(event, context):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            held = bytearray(200 << 20)
            time.sleep(60)
        os._exit(0)
    os.wait()
    time.sleep(60)
",
    )
    .with("timeout_s", 20);
    for level in 1..=4 {
        let server = Server::at_level(level);
        server.deploy("orphan", &function);
        server.invoke("orphan", "{}").failed(434);
    }
}

#[test]
fn what_is_no_json_is_no_answer() {
    let function = source(
        "
import os, struct, time

def main_handler(event, context):
    answer = bytes.fromhex(event)
    os.write(3, b'R' + struct.pack('<II', len(answer), 0) + answer)
    time.sleep(60)
",
    );
    let server = Server::shared();
    server.deploy("no-answer", &function);
    for bytes in ["", "7d7b", "22ff22", "5b315d52"] {
        let run = server.invoke("no-answer", json!(bytes).to_string());
        let error = run.failed(430);
        assert!(error.stack_trace.starts_with("the function's answer is not JSON"), "{}", error.stack_trace);
        server.record(&run.request_id);
    }
    assert_eq!(server.invoke("no-answer", json!("5b315d").to_string()).returned(), json!([1]));
}

#[test]
fn memory_that_a_run_cannot_have_had_is_not_believed() {
    let function = source(
        "
import os, struct, time

def main_handler(event, context):
    os.write(3, b'R' + struct.pack('<II', 4, event) + b'null')
    time.sleep(60)
",
    );
    let server = Server::shared();
    server.deploy("memory-told", &function);
    let kept_kb = |told_kb: u32| {
        let run = server.invoke("memory-told", told_kb.to_string());
        assert_eq!(run.returned(), json!(null));
        server.record(&run.request_id).memory_used_kb
    };
    for told_kb in [0, 128 * 1024 + 1, u32::MAX] {
        assert!((2000..128 * 1024).contains(&kept_kb(told_kb)), "{told_kb}");
    }
    assert_eq!(kept_kb(128 * 1024), 128 * 1024, "it is its own word");
}

#[test]
fn code_that_speaks_to_the_server_while_it_loads_is_at_fault_itself() {
    let server = Server::shared();
    for (name, said) in [
        ("garbage", "b'garbage'"),
        ("no-kind", r#"b'{"kind":"?","text":""}'"#),
        ("value", r#"b'{"kind":"R","text":"1"}'"#),
    ] {
        let text = format!("import os\nos.write(3, {said})\ndef main_handler(event, context): pass\n");
        server.deploy(name, &source(&text));
        let error = server.invoke(name, "{}").failed(430);
        assert_eq!(error.stack_trace, "the function wrote to the platform's control socket", "{name}");
    }
}

#[test]
fn a_zygote_that_does_not_answer_is_replaced() {
    for level in [1, 3] {
        let server = Server::at_level(level);
        let name = format!("stopped-{level}-{}", std::process::id());
        server.deploy(&name, &expression("1").with("timeout_s", 1));
        server.invoke(&name, "{}").returned();
        let zygote = wait::until("a zygote", || processes::zygote_of(&name));
        kill_process(pid_of(zygote), Signal::STOP).unwrap();
        // What was parked still runs; then one is asked for that does not come.
        let mut statuses =
            (0..12).map(|_| server.invoke(&name, "{}").status).skip_while(|status| *status == 200);
        assert_eq!(statuses.next(), Some(433), "level {level}");
        assert_eq!(statuses.find(|status| *status != 433), Some(200), "level {level}");
        wait::until("what was stopped is gone", || (!zygote.is_alive()).then_some(()));
    }
}

#[test]
fn a_zygote_that_is_killed_costs_no_run() {
    let server = Server::start(&[]);
    let name = format!("killed-{}", std::process::id());
    server.deploy(&name, &expression("1"));
    thread::scope(|threads| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    let mut caller = server.caller();
                    (0..150)
                        .map(|_| caller.invoke(&name, "{}").status)
                        .filter(|status| *status == 500)
                        .count()
                })
            })
            .collect();
        let is_busy = || callers.iter().any(|caller| !caller.is_finished());
        while is_busy() {
            if let Some(zygote) = processes::zygote_of(&name) {
                // It may be gone already.
                let _ = kill_process(pid_of(zygote), Signal::KILL);
            }
            wait::within(std::time::Duration::from_millis(50), || (!is_busy()).then_some(()));
        }
        let failed: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        assert_eq!(failed, 0, "{}", server.place().said());
    });
}

#[test]
fn loading_sees_no_more_of_the_host_than_running_does() {
    for level in [2, 3] {
        let server = Server::at_level(level);
        let open = server.place().file("open.txt");
        fs::write(&open, "for everybody").unwrap();
        let function = source(&format!(
            "
def look():
    try:
        return open({:?}).read()
    except OSError:
        return 'refused'

FOUND = look()

def main_handler(event, context):
    return [FOUND, look()]
",
            open.to_str().unwrap()
        ));
        assert_eq!(server.value_of("look", &function, "{}"), json!(["refused", "refused"]), "level {level}");
    }
}
