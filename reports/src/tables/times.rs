//! The tables of times: checkpoints and outages with their parts, and measured times compared with formulas.
//!
//! Start at [`checkpoints`]; [`timing_summary`] and [`timing_rows`] show the results of
//! [`timing::compare`](crate::timing::compare).

use std::collections::BTreeSet;

use crate::ansi::Style;
use crate::numbers;
use crate::prediction::compare;
use crate::record::{CheckpointEnd, CheckpointRecord, RecoveryKind, RecoveryParts, RunRecord, recovered_after};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::timing::{Rule, Subject, Timing, TimingRow};
use crate::units;

/// Most rows of trigger gaps in a table. If there are more, the worst are shown, because the others add nothing.
pub const GAPS_MAX: usize = 12;

/// What was predicted before the run, what was measured, and the terms in which they differ.
pub fn predictions(run: &RunRecord) -> Table {
    let mut table = Table::new([
        ("quantity", Left),
        ("predicted before the run", Right),
        ("measured", Right),
        ("of", Right),
        ("off by", Right),
        ("off in", Left),
    ]);
    for row in compare(run) {
        table.row([
            Cell::new(row.what),
            Cell::quantity(row.unit, row.predicted),
            Cell::quantity(row.unit, row.measured),
            Cell::count(row.count as u64),
            row.residual().map_or_else(Cell::none, |residual| Cell::new(numbers::signed(residual))),
            Cell::new(row.off_in()).styled(Style::Dim),
        ]);
    }
    table
}

/// What was not predicted, or is not used to judge the run, and why.
pub fn outside_of_predictions(run: &RunRecord) -> Table {
    let mut table = Table::new([("outside of the predictions", Left), ("because", Left)]);
    let Some(prediction) = &run.prediction else { return table };
    for one in &prediction.out_of_domain {
        let subjects: Vec<&str> = one.subjects.iter().map(|subject| subject.label()).collect();
        table.row([Cell::new(subjects.join(", ")).styled(Style::Warn), Cell::new(&one.why)]);
    }
    for why in &prediction.outside {
        table.row([Cell::new("not predicted"), Cell::new(why)]);
    }
    table
}

/// What the target's own statistics say of completed checkpoints, beside what was heard of them.
pub fn reported(run: &RunRecord) -> Table {
    let mut table = Table::new([
        ("id", Right),
        ("heard until the last acknowledgement", Right),
        ("reported", Right),
        ("start delay", Right),
        ("alignment", Right),
        ("sync", Right),
        ("async", Right),
    ]);
    for checkpoint in &run.checkpoints {
        let Some(reported) = &checkpoint.reported else { continue };
        let acknowledged = checkpoint.subtasks.iter().filter_map(|subtask| subtask.acknowledged_ns).max();
        table.row([
            Cell::new(checkpoint.id.to_string()),
            Cell::maybe_duration(acknowledged.and_then(|at| at.checked_sub(checkpoint.triggered_at_ns))),
            Cell::duration(reported.duration_ns),
            Cell::maybe_duration(reported.start_delay_ns),
            Cell::maybe_duration(reported.alignment_ns),
            Cell::maybe_duration(reported.sync_ns),
            Cell::maybe_duration(reported.async_ns),
        ]);
    }
    table
}

/// Checkpoints with their parts along the critical path.
pub fn checkpoints(run: &RunRecord) -> Table {
    let mut table = Table::new([
        ("id", Right),
        ("attempt", Right),
        ("kind", Left),
        ("triggered", Right),
        ("duration", Right),
        ("barrier", Right),
        ("alignment", Right),
        ("sync", Right),
        ("async", Right),
        ("ack", Right),
        ("finalise", Right),
        ("acked", Right),
        ("state", Right),
        ("end", Left),
    ]);
    for checkpoint in &run.checkpoints {
        let [barrier, alignment, sync, upload, ack, finalise] = match &checkpoint.parts {
            Some(parts) => parts.named().map(|(_, ns)| Cell::duration(ns)),
            None => std::array::from_fn(|_| Cell::none()),
        };
        table.row([
            Cell::new(checkpoint.id.to_string()),
            Cell::new(checkpoint.attempt.to_string()),
            Cell::new(&checkpoint.kind),
            Cell::new(units::instant(checkpoint.triggered_at_ns)),
            Cell::maybe_duration(checkpoint.duration_ns()),
            barrier,
            alignment,
            sync,
            upload,
            ack,
            finalise,
            acknowledged(checkpoint),
            Cell::bytes(checkpoint.state_bytes),
            checkpoint_end(&checkpoint.end),
        ]);
    }
    table
}

fn acknowledged(checkpoint: &CheckpointRecord) -> Cell {
    let acked = checkpoint.subtasks.iter().filter(|s| s.acknowledged_ns.is_some()).count();
    Cell::new(format!("{acked}/{}", checkpoint.subtasks.len()))
}

fn checkpoint_end(end: &CheckpointEnd) -> Cell {
    match end {
        CheckpointEnd::Completed => Cell::new("completed").styled(Style::Good),
        // Not a violation: a checkpoint that a fault hits must be given up.
        CheckpointEnd::Aborted { reason } => Cell::new(format!("aborted: {reason}")).styled(Style::Warn),
        CheckpointEnd::Unfinished => Cell::new("unfinished").styled(Style::Warn),
    }
}

/// Recoveries with their causes and what they restored. Those without lasting progress come before the one that ended
/// their outage.
pub fn recoveries(run: &RunRecord) -> Table {
    let mut table = Table::new([
        ("attempt", Right),
        ("fault", Right),
        ("failed", Right),
        ("restored", Left),
        ("age", Right),
        ("loaded", Right),
        ("cause", Left),
    ]);
    let fault = |fault: Option<u32>| fault.map_or_else(Cell::none, |id| Cell::new(format!("#{id}")));
    for recovery in &run.recoveries {
        for one in &recovery.superseded {
            table.row([
                Cell::new(one.attempt.to_string()),
                fault(one.fault),
                Cell::new(units::instant(one.failed_at_ns)),
                Cell::new("superseded").styled(Style::Dim),
                Cell::none(),
                Cell::none(),
                Cell::new(&one.cause),
            ]);
        }
        let (restored, age, loaded) = match recovery.kind {
            RecoveryKind::Stall => (Cell::new("stall").styled(Style::Warn), Cell::none(), Cell::none()),
            RecoveryKind::Failover | RecoveryKind::Takeover => (
                recovery.restored_checkpoint.map_or_else(|| Cell::new("nothing"), |id| Cell::new(format!("chk-{id}"))),
                Cell::duration(recovery.snapshot_age_ns),
                Cell::bytes(recovery.restored_bytes),
            ),
        };
        table.row([
            Cell::new(recovery.attempt.to_string()),
            fault(recovery.fault),
            Cell::new(units::instant(recovery.failed_at_ns)),
            restored,
            age,
            loaded,
            Cell::new(&recovery.cause),
        ]);
    }
    table
}

/// Each outage with its parts, and when the backlog was worked off.
pub fn outages(run: &RunRecord) -> Table {
    // The headings come from the record, so that no part can stand under the name of another.
    let [stalled, superseded, detect, backoff, slots, deploy, restore, init] =
        RecoveryParts::default().named().map(|(name, _)| name);
    let mut table = Table::new([
        ("attempt", Right),
        (stalled, Right),
        (superseded, Right),
        (detect, Right),
        (backoff, Right),
        (slots, Right),
        (deploy, Right),
        (restore, Right),
        (init, Right),
        ("outage", Right),
        ("caught up after", Right),
    ]);
    for (index, recovery) in run.recoveries.iter().enumerate() {
        let [stalled, superseded, detect, backoff, slots, deploy, restore, init] = match &recovery.parts {
            Some(parts) => parts.named().map(|(_, ns)| Cell::duration(ns)),
            None => std::array::from_fn(|_| Cell::none()),
        };
        table.row([
            Cell::new(recovery.attempt.to_string()),
            stalled,
            superseded,
            detect,
            backoff,
            slots,
            deploy,
            restore,
            init,
            Cell::lapse(recovery.outage()),
            if recovery.is_stall() {
                Cell::none()
            } else {
                Cell::lapse(recovered_after(&run.recoveries, index, run.totals.virtual_ns))
            },
        ]);
    }
    table
}

/// Residuals per formula.
pub fn timing_summary(timing: &Timing) -> Table {
    let mut table = Table::new([
        ("measured", Left),
        ("rule", Left),
        ("formula", Left),
        ("compared", Right),
        ("median residual", Right),
        ("worst residual", Right),
    ]);
    for summary in &timing.summaries {
        table.row([
            Cell::new(summary.subject.label()),
            Cell::new(summary.rule.label()),
            Cell::new(summary.formula),
            Cell::new(match summary.unpredicted {
                0 => summary.judged.to_string(),
                n => format!("{} of {}", summary.judged, summary.judged + n),
            }),
            Cell::maybe_difference(summary.residual_median_ns),
            Cell::maybe_difference(summary.residual_worst_ns),
        ]);
    }
    table
}

/// Each measured time, compared with the result of each formula, ordered by time. If there are more than [`GAPS_MAX`]
/// trigger gaps, only the worst are shown. The formulas themselves are in [`timing_summary`].
pub fn timing_rows(timing: &Timing) -> Table {
    let mut table = Table::new([
        ("measured at", Left),
        ("measured", Right),
        ("rule", Left),
        ("predicted", Right),
        ("from measured parts", Right),
        ("residual", Right),
        ("missing from the formula", Left),
    ]);
    let shown = shown_gaps(timing);
    let mut last = None;
    for row in timing.rows.iter().filter(|row| row.subject != Subject::TriggerGap || shown.contains(&row.what)) {
        // Both formulas are about the same measurement, so it is named only once.
        let repeated = last == Some(&row.what);
        last = Some(&row.what);
        let (what, measured) = match repeated {
            true => (Cell::default(), Cell::default()),
            false => (Cell::new(&row.what), Cell::duration(row.measured_ns)),
        };
        // A value that is computed from times of the same run explains the measurement, but predicts nothing.
        let given = Cell::maybe_duration(row.predicted_ns);
        let (predicted, explained) = match row.rule {
            Rule::Article => (given, Cell::default()),
            Rule::Corrected => (Cell::default(), given),
        };
        table.row([
            what,
            measured,
            Cell::new(row.rule.label()),
            predicted,
            explained,
            Cell::maybe_difference(row.residual_ns),
            Cell::new(&row.missing).styled(Style::Dim),
        ]);
    }
    table
}

/// How many trigger gaps [`timing_rows`] leaves out.
pub fn hidden_gaps(timing: &Timing) -> usize {
    gaps(timing).len().saturating_sub(GAPS_MAX)
}

/// One row per trigger gap: the row of the corrected rule, which comes second and is the one that judges.
fn gaps(timing: &Timing) -> Vec<&TimingRow> {
    let is_judging = |row: &&TimingRow| row.subject == Subject::TriggerGap && row.rule == Rule::Corrected;
    timing.rows.iter().filter(is_judging).collect()
}

fn shown_gaps(timing: &Timing) -> BTreeSet<String> {
    let mut gaps = gaps(timing);
    gaps.sort_by_key(|row| std::cmp::Reverse(row.residual_ns.map(i64::unsigned_abs)));
    gaps.truncate(GAPS_MAX);
    gaps.into_iter().map(|row| row.what.clone()).collect()
}

/// Percentiles of checkpoint durations; one row, or none.
pub fn durations(timing: &Timing) -> Table {
    let mut table = Table::new([
        ("checkpoints", Right),
        ("shortest", Right),
        ("median", Right),
        ("p90", Right),
        ("p99", Right),
        ("longest", Right),
    ]);
    if let Some(p) = timing.durations {
        let [min, p50, p90, p99, max] = [p.min, p.p50, p.p90, p.p99, p.max].map(Cell::duration);
        table.row([Cell::count(p.count), min, p50, p90, p99, max]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::{fixtures, timing};

    #[test]
    fn the_worst_gaps_survive_the_cut() {
        let mut run = fixtures::passed();
        run.checkpoints.truncate(1);
        for id in 2..40 {
            let mut next = run.checkpoints[0].clone();
            next.id = id;
            // One gap is 5 ms late.
            next.triggered_at_ns = id * 1_000_000_000 + if id >= 30 { 5_000_000 } else { 0 };
            next.ended_at_ns = next.parts.map(|p| next.triggered_at_ns + p.total_ns());
            run.checkpoints.push(next);
        }
        let timing = timing::compare(&run);
        let text = timing_rows(&timing).text(0, Color::No);
        assert!(text.contains("checkpoint 29 to 30"), "{text}");
        assert_eq!(hidden_gaps(&timing), 38 - GAPS_MAX);
    }
}
