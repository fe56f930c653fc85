//! The server itself: what it is, what its host gives, namespaces, backups, and whether the database is sound.

use maud::{Markup, html};

use crate::api::console::client::{JSON, Target};
use crate::api::console::page::{Shown, instant, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Appliance, Checked, Doctor, Namespaces, Verdict};
use crate::base::text;

pub(super) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    shown(visit, &html! {})
}

fn shown(visit: &Visit<'_>, checked: &Markup) -> Result<Shown, Problem> {
    let appliance: Appliance = visit.v1.get(&Target::of(&["v1", "appliance"]))?;
    let doctor: Doctor = visit.v1.get(&visit.api(&["doctor"]))?;
    let namespaces: Namespaces = visit.v1.get(&visit.api(&["namespaces"]))?;
    Shown::page(
        "About",
        html! {
            h1 { "About this server" }
            (facts(&appliance))
            h2 { "This host" }
            (checks(&doctor))
            h2 { "Namespaces" }
            (listed(visit, &namespaces))
            @if visit.may_change() {
                h2 { "Backup" }
                form.stack method="post" action="/console/v1/backup" data-download {
                    p {
                        "A copy of the whole database, of one moment: functions, code, runs, logs, what waits, keys. It opens with "
                        code { "sqlite3" } " and is served with " code { "fnlite serve --db FILE" }
                        ". Objects of the object storage are not in it: " code { "fnlite backup FILE --objects FOLDER" } " takes them along."
                    }
                    button { "Download a backup" }
                }
                h2 { "Is the database sound?" }
                (checked)
                form.stack method="post" action=(visit.link(&["about"]).text()) {
                    p.quiet { "Reads all of it, which takes a while where there is much." }
                    button.plain { "Look" }
                }
            }
        },
    )
}

fn facts(appliance: &Appliance) -> Markup {
    html! {
        dl.facts {
            dt { "Release" } dd { "fnlite " (appliance.release) ", with SQLite " (appliance.sqlite) }
            dt { "Started" } dd { (instant(appliance.started_us)) " UTC" }
            dt { "Isolation" } dd { "level " (appliance.isolation_level) " of 5" }
            dt { "Database" } dd { (text::size(appliance.db_bytes)) }
            dt { "Licence" } dd { "MIT or Apache-2.0" }
            dt { "For programs" } dd {
                code { "/openapi.json" } " describes the API, " code { "/metrics" } " is for Prometheus; both want a key"
            }
        }
    }
}

fn checks(doctor: &Doctor) -> Markup {
    let rows = html! {
        @for check in &doctor.checks {
            tr {
                td { (verdict(check.verdict)) }
                td { (check.name) }
                td.message { (check.detail) }
            }
        }
    };
    table("What was found on this host", &["", "What", "What was found"], &rows)
}

fn verdict(verdict: Verdict) -> Markup {
    let (look, word) = match verdict {
        Verdict::Ok => ("good", "good"),
        Verdict::Warn => ("busy", "look"),
        Verdict::Fail => ("bad", "bad"),
    };
    html! { span class={ "state " (look) } { (word) } }
}

fn listed(visit: &Visit<'_>, namespaces: &Namespaces) -> Markup {
    let rows = html! {
        @for namespace in &namespaces.namespaces {
            tr {
                td { a href=(Target::of(&["console", "functions"]).with("namespace", &namespace.name).text()) aria-current=[(namespace.name == visit.namespace()).then_some("true")] { (namespace.name) } }
                td.message { (namespace.description) }
                td { (instant(namespace.created_us)) }
            }
        }
    };
    html! {
        (table("Namespaces", &["Name", "Description", "Since (UTC)"], &rows))
        p.quiet { "A link leads to the functions of that namespace, and all pages stay in it." }
    }
}

pub(super) fn check(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let checked: Checked = visit.v1.send("POST", &visit.api(&["check"]), JSON, Vec::new())?.json()?;
    let (look, sentence) =
        if checked.sound { ("done", "It is sound.") } else { ("problem", "It is not sound.") };
    let told = html! {
        p class=(look) role="status" { (sentence) }
        @if !checked.problems.is_empty() { pre { @for problem in &checked.problems { (problem) "\n" } } }
        dl.facts {
            dt { "Functions" } dd { (checked.functions) }
            dt { "Log lines" } dd { (checked.lines) ", " (checked.indexed_lines) " of them indexed" }
            dt { "Events that wait" } dd { (checked.queued) }
            dt { "Dead letters" } dd { (checked.dead_letters) }
            dt { "Size" } dd { (text::size(checked.bytes)) ", of which " (text::size(checked.free_bytes)) " are free" }
        }
    };
    shown(visit, &told)
}
