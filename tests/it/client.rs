//! The command line's client and load generator against the real front.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use fnlite::cli::client::{Address, Call, Client};
use fnlite::cli::load::{Extent, Load, Report, run};
use fnlite::error::Kind;
use fnlite::http::limits::Options;
use fnlite::http::listener::Listener;
use fnlite::http::server::Server;

use crate::echo::{Echo, Front, pattern};

const TIMEOUT: Duration = Duration::from_secs(10);

fn get(target: &str) -> Call<'_> {
    Call { method: "GET", target, headers: &[], body: b"" }
}

fn address(front: &Front) -> Address {
    Address::from_url(&format!("http://{}", front.address)).unwrap()
}

#[test]
fn one_connection_carries_many_requests() {
    let front = Front::with(Options { connections_max: 1, ..Options::default() });
    let mut client = Client::new(address(&front), TIMEOUT);
    let first = client.send(&get("/peer")).unwrap().body;
    for target in ["/stream?3", "/status?404", "/status?204", "/file?100000"] {
        client.send(&get(target)).unwrap();
    }
    assert_eq!(client.send(&get("/peer")).unwrap().body, first, "the same port, so the same connection");
    let call = Call { method: "POST", target: "/", headers: &[("X-A", "b")], body: &pattern(3_000_000) };
    let reply = client.send(&call).unwrap();
    assert_eq!((reply.head.status, reply.head.header("x-line").as_deref()), (200, Some("POST /")));
    assert!(reply.body == pattern(3_000_000));
    assert!(client.send(&Call { method: "HEAD", ..get("/bytes?100") }).unwrap().body.is_empty());
    assert_eq!(client.send(&get("/peer")).unwrap().body, first);
}

#[test]
fn a_body_goes_where_it_should() {
    let front = Front::start();
    let mut client = Client::new(address(&front), TIMEOUT);
    let mut sink = Vec::new();
    let reply = client.send_to(&get("/stream?3"), &mut sink).unwrap();
    assert_eq!((reply.body.len(), sink.as_slice()), (0, &b"piece;piece;piece;"[..]));
    let reply = client.send_to(&get("/status?404"), &mut sink).unwrap();
    assert_eq!((reply.body.as_slice(), sink.len()), (&b"body"[..], 18), "an error is for the caller");
}

#[test]
fn socket_files_are_spoken_to_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
    let (options, echo) = (Options::default(), Arc::new(Echo::default()));
    let _server = Server::start(vec![listener], options, echo, Arc::new(SystemClock)).unwrap();
    let mut client = Client::new(Address::Unix(path), TIMEOUT);
    assert_eq!(client.send(&get("/text")).unwrap().body, b"abc");
}

#[test]
fn a_connection_that_the_server_closed_is_made_anew_where_that_is_safe() {
    let front = Front::with(Options { idle_timeout: Duration::from_millis(50), ..Options::default() });
    for (method, is_repeated) in [("GET", true), ("POST", false)] {
        let mut client = Client::new(address(&front), TIMEOUT);
        client.send(&get("/")).unwrap();
        // Another idle connection ends later than the client's, so when it is gone the client's is gone, too.
        assert!(front.connect().is_closed());
        let reply = client.send(&Call { method, ..get("/") });
        assert_eq!(reply.is_ok(), is_repeated, "{method}");
    }
}

#[test]
fn what_goes_wrong_is_told() {
    let mut front = Front::start();
    let mut client = Client::new(address(&front), Duration::from_millis(50));
    let error = client.send(&get("/gate")).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Busy, "the server did not answer in time"));
    let error = client.send(&get("/broken")).unwrap_err();
    assert_eq!(error.message, "the server closed the connection within its answer");
    front.echo.gate.open();
    front.stop();
    let error = client.send(&get("/")).unwrap_err();
    assert_eq!(error.kind, Kind::Busy);
    assert_eq!(error.message, format!("no server answers at http://{}", front.address));
}

fn bench(front: &Front, target: &str, rate_per_s: Option<f64>) -> Report {
    load(front, target, Extent::For(Duration::from_millis(200)), rate_per_s)
}

fn load(front: &Front, target: &str, extent: Extent, rate_per_s: Option<f64>) -> Report {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    run(&Load { address: address(front), connections: 4, extent, rate_per_s }, &get(target), &clock).unwrap()
}

#[test]
fn load_is_counted() {
    let front = Front::start();
    let report = bench(&front, "/text", None);
    assert_eq!((report.failed, report.lost), (0, 0));
    assert_eq!(report.succeeded, front.echo.handled.load(Ordering::SeqCst) as u64);
    assert_eq!(report.succeeded, report.latencies.count());
    let report = bench(&front, "/status?500", None);
    assert!((report.succeeded, report.lost) == (0, 0) && report.failed > 0);
    let report = bench(&front, "/broken", None);
    assert!((report.succeeded, report.failed) == (0, 0) && report.lost > 0);
}

#[test]
fn load_keeps_its_pace() {
    let front = Front::start();
    let report = bench(&front, "/text", Some(100.0));
    assert_eq!((report.succeeded, report.failed, report.lost), (20, 0, 0));
}

#[test]
fn load_ends_after_so_many_requests() {
    let front = Front::start();
    for (target, rate_per_s) in [("/text", None), ("/text", Some(1000.0))] {
        let report = load(&front, target, Extent::Times(33), rate_per_s);
        assert_eq!((report.succeeded, report.failed, report.lost), (33, 0, 0));
    }
    assert_eq!(front.echo.handled.load(Ordering::SeqCst), 66);
}
