//! Aligned columns.

use std::collections::BTreeMap;

use crate::cli::output::{Out, Style};

/// Rows under a head; columns are as wide as their widest cell, the last one as it comes.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Of the cells that carry one, by row and column.
    styles: BTreeMap<(usize, usize), Style>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()], styles: BTreeMap::new() }
    }

    /// Adds a row with as many cells as the head.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Gives the cell in that column of the last row a style.
    pub(super) fn style(&mut self, column: usize, style: Style) {
        self.styles.insert((self.rows.len() - 1, column), style);
    }

    /// The table as text, the head dimmed; cells must not carry colour of their own, which would count as width.
    pub(super) fn render(&self, out: &Out) -> String {
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
            .collect();
        let lines = self.rows.iter().enumerate().map(|(index, row)| {
            let paint = |column: usize, cell: &str| match self.styles.get(&(index, column)) {
                Some(style) => out.paint(*style, cell),
                None => cell.to_owned(),
            };
            let line = aligned(row, &widths, paint);
            if index == 0 { out.paint(Style::Dim, &line) } else { line }
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

/// The cells side by side; `paint` may put colour around a cell, by its column.
fn aligned(row: &[String], widths: &[usize], paint: impl Fn(usize, &str) -> String) -> String {
    let padded =
        row.iter().zip(widths).enumerate().map(|(column, (cell, wide))| {
            format!("{}{}", paint(column, cell), " ".repeat(wide - width(cell)))
        });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Columns of a terminal that `text` takes; East Asian characters take two.
pub(super) fn width(text: &str) -> usize {
    let is_wide = |c: char| matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd);
    text.chars().map(|c| 1 + usize::from(is_wide(c))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", "MB", "NOTE"]);
        table.row(["hello".to_owned(), "128".to_owned(), String::new()]);
        table.row(["中文".to_owned(), "64".to_owned(), "x".to_owned()]);
        assert_eq!(table.render(&Out::plain()), "NAME   MB   NOTE\nhello  128\n中文   64   x\n");
    }

    #[test]
    fn colour_takes_no_room() {
        let mut table = Table::new(&["NAME", "MB"]);
        table.row(["a".to_owned(), "128".to_owned()]);
        table.style(0, Style::Bad);
        assert_eq!(table.render(&Out::coloured()), "\x1b[2mNAME  MB\x1b[0m\n\x1b[31ma\x1b[0m     128\n");
        assert_eq!(table.render(&Out::plain()), "NAME  MB\na     128\n");
    }
}
