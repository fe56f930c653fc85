//! A value of a row.

use maud::{Markup, Render, html};
use serde_json::value::RawValue;

use crate::base::csv;

/// Characters of a text that are shown before it is folded.
const SHOWN_CHARS: usize = 160;

/// A value, as what it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// NULL.
    Nothing,
    /// A number, as it was written.
    Number(String),
    /// A text.
    Text(String),
}

impl Cell {
    /// The value that `/v1` has told of.
    pub(super) fn of(value: &RawValue) -> Cell {
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).map_or(Cell::Nothing, Cell::Text),
            Some(b'-' | b'0'..=b'9') => Cell::Number(json.to_owned()),
            _ => Cell::Nothing,
        }
    }

    /// As a field of a file for spreadsheets.
    pub(super) fn csv(&self) -> String {
        match self {
            Cell::Nothing => String::new(),
            Cell::Number(number) => number.clone(),
            Cell::Text(text) => csv::spreadsheet_field(text).into_owned(),
        }
    }
}

impl Render for Cell {
    fn render(&self) -> Markup {
        match self {
            Cell::Nothing => html! { td.quiet { "NULL" } },
            Cell::Number(number) => html! { td.number { (number) } },
            Cell::Text(text) => match text.char_indices().nth(SHOWN_CHARS) {
                None => html! { td.message { (text) } },
                Some((end, _)) => html! {
                    td.message { details { summary { (&text[..end]) "…" } pre { (text) } } }
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Cell, csv: &str) {
        let found = Cell::of(&RawValue::from_string(json.to_owned()).unwrap());
        assert_eq!((found.csv().as_str(), found), (csv, expected));
    }

    #[test]
    fn values_are_what_they_are() {
        check("null", Cell::Nothing, "");
        check(
            "-9223372036854775808",
            Cell::Number("-9223372036854775808".to_owned()),
            "-9223372036854775808",
        );
        check("1.50", Cell::Number("1.50".to_owned()), "1.50");
        check(r#""""#, Cell::Text(String::new()), "\"\"");
        check(r#""=1+1""#, Cell::Text("=1+1".to_owned()), "'=1+1");
    }

    #[test]
    fn texts_are_text_and_long_ones_are_folded() {
        let shown = |text: &str| Cell::Text(text.to_owned()).render().into_string();
        assert_eq!(shown("<b>"), "<td class=\"message\">&lt;b&gt;</td>");
        assert!(shown(&"é".repeat(1000)).contains("<summary>"));
    }
}
