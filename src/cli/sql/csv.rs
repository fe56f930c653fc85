//! Rows as comma-separated values (RFC 4180, with line feeds): NULL is nothing, an empty text is `""`.

use crate::base::csv;
use crate::cli::grid::Cell;

/// The head and the rows.
pub(super) fn render(head: &[String], rows: &[Vec<Cell>]) -> String {
    let head = head.iter().map(|name| csv::field(name)).collect::<Vec<_>>().join(",") + "\n";
    let rows = rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>().join(",") + "\n");
    head + &rows.collect::<String>()
}

fn value(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Number(digits) => digits.clone(),
        Cell::Text(text) => csv::field(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_has_them() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let head = ["a", "b,c"].map(str::to_owned);
        let rows = [
            vec![text("say \"hi\""), Cell::Number("1.50".to_owned())],
            vec![Cell::Null, text("")],
            vec![text("two\nlines"), text("é")],
        ];
        let expected = "a,\"b,c\"\n\"say \"\"hi\"\"\",1.50\n,\"\"\n\"two\nlines\",é\n";
        assert_eq!(render(&head, &rows), expected);
    }
}
