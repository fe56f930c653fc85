//! Why a page cannot be shown: a status and a sentence that says what to do.

use crate::api::console::page::{self, Shown};
use crate::error::{Error, Kind};
use crate::http::response::Response;
use crate::model::key::Scope;

/// What keeps a page from being shown.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// 400 to 599.
    pub(super) status: u16,
    /// For people.
    pub(super) sentence: String,
}

impl Problem {
    pub(super) fn new(status: u16, sentence: impl Into<String>) -> Problem {
        Problem { status, sentence: sentence.into() }
    }

    /// There is no session, or it is over.
    pub(super) fn signed_out() -> Problem {
        Problem::new(401, "You are not signed in, or not any more. Sign in and try again.")
    }

    /// The visitor's key does not suffice.
    pub(super) fn needs(scope: Scope) -> Problem {
        Problem::new(403, format!("This needs a key of scope {}.", scope.as_str()))
    }

    /// What a script is told, in the shape of `/v1`.
    pub(super) fn for_scripts(&self) -> &'static str {
        match self.status {
            401 => "you are not signed in, or not any more: open /console/ and sign in",
            403 => "this must come from a page of this server, and must not ask for a way to sign in",
            404 => "nothing is at this path",
            _ => "the request cannot be understood",
        }
    }

    /// A page that says so, for whoever may not be signed in.
    pub(super) fn answer(self) -> Response {
        page::alone(self.status, heading(self.status), &self.sentence)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let status = match error.kind {
            Kind::NotFound => 404,
            Kind::Conflict => 409,
            Kind::Invalid => 400,
            Kind::Limit => 413,
            Kind::Denied => 403,
            Kind::Full => 429,
            Kind::Busy => 503,
            Kind::Internal => {
                log::error!("a page could not be shown: {error:#}");
                500
            }
        };
        Problem { status, sentence: error.message }
    }
}

impl From<Problem> for Shown {
    fn from(problem: Problem) -> Shown {
        Shown::Problem(problem)
    }
}

/// What a page about it is called.
pub(super) fn heading(status: u16) -> &'static str {
    match status {
        401 => "Please sign in",
        403 => "Not allowed",
        404 => "Not here",
        405 => "Not in this way",
        409 => "Not as things are",
        413 => "Too large",
        429 | 503 => "Not now",
        500.. => "Something went wrong",
        _ => "That was not understood",
    }
}
