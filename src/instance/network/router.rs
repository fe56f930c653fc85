//! The process behind a `no-local` network: it builds the network, has `pasta` carry it to the world, and keeps the host's own
//! addresses out of it for as long as it lives.
//!
//! ```text
//! function's namespace          router's namespace               host's
//! net0 192.0.0.2  ----------->  fn 192.0.0.1 ... out  ------->  pasta's sockets
//! ```
//!
//! Whatever a function can do to its own end, its packets reach `pasta` only by being forwarded through the second namespace,
//! where nothing of the function's ever is. That is why there are two: in one, a socket bound to the device
//! (SO_BINDTODEVICE, which anybody may) gets past every route and rule. Forwarding takes no such wishes, and drops multicast,
//! broadcast and link-local packets by itself.
//!
//! Order matters: the sockets on the host's routes and the one that becomes `pasta` are made before the namespaces, the
//! function's namespace is made before the router's, and nothing is told to the server before the prohibitions stand.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::UnshareFlags;

use crate::base::sys;
use crate::instance::network::message::{Subnet, Way};
use crate::instance::network::netlink::{self, Netlink};
use crate::instance::network::pasta;
use crate::instance::users;
use crate::instance::view::Step;

/// Addresses that mean something on the link between function and router only (RFC 7335), and a private prefix for the same.
pub(super) const INSIDE: [Ends; 2] = [
    Ends {
        link: Subnet::v4(192, 0, 0, 0, 29),
        router: IpAddr::V4(Ipv4Addr::new(192, 0, 0, 1)),
        function: IpAddr::V4(Ipv4Addr::new(192, 0, 0, 2)),
    },
    Ends {
        link: Subnet::v6(Ipv6Addr::new(0xfd66, 0x6e6c, 0x6974, 0x65, 0, 0, 0, 0), 64),
        router: IpAddr::V6(Ipv6Addr::new(0xfd66, 0x6e6c, 0x6974, 0x65, 0, 0, 0, 1)),
        function: IpAddr::V6(Ipv6Addr::new(0xfd66, 0x6e6c, 0x6974, 0x65, 0, 0, 0, 2)),
    },
];

/// What is never forwarded, whatever addresses the host has. The last is how IPv4 addresses are spelled in IPv6: a packet with
/// one would have `pasta` connect to that IPv4 address.
const NEVER: [Subnet; 3] = [
    Subnet::v4(169, 254, 0, 0, 16),
    Subnet::v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    Subnet::v6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
];

/// The router's device towards the function, the function's one, and the one `pasta` makes.
const DEVICES: [&str; 3] = ["fn", "net0", pasta::DEVICE];

/// The largest packet `pasta` takes.
const MTU: u32 = 65_520;

/// Both ends of the link in one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) link: Subnet,
    pub(super) router: IpAddr,
    pub(super) function: IpAddr,
}

/// Lets that user open the tunnel device where the host keeps it to root: in a mount namespace of this process's own there is
/// another of the same.
pub(crate) fn offer_tunnel(uid: Option<u32>) -> Result<(), Step> {
    const ALL_MAY: u32 = 0o006;
    let device = fs::metadata("/dev/net/tun").map_err(step("/dev/net/tun"))?;
    if uid.is_none() || device.mode() & ALL_MAY == ALL_MAY {
        return Ok(());
    }
    let offer = || -> io::Result<()> {
        sys::unshare(UnshareFlags::NEWNS)?;
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        rustix::mount::mount("tmpfs", "/dev/net", "tmpfs", MountFlags::NOSUID, Some(c"mode=755,size=4k"))?;
        let path = "/dev/net/tun";
        rustix::fs::mknodat(rustix::fs::CWD, path, FileType::CharacterDevice, Mode::empty(), device.rdev())?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))
    };
    offer().map_err(step("/dev/net/tun"))
}

/// Builds the network, hands its namespaces to the server by `tell`, and keeps it until `pasta` ends. To be called by the user
/// that `pasta` shall be, with one thread.
pub(crate) fn keep(
    program: &Path,
    tell: impl FnOnce(&[OwnedFd; 2]) -> io::Result<()>,
) -> Result<Infallible, Step> {
    let host = Host::watch().map_err(step("the host's routes"))?;
    let ends = host.ends_to_outside().map_err(step("the host's routes"))?;
    if ends.is_empty() {
        return Err(Step("no way out", io::Error::other("this host has no default route")));
    }
    let mut uplink = Uplink::prepare(program).map_err(step("pasta"))?;
    let (inside, namespaces) = make_inside()?;
    let router = make_router()?;
    let device = uplink.attach(&router).map_err(step("pasta"))?;
    connect(&router, &inside, &namespaces[0], &ends).map_err(step("link"))?;
    let mut prohibited = Prohibited::of([router, inside], &ends);
    prohibited.follow(&host).map_err(step("prohibitions"))?;
    prohibited.open(device, &ends).map_err(step("way out"))?;
    tell(&namespaces).map_err(step("report"))?;
    drop(namespaces);
    loop {
        uplink.wait_beside(&host.news).map_err(step("pasta"))?;
        host.news.take_news();
        prohibited.follow(&host).map_err(step("prohibitions"))?;
    }
}

fn step(name: &'static str) -> impl Fn(io::Error) -> Step {
    move |cause| Step(name, cause)
}

/// The function's network namespace, empty but for its loopback, and the user namespace that owns both.
fn make_inside() -> Result<(Netlink, [OwnedFd; 2]), Step> {
    let own = users::open_self().map_err(step("/proc/self"))?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    sys::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).map_err(step("network namespace"))?;
    users::map_ids(&own, (0, uid), (0, gid)).map_err(step("id maps"))?;
    // No link-local address of its own: there is nobody at one for a function to talk to.
    set_ipv6("conf/default/addr_gen_mode", "1").map_err(step("link-local addresses"))?;
    let namespace = |name: &str| {
        let path = format!("/proc/self/ns/{name}");
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Step("/proc/self/ns", e.into()))
    };
    let inside = Netlink::open(0).map_err(step("netlink"))?;
    Ok((inside, [namespace("net")?, namespace("user")?]))
}

/// The router's, which this process stays in: without devices yet, its addresses good at once, and telling every time that it
/// does not forward, since its one neighbour would otherwise wait.
fn make_router() -> Result<Netlink, Step> {
    sys::unshare(UnshareFlags::NEWNET).map_err(step("router's network namespace"))?;
    let set = || -> io::Result<()> {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        fs::write("/proc/sys/net/ipv4/icmp_ratemask", "0")?;
        set_ipv6("conf/all/forwarding", "1")?;
        set_ipv6("conf/default/accept_dad", "0")?;
        set_ipv6("icmp/ratelimit", "0")
    };
    set().map_err(step("forwarding"))?;
    Netlink::open(0).map_err(step("netlink"))
}

/// A setting of the network namespace this process is in, where the host has IPv6 at all.
fn set_ipv6(name: &str, value: &str) -> io::Result<()> {
    let folder = Path::new("/proc/sys/net/ipv6");
    if folder.exists() { fs::write(folder.join(name), value) } else { Ok(()) }
}

/// What the host calls its own.
struct Host {
    routes: Netlink,
    news: Netlink,
}

impl Host {
    fn watch() -> io::Result<Host> {
        Ok(Host { news: Netlink::open(netlink::NEWS_OF_ROUTES)?, routes: Netlink::open(0)? })
    }

    /// The ends in those families in which the host itself has a way out.
    fn ends_to_outside(&self) -> io::Result<Vec<Ends>> {
        let routes = self.routes.routes()?;
        let leads_out = |ends: &Ends| {
            let all = Subnet::all_of(ends.router);
            routes.iter().any(|route| route.to == all && !route.is_own)
        };
        Ok(INSIDE.into_iter().filter(leads_out).collect())
    }

    /// Its own addresses, less those that never leave a namespace anyway.
    fn own(&self) -> io::Result<BTreeSet<Subnet>> {
        let is_inside = |subnet: &Subnet| INSIDE.iter().any(|ends| ends.link.holds(subnet.address));
        let own = self.routes.routes()?.into_iter().filter(|route| route.is_own).map(|route| route.to);
        Ok(own.filter(|subnet| !subnet.address.is_loopback() && !is_inside(subnet)).collect())
    }
}

/// What packets are not carried to: at the router, where a function has no say, and at its own end, which tells it sooner.
struct Prohibited {
    router: Netlink,
    inside: Netlink,
    /// The families in which packets are carried at all.
    families: Vec<Subnet>,
    subnets: BTreeSet<Subnet>,
}

impl Prohibited {
    fn of([router, inside]: [Netlink; 2], ends: &[Ends]) -> Prohibited {
        let families = ends.iter().map(|ends| Subnet::all_of(ends.router)).collect();
        Prohibited { router, inside, families, subnets: BTreeSet::new() }
    }

    /// Makes it what the host calls its own now, and what nobody may reach.
    fn follow(&mut self, host: &Host) -> io::Result<()> {
        let mut wanted = host.own()?;
        wanted.extend(NEVER);
        wanted.retain(|subnet| self.families.iter().any(|family| family.holds(subnet.address)));
        for subnet in wanted.difference(&self.subnets) {
            self.router.add_route(*subnet, Way::Prohibited)?;
            self.inside.add_route(*subnet, Way::Prohibited)?;
        }
        for subnet in self.subnets.difference(&wanted) {
            self.router.remove_route(*subnet, Way::Prohibited)?;
            self.inside.remove_route(*subnet, Way::Prohibited)?;
        }
        self.subnets = wanted;
        Ok(())
    }

    /// Lets everything else go out by that device.
    fn open(&self, device: u32, ends: &[Ends]) -> io::Result<()> {
        self.router.raise(device, Some(MTU))?;
        ends.iter().try_for_each(|ends| self.router.add_route(Subnet::all_of(ends.router), Way::Out(device)))
    }
}

/// The link between function and router.
fn connect(router: &Netlink, inside: &Netlink, net: &OwnedFd, ends: &[Ends]) -> io::Result<()> {
    let [towards, own, _] = DEVICES;
    router.add_pair(towards, own, net.as_fd())?;
    let device =
        |netlink: &Netlink, name| netlink.device(name)?.ok_or(io::Error::from(io::ErrorKind::NotFound));
    let (towards, own) = (device(router, towards)?, device(inside, own)?);
    for ends in ends {
        let on_link = |address| Subnet { address, bits: ends.link.bits };
        router.add_address(towards, on_link(ends.router))?;
        inside.add_address(own, on_link(ends.function))?;
    }
    router.raise(towards, Some(MTU))?;
    inside.raise(netlink::LOOPBACK, None)?;
    inside.raise(own, Some(MTU))?;
    ends.iter().try_for_each(|ends| inside.add_route(Subnet::all_of(ends.router), Way::Via(ends.router)))
}

/// `pasta`, from when it is a process that waits for its namespaces.
struct Uplink {
    process: OwnedFd,
    go: Option<OwnedFd>,
    says: fs::File,
}

impl Uplink {
    /// Forks what will be `pasta`, in the host's namespaces.
    fn prepare(program: &Path) -> io::Result<Uplink> {
        let (wait, go) = pipe()?;
        // Never blocks: what it says is read when it has ended, and what does not fit is lost.
        let (says, words) = pipe()?;
        rustix::io::ioctl_fionbio(&words, true)?;
        let joins = rustix::process::getpid();
        let Some(pid) = sys::fork_single_threaded()? else {
            drop((go, says));
            be_pasta(program, joins, wait.into(), words)
        };
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Uplink { process, go: Some(go), says: says.into() })
    }

    /// Lets it go on, and waits for its device in the namespace this process is in.
    fn attach(&mut self, router: &Netlink) -> io::Result<u32> {
        let links = Netlink::open(netlink::NEWS_OF_LINKS)?;
        if let Some(go) = self.go.take() {
            rustix::io::write(&go, b"g")?;
        }
        loop {
            if let Some(device) = router.device(pasta::DEVICE)? {
                return Ok(device);
            }
            self.wait_beside(&links)?;
            links.take_news();
        }
    }

    /// Waits for news; an error once `pasta` has ended.
    fn wait_beside(&mut self, news: &Netlink) -> io::Result<()> {
        let mut waits = [PollFd::new(news, PollFlags::IN), PollFd::new(&self.process, PollFlags::IN)];
        while rustix::event::poll(&mut waits, None) == Err(rustix::io::Errno::INTR) {}
        if waits[1].revents().is_empty() {
            return Ok(());
        }
        let mut words = String::new();
        // What it said so far: it holds the other end no longer.
        let _ = self.says.read_to_string(&mut words);
        Err(io::Error::other(format!("it ended: {}", pasta::complaint(&words))))
    }
}

/// In the fork: `pasta` itself, once the namespaces are there; nothing, if whoever makes them is gone.
#[expect(clippy::exit, reason = "a forked child must not run its parent's way out of main")]
fn be_pasta(program: &Path, joins: Pid, wait: fs::File, words: OwnedFd) -> ! {
    let mut byte = [0];
    if (&wait).read_exact(&mut byte).is_ok() {
        pasta::exec(program, joins, words);
    }
    std::process::exit(1)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}
