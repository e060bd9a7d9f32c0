//! A table as data, rendered once as aligned text and once as HTML, so that both documents show the same cells.
//!
//! Start at [`Table`]; what stands in the tables is decided in [`tables`](crate::tables).
//!
//! Invariant: (T1) every row has one cell per column. Widths count characters, not bytes: `µ` and `λ` are one wide.

use crate::ansi::{Color, Style, clean, paint};
use crate::record::Lapse;
use crate::units::{self, Unit};

/// On which side the cells of a column line up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names and text.
    Left,
    /// Numbers.
    Right,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// One line, free of control characters.
    pub text: String,
    /// What the text means.
    pub style: Style,
}

impl Cell {
    /// A cell of `text` with line breaks and control characters blanked.
    pub fn new(text: impl AsRef<str>) -> Cell {
        Cell { text: clean(text.as_ref()), style: Style::Plain }
    }

    /// The same cell in `style`.
    pub fn styled(self, style: Style) -> Cell {
        Cell { style, ..self }
    }

    /// A cell for a number that is not there.
    pub fn none() -> Cell {
        Cell::new("–").styled(Style::Dim)
    }

    /// A duration in nanoseconds, padded to line up with its column.
    pub fn duration(ns: u64) -> Cell {
        Cell::new(units::aligned(units::duration(ns)))
    }

    /// As [`Cell::duration`], or [`Cell::none`].
    pub fn maybe_duration(ns: Option<u64>) -> Cell {
        ns.map_or_else(Cell::none, Cell::duration)
    }

    /// A duration, or `> …` of what had no end, which stands out.
    pub fn lapse(lapse: Lapse) -> Cell {
        let cell = Cell::new(units::aligned(lapse.to_string()));
        if lapse.ns().is_some() { cell } else { cell.styled(Style::Bad) }
    }

    /// A signed duration in nanoseconds, or [`Cell::none`].
    pub fn maybe_difference(ns: Option<i64>) -> Cell {
        ns.map_or_else(Cell::none, |ns| Cell::new(units::aligned(units::difference(ns))))
    }

    /// A point in time in nanoseconds since the start of the run, in seconds, or [`Cell::none`].
    pub fn maybe_instant(ns: Option<u64>) -> Cell {
        ns.map_or_else(Cell::none, |ns| Cell::new(units::instant(ns)))
    }

    /// A number of some unit; durations line up at theirs.
    pub fn quantity(unit: Unit, n: u64) -> Cell {
        Cell::new(units::aligned(unit.text(n)))
    }

    /// A count.
    pub fn count(n: u64) -> Cell {
        Cell::new(units::count(n))
    }

    /// Bytes.
    pub fn bytes(n: u64) -> Cell {
        Cell::new(units::bytes(n))
    }
}

/// Columns with headings, and rows of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table; a heading may be empty.
    pub fn new<const N: usize>(columns: [(&'static str, Align); N]) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row; the number of cells has to be that of the columns (T1).
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        assert_eq!(N, self.columns.len(), "T1");
        self.rows.push(cells.into());
    }

    /// Headings and sides.
    pub fn columns(&self) -> &[(&'static str, Align)] {
        &self.columns
    }

    /// Rows, each with one cell per column.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as aligned text, each line behind `indent` blanks and ended by a line break; no line ends in blanks.
    pub fn text(&self, indent: usize, color: Color) -> String {
        let headings = self.columns.iter().map(|(heading, _)| Cell::new(heading).styled(Style::Heading)).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| {
                self.rows.iter().map(|row| width(&row[c].text)).chain([width(self.columns[c].0)]).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        let has_headings = self.columns.iter().any(|(heading, _)| !heading.is_empty());
        for row in has_headings.then_some(&headings).into_iter().chain(&self.rows) {
            text.push_str(&self.line(row, &widths, indent, color));
            text.push('\n');
        }
        text
    }

    fn line(&self, row: &[Cell], widths: &[usize], indent: usize, color: Color) -> String {
        let mut line = " ".repeat(indent);
        // Blanks owed before the next visible character: dropped at the end of the line.
        let mut owed = 0;
        for ((cell, (_, align)), column_width) in row.iter().zip(&self.columns).zip(widths) {
            // Padding stays outside the escape codes, and a padded unit counts as text of the column.
            let visible = cell.text.trim_end();
            let fill = column_width - width(&cell.text);
            let behind = width(&cell.text) - width(visible);
            let (before, after) = match align {
                Align::Left => (0, fill + behind),
                Align::Right => (fill, behind),
            };
            if visible.is_empty() {
                owed += before + after + 2;
                continue;
            }
            line.push_str(&" ".repeat(owed + before));
            line.push_str(&paint(visible, cell.style, color));
            owed = after + 2;
        }
        line
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("name", Align::Left), ("time", Align::Right), ("note", Align::Left)]);
        table.row([Cell::new("a"), Cell::duration(1_204_000_000), Cell::new("")]);
        table.row([Cell::new("bµb"), Cell::duration(13_200_000), Cell::new("x\ny").styled(Style::Bad)]);
        table
    }

    #[test]
    fn columns_line_up_at_the_units_and_lines_end_clean() {
        insta::assert_snapshot!(table().text(2, Color::No), @r"
          name      time  note
          a     1.204 s
          bµb    13.2 ms  x y
        ");
    }

    #[test]
    fn colour_changes_no_alignment() {
        let coloured = table().text(0, Color::Yes);
        let plain: String = coloured.replace("\x1b[1m", "").replace("\x1b[1;31m", "").replace("\x1b[0m", "");
        assert_eq!(plain, table().text(0, Color::No));
    }

    #[test]
    fn an_empty_table_is_its_headings() {
        assert_eq!(Table::new([("a", Align::Left), ("b", Align::Right)]).text(0, Color::No), "a  b\n");
    }
}
