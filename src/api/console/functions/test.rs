//! The tab Test: an event, and what comes of it.

use maud::{Markup, html};

use crate::api::console::client::{JSON, Target};
use crate::api::console::functions::{function, here, tab};
use crate::api::console::invocations;
use crate::api::console::page::{Shown, pretty};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{EventTemplate, EventTemplates, FunctionVersions, Run};

/// The template for those who have not chosen.
const USUAL: &str = "hello_world";

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    shown(visit, &html! {})
}

fn shown(visit: &Visit<'_>, result: &Markup) -> Result<Shown, Problem> {
    let function = function(visit)?;
    let templates: EventTemplates = visit.v1.get(&Target::of(&["v1", "event-templates"]))?;
    let body = if visit.may_invoke() {
        html! { (form(visit, &templates.templates)?) (result) }
    } else {
        html! { p.quiet { "Running functions needs a key of scope invoke or admin." } }
    };
    tab(visit, &function, "test", &body)
}

fn form(visit: &Visit<'_>, templates: &[EventTemplate]) -> Result<Markup, Problem> {
    let asked = visit.query.word("template");
    let chosen = if asked.is_empty() { USUAL } else { asked };
    let event = templates
        .iter()
        .find(|template| template.name == chosen)
        .map_or("{}", |template| template.event.get());
    let versions: FunctionVersions = visit.v1.get(&visit.api(&["functions", visit.part(0), "versions"]))?;
    let qualifier = visit.value("qualifier", "$LATEST");
    Ok(html! {
        form.filters action=(here(visit, "test").text()) data-templates=(visit.part(0)) {
            @if !visit.other_namespace().is_empty() { input type="hidden" name="namespace" value=(visit.namespace()); }
            label { "Template"
                select name="template" {
                    @if visit.is_form() { option value="" selected { "your own" } }
                    @for template in templates {
                        option value=(template.name) selected[template.name == chosen && !visit.is_form()] data-event=(pretty(template.event.get())) { (template.title) }
                    }
                }
            }
            button.plain { "Use it" }
        }
        form.stack.wide-form method="post" action=(here(visit, "test").text()) data-test {
            label.code { "Event, JSON"
                textarea name="event" rows="10" spellcheck="false" autocapitalize="off" { "\n" (visit.value("event", &pretty(event))) }
            }
            div.row {
                label { "Version or alias" input name="qualifier" value=(qualifier) list="versions" autocapitalize="off" spellcheck="false"; }
                datalist id="versions" { @for version in &versions.versions { option value=(version.version) {} } }
                button name="how" value="sync" { "Test" }
                button.plain name="how" value="event" { "Queue it" }
            }
        }
    })
}

pub(in crate::api::console) fn run(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let qualifier = Some(visit.form.word("qualifier")).filter(|qualifier| !qualifier.is_empty());
    let target =
        visit.api(&["functions", visit.part(0), "invoke"]).with("qualifier", qualifier.unwrap_or_default());
    let is_queued = visit.form.text("how") == "event";
    let target = if is_queued { target.with("type", "event") } else { target };
    let answer = visit.v1.ask("POST", &target, JSON, visit.form.text("event").as_bytes().to_vec())?;
    let request_id = answer.header("X-Fnlite-Request-Id");
    if request_id.is_empty() {
        return Ok(show(visit)?.refused(&answer.problem()));
    }
    if is_queued {
        return Ok(Shown::On(visit.link(&["invocations", request_id]).text().to_owned()));
    }
    let run: Run = visit.v1.get(&visit.api(&["invocations", request_id]))?;
    shown(visit, &result(visit, &run))
}

fn result(visit: &Visit<'_>, run: &Run) -> Markup {
    html! {
        section.result aria-labelledby="result" {
            h2 id="result" tabindex="-1" { @if run.has_failed() { "It failed" } @else { "It returned" } }
            (invocations::summary(visit, run))
            (invocations::outcome(run))
            h2 { "Log" }
            (invocations::log(&run.log))
        }
    }
}
