//! A host of a test's own: a network namespace with addresses of every kind and a way out, and the outside beyond it, where
//! something listens. Needs root and `ip`.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::server::{Place, Server, program, spawn};
use crate::wait;

/// The host's main address, another one, one of its link, and those of IPv6.
pub(crate) const ADDRESSES: [&str; 6] =
    ["127.0.0.1", "198.51.100.2", "198.51.100.22", "169.254.7.7", "::1", "2001:db8::2"];

/// Beyond the host's gateway.
pub(crate) const OUTSIDE: [&str; 2] = ["203.0.113.9", "2001:db8:9::9"];

/// Between two tries to get out.
const TRIED_FOR: Duration = Duration::from_millis(100);

/// In both namespaces: addresses are good at once, without a search for others that have them.
const PREPARE: &str = "
    echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
    ip link set lo up";

const HOST: &str = "
    ip link add up0 type veth peer name out0 netns {beyond}
    ip address add 198.51.100.2/24 dev up0
    ip address add 198.51.100.22/32 dev up0
    ip address add 169.254.7.7/16 dev up0
    ip -6 address add 2001:db8::2/64 dev up0 nodad
    ip link set up0 up
    ip route add default via 198.51.100.1
    ip -6 route add default via 2001:db8::1";

const BEYOND: &str = "
    ip address add 198.51.100.1/24 dev out0
    ip -6 address add 2001:db8::1/64 dev out0 nodad
    ip address add 203.0.113.9/32 dev lo
    ip -6 address add 2001:db8:9::9/128 dev lo nodad
    ip link set out0 up";

/// A host of the test's own, which this thread is in while the value lives, and its outside.
pub(crate) struct Rig {
    host: Child,
    beyond: Child,
    home: fs::File,
    /// What listens there, on [`OUTSIDE`].
    pub(crate) outside: Vec<TcpListener>,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes network namespaces and must be run by root"
        );
        let home = namespace_of("thread-self");
        let [host, beyond] = [(); 2].map(|()| holder());
        let mut rig = Rig { outside: Vec::new(), host, beyond, home };
        rig.enter_outside();
        shell(PREPARE);
        rig.enter_host();
        shell(PREPARE);
        shell(&HOST.replace("{beyond}", &rig.beyond.id().to_string()));
        rig.enter_outside();
        shell(BEYOND);
        rig.outside = OUTSIDE.map(listener).into();
        rig.enter_host();
        for listener in &rig.outside {
            let at = listener.local_addr().unwrap();
            wait::until("the way out is there", || TcpStream::connect_timeout(&at, TRIED_FOR).ok());
            wait::until("the outside has heard", || listener.accept().ok());
        }
        rig
    }

    /// Takes this thread to the outside, to make sockets there.
    pub(crate) fn enter_outside(&self) {
        enter(&namespace_of(&self.beyond.id().to_string()));
    }

    /// Takes this thread back.
    pub(crate) fn enter_host(&self) {
        enter(&namespace_of(&self.host.id().to_string()));
    }

    /// Runs `ip` on the host.
    pub(crate) fn ip(&self, words: &str) {
        self.enter_host();
        shell(&format!("ip {words}"));
    }

    /// Words that start what follows on this host.
    fn entering(&self) -> [String; 3] {
        ["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.host.id()), "--".to_owned()]
    }

    /// A server of the test's own on the host.
    pub(crate) fn serve(&self) -> Server {
        let entering = self.entering();
        Place::new().serve_by(&entering.each_ref().map(String::as_str), &[])
    }

    /// Where something listens outside.
    pub(crate) fn outside_ports(&self) -> Vec<SocketAddr> {
        self.outside.iter().map(|listener| listener.local_addr().unwrap()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        enter(&self.home);
        for holder in [&mut self.host, &mut self.beyond] {
            holder.kill().unwrap();
            holder.wait().unwrap();
        }
    }
}

/// Runs a script where this thread is; a child is where the thread is that starts it.
fn shell(script: &str) {
    let status = program("sh").args(["-ec", script]).status().unwrap();
    assert!(status.success(), "{script}: {status}");
}

/// A process in a network namespace of its own.
fn holder() -> Child {
    let mut command = program("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--"]);
    command.args(["sh", "-c", "echo there; exec sleep infinity"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = spawn(command);
    child.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    child
}

fn namespace_of(process: &str) -> fs::File {
    fs::File::open(format!("/proc/{process}/ns/net")).unwrap()
}

fn enter(namespace: &fs::File) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// Listens on a free port without ever waiting.
pub(crate) fn listener(address: &str) -> TcpListener {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}
