//! What functions reach of the network under each policy. Needs `pasta`, and what [`crate::rig`] needs.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::{fs, thread};

use fnlite::base::sys;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::function::{Function, expression, source};
use crate::processes::{self, Process};
use crate::rig::{ADDRESSES, OUTSIDE, Rig, listener};
use crate::server::{Place, Server};
use crate::wait;

const POLICIES: [&str; 3] = ["host", "none", "no-local"];

/// Tries to connect to each of `[address, port, device]` at once, and gives 0 or an error's number for each. Whoever binds to
/// a device passes by the routes of its namespace.
const TRIES: &str = "
import errno, select, socket

def start(address, port, device):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    tried = socket.socket(family)
    tried.setblocking(False)
    try:
        if device:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        return tried, tried.connect_ex((address, port))
    except OSError as error:
        return tried, error.errno

def main_handler(event, context):
    tries = [start(*one) for one in event]
    waiting = {tried for tried, error in tries if error == errno.EINPROGRESS}
    while waiting:
        _, ready, _ = select.select([], waiting, [], 1)
        if not ready:
            break
        waiting -= set(ready)
    ended = lambda tried: errno.ETIMEDOUT if tried in waiting else tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return [ended(tried) if error == errno.EINPROGRESS else error for tried, error in tries]
";

/// Listens on `port`, says so by connecting to `gate`, goes on when that is closed, and tells whether somebody came.
const LISTENS: &str = "
import socket

def main_handler(event, context):
    listener = socket.create_server(('', event['port']), family=socket.AF_INET6, dualstack_ipv6=True)
    gate = socket.create_connection(event['gate'])
    gate.recv(1)
    listener.setblocking(False)
    try:
        listener.accept()
        return True
    except BlockingIOError:
        return False
";

fn tries(policy: &str) -> Function {
    source(TRIES).with("network", policy).with("timeout_s", 20)
}

/// What that function reaches of these, without and with a device bound to.
fn reached(server: &Server, name: &str, wanted: &[SocketAddr], device: &str) -> Vec<i64> {
    let event: Vec<Value> = wanted.iter().map(|at| json!([at.ip().to_string(), at.port(), device])).collect();
    let run = server.invoke(name, json!(event).to_string());
    serde_json::from_value(run.returned()).unwrap()
}

/// Whether anybody has connected, ever.
fn arrived(listener: &TcpListener) -> bool {
    listener.accept().is_ok()
}

#[test]
fn each_policy_reaches_what_it_says_and_nothing_else() {
    let rig = Rig::new();
    let server = rig.serve();
    for policy in POLICIES {
        server.deploy(policy, &tries(policy));
        let mut local: Vec<TcpListener> = ADDRESSES.map(listener).into();
        // Services for everybody, of which the API is one as good as any.
        local.extend(["0.0.0.0", "::"].map(listener));
        let port = |at: usize| local[at].local_addr().unwrap().port();
        let mut wanted: Vec<SocketAddr> = local[..6].iter().map(|one| one.local_addr().unwrap()).collect();
        let everywhere =
            |ip: &str| SocketAddr::new(ip.parse().unwrap(), port(if ip.contains(':') { 7 } else { 6 }));
        wanted.extend(ADDRESSES.map(everywhere));
        wanted.push(server.address());
        let devices: &[&str] = if policy == "no-local" { &["", "net0", "lo"] } else { &[""] };
        for device in devices {
            let found = reached(&server, policy, &wanted, device);
            for (at, error) in wanted.iter().zip(&found) {
                assert_eq!(*error == 0, policy == "host", "{policy} to {at} by {device:?}: {error}");
            }
        }
        let touched: Vec<bool> = local.iter().map(arrived).collect();
        assert_eq!(touched, [policy == "host"; 8], "{policy}");
        let outside = reached(&server, policy, &rig.outside_ports(), "");
        assert_eq!(
            outside.iter().map(|error| *error == 0).collect::<Vec<_>>(),
            [policy != "none"; 2],
            "{policy}"
        );
        assert_eq!(rig.outside.iter().map(arrived).collect::<Vec<_>>(), [policy != "none"; 2], "{policy}");
    }
}

/// Sends a datagram to each `[address, port]`, plainly and by way of the device, and gives how many the kernel took.
const SENDS: &str = "
import socket

def send(address, port, device):
    with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if device:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            return sender.sendto(b'hello', (address, port)) // 5
        except OSError:
            return 0

def main_handler(event, context):
    return sum(send(*to, device) for to in event for device in ('', 'net0'))
";

#[test]
fn datagrams_reach_the_outside_and_nothing_local_not_even_by_multicast() {
    let rig = Rig::new();
    let server = rig.serve();
    let local = ["0.0.0.0:0", "[::]:0"].map(|at| UdpSocket::bind(at).unwrap());
    let groups = ["224.0.0.251", "224.0.0.1"].map(|group| group.parse().unwrap());
    groups
        .iter()
        .for_each(|group| local[0].join_multicast_v4(group, &"198.51.100.2".parse().unwrap()).unwrap());
    rig.enter_outside();
    let outside = UdpSocket::bind((OUTSIDE[0], 0)).unwrap();
    rig.enter_host();
    outside.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let others = ["224.0.0.251", "224.0.0.1", "255.255.255.255", "198.51.100.255", "ff02::1", "ff0e::1"];
    let mut event: Vec<Value> = ADDRESSES
        .iter()
        .chain(&others)
        .map(|ip| json!([ip, port(&local[usize::from(ip.contains(':'))])]))
        .collect();
    // Last, so that everything else has been carried by the time it arrives.
    event.push(json!([OUTSIDE[0], port(&outside)]));
    server.deploy("sends", &source(SENDS).with("network", "no-local"));
    let sent = server.invoke("sends", json!(event).to_string()).returned();
    assert!(sent.as_u64() >= Some(4), "what is bound to a device is taken by the kernel: {sent}");
    for _ in 0..2 {
        outside.recv(&mut [0; 8]).unwrap();
    }
    for socket in &local {
        socket.set_nonblocking(true).unwrap();
        let got = socket.recv_from(&mut [0; 8]);
        assert!(got.is_err(), "{got:?}");
    }
}

#[test]
fn what_is_refused_is_told_at_once() {
    let rig = Rig::new();
    let server = rig.serve();
    server.deploy("tries", &tries("no-local"));
    let ports = ["198.51.100.2", "169.254.169.254", "2001:db8::2", "fe80::1"]
        .map(|ip| SocketAddr::new(ip.parse().unwrap(), 9));
    let refused = i64::from(rustix::io::Errno::ACCESS.raw_os_error());
    assert_eq!(reached(&server, "tries", &ports[..3], ""), [refused; 3]);
    assert_ne!(reached(&server, "tries", &ports[3..], ""), [0]);
}

#[test]
fn an_address_that_the_host_gets_later_is_its_own_from_then_on() {
    let rig = Rig::new();
    let server = rig.serve();
    server.deploy("tries", &tries("no-local"));
    for added in ["198.51.100.33", "2001:db8::33"] {
        let address: IpAddr = added.parse().unwrap();
        let outside = reached(&server, "tries", &rig.outside_ports()[..1], "");
        assert_eq!(outside, [0], "its code is loaded");
        let bits = if address.is_ipv4() { 32 } else { 128 };
        rig.ip(&format!("address add {added}/{bits} dev up0"));
        let listener = wait::until("the address is there", || TcpListener::bind((address, 0)).ok());
        let at = listener.local_addr().unwrap();
        let refused = i64::from(rustix::io::Errno::ACCESS.raw_os_error());
        wait::until("it is refused", || (reached(&server, "tries", &[at], "") == [refused]).then_some(()));
    }
}

#[test]
fn functions_do_not_reach_each_others_ports() {
    const PORT: u16 = 4444;
    let rig = Rig::new();
    let server = rig.serve();
    let gate = TcpListener::bind("198.51.100.2:0").unwrap();
    let outer_gate = &rig.outside[0];
    outer_gate.set_nonblocking(false).unwrap();
    for (policy, gate) in [("host", &gate), ("no-local", outer_gate)] {
        let name = format!("listens-{policy}");
        server.deploy(&name, &source(LISTENS).with("network", policy).with("timeout_s", 60));
        let at = gate.local_addr().unwrap();
        let event = json!({ "port": PORT, "gate": [at.ip().to_string(), at.port()] }).to_string();
        let mut caller = server.caller();
        thread::scope(|scope| {
            let run = scope.spawn(move || caller.invoke(&name, event));
            let opened = gate.accept().unwrap();
            for other in ["none", "no-local"] {
                let name = format!("tries-{other}-{policy}");
                server.deploy(&name, &tries(other));
                let addresses =
                    [&ADDRESSES[..], &["192.0.0.1", "192.0.0.2", "fd66:6e6c:6974:65::2"]].concat();
                let ports = addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), PORT));
                let found = reached(&server, &name, &ports.collect::<Vec<_>>(), "");
                assert!(found.iter().all(|error| *error != 0), "{other} to {policy}: {found:?}");
            }
            drop(opened);
            assert_eq!(run.join().unwrap().returned(), false, "{policy}: somebody came");
        });
    }
}

#[test]
fn a_host_that_has_no_way_out_is_told_so_and_gets_one_later() {
    let rig = Rig::new();
    rig.ip("route del default");
    rig.ip("-6 route del default");
    let server = rig.serve();
    let refused = server.call("PUT", "/v1/functions/tries", tries("no-local").body().as_bytes());
    assert_eq!(refused.status, 400);
    assert!(refused.refusal().contains("no default route"), "{}", refused.text());
    rig.ip("route add default via 198.51.100.1");
    server.deploy("tries", &tries("no-local"));
    assert_eq!(reached(&server, "tries", &rig.outside_ports()[..1], ""), [0]);
}

/// The processes of a server's networks.
fn pastas(server: &Server) -> Vec<Process> {
    let below = processes::below(server.pid());
    below.into_iter().filter(|process| process.arguments().iter().any(|word| word == "--netns")).collect()
}

#[test]
fn a_network_that_broke_down_is_built_anew() {
    let rig = Rig::new();
    let server = rig.serve();
    server.deploy("tries", &tries("no-local"));
    assert!(pastas(&server).is_empty(), "nothing is kept for nobody");
    assert_eq!(reached(&server, "tries", &rig.outside_ports()[..1], ""), [0]);
    let [first] = pastas(&server)[..] else { panic!("{:?}", pastas(&server)) };
    kill_process(Pid::from_raw(first.pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    wait::until("it is gone", || (!first.is_alive()).then_some(()));
    let works =
        || server.invoke("tries", json!([[OUTSIDE[0], rig.outside_ports()[0].port(), ""]]).to_string());
    // A run that was parked before has the old one still.
    wait::until("it works again", || (works().returned() == json!([0])).then_some(()));
    server.deploy("tries", &tries("none"));
    wait::until("it goes with its version", || pastas(&server).is_empty().then_some(()));
}

#[test]
fn a_server_that_is_killed_leaves_no_network() {
    let rig = Rig::new();
    let server = rig.serve();
    for policy in ["none", "no-local"] {
        server.deploy(policy, &tries(policy));
        server.invoke(policy, "[]").returned();
    }
    // That of the try at the start may be about to go.
    wait::until("one network is carried", || (pastas(&server).len() == 1).then_some(()));
    let tree = processes::below(server.pid());
    let namespace = |process: Process| fs::read_link(format!("/proc/{}/ns/net", process.pid)).ok();
    let own = namespace(processes::look(server.pid()).unwrap());
    let made: Vec<_> = tree.iter().map(|process| namespace(*process)).filter(|one| *one != own).collect();
    assert!(made.iter().flatten().count() >= 3, "{made:?}");
    drop(server.kill9());
    wait::until("all of its processes are gone", || {
        tree.iter().all(|process| !process.is_alive()).then_some(())
    });
    let is_in_one =
        |process: Process| made.iter().flatten().any(|one| namespace(process).as_ref() == Some(one));
    // What was being started meanwhile goes, too.
    wait::until("nobody is in its namespaces", || processes::all(is_in_one).is_empty().then_some(()));
}

/// Two processes of one run, one of which listens on the loopback.
const TALKS: &str = "
import os, socket

def main_handler(event, context):
    listener = socket.create_server(('127.0.0.1', 0))
    if os.fork() == 0:
        socket.create_connection(listener.getsockname()).sendall(b'hello')
        os._exit(0)
    listener.settimeout(5)
    return listener.accept()[0].recv(5).decode()
";

#[test]
fn the_processes_of_a_run_talk_over_its_loopback() {
    let server = Server::shared();
    for policy in ["host", "none"] {
        assert_eq!(
            server.value_of(&format!("talks-{policy}"), &source(TALKS).with("network", policy), "{}"),
            "hello"
        );
    }
    let rig = Rig::new();
    let server = rig.serve();
    assert_eq!(server.value_of("talks", &source(TALKS).with("network", "no-local"), "{}"), "hello");
}

#[test]
fn a_version_that_is_not_forked_has_its_policy_as_well() {
    let rig = Rig::new();
    let server = rig.serve();
    for (policy, outside) in [("none", false), ("no-local", true)] {
        let text = format!(
            "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n{TRIES}"
        );
        server.deploy(policy, &source(&text).with("network", policy).with("timeout_s", 20));
        let local = listener("198.51.100.2");
        let wanted = [local.local_addr().unwrap(), rig.outside_ports()[0]];
        for _ in 0..3 {
            let found = reached(&server, policy, &wanted, "");
            assert_eq!(
                found.iter().map(|error| *error == 0).collect::<Vec<_>>(),
                [false, outside],
                "{policy}"
            );
        }
        assert!(!arrived(&local));
    }
    assert_eq!(pastas(&server).len(), 1, "its processes share a network");
}

#[test]
fn sockets_that_are_no_network_namespaces_matter_are_refused() {
    const OTHERS: &str = "
import socket

def main_handler(event, context):
    refused = []
    for family in event:
        try:
            socket.socket(family, socket.SOCK_DGRAM if family == 38 else socket.SOCK_STREAM).close()
        except OSError as error:
            refused.append([family, error.errno])
    return refused
";
    let refused = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    let (vsock, bluetooth) = (40, 31);
    let found =
        Server::shared().value_of("others", &source(OTHERS).with("network", "none"), "[1, 2, 10, 40, 31]");
    assert_eq!(found, json!([[vsock, refused], [bluetooth, refused]]));
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    const CONNECTS: &str = "
import socket

def main_handler(event, context):
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex('\\0' + event)
";
    let name = format!("fnlite-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = Server::shared();
    for policy in ["host", "none"] {
        let function = source(CONNECTS).with("network", policy);
        let error = server.value_of(&format!("abstract-{policy}"), &function, &json!(name).to_string());
        // By the namespace, everywhere; else by Landlock, where the kernel has its sixth version.
        let expected = match (policy, sys::landlock_abi()) {
            ("none", _) => rustix::io::Errno::CONNREFUSED.raw_os_error(),
            (_, 6..) => rustix::io::Errno::PERM.raw_os_error(),
            _ => 0,
        };
        assert_eq!(error, expected, "{policy}");
    }
    assert_eq!(listener.accept().is_err(), sys::landlock_abi() >= 6);
}

#[test]
fn a_policy_that_cannot_be_had_is_refused_and_never_widened() {
    let place = Place::new();
    let server = place.serve(&[]);
    server.deploy("kept", &expression("1").with("network", "none"));
    assert_eq!(server.get("/v1/functions/kept")["network"], "none");
    server.invoke("kept", "{}").returned();
    let (_, place) = server.stop();
    let server = place.serve(&["--isolation-max", "4"]);
    assert_eq!(server.get("/readyz")["network_policies"], json!(["host"]));
    for policy in ["none", "no-local"] {
        let refused = server.call(
            "PUT",
            "/v1/functions/new",
            expression("1").with("network", policy).body().as_bytes(),
        );
        let said = format!(
            "network must be host on this host, not {policy}: isolation is held at level 4 by configuration"
        );
        assert_eq!((refused.status, refused.refusal()), (400, said));
    }
    let message = "the function's network is to be none, which this host cannot give";
    assert!(server.get("/v1/functions/kept")["notes"].to_string().contains("network must be host"));
    server.invoke("kept", "{}").failed(500);
    assert!(server.place().said().contains(message), "{}", server.place().said());
    server.deploy("kept", &expression("2"));
    assert_eq!(server.invoke("kept", "{}").returned(), 2);
}

#[test]
fn without_pasta_no_local_is_refused_with_what_to_install() {
    let server = Place::new().serve_by(&["env", "PATH=/nowhere"], &[]);
    assert_eq!(server.get("/readyz")["network_policies"], json!(["host", "none"]));
    let refused = server.call(
        "PUT",
        "/v1/functions/new",
        expression("1").with("network", "no-local").body().as_bytes(),
    );
    assert_eq!(refused.status, 400);
    assert!(refused.refusal().contains("install passt"), "{}", refused.text());
    let doctor = server.get("/v1/doctor")["checks"].to_string();
    assert!(doctor.contains("install passt"), "{doctor}");
}

#[test]
fn another_word_is_refused_with_those_there_are() {
    let server = Server::shared();
    let said = "network must be one of host, none, no-local";
    for wrong in ["vpc", "Host", ""] {
        let function = expression("1").with("network", wrong);
        let refused = server.call("PUT", "/v1/functions/other-word", function.body().as_bytes());
        assert_eq!((refused.status, refused.refusal().as_str()), (400, said), "{wrong}");
    }
    let typed = server.fnlite(&["deploy", "other-word", env!("CARGO_MANIFEST_DIR"), "--network", "vpc"]);
    assert!(!typed.status.success());
}
