//! How a request says which trigger it is for: by path, or by host name as in the cloud.

use std::net::IpAddr;

use crate::http::head::Head;
use crate::http::request::Peer;
use crate::model::trigger::Kind;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// A function's own URL.
    Url {
        /// What it is known by.
        id: &'a str,
        /// The rest of the path, which begins with a slash.
        path: &'a str,
    },
    /// An API of the gateway.
    Api {
        /// The service.
        service: &'a str,
        /// The environment.
        environment: &'a str,
        /// The rest of the path.
        path: &'a str,
    },
}

/// Environments of a service (triggers 1.4).
const ENVIRONMENTS: [&str; 3] = ["release", "test", "prepub"];

impl<'a> Way<'a> {
    /// The way of a request; none where it is for another door. By host first: there every path is the function's.
    pub(super) fn of(head: &'a Head, appid: &str) -> Option<Way<'a>> {
        Way::by_host(head, appid).or_else(|| Way::by_path(head.path()))
    }

    /// Which kind of trigger is meant.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Way::Url { .. } => Kind::Http,
            Way::Api { .. } => Kind::Apigw,
        }
    }

    /// The path as the function is told it.
    pub(super) fn path(&self) -> &'a str {
        match self {
            Way::Url { path, .. } | Way::Api { path, .. } => path,
        }
    }

    fn by_path(path: &'a str) -> Option<Way<'a>> {
        if let Some(rest) = path.strip_prefix("/url/") {
            let (id, path) = cut(rest);
            return Some(Way::Url { id, path });
        }
        let (service, rest) = cut(path.strip_prefix("/apigw/")?);
        let (environment, path) = cut(&rest[1..]);
        Some(Way::Api { service, environment, path })
    }

    /// `<service>-<appid>.…` and `<appid>-<url id>.…`.
    fn by_host(head: &'a Head, appid: &str) -> Option<Way<'a>> {
        let label = head.header_text("host")?.split('.').next()?;
        let cut_end = |label: &'a str| label.strip_suffix(appid)?.strip_suffix('-');
        let cut_start = |label: &'a str| label.strip_prefix(appid)?.strip_prefix('-');
        if let Some(id) = cut_start(label) {
            return Some(Way::Url { id, path: head.path() });
        }
        let service = cut_end(label)?;
        let (first, path) = cut(head.path().get(1..)?);
        if ENVIRONMENTS.contains(&first) {
            return Some(Way::Api { service, environment: first, path });
        }
        // A domain of one's own may leave it out.
        Some(Way::Api { service, environment: ENVIRONMENTS[0], path: head.path() })
    }
}

/// Whether a request came to a host that is not its function's alone, so that what it answers would be of one origin with this
/// server's own pages and other functions'.
pub(super) fn shares_its_host(head: &Head, appid: &str) -> bool {
    Way::by_host(head, appid).is_none()
}

/// What is before the first slash, and the rest with it; a slash where there is none.
fn cut(path: &str) -> (&str, &str) {
    path.find('/').map_or((path, "/"), |at| path.split_at(at))
}

/// Whether the client is in a network of one's own.
pub(super) fn is_near(peer: Peer) -> bool {
    let Peer::Tcp(address) = peer else { return true };
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, host: &str, expected: &str) {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = Head::parse(text.as_bytes()).unwrap();
        let found = match Way::of(&head, "125") {
            None => "none".to_owned(),
            Some(Way::Url { id, path }) => format!("url {id} {path}"),
            Some(Way::Api { service, environment, path }) => format!("api {service} {environment} {path}"),
        };
        assert_eq!(found, expected, "{host}{path}");
    }

    #[test]
    fn paths_and_hosts_lead_to_triggers() {
        check("/url/abc", "box", "url abc /");
        check("/url/abc/", "box", "url abc /");
        check("/url/abc/x/y?z=1", "box", "url abc /x/y");
        check("/apigw/s/release/user/7", "box", "api s release /user/7");
        check("/apigw/s/test", "box", "api s test /");
        check("/apigw/s", "box", "api s  /");
        check("/tango", "125-abc.ap-guangzhou.tencentscf.com", "url abc /tango");
        check("/release/user", "service-1-125.gz.apigw.tencentcs.com", "api service-1 release /user");
        check("/user", "service-1-125.gz.apigw.tencentcs.com:9980", "api service-1 release /user");
        check("/", "service-1-125", "api service-1 release /");
        check("/url/foo", "125-abc.x", "url abc /url/foo");
        check("/apigw/x/y", "service-1-125.x", "api service-1 release /apigw/x/y");
        for (path, host) in [("/v1/functions", "box"), ("/", "126-abc.x"), ("/urls", "box"), ("/", "s-126.x")]
        {
            check(path, host, "none");
        }
    }

    #[test]
    fn networks_of_ones_own_are_near() {
        for (address, near) in [
            ("127.0.0.1:1", true),
            ("10.1.2.3:1", true),
            ("[::ffff:192.168.0.1]:1", true),
            ("[fd00::1]:1", true),
            ("192.0.2.1:1", false),
            ("[2001:db8::1]:1", false),
        ] {
            assert_eq!(is_near(Peer::Tcp(address.parse().unwrap())), near, "{address}");
        }
    }
}
