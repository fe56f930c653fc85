//! Rows as bars: a name or a time, and a number.

use maud::{Markup, html};

use crate::api::console::problem::Problem;
use crate::api::console::sql::cell::Cell;
use crate::api::wire::Rows;

/// Bars that are drawn at most.
const BARS_MAX: usize = 200;
/// How long the longest bar is, in units of its own.
const LENGTH: f64 = 1000.0;

/// The first column that has no numbers names the bars, the first that has gives their length.
pub(super) fn of(rows: &Rows) -> Result<Markup, Problem> {
    let cells: Vec<Vec<Cell>> = rows
        .rows
        .iter()
        .take(BARS_MAX)
        .map(|row| row.iter().map(|value| Cell::of(value)).collect())
        .collect();
    let has_numbers = |column: usize| {
        cells.iter().any(|row| matches!(row[column], Cell::Number(_)))
            && !cells.iter().any(|row| matches!(row[column], Cell::Text(_)))
    };
    let columns = 0..rows.columns.len();
    let number = columns.clone().find(|column| has_numbers(*column));
    let name = columns
        .clone()
        .find(|column| !has_numbers(*column))
        .or_else(|| columns.clone().find(|column| Some(*column) != number));
    let (Some(number), Some(name)) = (number, name) else {
        return Err(Problem::new(
            400,
            "For bars a statement must give a column of names or times, and a column of numbers.",
        ));
    };
    let longest = cells.iter().filter_map(|row| length(&row[number])).fold(0.0, f64::max);
    Ok(html! {
        div.wide role="region" aria-label="Bars" tabindex="0" {
            table.bars {
                thead { tr { th scope="col" { (rows.columns[name]) } th scope="col" colspan="2" { (rows.columns[number]) } } }
                tbody {
                    @for row in &cells {
                        tr { (row[name]) td.bar { (bar(&row[number], longest)) } (row[number]) }
                    }
                }
            }
        }
        @if rows.rows.len() > BARS_MAX { p.quiet { "The first " (BARS_MAX) " rows are drawn." } }
    })
}

fn bar(cell: &Cell, longest: f64) -> Markup {
    let width = length(cell).filter(|_| longest > 0.0).map_or(0.0, |length| length / longest * LENGTH);
    html! {
        svg viewBox={ "0 0 " (LENGTH) " 10" } preserveAspectRatio="none" aria-hidden="true" {
            rect.bar x="0" y="0" width=(format!("{width:.1}")) height="10" {}
        }
    }
}

/// What is less than nothing has no bar.
fn length(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(number) => {
            number.parse().ok().filter(|length: &f64| length.is_finite() && *length > 0.0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn drawn(columns: &[&str], rows: &[&[&str]]) -> Result<String, String> {
        let value = |json: &&str| RawValue::from_string((*json).to_owned()).unwrap();
        let rows = Rows {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
            truncated: false,
            took_us: 1,
        };
        of(&rows).map(Markup::into_string).map_err(|problem| problem.sentence)
    }

    #[test]
    fn names_and_numbers_become_bars() {
        let found = drawn(&["n", "name"], &[&["10", "\"<a>\""], &["5", "null"], &["-3", "\"b\""]]).unwrap();
        for part in ["width=\"1000.0\"", "width=\"500.0\"", "width=\"0.0\"", "&lt;a&gt;"] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert!(drawn(&["year", "runs"], &[&["2025", "7"]]).is_ok(), "numbers name bars as well");
        for columns in [&["a"][..], &["a", "b"]] {
            let row: Vec<&str> = columns.iter().map(|_| "\"x\"").collect();
            assert!(drawn(columns, &[&row]).is_err());
        }
        assert!(drawn(&["a", "b"], &[]).is_err());
    }
}
