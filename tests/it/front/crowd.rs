//! Many at once.

use std::sync::Barrier;

use fnlite::http::limits::Options;

use crate::echo::Front;
use crate::front::get;
use crate::function::expression;
use crate::processes;
use crate::raw::Raw;
use crate::server::{Place, Server};
use crate::wait;

#[test]
fn clients_that_open_at_once_are_all_answered() {
    const CLIENTS: usize = 256;
    let (front, start) = (Front::start(), Barrier::new(CLIENTS));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                start.wait();
                let mut client = front.connect();
                for _ in 0..4 {
                    assert_eq!(client.send(get("/")).answer().status, 200);
                }
            });
        }
    });
}

#[test]
fn idle_connections_keep_no_request_waiting() {
    let front = Front::with(Options { workers: 2, ..Options::default() });
    let mut clients: Vec<_> = (0..200).map(|_| front.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.send(get("/")).answer().status, 200, "with those before it idle");
    }
    for client in clients.iter_mut().rev() {
        assert_eq!(client.send(get("/")).answer().status, 200, "from idle");
    }
}

#[test]
fn long_requests_are_few_and_leave_the_workers_alone() {
    let front = Front::with(Options { workers: 1, long_polls: 2, ..Options::default() });
    let mut polls = [front.connect(), front.connect()];
    for poll in &mut polls {
        poll.send(get("/poll"));
    }
    front.wait_for_running(2);
    for target in ["/poll", "/stream?1"] {
        let answer = front.connect().send(get(target)).answer();
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{target}");
    }
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
    front.echo.gate.open();
    for poll in &mut polls {
        assert_eq!(poll.answer().text(), "passed\n");
        assert_eq!(poll.send(get("/")).answer().status, 200, "the connection goes on");
    }
}

#[test]
fn requests_beyond_the_queue_are_told_to_come_back() {
    let front = Front::with(Options { workers: 1, queue: 1, ..Options::default() });
    let mut running = front.connect();
    running.send(get("/gate"));
    front.wait_for_running(1);
    let (status_to, statuses) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for mut client in (0..10).map(|_| front.connect()) {
            let status_to = status_to.clone();
            scope.spawn(move || {
                let status = client.send(get("/gate")).answer().status;
                status_to.send(status).unwrap();
                client.send(get("/")).answer();
            });
        }
        let refused: Vec<u16> = statuses.iter().take(9).collect();
        assert_eq!(refused, [503; 9], "one waits, the others are turned away");
        front.echo.gate.open();
        assert_eq!(statuses.recv(), Ok(200));
    });
    assert_eq!(running.answer().status, 200);
}

#[test]
fn a_full_house_closes_the_longest_idle() {
    let front = Front::with(Options { connections_max: 3, ..Options::default() });
    let mut clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = front.connect();
            assert_eq!(client.send(get("/")).answer().status, 200);
            client
        })
        .collect();
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
    assert!(clients[0].is_closed());
    assert_eq!(clients[2].send(get("/")).answer().status, 200);
}

/// Heads that never end must not be able to fill the house: the one that has been at it for longest makes room.
#[test]
fn a_house_full_of_unfinished_heads_lets_the_next_one_in() {
    let front = Front::with(Options { connections_max: 3, ..Options::default() });
    // Each has been let in before the first head begins, or a later one could be read on arrival and be the oldest.
    let mut slow: Vec<_> = (0..3)
        .map(|_| {
            let mut client = front.connect();
            assert_eq!(client.send(get("/")).answer().status, 200);
            client
        })
        .collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\n");
    }
    let mut next = front.connect();
    for _ in 0..10 {
        assert_eq!(next.send(get("/")).answer().status, 200);
    }
    assert!(slow[0].is_closed());
    assert_eq!(slow[2].send("Host: h\r\n\r\n").answer().status, 200, "the newest has not lost its place");
}

/// What 10,000 clients cost that only stay: no thread, and of memory what the kernel and a small record take.
#[test]
fn ten_thousand_idle_connections_are_cheap() {
    let files = processes::raise_open_files();
    let clients_max = 10_000.min(files / 2 - 100);
    if clients_max < 9_000 {
        eprintln!("SKIPPED in part: {files} open files are allowed here, so there are {clients_max} clients");
    }
    let server = Server::start(&["--connections-max", "11000", "--idle-timeout", "10m"]);
    let mut caller = server.caller();
    assert_eq!(caller.call("GET", "/healthz", b"").status, 200);
    // Its start leaves a thread behind for what can wait.
    wait::until("it has settled", || {
        (!processes::threads(server.pid()).iter().any(|name| name == "settle")).then_some(())
    });
    let figure = |name| processes::status_figure(server.pid(), name);
    let (memory_kb, threads) = (figure("VmRSS"), figure("Threads"));
    let mut clients: Vec<_> = (0..clients_max).map(|_| Raw::connect(server.address())).collect();
    for client in clients.iter_mut().step_by(100) {
        assert_eq!(client.send(get("/healthz")).answer().status, 200);
    }
    wait::until("all are accepted", || {
        (processes::open_descriptors(server.pid()).len() as u64 > clients_max).then_some(())
    });
    assert_eq!(caller.call("GET", "/healthz", b"").status, 200);
    let more_kb = figure("VmRSS").saturating_sub(memory_kb);
    eprintln!("{clients_max} idle connections: {more_kb} KiB more memory, {threads} threads");
    assert!(more_kb < 64 * 1024, "{more_kb} KiB more");
    assert_eq!(figure("Threads"), threads);
}

/// Clients who only connect cannot take the descriptors that runs need, nor the place of the next client.
#[test]
fn idle_connections_leave_descriptors_for_runs() {
    let server = Place::new().serve_by(&["prlimit", "--nofile=200:200"], &[]);
    server.deploy("echo", &expression("event"));
    let _held: Vec<_> = (0..400).map(|_| Raw::connect(server.address())).collect();
    for number in 0..10 {
        assert_eq!(server.invoke("echo", number.to_string()).returned(), number);
    }
    assert!(!server.place().said().contains("no connection can be accepted"), "{}", server.place().said());
}
