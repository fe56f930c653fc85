//! The few requests of rtnetlink(7) that networks are built and watched with. A socket speaks for the network namespace it
//! was opened in, wherever its owner has gone since.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::instance::network::message::{
    self, DUMP_CHANGED, LINK_HEAD, Message, Part, ROUTE_HEAD, Route, Subnet, Way,
};

/// News of routes, and with them of the host's own addresses: each has a route of type `local`.
pub(super) const NEWS_OF_ROUTES: u32 =
    1 << (libc::RTNLGRP_IPV4_ROUTE - 1) | 1 << (libc::RTNLGRP_IPV6_ROUTE - 1);

/// News of devices that come, change and go.
pub(super) const NEWS_OF_LINKS: u32 = 1 << (libc::RTNLGRP_LINK - 1);

/// The loopback device's number in every network namespace.
pub(super) const LOOPBACK: u32 = 1;

/// Larger than any single read the kernel makes of a dump.
const READ_BYTES: usize = 64 * 1024;

/// How often a dump is begun anew because something changed meanwhile.
const DUMPS_MAX: usize = 10;

/// `VETH_INFO_PEER` of linux/veth.h, which libc does not name.
const VETH_INFO_PEER: u16 = 1;

/// A socket of the network namespace it was opened in.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one that is told of these news, or of none.
    pub(super) fn open(news: u32) -> io::Result<Netlink> {
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, news))?;
        Ok(Netlink(socket))
    }

    /// Takes the news that have come, whatever they are; those that were lost count as well.
    pub(super) fn take_news(&self) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut take = || rustix::net::recv(&self.0, &mut buffer, RecvFlags::DONTWAIT).map(drop);
        while matches!(take(), Ok(()) | Err(rustix::io::Errno::NOBUFS)) {}
    }

    /// Brings a device up, with packets of at most `mtu` bytes where that is given.
    pub(super) fn raise(&self, device: u32, mtu: Option<u32>) -> io::Result<()> {
        let mut request = Message::of(libc::RTM_NEWLINK, 0).link(device, libc::IFF_UP.cast_unsigned());
        if let Some(mtu) = mtu {
            request.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
        }
        self.order(request)
    }

    /// The number of the device of that name, if there is one.
    pub(super) fn device(&self, name: &str) -> io::Result<Option<u32>> {
        let mut request = Message::of(libc::RTM_GETLINK, 0).link(0, 0);
        request.name(name);
        match self.ask(request) {
            Ok(answers) => Ok(answers.iter().find_map(|(_, body)| message::number_at(body, 4))),
            Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Makes a pair of devices, the second in another namespace.
    pub(super) fn add_pair(&self, name: &str, other: &str, namespace: BorrowedFd<'_>) -> io::Result<()> {
        let created = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut request = Message::of(libc::RTM_NEWLINK, created).link(0, 0);
        request.name(name);
        request.nested(libc::IFLA_LINKINFO, |info| {
            info.attribute(libc::IFLA_INFO_KIND, b"veth");
            info.nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |peer| {
                    peer.0.extend_from_slice(&[0; LINK_HEAD]);
                    peer.name(other);
                    peer.attribute(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
                });
            });
        });
        self.order(request)
    }

    /// Gives a device an address, to be used at once.
    pub(super) fn add_address(&self, device: u32, subnet: Subnet) -> io::Result<()> {
        let mut request = Message::of(libc::RTM_NEWADDR, libc::NLM_F_CREATE);
        let no_duplicate_search = u8::try_from(libc::IFA_F_NODAD).expect("0x02");
        request.0.extend_from_slice(&[message::family(subnet.address), subnet.bits, no_duplicate_search, 0]);
        request.0.extend_from_slice(&device.to_ne_bytes());
        request.address(libc::IFA_LOCAL, subnet.address);
        request.address(libc::IFA_ADDRESS, subnet.address);
        self.order(request)
    }

    /// Adds a route; one that is there already stays.
    pub(super) fn add_route(&self, to: Subnet, way: Way) -> io::Result<()> {
        match self
            .order(Message::of(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_EXCL).route(to, way))
        {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            added => added,
        }
    }

    /// Takes a route away.
    pub(super) fn remove_route(&self, to: Subnet, way: Way) -> io::Result<()> {
        self.order(Message::of(libc::RTM_DELROUTE, 0).route(to, way))
    }

    /// All routes, of all tables and both families.
    pub(super) fn routes(&self) -> io::Result<Vec<Route>> {
        let mut changed = io::Error::from(io::ErrorKind::Interrupted);
        for _ in 0..DUMPS_MAX {
            let mut request = Message::of(libc::RTM_GETROUTE, libc::NLM_F_DUMP);
            request.0.extend_from_slice(&[0; ROUTE_HEAD]);
            match self.ask(request) {
                Ok(answers) => {
                    return Ok(answers.iter().filter_map(|(_, body)| message::route(body)).collect());
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => changed = cause,
                Err(cause) => return Err(cause),
            }
        }
        Err(changed)
    }

    fn order(&self, request: Message) -> io::Result<()> {
        self.ask(request).map(drop)
    }

    /// Sends a request and gathers what comes until its acknowledgement, or a dump's end.
    fn ask(&self, request: Message) -> io::Result<Vec<(u16, Vec<u8>)>> {
        rustix::net::send(&self.0, &request.finished(), SendFlags::empty())?;
        let mut buffer = vec![0; READ_BYTES];
        let (mut answers, mut changed) = (Vec::new(), false);
        loop {
            let (length, _) = rustix::net::recv(&self.0, &mut *buffer, RecvFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some(part) = Part::take(&mut rest) {
                changed |= part.flags & DUMP_CHANGED != 0;
                match i32::from(part.kind) {
                    libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                        part.result()?;
                        return if changed { Err(io::ErrorKind::Interrupted.into()) } else { Ok(answers) };
                    }
                    _ => answers.push((part.kind, part.body.to_vec())),
                }
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        let netlink = Netlink::open(0).unwrap();
        assert_eq!(netlink.device("lo").unwrap(), Some(LOOPBACK));
        assert_eq!(netlink.device("no-such-device").unwrap(), None);
        let own = Route { to: Subnet::v4(127, 0, 0, 1, 32), is_own: true };
        assert!(netlink.routes().unwrap().contains(&own));
    }
}
