//! The record of a run: what a run leaves behind, as plain data, in the JSON that every report is made from.
//!
//! Start at [`RunRecord`]; a [`RunSet`] holds the runs of one command. Times are nanoseconds on the run's clock
//! (virtual time on `sim`), counted from the start of the run; durations say so in their names. Nothing here knows the
//! engine: a run of something else (real processes, a real Flink cluster) fills in the same record.
//!
//! Invariants: (RECORD-R1) the parts of a completed checkpoint and of a recovery sum to the whole, to the nanosecond;
//! (RECORD-R2) a schema change that readers notice raises [`SCHEMA_VERSION`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::class::Class;

mod checkpoint;
mod course;
pub mod prediction;
mod recovery;

pub use checkpoint::{CheckpointEnd, CheckpointParts, CheckpointRecord, ReportedCheckpoint, SubtaskCheckpoint};
pub use course::{AttemptRecord, Course, FlowSample, SubtaskRecord, TermRecord};
use prediction::Prediction;
pub use recovery::{
    Lapse, RecoveryKind, RecoveryParts, RecoveryRecord, SupersededRecovery, recovered_after, worst_outage,
};

/// Version of this schema. Readers refuse any other version.
pub const SCHEMA_VERSION: u32 = 4;

/// All runs of one command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSet {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The command line that made this set; it can be pasted into a shell.
    pub command: String,
    /// Version of the program, with its commit if that is known.
    pub program: String,
    /// Every kind of fault that exists, so that a reader can see which were not tried.
    pub fault_kinds: Vec<FaultKindRecord>,
    /// Every setting that exists, with its ranges, for the same purpose.
    #[serde(default)]
    pub setting_ranges: Vec<SettingRecord>,
    /// The runs, in the order in which they were asked for.
    pub runs: Vec<RunRecord>,
}

/// A kind of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultKindRecord {
    /// The kind's name in scenario files.
    pub name: String,
    /// `process`, `network`, `storage`, `time`, `control`.
    pub family: String,
    /// Roles of victims that it applies to: `leader`, `standby`, `task-manager`, `leader-link` (a link between a JobManager
    /// and a TaskManager), `task-link` (between TaskManagers), `checkpoint-store`, `output-store`.
    pub roles: Vec<String>,
}

/// A setting that a scenario can state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRecord {
    /// Section and key in scenario files: `checkpointing.interval`.
    pub name: String,
    /// The values or ranges in which the setting should be tried, in words and in order.
    pub ranges: Vec<String>,
    /// Whether swarms draw the setting.
    pub drawn: bool,
}

/// One run: one scenario with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Name of the scenario.
    pub scenario: String,
    /// Why the scenario exists, in its author's words.
    pub why: String,
    /// Path of the scenario file, as given.
    pub file: String,
    /// The seed that every draw of the run was made from.
    pub seed: u64,
    /// The target: `sim`, `process`, `flink`.
    pub target: String,
    /// The job under test and its cluster.
    pub job: JobSummary,
    /// What the run proved.
    pub verdict: Verdict,
    /// Settings that were drawn or defaulted instead of written in the scenario, in a fixed order.
    pub options: Vec<(String, String)>,
    /// Hash of the whole trace, 16 hexadecimal digits.
    pub trace_hash: String,
    /// A command that replays exactly this run.
    pub replay: String,
    /// A command that finds the event at which the failure was decided; empty if the run did not fail or its plan was
    /// not saved.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub when: String,
    /// Name of the cost profile that the rates in force come from.
    pub cost_profile: String,
    /// Lanes of the timeline, in display order.
    pub nodes: Vec<NodeLane>,
    /// Faults of the plan, ordered by [`FaultRecord::id`].
    pub faults: Vec<FaultRecord>,
    /// Checkpoints, ordered by trigger.
    pub checkpoints: Vec<CheckpointRecord>,
    /// Outages with the recoveries that ended them, ordered by their begin.
    pub recoveries: Vec<RecoveryRecord>,
    /// Every oracle that was asked, whether it held or not.
    pub oracles: Vec<OracleRecord>,
    /// What happened, one line per state change, ordered by time.
    pub timeline: Vec<TimelineEntry>,
    /// What was predicted before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// Sums over the run.
    pub totals: Totals,
    /// Bounds and settings that the formulas need.
    pub settings: Settings,
    /// For each of [`RunSet::setting_ranges`], in that order, the range that the run is in: a letter, `a` for the first
    /// range, or `-` if the run does not have the setting.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tried: String,
    /// Who led, what ran where, and what was in progress.
    #[serde(default)]
    pub course: Course,
}

/// The job and its cluster, as far as a reader of tables needs them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Name of the registered job.
    pub name: String,
    /// State backend: `memory`, `fs` or `rocksdb`.
    pub backend: String,
    /// Parallelism of the job.
    pub parallelism: u32,
    /// TaskManagers of the cluster.
    pub task_managers: u32,
    /// Slots of each TaskManager.
    pub slots_per_task_manager: u32,
}

/// Settings of a run that formulas refer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Checkpoint interval `I`.
    pub interval_ns: u64,
    /// Minimum pause `P` between a completion and the next trigger.
    pub min_pause_ns: u64,
    /// What the next trigger is counted from.
    #[serde(default)]
    pub trigger_rule: TriggerRule,
    /// Time between two heartbeats.
    pub heartbeat_interval_ns: u64,
    /// Silence after which a peer counts as dead.
    pub heartbeat_timeout_ns: u64,
    /// Delay of the restart strategies that have a fixed one.
    pub restart_delay_ns: u64,
    /// The restart strategy with its settings, in words. Empty: a fixed delay.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub restart_strategy: String,
    /// Input rate λ in records per second, weights included; 0: the input has no rate, and is read as fast as possible.
    pub input_rate: f64,
}

/// What the next trigger is counted from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerRule {
    /// From the trigger before: [`next_trigger`](crate::formulas::trigger::next_trigger).
    #[default]
    Spaced,
    /// On a fixed grid: [`Grid`](crate::formulas::trigger::Grid).
    FixedRate,
}

impl TriggerRule {
    /// The rule's name in scenario files and tables.
    pub fn name(self) -> &'static str {
        match self {
            TriggerRule::Spaced => "spaced",
            TriggerRule::FixedRate => "fixed-rate",
        }
    }
}

impl RunRecord {
    /// Whether it ran in the simulator, where every effect is certain and all times are virtual.
    pub fn is_simulated(&self) -> bool {
        matches!(self.target.as_str(), "sim" | "")
    }
}

/// What a run proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every oracle held, the expectations were met, and every fault struck and had an effect.
    Passed,
    /// At least one oracle or expectation was violated.
    Failed {
        /// Id of the violated oracle (`O1` …) that is nearest to the cause, or the unmet expectation of the scenario
        /// (`expect.failovers` …) if every oracle held.
        oracle: String,
        /// The evidence, with the most telling line first.
        evidence: Vec<String>,
        /// Everything else that was violated, causes before consequences.
        also: Vec<Violated>,
    },
    /// The run proves nothing, because something did not happen.
    Vacuous {
        /// What did not happen.
        missing: String,
    },
    /// What was done to the system under test may not have had its effect, or the effect may not have ended, so the run
    /// proves nothing.
    Uncertain {
        /// What nothing proves, one per line.
        doubts: Vec<String>,
    },
    /// The job made no progress; the reason is named.
    Stuck {
        /// What the job was waiting for.
        reason: String,
    },
    /// The program under test panicked.
    Crashed {
        /// Message of the panic.
        panic: String,
    },
    /// Two runs of one plan differ.
    Nondeterministic {
        /// The first event in which the two runs differ.
        difference: String,
    },
    /// The scenario needs a part that this build left out; never counts as passed.
    NotBuilt {
        /// The Cargo feature that was left out.
        feature: String,
    },
    /// The target cannot do what the scenario asks for; never counts as passed.
    NotOffered {
        /// Name of the target.
        target: String,
        /// The first thing that the target does not offer.
        what: String,
    },
}

/// An oracle or expectation that was violated, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violated {
    /// As in [`Verdict::Failed`].
    pub oracle: String,
    /// The evidence, with the most telling line first.
    pub evidence: Vec<String>,
}

impl Verdict {
    /// The verdict without its evidence.
    pub fn class(&self) -> Class {
        match self {
            Verdict::Passed => Class::Passed,
            Verdict::Failed { .. } => Class::Failed,
            Verdict::Vacuous { .. } => Class::Vacuous,
            Verdict::Uncertain { .. } => Class::Uncertain,
            Verdict::Stuck { .. } => Class::Stuck,
            Verdict::Crashed { .. } => Class::Crashed,
            Verdict::Nondeterministic { .. } => Class::Nondeterministic,
            Verdict::NotBuilt { .. } => Class::NotBuilt,
            Verdict::NotOffered { .. } => Class::NotOffered,
        }
    }

    /// The word shown in tables.
    pub fn label(&self) -> &'static str {
        self.class().label()
    }

    /// The process exit code of this class; 2 is bad input and belongs to no verdict.
    pub fn exit_code(&self) -> u8 {
        self.class().exit_code()
    }

    /// One line of evidence, for tables; empty for a passed run.
    pub fn headline(&self) -> String {
        match self {
            Verdict::Passed => String::new(),
            Verdict::Failed { oracle, evidence, also } => {
                let first = evidence.first().map_or("", String::as_str);
                let others: Vec<&str> = also.iter().map(|violated| violated.oracle.as_str()).collect();
                match others.as_slice() {
                    [] => format!("{oracle}: {first}"),
                    others => format!("{oracle}: {first} (also violated: {})", others.join(", ")),
                }
            }
            Verdict::Vacuous { missing } => missing.clone(),
            Verdict::Uncertain { doubts } => doubts.join("; "),
            Verdict::Stuck { reason } => reason.clone(),
            Verdict::Crashed { panic } => panic.lines().next().unwrap_or_default().to_owned(),
            Verdict::Nondeterministic { difference } => difference.clone(),
            Verdict::NotBuilt { feature } => format!("built without `{feature}`"),
            Verdict::NotOffered { target, what } => format!("{target} does not offer {what}"),
        }
    }
}

/// A node and when it was up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeLane {
    /// Name of the node, e.g. `tm-2`.
    pub name: String,
    /// `[from, to)` of each incarnation; for one that was alive at the end, `to` is the end of the run.
    pub up: Vec<(u64, u64)>,
}

/// One fault of the plan, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Position in the plan, from 1.
    pub id: u32,
    /// Such as `kill`, `cut`, `damage`.
    pub kind: String,
    /// The node, link or file that it was aimed at, resolved.
    pub target: String,
    /// When it was to strike: a time or an event, as text.
    pub trigger: String,
    /// When it struck; `None`: never.
    pub struck_at_ns: Option<u64>,
    /// When its effect ended (restart, heal).
    pub healed_at_ns: Option<u64>,
    /// What it did, e.g. the file and byte damaged.
    pub detail: String,
    /// All its hits, ordered by time.
    pub hits: Vec<HitRecord>,
    /// What all its strikes hurt, one entry per sort of harm. Empty if it hurt nothing, whether it struck or not.
    pub hurt: Vec<HurtRecord>,
}

/// One sort of harm that a fault did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HurtRecord {
    /// How often.
    pub count: u64,
    /// What was hurt, as a plural whose first word ends in `s`: `frames held back`.
    pub what: String,
}

impl std::fmt::Display for HurtRecord {
    /// Such as `14 frames held back`, `1 frame held back`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, rest) = self.what.split_once(' ').unwrap_or((&self.what, ""));
        let first = if self.count == 1 { first.strip_suffix('s').unwrap_or(first) } else { first };
        let space = if rest.is_empty() { "" } else { " " };
        write!(f, "{} {first}{space}{rest}", crate::units::count(self.count))
    }
}

/// One strike of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitRecord {
    /// The event at whose emission it struck; empty if it struck by the clock.
    pub position: String,
    /// Role of the victim, one of those of [`FaultKindRecord::roles`].
    pub role: String,
    /// The victim, resolved.
    pub target: String,
    /// When it struck.
    pub struck_at_ns: u64,
    /// When its effect ended; `None`: not before the end of the run.
    pub healed_at_ns: Option<u64>,
    /// What shows that the strike had its effect, and that the effect has ended; empty where that is certain, or not
    /// shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receipt: String,
}

/// The result of one oracle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OracleRecord {
    /// Such as `O1`.
    pub id: String,
    /// The property it judges, in one line.
    pub property: String,
    /// Whether the property was judged and held.
    pub held: bool,
    /// How many things it judged; an oracle that judged nothing proves nothing.
    pub judged: u64,
    /// What `judged` counts, e.g. `records`.
    pub unit: String,
    /// Why the oracle could not judge: what the target does not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<String>,
}

/// Kind of a timeline entry; decides its column, sign and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimelineKind {
    /// A fault of the plan struck.
    Fault,
    /// The effect of a fault ended.
    Heal,
    /// A checkpoint was triggered or completed.
    Checkpoint,
    /// A checkpoint was given up.
    Abort,
    /// Output became visible.
    Commit,
    /// A failure was detected, or tasks were cancelled or redeployed.
    Failover,
    /// State was loaded.
    Restore,
    /// The job or one of its attempts changed state.
    Job,
}

/// One state change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When it happened.
    pub at_ns: u64,
    /// The node that it happened on; both nodes of a link, separated by a space; `store`; empty for the run as a whole.
    pub node: String,
    /// The kind of change.
    pub kind: TimelineKind,
    /// The change in one line.
    pub text: String,
}

/// Sums over the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Length of the run on its own clock.
    pub virtual_ns: u64,
    /// Processor time that the run took.
    pub cpu_ns: u64,
    /// Real time that the run took.
    pub wall_ns: u64,
    /// Records read by the sources; a replayed record counts once.
    pub records_in: u64,
    /// Records made visible by the sinks.
    pub records_committed: u64,
    /// Number of events in the trace.
    pub events: u64,
    /// Messages sent over the network.
    pub messages: u64,
    /// Bytes sent over the network.
    pub bytes: u64,
    /// Age of the oldest record at the instant when output with its effect became visible; the largest over all
    /// committed checkpoints. `None`: nothing was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness_max_ns: Option<u64>,
    /// How often each event was emitted, by its name.
    pub events_by_name: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::fixtures;

    /// What readers of [`SCHEMA_VERSION`] find: a line per value, with its place and its type.
    const SCHEMA: &str = include_str!("record/schema.txt");

    fn places(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        let kind = match value {
            // Something else in another run, or in none.
            Value::Null => return,
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(items) => {
                items.iter().for_each(|item| places(item, &format!("{at}[]"), found));
                "list"
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| places(value, &format!("{at}.{key}"), found));
                "object"
            }
        };
        found.insert(format!("{at}: {kind}"));
    }

    #[test]
    fn what_readers_find_in_a_record_goes_only_with_another_version() {
        let mut set = fixtures::set();
        set.runs.push(fixtures::predicted());
        let mut found = BTreeSet::new();
        places(&serde_json::to_value(&set).unwrap(), "", &mut found);
        let version = format!("version {SCHEMA_VERSION}");
        let (known_version, known) = SCHEMA.split_once('\n').unwrap();
        let known: BTreeSet<String> = known.lines().map(str::to_owned).collect();
        let gone: Vec<_> = known.difference(&found).collect();
        assert!(
            gone.is_empty() || version != known_version,
            "RECORD-R2: readers of {known_version} miss these; raise SCHEMA_VERSION: {gone:#?}"
        );
        let text: String = std::iter::once(&version).chain(&found).map(|line| format!("{line}\n")).collect();
        assert!(text == SCHEMA, "this belongs into reports/src/record/schema.txt:\n{text}");
    }
}
