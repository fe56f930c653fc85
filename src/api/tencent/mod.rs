//! TencentCloud API 3.0: functions managed and called as in the cloud, by its own SDKs and tools with another endpoint.
//!
//! A request goes: form to parameters ([`asked`]) → signature ([`sign`]) → action ([`actions`], one table) → one function of a
//! noun's file → envelope. `scf` is served whole, but for what a single host cannot mean, which is refused with a sentence; of
//! `cls` there is the search of logs.
//!
//! # What must stay true
//!
//! * Every answer, also a refusal, is HTTP 200 with `Content-Type: application/json` exactly, and has a RequestId: the SDKs
//!   insist on it (contract 7.4).
//! * Nothing is done for a request before its signature is known to be right and its key to suffice.
//! * Events and results go through as the bytes they are; an event comes as a JSON string whose text it is.
//! * What is not served is refused, never taken and left undone.

mod account;
pub mod actions;
mod aliases;
mod asked;
mod call;
mod cls;
mod concurrency;
mod config;
mod describe;
mod download;
mod events;
pub(in crate::api) mod fault;
mod functions;
mod invoke;
mod layers;
mod logs;
mod namespaces;
mod params;
mod replays;
pub(in crate::api) mod sign;
mod times;
mod trigger_desc;
mod triggers;
mod versions;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::Parts;
use crate::api::tencent::actions::{Action, Answers};
use crate::api::tencent::asked::Asked;
use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::replays::Replays;
use crate::base::id::RequestId;
use crate::http::Handler;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::Response;
use crate::model::key::Scope;

/// The largest body: a package of 50 MB in base64, and the rest of its JSON.
const BODY_BYTES_MAX: u64 = 75 * 1024 * 1024;

/// The door.
pub struct Tencent {
    parts: Arc<Parts>,
    replays: Replays,
    links: download::Links,
}

impl fmt::Debug for Tencent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tencent").finish_non_exhaustive()
    }
}

impl Tencent {
    /// A door before `parts`.
    pub fn new(parts: Arc<Parts>) -> Tencent {
        let links = download::Links::new(parts.ids.secret());
        Tencent { parts, replays: Replays::default(), links }
    }

    /// Whether a request is for this door: its path is `/`, and it names an action or sends a form; or it follows a link that
    /// this door gave.
    pub fn is_meant(head: &Head) -> bool {
        asked::is_meant(head) || download::is_link(head.path())
    }

    fn serve(&self, head: &Head, body: &[u8], peer: Peer) -> Result<Reply, Fault> {
        let asked = Asked::read(head, body)?;
        let scope = self.admit(head, body, peer, &asked)?;
        let action = actions::find(&asked.action, &asked.version)?;
        if scope < action.scope {
            return Err(Fault::new(
                "AuthFailure.UnauthorizedOperation",
                format!(
                    "{} needs a key of scope {}, this one has {}",
                    action.name,
                    action.scope.as_str(),
                    scope.as_str()
                ),
            ));
        }
        let host = head.header_text("host").unwrap_or_default();
        let call = Call { parts: &self.parts, links: &self.links, params: &asked.params, host };
        match action.answers {
            Answers::Served(serve) => serve(&call),
            Answers::Refused(why) => {
                Err(Fault::new("UnsupportedOperation", format!("{} is not served here: {why}", action.name)))
            }
        }
    }

    /// Checks the signature; what its key may do.
    fn admit(&self, head: &Head, body: &[u8], peer: Peer, asked: &Asked) -> Result<Scope, Fault> {
        let now_us = self.parts.clock.wall_us();
        let secret_of = |id: &str| self.parts.keys.signing(id);
        let signed = sign::verify(head, body, &secret_of, now_us / 1_000_000);
        let signed = signed.map_err(|fault| self.counted(fault, peer))?;
        if Action::changes(&asked.action) {
            self.replays.check(&asked.action, &signed.signature, now_us)?;
        }
        Ok(signed.scope)
    }

    /// Counts who guesses: a fault that says so becomes one that tells them to wait.
    fn counted(&self, fault: Fault, peer: Peer) -> Fault {
        if !fault.is_guess() {
            return fault;
        }
        match self.parts.failures.count(peer) {
            None => fault,
            Some(wait_s) => {
                let sentence = format!("too many requests with wrong signatures; try again in {wait_s} s");
                Fault::new("RequestLimitExceeded", sentence)
            }
        }
    }

    fn respond(&self, served: Result<Reply, Fault>) -> Response {
        let request_id = self.parts.ids.request_id(self.parts.clock.wall_us());
        match served {
            Ok(reply) => {
                envelope(reply.fields, reply.request_id.as_ref().unwrap_or(&request_id), reply.after)
            }
            Err(fault) => {
                fault.log(&request_id);
                let error = json!({ "Code": fault.code, "Message": fault.message });
                envelope(Map::from_iter([("Error".to_owned(), error)]), &request_id, None)
            }
        }
    }
}

/// Reads a request, head and body as they came, and checks its signature against a key that everybody knows, at the very time that
/// it names; whether it was right. For the fuzzer, which wants no server.
pub fn probe(request: &[u8]) -> bool {
    const KEY: (&str, &str) = ("AKIDtest", "secrettest");
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let (head, body) = request.split_at(end + 4);
    let Ok(head) = Head::parse(head) else { return false };
    let at_s = head.header_text("x-tc-timestamp").and_then(|text| text.parse().ok()).unwrap_or_default();
    let secret_of = |id: &str| (id == KEY.0).then(|| (KEY.1.to_owned(), Scope::Read));
    let is_read = Asked::read(&head, body).is_ok();
    is_read && sign::verify(&head, body, &secret_of, at_s).is_ok()
}

/// The one shape of every answer.
fn envelope(
    mut fields: Map<String, Value>,
    request_id: &RequestId,
    after: Option<Box<dyn FnOnce() + Send>>,
) -> Response {
    fields.insert("RequestId".to_owned(), request_id.as_str().into());
    let bytes = serde_json::to_vec(&json!({ "Response": fields })).expect("what was JSON becomes JSON");
    let response = Response::new(200).with_header("Content-Type", "application/json").with_bytes(bytes);
    match after {
        Some(after) => response.with_after(after),
        None => response,
    }
}

impl Handler for Tencent {
    /// The signature covers the body, so nothing can be said before it is here but whether the key is known.
    fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response> {
        match sign::claimed_id(head) {
            Some(id) if self.parts.keys.signing(id).is_none() => {
                Err(self.respond(Err(self.counted(Fault::unknown_id(), peer))))
            }
            Some(_) => Ok(BODY_BYTES_MAX),
            // A form carries its key within; it is small.
            None => Ok(asked::FORM_BYTES_MAX),
        }
    }

    fn refusal(&self, status: u16, sentence: &'static str) -> Response {
        let code = match status {
            413 | 414 | 431 => "RequestSizeLimitExceeded",
            429 | 503 => "RequestLimitExceeded",
            500 => "InternalError",
            _ => "InvalidRequest",
        };
        self.respond(Err(Fault::new(code, sentence)))
    }

    fn handle(&self, request: Request) -> Response {
        let Request { head, body, peer, .. } = request;
        if download::is_link(head.path()) {
            return self.links.follow(&self.parts, &head);
        }
        let body = match body.into_bytes() {
            Ok(body) => body,
            Err(error) => return self.respond(Err(Fault::from(error))),
        };
        self.respond(self.serve(&head, &body, peer))
    }
}
