//! REST, version 1: the JSON API of this product, and what monitoring wants to know.
//!
//! A request goes: path and method ([`routes`], one table) → key ([`auth`]) → query parameters (only those of the
//! table) → one function of a noun's file → [`answer`]. The OpenAPI document ([`openapi`]) is made from the same table,
//! and a test walks it, so a route cannot be undocumented and a documented one cannot be missing.
//!
//! # What must stay true
//!
//! * Nothing is done for a request before its key is known to suffice. Only what says nothing about the functions is
//!   open: health, readiness and version.
//! * Every refusal is `{"error":{"code","message","request_id"}}`. What went wrong underneath goes to the log, under that
//!   request id, and never to the caller.
//! * Events and results are the bytes that came. They are never parsed into a tree and written again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tiny_http::Method;

use crate::api::Parts;
use crate::api::auth::{self, Caller};
use crate::api::rest::answer::Refused;
use crate::api::rest::call::Call;
use crate::api::rest::query::Query;
use crate::api::rest::route::{Access, Found, Route, Verb};
use crate::http::Handler;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::Response;
use crate::model::key::Scope;

mod answer;
mod appliance;
mod call;
pub mod check;
mod concurrency;
mod dead_letters;
mod event_config;
mod event_templates;
mod events_s3;
mod fields;
pub(in crate::api) mod functions;
mod gauges;
mod instant;
mod invocations;
mod invoke;
mod keys;
mod layers;
mod logs;
mod metrics;
mod namespaces;
mod openapi;
mod params;
mod query;
pub(in crate::api) mod route;
mod routes;
mod sign_in_links;
pub mod sql;
mod tail;
#[cfg(test)]
mod tests;
mod trigger_spec;
mod triggers;
mod versions;

/// The door.
pub struct Rest {
    parts: Arc<Parts>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Rest {
    /// A door before `parts`.
    pub fn new(parts: Arc<Parts>) -> Rest {
        Rest { parts }
    }

    /// Serves whoever shows a key, or somebody of whom it is known already what he may do.
    fn serve(&self, request: Request, known: Option<Caller>) -> Result<Response, Refused> {
        let Request { head, body, peer, line, .. } = request;
        let (route, parts) = find(&head)?;
        let caller = match known {
            Some(caller) => allowed(route, caller)?,
            None => self.admit(route, &head, peer)?,
        };
        let mut parts = parts.into_iter().map(query::decode);
        let mut next = || parts.next().transpose().map(Option::unwrap_or_default);
        let (part, second) = (next()?, next()?);
        let query = Query::parse(head.query().unwrap_or_default(), route.query)?;
        let call = Call { caller, part, second, query, head, body, line };
        // Also where it does not matter: a name that no namespace can have is a mistake everywhere.
        call.namespace()?;
        Ok((route.handle)(self, call)?)
    }

    /// The answer to a request of somebody whom another door has let in.
    pub(in crate::api) fn answer_as(&self, caller: Caller, request: Request) -> Response {
        self.serve(request, Some(caller)).unwrap_or_else(|refused| self.refuse(refused))
    }

    /// The most bytes of body such a request may carry, or the answer where it will not be served; as
    /// [`before_body`](Handler::before_body).
    pub(in crate::api) fn body_max_for(&self, head: &Head, caller: Caller) -> Result<u64, Response> {
        let (route, _) = find(head).map_err(|refused| self.refuse(refused))?;
        allowed(route, caller).map_err(|refused| self.refuse(refused))?;
        Ok(route.body_max)
    }

    /// Who asks, if he may use `route`.
    fn admit(&self, route: &Route, head: &Head, peer: Peer) -> Result<Caller, Refused> {
        match route.access {
            Access::Open => Ok(Caller::by_place(Scope::Read)),
            Access::Needs(_) => allowed(route, self.caller(head, peer)?),
        }
    }

    fn caller(&self, head: &Head, peer: Peer) -> Result<Caller, Refused> {
        if matches!(peer, Peer::Unix { .. }) && !self.parts.socket_needs_key {
            return Ok(Caller::by_place(Scope::Admin));
        }
        let Some(secret) = auth::secret(head) else { return Err(Refused::no_key()) };
        match Caller::by_key(&self.parts, secret) {
            Some(caller) => Ok(caller),
            None => Err(self.parts.failures.count(peer).map_or_else(Refused::wrong_key, Refused::too_many)),
        }
    }

    fn refuse(&self, refused: Refused) -> Response {
        refused.answer(&self.parts.ids.request_id(self.parts.clock.wall_us()))
    }

    fn is_stopping(&self) -> bool {
        self.parts.stopping.load(Ordering::Relaxed)
    }
}

/// That caller, if he may use `route`.
fn allowed(route: &Route, caller: Caller) -> Result<Caller, Refused> {
    match route.access {
        Access::Needs(needed) if caller.scope < needed => Err(Refused::scope(needed)),
        Access::Needs(_) | Access::Open => Ok(caller),
    }
}

/// The route that a head asks for, and the variable parts of its path.
fn find(head: &Head) -> Result<(&'static Route, Vec<&str>), Refused> {
    match route::find(head.method(), head.path()) {
        Found::Route(route, parts) => Ok((route, parts)),
        Found::OtherMethods(allow) => Err(Refused::method(allow)),
        Found::Nothing => Err(Refused::no_such_path()),
    }
}

impl Handler for Rest {
    /// Path and key are looked at here already, so that nobody without a key has us take a package. [`Rest::serve`] looks
    /// again: the key may be revoked while the body comes.
    fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response> {
        let (route, _) = find(head).map_err(|refused| self.refuse(refused))?;
        self.admit(route, head, peer).map_err(|refused| self.refuse(refused))?;
        Ok(route.body_max)
    }

    /// Who waits for an invocation's end or follows the log may wait for long; a search may look at much, and a statement
    /// of SQL compute for long.
    fn is_patient(&self, head: &Head) -> bool {
        invocations::waits(head) || logs::takes_long(head) || tail::is_asked(head) || sql::is_asked(head)
    }

    fn refusal(&self, status: u16, sentence: &'static str) -> Response {
        self.refuse(Refused::by_the_front(status, sentence))
    }

    fn handle(&self, request: Request) -> Response {
        self.serve(request, None).unwrap_or_else(|refused| self.refuse(refused))
    }
}

impl Verb {
    /// The verb of a request; HEAD is GET here, and the transport leaves the body out.
    fn of(method: &Method) -> Option<Verb> {
        match method {
            Method::Get | Method::Head => Some(Verb::Get),
            Method::Post => Some(Verb::Post),
            Method::Put => Some(Verb::Put),
            Method::Delete => Some(Verb::Delete),
            _ => None,
        }
    }
}
