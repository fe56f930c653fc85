//! Signatures of COS: HMAC-SHA1 over method, path, and the headers and parameters that the signature itself names, in a header or
//! among the parameters (triggers 2.4).
//!
//! # What must stay true
//!
//! * What is signed is what came: the decoded path, header values as they were sent. Clients sign the host with its port or
//!   without it; both are tried.
//! * Comparisons take the same time wherever they fail, and an id that is nobody's costs as much as one that is.
//! * A signature goes no further than this file. It is good for hours and covers no body: whoever reads it could send other
//!   bytes with it.

use sha1::{Digest as _, Sha1};
use subtle::{Choice, ConstantTimeEq};

use crate::api::objects::asked::Asked;
use crate::api::objects::fault::Fault;
use crate::api::signing::{Host, SecretOf, hmac_sha1, known};
use crate::base::{hex, percent};
use crate::http::head::Head;
use crate::model::key::Scope;

/// How far a clock that signs may be ahead of ours, seconds (triggers 2.4).
const SKEW_S: i64 = 15 * 60;

/// A signature that was right.
#[derive(Debug)]
pub(super) struct Signed {
    /// What its key may do.
    pub(super) scope: Scope,
    /// The header it came in, without the signature itself; empty where it came among the parameters.
    pub(super) authorization: String,
}

/// What a signature says of itself.
#[derive(Debug, Default)]
struct Claim {
    id: String,
    sign_time: String,
    key_time: String,
    headers: String,
    params: String,
    signature: String,
}

/// Checks the signature of a request that came at `now_s`, seconds since the epoch.
pub(super) fn verify(
    head: &Head,
    asked: &Asked,
    secret_of: SecretOf<'_>,
    now_s: i64,
) -> Result<Signed, Fault> {
    let authorization = head.header_text("authorization").unwrap_or_default();
    let claim = if authorization.is_empty() {
        let pairs = asked.params.iter().filter(|(name, _)| name.starts_with("q-"));
        Claim::read(pairs.map(|(name, value)| (name.as_str(), value.as_str())))?
    } else {
        Claim::read(authorization.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))))?
    };
    check_time(&claim.sign_time, now_s)?;
    check_time(&claim.key_time, now_s)?;
    let (secret, scope) = known(secret_of, &claim.id);
    let is_right = claim.is_right(head, asked, &secret);
    match scope {
        None => {
            Err(Fault::new(403, "InvalidAccessKeyId", "The Access Key Id does not exist, or was revoked."))
        }
        Some(scope) if is_right => Ok(Signed { scope, authorization: unsigned(authorization) }),
        Some(_) => {
            let sentence = "The signature is not that of this request. Check the key, and what of the request was signed.";
            Err(Fault::new(403, "SignatureDoesNotMatch", sentence))
        }
    }
}

/// What a header says of who signed and when, as it came, without what was signed.
fn unsigned(authorization: &str) -> String {
    let is_told = |pair: &&str| pair.split('=').next() != Some("q-signature");
    authorization.split('&').filter(is_told).collect::<Vec<_>>().join("&")
}

impl Claim {
    fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Claim, Fault> {
        let (mut claim, mut algorithm, mut is_there) = (Claim::default(), "", false);
        for (name, value) in pairs {
            is_there = true;
            let place = match name {
                "q-sign-algorithm" => {
                    algorithm = value;
                    continue;
                }
                "q-ak" => &mut claim.id,
                "q-sign-time" => &mut claim.sign_time,
                "q-key-time" => &mut claim.key_time,
                "q-header-list" => &mut claim.headers,
                "q-url-param-list" => &mut claim.params,
                "q-signature" => &mut claim.signature,
                _ => continue,
            };
            value.clone_into(place);
        }
        match (is_there, algorithm) {
            (true, "sha1") => Ok(claim),
            (true, _) => Err(Fault::new(403, "AccessDenied", "q-sign-algorithm must be sha1.")),
            (false, _) => Err(Fault::new(403, "AccessDenied", "The request must be signed.")),
        }
    }

    fn is_right(&self, head: &Head, asked: &Asked, secret: &str) -> bool {
        let sign_key = hex::encode(&hmac_sha1(secret.as_bytes(), self.key_time.as_bytes()));
        let params = listed(&self.params, |wanted| {
            let same = |(name, _): &&(String, String)| percent::encode(name).eq_ignore_ascii_case(wanted);
            asked.params.iter().find(same).map(|(_, value)| value.clone())
        });
        let mut is_right = Choice::from(0);
        for host in hosts(head) {
            let headers = listed(&self.headers, |wanted| match wanted {
                "host" => Some(host.to_owned()),
                wanted => head.header_text(wanted).map(str::to_owned),
            });
            let (Some(params), Some(headers)) = (&params, headers) else { return false };
            let method = head.method().as_str().to_ascii_lowercase();
            let request = format!("{method}\n{}\n{params}\n{headers}\n", asked.path);
            let to_sign = format!("sha1\n{}\n{}\n", self.sign_time, hex::encode(&Sha1::digest(request)));
            let expected = hex::encode(&hmac_sha1(sign_key.as_bytes(), to_sign.as_bytes()));
            is_right |= expected.as_bytes().ct_eq(self.signature.as_bytes());
        }
        bool::from(is_right)
    }
}

/// Names and values of what a list names, in the order of the names; none where one is not there.
fn listed(list: &str, value_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut pairs = Vec::new();
    for name in list.split(';').filter(|name| !name.is_empty()) {
        let name = name.to_ascii_lowercase();
        let value = percent::encode(&value_of(&name)?);
        pairs.push((name, value));
    }
    pairs.sort();
    let texts: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(texts.join("&"))
}

/// Everything that a client may have signed as the host that it sent.
fn hosts(head: &Head) -> Vec<&str> {
    let Host { sent, portless, .. } = Host::of(head);
    if sent == portless { vec![sent] } else { vec![sent, portless] }
}

/// Whether we are within a time such as `1763949940;1763960000`.
fn check_time(text: &str, now_s: i64) -> Result<(), Fault> {
    let times = text.split_once(';').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let Some((from_s, to_s)): Option<(i64, i64)> = times else {
        let sentence = "q-sign-time and q-key-time must be two times in seconds since 1970: FROM;TO.";
        return Err(Fault::new(403, "AccessDenied", sentence));
    };
    if now_s > to_s {
        return Err(Fault::new(403, "AccessDenied", "Request has expired"));
    }
    if now_s < from_s.saturating_sub(SKEW_S) {
        let sentence = format!("The signature is good from {from_s}; this server's clock says {now_s}.");
        return Err(Fault::new(403, "RequestTimeTooSkewed", sentence));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AKIDedgeexample";
    const TIME: &str = "1763949940;1763960000";
    const NOW_S: i64 = 1_763_950_000;
    const HOST: &str = "photos-1300000001.cos.ap-guangzhou.myqcloud.com";

    fn authorization(headers: &str, params: &str, signature: &str) -> String {
        format!(
            "q-sign-algorithm=sha1&q-ak={ID}&q-sign-time={TIME}&q-key-time={TIME}&q-header-list={headers}&q-url-param-list={params}&q-signature={signature}"
        )
    }

    fn check(head: &str, now_s: i64, expected: Result<Scope, &str>) {
        let parsed = Head::parse(head.as_bytes()).unwrap();
        let asked = Asked::read(&parsed, true).unwrap();
        let secret_of = |id: &str| (id == ID).then(|| ("edge-secret-key".to_owned(), Scope::Invoke));
        let found = verify(&parsed, &asked, &secret_of, now_s);
        assert_eq!(found.map(|signed| signed.scope).map_err(|fault| fault.code), expected, "{head}");
    }

    fn put(signature: &str) -> String {
        let authorization = authorization("content-length;content-type;host;x-cos-meta-site", "", signature);
        format!(
            "PUT /in/cat%2001.jpg HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nContent-Type: image/jpeg\r\nx-cos-meta-site: plant 2\r\nAuthorization: {authorization}\r\n\r\n"
        )
    }

    fn list(query: &str, host: &str) -> String {
        format!("GET /?{query} HTTP/1.1\r\nHost: {host}\r\n")
    }

    const PUT: &str = "bbda8042c3d0b189c483b0c148c8b4c384fffb39";
    const LIST: &str = "e5b7f2b837f9cb767321ae9069a21bd30b329955";

    #[test]
    fn the_sdks_own_signatures_are_right() {
        assert_eq!(
            hex::encode(&hmac_sha1(b"edge-secret-key", TIME.as_bytes())),
            "e540193a6a987af58e8ce0399c726fcd97eca74d"
        );
        check(&put(PUT), NOW_S, Ok(Scope::Invoke));
        let signed =
            format!("Authorization: {}\r\n\r\n", authorization("host", "delimiter;max-keys;prefix", LIST));
        for host in [HOST.to_owned(), format!("{HOST}:9500")] {
            let head = list("prefix=in%2F&delimiter=/&max-keys=10&encoding-type=url", &host) + &signed;
            check(&head, NOW_S, Ok(Scope::Invoke));
        }
    }

    /// Functions are given the header, and records keep it.
    #[test]
    fn a_signature_is_not_handed_on() {
        let secret_of = |_: &str| Some(("edge-secret-key".to_owned(), Scope::Invoke));
        let told = |head: &str| {
            let parsed = Head::parse(head.as_bytes()).unwrap();
            let asked = Asked::read(&parsed, true).unwrap();
            verify(&parsed, &asked, &secret_of, NOW_S).unwrap().authorization
        };
        let whole = authorization("content-length;content-type;host;x-cos-meta-site", "", PUT);
        let rest = whole.strip_suffix(&format!("&q-signature={PUT}")).unwrap();
        assert_eq!(told(&put(PUT)), rest);
        let first = format!("q-signature={PUT}&{rest}");
        assert_eq!(told(&put(PUT).replace(&whole, &first)), rest);
        // The last of two is the one that counts here, and neither is told.
        let twice = format!("q-signature=x&{whole}");
        assert_eq!(told(&put(PUT).replace(&whole, &twice)), rest);
        let query = authorization("host", "delimiter;max-keys;prefix", LIST).replace(';', "%3B");
        assert_eq!(
            told(&(list(&format!("{query}&prefix=in/&delimiter=%2F&max-keys=10"), HOST) + "\r\n")),
            ""
        );
    }

    #[test]
    fn they_may_come_among_the_parameters() {
        let query = authorization("host", "delimiter;max-keys;prefix", LIST).replace(';', "%3B");
        let head = list(&format!("{query}&prefix=in/&delimiter=%2F&max-keys=10"), HOST) + "\r\n";
        check(&head, NOW_S, Ok(Scope::Invoke));
    }

    #[test]
    fn what_was_changed_is_refused() {
        let wrong = Err("SignatureDoesNotMatch");
        check(&put(PUT).replace("cat%2001", "cat%2002"), NOW_S, wrong);
        check(&put(PUT).replace("plant 2", "plant 3"), NOW_S, wrong);
        check(&put(PUT).replace("x-cos-meta-site: plant 2\r\n", ""), NOW_S, wrong);
        check(&put(PUT).replace(HOST, "other-1300000001.cos.ap-guangzhou.myqcloud.com"), NOW_S, wrong);
        check(&put(PUT).replacen("PUT", "DELETE", 1), NOW_S, wrong);
        check(&put(&PUT[1..]), NOW_S, wrong);
        check(&put(""), NOW_S, wrong);
        check(&put(PUT).replace(ID, "AKIDnobody"), NOW_S, Err("InvalidAccessKeyId"));
        check(&put(PUT).replace("=sha1", "=md5"), NOW_S, Err("AccessDenied"));
        check(&put(PUT).replace("q-key-time=1763949940;", "q-key-time="), NOW_S, Err("AccessDenied"));
        check(&(list("", HOST) + "\r\n"), NOW_S, Err("AccessDenied"));
        check(&(list("", HOST) + "Authorization: \r\n\r\n"), NOW_S, Err("AccessDenied"));
    }

    #[test]
    fn a_signature_has_its_time() {
        for (now_s, expected) in [
            (1_763_949_940 - SKEW_S, Ok(Scope::Invoke)),
            (1_763_949_939 - SKEW_S, Err("RequestTimeTooSkewed")),
            (1_763_960_000, Ok(Scope::Invoke)),
            (1_763_960_001, Err("AccessDenied")),
        ] {
            check(&put(PUT), now_s, expected);
        }
    }
}
