//! What ran and what runs: the list, and one run with all that is known of it.

use maud::{Markup, html};

use crate::api::console::client::Target;
use crate::api::console::dead_letters;
use crate::api::console::page::{Shown, ago, choice, instant, pretty, state, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Attempt, Line, Run, Runs};
use crate::base::text;
use crate::model::invocation::{Source, State};
use crate::model::query::StatusFilter;

/// How far back the list can be cut.
const SPANS: [(&str, &str); 5] =
    [("", "any time"), ("15m", "15 minutes"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days")];
pub(super) fn list(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let asked = |name| visit.query.word(name);
    if let Some(id) = Some(asked("id")).filter(|id| !id.is_empty()) {
        return Ok(Shown::On(visit.link(&["invocations", id]).text().to_owned()));
    }
    let names = ["function", "status", "source", "since"];
    let filtered = |target: Target| names.iter().fold(target, |target, name| target.with(name, asked(name)));
    let found = visit.v1.get::<Runs>(&filtered(visit.api(&["invocations"])).with("cursor", asked("cursor")));
    let listed = match &found {
        Ok(runs) => {
            let older = runs.next_cursor.as_ref();
            let older = older.map(|cursor| filtered(visit.link(&["invocations"])).with("cursor", cursor));
            html! {
                @if runs.invocations.is_empty() {
                    p.quiet { "No run is like that. Runs are kept as long as the server was told to keep them." }
                } @else {
                    (listed(visit, &runs.invocations))
                }
                @if let Some(older) = older { p { a.button href=(older.text()) rel="next" { "Older" } } }
            }
        }
        Err(_) => html! {},
    };
    let page = Shown::page("Invocations", html! { h1 { "Invocations" } (filters(visit)) (listed) })?;
    Ok(match found {
        Ok(_) => page,
        // Whoever has mistyped something types it again.
        Err(problem) => page.refused(&problem),
    })
}

fn filters(visit: &Visit<'_>) -> Markup {
    let asked = |name| visit.query.word(name);
    html! {
        form.filters action="/console/invocations" {
            (namespace_field(visit))
            label { "Function" input name="function" value=(asked("function")) size="16" autocapitalize="off" spellcheck="false"; }
            label { "State" select name="status" { (choice("", "any", asked("status"))) @for state in State::ALL { (choice(state.as_str(), state.as_str(), asked("status"))) } (choice(StatusFilter::UNSUCCESSFUL, "failed, expired or dead", asked("status"))) } }
            label { "Source" select name="source" {
                (choice("", "any", asked("source")))
                @for source in Source::ALL { (choice(source.as_str(), source.as_str(), asked("source"))) }
            } }
            label { "Within" select name="since" { @for (value, shown) in SPANS { (choice(value, shown, asked("since"))) } } }
            label { "Request ID" input name="id" size="36" autocapitalize="off" spellcheck="false"; }
            button { "Show" }
        }
    }
}

/// Keeps the namespace when a form is sent.
pub(super) fn namespace_field(visit: &Visit<'_>) -> Markup {
    html! {
        @if !visit.other_namespace().is_empty() { input type="hidden" name="namespace" value=(visit.namespace()); }
    }
}

/// A table of runs.
pub(super) fn listed(visit: &Visit<'_>, runs: &[Run]) -> Markup {
    let rows = html! {
        @for run in runs {
            tr {
                td { a.id href=(visit.link(&["invocations", &run.request_id]).text()) { (run.request_id) } }
                td { (run.function) @if run.qualifier != "$LATEST" { span.quiet { ":" (run.qualifier) } } }
                td { (state(&run.state, run.status)) }
                td { (ago(visit, run.created_us)) }
                td.number { @if run.is_over() { (text::length(run.duration_us)) } }
                td.number { @if let Some(memory) = text::memory(run.memory_used_kb) { (memory) } }
                td { (run.source) }
                td.message { (text::first_line(&run.error)) }
            }
        }
    };
    table("Runs", &["Request ID", "Function", "State", "When", "Took#", "Memory#", "Source", "Error"], &rows)
}

pub(super) fn one(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let run: Run = visit.v1.get(&visit.api(&["invocations", visit.part(0)]))?;
    let is_under_way = !run.is_over();
    Shown::page(
        format!("Run of {}", run.function),
        html! {
            h1 { "Run of " a href=(visit.link(&["functions", &run.function]).text()) { (run.function) } }
            @if is_under_way { p.quiet data-reload="2000" { "This page shows how things were when it was loaded." } }
            (summary(visit, &run))
            @if run.died_us > 0 && visit.may_invoke() { (dead_letters::buttons(visit, &run)) }
            @if !run.attempts.is_empty() { (attempts(&run.attempts)) }
            (outcome(&run))
            @if let Some(event) = &run.event { h2 { "Event" } pre { (pretty(event.get())) } }
            h2 { "Log" }
            (log(&run.log))
            @if run.log_next_cursor.is_some() {
                p { a href=(visit.link(&["logs"]).with("q", &run.request_id).text()) { "The rest of the log" } }
            }
        },
    )
}

/// What came of a run: the value it returned, or why it failed.
pub(super) fn outcome(run: &Run) -> Markup {
    let result = run.result.as_ref().map(|result| pretty(result.get()));
    html! {
        @if run.has_failed() {
            h2 { "Error" }
            pre.problem { (run.failure()) }
            @if let Some(body) = result { details { summary { "As its caller is told" } pre { (body) } } }
        } @else if let Some(value) = result {
            h2 { "Return value" }
            pre { (value) }
        }
    }
}

/// How a run went, in short.
pub(super) fn summary(visit: &Visit<'_>, run: &Run) -> Markup {
    html! {
        dl.facts {
            dt { "Request ID" } dd { a.id href=(visit.link(&["invocations", &run.request_id]).text()) { (run.request_id) } }
            dt { "State" } dd { (state(&run.state, run.status)) @if !run.reason.is_empty() { " " (run.reason) } }
            dt { "Version" } dd { (run.qualifier) }
            dt { "Source" } dd { (run.source) }
            dt { "Accepted" } dd { (instant(run.created_us)) " UTC, " (ago(visit, run.created_us)) }
            @if run.due_us > 0 { dt { "Due" } dd { (instant(run.due_us)) " UTC, " (text::until(visit.now_us, run.due_us)) } }
            @if run.is_over() {
                dt { "Took" } dd { (text::length(run.duration_us)) }
                dt { "Memory" } dd { (text::memory(run.memory_used_kb).unwrap_or_else(|| "not seen".to_owned())) " of " (run.memory_mb) " MB" }
            }
        }
        (timeline(run))
    }
}

/// Where the time went: a bar in proportion, and the same in words.
fn timeline(run: &Run) -> Markup {
    const WIDTH: i64 = 1000;
    let spans = run.spans();
    let whole_us: i64 = spans.iter().map(|(_, us)| us).sum();
    if !run.is_over() || whole_us == 0 {
        return html! {};
    }
    let mut so_far_us = 0;
    let bars = spans.map(|(name, us)| {
        let from = so_far_us * WIDTH / whole_us;
        so_far_us += us;
        (name, from, so_far_us * WIDTH / whole_us - from)
    });
    html! {
        svg.timeline viewBox={ "0 0 " (WIDTH) " 24" } preserveAspectRatio="none" role="img" aria-label="A bar of what the list below says" {
            @for (name, from, width) in bars { rect class=(name) x=(from) y="0" width=(width) height="24" {} }
        }
        ul.legend {
            @for (name, us) in spans {
                @if us > 0 { li { span class={ "key " (name) } {} (name) " " (text::length(us)) } }
            }
        }
    }
}

fn attempts(attempts: &[Attempt]) -> Markup {
    let rows = html! {
        @for attempt in attempts {
            tr {
                td.number { (attempt.retry_num) }
                td { (attempt.status) }
                td { (instant(attempt.ended_us)) }
                td.number { (text::length(attempt.duration_us)) }
                td.message { (text::first_line(&attempt.error)) }
            }
        }
    };
    html! {
        h2 { "Earlier attempts" }
        (table("Earlier attempts", &["Retry#", "Status", "Ended (UTC)", "Took#", "Error"], &rows))
    }
}

/// Lines of one run.
pub(super) fn log(lines: &[Line]) -> Markup {
    html! {
        @if lines.is_empty() { p.quiet { "Nothing was logged." } }
        @else {
            div.log role="region" aria-label="Log" tabindex="0" {
                @for line in lines {
                    div class={ "line " (line.stream) @if line.level == "ERROR" { " error" } } {
                        span.time { (text::clock(line.ts_us)) }
                        span.text { (line.message) }
                    }
                }
            }
        }
    }
}
