//! Events that were given up: the list, and replaying them or letting them go, one or several at once.

use maud::{Markup, html};

use crate::api::console::client::{JSON, Target};
use crate::api::console::invocations::namespace_field;
use crate::api::console::page::{Shown, ago, state, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{DeadLetters, Run};
use crate::base::text;

pub(super) fn list(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (function, cursor) = (visit.query.word("function"), visit.query.word("cursor"));
    let found =
        visit.v1.get::<DeadLetters>(&filtered(visit, visit.api(&["dead-letters"])).with("cursor", cursor));
    let listed = match &found {
        Ok(letters) => {
            let older = letters.next_cursor.as_ref();
            let older =
                older.map(|cursor| filtered(visit, visit.link(&["dead-letters"])).with("cursor", cursor));
            html! {
                @if letters.dead_letters.is_empty() {
                    p.quiet { "No event of this namespace was given up, or each was replayed or dropped." }
                } @else {
                    (chosen(visit, &letters.dead_letters))
                }
                @if let Some(older) = older { p { a.button href=(older.text()) rel="next" { "Older" } } }
            }
        }
        Err(_) => html! {},
    };
    let body = html! {
        h1 { "Dead letters" }
        p.quiet {
            "Events that were tried until nothing was left to try, or became too old. To replay one is to run its event again, as a new \
             invocation; to drop one lets it go, and its run stays."
        }
        form.filters action="/console/dead-letters" {
            (namespace_field(visit))
            label { "Function" input name="function" value=(function) size="16" autocapitalize="off" spellcheck="false"; }
            button { "Show" }
        }
        (listed)
    };
    let page = Shown::page("Dead letters", body)?;
    Ok(match found {
        Ok(_) => page,
        Err(problem) => page.refused(&problem),
    })
}

/// The same of the function that is looked at, so that the list stays the one somebody works through.
fn filtered(visit: &Visit<'_>, target: Target) -> Target {
    target.with("function", visit.query.word("function"))
}

/// The letters, each of which can be chosen.
fn chosen(visit: &Visit<'_>, letters: &[Run]) -> Markup {
    let rows = html! {
        @for letter in letters {
            tr {
                td { @if visit.may_invoke() {
                    input type="checkbox" name="id" value=(letter.request_id) aria-label={ "Choose " (letter.request_id) };
                } }
                td { a.id href=(visit.link(&["invocations", &letter.request_id]).text()) { (letter.request_id) } }
                td { (letter.function) }
                td { (state(&letter.state, letter.status)) }
                td { (ago(visit, letter.died_us)) }
                td.number { (letter.retry_num + 1) }
                td.message { (letter.reason) @if !letter.error.is_empty() { ": " (text::first_line(&letter.error)) } }
            }
        }
    };
    let heads = ["", "Request ID", "Function", "State", "Given up", "Attempts#", "Why"];
    let letters = table("Dead letters", &heads, &rows);
    if !visit.may_invoke() {
        return letters;
    }
    html! {
        form method="post" action=(filtered(visit, visit.link(&["dead-letters"])).text()) {
            (letters)
            p.row {
                button name="do" value="replay" { "Replay those chosen" }
                @if visit.may_change() {
                    button.danger name="do" value="drop" data-ask="Drop those chosen? Their events are not run again." { "Drop those chosen" }
                }
            }
        }
    }
}

/// What can be done to one, where it is looked at as a run, by whoever may run functions.
pub(super) fn buttons(visit: &Visit<'_>, letter: &Run) -> Markup {
    html! {
        form.row method="post" action=(visit.link(&["dead-letters"]).text()) {
            input type="hidden" name="id" value=(letter.request_id);
            button name="do" value="replay" { "Replay it" }
            @if visit.may_change() {
                button.danger name="do" value="drop" data-ask="Drop this dead letter? Its event is not run again." { "Drop it" }
            }
        }
    }
}

pub(super) fn change(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (method, tail, done) = match visit.form.text("do") {
        "replay" => ("POST", Some("replay"), "replayed"),
        "drop" => ("DELETE", None, "dropped"),
        _ => return Err(Problem::new(400, "It is not said what to do.")),
    };
    let ids: Vec<&str> = visit.form.all("id").collect();
    if ids.is_empty() {
        return Ok(list(visit)?.refused(&Problem::new(400, "None is chosen.")));
    }
    for (count, id) in ids.iter().enumerate() {
        let parts: Vec<&str> = ["dead-letters", *id].into_iter().chain(tail).collect();
        if let Err(problem) = visit.v1.send(method, &visit.api(&parts), JSON, Vec::new()) {
            let sentence = format!("{count} of {} were {done}, then: {}", ids.len(), problem.sentence);
            return Ok(list(visit)?.refused(&Problem::new(problem.status, sentence)));
        }
    }
    Shown::on(filtered(visit, visit.link(&["dead-letters"])), done)
}
