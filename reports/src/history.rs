//! The history of runs: what is known of each `run` of a working folder, and one page that lists them.
//!
//! Start at [`HistoryEntry`] and [`page`]. An entry is written when its run begins and again when it ends, so a run that was
//! killed has an entry without an end. The page is offline and needs no script; it links to the report in each run's folder.

use std::collections::BTreeMap;

use maud::html;
use serde::{Deserialize, Serialize};

use crate::ansi::clean;
use crate::page::{document, short_command};
use crate::record::RunRecord;
use crate::units;

/// Version of an entry; a reader leaves others out.
pub const HISTORY_VERSION: u32 = 1;

/// One `run`, over all the times that it was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// [`HISTORY_VERSION`] of the writer.
    pub history_version: u32,
    /// Name of the run's folder.
    pub name: String,
    /// When it began, as `2026-11-30T14:47:05Z`.
    pub begun: String,
    /// The command line that began it.
    pub command: String,
    /// Version of the program.
    pub program: String,
    /// Runs that were asked for.
    pub asked: u64,
    /// Runs that were made.
    pub made: u64,
    /// Made runs by the label of their verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Real time that it took, pauses between resumptions left out.
    pub wall_ns: u64,
    /// How often it was resumed.
    pub resumed: u32,
    /// How it ended last; `None`: it is under way, or it was killed.
    pub end: Option<HistoryEnd>,
}

/// How a `run` ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum HistoryEnd {
    /// All runs were made.
    Finished,
    /// As many failed as `--max-failures` allows.
    TooManyFailures,
    /// By a signal.
    Interrupted {
        /// Its name.
        signal: String,
    },
    /// The machine could not keep a run.
    Environment {
        /// What was wrong.
        what: String,
    },
}

impl HistoryEntry {
    /// Counts these runs as the ones that were made.
    pub fn count(&mut self, runs: &[RunRecord]) {
        self.made = runs.len() as u64;
        self.verdicts = BTreeMap::new();
        for run in runs {
            *self.verdicts.entry(run.verdict.label().to_owned()).or_default() += 1;
        }
    }

    /// Whether nothing is left to make.
    pub fn is_finished(&self) -> bool {
        self.end == Some(HistoryEnd::Finished)
    }

    /// How it ended, in a few words.
    pub fn end_in_words(&self) -> String {
        match &self.end {
            None => "under way, or killed".to_owned(),
            Some(HistoryEnd::Finished) => "finished".to_owned(),
            Some(HistoryEnd::TooManyFailures) => "stopped by --max-failures".to_owned(),
            Some(HistoryEnd::Interrupted { signal }) => format!("interrupted by {}", clean(signal)),
            Some(HistoryEnd::Environment { what }) => format!("stopped by the machine: {}", clean(what)),
        }
    }

    /// `16 passed, 2 failed`; empty if none was made.
    fn verdicts_in_words(&self) -> String {
        let words: Vec<String> = self.verdicts.iter().map(|(label, n)| format!("{n} {}", clean(label))).collect();
        words.join(", ")
    }

    /// `good`, `bad` or `warn`: the colour of the row's verdicts.
    fn style(&self) -> &'static str {
        let of = |labels: &[&str]| labels.iter().any(|label| self.verdicts.contains_key(*label));
        match () {
            () if of(&["failed", "crashed", "stuck", "nondeterministic"]) => "bad",
            () if !self.is_finished() || of(&["vacuous", "uncertain", "not built", "not offered"]) => "warn",
            () => "good",
        }
    }
}

/// The page: a row for each entry, in this order. `report` says where the report of an entry is, if it has one.
pub fn page(entries: &[HistoryEntry], report: impl Fn(&HistoryEntry) -> Option<String>) -> String {
    let main = html! {
        header.history { h1 { "Runs" } p { "newest first" } }
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
                    @for entry in entries {
                        @let when = clean(&entry.begun).replace('T', " ").replace('Z', "");
                        tr id=(entry.name) {
                            td {
                                @match report(entry) { Some(link) => a href=(link) { (when) }, None => (when) }
                            }
                            td class=(entry.style()) { (entry.verdicts_in_words()) }
                            td.r {
                                (units::count(entry.made))
                                @if entry.made < entry.asked { " of " (units::count(entry.asked)) }
                            }
                            td.r { @if entry.end.is_some() { (units::duration(entry.wall_ns)) } }
                            td {
                                (entry.end_in_words())
                                @if entry.resumed > 0 { ", resumed " (times(entry.resumed)) }
                                @if !entry.is_finished() { br; code { "run --resume=" (entry.name) } }
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

/// Long commands break; the rest of a row stays on one line.
const STYLE: &str = "header.history { margin-bottom: 1.5rem; } .history td.wide { white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }";

fn times(n: u32) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let page = page(&[run.clone(), entry()], |entry| (entry.made > 0).then(|| "history/2/report.html".into()));
        for part in [
            "<a href=\"history/2/report.html\">2026-11-30 14:47:05</a>",
            "1 crashed, 1 failed, 1 not built, 1 passed, 1 stuck, 1 vacuous",
            "6 of 9",
            "interrupted by SIGINT, resumed 2 times",
            "under way, or killed",
            "flowquake run &lt;scenarios&gt;",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
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
        assert_eq!(styles.map(|entry| entry.style()), ["good", "warn", "bad", "warn"]);
    }
}
