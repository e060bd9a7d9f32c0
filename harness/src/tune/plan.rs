//! Turns a setting of the grid into a plan: the load becomes a rate, the size of the state a weight, and failures come
//! at phases.

use std::time::Duration;

use super::{Setting, Tune};
use crate::exit_guard;
use crate::jobs::{Job, JobModel};
use crate::plan::job_spec;
use crate::plan::{Disk, EventTrigger, FaultAction, FaultPlan, InputSource, KillMode, NodeTarget, RunPlan, Trigger};
use crate::predict::{Capacity, capacity, predict};
use crate::units;

/// A plan, with what the report needs to know about it.
pub struct Planned {
    /// An ordinary plan.
    pub plan: RunPlan,
    /// Capacity μ in records per second, with weights.
    pub capacity: f64,
    /// Input rate λ in records per second, with weights.
    pub rate: f64,
    /// From this virtual time on the state has its full size; what was measured before is not used.
    pub warm_up: Duration,
}

/// Why a setting cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unplannable {
    /// The job has no model of its costs.
    #[error("the job `{0}` has no cost model, so nobody knows which rate is a load of 0.5; it cannot be tuned")]
    NoModel(String),
    /// The input is a file, whose length is fixed.
    #[error("the input is a file; tuning needs generated records, as many as the time asks for")]
    FixedInput,
    /// Weighted records are not slowed by flow control as the records are that they stand for.
    #[error(
        "flow control lets {:.2} M records per second through, which is less than the {:.2} M that the machines can bear; \
         weighted records cannot show that", flow / 1e6, work / 1e6
    )]
    FlowControl {
        /// Records per second that flow control allows.
        flow: f64,
        /// Records per second that everything else allows.
        work: f64,
        /// Credits of a channel with which flow control is no limit.
        credits: u16,
        /// Send buffer of a connection in bytes with which flow control is no limit.
        send_buffer: u64,
    },
}

impl Unplannable {
    /// What the user can do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NoModel(_) => "take another job".into(),
            Self::FixedInput => "take a generator as input".into(),
            Self::FlowControl { credits, send_buffer, .. } => format!(
                "set credits = {credits} in [engine] and send_buffer = \"{}\" in [cluster]",
                units::format_size(*send_buffer)
            ),
        }
    }
}

/// Share of the state that must exist before anything is measured.
const FILLED: f64 = 0.95;

/// The first failure comes after this trigger of a checkpoint of the full state, when the one before has completed.
const FIRST: u32 = 3;

/// Time for the start and the end of a run.
const SLACK: Duration = Duration::from_secs(600);

/// The plan of one setting.
pub fn plan(base: &RunPlan, tune: &Tune, setting: &Setting, job: &Job) -> Result<Planned, Unplannable> {
    let _entered = exit_guard::enter(format!("the model of job `{}`", base.job.name));
    let model = job.model.as_ref().ok_or_else(|| Unplannable::NoModel(base.job.name.clone()))?;
    let mut plan = base.clone();
    let InputSource::Generator { records, .. } = &mut plan.job.input.source else {
        return Err(Unplannable::FixedInput);
    };
    // Enough records that predictions see a full state.
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
    let capacity = unhindered(&plan, model)?.work;
    plan.cluster.record_weight = ((setting.load * capacity / tune.moving).round() as u64).max(1);
    let weight = plan.cluster.record_weight;
    // The rate of simulated records is chosen so that the load is exact.
    let moving = setting.load * capacity / weight as f64;
    plan.job.input.rate = Some(moving);
    weigh_buffers(&mut plan, model);
    let warm_up = warm_up(&plan, tune, model, moving);
    let recovery = fail(&mut plan, tune, job, moving, warm_up);
    if let InputSource::Generator { records, .. } = &mut plan.job.input.source {
        *records = (moving * tune.duration.as_secs_f64()) as u64;
    }
    // At the end of its input the job is behind by one recovery at most; twice that is allowed, because predictions
    // have errors. A job that is not done by then never will be, and would cost more processor time than all other runs
    // together.
    plan.time_limit = tune.duration + Duration::from_secs_f64(2.0 * recovery).min(tune.duration * 3) + SLACK;
    Ok(Planned { plan, capacity, rate: moving * weight as f64, warm_up })
}

/// By which factor flow control must allow more than is needed, because latency may happen to be high.
const ROOM: f64 = 1.25;

/// Credits of a channel whose buffers hold one weighted record. With fewer, records that happen to go the same way
/// would hold up all others; with more, more data would be in flight than for the records that they stand for.
const CREDITS: u16 = 4;

/// The capacity, if flow control is not the limit.
fn unhindered(plan: &RunPlan, model: &JobModel) -> Result<Capacity, Unplannable> {
    let now = capacity(plan, model);
    if now.flow >= now.work {
        return Ok(now);
    }
    let mut wider = plan.clone();
    let flow = |plan: &RunPlan| capacity(plan, model).flow;
    // First the credits, with connections of unlimited buffers, then the send buffer that these credits need.
    wider.cluster.send_buffer = 1 << 50;
    while flow(&wider) < ROOM * now.work && wider.job.config.credits < 1 << 12 {
        wider.job.config.credits += (wider.job.config.credits / 4).max(1);
    }
    wider.cluster.send_buffer = plan.cluster.send_buffer.next_power_of_two();
    while flow(&wider) < ROOM * now.work && wider.cluster.send_buffer < 1 << 32 {
        wider.cluster.send_buffer *= 2;
    }
    let (credits, send_buffer) = (wider.job.config.credits, wider.cluster.send_buffer);
    Err(Unplannable::FlowControl { flow: now.flow, work: now.work, credits, send_buffer })
}

/// Simulated bytes of keyed state in the middle of a run.
fn full_state(plan: &RunPlan, tune: &Tune, model: &JobModel) -> f64 {
    (model.state)(&job_spec(plan), tune.moving * tune.duration.as_secs_f64() / 2.0).bytes
}

/// A buffer holds at least one record, however many it stands for, so fewer buffers are used. Records that wait in
/// buffers count as caught up, because the sources have emitted them.
fn weigh_buffers(plan: &mut RunPlan, model: &JobModel) {
    let weight = plan.cluster.record_weight;
    let wire = model.vertices.iter().map(|vertex| vertex.bytes_in).fold(1.0, f64::max);
    let config = &mut plan.job.config;
    config.buffer_size = u32::try_from(u64::from(config.buffer_size) / weight).unwrap_or(u32::MAX).max(64);
    let frame = (wire * weight as f64) as u64;
    let asked = config.credits;
    config.credits = asked.min(CREDITS);
    plan.cluster.send_buffer = plan.cluster.send_buffer.max(frame.saturating_mul(u64::from(asked) + 4));
    let is_narrow = |plan: &RunPlan| {
        let Capacity { work, flow } = capacity(plan, model);
        flow < ROOM * work
    };
    while plan.job.config.credits < asked && is_narrow(plan) {
        plan.job.config.credits += 1;
    }
}

/// When the state has nearly its full size. Before that, checkpoints are shorter and come more often than later.
fn warm_up(plan: &RunPlan, tune: &Tune, model: &JobModel, moving: f64) -> Duration {
    let full = full_state(plan, tune, model);
    let reached = |seconds: f64| (model.state)(&job_spec(plan), moving * seconds).bytes;
    let mut filled = 1.0;
    while reached(filled) < FILLED * full && filled < tune.duration.as_secs_f64() {
        filled *= 1.3;
    }
    Duration::from_secs_f64(filled).min(tune.duration)
}

/// Adds the failures, each at its phase after a trigger, once the job has caught up from the one before. Returns the
/// predicted time, in seconds, of the longest recovery until the job has caught up.
fn fail(plan: &mut RunPlan, tune: &Tune, job: &Job, moving: f64, warm_up: Duration) -> f64 {
    let predicted = predict(plan, job);
    let period = predicted.period_ns.unwrap_or(1).max(1) as f64 / 1e9;
    let duration = predicted.duration.map_or(0.0, |parts| parts.total_ns() as f64 / 1e9);
    // The longest recovery: a failure just before a checkpoint completes.
    let mut probe = plan.clone();
    let at = warm_up + Duration::from_secs_f64(3.0 * period);
    probe.faults = vec![struck(1, Trigger::At(at), Duration::ZERO, tune)];
    let outage = predict(&probe, job).recovery.map_or(60.0, |recovery| recovery.parts.total_ns() as f64 / 1e9);
    let spare = predicted.effective_capacity.map_or(0.05, |effective| {
        let rate = moving * plan.cluster.record_weight as f64;
        (1.0 - rate / effective).max(0.02)
    });
    let recovery = (outage + period + duration) / spare;
    let apart = (recovery * 1.3 / period).ceil() as u32 + 2;
    let room = (tune.duration - warm_up).as_secs_f64() - f64::from(FIRST) * period;
    let fits = (room / (f64::from(apart + 1) * period + recovery)).floor().max(1.0);
    let count = tune.failures.min(fits as u32).max(1);
    for n in 1..=count {
        let trigger = EventTrigger {
            event: "checkpoint-triggered".into(),
            nth: if n == 1 { FIRST } else { apart },
            after_fault: (n > 1).then(|| n - 1),
            not_before: (n == 1).then_some(warm_up),
            ..EventTrigger::default()
        };
        // Evenly spaced.
        let phase = (f64::from(n) - 0.5) / f64::from(count);
        plan.faults.push(struck(n, Trigger::On(trigger), Duration::from_secs_f64(phase * period), tune));
    }
    // A failure that had too little time must not make the run worthless, so not every fault has to strike.
    plan.swarm = true;
    recovery
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

/// The name of the fault in reports.
pub fn fault_name(mode: KillMode) -> &'static str {
    match mode {
        KillMode::Crash => "kill",
        KillMode::MachineLoss => "machine-loss",
    }
}
