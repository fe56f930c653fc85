//! Charts of runs by time, drawn here as SVG: how many ran and failed, and how long they took. What a chart shows is there in words
//! too, for whoever does not see it. Colours are the style's, so that they change with it.

use std::fmt::Write;

use maud::{Markup, html};

use crate::api::console::page::table;
use crate::api::wire::{RunBucket, RunHistogram};
use crate::base::text;

/// The size of a chart, in units of its own, and where in it things are drawn.
const WIDTH: i64 = 1000;
const HEIGHT: i64 = 190;
const LEFT: i64 = 84;
const RIGHT: i64 = 990;
const TOP: i64 = 12;
const BOTTOM: i64 = 160;
/// Labels of time below a chart, at most.
const LABELS: usize = 6;
const DAY_US: i64 = 86_400_000_000;

/// Two charts, and the same as a table.
pub(super) fn of_runs(histogram: &RunHistogram) -> Markup {
    html! {
        @if histogram.sampled { p.quiet { "There are so many runs that these numbers are estimates." } }
        (runs(histogram))
        (durations(histogram))
        (as_table(histogram))
    }
}

/// What all buckets come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) runs: u64,
    pub(super) failed: u64,
}

pub(super) fn totals(histogram: &RunHistogram) -> Totals {
    histogram.buckets.iter().fold(Totals::default(), |so_far, bucket| Totals {
        runs: so_far.runs + bucket.runs,
        failed: so_far.failed + bucket.failed,
    })
}

fn runs(histogram: &RunHistogram) -> Markup {
    let top = round_up(histogram.buckets.iter().map(|bucket| bucket.runs).max().unwrap_or(0));
    let Totals { runs, failed } = totals(histogram);
    let label = format!("{} by time, {failed} of them failed", counted(runs, "run"));
    let drawn = html! {
        (scale(top, |runs| runs.to_string()))
        @for (index, bucket) in histogram.buckets.iter().enumerate() {
            @if bucket.runs > 0 { (bar(histogram, index, bucket, top)) }
        }
    };
    figure("Runs", &[("whole", "did not fail"), ("failed", "failed")], &label, histogram, &drawn)
}

/// One stretch of time: what failed below, the rest above it.
fn bar(histogram: &RunHistogram, index: usize, bucket: &RunBucket, top: u64) -> Markup {
    let (from, width) = (place(histogram, index), (width(histogram, index) - 1).max(1));
    let (failed, whole) = (height(bucket.failed, top), height(bucket.runs, top));
    html! {
        g {
            title { (time(histogram, index)) ": " (counted(bucket.runs, "run")) @if bucket.failed > 0 { ", " (bucket.failed) " failed" } }
            rect.whole x=(from) y=(BOTTOM - whole) width=(width) height=(whole - failed) {}
            @if bucket.failed > 0 { rect.failed x=(from) y=(BOTTOM - failed) width=(width) height=(failed) {} }
        }
    }
}

fn durations(histogram: &RunHistogram) -> Markup {
    let longest = histogram.buckets.iter().filter_map(|bucket| bucket.p99_us).max().unwrap_or(0);
    let top = round_up(u64::try_from(longest).unwrap_or(0));
    let label = format!("How long runs took by time; 99 of 100 at most {}", text::length(longest));
    let drawn = html! {
        (scale(top, |us| text::length(i64::try_from(us).unwrap_or(i64::MAX))))
        path class="line p99" d=(path(histogram, top, |bucket| bucket.p99_us)) {}
        path class="line p50" d=(path(histogram, top, |bucket| bucket.p50_us)) {}
        @for (index, bucket) in histogram.buckets.iter().enumerate() {
            @if let (Some(p50_us), Some(p99_us)) = (bucket.p50_us, bucket.p99_us) {
                // What a pointer finds is the whole stretch of time.
                rect.hit x=(place(histogram, index)) y=(TOP) width=(width(histogram, index)) height=(BOTTOM - TOP) {
                    title { (time(histogram, index)) ": p50 " (text::length(p50_us)) ", p99 " (text::length(p99_us)) }
                }
            }
        }
    };
    let colours = [("p50", "half of them at most (p50)"), ("p99", "99 of 100 at most (p99)")];
    figure("How long they took", &colours, &label, histogram, &drawn)
}

/// A line through the middle of each stretch, which breaks off where nothing ended; what stands alone is a short dash.
fn path(histogram: &RunHistogram, top: u64, pick: fn(&RunBucket) -> Option<i64>) -> String {
    let mut path = String::new();
    let mut is_down = false;
    for (index, bucket) in histogram.buckets.iter().enumerate() {
        let Some(us) = pick(bucket) else {
            is_down = false;
            continue;
        };
        let y = BOTTOM - height(u64::try_from(us).unwrap_or(0), top);
        let x = i64::midpoint(place(histogram, index), place(histogram, index + 1));
        let step = if is_down { format!("L{x} {y}") } else { format!("M{} {y}L{} {y}", x - 2, x + 2) };
        path.push_str(&step);
        is_down = true;
    }
    path
}

/// A chart with its name, its colours explained, and its times.
fn figure(
    name: &str,
    colours: &[(&str, &str)],
    label: &str,
    histogram: &RunHistogram,
    drawn: &Markup,
) -> Markup {
    html! {
        figure.chart {
            figcaption {
                b { (name) }
                ul.legend { @for (look, says) in colours { li { span class={ "key " (look) } {} (says) } } }
            }
            div.wide role="region" aria-label=(name) tabindex="0" {
                svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
                    (drawn)
                    (times(histogram))
                }
            }
        }
    }
}

/// Lines across, with what they stand for.
fn scale(top: u64, shown: impl Fn(u64) -> String) -> Markup {
    let mut values = vec![0, top / 2, top];
    values.dedup();
    html! {
        @for value in values {
            @let y = BOTTOM - height(value, top);
            line.rule x1=(LEFT) y1=(y) x2=(RIGHT) y2=(y) {}
            text.label x=(LEFT - 6) y=(y + 4) text-anchor="end" { (shown(value)) }
        }
    }
}

/// Times below, a few of them.
fn times(histogram: &RunHistogram) -> Markup {
    let every = histogram.buckets.len().div_ceil(LABELS).max(1);
    html! {
        @for index in (0..histogram.buckets.len()).step_by(every) {
            text.label x=(place(histogram, index)) y=(BOTTOM + 18) { (time(histogram, index)) }
        }
    }
}

fn as_table(histogram: &RunHistogram) -> Markup {
    let length = |us: Option<i64>| us.map(text::length).unwrap_or_default();
    let rows = html! {
        @for (index, bucket) in histogram.buckets.iter().enumerate() {
            @if bucket.runs > 0 {
                tr {
                    td { (text::second(start(histogram, index))) }
                    td.number { (bucket.runs) }
                    td.number { (bucket.failed) }
                    td.number { (length(bucket.p50_us)) }
                    td.number { (length(bucket.p99_us)) }
                }
            }
        }
    };
    html! {
        details {
            summary { "The same as a table" }
            (table("Runs by time", &["From", "Runs#", "Failed#", "p50#", "p99#"], &rows))
        }
    }
}

fn start(histogram: &RunHistogram, index: usize) -> i64 {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    histogram.from_us.saturating_add(histogram.bucket_us.saturating_mul(index))
}

/// When a stretch begins: the time of day, and the day where there are several. UTC.
fn time(histogram: &RunHistogram, index: usize) -> String {
    let whole_us =
        histogram.bucket_us.saturating_mul(i64::try_from(histogram.buckets.len()).unwrap_or(i64::MAX));
    let instant = text::instant(start(histogram, index));
    let mut shown = String::new();
    let (day, clock) = (instant.get(5..10).unwrap_or_default(), instant.get(11..16).unwrap_or_default());
    if whole_us > 2 * DAY_US {
        write!(shown, "{day} ").expect("a String takes everything");
    }
    shown + clock
}

/// Where the stretch of that index begins, from the left.
fn place(histogram: &RunHistogram, index: usize) -> i64 {
    let count = i64::try_from(histogram.buckets.len().max(1)).unwrap_or(i64::MAX);
    LEFT + (RIGHT - LEFT) * i64::try_from(index).unwrap_or(count) / count
}

fn width(histogram: &RunHistogram, index: usize) -> i64 {
    (place(histogram, index + 1) - place(histogram, index)).max(1)
}

/// How high something is that would be as high as the chart at `top`; what is there at all is seen.
fn height(value: u64, top: u64) -> i64 {
    let whole = u64::try_from(BOTTOM - TOP).expect("it is no less than nothing");
    let height = (u128::from(value) * u128::from(whole)).div_ceil(u128::from(top.max(1)));
    i64::try_from(height.min(u128::from(whole))).expect("it is no more than the chart")
}

/// The next round number, 1, 2 or 5 with zeros, so that a scale is easy to read.
fn round_up(value: u64) -> u64 {
    let mut step = 1u64;
    loop {
        for round in [1, 2, 5].map(|digit| step.saturating_mul(digit)) {
            if round >= value {
                return round;
            }
        }
        step = step.saturating_mul(10);
    }
}

pub(super) fn counted(number: u64, noun: &str) -> String {
    text::count(u32::try_from(number).unwrap_or(u32::MAX), noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[(u64, u64, Option<i64>)]) -> RunHistogram {
        let bucket = |&(runs, failed, us): &(u64, u64, Option<i64>)| RunBucket {
            runs,
            failed,
            p50_us: us,
            p99_us: us,
        };
        RunHistogram {
            from_us: 1_767_323_040_000_000,
            bucket_us: 60_000_000,
            sampled: false,
            buckets: buckets.iter().map(bucket).collect(),
        }
    }

    #[test]
    fn a_scale_ends_in_a_round_number() {
        let tops = [(0, 1), (1, 1), (2, 2), (3, 5), (10, 10), (11, 20), (499, 500), (501, 1000)];
        for (value, top) in tops {
            assert_eq!(round_up(value), top, "{value}");
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_is_there_is_seen_and_nothing_leaves_the_chart() {
        assert_eq!([height(0, 1000), height(1, 1_000_000), height(1000, 1000)], [0, 1, BOTTOM - TOP]);
        assert_eq!(height(u64::MAX, u64::MAX), BOTTOM - TOP);
        let many = histogram(&vec![(1, 0, None); 500]);
        assert_eq!((place(&many, 0), place(&many, 500)), (LEFT, RIGHT));
        assert!((0..500).all(|index| width(&many, index) >= 1));
    }

    #[test]
    fn a_line_breaks_off_where_nothing_ended() {
        let found =
            path(&histogram(&[(1, 0, Some(10)), (1, 0, Some(5)), (0, 0, None), (1, 0, Some(10))]), 10, |b| {
                b.p50_us
            });
        assert_eq!(found.matches('M').count(), 2, "{found}");
        assert_eq!(path(&histogram(&[]), 1, |b| b.p50_us), "");
    }

    #[test]
    fn a_chart_of_nothing_and_of_one_stretch_is_drawn() {
        let nothing = of_runs(&histogram(&[])).into_string();
        assert!(nothing.contains("0 runs by time") && !nothing.contains("<rect"), "{nothing}");
        let one = histogram(&[(u64::MAX, u64::MAX, Some(i64::MAX))]);
        assert_eq!((place(&one, 0), width(&one, 0)), (LEFT, RIGHT - LEFT));
        let page = of_runs(&one).into_string();
        assert!(page.contains(&format!(r#"y="{TOP}" width="{}""#, RIGHT - LEFT - 1)), "{page}");
    }

    #[test]
    fn a_chart_is_told_in_words_too() {
        let page = of_runs(&histogram(&[(3, 1, Some(1500)), (0, 0, None)])).into_string();
        for part in [
            "3 runs by time, 1 of them failed",
            "03:04: 3 runs, 1 failed",
            "p50 1.50 ms",
            "2026-01-02 03:04:00 UTC",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches("rect class=\"whole\"").count(), 1);
    }
}
