//! What of the network a function reaches: its policy, made true when its process tree is launched.
//!
//! - `host`: nothing is made; the tree is where the server is.
//! - `none`: each tree gets a network namespace with a loopback of its own.
//! - `no-local`: each Version gets a [`Network`], a tree of its own that all trees of the Version join: see [`router`].
//!
//! What must stay true: a namespace is made or joined before the one for users that the code lives in, so that no function has
//! a right over it; a launch that cannot give what was asked for fails, whatever was found out earlier; a run pays nothing.

mod message;
mod netlink;
mod pasta;
pub(crate) mod router;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::thread::LinkNameSpaceType;

use crate::error::{Error, Result};
use crate::instance::pipes::Pipes;
use crate::instance::protocol::{LaunchOrder, Reach, Report, Role, Walls};
use crate::instance::tree::{self, Holdings, Tree};
use crate::instance::wire;
use crate::model::function::NetworkPolicy;

/// How long a network may take to stand; it takes some 30 ms.
const STANDS_WITHIN: Duration = Duration::from_secs(5);

/// The resolvers behind the one that systemd-resolved has on the host's loopback.
const RESOLVERS_BEHIND: &str = "/run/systemd/resolve/resolv.conf";

/// The policies a host can give beside `host`, or why not; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// `none`.
    pub none: std::result::Result<(), String>,
    /// `no-local`.
    pub no_local: std::result::Result<(), String>,
}

impl Policies {
    /// Neither, for one reason.
    pub(crate) fn absent(why: &str) -> Policies {
        Policies { none: Err(why.to_owned()), no_local: Err(why.to_owned()) }
    }

    /// Whether that one can be given, or why not.
    pub fn of(&self, policy: NetworkPolicy) -> std::result::Result<(), &str> {
        let given = match policy {
            NetworkPolicy::Host => &Ok(()),
            NetworkPolicy::None => &self.none,
            NetworkPolicy::NoLocal => &self.no_local,
        };
        given.as_ref().copied().map_err(String::as_str)
    }

    /// The names of those that can be given.
    pub fn names(&self) -> Vec<&'static str> {
        NetworkPolicy::ALL
            .into_iter()
            .filter(|policy| self.of(*policy).is_ok())
            .map(NetworkPolicy::as_str)
            .collect()
    }
}

/// The network of a Version that must not reach the host's own addresses. It ends when the value is dropped.
#[derive(Debug)]
pub(crate) struct Network {
    tree: Tree,
    /// The functions' network namespace.
    net: OwnedFd,
    /// The user namespace that owns it, where the server needs to be in it to join.
    user: Option<OwnedFd>,
}

impl Network {
    /// Builds one that runs as `uid`, with a `pasta` from one of these folders.
    pub(crate) fn build(search: &[PathBuf], walls: Walls, uid: Option<u32>) -> Result<Network> {
        let failed = |why: String| Error::internal(format!("there is no no-local network: {why}"));
        let program =
            pasta::find(search).ok_or_else(|| failed("pasta is missing; install passt".to_owned()))?;
        let (_pipes, [out, err]) = Pipes::open_pair().map_err(|e| failed(e.to_string()))?;
        let order = LaunchOrder::without_code(Role::Router, walls, Reach::Host, uid, program);
        let tree = Tree::start(&order, None, [out, err], Holdings::default())?;
        let [net, user] = handed_over(&tree.control).map_err(failed)?;
        let user = (!rustix::process::geteuid().is_root()).then_some(user);
        Ok(Network { tree, net, user })
    }

    /// How a tree is told to join.
    pub(crate) fn wall(&self) -> Reach {
        Reach::Joined { user: self.user.is_some() }
    }

    /// What travels with that order.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(&self.net), self.user.as_ref()].into_iter().flatten().map(AsFd::as_fd)
    }

    /// Whether nothing carries its packets any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.tree.is_gone()
    }
}

/// The namespaces for functions, once the router says that its walls stand; else what it complains of.
fn handed_over(control: &OwnedFd) -> std::result::Result<[OwnedFd; 2], String> {
    if !tree::wait_readable(control, STANDS_WITHIN) {
        return Err("it did not stand in time".to_owned());
    }
    let (bytes, fds) = wire::receive(control).map_err(|e| e.to_string())?;
    match serde_json::from_slice::<Report>(&bytes) {
        Ok(report) if report.kind == "Z" => {
            fds.try_into().map_err(|_| "its namespaces did not come".to_owned())
        }
        Ok(report) => Err(report.text),
        Err(_) => Err("it ended without a word".to_owned()),
    }
}

/// In a launched process: moves into the namespaces that came with the order.
pub(crate) fn join(fds: &[OwnedFd]) -> io::Result<()> {
    // The owner's first: only in it may this process enter the other.
    if let Some(user) = fds.get(1) {
        rustix::thread::move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
    }
    let net = fds.first().ok_or_else(|| io::Error::other("no network came"))?;
    Ok(rustix::thread::move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// In a new network namespace: brings its loopback up.
pub(crate) fn raise_loopback() -> io::Result<()> {
    netlink::Netlink::open(0)?.raise(netlink::LOOPBACK, None)
}

/// What a function finds as its resolv.conf: the host's, unless that names only resolvers on the host's loopback, which are
/// not the function's, and those behind them are known.
pub(crate) fn resolvers(reach: Reach) -> io::Result<Vec<u8>> {
    let bytes = std::fs::read("/etc/resolv.conf")?;
    if reach == Reach::Host || !names_loopback_only(&String::from_utf8_lossy(&bytes)) {
        return Ok(bytes);
    }
    Ok(std::fs::read(RESOLVERS_BEHIND).unwrap_or(bytes))
}

fn names_loopback_only(text: &str) -> bool {
    let words = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut named = words.filter(|words| words.first() == Some(&"nameserver")).peekable();
    let is_loopback = |words: Vec<&str>| {
        let address = words.get(1).and_then(|word| word.parse::<std::net::IpAddr>().ok());
        address.is_some_and(|address| address.is_loopback())
    };
    named.peek().is_some() && named.all(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_on_the_hosts_loopback_is_not_the_functions() {
        for (text, loopback_only) in [
            ("nameserver 127.0.0.53\noptions edns0\n", true),
            ("# a comment\nnameserver ::1\nnameserver 127.0.0.1\n", true),
            ("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", false),
            ("nameserver fe80::1%eth0\n", false),
            ("search example.org\n", false),
        ] {
            assert_eq!(names_loopback_only(text), loopback_only, "{text}");
        }
    }

    #[test]
    fn host_is_always_given() {
        let policies = Policies::absent("this is a test");
        assert_eq!(policies.names(), ["host"]);
        assert_eq!(policies.of(NetworkPolicy::NoLocal), Err("this is a test"));
    }
}
