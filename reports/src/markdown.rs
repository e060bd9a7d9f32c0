//! Tables and text as Markdown, for every document of that kind.
//!
//! Start at [`table`].

use crate::table::{Align, Table};

/// A table, each row on a line of its own.
pub(crate) fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(table.columns().iter().map(|(heading, _)| (*heading).to_owned()).collect());
    let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" };
    out += &line(table.columns().iter().map(|(_, align)| rule(align).to_owned()).collect());
    for row in table.rows() {
        out += &line(row.iter().map(|cell| escaped(cell.text.trim_end())).collect());
    }
    out
}

/// What a run under test wrote must neither break the table nor become markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // An address or a name behind this sign would notify people.
            '@' => out.push_str("&#64;"),
            c if c.is_control() => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Cell;

    #[test]
    fn cells_stay_cells_and_text_stays_text() {
        let mut content = Table::new([("a", Align::Left), ("b", Align::Right)]);
        content.row([Cell::new("x|y"), Cell::new("<b> @team")]);
        assert_eq!(table(&content), "| a | b |\n| --- | ---: |\n| x\\|y | &lt;b> &#64;team |\n");
    }
}
