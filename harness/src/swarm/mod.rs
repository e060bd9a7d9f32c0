//! A swarm: the faults of a run, and where it is asked for some of its settings, drawn from the seed within budgets.
//!
//! ```text
//! seed ─► settings (`vary`) ─► kinds that this seed leaves in (`kinds`) ─► fault by fault: kind, victim, trigger (`aim`), action
//! ```
//! Start at [`Swarm::draw`]. What comes out is a plain [`RunPlan`]: it replays, and shrinks, without its swarm.
//!
//! A swarm leaves things out on purpose: each seed switches whole families and single kinds off, since a run that suffers a
//! little of everything never gets deep into one thing.
//!
//! Invariants: (SWARM-W1) every drawn fault has an end, or takes for good only TaskManagers that the job can do without, all of those
//! that may be struck together, so that a correct engine survives it and the job finishes; (SWARM-W2) only as many
//! TaskManagers as may be down at once are ever struck, so no two faults together take more; (SWARM-W3) faults spoil at most
//! `retained - 1` checkpoints; (SWARM-W4) every draw is named by seed, scenario, purpose and number of the fault: more faults leave the
//! earlier ones as they were.
//! Source: Groce et al., "Swarm Testing", ISSTA 2012; FoundationDB's simulated workloads; TigerBeetle's VOPR.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flowquake_engine::env::{draw, draw_between};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::plan::{FaultPlan, InputSource, RunPlan};

mod aim;
mod kinds;
#[cfg(test)]
mod tests;
mod vary;

pub use kinds::{FAMILIES, KINDS, Kind, Need};

/// What a scenario's `[swarm]` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Least and greatest number of faults.
    pub faults: (u32, u32),
    /// Names of the kinds to draw from; those that do not apply to the cluster or job of a seed are passed over.
    pub kinds: BTreeSet<&'static str>,
    /// Faults are aimed at what happens before this virtual time.
    pub until: Duration,
    /// How long a fault lasts.
    pub heal_after: (Duration, Duration),
    /// So many TaskManagers may be down, or out of reach, at once; `None`: half of them.
    pub nodes_down: Option<u32>,
    /// Whether settings are drawn as well, except for those in [`Swarm::written`].
    pub vary: bool,
    /// Plan paths of the settings that the scenario states.
    pub written: BTreeSet<String>,
    /// Values that parameters of the job are drawn from, by name.
    pub params: BTreeMap<String, Vec<String>>,
    /// Number of operator chains of the job.
    pub vertices: u16,
    /// Whether the job keeps keyed state.
    pub keyed: bool,
}

impl Swarm {
    /// Fills in the faults that `plan.seed` makes of it, and its settings if they vary; notes both in the plan's options.
    pub fn draw(&self, plan: &mut RunPlan) {
        let mut options = vary::params(self, plan);
        if self.vary {
            options.extend(vary::vary(self, plan));
        }
        let scene = Scene::new(self, plan);
        let (faults, names) = faults(&scene);
        let listed = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        options.push(("kinds of faults".to_owned(), format!("{} (drawn)", listed(kinds::left_in(&scene)))));
        options.push(("faults".to_owned(), format!("{} (drawn)", names.join(", "))));
        // What was drawn is no default any more.
        plan.options.retain(|(name, _)| options.iter().all(|(drawn, _)| drawn != name));
        plan.options.splice(0..0, options);
        plan.faults = faults;
        plan.swarm = true;
        // Whatever was struck late, by an event that came late: then the job must recover.
        plan.heal_at = plan.heal_at.or(Some(self.until + self.heal_after.1));
    }
}

/// Names all draws of a run: by seed and scenario, so that two swarms do not draw the same from equal seeds.
fn stream(plan: &RunPlan) -> u64 {
    xxh3_64_with_seed(plan.scenario.as_bytes(), plan.seed)
}

/// What the draws of one seed look at: the settings are drawn by now.
struct Scene<'p> {
    swarm: &'p Swarm,
    plan: &'p RunPlan,
    /// Of all its draws.
    seed: u64,
    /// TaskManagers that faults may strike (SWARM-W2).
    victims: Vec<String>,
}

impl<'p> Scene<'p> {
    fn new(swarm: &'p Swarm, plan: &'p RunPlan) -> Self {
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

    /// Whether the slots of all other TaskManagers are enough for the job.
    fn bears_losses(&self) -> bool {
        let left = u64::from(self.plan.cluster.task_managers).saturating_sub(self.victims.len() as u64);
        left * u64::from(self.plan.cluster.slots) >= u64::from(self.plan.job.config.parallelism)
    }

    fn standbys(&self) -> bool {
        self.plan.cluster.job_managers > 1
    }

    /// How many checkpoints are triggered before the faults end, if nothing delays them.
    fn checkpoints(&self) -> u64 {
        let interval = self.plan.job.config.checkpoints.interval.max(Duration::from_millis(1));
        (self.swarm.until.as_nanos() / interval.as_nanos()).clamp(1, 100) as u64
    }

    /// Records of a generated input.
    fn records(&self) -> Option<u64> {
        match self.plan.job.input.source {
            InputSource::Generator { records, .. } => Some(records),
            InputSource::File { .. } => None,
        }
    }
}

/// The faults of a plan, and the name of each one's kind.
fn faults(scene: &Scene) -> (Vec<FaultPlan>, Vec<&'static str>) {
    let (least, most) = scene.swarm.faults;
    let count = Draws { seed: scene.seed, entity: 0 }.number("faults", least.into(), most.into());
    let left_in = kinds::left_in(scene);
    let mut spoils_left = scene.plan.job.config.checkpoints.retained.saturating_sub(1);
    let (mut faults, mut names) = (Vec::new(), Vec::new());
    for id in 1..=count as u32 {
        let draws = Draws { seed: scene.seed, entity: id.into() };
        let fitting: Vec<&Kind> =
            KINDS.iter().filter(|k| left_in.contains(k.name) && (spoils_left > 0 || !k.spoils_checkpoints())).collect();
        // Where the first fault is sure to hurt, few runs prove nothing.
        let biting: Vec<&Kind> = fitting.iter().copied().filter(|kind| id == 1 && kind.bites).collect();
        // Only damage is left in, and all that may be damaged is.
        let Some(kind) = draws.pick("kind", if biting.is_empty() { &fitting } else { &biting }) else { break };
        spoils_left -= u32::from(kind.spoils_checkpoints());
        faults.push(aim::fault(scene, &draws, kind, id));
        names.push(kind.name);
    }
    (faults, names)
}

/// The draws of one entity: the run as a whole (0) or the fault of that number.
struct Draws {
    seed: u64,
    entity: u64,
}

impl Draws {
    /// From `low` to `high`, both included.
    fn number(&self, what: &str, low: u64, high: u64) -> u64 {
        self.nth(what, 0, low, high)
    }

    fn nth(&self, what: &str, n: u64, low: u64, high: u64) -> u64 {
        draw_between(draw(self.seed, &format!("swarm {what}"), self.entity, n), low, high)
    }

    /// True for one in `of`.
    fn one_in(&self, what: &str, of: u64) -> bool {
        self.number(what, 1, of) == 1
    }

    fn pick<T: Clone>(&self, what: &str, from: &[T]) -> Option<T> {
        let at = self.number(what, 0, (from.len() as u64).saturating_sub(1));
        from.get(at as usize).cloned()
    }

    fn one_of<T: Copy, const N: usize>(&self, what: &str, from: [T; N]) -> T {
        const { assert!(N > 0, "nothing to draw from") };
        from[self.number(what, 0, N as u64 - 1) as usize]
    }

    /// Short ones are likelier: the lesser of two draws. Rounded down to whole milli- or microseconds, for its readers.
    fn duration(&self, what: &str, (low, high): (Duration, Duration)) -> Duration {
        let nanos = |duration: Duration| flowquake_engine::time::nanos(duration);
        let drawn = self.nth(what, 0, nanos(low), nanos(high)).min(self.nth(what, 1, nanos(low), nanos(high)));
        let unit = match drawn {
            10_000_000.. => 1_000_000,
            10_000.. => 1_000,
            _ => 1,
        };
        Duration::from_nanos(drawn - drawn % unit).max(low)
    }

    fn millis(&self, what: &str, low: u64, high: u64) -> Duration {
        self.duration(what, (Duration::from_millis(low), Duration::from_millis(high)))
    }
}
