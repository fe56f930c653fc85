//! How many lines there are: by time, as a chart whose bars narrow the search, and by what they have in common.

use maud::{Markup, html};

use crate::api::console::logs::Asked;
use crate::api::console::visit::Visit;
use crate::api::wire::{Facet, Facets, Histogram};
use crate::base::text;

/// The chart's size, in units of its own.
const WIDTH: u64 = 1000;
const HEIGHT: u64 = 80;

pub(super) fn by_time(visit: &Visit<'_>, asked: &Asked<'_>, histogram: &Histogram) -> Markup {
    let most = histogram.buckets.iter().copied().max().unwrap_or(0);
    let count = u64::try_from(histogram.buckets.len().max(1)).unwrap_or(u64::MAX);
    let lines = text::count(u32::try_from(histogram.lines).unwrap_or(u32::MAX), "line");
    let start = |index: usize| {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        histogram.from_us.saturating_add(histogram.bucket_us.saturating_mul(index))
    };
    let end = start(histogram.buckets.len());
    html! {
        @if most > 0 {
            svg.lines viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="group" aria-label={ (lines) " by time" } {
                @for (index, &here) in histogram.buckets.iter().enumerate() {
                    @if here > 0 {
                        @let said = format!("{}: {}", text::second(start(index)), text::count(u32::try_from(here).unwrap_or(u32::MAX), "line"));
                        a href=(narrowed(visit, asked, start(index), start(index + 1))) aria-label=(said) {
                            title { (said) }
                            // A bar is low, but what a pointer finds is as high as the chart.
                            rect.hit x=(place(index, count)) y="0" width=(WIDTH / count) height=(HEIGHT) {}
                            rect.bar x=(place(index, count)) y=(HEIGHT - height(here, most)) width=(WIDTH.div_ceil(count) - 1) height=(height(here, most)) {}
                        }
                    }
                }
            }
        }
        p.quiet {
            (lines) ", from " (text::second(histogram.from_us)) " to " (text::second(end))
            @if let Some(stopped_us) = histogram.stopped_us {
                "; there was no time to count what is older than " (text::second(stopped_us)) ". "
                a href=(asked.page(visit).with("whole", "1").text()) { "Take the time" }
            }
        }
    }
}

/// The same query for one stretch of time, as a link.
fn narrowed(visit: &Visit<'_>, asked: &Asked<'_>, from_us: i64, to_us: i64) -> String {
    let narrowed = Asked {
        since: &text::rfc3339(from_us),
        until: &text::rfc3339(to_us),
        context: "",
        cursor: "",
        ..*asked
    };
    narrowed.page(visit).text().to_owned()
}

fn place(index: usize, count: u64) -> u64 {
    WIDTH * u64::try_from(index).unwrap_or(u64::MAX) / count
}

/// What is there at all is seen.
fn height(lines: u64, most: u64) -> u64 {
    u64::try_from((u128::from(lines) * u128::from(HEIGHT)).div_ceil(u128::from(most.max(1))))
        .unwrap_or(HEIGHT)
}

/// What the lines have in common; a link looks at those alone.
pub(super) fn by_kind(visit: &Visit<'_>, asked: &Asked<'_>, facets: &Facets) -> Markup {
    let kinds = [
        ("Function", "SCF_FunctionName", &facets.function),
        ("Level", "SCF_Level", &facets.level),
        ("Status", "SCF_StatusCode", &facets.status),
        ("Version", "SCF_Qualifier", &facets.version),
    ];
    html! {
        dl.facets {
            @for (called, field, values) in kinds {
                // What all of them have narrows nothing.
                @if values.len() > 1 { div { dt { (called) } @for value in values { dd { (one(visit, asked, field, value)) } } } }
            }
        }
        @if let Some(stopped_us) = facets.stopped_us {
            p.quiet { "Of these, only the lines since " (text::second(stopped_us)) " are counted." }
        }
    }
}

fn one(visit: &Visit<'_>, asked: &Asked<'_>, field: &str, facet: &Facet) -> Markup {
    let q = with(asked.q, field, &facet.value);
    let only = Asked { q: &q, context: "", cursor: "", ..*asked };
    html! { a href=(only.page(visit).text()) { (facet.value) } " " span.quiet { (facet.lines) } }
}

/// A query, and a value that a field must have as well. Alternatives of the query stay together.
fn with(q: &str, field: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    match q {
        "" | "*" => format!("{field}:\"{value}\""),
        q => format!("({q}) AND {field}:\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Case, Query};

    #[test]
    fn a_narrowed_query_is_one() {
        for (q, expected) in [
            ("", "SCF_Level:\"ERROR\""),
            ("*", "SCF_Level:\"ERROR\""),
            ("a OR b", "(a OR b) AND SCF_Level:\"ERROR\""),
        ] {
            let found = with(q, "SCF_Level", "ERROR");
            assert_eq!(found, expected);
            assert!(Query::parse(&found, Case::Ignored).is_ok(), "{found}");
        }
        assert!(Query::parse(&with("x", "SCF_FunctionName", "a\"b\\"), Case::Ignored).is_ok());
    }

    #[test]
    fn a_bar_is_seen_and_no_higher_than_the_chart() {
        assert_eq!(
            [height(0, 10), height(1, 1_000_000), height(10, 10), height(u64::MAX, u64::MAX)],
            [0, 1, HEIGHT, HEIGHT]
        );
        assert_eq!([place(0, 60), place(60, 60)], [0, WIDTH]);
    }
}
