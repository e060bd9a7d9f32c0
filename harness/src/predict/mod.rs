//! Predicts what a run should take, before it runs and from its plan alone.
//!
//! [`predict`] knows the scenario, the cost profile and the times of faults, and the order of steps that the engine's
//! protocol has; it sees nothing of the run. `checkpoint` has the parts of a checkpoint, `capacity` the rate that a
//! cluster can carry, `state` the content of a snapshot, `recovery` the outage after a fault and the time to catch up,
//! and `spread` the effect of random latency on the slowest of many. The formulas themselves are those of the reports;
//! this module counts requests, messages and charges.
//!
//! A prediction is a pure function of the plan; [`foresee`] puts it into the plan, and an edited plan gets a new one.
//! If a plan is outside of what the model knows (several faults, a fault at an event, user jobs without a
//! [`JobModel`]), the prediction says what is outside, and gives no number instead of a wrong one. If the model knows
//! the steps but not well enough (`domain`), it gives the numbers, because they help to plan a run, and says which of
//! them the run is not judged by, and why.

use flowquake_engine::env::Work;
use flowquake_engine::graph::JobSpec;
use flowquake_engine::time::nanos;
use flowquake_reports::formulas::{recovery as formula, trigger};
use flowquake_reports::record::prediction::{PredictedRecovery, Prediction};

use crate::exit_guard;
use crate::jobs::{Job, JobModel, Jobs, StateSize};
use crate::plan::job_spec;
use crate::plan::{InputSource, RunPlan};
use crate::profile;
use domain::Predicted;

mod capacity;
mod checkpoint;
mod domain;
mod recovery;
mod spread;
mod state;

pub use capacity::Capacity;

/// Everything that is known before the run, for all parts of the prediction.
struct Known<'a> {
    plan: &'a RunPlan,
    spec: JobSpec,
    model: &'a JobModel,
    /// Share of the records that each keyed subtask gets.
    shares: Vec<f64>,
    /// For each slot in use, the TaskManager that has it: index i of every vertex shares slot i.
    slots: Vec<usize>,
}

impl<'a> Known<'a> {
    fn of(plan: &'a RunPlan, model: &'a JobModel) -> Self {
        let slots = deal(plan.job.config.parallelism.into(), plan.cluster.task_managers);
        let spec = job_spec(plan);
        let shares = (model.shares)(&spec);
        Self { plan, spec, model, shares, slots }
    }

    /// A copy of this knowledge.
    fn again(&self) -> Self {
        let (spec, shares, slots) = (self.spec.clone(), self.shares.clone(), self.slots.clone());
        Self { plan: self.plan, spec, model: self.model, shares, slots }
    }

    /// Number of slots used on the busiest TaskManager. Slots are assigned in turn, so the first TaskManager has most.
    fn busiest(&self) -> u32 {
        self.slots.iter().filter(|node| **node == 0).count() as u32
    }

    fn parallelism(&self) -> u32 {
        self.plan.job.config.parallelism.into()
    }

    /// Records per second that arrive, with weights.
    fn rate(&self) -> Option<f64> {
        self.plan.job.input.rate.map(|rate| rate * self.plan.cluster.record_weight as f64)
    }

    /// Time in ns until the last subtask of the busiest TaskManager has done this work, if each does it. They share the
    /// cores.
    fn queued(&self, work: Work, tasks: u32) -> u64 {
        let cluster = &self.plan.cluster;
        nanos(cluster.rates.price(work)) * u64::from(tasks.div_ceil(cluster.cores))
    }

    /// Bytes that go one after the other to or from the stores, if each subtask of the busiest TaskManager has `of_one`
    /// bytes.
    fn on_the_way(&self, of_one: f64) -> f64 {
        of_one * f64::from(self.busiest().div_ceil(self.plan.cluster.store_streams))
    }

    /// Seconds to write a byte to the store and, if uploads are verified, to read it back.
    fn seconds_per_stored_byte(&self) -> f64 {
        let (cluster, verify) = (&self.plan.cluster, self.plan.job.config.checkpoints.verify_uploads);
        let read = if verify { 1.0 / cluster.store_read_throughput as f64 } else { 0.0 };
        1.0 / cluster.store_throughput as f64 + read
    }

    /// Keyed state, with weights, after records have arrived for `after_ns`.
    fn state(&self, after_ns: u64) -> StateSize {
        (self.model.state)(&self.spec, self.arrived(after_ns)) * self.plan.cluster.state_weight as f64
    }

    /// State, with weights, that is written by the records that arrive within `period_ns` up to `end_ns`.
    fn written(&self, end_ns: u64, period_ns: u64) -> StateSize {
        self.written_unweighted(end_ns, period_ns) * self.plan.cluster.state_weight as f64
    }

    /// The same in entries and bytes without weights.
    fn written_unweighted(&self, end_ns: u64, period_ns: u64) -> StateSize {
        let before = self.arrived(end_ns.saturating_sub(period_ns));
        (self.model.written)(&self.spec, before, self.arrived(end_ns) - before)
    }

    /// Simulated records that have arrived after `after_ns`.
    fn arrived(&self, after_ns: u64) -> f64 {
        let arrived = self.plan.job.input.rate.map_or(f64::MAX, |rate| rate * after_ns as f64 / 1e9);
        arrived.min(self.records().unwrap_or(f64::MAX))
    }

    /// Number of simulated records of the input; `None` for records of a file.
    fn records(&self) -> Option<f64> {
        match &self.plan.job.input.source {
            InputSource::Generator { records, .. } => Some(*records as f64),
            InputSource::File { .. } => None,
        }
    }
}

/// For each of `parallelism` slots, the TaskManager that has it. Slots are assigned in turn to `nodes`, as the
/// JobManager does it; all nodes have the same number of slots.
fn deal(parallelism: u32, nodes: u32) -> Vec<usize> {
    (0..parallelism as usize).map(|slot| slot % nodes.max(1) as usize).collect()
}

/// What limits the rate of the cluster of `plan`, with all nodes alive.
pub fn capacity(plan: &RunPlan, model: &JobModel) -> Capacity {
    capacity::of(&Known::of(plan, model))
}

/// The plan with the prediction that follows from the rest of it; without a prediction if its job is not known.
pub fn foresee(plan: &RunPlan, jobs: &Jobs) -> RunPlan {
    let prediction = jobs.get(&plan.job.name).ok().map(|job| predict(plan, job));
    RunPlan { prediction, ..plan.clone() }
}

/// Predicts a run. `job` is the job that the plan names.
pub fn predict(plan: &RunPlan, job: &Job) -> Prediction {
    let mut prediction = Prediction::default();
    if !profile::is_of_target(plan) {
        prediction
            .outside
            .push(format!("the prices of the plan are the simulator's, not those of `{}`", plan.target.name()));
        return prediction;
    }
    let _entered = exit_guard::enter(format!("the model of job `{}`", plan.job.name));
    let Some(model) = &job.model else {
        prediction.outside.push(format!("the job `{}` has no cost model", plan.job.name));
        return prediction;
    };
    let known = Known::of(plan, model);
    let capacity = capacity::of(&known).lowest();
    prediction.capacity = Some(capacity);
    let started = recovery::start(&known);
    let first_trigger = started + recovery::first_delay(&known, 1);
    let struck = recovery::only_fault(&known);
    // The time for which the state is predicted: the fault, or if there is none, when half of the input has arrived.
    let middle = plan.job.input.rate.zip(known.records()).map_or(0, |(rate, records)| (records / rate * 5e8) as u64);
    let state_at = struck.as_ref().ok().and_then(Option::as_ref).map_or(middle, |struck| struck.at_ns);
    let (interval, pause) = (nanos(plan.job.config.checkpoints.interval), nanos(plan.job.config.checkpoints.min_pause));
    // How much changes between two checkpoints depends on the time between them, and that depends on how long they
    // take.
    let typical = |period| state::typical(&known, state_at, period);
    let first_guess = checkpoint::parts(&known, typical(interval.max(pause)), interval.max(pause)).total_ns();
    let period = trigger::next_trigger(0, first_guess, interval, pause);
    let snapshot = typical(period);
    let parts = checkpoint::parts(&known, snapshot, period);
    let duration = parts.total_ns();
    let period = trigger::next_trigger(0, duration, interval, pause);
    prediction.state_at_ns = Some(state_at);
    prediction.state_bytes = Some(snapshot.bytes as u64);
    prediction.duration = Some(parts);
    prediction.cost_ns = Some(parts.sync_ns);
    prediction.period_ns = Some(period);
    let rate = known.rate();
    let cost = checkpoint::lost_work(&known, snapshot);
    let effective = |capacity: f64| {
        formula::capacity_with_checkpoints(capacity, rate.unwrap_or(0.0), cost / 1e9, period as f64 / 1e9)
    };
    prediction.effective_capacity = effective(capacity).ok();
    let mut predicted = Predicted {
        longest_ns: checkpoint::parts(&known, state::largest(&known, state_at, period), period).total_ns(),
        period_ns: period,
        state_at_ns: state_at,
        effective_capacity: prediction.effective_capacity,
        recovery: None,
        total_ns: None,
    };
    match (struck, rate) {
        (Err(why), _) => prediction.outside.push(why),
        (Ok(None), _) => {}
        (Ok(Some(_)), None) => {
            prediction.outside.push("without an input rate there is no backlog to catch up".into());
        }
        (Ok(Some(struck)), Some(rate)) => {
            let recovered = recovery::of(&known, &struck, started, first_trigger, period);
            let left = Known { slots: recovered.slots.clone(), ..known.again() };
            let after = capacity::of(&left).lowest();
            let effective = formula::capacity_with_checkpoints(after, rate, cost / 1e9, period as f64 / 1e9);
            let outage = recovered.parts.total_ns();
            let total = effective.and_then(|capacity| {
                formula::total(rate, capacity, recovered.age_ns as f64 / 1e9, outage as f64 / 1e9)
            });
            if let Err(why) = &total {
                prediction.outside.push(format!("time to catch up: {why}"));
            }
            prediction.recovery = Some(PredictedRecovery {
                fault: struck.fault,
                failed_at_ns: struck.at_ns,
                restored: recovered.restored,
                restored_bytes: Some(recovered.restored_bytes),
                snapshot_age_ns: recovered.age_ns,
                parts: recovered.parts,
                effective_capacity: effective.ok(),
                total_ns: total.ok().map(|seconds| (seconds * 1e9) as u64),
            });
            predicted.total_ns = prediction.recovery.as_ref().and_then(|recovery| recovery.total_ns);
            predicted.recovery = Some((&struck, &recovered));
            prediction.out_of_domain = domain::outside(&known, &predicted);
            return prediction;
        }
    }
    prediction.out_of_domain = domain::outside(&known, &predicted);
    prediction
}

#[cfg(test)]
mod tests;
