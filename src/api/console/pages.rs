//! The table: every page, what it may be sent, and what shows it. What `/v1` refuses to a visitor's key is refused there; a page
//! only leaves out what would be.

use tiny_http::Method;

use crate::api::console::page::Shown;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::console::{about, dead_letters, functions, invocations, keys, logs, overview, sign_in, sql};
use crate::api::rest::route::match_path;
use crate::base::percent;
use crate::http::head::Head;
use crate::model::key::Scope;
use crate::model::limits;

/// Forms of a few fields.
const SMALL: u64 = 64 * 1024;

/// An event, of which a form may make up to three bytes each.
const EVENT: u64 = 3 * limits::EVENT_BYTES_MAX as u64 + SMALL;
/// The same of a statement.
const STATEMENT: u64 = 3 * limits::SQL_BYTES_MAX as u64 + SMALL;
/// The same of the sources of a function that can be edited.
const SOURCES: u64 = 3 * functions::code::EDITED_BYTES_MAX + SMALL;
/// An archive.
const ARCHIVE: u64 = limits::PACKAGE_BYTES_MAX as u64 + 1;

/// One row.
#[derive(Debug)]
pub(super) struct Page {
    /// Whether it is for forms that change or run something; else for looking.
    is_form: bool,
    /// With variable parts in braces.
    path: &'static str,
    pub(super) show: fn(&Visit<'_>) -> Result<Shown, Problem>,
    /// The most a form may send, bytes.
    pub(super) body_max: u64,
    /// Whether it is for everybody; else for whoever is signed in.
    pub(super) is_open: bool,
    /// The least that a visitor must be allowed for us to take what he sends, where that may be much.
    pub(super) needs: Scope,
    /// Whether it may take long.
    pub(super) is_patient: bool,
}

type Show = fn(&Visit<'_>) -> Result<Shown, Problem>;

/// A page to look at.
const fn look(path: &'static str, show: Show) -> Page {
    Page {
        is_form: false,
        path,
        show,
        body_max: SMALL,
        is_open: false,
        needs: Scope::Read,
        is_patient: false,
    }
}

/// What a form is sent to.
const fn form(path: &'static str, show: Show) -> Page {
    Page { is_form: true, ..look(path, show) }
}

impl Page {
    /// A form, or a script, of somebody who may do that, may send so much.
    const fn sent(self, body_max: u64, needs: Scope) -> Page {
        Page { body_max, needs, ..self }
    }

    /// It may look at much.
    const fn patient(self) -> Page {
        Page { is_patient: true, ..self }
    }

    /// For everybody.
    const fn open(self) -> Page {
        Page { is_open: true, ..self }
    }
}

/// Every page.
static PAGES: &[Page] = &[
    look("/console/", overview::show),
    look("/console/functions", functions::list),
    form("/console/functions", functions::create::by_template),
    form("/console/functions/{name}/upload", functions::create::by_archive).sent(ARCHIVE, Scope::Admin),
    look("/console/functions/{name}", functions::code::show),
    form("/console/functions/{name}", functions::code::save).sent(SOURCES, Scope::Admin),
    form("/console/functions/{name}/delete", functions::config::delete),
    look("/console/functions/{name}/test", functions::test::show),
    form("/console/functions/{name}/test", functions::test::run).sent(EVENT, Scope::Invoke),
    look("/console/functions/{name}/configuration", functions::config::show),
    form("/console/functions/{name}/configuration", functions::config::save),
    look("/console/functions/{name}/monitoring", functions::monitoring::show),
    look("/console/functions/{name}/versions", functions::versions::show),
    form("/console/functions/{name}/versions", functions::versions::change),
    look("/console/functions/{name}/triggers", functions::triggers::show),
    form("/console/functions/{name}/triggers", functions::triggers::change),
    look("/console/invocations", invocations::list),
    look("/console/invocations/{request_id}", invocations::one),
    look("/console/logs", logs::show).patient(),
    look("/console/logs/tail", logs::tail::show),
    look("/console/sql", sql::show),
    form("/console/sql", sql::run).sent(STATEMENT, Scope::Read).patient(),
    look("/console/dead-letters", dead_letters::list),
    form("/console/dead-letters", dead_letters::change),
    look("/console/keys", keys::list),
    form("/console/keys", keys::change),
    look("/console/about", about::show),
    form("/console/about", about::check),
    look("/console/sign-in", sign_in::show).open(),
    form("/console/sign-in", sign_in::by_key).open(),
    look("/console/enter", sign_in::by_ticket).open(),
    form("/console/sign-out", sign_in::out),
];

/// The page that a request asks for, and the variable parts of its path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) page: &'static Page,
    pub(super) parts: Vec<String>,
}

/// Looks a request up in the table.
pub(super) fn find(head: &Head) -> Result<Found, Problem> {
    let is_form = match head.method() {
        Method::Get | Method::Head => false,
        Method::Post => true,
        _ => return Err(Problem::new(405, "Pages are looked at (GET), and forms are sent (POST).")),
    };
    let mut is_there = false;
    for page in PAGES {
        let Some(parts) = match_path(page.path, head.path()) else { continue };
        is_there = true;
        if page.is_form == is_form {
            let decode = |part: &str| percent::decode(part);
            let parts: Option<Vec<String>> = parts.into_iter().map(decode).collect();
            let parts = parts.ok_or_else(|| Problem::new(400, "The address has a malformed escape."))?;
            return Ok(Found { page, parts });
        }
    }
    match (is_there, is_form) {
        (true, true) => Err(Problem::new(405, "This page takes no form.")),
        (true, false) => Err(Problem::new(405, "This is for a form only: go back to the page that has it.")),
        (false, _) => Err(Problem::new(404, "There is no such page.")),
    }
}
