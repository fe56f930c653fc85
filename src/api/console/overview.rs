//! The first page: what is wrong, what the box does now, and what it has done.

use maud::{Markup, html};

use crate::api::console::chart::{self, counted};
use crate::api::console::client::Target;
use crate::api::console::invocations::listed;
use crate::api::console::page::{Shown, ago, sentence};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Appliance, Check, Doctor, RunBucket, RunHistogram, Runs, Verdict};
use crate::base::text;
use crate::model::query::StatusFilter;

/// How far back one can look: the word in the address, what it is called, and how many stretches of time it is cut into.
const SPANS: [(&str, &str, &str); 3] =
    [("1h", "1 hour", "61"), ("24h", "24 hours", "49"), ("7d", "7 days", "85")];

/// Failed runs that are shown.
const FAILED: &str = "5";
/// Those that the charts count as failed.
const UNSUCCESSFUL: &str = StatusFilter::UNSUCCESSFUL;

pub(super) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let appliance: Appliance = visit.v1.get(&Target::of(&["v1", "appliance"]))?;
    // Whoever looks at the first page does not wait until every interpreter of the host has said what it is.
    let doctor: Doctor = visit.v1.get(&visit.api(&["doctor"]).with("runtimes", "false"))?;
    Shown::page(
        "Overview",
        html! {
            h1 { "Overview" }
            (wrong(visit, &appliance, &doctor))
            @if appliance.functions == 0 {
                p.note { "Nothing is deployed yet. " a href=(visit.link(&["functions"]).text()) { "Make a function" } " to begin with." }
            }
            (now(visit, &appliance))
            (history(visit, "", &visit.link(&[""]))?)
        },
    )
}

/// What somebody should see to.
fn wrong(visit: &Visit<'_>, appliance: &Appliance, doctor: &Doctor) -> Markup {
    let disk = match appliance.disk_level {
        0 => "",
        1 => "The disk is nearly full: what functions print is not stored.",
        2 => "The disk is nearly full: events and deploys are refused.",
        _ => "The disk is full: nothing is run.",
    };
    // Of the disk it is said already what is to be done.
    let others = || doctor.checks.iter().filter(|check| check.name != "disk");
    let bad = others().filter(|check| matches!(check.verdict, Verdict::Fail));
    let noted = others().filter(|check| matches!(check.verdict, Verdict::Warn));
    html! {
        @if !disk.is_empty() { p.problem role="alert" { (disk) " Make room, and everything goes on by itself." } }
        @for check in bad { p.problem { (told(check)) } }
        @for check in noted { p.note { (told(check)) } }
        @if appliance.dead_letters > 0 {
            p.note {
                a href=(visit.link(&["dead-letters"]).text()) { (counted(appliance.dead_letters, "dead letter")) }
                " to look at, in all namespaces: events that were given up."
            }
        }
    }
}

/// A check, as it is told above the rest.
fn told(check: &Check) -> String {
    format!("{}: {}", sentence(&check.name).trim_end_matches('.'), sentence(&check.detail))
}

fn now(visit: &Visit<'_>, appliance: &Appliance) -> Markup {
    html! {
        dl.tiles {
            div { dt { "Running" } dd { (appliance.runs_running) } dd.quiet { (appliance.instances_parked) " parked" } }
            div { dt { "Memory of runs" } dd { (appliance.memory_used_mb) " MB" } dd.quiet { "of " (appliance.memory_total_mb) " MB" } }
            div { dt { "Events waiting" } dd { (appliance.events_waiting) } dd.quiet { (appliance.events_running) " running, " (appliance.events_max) " at most" } }
            div { dt { "Functions" } dd { (appliance.functions) } dd.quiet { "in all namespaces" } }
            div { dt { "Database" } dd { (text::size(appliance.db_bytes)) } dd.quiet { (text::size(appliance.wal_bytes)) " write-ahead log" } }
            div { dt { "Disk free" } dd { (text::size(appliance.disk_free_bytes)) } dd.quiet { "level " (appliance.disk_level) " of 3" } }
            div { dt { "Isolation" } dd { "level " (appliance.isolation_level) } dd.quiet { a href=(visit.link(&["about"]).text()) { "this host" } } }
            div { dt { "Since" } dd { (ago(visit, appliance.started_us)) } dd.quiet { "fnlite " (appliance.release) } }
        }
    }
}

/// What has run, of all functions or of one, with links to `here` for other spans.
pub(super) fn history(visit: &Visit<'_>, function: &str, here: &Target) -> Result<Markup, Problem> {
    let asked = visit.query.word("span");
    let span = SPANS.iter().find(|(word, _, _)| *word == asked).unwrap_or(&SPANS[0]);
    let of = |target: Target| target.with("function", function).with("since", span.0);
    let histogram: RunHistogram =
        visit.v1.get(&of(visit.api(&["invocations", "histogram"])).with("buckets", span.2))?;
    // Percentiles do not add up, so those of the whole span are asked for as such.
    let whole: RunHistogram =
        visit.v1.get(&of(visit.api(&["invocations", "histogram"])).with("buckets", "1"))?;
    let failed = of(visit.api(&["invocations"])).with("status", UNSUCCESSFUL).with("limit", FAILED);
    let failed: Runs = visit.v1.get(&failed)?;
    let totals = chart::totals(&histogram);
    let all = of(visit.link(&["invocations"]));
    Ok(html! {
        nav.tabs aria-label="Span of time" {
            @for (word, called, _) in SPANS {
                a href=(here.clone().with("span", word).text()) aria-current=[(word == span.0).then_some("true")] { (called) }
            }
        }
        p {
            a href=(all.text()) { (counted(totals.runs, "run")) }
            " in " (span.1) ", "
            a href=(all.clone().with("status", UNSUCCESSFUL).text()) { (totals.failed) " failed" }
            @if let [RunBucket { p50_us: Some(p50_us), p99_us: Some(p99_us), .. }] = whole.buckets[..] {
                "; half of the runs took at most " (text::length(p50_us)) " (p50), 99 of 100 at most " (text::length(p99_us)) " (p99)"
            }
            span.quiet { " · times are UTC" }
        }
        (chart::of_runs(&histogram))
        @if !failed.invocations.is_empty() {
            h2 { "Failed last" }
            (listed(visit, &failed.invocations))
        }
    })
}
