//! Compares the measured times of one run with the formulas.
//!
//! Start at [`compare`]. Trigger gaps are judged between neighbouring completed periodic checkpoints of one attempt,
//! because after an aborted checkpoint, a final checkpoint or a failover another rule applies. Outages are judged per
//! recovery.
//!
//! The formulas are about one failure and one recovery from it. An outage with recoveries that did not last, or without
//! any recovery, is outside of their domain: its rows say so, and have no prediction.
//!
//! The corrected outage is a sum of measured parts, so its residual checks the bookkeeping (RECORD-R1) and not the
//! formula. The planning rule predicts the whole from two numbers, and its residual is what it leaves out.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::formulas::trigger::Grid;
use crate::formulas::{recovery, trigger};
use crate::record::{CheckpointEnd, CheckpointRecord, RecoveryRecord, RunRecord, Settings, TriggerRule};
use crate::units;

/// Shown beside the corrected outage, because a residual of zero would otherwise look like a proof.
const IDENTITY: &str = "nothing; a sum of measured parts";

/// What a formula is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// From trigger to next trigger.
    TriggerGap,
    /// From the fault until lasting progress.
    Outage,
}

impl Subject {
    /// The words shown in tables.
    pub fn label(self) -> &'static str {
        match self {
            Subject::TriggerGap => "trigger gap",
            Subject::Outage => "outage",
        }
    }
}

/// Which rule the formula belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The rule of thumb in common use.
    Article,
    /// The rule that this engine follows.
    Corrected,
}

impl Rule {
    /// The words shown in tables.
    pub fn label(self) -> &'static str {
        match self {
            Rule::Article => "planning rule",
            Rule::Corrected => "corrected",
        }
    }
}

/// One measured time, compared with one formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimingRow {
    /// Where it was measured, e.g. `checkpoint 3 to 4`.
    pub what: String,
    /// What the formula is about.
    pub subject: Subject,
    /// Which rule the formula belongs to.
    pub rule: Rule,
    /// Measured duration in nanoseconds.
    pub measured_ns: u64,
    /// The formula as text.
    pub formula: &'static str,
    /// The result of the formula in nanoseconds; `None` if one of its inputs was not measured.
    pub predicted_ns: Option<u64>,
    /// Measured less predicted, in nanoseconds.
    pub residual_ns: Option<i64>,
    /// What causes the residual: terms missing from the formula, or the single branch that it has.
    pub missing: String,
}

/// Residuals of one formula over a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimingSummary {
    /// What the formula is about.
    pub subject: Subject,
    /// Which rule the formula belongs to.
    pub rule: Rule,
    /// The formula as text.
    pub formula: &'static str,
    /// Rows with a prediction.
    pub judged: usize,
    /// Rows without a prediction.
    pub unpredicted: usize,
    /// Median residual in nanoseconds, the lower of two middle ones.
    pub residual_median_ns: Option<i64>,
    /// The residual furthest from zero, in nanoseconds.
    pub residual_worst_ns: Option<i64>,
}

/// Percentiles in the unit of the values, exact to three digits; minimum and maximum are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// How many values there are.
    pub count: u64,
    /// The smallest.
    pub min: u64,
    /// Half are no larger.
    pub p50: u64,
    /// Nine in ten are no larger.
    pub p90: u64,
    /// 99 in a hundred are no larger.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// All comparisons of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// One row per checkpoint pair or outage and formula: first trigger gaps, then outages, each in the order of the
    /// record.
    pub rows: Vec<TimingRow>,
    /// One summary per formula that was compared at least once.
    pub summaries: Vec<TimingSummary>,
    /// Durations of completed checkpoints; `None` if there are none.
    pub durations: Option<Percentiles>,
}

/// Compares the times of `run` with the formulas.
pub fn compare(run: &RunRecord) -> Timing {
    let mut rows = trigger_gaps(run);
    rows.extend(run.recoveries.iter().flat_map(outages));
    let summaries = summarise(&rows);
    Timing { rows, summaries, durations: percentiles(run.checkpoints.iter().filter_map(CheckpointRecord::duration_ns)) }
}

/// Rows of all neighbouring completed periodic checkpoints of one attempt.
fn trigger_gaps(run: &RunRecord) -> Vec<TimingRow> {
    due_triggers(&run.checkpoints, &run.settings).iter().flat_map(|due| trigger_gap(due, &run.settings)).collect()
}

/// The trigger gaps that [`compare`] judges, in nanoseconds, ordered by attempt and trigger.
pub fn trigger_gaps_ns(run: &RunRecord) -> Vec<u64> {
    due_triggers(&run.checkpoints, &run.settings).iter().map(DueTrigger::gap_ns).collect()
}

/// Exactly-once latency of the record directly after each barrier, in ns: from its trigger until the last commit of the
/// next checkpoint. That is the longest time until a record's output is visible, without failures.
pub fn latencies_ns(run: &RunRecord) -> Vec<u64> {
    due_triggers(&run.checkpoints, &run.settings).iter().filter_map(DueTrigger::latency_ns).collect()
}

/// Two neighbouring completed periodic checkpoints of one attempt, and when the second was due.
#[derive(Debug, Clone, Copy)]
pub struct DueTrigger<'a> {
    /// The first.
    pub before: &'a CheckpointRecord,
    /// The second.
    pub after: &'a CheckpointRecord,
    /// When the trigger rule required the second.
    pub due_ns: u64,
    /// The earliest time that influences when it is due: the trigger before, or the first point of the grid.
    pub since_ns: u64,
}

impl DueTrigger<'_> {
    /// The measured time from trigger to trigger.
    pub fn gap_ns(&self) -> u64 {
        self.after.triggered_at_ns - self.before.triggered_at_ns
    }

    /// From the first trigger to the last commit of the second checkpoint: how long the record directly after the first
    /// barrier waits. `None`: not committed.
    pub fn latency_ns(&self) -> Option<u64> {
        self.after.committed_at_ns?.checked_sub(self.before.triggered_at_ns)
    }
}

/// The pairs between which the trigger rule of the run holds, ordered by attempt and trigger.
pub fn due_triggers<'a>(checkpoints: &'a [CheckpointRecord], settings: &Settings) -> Vec<DueTrigger<'a>> {
    let Settings { interval_ns, min_pause_ns, trigger_rule, .. } = *settings;
    let mut by_attempt: BTreeMap<u32, Vec<&CheckpointRecord>> = BTreeMap::new();
    for checkpoint in checkpoints {
        by_attempt.entry(checkpoint.attempt).or_default().push(checkpoint);
    }
    let mut all = Vec::new();
    for checkpoints in by_attempt.values_mut() {
        checkpoints.sort_by_key(|c| (c.triggered_at_ns, c.id));
        let first = checkpoints[0].triggered_at_ns;
        let mut grid = Grid::of_attempt(first, interval_ns, min_pause_ns);
        for pair in checkpoints.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let Some(ended) = before.ended_at_ns else { break };
            let (due_ns, since_ns) = match trigger_rule {
                TriggerRule::Spaced => {
                    let begun = before.triggered_at_ns;
                    (trigger::next_trigger(begun, ended, interval_ns, min_pause_ns), begun)
                }
                TriggerRule::FixedRate => (grid.next_trigger(ended, before.end == CheckpointEnd::Completed), first),
            };
            if pair.iter().all(|c| c.kind == "periodic" && c.end == CheckpointEnd::Completed) {
                all.push(DueTrigger { before, after, due_ns, since_ns });
            }
        }
    }
    all
}

fn trigger_gap(due: &DueTrigger<'_>, settings: &Settings) -> Vec<TimingRow> {
    let Settings { interval_ns, min_pause_ns: pause_ns, trigger_rule, .. } = *settings;
    let measured_ns = due.gap_ns();
    let what = format!("checkpoint {} to {}", due.before.id, due.after.id);
    let article = due.before.duration_ns().map(|d| trigger::article_interval(d, pause_ns));
    let corrected = Some(due.due_ns.saturating_sub(due.before.triggered_at_ns));
    let missing = match article {
        Some(article) if article < interval_ns.max(pause_ns) => {
            format!("max(I, P) = {} rules", units::duration(interval_ns.max(pause_ns)))
        }
        _ => String::new(),
    };
    let row = |rule, formula, predicted_ns, missing| TimingRow {
        what: what.clone(),
        subject: Subject::TriggerGap,
        rule,
        measured_ns,
        formula,
        predicted_ns,
        residual_ns: predicted_ns.map(|p| residual(measured_ns, p)),
        missing,
    };
    vec![
        row(Rule::Article, trigger::ARTICLE_INTERVAL, article, missing),
        row(Rule::Corrected, gap_formula(trigger_rule), corrected, String::new()),
    ]
}

/// The rule for the gap between two triggers, as text for tables.
fn gap_formula(rule: TriggerRule) -> &'static str {
    match rule {
        TriggerRule::Spaced => trigger::TRIGGER_GAP,
        TriggerRule::FixedRate => "grid of max(I, P)",
    }
}

/// Rows of one recovery; none for an outage without an end, which has no length to compare.
fn outages(recovery: &RecoveryRecord) -> Vec<TimingRow> {
    let Some(parts) = recovery.parts else { return Vec::new() };
    let measured_ns = parts.total_ns();
    let what = match recovery.is_stall() {
        true => format!("stall, attempt {}", recovery.attempt),
        false => format!("recovery, attempt {}", recovery.attempt),
    };
    let article = recovery.restored_checkpoint_duration_ns.map(|d| recovery::article_recovery(d, parts.restore_ns));
    let forgotten: Vec<String> = parts
        .named()
        .iter()
        .filter(|(name, ns)| *name != "restore" && *ns > 0)
        .map(|(name, ns)| format!("{name} {}", units::duration(*ns)))
        .collect();
    let row = |rule, formula, predicted_ns, missing| TimingRow {
        what: what.clone(),
        subject: Subject::Outage,
        rule,
        measured_ns,
        formula,
        predicted_ns,
        residual_ns: predicted_ns.map(|p: u64| residual(measured_ns, p)),
        missing,
    };
    if !recovery.is_plain() {
        let outside = match (recovery.is_stall(), recovery.superseded.len()) {
            (true, _) => "outside of the formula: no recovery was begun".to_owned(),
            (false, 0) => {
                format!("outside of the formula: stood still for {} before", units::duration(parts.stalled_ns))
            }
            (false, n) => format!("outside of the formula: {n} superseded before"),
        };
        return vec![
            row(Rule::Article, recovery::ARTICLE_RECOVERY, None, outside.clone()),
            row(Rule::Corrected, recovery::OUTAGE, None, outside),
        ];
    }
    vec![
        row(Rule::Article, recovery::ARTICLE_RECOVERY, article, forgotten.join(", ")),
        row(Rule::Corrected, recovery::OUTAGE, Some(recovery::outage(&parts)), IDENTITY.to_owned()),
    ]
}

/// `measured - predicted`, limited to the range of the type.
fn residual(measured_ns: u64, predicted_ns: u64) -> i64 {
    let exact = i128::from(measured_ns) - i128::from(predicted_ns);
    i64::try_from(exact).unwrap_or(if exact < 0 { -i64::MAX } else { i64::MAX })
}

fn summarise(rows: &[TimingRow]) -> Vec<TimingSummary> {
    let mut groups: BTreeMap<(Subject, Rule), Vec<&TimingRow>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.subject, row.rule)).or_default().push(row);
    }
    let summary = |((subject, rule), rows): ((Subject, Rule), Vec<&TimingRow>)| {
        let mut residuals: Vec<i64> = rows.iter().filter_map(|row| row.residual_ns).collect();
        residuals.sort_unstable();
        TimingSummary {
            subject,
            rule,
            formula: rows[0].formula,
            judged: residuals.len(),
            unpredicted: rows.len() - residuals.len(),
            residual_median_ns: residuals.get(residuals.len().saturating_sub(1) / 2).copied(),
            residual_worst_ns: residuals.iter().copied().max_by_key(|r| r.unsigned_abs()),
        }
    };
    groups.into_iter().map(summary).collect()
}

/// Percentiles of `values` from an HDR histogram; `None` if there are none.
pub fn percentiles(values: impl Iterator<Item = u64>) -> Option<Percentiles> {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits is a legal precision");
    let (mut min, mut max) = (u64::MAX, 0);
    for value in values {
        histogram.record(value).expect("a resizing histogram holds every u64");
        (min, max) = (min.min(value), max.max(value));
    }
    // A bucket reports its upper end, which may be above the largest value.
    let at = |quantile| histogram.value_at_quantile(quantile).clamp(min, max);
    (!histogram.is_empty()).then(|| Percentiles {
        count: histogram.len(),
        min,
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::units::SECOND;

    #[test]
    fn gaps_are_judged_within_an_attempt_and_between_completed_checkpoints_only() {
        let timing = compare(&fixtures::passed());
        let gaps: Vec<&str> = timing
            .rows
            .iter()
            .filter(|r| r.subject == Subject::TriggerGap && r.rule == Rule::Corrected)
            .map(|r| r.what.as_str())
            .collect();
        // 4 was aborted by the failover, 5 begins another attempt, 8 is the final checkpoint.
        assert_eq!(gaps, ["checkpoint 1 to 2", "checkpoint 2 to 3", "checkpoint 5 to 6", "checkpoint 6 to 7"]);
    }

    #[test]
    fn the_corrected_rule_meets_the_measurement_where_the_planning_rule_does_not() {
        let timing = compare(&fixtures::passed());
        let of =
            |subject, rule| timing.summaries.iter().find(|s| s.subject == subject && s.rule == rule).expect("compared");
        assert_eq!(of(Subject::TriggerGap, Rule::Corrected).residual_worst_ns, Some(0));
        assert!(of(Subject::TriggerGap, Rule::Article).residual_worst_ns > Some(SECOND as i64 / 2));
        let outage = timing.rows.iter().find(|r| r.subject == Subject::Outage).expect("one recovery");
        assert!(outage.missing.starts_with("detect "), "{}", outage.missing);
        assert!(!outage.missing.contains("restore"), "{}", outage.missing);
    }

    #[test]
    fn percentiles_keep_exact_ends() {
        let p = percentiles((1..=1_000).map(|ms| ms * 1_000_000)).expect("not empty");
        assert_eq!((p.count, p.min, p.max), (1_000, 1_000_000, 1_000_000_000));
        assert!(p.p50.abs_diff(500_000_000) < 1_000_000, "{}", p.p50);
        assert_eq!(percentiles([].into_iter()), None);
        assert_eq!(percentiles([0].into_iter()).map(|p| p.max), Some(0));
    }

    #[test]
    fn the_longest_time_there_is_has_percentiles() {
        assert_eq!(percentiles([u64::MAX].into_iter()).map(|p| p.p50), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_outage_and_the_corrected_residual_is_zero(run in fixtures::any_run()) {
            for row in compare(&run).rows {
                if row.subject == Subject::Outage && row.rule == Rule::Corrected {
                    prop_assert_eq!(row.residual_ns.unwrap_or(0), 0, "RECORD-R1");
                }
            }
            for recovery in &run.recoveries {
                if let (Some(parts), Some(outage)) = (recovery.parts, recovery.outage_ns()) {
                    let sum = parts.named().iter().fold(0u64, |sum, (_, ns)| sum.saturating_add(*ns));
                    prop_assert_eq!(sum, outage, "RECORD-R1");
                }
            }
        }
    }
}
