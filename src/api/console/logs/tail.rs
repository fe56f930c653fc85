//! Lines as they are printed. A script follows them ([`tail.js`](crate::api::console::assets)); without one there is nothing that
//! could.

use maud::html;

use crate::api::console::invocations::namespace_field;
use crate::api::console::page::Shown;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (q, function) = (visit.query.word("q"), visit.query.word("function"));
    let place = visit.api(&["logs", "tail"]).with("q", q).with("function", function);
    let page = visit.link(&["logs"]).with("q", q).with("function", function);
    Shown::page(
        "Live log",
        html! {
            h1 { "Live log" }
            form.filters action="/console/logs/tail" {
                (namespace_field(visit))
                label.query { "Query" input name="q" value=(q) data-completes autocomplete="off" autocapitalize="off" spellcheck="false"; }
                label { "Function" input name="function" value=(function) size="14" autocapitalize="off" spellcheck="false"; }
                button { "Follow" }
            }
            noscript { p.note { "Lines cannot be followed without JavaScript." } }
            p { a href=(page.text()) { "Lines that were printed already" } }
            div data-tail={ "/console" (place.text()) } data-runs=(visit.link(&["invocations", "ID"]).text()) hidden {
                div.row {
                    button.plain type="button" data-pause { "Pause" }
                    label.tick { input type="checkbox" data-follow checked; "Keep the newest in sight" }
                    button.plain type="button" data-clear { "Clear" }
                    // Read out is how it goes, and not how many lines there are: that changes with every one.
                    span.quiet { span role="status" data-state { "Connecting…" } span data-count {} }
                }
                div.log.tail role="log" aria-live="off" aria-label="Lines as they are printed" tabindex="0" {}
            }
        },
    )
}
