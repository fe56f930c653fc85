//! The object storage's door: the XML API of COS, as its own SDKs speak it (triggers 2.4).
//!
//! A request goes: host and path to bucket and key ([`asked`]) → operation ([`ops`], one table) → signature ([`sign`]) → one
//! function of a family's file → headers that every answer has. On the main address a request is for this door if its host is
//! `<bucket>.cos.<anything>` or `service.cos.<anything>`; a listener of its own serves nothing else, and there `<bucket>.<any
//! name of this host>` does, too.
//!
//! # What must stay true
//!
//! * Nothing is done for a request, and none of its body taken, before its signature is known to be right and its key to
//!   suffice. The signature does not cover the body, so that is known when the head is here.
//! * Every answer has `x-cos-request-id` and `Server: tencent-cos`, and every refusal a body whose fields are all there: the SDK
//!   takes anything else for a broken one.
//! * What is not served is refused, never taken and left undone: a parameter or a header that promises something is served, or
//!   it is `NotImplemented`.

mod asked;
mod buckets;
mod call;
mod conditions;
mod fault;
mod listing;
mod one;
mod ops;
mod said;
mod sign;
mod times;
mod uploads;
mod xml;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::Parts;
use crate::api::objects::asked::Asked;
use crate::api::objects::call::Call;
use crate::api::objects::fault::Fault;
use crate::api::objects::ops::Op;
use crate::api::objects::sign::Signed;
use crate::http::Handler;
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::Response;
use crate::service::objects::event::Asker;

/// The door.
pub struct Objects {
    parts: Arc<Parts>,
    /// Whether it has a listener of its own.
    is_alone: bool,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("is_alone", &self.is_alone).finish_non_exhaustive()
    }
}

impl Objects {
    /// A door before `parts` that shares its address with others.
    pub fn new(parts: Arc<Parts>) -> Objects {
        Objects { parts, is_alone: false }
    }

    /// A door that has an address of its own.
    pub fn alone(parts: Arc<Parts>) -> Objects {
        Objects { parts, is_alone: true }
    }

    /// Whether a request is for this door where it shares its address.
    pub fn is_meant(head: &Head) -> bool {
        asked::is_meant(asked::host(head))
    }

    /// What is asked for, if whoever asks may.
    fn admit(&self, head: &Head, peer: Peer) -> Result<(Asked, &'static Op, Signed), Fault> {
        let asked = Asked::read(head, self.is_alone)?;
        let op = ops::find(head.method(), &asked)?;
        let secret_of = |id: &str| self.parts.keys.signing(id);
        let now_s = self.parts.clock.wall_us().div_euclid(1_000_000);
        let signed =
            sign::verify(head, &asked, &secret_of, now_s).map_err(|fault| self.counted(fault, peer))?;
        if signed.scope < op.scope {
            let sentence = format!(
                "this needs a key of scope {}, the one that signed has {}",
                op.scope.as_str(),
                signed.scope.as_str()
            );
            return Err(Fault::new(403, "AccessDenied", sentence));
        }
        Ok((asked, op, signed))
    }

    /// Counts who guesses: a fault that says so becomes one that tells them to wait.
    fn counted(&self, fault: Fault, peer: Peer) -> Fault {
        if !["SignatureDoesNotMatch", "InvalidAccessKeyId"].contains(&fault.code) {
            return fault;
        }
        match self.parts.failures.count(peer) {
            None => fault,
            Some(wait_s) => {
                let sentence = format!("too many requests with wrong signatures; try again in {wait_s} s");
                Fault::new(429, "RequestLimitExceeded", sentence)
            }
        }
    }

    fn serve(&self, head: &Head, body: Body, peer: Peer, request_id: &str) -> Result<Response, Fault> {
        let (asked, op, signed) = self.admit(head, peer)?;
        let asker = Asker {
            request_id: request_id.to_owned(),
            source_ip: peer.address(),
            authorization: signed.authorization,
        };
        (op.serve)(Call { objects: &self.parts.objects, head, asked, body, asker })
    }

    /// An id as the cloud's: the time and what makes it unique, in base64.
    fn request_id(&self) -> String {
        let now_us = self.parts.clock.wall_us();
        let id = self.parts.ids.request_id(now_us);
        let unique = id.as_str().rsplit('-').next().unwrap_or_default();
        STANDARD.encode(format!("{:08x}_{unique}_{:03x}", now_us / 1_000_000, now_us % 1_000))
    }

    fn respond(served: Result<Response, Fault>, request_id: String, resource: &str) -> Response {
        let response = served.unwrap_or_else(|fault| fault.answer(resource, &request_id));
        response.with_header("Server", "tencent-cos").with_header("x-cos-request-id", request_id)
    }
}

impl Handler for Objects {
    fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response> {
        match self.admit(head, peer) {
            Ok((_, op, _)) => Ok(op.body_max),
            Err(fault) => Err(Objects::respond(Err(fault), self.request_id(), head.path())),
        }
    }

    /// Parts are joined, and parts copied, at the speed of the disk.
    fn is_patient(&self, head: &Head) -> bool {
        head.query().is_some_and(|query| query.contains("uploadId="))
            && (*head.method() == tiny_http::Method::Post || head.header("x-cos-copy-source").is_some())
    }

    fn refusal(&self, status: u16, sentence: &'static str) -> Response {
        let code = match status {
            413 => "EntityTooLarge",
            408 => "RequestTimeout",
            429 | 503 => "SlowDown",
            500 => "InternalError",
            _ => "InvalidRequest",
        };
        Objects::respond(Err(Fault::new(status, code, sentence)), self.request_id(), "/")
    }

    fn handle(&self, request: Request) -> Response {
        let Request { head, body, peer, .. } = request;
        let request_id = self.request_id();
        let served = self.serve(&head, body, peer, &request_id);
        Objects::respond(served, request_id, head.path())
    }
}
