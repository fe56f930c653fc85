//! Requests that run functions: function URLs at `/url/{id}/…` and the API gateway at `/apigw/{service}/{environment}/…`, or both by
//! host name as in the cloud (D29). Who sends them is no user of this server, but of the functions.
//!
//! A request goes: way ([`ways`]) → trigger (`trigger::http::routes`) → who may ([`auth`], [`cors`]) → event → run → response.
//!
//! # What must stay true
//!
//! * The function is told of the client only what the server knows; what it answers cannot end a header.
//! * Whatever goes wrong, the answer is of the door that was knocked at: gateway and URL each have their own words for it.
//! * Where functions share a host with the console, browsers are told to keep them apart.
//! * What has come of it is counted for the trigger, and what ran has a record under the id that the client was told.

mod answer;
mod auth;
mod cors;
mod waiting;
mod ways;

use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::api::Parts;
use crate::api::gateway::answer::{Manner, Refusal};
use crate::api::gateway::cors::Shared;
use crate::api::gateway::waiting::Waiting;
use crate::api::gateway::ways::Way;
use crate::base::id::RequestId;
use crate::http::Handler;
use crate::http::head::{BodyLength, Head};
use crate::http::request::{Peer, Request};
use crate::http::response::{Header, Response};
use crate::model::alias::{RoutingKey, is_number};
use crate::model::function::LATEST;
use crate::model::invocation::{Record, Source};
use crate::model::limits;
use crate::model::trigger::{Kind, Placed};
use crate::service::invoke::{Finished, Order};
use crate::trigger::http::event::{self, Asked};
use crate::trigger::http::reply::{self, Reply};
use crate::trigger::http::routes::{Api, Found, Routes, Url};

/// What browsers are told of an answer at a host that functions share with this server's own pages: whatever it is, it is of no
/// origin, so that no script of a function can ask the console for anything. At a host of its own a page is whole.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts allow-top-navigation-by-user-activation";

/// Whether a browser asks for something that a page of this server's origin would run or be styled by. Functions' pages have no
/// origin here, so it would be a page of the console, which has nothing of theirs.
fn is_for_our_pages(head: &Head) -> bool {
    let dest = head.header_text("sec-fetch-dest").unwrap_or_default();
    let is_run = ["script", "style", "worker", "sharedworker", "serviceworker"].contains(&dest);
    is_run && head.header_text("sec-fetch-site") == Some("same-origin")
}

/// Whether a header would change what browsers keep for this server's own pages: their sessions' cookies.
fn is_ours(header: &Header) -> bool {
    let is = |name: &str| header.name.eq_ignore_ascii_case(name);
    (is("set-cookie") && header.value.trim_start().starts_with("fnlite")) || is("clear-site-data")
}

/// How the door behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The account's application id, which is part of host names.
    pub appid: String,
    /// How long the gateway waits for a function.
    pub patience: Duration,
}

/// The door.
pub struct Gateway {
    parts: Arc<Parts>,
    options: Options,
    /// What triggers there were when they had changed so often.
    routes: RwLock<(u64, Arc<Routes>)>,
    waiting: Waiting,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// A request that was let in.
struct Let<'a> {
    head: &'a Head,
    body: Option<&'a [u8]>,
    /// The path without what led here.
    path: &'a str,
    source_ip: &'a str,
    request_id: RequestId,
}

impl Gateway {
    /// A door before `parts`.
    pub fn new(parts: Arc<Parts>, options: Options) -> Gateway {
        Gateway { parts, options, routes: RwLock::default(), waiting: Waiting::default() }
    }

    /// Waits until the runs that this door has given up have ended.
    pub fn join(&self) {
        self.waiting.join();
    }

    /// Whether a request is for this door.
    pub fn is_meant(&self, head: &Head) -> bool {
        Way::of(head, &self.options.appid).is_some()
    }

    fn serve(&self, request: Request) -> Response {
        let Request { head, body, peer, .. } = request;
        let Some(way) = Way::of(&head, &self.options.appid) else { return Response::new(404) };
        let has_body = head.framing().length != BodyLength::Sized(0);
        let bytes = match body.into_bytes() {
            Ok(bytes) => bytes,
            Err(error) => return self.refuse(way.kind(), Refusal::from(error)),
        };
        let source_ip = peer.address();
        let request_id = self.request_id(way.kind());
        let asked = Let {
            head: &head,
            body: has_body.then_some(bytes.as_slice()),
            path: way.path(),
            source_ip: &source_ip,
            request_id,
        };
        let routes = match self.routes() {
            Ok(routes) => routes,
            Err(error) => return self.refuse(way.kind(), Refusal::from(error)),
        };
        match &way {
            Way::Url { id, .. } => match routes.url(id) {
                Some(url) => self.serve_url(url, asked, peer),
                None => self.refuse(Kind::Http, Refusal::nothing()),
            },
            Way::Api { service, environment, path } => {
                match asked_api(&routes, &head, service, environment, path) {
                    Found::Api(api, parts) => self.serve_api(api, parts, asked, peer),
                    Found::OtherMethods(methods) => self.refuse(Kind::Apigw, Refusal::method(&methods)),
                    Found::Nothing => self.refuse(Kind::Apigw, Refusal::nothing()),
                }
            }
        }
    }

    fn serve_url(&self, url: &Url, asked: Let<'_>, peer: Peer) -> Response {
        let shared = Shared::of(asked.head, url.http.cors.as_ref());
        if let Some(preflight) = shared.preflight() {
            return preflight;
        }
        let http = &url.http;
        let is_reached = http.extranet || (http.intranet && ways::is_near(peer));
        let admitted = match (is_reached, http.is_signed) {
            (false, _) => Err(Refusal::elsewhere()),
            (true, false) => Ok(()),
            (true, true) => auth::check_url(&self.parts, asked.head, asked.body, peer),
        };
        let answer = admitted.map_or_else(
            |refusal| self.refuse(Kind::Http, refusal),
            |()| {
                let event = event::url(&told(&asked));
                self.run(&url.placed, Source::Url, Manner::Url, event, asked)
            },
        );
        shared.over(answer)
    }

    fn serve_api(&self, api: &Api, parts: Vec<(String, String)>, asked: Let<'_>, peer: Peer) -> Response {
        let everybody = api.apigw.enables_cors.then(cors::everybody);
        let shared = Shared::of(asked.head, everybody.as_ref());
        if let Some(preflight) = shared.preflight() {
            return preflight;
        }
        let signer = match api.apigw.auth_required {
            false => Ok(None),
            true => auth::signer(&self.parts, asked.head, peer).map(Some),
        };
        let manner = if api.apigw.is_integrated { Manner::Integrated } else { Manner::PassedThrough };
        let answer = signer.map_or_else(
            |refusal| self.refuse(Kind::Apigw, refusal),
            |signer| {
                let event = event::apigw(&told(&asked), api, parts, signer.as_deref());
                self.run(&api.placed, Source::Apigw, manner, event, asked)
            },
        );
        shared.over(answer)
    }

    fn run(
        &self,
        placed: &Placed,
        source: Source,
        manner: Manner,
        event: Vec<u8>,
        asked: Let<'_>,
    ) -> Response {
        let routing_key = routing_key(&placed.trigger.qualifier, asked.head);
        let order = Order { routing_key, ..Order::of(placed, event, source) };
        let patience = (source == Source::Apigw).then_some(self.options.patience);
        let id = asked.request_id;
        match self.waiting.run(&self.parts.invoker, order, id.clone(), patience) {
            Ok(Some(finished)) => self.finished(placed, manner, finished),
            Ok(None) => {
                let refusal = Refusal::too_slow(self.options.patience);
                self.parts.triggers.fired(placed.id, Some(&refusal.sentence));
                answer::named(manner.kind(), refusal.answer(manner.kind(), &id), &id)
            }
            Err(error) => {
                self.parts.triggers.fired(placed.id, Some(&error.message));
                let refusal = Refusal::from(error).log(&id);
                answer::named(manner.kind(), refusal.answer(manner.kind(), &id), &id)
            }
        }
    }

    fn finished(&self, placed: &Placed, manner: Manner, finished: Finished) -> Response {
        let Finished { mut record, after } = finished;
        let result = std::mem::take(&mut record.result);
        let reply = replied(&record, manner, result);
        let wrong = match (&reply, record.status) {
            (Some(_), 200) => None,
            (None, 200) => Some(answer::MALFORMED),
            _ => Some(record.error.as_str()),
        };
        self.parts.triggers.fired(placed.id, wrong);
        let response = match reply {
            Some(reply) => answer::of(manner, record.status, reply),
            None => Refusal::malformed(manner.kind()).answer(manner.kind(), &record.request_id),
        };
        answer::named(manner.kind(), response, &record.request_id).with_after(after)
    }

    /// Whether a request may come with its body.
    fn check_head(&self, routes: &Routes, way: &Way<'_>, head: &Head, peer: Peer) -> Result<(), Refusal> {
        match way {
            Way::Url { id, .. } => {
                let url = routes.url(id).ok_or_else(Refusal::nothing)?;
                if url.http.is_signed { auth::check_claim(&self.parts, head, peer) } else { Ok(()) }
            }
            Way::Api { service, environment, path } => {
                match asked_api(routes, head, service, environment, path) {
                    Found::Api(api, _) if api.apigw.auth_required => {
                        auth::signer(&self.parts, head, peer).map(drop)
                    }
                    Found::Api(..) => Ok(()),
                    Found::OtherMethods(methods) => Err(Refusal::method(&methods)),
                    Found::Nothing => Err(Refusal::nothing()),
                }
            }
        }
    }

    /// What there is, as long as nothing has changed since it was read.
    fn known_routes(&self) -> Option<Arc<Routes>> {
        let generation = self.parts.triggers.changes().generation();
        let (known, routes) = &*self.routes.read().expect("no holder of this lock can panic");
        // The first reading is that of generation 0, which has no routes yet.
        (*known == generation + 1).then(|| Arc::clone(routes))
    }

    /// What there is now, read again where triggers have changed.
    fn routes(&self) -> crate::error::Result<Arc<Routes>> {
        if let Some(routes) = self.known_routes() {
            return Ok(routes);
        }
        let generation = self.parts.triggers.changes().generation();
        let mut triggers = self.parts.triggers.to_fire(Kind::Http)?;
        triggers.extend(self.parts.triggers.to_fire(Kind::Apigw)?);
        let routes = Arc::new(Routes::new(triggers));
        *self.routes.write().expect("no holder of this lock can panic") =
            (generation + 1, Arc::clone(&routes));
        Ok(routes)
    }

    fn refuse(&self, kind: Kind, refusal: Refusal) -> Response {
        let id = self.request_id(kind);
        answer::named(kind, refusal.log(&id).answer(kind, &id), &id)
    }

    /// Runs that come through the gateway have its ids, 32 digits without dashes.
    fn request_id(&self, kind: Kind) -> RequestId {
        let id = self.parts.ids.request_id(self.parts.clock.wall_us());
        if kind == Kind::Apigw { id.other_form() } else { id }
    }
}

/// The API that a request is for. One that asks leave for another request is for that one's, where it may be asked there.
fn asked_api<'a>(routes: &'a Routes, head: &Head, service: &str, environment: &str, path: &str) -> Found<'a> {
    if let Some(method) = cors::asked_method(head)
        && let found @ Found::Api(api, _) = &routes.api(service, environment, method, path)
        && api.apigw.enables_cors
    {
        return found.clone();
    }
    routes.api(service, environment, head.method().as_str(), path)
}

/// What the record's result becomes; none where the function returned what it must not.
fn replied(record: &Record, manner: Manner, result: Vec<u8>) -> Option<Reply> {
    match (record.status, manner) {
        (200, Manner::Integrated) => reply::integrated(&result),
        (200, Manner::Url) => reply::inferred(result),
        _ => Some(reply::passed_through(result)),
    }
}

fn told<'a>(asked: &'a Let<'a>) -> Asked<'a> {
    Asked {
        method: asked.head.method().as_str(),
        path: asked.path,
        query: asked.head.query(),
        headers: headers(asked.head),
        body: asked.body,
        source_ip: asked.source_ip,
        request_id: asked.request_id.as_str(),
    }
}

/// The headers, where an alias may send by them (contract 6.7).
fn routing_key(qualifier: &str, head: &Head) -> RoutingKey {
    if qualifier == LATEST || is_number(qualifier) {
        return RoutingKey::default();
    }
    RoutingKey(headers(head).into_iter().collect())
}

/// In order, as they came.
fn headers(head: &Head) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    head.headers().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

impl Handler for Gateway {
    /// What leads nowhere, and what wants a signature and has none that could be right, is known by the head: nobody is to fill our
    /// memory with bodies for that. [`Gateway::serve`] looks again.
    fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response> {
        let Some(way) = Way::of(head, &self.options.appid) else { return Err(Response::new(404)) };
        // Where they have just changed, the database is not to be asked here.
        if let Some(routes) = self.known_routes() {
            let refused = |refusal| self.refuse(way.kind(), refusal);
            self.check_head(&routes, &way, head, peer).map_err(refused)?;
        }
        Ok(limits::EVENT_BYTES_MAX as u64)
    }

    fn handle(&self, request: Request) -> Response {
        let shares_its_host = ways::shares_its_host(&request.head, &self.options.appid);
        if shares_its_host && is_for_our_pages(&request.head) {
            return Response::text(403, "no page of this server loads what a function answers");
        }
        let mut response = self.serve(request);
        if !shares_its_host {
            return response;
        }
        response.headers.retain(|header| !is_ours(header));
        response.with_header("Content-Security-Policy", SANDBOX)
    }
}
