//! The console: pages for people. They are made here, on the server, and work without a script; a script of ours makes some of
//! them nicer ([`assets`]).
//!
//! A request goes: name of the host ([`guard`]) → path and method ([`pages`], one table) → session → origin, where something
//! changes → a function of the page's file, which asks `/v1` ([`client`]) and writes HTML ([`page`]). What the script asks for goes
//! to `/console/v1/…`, which is `/v1/…` with the session in place of a key.
//!
//! # What must stay true
//!
//! * Nothing is only here. A page knows what `/v1` answers and nothing else, and may do what its session's key may do.
//! * What functions print, return and are called is text on every page: the templates escape it, no page has a script of its
//!   own, and the policy sent along forbids any other ([`guard::guarded`]).
//! * Another site cannot make a browser do anything here: the cookie is not sent along, and what changes something must come
//!   from a page of this origin. A name somebody made point here is not answered to.

use std::fmt;
use std::sync::Arc;

use tiny_http::Method;

use crate::api::Parts;
use crate::api::auth::Caller;
use crate::api::console::client::V1;
use crate::api::console::form::Form;
use crate::api::console::guard::Guard;
use crate::api::console::page::Shown;
use crate::api::console::pages::{Found, Page};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::rest::Rest;
use crate::http::Handler;
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::Response;
use crate::model::key::Scope;

mod about;
mod assets;
mod chart;
mod client;
mod cookie;
mod dead_letters;
mod form;
mod functions;
mod guard;
mod invocations;
mod keys;
mod logs;
mod overview;
mod page;
mod pages;
mod problem;
mod sign_in;
mod sql;
mod visit;

/// Where it is.
pub(crate) const HOME: &str = "/console/";
/// Where `/v1` is for whoever is signed in.
const V1_HERE: &str = "/console/v1/";

/// The door.
pub struct Console {
    parts: Arc<Parts>,
    rest: Arc<Rest>,
    guard: Guard,
}

impl Console {
    /// A door before `parts`, which reaches `/v1` through `rest` and answers to `hosts` beside addresses and this host's own name.
    pub fn new(parts: Arc<Parts>, rest: Arc<Rest>, hosts: Vec<String>) -> Console {
        Console { parts, rest, guard: Guard::new(hosts) }
    }

    /// Whether a request is for the console.
    pub fn is_meant(head: &Head) -> bool {
        let is_look = matches!(head.method(), Method::Get | Method::Head);
        match head.path() {
            "/" => is_look,
            path => path == "/console" || path.starts_with(HOME),
        }
    }

    fn serve(&self, request: Request) -> Response {
        let path = request.head.path();
        if !path.starts_with(HOME) {
            return page::to(HOME);
        }
        if let Err(refused) = self.guard.check_host(&request.head) {
            return refused.answer();
        }
        if let Some(name) = path.strip_prefix(assets::PATH) {
            return assets::get(name);
        }
        if path.starts_with(V1_HERE) {
            return self.pass_on(request);
        }
        self.show(request).unwrap_or_else(|problem| problem.answer())
    }

    /// What is asked of `/v1` in a session.
    fn pass_on(&self, request: Request) -> Response {
        let Request { head, body, peer, began, line } = request;
        let inner = self.caller(&head).and_then(|caller| Ok((caller, client::inside(&head)?)));
        match inner {
            Ok((caller, head)) => {
                guard::sealed(self.rest.answer_as(caller, Request { head, body, peer, began, line }))
            }
            Err(problem) => self.rest.refusal(problem.status, problem.for_scripts()),
        }
    }

    fn show(&self, request: Request) -> Result<Response, Problem> {
        let Request { head, body, peer, .. } = request;
        let Found { page, parts } = pages::find(&head)?;
        let query = Form::parse(head.query().unwrap_or_default())?;
        let Sent { form, file } = Sent::read(&head, body)?;
        let caller = match page {
            Page { is_open: true, .. } => {
                self.guard.check_origin(&head)?;
                Caller::by_place(Scope::Read)
            }
            _ => match self.caller(&head) {
                Ok(caller) => caller,
                Err(problem) if problem.status == 401 && *head.method() != Method::Post => {
                    return Ok(page::to(&sign_in::path_for(head.target())));
                }
                Err(problem) => return Err(problem),
            },
        };
        let visit = Visit {
            scope: caller.scope,
            v1: V1 { rest: &self.rest, caller, peer, clock: &*self.parts.clock },
            parts,
            query,
            form,
            file,
            path: head.path(),
            head: &head,
            peer,
            server: &self.parts,
            now_us: self.parts.clock.wall_us(),
        };
        // The frame around a page is for whoever is signed in.
        match (page.show)(&visit) {
            Err(problem) if page.is_open => Err(problem),
            shown => Ok(shown.unwrap_or_else(Shown::from).answer(&visit)),
        }
    }

    /// Who asks: by his session, and, where something changes, only from a page of ours.
    fn caller(&self, head: &Head) -> Result<Caller, Problem> {
        let token = cookie::token(head).ok_or_else(Problem::signed_out)?;
        let caller = Caller::by_session(&self.parts, token).ok_or_else(Problem::signed_out)?;
        self.guard.check_origin(head)?;
        Ok(caller)
    }
}

/// The body of a request.
#[derive(Debug, Default)]
struct Sent {
    form: Form,
    file: Vec<u8>,
}

impl Sent {
    fn read(head: &Head, body: Body) -> Result<Sent, Problem> {
        let bytes = body.into_bytes()?;
        let kind = head.header_text("content-type").unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            _ if bytes.is_empty() => Ok(Sent::default()),
            "application/x-www-form-urlencoded" => {
                let text = String::from_utf8(bytes);
                let text = text.map_err(|_| Problem::new(400, "What the form sent is not UTF-8."))?;
                Ok(Sent { form: Form::parse(&text)?, ..Sent::default() })
            }
            "application/zip" => Ok(Sent { file: bytes, ..Sent::default() }),
            _ => Err(Problem::new(415, "What was sent is neither a form nor a zip archive.")),
        }
    }
}

impl Handler for Console {
    /// Nobody who is not signed in has us take an archive.
    fn before_body(&self, head: &Head, _: Peer) -> Result<u64, Response> {
        let refuse = |problem: Problem| self.rest.refusal(problem.status, problem.for_scripts());
        self.guard.check_host(head).map_err(refuse)?;
        if head.path().starts_with(V1_HERE) {
            let caller = self.caller(head).map_err(refuse)?;
            let inner = client::inside(head).map_err(refuse)?;
            return self.rest.body_max_for(&inner, caller);
        }
        let Found { page, .. } = pages::find(head).map_err(|problem| problem.answer())?;
        if !page.is_open {
            let caller = self.caller(head).map_err(|problem| problem.answer())?;
            if caller.scope < page.needs {
                return Err(Problem::needs(page.needs).answer());
            }
        }
        Ok(page.body_max)
    }

    /// Pages that search and compute, and what takes long in `/v1`.
    fn is_patient(&self, head: &Head) -> bool {
        if head.path().starts_with(V1_HERE) {
            return client::inside(head).is_ok_and(|inner| self.rest.is_patient(&inner));
        }
        pages::find(head).is_ok_and(|found| found.page.is_patient)
    }

    fn refusal(&self, status: u16, sentence: &'static str) -> Response {
        Problem::new(status, sentence).answer()
    }

    fn handle(&self, request: Request) -> Response {
        self.serve(request)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("guard", &self.guard).finish_non_exhaustive()
    }
}
