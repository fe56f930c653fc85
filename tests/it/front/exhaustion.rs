//! When the host has nothing left, and what clients try to use up. Each in a process of its own, because limits and memory
//! are the process's.

use std::net::TcpStream;
use std::time::Duration;

use fnlite::http::limits::Options;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rusty_fork::rusty_fork_test;

use crate::echo::Front;
use crate::front::get;
use crate::processes;
use crate::raw::Raw;

/// Allows that many of something from now on, without giving up the right to more.
fn allow(resource: Resource, count: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: Some(count), maximum }).unwrap();
}

/// The most memory this process ever had.
fn peak_kb() -> u64 {
    processes::status_figure(std::process::id(), "VmHWM")
}

fn threads() -> u64 {
    processes::status_figure(std::process::id(), "Threads")
}

/// Sends a piece again and again until the server refuses it or `sent_max` bytes have gone.
fn flood(front: &Front, start: &str, piece: &str, sent_max: usize) -> u16 {
    let mut client = front.connect();
    client.send(start);
    let piece = piece.repeat(64 * 1024 / piece.len());
    let mut sent = 0;
    while sent < sent_max && !client.send(&piece).is_refused() {
        sent += piece.len();
    }
    client.answer().status
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60_000)]

    #[test]
    fn running_out_of_descriptors_passes() {
        let front = Front::start();
        let mut before = front.connect();
        assert_eq!(before.send(get("/")).answer().status, 200);
        allow(Resource::Nofile, 60);
        let mut held = Vec::new();
        while let Ok(stream) = TcpStream::connect(front.address) {
            held.push(stream);
        }
        assert!(held.len() > 5, "the process ran out while clients still came");
        drop(held);
        for _ in 0..20 {
            assert_eq!(front.connect().send(get("/")).answer().status, 200);
        }
    }

    #[test]
    fn the_limit_of_open_files_is_raised_at_the_start() {
        allow(Resource::Nofile, 50);
        let _front = Front::start();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    /// Long answers need a thread each. Where none can be had they are turned away, and everything else goes on.
    #[test]
    fn running_out_of_threads_passes() {
        // The limit does not count for root. The threads started from here on are another user's.
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(0x7fff_0000);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        let front = Front::with(Options { workers: 2, ..Options::default() });
        assert_eq!(front.connect().send(get("/stream?1")).answer().status, 200);
        let before = getrlimit(Resource::Nproc);
        allow(Resource::Nproc, 1);
        for _ in 0..10 {
            for target in ["/stream?1", "/poll"] {
                let answer = front.connect().send(get(target)).answer();
                assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{target}");
            }
            assert_eq!(front.connect().send(get("/")).answer().status, 200);
        }
        setrlimit(Resource::Nproc, before).unwrap();
        assert_eq!(front.connect().send(get("/stream?1")).answer().status, 200);
    }

    #[test]
    fn requests_of_another_version_leave_nothing_behind() {
        let front = Front::start();
        let descriptors = || processes::open_descriptors(std::process::id()).len();
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
        crate::wait::until("the first has gone", || (descriptors() < 50).then_some(()));
        let before = (threads(), descriptors());
        for _ in 0..200 {
            let mut client = front.connect();
            assert_eq!(client.send("GET / HTTP/2.0\r\nHost: h\r\n\r\n").answer().status, 505);
        }
        crate::wait::until("all have gone", || (threads() <= before.0 && descriptors() <= before.1).then_some(()));
    }

    #[test]
    fn heads_without_end_cost_no_memory() {
        let front = Front::with(Options { linger_timeout: Duration::from_millis(500), ..Options::default() });
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
        let before_kb = peak_kb();
        let request = "GET / HTTP/1.1\r\nHost: h\r\n";
        assert_eq!(flood(&front, &format!("{request}X: "), "y", 200 << 20), 431, "one line of 200 MB");
        assert_eq!(flood(&front, request, "X: y\r\n", 7_000_000), 431, "a million lines");
        assert_eq!(flood(&front, "GET /", "y", 30 << 20), 414, "a target");
        assert_eq!(flood(&front, "", "\r\n", 30 << 20), 431, "empty lines before the request");
        let more_kb = peak_kb() - before_kb;
        assert!(more_kb < 8 * 1024, "{more_kb} KiB more");
    }

    #[test]
    fn pipelining_without_reading_costs_no_memory() {
        let front = Front::start();
        assert_eq!(front.connect().send(get("/bytes?100000")).answer().status, 200);
        let before_kb = peak_kb();
        let requests = get("/bytes?100000").repeat(1000);
        let mut clients: Vec<Raw<TcpStream>> = (0..8).map(|_| front.connect()).collect();
        for client in &mut clients {
            let sent = client.send_until_stuck(requests.as_bytes(), 256 << 20);
            assert!(sent < 256 << 20, "the server stops reading");
        }
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
        let more_kb = peak_kb() - before_kb;
        assert!(more_kb < 16 * 1024, "{more_kb} KiB more");
    }
}
