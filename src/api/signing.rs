//! What signatures have in common at every door that takes them, whatever it is that they sign.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::http::head::Head;
use crate::model::key::Scope;

/// Finds the secret half of a public one, and what its holder may do.
pub(super) type SecretOf<'a> = &'a dyn Fn(&str) -> Option<(String, Scope)>;

/// The secret of that id; one that nobody has for an id that nobody has, so that the same work follows.
pub(super) fn known(secret_of: SecretOf<'_>, id: &str) -> (String, Option<Scope>) {
    match secret_of(id) {
        Some((secret, scope)) => (secret, Some(scope)),
        None => (String::new(), None),
    }
}

/// The values of `name=value, name=value, …`, in the order of `names`; none unless each of them is there once, and nothing else.
pub(super) fn values<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut found = [None; N];
    for part in text.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        let at = names.iter().position(|known| *known == name)?;
        if found[at].replace(value).is_some() {
            return None;
        }
    }
    let mut values = [""; N];
    for (place, value) in values.iter_mut().zip(found) {
        *place = value?;
    }
    Some(values)
}

/// HMAC-SHA1 (RFC 2104).
pub(super) fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key may have any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// The host of a request in the forms that clients take for it, some of which may be the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    /// As it was sent: some send a whole URL.
    pub(super) sent: &'a str,
    /// Without a scheme, and without a slash at the end.
    pub(super) bare: &'a str,
    /// Without the port, either.
    pub(super) portless: &'a str,
}

impl<'a> Host<'a> {
    /// That of a request.
    pub(super) fn of(head: &'a Head) -> Host<'a> {
        let sent = head.header_text("host").unwrap_or_default();
        let bare = sent.split_once("://").map_or(sent, |(_, rest)| rest).trim_end_matches('/');
        let portless = match bare.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
                name
            }
            _ => bare,
        };
        Host { sent, bare, portless }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_there_once_each() {
        let names = ["id", "signature"];
        assert_eq!(values("id=a, signature=b=", names), Some(["a", "b="]));
        assert_eq!(values("signature=b,id=a", names), Some(["a", "b"]));
        for bad in ["", "id=a", "id=a,id=b,signature=c", "id=a,signature=b,x=c", "id=a,signature"] {
            assert_eq!(values(bad, names), None, "{bad}");
        }
    }

    #[test]
    fn a_host_has_three_forms() {
        for (sent, bare, portless) in [
            ("a.example", "a.example", "a.example"),
            ("a.example:80", "a.example:80", "a.example"),
            ("https://a.example:443/", "a.example:443", "a.example"),
            ("[::1]:80", "[::1]:80", "[::1]"),
            ("::1", "::1", "::1"),
        ] {
            let head = Head::parse(format!("GET / HTTP/1.1\r\nHost: {sent}\r\n\r\n").as_bytes()).unwrap();
            let host = Host::of(&head);
            assert_eq!((host.sent, host.bare, host.portless), (sent, bare, portless));
        }
    }
}
