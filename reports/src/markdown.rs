//! Runs as Markdown for a comment on a pull request, and helpers for all Markdown documents.
//!
//! Start at [`runs`], or at `table`.

use crate::ansi::clean;
use crate::comparison::Comparison;
use crate::comparison::tables::Scenario;
use crate::record::{RunSet, Verdict};
use crate::table::{Align, Table};
use crate::terminal::evidence_lines;
use crate::{comparison, tables, units};

/// A mark that a script looks for in order to replace the comment.
pub const MARK: &str = "<!-- flowquake run -->";
/// Most runs whose evidence is shown.
const EVIDENCE_MAX: usize = 20;

/// Runs as a comment: one line with the result, the runs that did not pass, and the rest folded. Ends with a line
/// break.
pub fn runs(set: &RunSet) -> String {
    let counts = tables::verdict_counts(set);
    let classes: Vec<String> = counts.iter().map(|(label, _, n)| format!("{n} {label}")).collect();
    let worst = set.runs.iter().map(|run| run.verdict.class()).max();
    let sign = match worst {
        Some(class) if class == Verdict::Passed.class() => "✅",
        Some(class) if class.proves() => "❌",
        _ => "⚠️",
    };
    let total = units::counted(set.runs.len(), "run");
    let mut out = format!("{MARK}\n{sign} **flowquake: {total}**: {}\n", classes.join(", "));
    if let Some(comparison) = Comparison::of(set) {
        out += &format!("\n{}\n", escaped(&comparison::tables::sum(&comparison)));
        out += &titled("Targets side by side", &comparison::tables::numbers(&comparison, Scenario::InColumn));
        out += &titled("Where the protocol goes another way", &comparison::tables::differences(&comparison));
    }
    out += &titled("Runs that did not pass", &tables::unproved(set));
    let failed: Vec<_> = set.runs.iter().filter(|run| !evidence_lines(&run.verdict).is_empty()).collect();
    for run in failed.iter().take(EVIDENCE_MAX) {
        let lines: Vec<String> =
            evidence_lines(&run.verdict).iter().map(|line| format!("- {}\n", escaped(line))).collect();
        let replay = fenced(std::slice::from_ref(&run.replay));
        let summary = format!("Evidence of {}, seed {}", escaped(&run.scenario), run.seed);
        out += &folded(&summary, &format!("{}\n{replay}", lines.concat()));
    }
    if failed.len() > EVIDENCE_MAX {
        out += &format!("\n… and {} more\n", failed.len() - EVIDENCE_MAX);
    }
    let all = if set.runs.len() <= crate::terminal::ROWS_MAX { tables::verdicts(set) } else { tables::scenarios(set) };
    out += &folded("All runs", &table(&all));
    out + &format!("\n{}\n", escaped(&set.program))
}

/// A table, each row on a line of its own.
pub(crate) fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(table.columns().iter().map(|(heading, _)| heading.clone().into_owned()).collect());
    let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" };
    out += &line(table.columns().iter().map(|(_, align)| rule(align).to_owned()).collect());
    for row in table.rows() {
        out += &line(row.iter().map(|cell| escaped(cell.text.trim_end())).collect());
    }
    out
}

/// Escapes text of a run under test, which must neither break the table nor become markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // After this character, an address or a user name would notify people.
            '@' => out.push_str("&#64;"),
            c if c.is_control() => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// Lines of code, each kept on one line, in a fence that is longer than any in the lines.
pub(crate) fn fenced(lines: &[String]) -> String {
    let text = lines.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{text}\n{fence}\n")
}

/// A table below a heading; empty if the table has no rows.
pub(crate) fn titled(heading: &str, content: &Table) -> String {
    if content.is_empty() { String::new() } else { format!("\n### {heading}\n\n{}", table(content)) }
}

/// Content that is shown when it is unfolded.
pub(crate) fn folded(summary: &str, content: &str) -> String {
    format!("\n<details>\n<summary>{summary}</summary>\n\n{content}\n</details>\n")
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

    #[test]
    fn runs_are_a_comment_with_what_did_not_pass_first() {
        let set = crate::fixtures::set();
        let text = runs(&set);
        assert!(text.starts_with("<!-- flowquake run -->\n❌ **flowquake: 6 runs**: 1 passed, 1 failed"), "{text}");
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(at("### Runs that did not pass") < at("- O1: key") && at("- O1: key") < at("All runs"), "{text}");
        assert!(at("```sh\nflowquake run") > 0);
        let passed = RunSet { runs: vec![crate::fixtures::passed()], ..set };
        assert!(runs(&passed).contains("✅ **flowquake: 1 run**: 1 passed"), "{}", runs(&passed));
    }
}
