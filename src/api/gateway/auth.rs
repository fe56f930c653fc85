//! Who may call: key pairs of the API gateway (`Authorization: hmac id="…", algorithm="hmac-sha1", headers="x-date source",
//! signature="…"`, over lines `name: value` of the headers that it names), and signatures of the cloud's API on function URLs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use crate::api::Parts;
use crate::api::gateway::answer::Refusal;
use crate::api::signing;
use crate::api::tencent::sign;
use crate::http::head::Head;
use crate::http::request::Peer;
use crate::model::key::Scope;

/// How far a signature's date may be from ours, seconds: what the gateway allows.
const VALID_S: i64 = 15 * 60;

/// Whose key pair signed a request to the gateway.
pub(super) fn signer(parts: &Parts, head: &Head, peer: Peer) -> Result<String, Refusal> {
    let text = head.header_text("authorization");
    let text =
        text.ok_or_else(|| Refusal::unsigned("Authorization is missing: the API wants a signature"))?;
    let claim = Claim::parse(text)?;
    claim.check_date(head, parts.clock.wall_us() / 1_000_000)?;
    let (secret, scope) = signing::known(&|id| parts.keys.signing(id), claim.id);
    let expected = STANDARD.encode(signing::hmac_sha1(secret.as_bytes(), claim.signed(head)?.as_bytes()));
    let is_right = bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes()));
    match scope {
        Some(scope) if is_right => allowed(scope).map(|()| claim.id.to_owned()),
        _ => Err(counted(parts, peer, "HMAC signature does not match")),
    }
}

/// Checks the signature of a request to a function's own URL.
pub(super) fn check_url(parts: &Parts, head: &Head, body: Option<&[u8]>, peer: Peer) -> Result<(), Refusal> {
    let secret_of = |id: &str| parts.keys.signing(id);
    let now_s = parts.clock.wall_us() / 1_000_000;
    match sign::verify_url(head, body.unwrap_or_default(), &secret_of, now_s) {
        Ok(signed) => allowed(signed.scope),
        Err(fault) if fault.is_guess() => Err(counted(parts, peer, &fault.message)),
        Err(fault) => Err(Refusal::unsigned(fault.message)),
    }
}

/// Whether the key that a request to a signed URL claims is there; the rest is known once its body is.
pub(super) fn check_claim(parts: &Parts, head: &Head, peer: Peer) -> Result<(), Refusal> {
    match sign::claimed_id(head) {
        None => Err(Refusal::unsigned("the URL wants a signature: TC3-HMAC-SHA256, in Authorization")),
        Some(id) if parts.keys.signing(id).is_none() => Err(counted(parts, peer, "nobody has that SecretId")),
        Some(_) => Ok(()),
    }
}

fn allowed(scope: Scope) -> Result<(), Refusal> {
    if scope >= Scope::Invoke { Ok(()) } else { Err(Refusal::scope()) }
}

/// Counts who guesses, and tells him to wait once it is too much.
fn counted(parts: &Parts, peer: Peer, sentence: &str) -> Refusal {
    parts.failures.count(peer).map_or_else(|| Refusal::unsigned(sentence), Refusal::too_many)
}

/// What is in `Authorization`.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    id: &'a str,
    headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(text: &'a str) -> Result<Claim<'a>, Refusal> {
        let wrong = || {
            Refusal::unsigned(
                "Authorization must be hmac id=\"ID\", algorithm=\"hmac-sha1\", headers=\"x-date\", signature=\"BASE64\"",
            )
        };
        let rest = text.strip_prefix("hmac ").ok_or_else(wrong)?;
        let names = ["id", "algorithm", "headers", "signature"];
        let [id, algorithm, headers, signature] = signing::values(rest, names).ok_or_else(wrong)?;
        let bare = |value: &'a str| {
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).ok_or_else(wrong)
        };
        let (id, headers, signature) = (bare(id)?, bare(headers)?, bare(signature)?);
        if bare(algorithm)? != "hmac-sha1" {
            return Err(wrong());
        }
        Ok(Claim { id, headers: headers.split_ascii_whitespace().collect(), signature })
    }

    /// The date must be signed, and near enough to ours, so that nobody can send the request again for ever.
    fn check_date(&self, head: &Head, now_s: i64) -> Result<(), Refusal> {
        let named =
            self.headers.iter().find(|name| ["x-date", "date"].contains(&name.to_ascii_lowercase().as_str()));
        let date = named.and_then(|name| head.header_text(name));
        let date = date.ok_or_else(|| Refusal::unsigned("the signature must cover X-Date or Date"))?;
        let at_s = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(date)
            .map_err(|_| Refusal::unsigned("the date must be like Mon, 19 Mar 2018 12:08:40 GMT"))?
            .as_second();
        if at_s.abs_diff(now_s) > VALID_S.unsigned_abs() {
            return Err(Refusal::unsigned("the signature's date is more than 15 minutes from this server's"));
        }
        Ok(())
    }

    /// What is signed. A header that is named must be there, once.
    fn signed(&self, head: &Head) -> Result<String, Refusal> {
        let mut lines = Vec::new();
        for name in &self.headers {
            let mut values = head.headers().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let (Some((_, value)), None) = (values.next(), values.next()) else {
                return Err(Refusal::unsigned(format!("the signed header {name} must be there once")));
            };
            lines.push(format!("{}: {}", name.to_ascii_lowercase(), String::from_utf8_lossy(value)));
        }
        Ok(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_strictly() {
        let good = r#"hmac id="AKID1", algorithm="hmac-sha1", headers="x-date source", signature="c2ln""#;
        let claim = Claim::parse(good).unwrap();
        assert_eq!(claim, Claim { id: "AKID1", headers: vec!["x-date", "source"], signature: "c2ln" });
        for bad in [
            "",
            "hmac",
            "Bearer x",
            r#"hmac id="a", algorithm="hmac-md5", headers="x-date", signature="c""#,
            r#"hmac id="a", headers="x-date", signature="c""#,
            r#"hmac id="a", id="b", algorithm="hmac-sha1", headers="x-date", signature="c""#,
            r#"hmac id=a, algorithm="hmac-sha1", headers="x-date", signature="c""#,
        ] {
            assert!(Claim::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_date_must_be_signed_and_near() {
        let head = |date: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Date: {date}\r\n\r\n");
            Head::parse(text.as_bytes()).unwrap()
        };
        let claim = Claim { id: "a", headers: vec!["X-Date"], signature: "" };
        let now = head("Mon, 19 Mar 2018 12:08:40 GMT");
        assert!(claim.check_date(&now, 1_521_461_320).is_ok());
        assert!(claim.check_date(&now, 1_521_461_320 + 901).is_err());
        assert!(claim.check_date(&head("yesterday"), 1_521_461_320).is_err());
        assert!(Claim { headers: vec!["host"], ..claim }.check_date(&now, 1_521_461_320).is_err());
        let claim = Claim { id: "a", headers: vec!["X-Date", "host"], signature: "" };
        assert_eq!(claim.signed(&now).unwrap(), "x-date: Mon, 19 Mar 2018 12:08:40 GMT\nhost: h");
    }
}
