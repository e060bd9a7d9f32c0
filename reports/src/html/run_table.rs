//! The table of all runs, grouped by folder, with the data that a script needs to filter and sort it.
//!
//! Start at [`section`]. The cells are those of [`tables::verdicts`]. Without JavaScript the table is complete, in the
//! order of the runs. The words that a run can be found by, and its position in the order of each column, are computed
//! here and written into its row; [`SCRIPT`] only hides and moves rows. Text of the record is escaped by `maud`
//! wherever it enters, attributes included.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::class::Class;
use crate::page::{cell_text, class, side};
use crate::record::{FaultRecord, RunRecord, RunSet, Verdict, worst_outage};
use crate::table::{Align, Cell};
use crate::{tables, units};

/// CSS of the table and of its filter.
pub const STYLE: &str = include_str!("run_table.css");

/// The script of the table; it does nothing on a page without the table.
pub const SCRIPT: &str = concat!("(() => {\n\"use strict\";\n", include_str!("run_table.js"), "})();\n");

/// The filter, and the table. A run whose entry in `shown` is true has a section to link to.
pub fn section(set: &RunSet, shown: &[bool]) -> Markup {
    let table = tables::verdicts(set);
    let groups = groups(set);
    let (words, orders) = (set.runs.iter().map(words), orders(set));
    let rows: Vec<_> = table.rows().iter().zip(words).zip(orders).collect();
    html! {
        @if set.runs.len() > 1 { (filter(set)) }
        div.card.scroll {
            table.runs {
                thead {
                    tr {
                        @for (heading, align) in table.columns() {
                            // In these columns, large or bad values are looked for first, so they are first sorted in
                            // descending order.
                            th class=[side(*align)] scope="col"
                                data-falling[*align == Align::Right || *heading == "verdict"] { (heading) }
                        }
                    }
                }
                @for group in &groups {
                    tbody data-folder=(group.folder) {
                        @if groups.len() > 1 { (group_head(set, group, table.columns().len())) }
                        @for &index in &group.runs {
                            @let ((cells, words), order) = &rows[index];
                            tr data-run=(index + 1) data-verdict=(set.runs[index].verdict.label()) data-words=(words)
                                data-order=(order) {
                                @for (column, (cell, (_, align))) in cells.iter().zip(table.columns()).enumerate() {
                                    td class=[side(*align)] { (linked(cell, *align, (column == 0 && shown[index]).then_some(index))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The cell, as a link to the section of run `index`, if there is one.
fn linked(cell: &Cell, align: Align, index: Option<usize>) -> Markup {
    html! {
        @match index {
            Some(index) => a href={ "#run-" (index + 1) } { (cell_text(cell, align)) },
            None => (cell_text(cell, align)),
        }
    }
}

/// A box for words and a button per verdict. They need JavaScript, so the script makes them visible.
fn filter(set: &RunSet) -> Markup {
    html! {
        div.filter role="search" aria-label="runs" hidden {
            input type="search" aria-label="words that runs are found by" autocomplete="off" spellcheck="false"
                placeholder="scenario, folder, fault, oracle …";
            @for (label, style, n) in tables::verdict_counts(set) {
                button.chip.(class(style)) type="button" data-verdict=(label) aria-pressed="false" {
                    (label) " " b { (units::count(n as u64)) }
                }
            }
            button.clear type="button" hidden { "clear" }
            output {}
        }
    }
}

/// The runs of one folder.
struct Group {
    /// The folder, without the part that is the same for all folders.
    folder: String,
    /// Indices in the set, in the order in which the runs were asked for.
    runs: Vec<usize>,
}

/// The runs by the folder of their scenario, in the order in which the folders first occur.
fn groups(set: &RunSet) -> Vec<Group> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, run) in set.runs.iter().enumerate() {
        let folder = folder(run);
        let place = *places.entry(folder).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, runs)) => runs.push(index),
            None => groups.push((folder, vec![index])),
        }
    }
    let common = common(groups.iter().map(|(folder, _)| folder.rsplit_once('/').map_or("", |(parent, _)| parent)));
    let named = |folder: &str| folder.get(common..).unwrap_or(folder).trim_start_matches('/').to_owned();
    groups.into_iter().map(|(folder, runs)| Group { folder: named(folder), runs }).collect()
}

/// The folder of a scenario's file; empty if it has none.
fn folder(run: &RunRecord) -> &str {
    run.file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Number of bytes of the whole path components that all paths have in common.
fn common<'p>(mut paths: impl Iterator<Item = &'p str>) -> usize {
    let Some(first) = paths.next() else { return 0 };
    let mut shared: Vec<&str> = first.split('/').collect();
    for path in paths {
        let same = shared.iter().zip(path.split('/')).take_while(|(one, other)| *one == other).count();
        shared.truncate(same);
    }
    shared.join("/").len()
}

/// A row that sums up a folder.
fn group_head(set: &RunSet, group: &Group, columns: usize) -> Markup {
    let mut classes: BTreeMap<Reverse<Class>, usize> = BTreeMap::new();
    for &index in &group.runs {
        *classes.entry(Reverse(set.runs[index].verdict.class())).or_default() += 1;
    }
    let name = if group.folder.is_empty() { "scenarios without a folder" } else { &group.folder };
    html! {
        tr.group {
            th scope="rowgroup" colspan=(columns) {
                (name)
                small { (units::counted(group.runs.len(), "run")) }
                @for (Reverse(verdict), n) in &classes {
                    small.(class(verdict.style())) { (units::count(*n as u64)) " " (verdict.label()) }
                }
            }
        }
    }
}

/// Words that a run can be found by, besides the text of its cells and its folder: job, file, kinds of faults, violated
/// oracles.
fn words(run: &RunRecord) -> String {
    let file = run.file.rsplit('/').next().unwrap_or_default().trim_end_matches(".toml");
    let mut words: BTreeSet<&str> = run.faults.iter().map(|fault: &FaultRecord| fault.kind.as_str()).collect();
    words.insert(&run.job.name);
    words.insert(file);
    if let Verdict::Failed { oracle, also, .. } = &run.verdict {
        words.insert(oracle);
        words.extend(also.iter().map(|violated| violated.oracle.as_str()));
    }
    words.remove(run.scenario.as_str());
    words.into_iter().collect::<Vec<_>>().join(" ")
}

/// For each run, its position in the order of each column of [`tables::verdicts`]. Equal runs have equal positions.
fn orders(set: &RunSet) -> Vec<String> {
    let runs = || set.runs.iter();
    let target = tables::on_several_targets(set).then(|| places(runs().map(|run| &run.target)));
    let columns = [places(runs().map(|run| &run.scenario))].into_iter().chain(target).chain([
        places(runs().map(|run| run.seed)),
        places(runs().map(|run| &run.job.backend)),
        places(runs().map(|run| run.verdict.class())),
        places(runs().map(|run| tables::checkpoint_counts(run).0)),
        places(runs().map(|run| tables::checkpoint_counts(run).1)),
        places(runs().map(tables::tried_recoveries)),
        places(runs().map(|run| worst_outage(&run.recoveries))),
        places(runs().map(|run| run.totals.virtual_ns)),
        places(runs().map(|run| run.totals.cpu_ns)),
        places(runs().map(|run| &run.trace_hash)),
    ]);
    let columns: Vec<Vec<usize>> = columns.collect();
    let order = |index: usize| columns.iter().map(|places| places[index].to_string()).collect::<Vec<_>>().join(" ");
    (0..set.runs.len()).map(order).collect()
}

/// For each value, its rank among the different values, from 0.
fn places<T: Ord>(values: impl Iterator<Item = T>) -> Vec<usize> {
    let values: Vec<T> = values.collect();
    let mut sorted: Vec<&T> = values.iter().collect();
    sorted.sort();
    sorted.dedup();
    values.iter().map(|value| sorted.binary_search(&value).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::Violated;

    fn set(files: &[&str]) -> RunSet {
        let run = |file: &&str| RunRecord { file: (*file).into(), ..fixtures::passed() };
        RunSet { runs: files.iter().map(run).collect(), ..fixtures::set() }
    }

    fn named(set: &RunSet) -> Vec<(String, Vec<usize>)> {
        groups(set).into_iter().map(|group| (group.folder, group.runs)).collect()
    }

    #[test]
    fn runs_stand_by_folder_whatever_the_order_they_were_asked_for_in() {
        let of = |files: &[&str]| named(&set(files));
        assert_eq!(
            of(&["s/net/a.toml", "s/disk/b.toml", "s/net/c.toml"]),
            [("net".to_owned(), vec![0, 2]), ("disk".to_owned(), vec![1])]
        );
        let folders = |files: &[&str]| of(files).into_iter().map(|(folder, _)| folder).collect::<Vec<_>>();
        assert_eq!(folders(&["s/a.toml", "s/net/b.toml"]), ["s", "s/net"], "one of them holds the other");
        assert_eq!(folders(&["a.toml", "net/b.toml"]), ["", "net"]);
        assert_eq!(folders(&["/x/sa/a.toml", "/x/sb/b.toml"]), ["sa", "sb"], "whole parts only");
        assert_eq!(folders(&["ä/b/x.toml", "ö/c/x.toml"]), ["ä/b", "ö/c"]);
        assert_eq!(folders(&[]), [""; 0]);
        let page = section(&set(&["s/net/a.toml", "s/disk/b.toml", "s/net/c.toml"]), &[true; 3]).into_string();
        assert!(page.contains("net<small>2 runs</small><small class=\"good\">2 passed</small>"), "{page}");
        // With only one folder, runs are not grouped.
        assert!(!section(&set(&["s/a.toml", "s/b.toml"]), &[true; 2]).into_string().contains("class=\"group\""));
    }

    #[test]
    fn a_row_carries_all_that_it_is_found_and_sorted_by() {
        let mut set = fixtures::set();
        set.runs[0].file = "scenarios/net/other-name.toml".into();
        set.runs[0].verdict = Verdict::Failed {
            oracle: "O3".into(),
            evidence: vec![],
            also: vec![Violated { oracle: "expect.failovers".into(), evidence: vec![] }],
        };
        let page = section(&set, &vec![true; set.runs.len()]).into_string();
        assert_eq!(page.matches("<tr data-run=").count(), set.runs.len());
        let chips = tables::verdict_counts(&set).len();
        for (name, others) in [("data-verdict", chips), ("data-words", 0), ("data-order", 0)] {
            assert_eq!(page.matches(&format!(" {name}=\"")).count(), set.runs.len() + others, "{name}");
        }
        let found = words(&set.runs[0]);
        for word in ["O3", "expect.failovers", "other-name", "kill", &set.runs[0].job.name] {
            assert!(found.split(' ').any(|one| one == word), "{word}: {found}");
        }
        for order in orders(&set) {
            assert_eq!(order.split(' ').count(), tables::verdicts(&set).columns().len());
        }
    }

    #[test]
    fn the_order_is_that_of_what_was_measured_not_of_its_text() {
        let run = |virtual_ns| {
            let mut run = fixtures::empty();
            run.totals.virtual_ns = virtual_ns;
            run
        };
        // 2 s, 900 ms, 15 min, and 900 ms again.
        let times = [2_000_000_000, 900_000_000, 900_000_000_000, 900_000_000];
        let set = RunSet { runs: times.map(run).into(), ..fixtures::set() };
        let of = |order: &String| order.split(' ').nth(8).unwrap().to_owned();
        assert_eq!(orders(&set).iter().map(of).collect::<Vec<_>>(), ["1", "0", "2", "0"]);
        // An outage without an end counts as longer than any with an end.
        let mut set = fixtures::set();
        set.runs = vec![fixtures::passed(), fixtures::passed(), fixtures::empty()];
        set.runs[0].recoveries[0].parts = None;
        let of = |order: &String| order.split(' ').nth(7).unwrap().parse().unwrap();
        let outages: Vec<usize> = orders(&set).iter().map(of).collect();
        assert!(
            outages[2] < outages[1] && (outages[1] < outages[0] || set.runs[0].recoveries[0].outage_ns().is_some())
        );
    }

    #[test]
    fn no_text_breaks_out_of_its_attribute() {
        let hostile = "\"><script>alert(1)</script>' onmouseover='x'&";
        let mut run = fixtures::failed();
        for text in [&mut run.scenario, &mut run.job.name, &mut run.job.backend, &mut run.trace_hash] {
            *text = hostile.into();
        }
        run.file = format!("{hostile}/{hostile}.toml");
        run.faults[0].kind = hostile.into();
        run.verdict = Verdict::Failed { oracle: hostile.into(), evidence: vec![], also: vec![] };
        let runs = vec![run, fixtures::passed()];
        let page = section(&RunSet { runs, ..fixtures::set() }, &[true; 2]).into_string();
        assert!(!page.contains("<script"), "{page}");
        // No more quotes than those around the four attributes, and those of a group.
        for (start, quotes) in [("tr data-run", 8), ("tbody data-folder", 2)] {
            let tags: Vec<&str> = page.split('<').filter(|tag| tag.starts_with(start)).collect();
            assert_eq!(tags.len(), 2, "{page}");
            for tag in tags {
                assert_eq!(tag.split('>').next().unwrap().matches('"').count(), quotes, "{tag}");
            }
        }
    }

    #[test]
    fn the_script_makes_no_markup_of_text_and_asks_nothing_of_the_network() {
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "fetch(", "XMLHttp", "import", "</script"]
        {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_set_has_each_of_its_runs_once(runs in prop::collection::vec(fixtures::any_run(), 0..6)) {
            let set = RunSet { runs, ..fixtures::set() };
            let mut all: Vec<usize> = groups(&set).into_iter().flat_map(|group| group.runs).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..set.runs.len()).collect::<Vec<_>>());
            let page = section(&set, &vec![false; set.runs.len()]).into_string();
            prop_assert_eq!(page.matches("<tr data-run=").count(), set.runs.len());
        }
    }
}
