//! A kill matrix as a page: a row for each bug, and a column for each check that noticed one.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{KillMatrix, Row, tables};
use crate::ansi::Style;
use crate::page::{self, Count, Head, class};

const STYLE: &str = "
.matrix td.hit { text-align: center; } .matrix th.who { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; }
.matrix td.first { background: #2e7d3233; } .matrix td.also { background: #2e7d3214; }
.matrix td.like { min-width: 26em; white-space: normal; } .matrix td.hit, .matrix th.who { padding: 0.2em 0.35em; min-width: 1.1em; } .matrix tr:hover { background: #8881; }
";

/// The page; `command` is the command line that made it.
pub fn page(matrix: &KillMatrix, command: &str) -> String {
    let count = |fate: &str, style| {
        let n = matrix.bugs.iter().filter(|row| tables::fate_of(row) == fate).count();
        (n > 0).then(|| Count::labelled(n, fate, style))
    };
    let counts = [("killed", Style::Good), ("survived", Style::Bad), ("excused", Style::Warn), ("stale", Style::Bad)];
    let head = Head {
        title: html! { "The museum of planted bugs" },
        command,
        notes: std::iter::once(format!("engine {}", matrix.engine))
            .chain(tables::medians(matrix))
            .map(|note| html! { (note) })
            .collect(),
        counts: counts.into_iter().filter_map(|(fate, style)| count(fate, style)).collect(),
    };
    let who = witnesses(matrix);
    let main = html! {
        (head)
        p { "A filled cell: who noticed the bug in the run that failed first (● the first cause, ○ also). Runs are those until the first \
             that failed; of a swarm, the median over its starts." }
        div.scroll {
            table.matrix {
                thead { tr {
                    th scope="col" { "bug" } th scope="col" { "fate" } @for method in super::Method::ALL { th.r scope="col" { (method.name()) } }
                    @for who in &who { th.who scope="col" { (who) } }
                    th scope="col" { "in" } th scope="col" { "like" }
                } }
                tbody { @for row in &matrix.bugs { (line(row, &who)) } }
            }
        }
    };
    page::document("Museum of planted bugs", &[STYLE], &main, "")
}

/// Every check that noticed something, oracles first.
fn witnesses(matrix: &KillMatrix) -> Vec<String> {
    let all: BTreeSet<&String> =
        matrix.bugs.iter().filter_map(tables::kill).flat_map(|(_, found)| &found.noticed).collect();
    let mut all: Vec<String> = all.into_iter().cloned().collect();
    all.sort_by_key(|who| {
        let oracle = who.strip_prefix('O').and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
        (oracle, who.clone())
    });
    all
}

fn line(row: &Row, who: &[String]) -> Markup {
    let kill = tables::kill(row).map(|(_, found)| found);
    let noticed = kill.map(|found| found.noticed.as_slice()).unwrap_or_default();
    let scenario = kill.and_then(|found| found.by.clone());
    let strike = |method| row.found.get(&method).and_then(|found| found.strike.clone());
    html! {
        tr {
            td { (row.bug) }
            td { span.(class(tables::style(row))) { (tables::fate_of(row)) } }
            @for method in super::Method::ALL {
                td.r title=[strike(method)] { (tables::runs(row, method).text) }
            }
            @for who in who {
                @match noticed.iter().position(|other| other == who) {
                    Some(0) => td.hit.first title=(who) { "●" },
                    Some(_) => td.hit.also title=(who) { "○" },
                    None => td.hit {},
                }
            }
            td { @if let Some((scenario, seed)) = scenario { (scenario) @if seed != 1 { ", seed " (seed) } } }
            td.like { (row.like) @if !row.excused.is_empty() { " — " (row.excused) } }
        }
    }
}
