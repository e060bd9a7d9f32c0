//! The history of runs: what is known about each `run` of a working folder, and a page that lists them.
//!
//! Start at [`HistoryEntry`] and [`page`]. An entry is written when its run begins and again when it ends, so a run
//! that was killed has an entry without an end. Whether such a run is still going on is its [`Life`], which only the
//! lock of its process can show. The page works offline without a script, and links to the report and the plans in each
//! run's folder.

use std::collections::BTreeMap;

use maud::html;
use serde::{Deserialize, Serialize};

use crate::ansi::{Style, clean};
use crate::page::{class, document, short_command};
use crate::record::RunRecord;
use crate::table::{Align, Cell, Table};
use crate::units;

/// Version of an entry. Readers leave out entries of any other version.
pub const HISTORY_VERSION: u32 = 1;

/// One `run`, including all the times that it was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// [`HISTORY_VERSION`] of the writer.
    pub history_version: u32,
    /// Name of the run's folder.
    pub name: String,
    /// When the run began, as `2026-11-30T14:47:05Z`.
    pub begun: String,
    /// The command line that began it.
    pub command: String,
    /// Version of the program.
    pub program: String,
    /// Number of runs that were asked for.
    pub asked: u64,
    /// Number of runs that were made.
    pub made: u64,
    /// Number of made runs by the label of their verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Real time that the run took, without pauses before resumptions.
    pub wall_ns: u64,
    /// How often the run was resumed.
    pub resumed: u32,
    /// How the run last ended; `None`: it is in progress, or it was killed ([`Life`]).
    pub end: Option<HistoryEnd>,
}

/// What became of a run that has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its process is still writing it.
    UnderWay,
    /// Its process is gone.
    Killed,
    /// The file system has no locks, so this cannot be known.
    Unknown,
}

/// An entry, with what its folder shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// The entry.
    pub entry: HistoryEntry,
    /// What became of the run, if the entry has no end.
    pub life: Life,
    /// Address of the report, if there is one.
    pub report: Option<String>,
    /// Address of the folder with the plans, if there is one.
    pub plans: Option<String>,
}

/// How a `run` ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum HistoryEnd {
    /// All runs were made.
    Finished,
    /// As many failed as `--max-failures` allows.
    TooManyFailures,
    /// A signal ended it.
    Interrupted {
        /// Name of the signal.
        signal: String,
    },
    /// The machine could not carry out a run.
    Environment {
        /// What was wrong.
        what: String,
    },
}

impl HistoryEntry {
    /// Records these runs as the ones that were made.
    pub fn count(&mut self, runs: &[RunRecord]) {
        self.made = runs.len() as u64;
        self.verdicts = BTreeMap::new();
        for run in runs {
            *self.verdicts.entry(run.verdict.label().to_owned()).or_default() += 1;
        }
    }

    /// Whether all runs were made.
    pub fn is_finished(&self) -> bool {
        self.end == Some(HistoryEnd::Finished)
    }

    /// How it ended, in a few words, and how often it was resumed.
    fn end_in_words(&self, life: Life) -> String {
        let resumed = match self.resumed {
            0 => String::new(),
            1 => ", resumed once".to_owned(),
            n => format!(", resumed {n} times"),
        };
        self.last_end_in_words(life) + &resumed
    }

    fn last_end_in_words(&self, life: Life) -> String {
        match &self.end {
            None => match life {
                Life::UnderWay => "under way".to_owned(),
                Life::Killed => "killed".to_owned(),
                Life::Unknown => "under way, or killed: this file system has no locks".to_owned(),
            },
            Some(HistoryEnd::Finished) => "finished".to_owned(),
            Some(HistoryEnd::TooManyFailures) => "stopped by --max-failures".to_owned(),
            Some(HistoryEnd::Interrupted { signal }) => format!("interrupted by {}", clean(signal)),
            Some(HistoryEnd::Environment { what }) => format!("stopped by the machine: {}", clean(what)),
        }
    }

    /// When the run began, in readable form: `2026-11-30 14:47:05`.
    fn begun_in_words(&self) -> String {
        clean(&self.begun).replace('T', " ").replace('Z', "")
    }

    /// How many runs were made and, if that is not all, out of how many: `6 of 9`.
    fn made_in_words(&self) -> String {
        let made = units::count(self.made);
        if self.made < self.asked { format!("{made} of {}", units::count(self.asked)) } else { made }
    }

    /// Such as `16 passed, 2 failed`; empty if no run was made.
    fn verdicts_in_words(&self) -> String {
        let words: Vec<String> = self.verdicts.iter().map(|(label, n)| format!("{n} {}", clean(label))).collect();
        words.join(", ")
    }

    /// The colour of the row's verdicts.
    fn style(&self) -> Style {
        let of = |labels: &[&str]| labels.iter().any(|label| self.verdicts.contains_key(*label));
        match () {
            () if of(&["failed", "crashed", "stuck", "nondeterministic"]) => Style::Bad,
            () if !self.is_finished() || of(&["vacuous", "uncertain", "not built", "not offered"]) => Style::Warn,
            () => Style::Good,
        }
    }
}

/// The rows as a table for a terminal.
pub fn table(rows: &[HistoryRow]) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let columns = [
        ("run", left),
        ("begun (UTC)", left),
        ("verdicts", left),
        ("runs", right),
        ("took", right),
        ("end", left),
        ("command", left),
    ];
    let mut table = Table::new(columns).dispensable(&["command", "took", "begun (UTC)"]);
    for HistoryRow { entry, life, .. } in rows {
        table.row([
            Cell::new(clean(&entry.name)),
            Cell::new(entry.begun_in_words()),
            Cell::new(entry.verdicts_in_words()).styled(entry.style()),
            Cell::new(entry.made_in_words()),
            if entry.end.is_some() { Cell::duration(entry.wall_ns) } else { Cell::none() },
            Cell::new(entry.end_in_words(*life)),
            Cell::new(short_command(&clean(&entry.command))),
        ]);
    }
    table
}

/// The page with these rows, in their order. `as_of` is when it was checked which runs are in progress, in the format
/// of [`HistoryEntry::begun`].
pub fn page(rows: &[HistoryRow], as_of: &str) -> String {
    let as_of = clean(as_of).replace('T', " ").replace('Z', " UTC");
    let main = html! {
        header.history {
            h1 { "Runs" }
            p { "Newest first, as of " (as_of) ". " code { "list runs" } " looks again which of them are under way. " code { "replay" }
                " makes a run again from its plan." }
        }
        div.card.scroll {
            table.history {
                thead {
                    tr {
                        th scope="col" { "begun (UTC)" }
                        th scope="col" { "verdicts" }
                        th.r scope="col" { "runs" }
                        th.r scope="col" { "took" }
                        th scope="col" { "end" }
                        th scope="col" { "command" }
                        th scope="col" { "program" }
                    }
                }
                tbody {
                    @for HistoryRow { entry, life, report, plans } in rows {
                        @let when = entry.begun_in_words();
                        tr id=(entry.name) {
                            td {
                                @match report { Some(link) => a href=(link) { (when) }, None => (when) }
                            }
                            td.(class(entry.style())) { (entry.verdicts_in_words()) }
                            td.r {
                                (entry.made_in_words())
                                @if let Some(plans) = plans { br; a href=(plans) { "plans" } }
                            }
                            td.r { @if entry.end.is_some() { (units::duration(entry.wall_ns)) } }
                            td {
                                (entry.end_in_words(*life))
                                @if !entry.is_finished() && *life != Life::UnderWay { br; code { "run --resume=" (entry.name) } }
                            }
                            td.wide { code { (short_command(&clean(&entry.command))) } }
                            td.wide { (clean(&entry.program)) }
                        }
                    }
                }
            }
        }
    };
    document("Flowquake: runs", &[STYLE], &main, "")
}

/// Only long commands may be broken over lines.
const STYLE: &str = "header.history { margin-bottom: 1.5rem; } .history td.wide { white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;

    fn entry() -> HistoryEntry {
        HistoryEntry {
            history_version: HISTORY_VERSION,
            name: "000002-20261130T144705Z".into(),
            begun: "2026-11-30T14:47:05Z".into(),
            command: "flowquake run <scenarios>".into(),
            program: "flowquake 0.1.0".into(),
            asked: 9,
            made: 0,
            verdicts: BTreeMap::new(),
            wall_ns: 1_500_000_000,
            resumed: 2,
            end: None,
        }
    }

    #[test]
    fn a_row_says_when_what_and_how_it_ended() {
        let mut run = entry();
        run.count(&fixtures::set().runs);
        run.end = Some(HistoryEnd::Interrupted { signal: "SIGINT".into() });
        let row = |entry: &HistoryEntry, life, report: Option<&str>| HistoryRow {
            entry: entry.clone(),
            life,
            report: report.map(str::to_owned),
            plans: report.map(|_| "history/2/plans/".to_owned()),
        };
        let rows = [
            row(&run, Life::Killed, Some("history/2/report.html")),
            row(&HistoryEntry { name: "now".into(), ..entry() }, Life::UnderWay, None),
            row(&HistoryEntry { name: "gone".into(), resumed: 1, ..entry() }, Life::Killed, None),
            row(&HistoryEntry { name: "who-knows".into(), ..entry() }, Life::Unknown, None),
        ];
        let page = page(&rows, "2026-11-30T15:00:00Z");
        for part in [
            "as of 2026-11-30 15:00:00 UTC",
            "<a href=\"history/2/report.html\">2026-11-30 14:47:05</a>",
            "<a href=\"history/2/plans/\">plans</a>",
            "1 crashed, 1 failed, 1 not built, 1 passed, 1 stuck, 1 vacuous",
            "6 of 9",
            "interrupted by SIGINT, resumed 2 times",
            "<td>under way, resumed 2 times</td>",
            "<td>killed, resumed once<br><code>run --resume=gone</code></td>",
            "under way, or killed: this file system has no locks, resumed 2 times<br><code>run --resume=who-knows</code>",
            "flowquake run &lt;scenarios&gt;",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        let text = table(&rows).text(0, Color::No);
        for part in ["000002-20261130T144705Z", "2026-11-30 14:47:05", "6 of 9", "under way, resumed 2 times"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!page.contains("http:") && !page.contains("https:"), "the page needs nothing from elsewhere");
        assert_eq!(serde_json::from_str::<HistoryEntry>(&serde_json::to_string(&run).unwrap()).unwrap(), run);
    }

    #[test]
    fn the_worst_verdict_colours_the_row() {
        let of = |labels: &[&str]| HistoryEntry {
            verdicts: labels.iter().map(|label| ((*label).to_owned(), 1)).collect(),
            end: Some(HistoryEnd::Finished),
            ..entry()
        };
        let styles = [of(&["passed"]), of(&["passed", "vacuous"]), of(&["passed", "failed"]), entry()];
        assert_eq!(styles.map(|entry| entry.style()), [Style::Good, Style::Warn, Style::Bad, Style::Warn]);
    }
}
