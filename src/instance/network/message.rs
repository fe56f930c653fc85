//! The messages of rtnetlink(7) as bytes, as far as networks are built and watched with them. Pure. Numbers are in the host's
//! order; what is cut short is nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MESSAGE_HEAD: usize = 16;
pub(super) const ROUTE_HEAD: usize = 12;
pub(super) const LINK_HEAD: usize = 16;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Subnet {
    pub(super) address: IpAddr,
    pub(super) bits: u8,
}

impl Subnet {
    pub(super) const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Subnet {
        Subnet { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    pub(super) const fn v6(address: Ipv6Addr, bits: u8) -> Subnet {
        Subnet { address: IpAddr::V6(address), bits }
    }

    /// Every address of the family.
    pub(super) fn all_of(family: IpAddr) -> Subnet {
        match family {
            IpAddr::V4(_) => Subnet::v4(0, 0, 0, 0, 0),
            IpAddr::V6(_) => Subnet::v6(Ipv6Addr::UNSPECIFIED, 0),
        }
    }

    pub(super) fn holds(self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let differs = bits(self.address) ^ bits(address);
        self.address.is_ipv4() == address.is_ipv4() && differs.leading_zeros() >= u32::from(self.bits)
    }
}

/// What a route does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They leave by this device, and are for whoever answers there.
    Out(u32),
    /// They go to this neighbour.
    Via(IpAddr),
    /// They are refused, and their sender is told.
    Prohibited,
}

/// A route of the host's, as far as anybody here cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) to: Subnet,
    /// To the host itself: one of its own addresses, a broadcast or an anycast address.
    pub(super) is_own: bool,
}

/// `NLM_F_DUMP_INTR`.
pub(super) const DUMP_CHANGED: u16 = 0x10;

/// A request while it is put together.
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn of(kind: u16, flags: i32) -> Message {
        let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).expect("flags have 16 bits");
        let mut bytes = vec![0; MESSAGE_HEAD];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Message(bytes)
    }

    pub(super) fn link(mut self, device: u32, flags: u32) -> Message {
        let numbers = [0, device, flags, flags];
        self.0.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        self
    }

    pub(super) fn route(mut self, to: Subnet, way: Way) -> Message {
        let (kind, scope) = match way {
            Way::Out(_) => (libc::RTN_UNICAST, libc::RT_SCOPE_LINK),
            Way::Via(_) => (libc::RTN_UNICAST, libc::RT_SCOPE_UNIVERSE),
            Way::Prohibited => (libc::RTN_PROHIBIT, libc::RT_SCOPE_UNIVERSE),
        };
        let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_STATIC);
        self.0.extend_from_slice(&[
            family(to.address),
            to.bits,
            0,
            0,
            table,
            protocol,
            scope,
            kind,
            0,
            0,
            0,
            0,
        ]);
        self.address(libc::RTA_DST, to.address);
        match way {
            Way::Out(device) => self.attribute(libc::RTA_OIF, &device.to_ne_bytes()),
            Way::Via(neighbour) => self.address(libc::RTA_GATEWAY, neighbour),
            Way::Prohibited => {}
        }
        self
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nested(kind, |attribute| attribute.0.extend_from_slice(value));
    }

    /// An attribute that `fill` writes the value of.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.0.len() - start).expect("requests are short");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(super) fn name(&mut self, name: &str) {
        self.attribute(libc::IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat());
    }

    pub(super) fn address(&mut self, kind: u16, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.attribute(kind, &v4.octets()),
            IpAddr::V6(v6) => self.attribute(kind, &v6.octets()),
        }
    }

    pub(super) fn finished(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("requests are short");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// One message of an answer.
pub(super) struct Part<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) body: &'a [u8],
}

impl<'a> Part<'a> {
    pub(super) fn take(rest: &mut &'a [u8]) -> Option<Part<'a>> {
        let length = number_at(rest, 0)? as usize;
        let part = rest.get(..length).filter(|part| part.len() >= MESSAGE_HEAD)?;
        *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let short = |at: usize| u16::from_ne_bytes([part[at], part[at + 1]]);
        Some(Part { kind: short(4), flags: short(6), body: &part[MESSAGE_HEAD..] })
    }

    /// What an acknowledgement or a dump's end says.
    pub(super) fn result(&self) -> io::Result<()> {
        match number_at(self.body, 0).map_or(0, u32::cast_signed) {
            0 => Ok(()),
            negative => Err(io::Error::from_raw_os_error(-negative)),
        }
    }
}

/// What a route message (rtnetlink(7)) says; `None` for one that is of no concern, such as multicast.
pub(super) fn route(body: &[u8]) -> Option<Route> {
    let head = body.first_chunk::<ROUTE_HEAD>()?;
    let is_own = match head[7] {
        libc::RTN_UNICAST => false,
        libc::RTN_LOCAL | libc::RTN_BROADCAST | libc::RTN_ANYCAST => true,
        _ => return None,
    };
    let destination = attributes(&body[ROUTE_HEAD..]).find(|(kind, _)| *kind == libc::RTA_DST);
    let address = match (i32::from(head[0]), destination) {
        (libc::AF_INET, None) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        (libc::AF_INET6, None) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        (libc::AF_INET, Some((_, value))) => IpAddr::from(<[u8; 4]>::try_from(value).ok()?),
        (libc::AF_INET6, Some((_, value))) => IpAddr::from(<[u8; 16]>::try_from(value).ok()?),
        _ => return None,
    };
    Some(Route { to: Subnet { address, bits: head[1] }, is_own })
}

fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d] = *rest.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}

pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).expect("2 and 10")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_length_and_padded_attributes() {
        let mut message = Message::of(libc::RTM_NEWLINK, 0).link(7, 0);
        message.name("net0");
        let bytes = message.finished();
        assert_eq!(bytes.len(), MESSAGE_HEAD + LINK_HEAD + 12);
        assert_eq!(number_at(&bytes, 0), Some(44));
        assert_eq!(attributes(&bytes[32..]).collect::<Vec<_>>(), [(libc::IFLA_IFNAME, &b"net0\0"[..])]);
    }

    #[test]
    fn routes_are_read_as_they_are_written() {
        let to = Subnet::v4(169, 254, 0, 0, 16);
        let sent = |way| Message::of(libc::RTM_NEWROUTE, 0).route(to, way).finished();
        assert_eq!(route(&sent(Way::Out(3))[MESSAGE_HEAD..]), Some(Route { to, is_own: false }));
        assert_eq!(route(&sent(Way::Prohibited)[MESSAGE_HEAD..]), None);
        for cut in 0..30 {
            // What is cut short is nothing, never a panic.
            let _ = route(&sent(Way::Out(3))[MESSAGE_HEAD..][..cut.min(28)]);
        }
    }

    #[test]
    fn a_subnet_holds_what_begins_like_it() {
        let link_local = Subnet::v4(169, 254, 0, 0, 16);
        assert!(link_local.holds("169.254.169.254".parse().unwrap()));
        assert!(!link_local.holds("169.255.0.1".parse().unwrap()));
        assert!(!link_local.holds("::ffff:169.254.0.1".parse().unwrap()));
        let link_local = Subnet::v6("fe80::".parse().unwrap(), 10);
        assert!(
            link_local.holds("febf::1".parse().unwrap()) && !link_local.holds("fec0::1".parse().unwrap())
        );
        assert!(Subnet::all_of(link_local.address).holds("2001:db8::1".parse().unwrap()));
    }
}
