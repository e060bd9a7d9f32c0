//! The grid for a terminal, as text that fits its width.
//!
//! Start at [`grid`]. Rows are events, and columns are kinds of faults by family. Each column has one mark per role of
//! the victim. The names of the columns stand above them in steps, so that they can be read:
//!
//! ```text
//!                          process
//!                          ┌ kill
//!                          │   ┌ pause
//! event               hit  │   │
//! barrier-injected    3/5  ●·● ●·
//! ```
//!
//! Columns that do not fit beside each other go into further blocks, each of which has all rows.

use super::{Cell, Coverage, Tally};
use crate::ansi::{Color, Style, clean, paint};
use crate::class::Class;
use crate::record::FaultKindRecord;
use crate::table::Align::{Left, Right};
use crate::table::{self, Table};
use crate::units;

/// The mark of a cell: a letter where something should be looked at, so that nothing depends on colour.
fn mark(cell: Option<&Cell>) -> (char, Style) {
    let Some(class) = cell.and_then(Cell::verdict) else { return ('·', Style::Dim) };
    let sign = match class {
        Class::Passed => '●',
        Class::Failed => 'F',
        Class::Crashed => 'C',
        Class::Stuck => 'S',
        Class::Nondeterministic => 'N',
        Class::Vacuous => 'v',
        Class::Uncertain => 'u',
        Class::NotBuilt | Class::NotOffered => 'n',
    };
    (sign, class.style())
}

/// One line that says how much of the grid was hit, and how much was struck outside the grid.
pub fn summary(coverage: &Coverage) -> String {
    if let Err(reason) = coverage.check() {
        return format!("coverage: unknown: {reason}");
    }
    let tally = coverage.tally();
    let mut text = format!(
        "coverage: {} of {} meaningful cells hit ({}), {} empty",
        units::count(tally.hit),
        units::count(tally.meaningful),
        tally.percent(),
        units::count(tally.meaningful - tally.hit),
    );
    let outside: u64 = coverage.outside().map(|(_, cell)| cell.hits).sum();
    if outside > 0 {
        text.push_str(&format!("; {} outside the grid", strikes(outside)));
    }
    if coverage.by_the_clock() > 0 {
        text.push_str(&format!("; {} by the clock", strikes(coverage.by_the_clock())));
    }
    text
}

fn strikes(n: u64) -> String {
    units::counted(n as usize, "strike")
}

/// The grid in lines of at most `width` characters (more only if a single column is wider), and an explanation of its
/// marks.
pub fn grid(coverage: &Coverage, width: usize, color: Color) -> String {
    let rows: Vec<Row> = coverage
        .events()
        .map(|event| Row { event, name: clean(event), tally: fraction(coverage.of_event(event)) })
        .collect();
    let side = Side {
        name: widest(rows.iter().map(|row| row.name.as_str()).chain(["event"])),
        tally: widest(rows.iter().map(|row| row.tally.as_str()).chain(["hit"])),
    };
    let mut out = String::new();
    for block in blocks(&coverage.kinds(), width.saturating_sub(side.width())) {
        stairs(&mut out, &block, &side, color);
        for row in &rows {
            let mut line = format!("{:<name$}  {:>tally$}", row.name, row.tally, name = side.name, tally = side.tally);
            for column in &block {
                line.push_str(&" ".repeat(side.width() + column.at - width_of(&line)));
                for role in &column.kind.roles {
                    line.push(mark(coverage.cell(row.event, &column.kind.name, role)).0);
                }
            }
            out.push_str(&paint_marks(&line, side.width(), color));
            out.push('\n');
        }
        out.push('\n');
    }
    out.push_str(&legend(color));
    out
}

struct Row<'a> {
    event: &'a str,
    name: String,
    tally: String,
}

/// What stands to the left of the columns.
struct Side {
    name: usize,
    tally: usize,
}

impl Side {
    fn width(&self) -> usize {
        self.name + self.tally + 4
    }
}

/// A column, and its offset from the first column.
struct Column<'a> {
    kind: &'a FaultKindRecord,
    at: usize,
    /// Whether it is the first column of its family in its block.
    opens_family: bool,
}

/// Puts columns side by side as long as their marks, and the names above the marks, fit.
fn blocks<'a>(kinds: &[&'a FaultKindRecord], width: usize) -> Vec<Vec<Column<'a>>> {
    let mut blocks: Vec<Vec<Column<'a>>> = Vec::new();
    let mut next = 0;
    for kind in kinds {
        let before = blocks.last().and_then(|block| block.last());
        let opens_family = before.is_none_or(|column| column.kind.family != kind.family);
        let at = if before.is_some() && opens_family { next + 1 } else { next };
        let name = 2 + width_of(&kind.name).max(width_of(&kind.family));
        let fits = at + kind.roles.len().max(name) <= width;
        let column = match blocks.last_mut() {
            Some(block) if fits => {
                block.push(Column { kind, at, opens_family });
                at
            }
            _ => {
                blocks.push(vec![Column { kind, at: 0, opens_family: true }]);
                0
            }
        };
        next = column + kind.roles.len() + 1;
    }
    blocks
}

fn stairs(out: &mut String, block: &[Column<'_>], side: &Side, color: Color) {
    let mut line = |upto: usize, at: usize, text: String| {
        let mut line = " ".repeat(side.width());
        for column in &block[..upto] {
            line.push_str(&" ".repeat(side.width() + column.at - width_of(&line)));
            line.push('│');
        }
        let gap = " ".repeat((side.width() + at).saturating_sub(width_of(&line)));
        out.push_str(&paint(&line, Style::Dim, color));
        out.push_str(&gap);
        out.push_str(&text);
        out.push('\n');
    };
    for (index, column) in block.iter().enumerate() {
        if column.opens_family {
            line(index, column.at, paint(&clean(&column.kind.family), Style::Heading, color));
        }
        line(index, column.at, format!("┌ {}", clean(&column.kind.name)));
    }
    let heading = format!("{:<name$}  {:>tally$}", "event", "hit", name = side.name, tally = side.tally);
    out.push_str(&paint(&heading, Style::Heading, color));
    out.push_str("  ");
    let mut at = 0;
    for column in block {
        out.push_str(&" ".repeat(column.at - at));
        out.push_str(&paint("│", Style::Dim, color));
        at = column.at + 1;
    }
    out.push('\n');
}

/// Colours the marks of a finished line. This comes last, because escape codes would disturb the alignment.
fn paint_marks(line: &str, side: usize, color: Color) -> String {
    if color == Color::No {
        return line.to_owned();
    }
    let style = |sign: char| match sign {
        '●' => Style::Good,
        'F' | 'C' | 'S' | 'N' => Style::Bad,
        'v' | 'n' => Style::Warn,
        '·' => Style::Dim,
        _ => Style::Plain,
    };
    let (name, marks): (String, String) = (line.chars().take(side).collect(), line.chars().skip(side).collect());
    name + &marks.chars().map(|sign| paint(sign.encode_utf8(&mut [0; 4]), style(sign), color)).collect::<String>()
}

fn legend(color: Color) -> String {
    let marks = "● passed  F failed  C crashed  S stuck  N nondeterministic  v only vacuous runs  · empty";
    let roles =
        "a mark per role of the victim, in the order of the table by kind; the worst verdict of the runs that struck";
    format!("{}\n{}\n", paint(marks, Style::Dim, color), paint(roles, Style::Dim, color))
}

/// One row per kind of fault: its roles, and how much of its column was hit.
pub fn by_kind(coverage: &Coverage) -> Table {
    let mut table =
        Table::new([("family", Left), ("fault", Left), ("hit", Right), ("of", Right), ("", Right), ("victims", Left)]);
    let mut family = "";
    for kind in coverage.kinds() {
        let tally = coverage.of_kind(kind);
        let named = if kind.family == family { "" } else { &kind.family };
        family = &kind.family;
        table.row([
            table::Cell::new(named),
            table::Cell::new(&kind.name),
            table::Cell::count(tally.hit),
            table::Cell::count(tally.meaningful),
            table::Cell::new(tally.percent()),
            table::Cell::new(kind.roles.join(", ")),
        ]);
    }
    table
}

/// Strikes outside the grid, by event.
pub fn outside(coverage: &Coverage) -> Table {
    let mut table =
        Table::new([("outside the grid", Left), ("strikes", Right), ("cells", Right), ("worst verdict", Left)]);
    let mut events: Vec<(&str, Cell, u64)> = Vec::new();
    for (id, cell) in coverage.outside() {
        match events.last_mut().filter(|(event, ..)| *event == id.event) {
            Some((_, sum, cells)) => {
                sum.merge(cell);
                *cells += 1;
            }
            None => events.push((&id.event, cell.clone(), 1)),
        }
    }
    for (event, sum, cells) in events {
        let verdict =
            sum.verdict().map_or_else(table::Cell::none, |class| table::Cell::new(class.label()).styled(class.style()));
        table.row([table::Cell::new(event), table::Cell::count(sum.hits), table::Cell::count(cells), verdict]);
    }
    table
}

/// Every meaningful cell that was not hit.
pub fn empty(coverage: &Coverage) -> Table {
    let mut table = Table::new([("empty at", Left), ("fault", Left), ("victim", Left), ("", Left)]);
    for id in coverage.empty() {
        let note = coverage.cells.get(&id).map_or("", |_| "struck in vacuous runs only");
        table.row([&id.event, &id.fault, &id.role, note].map(table::Cell::new));
    }
    table
}

fn fraction(tally: Tally) -> String {
    format!("{}/{}", tally.hit, tally.meaningful)
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(width_of).max().unwrap_or(0)
}

fn width_of(text: &str) -> usize {
    text.chars().count()
}
