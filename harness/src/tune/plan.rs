//! From a setting of the grid to a plan: the load as a rate, the size of the state as a weight, failures at phases.

use std::time::Duration;

use flowquake_engine::time::nanos;

use super::{Setting, Tune};
use crate::jobs::{Job, JobModel};
use crate::plan::{Disk, EventTrigger, FaultAction, FaultPlan, InputSource, KillMode, NodeTarget, RunPlan, Trigger};
use crate::predict::predict;
use crate::run::job_spec;

/// A plan with what the report says about it.
pub struct Planned {
    /// Runs as any other.
    pub plan: RunPlan,
    /// Capacity μ, records per second, as it counts.
    pub capacity: f64,
    /// Input rate λ, records per second, as it counts.
    pub rate: f64,
    /// Where in the period each failure strikes, 0 to 1.
    pub phases: Vec<f64>,
}

/// Why a setting cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplannable {
    /// The job says nothing about its costs.
    #[error("the job `{0}` has no cost model, so nobody knows which rate is a load of 0.5; it cannot be tuned")]
    NoModel(String),
    /// The input is a file, whose end is where it is.
    #[error("the input is a file; tuning needs generated records, as many as the time asks for")]
    FixedInput,
}

/// Share of the state that has to be there before the first failure.
const FILLED: f64 = 0.95;

/// Time for the start and the end of a run.
const SLACK: Duration = Duration::from_secs(600);

/// The plan of one setting.
pub fn plan(base: &RunPlan, tune: &Tune, setting: &Setting, job: &Job) -> Result<Planned, Unplannable> {
    let model = job.model.as_ref().ok_or_else(|| Unplannable::NoModel(base.job.name.clone()))?;
    let mut plan = base.clone();
    let InputSource::Generator { records, .. } = &mut plan.job.input.source else {
        return Err(Unplannable::FixedInput);
    };
    // Enough that predictions see a full state.
    *records = u64::MAX / 4;
    plan.faults.clear();
    plan.expect.failovers = None;
    plan.expect.recovers_within = None;
    plan.job.config.backend = setting.backend;
    plan.job.config.checkpoints.interval = setting.interval;
    plan.cluster.record_weight = 1;
    plan.cluster.state_weight = 1;
    plan.cluster.state_weight = match setting.state {
        Some(bytes) => ((bytes as f64 / full_state(&plan, tune, model)).round() as u64).max(1),
        None => 1,
    };
    plan.job.input.rate = Some(tune.moving);
    let capacity = predict(&plan, job).capacity.unwrap_or(1.0);
    plan.cluster.record_weight = ((setting.load * capacity / tune.moving).round() as u64).max(1);
    let weight = plan.cluster.record_weight;
    // What moves is less than what it stands for: the moving rate makes the load exact.
    let moving = setting.load * capacity / weight as f64;
    plan.job.input.rate = Some(moving);
    weigh_buffers(&mut plan, model);
    let Failures { phases, recovery } = fail(&mut plan, tune, model, job, moving);
    if let InputSource::Generator { records, .. } = &mut plan.job.input.source {
        *records = (moving * tune.duration.as_secs_f64()) as u64;
    }
    // Behind by one recovery at the end of its input, at most; twice that, since predictions err. What is not done by then
    // never will be, and would cost more processor time than all others together.
    plan.time_limit = tune.duration + Duration::from_secs_f64(2.0 * recovery).min(tune.duration * 3) + SLACK;
    Ok(Planned { plan, capacity, rate: moving * weight as f64, phases })
}

/// Bytes of keyed state in the middle of a run, as they move.
fn full_state(plan: &RunPlan, tune: &Tune, model: &JobModel) -> f64 {
    (model.state)(&job_spec(plan), tune.moving * tune.duration.as_secs_f64() / 2.0).bytes
}

/// A buffer holds one record at least, however many that stands for. What waits counts as caught up with, since the sources
/// have emitted it; but with fewer buffers than usual, records that happen to go the same way would hold up all others.
fn weigh_buffers(plan: &mut RunPlan, model: &JobModel) {
    let weight = plan.cluster.record_weight;
    let wire = model.vertices.iter().map(|vertex| vertex.bytes_in).fold(1.0, f64::max);
    let config = &mut plan.job.config;
    config.buffer_size = u32::try_from(u64::from(config.buffer_size) / weight).unwrap_or(u32::MAX).max(64);
    let frame = (wire * weight as f64) as u64;
    plan.cluster.send_buffer = plan.cluster.send_buffer.max(frame.saturating_mul(u64::from(config.credits) + 4));
}

/// What befalls a run.
struct Failures {
    /// Where in the period each strikes, 0 to 1.
    phases: Vec<f64>,
    /// Of the longest recovery until it has caught up, as predicted; seconds.
    recovery: f64,
}

/// Adds the failures: each at its phase behind a trigger, once the job has caught up from the one before.
fn fail(plan: &mut RunPlan, tune: &Tune, model: &JobModel, job: &Job, moving: f64) -> Failures {
    let period = |plan: &RunPlan| predict(plan, job).period_ns.unwrap_or(1).max(1) as f64 / 1e9;
    let period = period(plan);
    let full = full_state(plan, tune, model);
    let mut filled = 1.0;
    let reached = |seconds: f64| (model.state)(&job_spec(plan), moving * seconds).bytes;
    while reached(filled) < FILLED * full && filled < tune.duration.as_secs_f64() {
        filled *= 1.3;
    }
    // The longest recovery: a failure just before a checkpoint completes.
    let mut probe = plan.clone();
    probe.faults = vec![struck(1, Trigger::At(Duration::from_secs_f64(filled + 3.0 * period)), Duration::ZERO, tune)];
    let duration = predict(plan, job).duration.map_or(0.0, |parts| parts.total_ns() as f64 / 1e9);
    let outage = predict(&probe, job).recovery.map_or(60.0, |recovery| recovery.parts.total_ns() as f64 / 1e9);
    let spare = predict(plan, job).effective_capacity.map_or(0.05, |effective| {
        let rate = moving * plan.cluster.record_weight as f64;
        (1.0 - rate / effective).max(0.02)
    });
    let recovery = (outage + period + duration) / spare;
    let apart = (recovery * 1.3 / period).ceil() as u32 + 2;
    let first = (filled / period).ceil() as u32 + 2;
    let room = tune.duration.as_secs_f64() - f64::from(first) * period;
    let fits = (room / (f64::from(apart + 1) * period + recovery)).floor().max(1.0);
    let count = tune.failures.min(fits as u32).max(1);
    // Spread evenly, and in an order that mixes early and late.
    let phases: Vec<f64> = (0..count).map(|n| (f64::from(n) + 0.5) / f64::from(count)).collect();
    for (n, phase) in (1..).zip(&phases) {
        let trigger = EventTrigger {
            event: "checkpoint-triggered".into(),
            nth: if n == 1 { first } else { apart },
            after_fault: (n > 1).then(|| n - 1),
            ..EventTrigger::default()
        };
        plan.faults.push(struck(n, Trigger::On(trigger), Duration::from_secs_f64(phase * period), tune));
    }
    // A failure for which the time was too short after all does not make the run worthless.
    plan.swarm = true;
    Failures { phases, recovery }
}

fn struck(id: u32, trigger: Trigger, delay: Duration, tune: &Tune) -> FaultPlan {
    let action = FaultAction::Kill {
        targets: vec![NodeTarget::Node("tm-1".into())],
        mode: tune.fault,
        restart_after: Some(tune.restart_after),
        disk: Disk::Wiped,
    };
    FaultPlan { id, trigger, delay, repeat: 1, action }
}

/// Processor time that a run takes about, for the estimate before a sweep; seconds.
pub fn estimate(plan: &RunPlan) -> f64 {
    const PER_RECORD: f64 = 4.5e-6;
    let InputSource::Generator { records, .. } = &plan.job.input.source else { return 0.0 };
    let seconds = *records as f64 / plan.job.input.rate.unwrap_or(1.0).max(1e-9);
    let checkpoints = seconds * 1e9 / nanos(plan.job.config.checkpoints.interval).max(1) as f64;
    let each = match plan.job.config.backend {
        flowquake_engine::config::BackendKind::RocksDb => 1.5e-3,
        _ => 4e-4,
    };
    *records as f64 * PER_RECORD + checkpoints * each * f64::from(plan.job.config.parallelism)
}

/// Whether a silent loss takes the heartbeats' word; said in reports.
pub fn fault_name(mode: KillMode) -> &'static str {
    match mode {
        KillMode::Crash => "kill",
        KillMode::MachineLoss => "machine-loss",
    }
}
