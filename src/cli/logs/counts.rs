//! `fnlite logs --count`: how many lines there are, as bars for people.

use crate::api::wire::{Facet, Facets, Histogram};
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::Query;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::table::Table;

/// Characters of the longest bar.
const BAR_CHARS: u64 = 40;
/// Most stretches of time: what fits on a screen.
const BUCKETS: u32 = 30;

pub(super) fn by_time(filters: Query, context: &Context) -> Result<Exit, Failure> {
    let query = [filters, vec![("buckets", Some(BUCKETS.to_string()))]].concat();
    let answer = context.api()?.get("/v1/logs/histogram", query)?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let counted: Histogram = answer.json()?;
    context.out.data(histogram(&counted, &context.out).as_bytes())?;
    stopped(counted.stopped_us, &context.out);
    Ok(Exit::Done)
}

pub(super) fn by_kind(filters: Query, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get("/v1/logs/facets", filters)?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let counted: Facets = answer.json()?;
    context.out.data(facets(&counted, &context.out).as_bytes())?;
    stopped(counted.stopped_us, &context.out);
    Ok(Exit::Done)
}

/// Says where counting stopped, if it did not come to the end.
fn stopped(stopped_us: Option<i64>, out: &Out) {
    if let Some(us) = stopped_us {
        out.note(&format!("counting took too long: lines before {} UTC are not counted", text::instant(us)));
    }
}

fn histogram(counted: &Histogram, out: &Out) -> String {
    let most = counted.buckets.iter().copied().max().unwrap_or(0);
    let mut table = Table::new(&["from (UTC)", "lines", ""]);
    for (number, lines) in (0i64..).zip(&counted.buckets) {
        let from_us = counted.from_us.saturating_add(counted.bucket_us.saturating_mul(number));
        // To the second, without the word that the head has.
        let from = text::second(from_us).trim_end_matches(" UTC").to_owned();
        table.row([from, lines.to_string(), bar(*lines, most)]);
        table.style(2, Style::Dim);
    }
    format!("{}{}\n", table.render(out), total(counted.lines))
}

fn facets(counted: &Facets, out: &Out) -> String {
    let mut table = Table::new(&["by", "", "lines", ""]);
    for (kind, values) in [
        ("function", &counted.function),
        ("level", &counted.level),
        ("status", &counted.status),
        ("version", &counted.version),
    ] {
        for (number, Facet { value, lines }) in values.iter().enumerate() {
            let kind = if number == 0 { kind } else { "" };
            table.row([kind.to_owned(), out.foreign(value), lines.to_string(), bar(*lines, counted.lines)]);
            table.style(3, Style::Dim);
        }
    }
    format!("{}{}\n", table.render(out), total(counted.lines))
}

fn total(lines: u64) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

/// A bar in proportion; what is there at all is seen.
fn bar(lines: u64, most: u64) -> String {
    let chars = (lines * BAR_CHARS).checked_div(most).unwrap_or(0).max(u64::from(lines > 0));
    "█".repeat(usize::try_from(chars).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_time() {
        let counted: Histogram = serde_json::from_str(
            r#"{"from_us":1767323040000000,"bucket_us":3600000000,"lines":6,"buckets":[1,0,5]}"#,
        )
        .unwrap();
        let expected = "\
from (UTC)           lines
2026-01-02 03:04:00  1      ████████
2026-01-02 04:04:00  0
2026-01-02 05:04:00  5      ████████████████████████████████████████
6 lines
";
        assert_eq!(histogram(&counted, &Out::plain()), expected);
    }

    #[test]
    fn lines_by_kind() {
        let counted: Facets = serde_json::from_str(
            r#"{"lines":4,"function":[{"value":"hello","lines":3},{"value":"other","lines":1}],"level":[{"value":"INFO","lines":4}],
            "status":[],"version":[]}"#,
        )
        .unwrap();
        let expected = "\
by               lines
function  hello  3      ██████████████████████████████
          other  1      ██████████
level     INFO   4      ████████████████████████████████████████
4 lines
";
        assert_eq!(facets(&counted, &Out::plain()), expected);
    }
}
