//! Tables for people.

use super::text::harmless;
use std::fmt::{self, Write};

/// Rows under headings, in columns as wide as they need to be.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(headings: &[&'static str]) -> Table {
        Table { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each heading. What could move a terminal's cursor is shown escaped, as cells may
    /// come from outside.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| harmless(&cell));
        self.rows.push(cells.collect());
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As it is shown, but without the headings.
    pub fn rows_only(&self) -> String {
        let shown = self.to_string();
        shown.split_once('\n').map_or_else(String::new, |(_, rows)| rows.to_owned())
    }
}

/// One row a line, the headings first.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings: Vec<_> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..headings.len()).map(|column| width(column).unwrap_or(0)).collect();
        for row in lines() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(["täxt".into(), "1".into()]);
        table.row(["longer".into(), "22".into()]);
        assert_eq!(table.to_string(), "NAME    N\ntäxt    1\nlonger  22\n");
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        let mut table = Table::new(&["SUBJECT"]);
        table.row(["a\u{1b}[2Jb\nc\u{9b}".into()]);
        assert_eq!(table.to_string(), "SUBJECT\na\\u{1b}[2Jb\\nc\\u{9b}\n");
    }
}
