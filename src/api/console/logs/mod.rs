//! Log lines: found by query, counted by time and by kind, live, and as files.

use maud::{Markup, html};

use crate::api::console::client::Target;
use crate::api::console::form::Form;
use crate::api::console::invocations::namespace_field;
use crate::api::console::page::{Shown, instant, state};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Facets, Histogram, Line, Lines, Run};
use crate::base::id::RequestId;

mod counts;
mod help;
pub(super) mod tail;

/// Lines of a page.
const LINES: &str = "100";
/// How long each way of counting may take: a page that waits longer is no page. Whoever wants all of them counted says so.
const PATIENCE: &str = "300ms";
const PATIENCE_ASKED: &str = "10s";
/// Stretches of time in which lines are counted.
const STRETCHES: &str = "60";
/// From when on lines are looked at, where nobody has said.
const SINCE: &str = "24h";
/// Lines around each, where they are asked for.
const AROUND: &str = "3";

/// What a visitor looks for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    q: &'a str,
    function: &'a str,
    since: &'a str,
    until: &'a str,
    context: &'a str,
    cursor: &'a str,
}

impl<'a> Asked<'a> {
    fn of(visit: &'a Visit<'_>) -> Asked<'a> {
        let word = |name| visit.query.word(name);
        Asked {
            q: word("q"),
            function: word("function"),
            since: since(&visit.query),
            until: word("until"),
            context: word("context"),
            cursor: word("cursor"),
        }
    }

    /// The same lines, at another place: which ones, but not how they are shown.
    fn at(&self, target: Target) -> Target {
        let target = target.with("q", self.q).with("function", self.function);
        target.with("since", self.since).with("until", self.until)
    }

    /// The page that shows them.
    fn page(&self, visit: &Visit<'_>) -> Target {
        let target = self.at(visit.link(&["logs"]));
        if self.since.is_empty() { target.with_empty("since") } else { target }
    }
}

/// From when on. An empty field says that the beginning does not matter; no field at all, that nothing was said: then a run is
/// looked for however long ago it was, and all else lately.
fn since(query: &Form) -> &str {
    if query.is_said("since") {
        query.word("since")
    } else if RequestId::parse(query.word("q")).is_some() {
        ""
    } else {
        SINCE
    }
}

pub(super) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let asked = Asked::of(visit);
    let target = asked.at(visit.api(&["logs"])).with("context", asked.context).with("cursor", asked.cursor);
    let found = visit.v1.get::<Lines>(&target.with("limit", LINES));
    let body = match &found {
        Ok(lines) => html! {
            @if let Some(run) = &lines.invocation { (of_run(visit, run)) }
            @if asked.cursor.is_empty() { (counted(visit, &asked)) }
            (listed(visit, &asked, lines))
        },
        Err(_) => html! {},
    };
    let page = Shown::page("Logs", html! { h1 { "Logs" } (bar(visit, &asked)) (body) })?;
    Ok(match found {
        Ok(_) => page,
        Err(problem) => page.refused(&problem),
    })
}

/// What is asked for, and the ways to have it otherwise.
fn bar(visit: &Visit<'_>, asked: &Asked<'_>) -> Markup {
    let file = |format| format!("/console{}", asked.at(visit.api(&["logs"])).with("format", format).text());
    let live = visit.link(&["logs", "tail"]).with("q", asked.q).with("function", asked.function);
    html! {
        form.filters action="/console/logs" {
            (namespace_field(visit))
            label.query { "Query"
                input name="q" value=(asked.q) data-completes autocomplete="off" autocapitalize="off" spellcheck="false"
                    placeholder="error AND NOT timeout";
            }
            label { "Function" input name="function" value=(asked.function) size="14" autocapitalize="off" spellcheck="false"; }
            label { "Since" input name="since" value=(asked.since) list="spans" size="10" placeholder="any time" autocapitalize="off" spellcheck="false"; }
            label { "Until" input name="until" value=(asked.until) size="10" placeholder="now" autocapitalize="off" spellcheck="false"; }
            datalist id="spans" { @for span in ["15m", "1h", "24h", "7d"] { option value=(span) {} } }
            button { "Find" }
        }
        (help::language())
        p {
            a href=(live.text()) { "Live" } " · "
            @if asked.context.is_empty() {
                a href=(asked.page(visit).with("context", AROUND).text()) { "With the lines around each" }
            } @else {
                a href=(asked.page(visit).text()) { "Without the lines around each" }
            }
            " · as a file: " a href=(file("csv")) { "CSV" } ", " a href=(file("ndjson")) { "NDJSON" }
        }
    }
}

/// The run whose ID was asked for.
fn of_run(visit: &Visit<'_>, run: &Run) -> Markup {
    html! {
        p {
            "The run of " (run.function) " with that request ID: "
            a.id href=(visit.link(&["invocations", &run.request_id]).text()) { (run.request_id) } " "
            (state(&run.state, run.status))
        }
    }
}

/// How many lines there are. The lines are worth showing where they cannot be counted.
fn counted(visit: &Visit<'_>, asked: &Asked<'_>) -> Markup {
    let patience = if visit.query.has("whole") { PATIENCE_ASKED } else { PATIENCE };
    let target = |what| asked.at(visit.api(&["logs", what])).with("deadline", patience);
    let by_time = visit.v1.get::<Histogram>(&target("histogram").with("buckets", STRETCHES));
    match by_time.and_then(|histogram| Ok((histogram, visit.v1.get::<Facets>(&target("facets"))?))) {
        Ok((histogram, facets)) => html! {
            (counts::by_time(visit, asked, &histogram))
            (counts::by_kind(visit, asked, &facets))
        },
        Err(problem) => html! { p.note { "The lines could not be counted: " (problem.sentence) } },
    }
}

fn listed(visit: &Visit<'_>, asked: &Asked<'_>, lines: &Lines) -> Markup {
    let next = lines.next_cursor.as_ref();
    let next = next.map(|cursor| asked.page(visit).with("context", asked.context).with("cursor", cursor));
    html! {
        @if lines.partial {
            p.note {
                "Not all lines could be looked at in time: there may be more, further back. A shorter time, a function or a word that is rare helps."
            }
        }
        @if lines.lines.is_empty() {
            p.quiet {
                @if lines.partial { "None was found so far" } @else { "No line is like that" }
                @if asked.since.is_empty() { "." } @else {
                    " since then. "
                    a href=(Asked { since: "", cursor: "", ..*asked }.page(visit).text()) { "Look at any time" }
                }
            }
        } @else {
            div.log role="region" aria-label="Lines" tabindex="0" {
                @for line in &lines.lines {
                    @for around in &line.before { (one(visit, around, "around")) }
                    (one(visit, line, "found"))
                    @for around in &line.after { (one(visit, around, "around")) }
                    @if !asked.context.is_empty() { hr; }
                }
            }
        }
        @if let Some(next) = next { p { a.button href=(next.text()) rel="next" { "More" } } }
    }
}

/// A line, with the way to its run. A crash may have left lines of a run that has no ID yet.
fn one(visit: &Visit<'_>, line: &Line, place: &str) -> Markup {
    html! {
        div class={ "line " (line.stream) " " (place) @if line.level == "ERROR" { " error" } } {
            span.time { (instant(line.ts_us)) }
            @if line.request_id.is_empty() { span.where { (line.function) } }
            @else {
                a.where href=(visit.link(&["invocations", &line.request_id]).text()) title=(line.request_id) { (line.function) }
            }
            span.text { (line.message) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::field::Field;

    #[test]
    fn a_run_is_looked_for_at_any_time() {
        let id = "01a218de-e982-7d4f-9279-09d59559c9d8";
        for (query, expected) in [
            (String::new(), SINCE),
            ("q=timeout".to_owned(), SINCE),
            ("since=".to_owned(), ""),
            ("since=1h".to_owned(), "1h"),
            (format!("q={id}"), ""),
            (format!("q={}", id.replace('-', "")), ""),
            (format!("q={id}&since=1h"), "1h"),
        ] {
            assert_eq!(since(&Form::parse(&query).unwrap()), expected, "{query}");
        }
    }

    #[test]
    fn every_field_is_offered_while_a_query_is_typed() {
        let script = include_str!("../assets/completion.js");
        for field in Field::ALL {
            let name = field.name().trim_start_matches("SCF_");
            assert!(script.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
