//! From a trace to measurements: checkpoints and recoveries in parts, the timeline, the totals.
//!
//! Everything is read from events, not from the engine. Start at [`record`], which makes a run's [`RunRecord`].
//! `recoveries` finds the attempts to bring the job back, `progress` which of them lasted, `stalls` the times in which
//! no recovery was begun, and `outages` combines these to what a user sees.

use std::collections::BTreeMap;

use flowquake_engine::config::{RestartStrategy, TriggerSchedule};
use flowquake_engine::env::InputFiles;
use flowquake_engine::event::Event;
use flowquake_engine::time::nanos;
use flowquake_reports::record::{
    CheckpointRecord, FaultRecord, HitRecord, HurtRecord, JobSummary, NodeLane, OracleRecord, RecoveryRecord,
    RunRecord, Settings, Totals, TriggerRule, Verdict,
};

use crate::faults::kind;
use crate::jobs::{JobContext, Jobs};
use crate::nemesis::{Harm, Hit, Strike, describe};
use crate::outcome::Outcome;
use crate::plan::job_spec;
use crate::plan::{RunPlan, describe_restarts};

mod blame;
mod checkpoints;
mod course;
mod load;
mod outages;
mod progress;
mod recoveries;
mod stalls;
mod timeline;

pub use load::{back_pressure, lateness};

/// The record of a run. `sources` is the number of source subtasks, `replay` the command that runs the plan again.
pub fn record(
    plan: &RunPlan,
    outcome: &Outcome,
    sources: usize,
    verdict: Verdict,
    oracles: Vec<OracleRecord>,
    replay: String,
) -> RunRecord {
    let checkpoints = self::checkpoints(plan, outcome);
    let recoveries = self::recoveries(plan, outcome, &checkpoints, sources);
    let totals = totals(plan, outcome, &checkpoints);
    let config = &plan.job.config;
    let nodes = lanes(outcome);
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let course = course::measure(outcome, &names);
    RunRecord {
        scenario: plan.scenario.clone(),
        why: plan.why.clone(),
        file: plan.file.clone(),
        seed: plan.seed,
        target: "sim".into(),
        job: JobSummary {
            name: plan.job.name.clone(),
            backend: config.backend.name().into(),
            parallelism: config.parallelism.into(),
            task_managers: plan.cluster.task_managers,
            slots_per_task_manager: plan.cluster.slots.into(),
        },
        verdict,
        options: plan.options.clone(),
        trace_hash: format!("{:016x}", outcome.trace.hash()),
        replay,
        when: String::new(),
        cost_profile: plan.cluster.cost_profile.clone(),
        nodes,
        faults: faults(plan, outcome),
        checkpoints,
        recoveries,
        oracles,
        timeline: timeline::entries(plan, outcome),
        prediction: plan.prediction.clone(),
        totals,
        settings: settings(plan),
        tried: crate::scenario::tried::tried(plan),
        course,
    }
}

/// Settings of a run that formulas refer to.
pub fn settings(plan: &RunPlan) -> Settings {
    let config = &plan.job.config;
    Settings {
        interval_ns: nanos(config.checkpoints.interval),
        min_pause_ns: nanos(config.checkpoints.min_pause),
        trigger_rule: match config.checkpoints.schedule {
            TriggerSchedule::Spaced => TriggerRule::Spaced,
            TriggerSchedule::FixedRate => TriggerRule::FixedRate,
        },
        heartbeat_interval_ns: nanos(config.heartbeat_interval),
        heartbeat_timeout_ns: nanos(config.heartbeat_timeout),
        restart_delay_ns: nanos(config.restart_delay),
        restart_strategy: match &config.restart_strategy {
            RestartStrategy::FixedDelay => String::new(),
            strategy => describe_restarts(strategy, config.restart_delay),
        },
        input_rate: plan.job.input.rate.unwrap_or(0.0) * plan.cluster.record_weight as f64,
    }
}

/// Every checkpoint that was triggered, by id.
pub fn checkpoints(plan: &RunPlan, outcome: &Outcome) -> Vec<CheckpointRecord> {
    checkpoints::measure(outcome, plan.cluster.state_weight)
}

/// Every outage with the recovery that ended it, in order. `sources` is the number of source subtasks.
pub fn recoveries(
    plan: &RunPlan,
    outcome: &Outcome,
    checkpoints: &[CheckpointRecord],
    sources: usize,
) -> Vec<RecoveryRecord> {
    outages::measure(plan, outcome, checkpoints, sources)
}

/// The number of source subtasks of a plan; 0 if its job cannot be built.
pub fn sources(plan: &RunPlan, jobs: &Jobs, inputs: &InputFiles) -> usize {
    let spec = job_spec(plan);
    let graph = jobs.build(&spec, &JobContext::inert(inputs));
    let sources = graph.map_or(0, |graph| graph.vertices_where(|vertex| vertex.is_source).count());
    sources * usize::from(plan.job.config.parallelism)
}

fn lanes(outcome: &Outcome) -> Vec<NodeLane> {
    let mut lanes: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for (name, from, to) in &outcome.lives {
        lanes.entry(name).or_default().push((from.0, to.0.min(outcome.ended_at.0.max(from.0))));
    }
    lanes.into_iter().map(|(name, up)| NodeLane { name: name.into(), up }).collect()
}

fn faults(plan: &RunPlan, outcome: &Outcome) -> Vec<FaultRecord> {
    let pairs = plan.faults.iter().zip(&outcome.strikes);
    pairs
        .map(|(fault, strike)| FaultRecord {
            id: fault.id,
            kind: kind(&fault.action).into(),
            target: strike.target(),
            trigger: describe(&fault.trigger),
            struck_at_ns: strike.struck_at().map(|at| at.0),
            healed_at_ns: strike.healed_at().map(|at| at.0),
            detail: strike.detail().into(),
            hits: hits(strike),
            hurt: strike.harms.iter().map(|(harm, count)| hurt(*harm, *count)).collect(),
        })
        .collect()
}

fn hurt(harm: Harm, count: u64) -> HurtRecord {
    HurtRecord { count, what: harm.words().into() }
}

fn hits(strike: &Strike) -> Vec<HitRecord> {
    let record = |hit: &Hit| HitRecord {
        position: hit.position.clone(),
        role: hit.role.into(),
        target: hit.target.clone(),
        struck_at_ns: hit.at.0,
        healed_at_ns: hit.healed_at.map(|at| at.0),
        receipt: hit.receipt.clone(),
    };
    let mut hits: Vec<HitRecord> = strike.hits.iter().map(record).collect();
    // The effect of a rule is noticed a little later than it happened, so hits may be out of order.
    hits.sort_by_key(|hit| hit.struck_at_ns);
    hits
}

fn totals(plan: &RunPlan, outcome: &Outcome, checkpoints: &[CheckpointRecord]) -> Totals {
    let mut events_by_name: BTreeMap<String, u64> = BTreeMap::new();
    for record in &outcome.trace.events {
        *events_by_name.entry(record.event.name().into()).or_default() += 1;
    }
    let last = outcome.sealed.values().last();
    let positions = last.iter().flat_map(|sealed| sealed.manifest.subtasks.values()).flat_map(|state| &state.positions);
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    Totals {
        virtual_ns: outcome.ended_at.0,
        cpu_ns: nanos(outcome.cpu),
        wall_ns: nanos(outcome.wall),
        records_in: positions.map(|position| position.emitted).sum(),
        records_committed: outcome.visible.iter().map(|part| lines(&part.bytes)).sum(),
        events: outcome.trace.events.len() as u64,
        messages: outcome.network.messages,
        bytes: outcome.network.bytes,
        lateness_max_ns: load::lateness(plan, outcome, checkpoints).into_iter().map(|(_, ns)| ns).max(),
        events_by_name,
    }
}

/// The words of a target, the names of nodes among them.
fn words(target: &str) -> impl Iterator<Item = &str> {
    target.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
}

/// Whether this event says that an attempt has ended.
fn ends_attempt(event: &Event) -> bool {
    matches!(event, Event::FailoverBegun { .. } | Event::JobFinished { .. } | Event::JobFailed { .. })
}

#[cfg(test)]
mod tests;
