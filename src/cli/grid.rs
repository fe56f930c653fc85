//! Rows of which nobody knows beforehand what is in them: numbers to the right, NULL told from a text, and cut to the width
//! of the terminal where a person watches.

use crate::cli::output::{Out, Style};
use crate::cli::table::width;

/// What is between two columns.
const GAP: &str = "  ";
/// A column is not made narrower than that for others' sake.
const COLUMN_MIN: usize = 8;
/// Where there is no terminal, what is wider than that sticks out.
const COLUMN_MAX: usize = 60;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// NULL.
    Null,
    /// Its digits.
    Number(String),
    /// A text of whatever origin.
    Text(String),
}

/// A head and rows of as many cells.
#[derive(Debug)]
pub(super) struct Grid<'a> {
    pub(super) head: &'a [String],
    pub(super) rows: &'a [Vec<Cell>],
}

impl Grid<'_> {
    /// The rows as text, the head dimmed.
    pub(super) fn render(&self, out: &Out) -> String {
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| shown(cell, out)).collect()).collect();
        let head: Vec<String> = self.head.iter().map(|name| one_line(name, out)).collect();
        let widths = self.widths(&head, &shown, out.columns());
        let is_right: Vec<bool> = (0..head.len()).map(|column| self.is_numeric(column)).collect();
        let line = |cells: &[String], dim: &dyn Fn(usize) -> bool| {
            let is_cut = out.columns().is_some();
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let cell = if is_cut { cut(cell, widths[column]) } else { cell.clone() };
                let blank = " ".repeat(widths[column].saturating_sub(width(&cell)));
                let cell = if dim(column) { out.paint(Style::Dim, &cell) } else { cell };
                if is_right[column] { blank + &cell } else { cell + &blank }
            });
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
        };
        let rows =
            shown.iter().zip(self.rows).map(|(shown, row)| line(shown, &|column| row[column] == Cell::Null));
        line(&head, &|_| true) + &rows.collect::<String>()
    }

    /// Whether a column has numbers, and nothing else but NULL.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells =
            self.rows.iter().map(|row| &row[column]).filter(|cell| **cell != Cell::Null).peekable();
        cells.peek().is_some() && cells.all(|cell| matches!(cell, Cell::Number(_)))
    }

    /// As wide as the widest cell; where that is too much for a line, the widest columns give way.
    fn widths(&self, head: &[String], rows: &[Vec<String>], line_max: Option<usize>) -> Vec<usize> {
        let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
        let mut widths: Vec<usize> =
            head.iter().enumerate().map(|(column, name)| width(name).max(widest(column))).collect();
        let Some(line_max) = line_max else {
            // Nothing is cut for programs, and one long cell must not make every row as long.
            return widths.into_iter().map(|width| width.min(COLUMN_MAX)).collect();
        };
        let gaps = GAP.len() * head.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > line_max {
            match widths.iter_mut().max() {
                Some(widest) if *widest > COLUMN_MIN => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

fn shown(cell: &Cell, out: &Out) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Number(digits) => digits.clone(),
        Cell::Text(text) => one_line(text, out),
    }
}

/// A row stays on its line, whoever reads it.
fn one_line(text: &str, out: &Out) -> String {
    out.foreign(text).replace("\r\n", " ").replace(['\n', '\r', '\t'], " ")
}

/// The text, or its beginning with a mark where it is wider.
fn cut(text: &str, wide: usize) -> String {
    if width(text) <= wide {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if width(&kept) + width(character.encode_utf8(&mut [0; 4])) + 1 > wide {
            break;
        }
        kept.push(character);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn number(digits: &str) -> Cell {
        Cell::Number(digits.to_owned())
    }

    fn render(head: &[&str], rows: &[Vec<Cell>], out: &Out) -> String {
        let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
        Grid { head: &head, rows }.render(out)
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [
            vec![text("hello"), number("7"), Cell::Null],
            vec![text("中文"), number("1250.5"), text("two\nlines")],
        ];
        let expected = "\
function      ms  note
hello          7  NULL
中文      1250.5  two lines
";
        assert_eq!(render(&["function", "ms", "note"], &rows, &Out::plain()), expected);
        assert_eq!(render(&["a"], &[], &Out::plain()), "a\n");
        let mixed = [vec![text("x")], vec![number("1")]];
        assert_eq!(render(&["mixed"], &mixed, &Out::plain()), "mixed\nx\n1\n");
    }

    #[test]
    fn null_is_told_from_a_text_where_there_are_colours() {
        let rows = [vec![Cell::Null, text("NULL")]];
        assert_eq!(
            render(&["a", "b"], &rows, &Out::coloured()),
            "\x1b[2ma\x1b[0m     \x1b[2mb\x1b[0m\n\x1b[2mNULL\x1b[0m  NULL\n"
        );
    }

    #[test]
    fn the_widest_columns_give_way() {
        let (head, rows) = (["a".to_owned(), "b".to_owned()], [vec![text("short"), text(&"x".repeat(50))]]);
        let grid = Grid { head: &head, rows: &rows };
        let shown = [vec!["short".to_owned(), "x".repeat(50)]];
        assert_eq!(grid.widths(&head, &shown, Some(30)), [5, 23]);
        assert_eq!(grid.widths(&head, &shown, Some(3)), [5, COLUMN_MIN], "a narrow terminal wraps lines");
        assert_eq!(grid.widths(&head, &shown, None), [5, 50]);
        assert_eq!(
            (cut("abcdef", 4), cut("abcd", 4), cut("中文字", 4)),
            ("abc…".into(), "abcd".into(), "中…".into())
        );
    }
}
