//! A table as data, which is rendered as aligned text and as HTML, so that both documents have the same cells.
//!
//! Start at [`Table`]; [`tables`](crate::tables) decides what the tables contain.
//!
//! On a terminal a table fits the width ([`Table::text`]): first the headings of numbers are broken, then columns that
//! are dispensable ([`Table::dispensable`]) are left out and named, and finally cells are broken.
//!
//! Invariants: (TABLE-T1) every row has one cell per column; (TABLE-T2) no line is wider than the screen, down to [`WIDTH_MIN`].
//! Widths count columns of a terminal, not bytes: `µ` and `λ` are one wide.

use std::borrow::Cow;

use crate::ansi::{Color, Screen, Style, clean, paint, width};
use crate::record::Lapse;
use crate::units::{self, Unit};

/// The side on which the cells of a column are aligned.
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
    /// A cell of `text`, in which line breaks and control characters become spaces.
    pub fn new(text: impl AsRef<str>) -> Cell {
        Cell { text: clean(text.as_ref()), style: Style::Plain }
    }

    /// The same cell in `style`.
    pub fn styled(self, style: Style) -> Cell {
        Cell { style, ..self }
    }

    /// A cell for a missing number.
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

    /// A duration, or `> …` with emphasis if it had no end.
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

    /// A number in this unit; durations are aligned at their units.
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

/// Screens narrower than this are treated as this wide.
pub const WIDTH_MIN: usize = 40;
/// No column of text becomes narrower than this.
const COLUMN_MIN: usize = 12;

/// Columns with headings, and rows of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(Cow<'static, str>, Align)>,
    rows: Vec<Vec<Cell>>,
    /// Lines of text above rows. Each comes before the row with its number, counted from 0.
    sections: Vec<(usize, Cell)>,
    /// Headings of columns that may be left out, in the order in which they are left out.
    dispensable: Vec<&'static str>,
}

impl Table {
    /// An empty table; a heading may be empty.
    pub fn new<const N: usize>(columns: [(&'static str, Align); N]) -> Table {
        Table::with(columns.into_iter().map(|(heading, align)| (Cow::Borrowed(heading), align)).collect())
    }

    /// As [`Table::new`], for columns that depend on what was measured.
    pub fn with(columns: Vec<(Cow<'static, str>, Align)>) -> Table {
        Table { columns, rows: Vec::new(), sections: Vec::new(), dispensable: Vec::new() }
    }

    /// The same table, in which these columns may be left out if there is not enough space, in this order.
    pub fn dispensable(self, headings: &[&'static str]) -> Table {
        Table { dispensable: headings.to_vec(), ..self }
    }

    /// Adds a row, which must have as many cells as there are columns (TABLE-T1).
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.columns.len(), "TABLE-T1");
        self.rows.push(cells);
    }

    /// Puts a full-width line above the rows that follow. It occurs only in the text, because the rows of a page can be
    /// sorted.
    pub fn section(&mut self, line: Cell) {
        self.sections.push((self.rows.len(), line));
    }

    /// Headings and alignments.
    pub fn columns(&self) -> &[(Cow<'static, str>, Align)] {
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

    /// The table as aligned text. Each line is indented by `indent` spaces and ends with a line break, without trailing
    /// spaces.
    pub fn text(&self, indent: usize, screen: impl Into<Screen>) -> String {
        let Screen { color, width: room } = screen.into();
        let room = room.max(WIDTH_MIN);
        let (kept, left_out) = self.columns_for(indent, room);
        let widths = self.widths_for(&kept, indent, room);
        let mut text = String::new();
        let has_headings = kept.iter().any(|column| !self.columns[*column].0.is_empty());
        let headings: Vec<Cell> =
            self.columns.iter().map(|(heading, _)| Cell::new(heading).styled(Style::Heading)).collect();
        let rows = self.rows.iter().enumerate().map(|(at, row)| (Some(at), row));
        for (at, row) in has_headings.then_some((None, &headings)).into_iter().chain(rows) {
            for (_, section) in self.sections.iter().filter(|(before, _)| Some(*before) == at) {
                text.push('\n');
                for line in broken(&section.text, room.saturating_sub(indent)) {
                    text.push_str(&format!("{}{}\n", " ".repeat(indent), paint(&line, section.style, color)));
                }
            }
            for line in self.lines(row, &kept, &widths) {
                text.push_str(&self.line(&line, &kept, &widths, indent, color));
                text.push('\n');
            }
        }
        if !left_out.is_empty() && !self.rows.is_empty() {
            let note = format!("not shown for lack of room: {}", left_out.join(", "));
            let note = broken(&note, room.saturating_sub(indent));
            text.extend(note.iter().map(|line| format!("{}{}\n", " ".repeat(indent), paint(line, Style::Dim, color))));
        }
        text
    }

    /// The columns that are shown, and the headings of those that are not.
    fn columns_for(&self, indent: usize, room: usize) -> (Vec<usize>, Vec<&'static str>) {
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let mut left_out = Vec::new();
        let least = |column: &usize| match self.columns[*column].1 {
            Align::Left => self.natural(*column),
            // The heading of a column of numbers can be broken.
            Align::Right => self.narrowest(*column),
        };
        for heading in &self.dispensable {
            if total(kept.iter().map(least), indent) <= room {
                break;
            }
            kept.retain(|column| self.columns[*column].0 != *heading);
            left_out.push(*heading);
        }
        (kept, left_out)
    }

    /// The width at which each of the columns is shown.
    fn widths_for(&self, kept: &[usize], indent: usize, room: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = kept.iter().map(|column| self.natural(*column)).collect();
        let excess = |widths: &[usize]| total(widths.iter().copied(), indent).saturating_sub(room);
        // First narrow the columns of numbers, which costs only one more line of headings.
        for (width, column) in (0..).zip(kept).filter(|(_, column)| self.columns[**column].1 == Align::Right) {
            if excess(&widths) > 0 {
                widths[width] = self.narrowest(*column).max(widths[width].saturating_sub(excess(&widths)));
            }
        }
        // Then narrow columns of text, the widest one first.
        while excess(&widths) > 0 {
            let is_text = |at: &usize| self.columns[kept[*at]].1 == Align::Left && widths[*at] > COLUMN_MIN;
            let Some(widest) = (0..kept.len()).filter(is_text).max_by_key(|at| widths[*at]) else { break };
            let next = (0..kept.len()).filter(is_text).map(|at| widths[at]).filter(|w| *w < widths[widest]).max();
            let narrow = widths[widest].saturating_sub(excess(&widths)).max(next.unwrap_or(COLUMN_MIN)).max(COLUMN_MIN);
            widths[widest] = narrow.min(widths[widest] - 1);
        }
        widths
    }

    /// Width of the widest cell, heading included.
    fn natural(&self, column: usize) -> usize {
        self.cells(column).max(width(&self.columns[column].0))
    }

    /// Least width, with the heading broken at spaces.
    fn narrowest(&self, column: usize) -> usize {
        let words = self.columns[column].0.split(' ').map(width).max().unwrap_or(0);
        self.cells(column).max(words)
    }

    fn cells(&self, column: usize) -> usize {
        self.rows.iter().map(|row| width(&row[column].text)).max().unwrap_or(0)
    }

    /// A row as lines. Each line has a cell for each column that is shown.
    fn lines(&self, row: &[Cell], kept: &[usize], widths: &[usize]) -> Vec<Vec<Cell>> {
        let cells: Vec<Vec<Cell>> = kept
            .iter()
            .zip(widths)
            .map(|(column, most)| {
                let cell = &row[*column];
                let parts =
                    if width(&cell.text) <= *most { vec![cell.text.clone()] } else { broken(&cell.text, *most) };
                parts.into_iter().map(|text| Cell { text, style: cell.style }).collect()
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        (0..height).map(|line| cells.iter().map(|cell| cell.get(line).cloned().unwrap_or_default()).collect()).collect()
    }

    fn line(&self, row: &[Cell], kept: &[usize], widths: &[usize], indent: usize, color: Color) -> String {
        let mut line = " ".repeat(indent);
        // Spaces to write before the next visible character; dropped at the end of the line.
        let mut owed = 0;
        for ((cell, column), column_width) in row.iter().zip(kept).zip(widths) {
            // Padding stays outside of the escape codes. The padding after a unit belongs to the column's padding, too.
            let visible = cell.text.trim_end();
            let fill = column_width.saturating_sub(width(&cell.text));
            let behind = width(&cell.text) - width(visible);
            let (before, after) = match self.columns[*column].1 {
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

/// An empty line, a heading and a table; empty if the table has no rows.
pub fn titled(heading: &str, table: &Table, screen: Screen) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!("\n{}\n{}", paint(heading, Style::Heading, screen.color), table.text(2, screen))
}

/// Total width of columns side by side.
fn total(widths: impl Iterator<Item = usize>, indent: usize) -> usize {
    let (columns, sum) = widths.fold((0, 0), |(n, sum), width| (n + 1, sum + width));
    indent + sum + 2 * usize::saturating_sub(columns, 1)
}

/// `text` in lines of at most `most` columns: broken at a space, or after a hyphen, comma or slash, or anywhere.
fn broken(text: &str, most: usize) -> Vec<String> {
    let most = most.max(2);
    let mut lines = Vec::new();
    let mut rest = text.trim_end();
    while width(rest) > most {
        let (mut used, mut end, mut blank, mut sign) = (0, 0, None, None);
        for (at, c) in rest.char_indices() {
            used += width(c.encode_utf8(&mut [0; 4]));
            if c == ' ' {
                blank = Some(at);
            }
            if used > most {
                break;
            }
            end = at + c.len_utf8();
            if "-,/".contains(c) {
                sign = Some(end);
            }
        }
        let cut = blank.filter(|at| *at > 0).or(sign).unwrap_or(end).max(1);
        lines.push(rest[..cut].trim_end().to_owned());
        rest = rest[cut..].trim_start();
    }
    lines.push(rest.to_owned());
    lines
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

    /// A table as `run` shows it, with a long name.
    fn wide() -> Table {
        let columns =
            [("scenario", Align::Left), ("worst outage", Align::Right), ("hash", Align::Left), ("why", Align::Left)];
        let mut table = Table::new(columns).dispensable(&["hash"]);
        let name = "killed-between-pre-commit-and-commit";
        table.row([name, "1.2 s", "0123456789abcdef", "the output is durable but not visible"].map(Cell::new));
        table
    }

    #[test]
    fn a_table_fits_its_screen() {
        let shown = |width| wide().text(0, Screen { color: Color::No, width });
        insta::assert_snapshot!(shown(60), @r"
        scenario                               worst  why
                                              outage
        killed-between-pre-commit-and-commit   1.2 s  the output is
                                                      durable but
                                                      not visible
        not shown for lack of room: hash
        ");
        assert_eq!(shown(200), wide().text(0, Color::No));
        for width in 0..120 {
            let text = shown(width);
            let longest = text.lines().map(crate::ansi::width).max().unwrap();
            assert!(longest <= width.max(WIDTH_MIN), "TABLE-T2, {width}:\n{text}");
            let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>().len();
            assert!(letters(&text) >= letters("killed-between-pre-commit-and-commit the output is durable"), "{text}");
        }
    }

    #[test]
    fn text_breaks_where_it_reads_well() {
        assert_eq!(broken("one two three", 8), ["one two", "three"]);
        assert_eq!(broken("between-pre-commit", 10), ["between-", "pre-commit"]);
        assert_eq!(broken("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(broken("漢字漢字", 4), ["漢字", "漢字"]);
    }

    proptest::proptest! {
        #[test]
        fn any_table_fits_any_screen(text in "\\PC{0,60}", other in "[a-z -]{0,80}", width in 40usize..200) {
            let mut table = Table::new([("a", Align::Left), ("two words", Align::Right), ("b", Align::Left)]);
            table.row([Cell::new(&text), Cell::new("1"), Cell::new(other)]);
            let shown = table.text(2, Screen { color: Color::No, width });
            let longest = shown.lines().map(crate::ansi::width).max().unwrap_or(0);
            proptest::prop_assert!(longest <= width, "{longest} of {width}: {shown}");
        }
    }
}
