//! Links to archives, as the cloud gives them: whoever has one may fetch, for an hour, without a key.
//!
//! A link holds until the server that gave it ends, at the longest: what it is signed with is in memory only.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::api::Parts;
use crate::base::hex;
use crate::http::head::Head;
use crate::http::response::Response;
use crate::model::function::Digest;

/// How links begin; what follows is the archive's digest.
const PATH: &str = "/download/";
/// How long one holds.
const VALID_S: i64 = 3600;

/// What links are signed with.
pub(super) struct Links([u8; 32]);

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// Whether a path is that of a link.
pub(super) fn is_link(path: &str) -> bool {
    path.starts_with(PATH)
}

impl Links {
    pub(super) fn new(secret: [u8; 32]) -> Links {
        Links(secret)
    }

    /// A link to the archive of that digest, for a caller who found us at `host`.
    pub(super) fn to(&self, host: &str, package: &Digest, now_us: i64) -> String {
        let until_s = now_us / 1_000_000 + VALID_S;
        let origin = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
        format!("{origin}{PATH}{package}?until={until_s}&signature={}", self.sign(package, until_s))
    }

    /// Follows a link.
    pub(super) fn follow(&self, parts: &Parts, head: &Head) -> Response {
        let now_s = parts.clock.wall_us() / 1_000_000;
        let Some(package) = self.package(head, now_s) else {
            return Response::text(403, "the link does not hold any more; ask for another one");
        };
        match parts.store.package(package) {
            Ok(Some(archive)) => {
                Response::new(200).with_header("Content-Type", "application/zip").with_bytes(archive)
            }
            Ok(None) => Response::text(404, "the archive was deleted"),
            Err(error) => {
                log::error!("an archive cannot be given: {error:#}");
                Response::text(500, "the archive cannot be read")
            }
        }
    }

    /// The archive that a link is to, where it holds.
    fn package(&self, head: &Head, now_s: i64) -> Option<Digest> {
        let package = Digest::parse(head.path().strip_prefix(PATH)?)?;
        let (until, signature) = head.query()?.strip_prefix("until=")?.split_once("&signature=")?;
        let until_s: i64 = until.parse().ok()?;
        let holds = until_s >= now_s && self.is_signed(&package, until_s, signature);
        holds.then_some(package)
    }

    fn sign(&self, package: &Digest, until_s: i64) -> String {
        hex::encode(&self.mac(package, until_s).finalize().into_bytes())
    }

    fn is_signed(&self, package: &Digest, until_s: i64, signature: &str) -> bool {
        let Some(given) = Digest::parse(signature) else { return false };
        self.mac(package, until_s).verify_slice(&given.0).is_ok()
    }

    fn mac(&self, package: &Digest, until_s: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(format!("{package} {until_s}").as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> Head {
        Head::parse(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn a_link_holds_for_an_hour_and_for_one_archive() {
        let links = Links::new([1; 32]);
        let package = Digest([7; 32]);
        let link = links.to("127.0.0.1:9980", &package, 1_000_000_000);
        assert!(link.starts_with("http://127.0.0.1:9980/download/0707"), "{link}");
        let target = link.strip_prefix("http://127.0.0.1:9980").unwrap();
        assert_eq!(links.package(&head(target), 4600), Some(package));
        assert_eq!(links.package(&head(target), 4601), None);
        assert_eq!(Links::new([2; 32]).package(&head(target), 1000), None);
        for changed in
            [target.replace("07", "08"), target.replace("until=4", "until=5"), target.replace('?', "?x=1&")]
        {
            assert_eq!(links.package(&head(&changed), 1000), None, "{changed}");
        }
    }
}
