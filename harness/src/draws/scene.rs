//! What a swarm asks for, and the plan that its draws look at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flowquake_engine::env::{draw, draw_between};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Draws;
use crate::plan::{InputSource, RunPlan};

/// What a scenario's `[swarm]` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Least and greatest number of faults.
    pub faults: (u32, u32),
    /// Names of the kinds to draw from. Kinds that do not apply to the cluster or job of a seed are skipped.
    pub kinds: BTreeSet<&'static str>,
    /// Faults are aimed at what happens before this virtual time.
    pub until: Duration,
    /// Shortest and longest time that a fault lasts.
    pub heal_after: (Duration, Duration),
    /// How many TaskManagers may be down or unreachable at once; `None`: half of them.
    pub nodes_down: Option<u32>,
    /// Least and greatest number of generated records; `None`: as many as the input states.
    pub records: Option<(u64, u64)>,
    /// Whether settings are drawn as well, except for those in [`Swarm::written`].
    pub vary: bool,
    /// For kinds by name: how many faults of the kind must hurt something in 1,000 runs.
    pub min_hurt: BTreeMap<&'static str, u64>,
    /// Plan paths of the settings that the scenario states.
    pub written: BTreeSet<String>,
    /// Values that parameters of the job are drawn from, by name.
    pub params: BTreeMap<String, Vec<String>>,
    /// Number of operator chains of the job.
    pub vertices: u16,
    /// Whether the job keeps keyed state.
    pub keyed: bool,
}

/// Names all draws of a run by seed and scenario, so that two swarms do not draw the same from equal seeds.
pub(crate) fn stream(plan: &RunPlan) -> u64 {
    xxh3_64_with_seed(plan.scenario.as_bytes(), plan.seed)
}

/// What the draws of one seed look at. The settings have already been drawn.
pub(crate) struct Scene<'p> {
    pub(crate) swarm: &'p Swarm,
    pub(crate) plan: &'p RunPlan,
    /// Seed of all draws of the scene.
    pub(crate) seed: u64,
    /// TaskManagers that faults may strike (SWARM-W2).
    pub(crate) victims: Vec<String>,
}

impl<'p> Scene<'p> {
    pub(crate) fn new(swarm: &'p Swarm, plan: &'p RunPlan) -> Self {
        let nodes = plan.cluster.task_managers;
        let down = swarm.nodes_down.unwrap_or(nodes / 2).clamp(1, nodes.max(1));
        let seed = stream(plan);
        let draws = Draws { seed, entity: 0 };
        let mut left: Vec<u32> = (1..=nodes.max(1)).collect();
        let mut victims: Vec<u32> = Vec::new();
        for n in 0..u64::from(down) {
            let at = draw_between(draw(draws.seed, "swarm victim", 0, n), 0, left.len() as u64 - 1);
            victims.push(left.remove(at as usize));
        }
        victims.sort_unstable();
        Self { swarm, plan, seed, victims: victims.into_iter().map(|n| format!("tm-{n}")).collect() }
    }

    /// Whether the job finds enough slots if all victims are lost.
    pub(crate) fn bears_losses(&self) -> bool {
        let left = u64::from(self.plan.cluster.task_managers).saturating_sub(self.victims.len() as u64);
        left * u64::from(self.plan.cluster.slots) >= u64::from(self.plan.job.config.parallelism)
    }

    pub(crate) fn standbys(&self) -> bool {
        self.plan.cluster.job_managers > 1
    }

    /// How many checkpoints are triggered before the faults end, if nothing delays them.
    pub(crate) fn checkpoints(&self) -> u64 {
        let interval = self.plan.job.config.checkpoints.interval.max(Duration::from_millis(1));
        (self.swarm.until.as_nanos() / interval.as_nanos()).clamp(1, 100) as u64
    }

    /// Number of records of a generated input.
    pub(crate) fn records(&self) -> Option<u64> {
        match self.plan.job.input.source {
            InputSource::Generator { records, .. } => Some(records),
            InputSource::File { .. } => None,
        }
    }

    /// A point in time before the faults end.
    pub(crate) fn moment(&self, draws: &Draws) -> Duration {
        let until = self.swarm.until.as_millis().clamp(1, u64::MAX.into()) as u64;
        Duration::from_millis(draws.number("at", 0, until - 1))
    }
}
