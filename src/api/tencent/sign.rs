//! Signatures: TC3-HMAC-SHA256, and the older one over all parameters (contract 7.2, 7.3).
//!
//! # What must stay true
//!
//! * What is signed is what came: the raw query string, the bytes of the body, header values as they were sent.
//! * Comparisons take the same time wherever they fail, and an id that is nobody's costs as much as one that is.
//! * Clients sign different things as the host: with the port, without it, or a whole URL. Each that the Host header can mean
//!   is tried; the service is what the credential scope says, because some SDKs make it up from the endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::tz::Offset;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tiny_http::Method;

use crate::api::signing::{self, Host, SecretOf, hmac_sha1, known};
use crate::api::tencent::asked;
use crate::api::tencent::fault::Fault;
use crate::base::hex;
use crate::http::head::Head;
use crate::model::key::Scope;

/// How far a signature's time may be from ours, seconds (contract 7.1).
pub(super) const VALID_S: i64 = 300;

/// How the newer signature is named.
const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// A signature that was right.
#[derive(Debug)]
pub(in crate::api) struct Signed {
    /// What its key may do.
    pub(in crate::api) scope: Scope,
    /// The signature itself.
    pub(super) signature: String,
}

/// The public half that a request claims in its head; none where it would be among the parameters.
pub(in crate::api) fn claimed_id(head: &Head) -> Option<&str> {
    Credential::parse(head.header_text("authorization")?).ok().map(|credential| credential.id)
}

/// Checks the signature of a request that came at `now_s`, seconds since the epoch.
pub(super) fn verify(head: &Head, body: &[u8], secret_of: SecretOf<'_>, now_s: i64) -> Result<Signed, Fault> {
    if asked::has_common_parameters_within(head) {
        verify_pairs(head, body, secret_of, now_s)
    } else {
        verify_headers(head, body, secret_of, now_s, &["/"])
    }
}

/// Checks the signature of a request to a function's own URL, which is the newer one. The cloud signs every request as one of `/`;
/// there are clients that sign the path, as its products with paths of their own want it: either will do.
pub(in crate::api) fn verify_url(
    head: &Head,
    body: &[u8],
    secret_of: SecretOf<'_>,
    now_s: i64,
) -> Result<Signed, Fault> {
    verify_headers(head, body, secret_of, now_s, &["/", head.path()])
}

/// What is in `Authorization`.
#[derive(Debug, PartialEq, Eq)]
struct Credential<'a> {
    id: &'a str,
    date: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Credential<'a> {
    fn parse(text: &'a str) -> Result<Credential<'a>, Fault> {
        let wrong = || {
            let sentence = "Authorization must be TC3-HMAC-SHA256 Credential=ID/DATE/SERVICE/tc3_request, \
                            SignedHeaders=content-type;host, Signature=HEX";
            Fault::new("AuthFailure.InvalidAuthorization", sentence)
        };
        let rest = text.strip_prefix(ALGORITHM).ok_or_else(wrong)?;
        let [credential, headers, signature] =
            signing::values(rest, ["Credential", "SignedHeaders", "Signature"]).ok_or_else(wrong)?;
        let mut parts = credential.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or_else(wrong);
        let (id, date, service, end) = (next()?, next()?, next()?, next()?);
        if end != "tc3_request" || parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Credential { id, date, service, signed_headers: headers.split(';').collect(), signature })
    }
}

fn verify_headers(
    head: &Head,
    body: &[u8],
    secret_of: SecretOf<'_>,
    now_s: i64,
    paths: &[&str],
) -> Result<Signed, Fault> {
    let text = head.header_text("authorization");
    let text = text.ok_or_else(|| Fault::missing("AuthFailure.InvalidAuthorization", "Authorization"))?;
    let credential = Credential::parse(text)?;
    let at_s = time(head.header_text("x-tc-timestamp").unwrap_or_default(), now_s)?;
    if date_of(at_s) != credential.date {
        return Err(Fault::new(
            "AuthFailure.SignatureFailure",
            "The date of the Credential is not that of the Timestamp.",
        ));
    }
    check_signed_headers(head, &credential.signed_headers)?;
    let (secret, scope) = known(secret_of, credential.id);
    let scope_text = format!("{}/{}/tc3_request", credential.date, credential.service);
    let key = {
        let dated = hmac(format!("TC3{secret}").as_bytes(), credential.date.as_bytes());
        hmac(&hmac(&dated, credential.service.as_bytes()), b"tc3_request")
    };
    // Once: it may be the body of a large package.
    let body_hash = body_hash(head, body);
    let mut is_right = subtle::Choice::from(0);
    let hosts = hosts(head);
    for (path, host) in paths.iter().flat_map(|path| hosts.iter().map(move |host| (*path, host))) {
        for lowered in [false, true] {
            let names = &credential.signed_headers;
            // Who signs a path of his own signs all of the target; of the API's one path only GET has a query that counts.
            let has_query = path != "/" || *head.method() == Method::Get;
            let target = (path, if has_query { head.query().unwrap_or_default() } else { "" });
            let request = canonical(head, target, &body_hash, names, host, lowered);
            let to_sign =
                format!("{ALGORITHM}\n{at_s}\n{scope_text}\n{}", hex::encode(&Sha256::digest(request)));
            let expected = hex::encode(&hmac(&key, to_sign.as_bytes()));
            is_right |= expected.as_bytes().ct_eq(credential.signature.as_bytes());
        }
    }
    judge(bool::from(is_right), scope, credential.signature)
}

/// Both the type of the content and the host must be signed, and a header that is signed must be there, once.
fn check_signed_headers(head: &Head, signed: &[&str]) -> Result<(), Fault> {
    let wrong = |sentence: String| Err(Fault::new("AuthFailure.InvalidAuthorization", sentence));
    let needs_type = *head.method() != Method::Get;
    if !signed.contains(&"host") || (needs_type && !signed.contains(&"content-type")) {
        return wrong("SignedHeaders must have content-type and host.".to_owned());
    }
    for name in signed {
        let count = head.headers().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
        if count != 1 || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return wrong(format!("The signed header {name} must be there once, and named in lower case."));
        }
    }
    Ok(())
}

fn body_hash(head: &Head, body: &[u8]) -> String {
    let is_unsigned = head.header_text("x-tc-content-sha256") == Some("UNSIGNED-PAYLOAD");
    hex::encode(&if is_unsigned { Sha256::digest(b"UNSIGNED-PAYLOAD") } else { Sha256::digest(body) })
}

/// The canonical request (contract 7.2), with `host` for the host.
fn canonical(
    head: &Head,
    (path, query): (&str, &str),
    body_hash: &str,
    signed: &[&str],
    host: &str,
    lowered: bool,
) -> Vec<u8> {
    let mut text: Vec<u8> = head.method().as_str().as_bytes().to_vec();
    text.push(b'\n');
    text.extend_from_slice(path.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(query.as_bytes());
    text.push(b'\n');
    for name in signed {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        let value = if *name == "host" { host.as_bytes() } else { head.header(name).unwrap_or_default() };
        match lowered {
            true => text.extend(value.to_ascii_lowercase()),
            false => text.extend_from_slice(value),
        }
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(signed.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(body_hash.as_bytes());
    text
}

/// Everything that a client may have signed as the host that it sent.
fn hosts(head: &Head) -> Vec<&str> {
    let Host { sent, bare, portless } = Host::of(head);
    let mut hosts: Vec<&str> = Vec::new();
    for host in [sent, bare, portless] {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The older signature: everything that is sent but the signature itself, sorted, not escaped.
fn verify_pairs(head: &Head, body: &[u8], secret_of: SecretOf<'_>, now_s: i64) -> Result<Signed, Fault> {
    let mut pairs = asked::pairs(head, body)?;
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let needed = |name: &str| value(name).ok_or_else(|| Fault::missing("MissingParameter", name));
    let (id, signature) = (needed("SecretId")?, needed("Signature")?);
    let method = value("SignatureMethod").unwrap_or_else(|| "HmacSHA1".to_owned());
    time(&needed("Timestamp")?, now_s)?;
    if !["HmacSHA1", "HmacSHA256"].contains(&method.as_str()) {
        let sentence = "SignatureMethod must be HmacSHA1 or HmacSHA256.";
        return Err(Fault::new("AuthFailure.InvalidAuthorization", sentence));
    }
    pairs.retain(|(name, _)| name != "Signature");
    pairs.sort();
    let (secret, scope) = known(secret_of, &id);
    let mut is_right = subtle::Choice::from(0);
    for dotted in [false, true] {
        let named = |name: &str| if dotted { name.replace('_', ".") } else { name.to_owned() };
        let texts: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={value}", named(name))).collect();
        for host in hosts(head) {
            let source = format!("{}{host}/?{}", head.method().as_str(), texts.join("&"));
            let expected = STANDARD.encode(match method.as_str() {
                "HmacSHA256" => hmac(secret.as_bytes(), source.as_bytes()).to_vec(),
                _ => hmac_sha1(secret.as_bytes(), source.as_bytes()),
            });
            is_right |= expected.as_bytes().ct_eq(signature.as_bytes());
        }
    }
    judge(bool::from(is_right), scope, &signature)
}

fn judge(is_right: bool, scope: Option<Scope>, signature: &str) -> Result<Signed, Fault> {
    match scope {
        None => Err(Fault::unknown_id()),
        Some(scope) if is_right => Ok(Signed { scope, signature: signature.to_owned() }),
        Some(_) => Err(Fault::new(
            "AuthFailure.SignatureFailure",
            "The provided credentials could not be validated. Please check your signature is correct.",
        )),
    }
}

/// The time of a request, seconds since the epoch, if it is near enough to ours.
fn time(text: &str, now_s: i64) -> Result<i64, Fault> {
    let at_s: i64 =
        text.parse().map_err(|_| Fault::new("InvalidParameter", "Timestamp must be seconds since 1970."))?;
    if at_s.abs_diff(now_s) > VALID_S.unsigned_abs() {
        let sentence = format!(
            "Your request timestamp {at_s} is more than five minutes from this server's {now_s}. Check the clocks."
        );
        return Err(Fault::new("AuthFailure.SignatureExpire", sentence));
    }
    Ok(at_s)
}

/// The UTC date of an instant.
fn date_of(at_s: i64) -> String {
    let instant = Timestamp::from_second(at_s).unwrap_or_default();
    Offset::UTC.to_datetime(instant).strftime("%Y-%m-%d").to_string()
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
