//! Functions: the list, and for each one a page with tabs.
//!
//! Whatever changes code or configuration is a deploy, and a deploy says all of it (`/v1` has no other way); [`deploy`] says again
//! what is there but for what changes.

use maud::{Markup, html};

use crate::api::console::client::Target;
use crate::api::console::page::{Shown, ago, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Function, Functions};
use crate::base::text;

pub(super) mod code;
pub(super) mod config;
pub(super) mod create;
mod deploy;
pub(super) mod monitoring;
pub(super) mod test;
pub(super) mod triggers;
pub(super) mod versions;

/// What a function's page is divided into: the path behind its name, and what it is called.
const TABS: [(&str, &str); 6] = [
    ("", "Code"),
    ("test", "Test"),
    ("configuration", "Configuration"),
    ("versions", "Versions and aliases"),
    ("triggers", "Triggers"),
    ("monitoring", "Monitoring"),
];

pub(super) fn list(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let cursor = visit.query.word("cursor");
    let functions: Functions = visit.v1.get(&visit.api(&["functions"]).with("cursor", cursor))?;
    let more = functions.next_cursor.map(|cursor| visit.link(&["functions"]).with("cursor", &cursor));
    Shown::page(
        "Functions",
        html! {
            h1 { "Functions" }
            @if functions.functions.is_empty() && cursor.is_empty() {
                p.quiet { "Nothing is deployed here yet." }
            } @else {
                (listed(visit, &functions.functions))
            }
            @if let Some(more) = more { p { a.button href=(more.text()) rel="next" { "More" } } }
            @if visit.may_change() { (create::forms(visit)) }
        },
    )
}

fn listed(visit: &Visit<'_>, functions: &[Function]) -> Markup {
    let rows = html! {
        @for function in functions {
            tr {
                td { a href=(link(visit, &function.name, "").text()) { (function.name) } }
                td { (status(function)) }
                td { (function.runtime) }
                td { code { (function.handler) } }
                td.number { (function.memory_mb) " MB" }
                td.number { (function.timeout_s) " s" }
                td { (ago(visit, function.modified_us)) }
                td.message { (function.description) }
            }
        }
    };
    let heads = ["Name", "Status", "Runtime", "Handler", "Memory#", "Time-out#", "Deployed", "Description"];
    table("Functions", &heads, &rows)
}

fn status(function: &Function) -> Markup {
    let look = match function.status.as_str() {
        "Active" => "good",
        "Creating" | "Updating" | "Publishing" => "busy",
        _ => "bad",
    };
    html! { span class={ "state " (look) } title=(function.status_reason) { (function.status) } }
}

/// A tab of a function.
fn link(visit: &Visit<'_>, name: &str, tab: &str) -> Target {
    if tab.is_empty() { visit.link(&["functions", name]) } else { visit.link(&["functions", name, tab]) }
}

/// The tab that a form was sent from, or is to be seen next.
fn here(visit: &Visit<'_>, tab: &str) -> Target {
    link(visit, visit.part(0), tab)
}

/// The function that the path names.
fn function(visit: &Visit<'_>) -> Result<Function, Problem> {
    visit.v1.get(&visit.api(&["functions", visit.part(0)]))
}

/// A tab with what is above it.
fn tab(visit: &Visit<'_>, function: &Function, here: &str, body: &Markup) -> Result<Shown, Problem> {
    let name = &function.name;
    let called = TABS.iter().find(|(path, _)| *path == here).map_or("", |(_, called)| called);
    Shown::page(
        format!("{name}: {called}"),
        html! {
            h1 { (name) }
            p.quiet {
                (status(function)) " · " (function.runtime) " · " (text::size(function.code_bytes)) " of code · deployed "
                (ago(visit, function.modified_us))
                " · " a href=(visit.link(&["invocations"]).with("function", name).text()) { "runs" }
                " · " a href=(visit.link(&["logs"]).with("function", name).text()) { "logs" }
            }
            @if here.is_empty() { @for note in &function.notes { p.note { (note) } } }
            @if !function.status_reason.is_empty() { p.problem role="alert" { (function.status_reason) } }
            nav.tabs aria-label="Parts of the function" {
                @for (path, called) in TABS {
                    a href=(link(visit, name, path).text()) aria-current=[(path == here).then_some("page")] { (called) }
                }
            }
            (body)
        },
    )
}

/// The same tab once more after a form whose wish was refused: with what was wrong, and what was typed.
fn refused(
    visit: &Visit<'_>,
    problem: &Problem,
    show: fn(&Visit<'_>) -> Result<Shown, Problem>,
) -> Result<Shown, Problem> {
    Ok(show(visit)?.refused(problem))
}
