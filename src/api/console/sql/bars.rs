//! Rows as bars: a name or a time, and numbers.

use maud::{Markup, html};

use crate::api::console::problem::Problem;
use crate::api::console::sql::cell::Cell;
use crate::api::wire::Rows;

/// Rows that are drawn at most.
const ROWS_MAX: usize = 200;
/// Columns of numbers that are drawn at most: more cannot be told apart, and every value is a picture of its own.
const COLUMNS_MAX: usize = 6;
/// How long the longest bar is, in units of its own.
const LENGTH: f64 = 1000.0;

/// Which columns are drawn as what.
#[derive(Debug, PartialEq, Eq)]
struct Drawn {
    /// The one that names the rows.
    name: usize,
    /// Those that give lengths.
    numbers: Vec<usize>,
}

impl Drawn {
    /// The first column that has no numbers names the rows, or the first of all if each has: years and runs are runs by year.
    fn of(columns: usize, cells: &[Vec<Cell>]) -> Result<Drawn, &'static str> {
        if cells.is_empty() {
            return Err("The statement gave no rows, so there is nothing to draw.");
        }
        let has_numbers = |column: &usize| {
            cells.iter().any(|row| matches!(row[*column], Cell::Number(_)))
                && !cells.iter().any(|row| matches!(row[*column], Cell::Text(_)))
        };
        let name = (0..columns).find(|column| !has_numbers(column)).unwrap_or(0);
        let numbers: Vec<usize> =
            (0..columns).filter(|column| *column != name && has_numbers(column)).collect();
        if numbers.is_empty() {
            return Err(
                "For bars a statement must give a column of names or times, and a column of numbers.",
            );
        }
        Ok(Drawn { name, numbers })
    }
}

/// Every column of numbers has a scale of its own, since one may count runs and the next milliseconds. The numbers stand beside
/// their bars, which are for the eye only.
pub(super) fn of(rows: &Rows) -> Result<Markup, Problem> {
    let cells: Vec<Vec<Cell>> = rows
        .rows
        .iter()
        .take(ROWS_MAX)
        .map(|row| row.iter().map(|value| Cell::of(value)).collect())
        .collect();
    let Drawn { name, numbers } =
        Drawn::of(rows.columns.len(), &cells).map_err(|sentence| Problem::new(400, sentence))?;
    let longest = |column: usize| cells.iter().filter_map(|row| length(&row[column])).fold(0.0, f64::max);
    let drawn: Vec<(usize, f64)> =
        numbers.iter().take(COLUMNS_MAX).map(|column| (*column, longest(*column))).collect();
    Ok(html! {
        div.wide role="region" aria-label="Bars" tabindex="0" {
            table.bars.several[drawn.len() > 1] {
                thead { tr {
                    th scope="col" { (rows.columns[name]) }
                    @for (column, _) in &drawn { th scope="col" colspan="2" { (rows.columns[*column]) } }
                } }
                tbody {
                    @for row in &cells {
                        tr {
                            (row[name])
                            @for (column, longest) in &drawn { td.bar { (bar(&row[*column], *longest)) } (row[*column]) }
                        }
                    }
                }
            }
        }
        @if drawn.len() > 1 { p.quiet { "Each column has its own scale: its longest bar is its largest number." } }
        @if numbers.len() > COLUMNS_MAX { p.quiet { "The first " (COLUMNS_MAX) " columns of numbers are drawn." } }
        @if rows.rows.len() > ROWS_MAX { p.quiet { "The first " (ROWS_MAX) " rows are drawn." } }
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

    fn check(columns: &[&str], row: &[&str], name: usize, numbers: &[usize]) {
        let value = |json: &&str| Cell::of(&RawValue::from_string((*json).to_owned()).unwrap());
        let cells = [row.iter().map(value).collect()];
        let expected = Drawn { name, numbers: numbers.to_vec() };
        assert_eq!(Drawn::of(columns.len(), &cells), Ok(expected), "{columns:?}");
    }

    #[test]
    fn columns_are_what_they_hold() {
        check(&["runs", "function"], &["7", "\"a\""], 1, &[0]);
        check(&["year", "runs"], &["2025", "7"], 0, &[1]);
        check(&["function", "runs", "last", "ms"], &["\"a\"", "7", "\"b\"", "1.5"], 0, &[1, 3]);
        check(&["function", "runs"], &["null", "7"], 0, &[1]);
    }

    #[test]
    fn names_and_numbers_become_bars() {
        let found = drawn(&["n", "name"], &[&["10", "\"<a>\""], &["5", "null"], &["-3", "\"b\""]]).unwrap();
        for part in ["width=\"1000.0\"", "width=\"500.0\"", "width=\"0.0\"", "&lt;a&gt;"] {
            assert!(found.contains(part), "{part}: {found}");
        }
    }

    #[test]
    fn every_column_has_its_own_scale() {
        let rows: [&[&str]; 2] = [&["\"a\"", "4", "0.5"], &["\"b\"", "1", "0.1"]];
        let found = drawn(&["name", "runs", "ms"], &rows).unwrap();
        for part in ["width=\"250.0\"", "width=\"200.0\"", "its own scale"] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert_eq!(found.matches("width=\"1000.0\"").count(), 2);
        let many = [&["\"a\""][..], &["1"; COLUMNS_MAX + 1][..]].concat();
        let found = drawn(&vec!["c"; many.len()], &[&many]).unwrap();
        assert_eq!(found.matches("<rect").count(), COLUMNS_MAX);
        assert!(found.contains("columns of numbers are drawn"));
    }

    #[test]
    fn what_cannot_be_drawn_is_told() {
        for columns in [&["a"][..], &["a", "b"]] {
            let row: Vec<&str> = columns.iter().map(|_| "\"x\"").collect();
            assert!(drawn(columns, &[&row]).unwrap_err().contains("a column of numbers"));
        }
        assert!(drawn(&["a"], &[&["1"]]).unwrap_err().contains("a column of names"), "a number alone");
        assert!(drawn(&["a", "b"], &[]).unwrap_err().contains("no rows"));
    }
}
