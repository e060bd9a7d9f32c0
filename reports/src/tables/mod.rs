//! The contents of all tables: one function per table, from records to cells.
//!
//! Start at [`verdicts`] for a set of runs; the others take one run. The terminal and the HTML file show the same
//! tables, so a number cannot differ between them. Both leave out tables without rows.

mod load;
mod times;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

pub use self::load::load;
pub use self::times::{
    GAPS_MAX, checkpoints, durations, hidden_gaps, outages, outside_of_predictions, predictions, recoveries, reported,
    timing_rows, timing_summary,
};

use crate::ansi::Style;
use crate::class::Class;
use crate::record::{CheckpointEnd, FaultRecord, RunRecord, RunSet, Verdict, worst_outage};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// The style of a verdict: only `passed` is good, and a run that proves nothing is not bad.
pub fn verdict_style(verdict: &Verdict) -> Style {
    verdict.class().style()
}

/// The folder of a run's scenario file, as it was given; `.` for the working folder.
pub fn folder(run: &RunRecord) -> &str {
    let folder = Path::new(&run.file).parent().and_then(Path::to_str).unwrap_or_default();
    if folder.is_empty() { "." } else { folder }
}

/// The runs by folder, in the order in which the folders first occur.
pub fn by_folder(set: &RunSet) -> Vec<(&str, Vec<&RunRecord>)> {
    let mut folders: Vec<(&str, Vec<&RunRecord>)> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for run in &set.runs {
        let place = *at.entry(folder(run)).or_insert_with(|| {
            folders.push((folder(run), Vec::new()));
            folders.len() - 1
        });
        folders[place].1.push(run);
    }
    folders
}

/// Puts the folder's name and subtotal above its rows.
fn begin_folder(table: &mut Table, name: &str, runs: &[&RunRecord]) {
    let counts = counts(runs.iter().copied());
    let classes: Vec<String> = counts.into_iter().map(|(label, _, n)| format!("{n} {label}")).collect();
    let line = format!("{name}, {}: {}", units::counted(runs.len(), "run"), classes.join(", "));
    table.section(Cell::new(line).styled(Style::Heading));
}

/// One row per run, in the order of the runs: what it proved and how long it took.
pub fn verdicts(set: &RunSet) -> Table {
    let several = on_several_targets(set);
    let mut table = verdict_table(several);
    set.runs.iter().for_each(|run| verdict_row(&mut table, run, several));
    table
}

/// Whether the runs of a set ran on more than one target, so that a run needs to say on which.
pub fn on_several_targets(set: &RunSet) -> bool {
    set.runs.windows(2).any(|pair| pair[0].target != pair[1].target)
}

/// The same rows folder by folder. If there are several folders, each has its subtotal above it.
pub fn verdicts_by_folder(set: &RunSet) -> Table {
    let several = on_several_targets(set);
    let mut table = verdict_table(several);
    let folders = by_folder(set);
    for (name, runs) in &folders {
        if folders.len() > 1 {
            begin_folder(&mut table, name, runs);
        }
        runs.iter().for_each(|run| verdict_row(&mut table, run, several));
    }
    table
}

fn verdict_table(several: bool) -> Table {
    let target = several.then_some(("target", Left));
    let columns = [("scenario", Left)].into_iter().chain(target).chain([
        ("seed", Right),
        ("backend", Left),
        ("verdict", Left),
        ("completed", Right),
        ("aborted", Right),
        ("recoveries", Right),
        ("worst outage", Right),
        ("virtual time", Right),
        ("cpu", Right),
        ("trace hash", Left),
    ]);
    Table::with(columns.map(|(heading, align)| (Cow::Borrowed(heading), align)).collect()).dispensable(&[
        "trace hash",
        "cpu",
        "virtual time",
        "completed",
        "aborted",
        "recoveries",
        "backend",
    ])
}

fn verdict_row(table: &mut Table, run: &RunRecord, several: bool) {
    let (completed, aborted) = checkpoint_counts(run);
    let target = several.then(|| Cell::new(&run.target));
    let cells = [Cell::new(&run.scenario)].into_iter().chain(target).chain([
        Cell::new(run.seed.to_string()),
        Cell::new(&run.job.backend),
        Cell::new(run.verdict.label()).styled(verdict_style(&run.verdict)),
        Cell::count(completed),
        Cell::count(aborted),
        Cell::count(tried_recoveries(run)),
        worst_outage(&run.recoveries).map_or_else(Cell::none, Cell::lapse),
        Cell::duration(run.totals.virtual_ns),
        Cell::duration(run.totals.cpu_ns),
        Cell::new(&run.trace_hash).styled(Style::Dim),
    ]);
    table.row(cells.collect::<Vec<_>>());
}

/// One row per scenario: how many of its runs passed, and their totals. Folder by folder; if there are several folders,
/// each has its subtotal above it.
pub fn scenarios(set: &RunSet) -> Table {
    let mut table = Table::new([
        ("scenario", Left),
        ("runs", Right),
        ("passed", Right),
        ("worst verdict", Left),
        ("worst outage", Right),
        ("virtual time", Right),
        ("cpu", Right),
    ])
    .dispensable(&["cpu", "virtual time", "worst outage"]);
    let folders = by_folder(set);
    for (folder, all) in &folders {
        if folders.len() > 1 {
            begin_folder(&mut table, folder, all);
        }
        // Runs of one scenario are adjacent, in the order in which they were asked for.
        for runs in all.chunk_by(|run, next| (&run.scenario, &run.file) == (&next.scenario, &next.file)) {
            let worst = runs.iter().map(|run| run.verdict.class()).max().unwrap_or(Class::Passed);
            let sum = |of: fn(&RunRecord) -> u64| runs.iter().fold(0u64, |sum, run| sum.saturating_add(of(run)));
            table.row([
                Cell::new(&runs[0].scenario),
                Cell::count(runs.len() as u64),
                Cell::count(runs.iter().filter(|run| run.verdict == Verdict::Passed).count() as u64),
                Cell::new(worst.label()).styled(worst.style()),
                runs.iter().filter_map(|run| worst_outage(&run.recoveries)).max().map_or_else(Cell::none, Cell::lapse),
                Cell::duration(sum(|run| run.totals.virtual_ns)),
                Cell::duration(sum(|run| run.totals.cpu_ns)),
            ]);
        }
    }
    table
}

/// One row per run that did not pass: its verdict and the first line of evidence.
pub fn unproved(set: &RunSet) -> Table {
    let mut table = Table::new([("", Left), ("", Left), ("", Right), ("", Left)]);
    let several = on_several_targets(set);
    for run in set.runs.iter().filter(|run| run.verdict != Verdict::Passed) {
        table.row([
            Cell::new(run.verdict.label()).styled(verdict_style(&run.verdict)),
            if several { Cell::new(format!("{} on {}", run.scenario, run.target)) } else { Cell::new(&run.scenario) },
            Cell::new(run.seed.to_string()),
            Cell::new(run.verdict.headline()),
        ]);
    }
    table
}

/// Completed and aborted checkpoints of a run.
pub fn checkpoint_counts(run: &RunRecord) -> (u64, u64) {
    let count = |wanted: fn(&CheckpointEnd) -> bool| run.checkpoints.iter().filter(|c| wanted(&c.end)).count() as u64;
    (count(|end| *end == CheckpointEnd::Completed), count(|end| matches!(end, CheckpointEnd::Aborted { .. })))
}

/// Number of failovers and takeovers of a run, including those without lasting progress.
pub fn tried_recoveries(run: &RunRecord) -> u64 {
    run.recoveries.iter().map(|recovery| recovery.tried() as u64).sum()
}

/// Drawn and defaulted options.
pub fn options(run: &RunRecord) -> Table {
    let mut table = Table::new([("option", Left), ("value", Left)]);
    for (name, value) in &run.options {
        table.row([Cell::new(name), Cell::new(value)]);
    }
    table
}

/// Options that are not at their defaults, and the number of those that are.
pub fn chosen_options(run: &RunRecord) -> (Table, usize) {
    let mut table = Table::new([("option", Left), ("value", Left)]);
    let (defaults, chosen): (Vec<_>, Vec<_>) = run.options.iter().partition(|(_, value)| is_default(value));
    for (name, value) in chosen {
        table.row([Cell::new(name), Cell::new(value)]);
    }
    (table, defaults.len())
}

/// The reader of scenarios notes the origin of each value that the scenario did not state.
fn is_default(value: &str) -> bool {
    value.ends_with("(default)") || value.contains("(default:") || value.ends_with("as many as the parallelism")
}

/// Faults and what became of them.
pub fn faults(run: &RunRecord) -> Table {
    let mut table = Table::new([
        ("fault", Right),
        ("kind", Left),
        ("target", Left),
        ("struck", Right),
        ("healed", Right),
        ("trigger", Left),
        ("detail", Left),
        ("hurt", Left),
    ]);
    for fault in &run.faults {
        let struck = match fault.struck_at_ns {
            Some(ns) => Cell::new(units::instant(ns)),
            None => Cell::new("never").styled(Style::Warn),
        };
        table.row([
            Cell::new(format!("#{}", fault.id)),
            Cell::new(&fault.kind),
            Cell::new(&fault.target),
            struck,
            Cell::maybe_instant(fault.healed_at_ns),
            Cell::new(&fault.trigger),
            Cell::new(&fault.detail),
            hurt(fault),
        ]);
    }
    table
}

/// What a fault hurt. A strike that hurt nothing proves nothing.
fn hurt(fault: &FaultRecord) -> Cell {
    let harms: Vec<String> = fault.hurt.iter().map(ToString::to_string).collect();
    match (harms.as_slice(), fault.struck_at_ns) {
        ([], None) => Cell::none(),
        ([], Some(_)) => Cell::new("nothing").styled(Style::Warn),
        (harms, _) => Cell::new(harms.join(", ")),
    }
}

/// Oracles and what they judged.
pub fn oracles(run: &RunRecord) -> Table {
    let mut table = Table::new([("oracle", Left), ("property", Left), ("judged", Right), ("", Left), ("held", Left)]);
    for oracle in &run.oracles {
        let held = match (oracle.held, oracle.judged) {
            _ if let Some(why) = &oracle.not_judged => Cell::new(format!("not judged: {why}")).styled(Style::Warn),
            (false, _) => Cell::new("violated").styled(Style::Bad),
            // The oracle held because there was nothing to judge. This must be said, or it would look like a proof.
            (true, 0) => Cell::new("judged nothing").styled(Style::Warn),
            (true, _) => Cell::new("held").styled(Style::Good),
        };
        table.row([
            Cell::new(&oracle.id),
            Cell::new(&oracle.property),
            Cell::count(oracle.judged),
            Cell::new(&oracle.unit),
            held,
        ]);
    }
    table
}

/// A line for each target on which some oracle lacked the sections that it needs: which oracles, and why.
pub fn not_judged(set: &RunSet) -> Vec<String> {
    let mut why: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for run in &set.runs {
        for (oracle, reason) in run.oracles.iter().filter_map(|oracle| Some((oracle, oracle.not_judged.as_ref()?))) {
            let ids = why.entry(&run.target).or_default().entry(reason).or_default();
            if !ids.contains(&oracle.id.as_str()) {
                ids.push(&oracle.id);
            }
        }
    }
    why.into_iter()
        .map(|(target, reasons)| {
            let reasons = reasons.into_iter().map(|(reason, ids)| format!("{} ({reason})", ids.join(", ")));
            format!("not judged on {target}: {}", reasons.collect::<Vec<_>>().join("; "))
        })
        .collect()
}

/// The numbers that describe a run as a whole, as name and value.
pub fn facts(run: &RunRecord) -> Vec<(&'static str, String)> {
    let job = &run.job;
    let rate = if run.settings.input_rate > 0.0 {
        format!("{} records/s", run.settings.input_rate)
    } else {
        "as fast as it goes".to_owned()
    };
    let restart_delay = match run.settings.restart_strategy.as_str() {
        "" => units::duration(run.settings.restart_delay_ns),
        strategy => strategy.to_owned(),
    };
    vec![
        ("job", format!("{}, parallelism {}", job.name, job.parallelism)),
        ("backend", job.backend.clone()),
        (
            "cluster",
            format!(
                "{} with {} on {}",
                units::counted(job.task_managers as usize, "TaskManager"),
                units::counted(job.slots_per_task_manager as usize, "slot"),
                run.target
            ),
        ),
        ("input rate λ", rate),
        ("interval I", units::duration(run.settings.interval_ns)),
        ("minimum pause P", units::duration(run.settings.min_pause_ns)),
        ("next trigger", run.settings.trigger_rule.name().to_owned()),
        (
            "heartbeat",
            format!(
                "every {}, lost after {}",
                units::duration(run.settings.heartbeat_interval_ns),
                units::duration(run.settings.heartbeat_timeout_ns)
            ),
        ),
        ("restart delay", restart_delay),
        ("records read", units::count(run.totals.records_in)),
        ("records committed", units::count(run.totals.records_committed)),
        ("oldest output", run.totals.lateness_max_ns.map_or_else(|| "–".to_owned(), units::duration)),
        (if run.is_simulated() { "virtual time" } else { "time" }, units::duration(run.totals.virtual_ns)),
        ("cpu time", units::duration(run.totals.cpu_ns)),
        ("real time", units::duration(run.totals.wall_ns)),
        ("events", units::count(run.totals.events)),
        ("messages", format!("{}, {}", units::count(run.totals.messages), units::bytes(run.totals.bytes))),
        ("cost rates", run.cost_profile.clone()),
        ("trace hash", run.trace_hash.clone()),
    ]
}

/// Number of runs per verdict, in the order of exit codes, classes without runs left out.
pub fn verdict_counts(set: &RunSet) -> Vec<(&'static str, Style, usize)> {
    counts(set.runs.iter())
}

fn counts<'r>(runs: impl Iterator<Item = &'r RunRecord>) -> Vec<(&'static str, Style, usize)> {
    let mut counts = BTreeMap::new();
    for run in runs {
        let verdict = &run.verdict;
        counts.entry(verdict.exit_code()).or_insert((verdict.label(), verdict_style(verdict), 0)).2 += 1;
    }
    counts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;

    #[test]
    fn an_oracle_that_judged_nothing_does_not_read_as_held() {
        let text = oracles(&fixtures::passed()).text(0, Color::No);
        let line = text.lines().find(|line| line.starts_with("O10")).expect("in the fixture");
        assert!(line.ends_with("judged nothing"), "{line}");
    }

    #[test]
    fn runs_of_several_folders_stand_under_the_subtotal_of_theirs() {
        let of = |file: &str, run: RunRecord| RunRecord { file: file.into(), ..run };
        let (good, bad) = (fixtures::passed(), fixtures::failed());
        // In the order of a folder search, runs of one folder may be before and after those of its subfolders.
        let runs = vec![of("all/net/a.toml", good.clone()), of("mine.toml", good), of("all/net/b.toml", bad)];
        let set = RunSet { runs, ..fixtures::set() };
        for table in [verdicts_by_folder(&set), scenarios(&set)] {
            assert_eq!(table.rows().len(), 3);
            let text = table.text(0, Color::No);
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines[0].starts_with("scenario  "), "{text}");
            assert_eq!((lines[1], lines[2]), ("", "all/net, 2 runs: 1 passed, 1 failed"), "{text}");
            assert_eq!((lines[5], lines[6], lines.len()), ("", "., 1 run: 1 passed", 8), "{text}");
        }
        let one = RunSet { runs: set.runs[..1].to_vec(), ..set };
        assert_eq!(verdicts_by_folder(&one).text(0, Color::No).lines().count(), 2, "one folder needs no name");
    }

    #[test]
    fn verdicts_are_counted_by_class() {
        let counts: Vec<_> = verdict_counts(&fixtures::set()).into_iter().map(|(label, _, n)| (label, n)).collect();
        assert_eq!(
            counts,
            [("passed", 1), ("failed", 1), ("vacuous", 1), ("stuck", 1), ("crashed", 1), ("not built", 1)]
        );
    }
}
