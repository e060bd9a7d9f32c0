//! A swarm draws the faults of a run, and if asked some of its settings, from the seed within budgets.
//!
//! ```text
//! seed ─► settings (`vary`) ─► kinds that this seed leaves in (`kinds`) ─► fault by fault: kind, victim, trigger (`aim`), action
//! ```
//! Start at [`Swarm::draw`]. The result is an ordinary [`RunPlan`], which can be replayed and shrunk without its swarm.
//!
//! A swarm leaves things out on purpose: each seed switches off whole families and single kinds of faults, because a
//! run that suffers a little of everything never gets deep into one thing.
//!
//! Invariants: (SWARM-W1) every drawn fault has an end, or takes for good only TaskManagers that the job can do without
//! even if all TaskManagers that may be struck are lost together, so that a correct engine survives it and the job
//! finishes; (SWARM-W2) only as many TaskManagers as may be down at once are ever struck, so no two faults together
//! take more; (SWARM-W3) faults spoil at most `retained - 1` checkpoints; (SWARM-W4) every draw is named by seed,
//! scenario, purpose and number of the fault: more faults leave the earlier ones as they were.
//! Source: Groce et al., "Swarm Testing", ISSTA 2012; FoundationDB's simulated workloads; TigerBeetle's VOPR.

use std::collections::BTreeSet;

use crate::draws::{Draws, Scene};
use crate::faults::Kind;
use crate::plan::{FaultPlan, RunPlan};

mod aim;
mod kinds;
mod scale;
#[cfg(test)]
mod tests;
mod vary;

pub use crate::draws::{Need, Swarm};

impl Swarm {
    /// Fills in the faults that `plan.seed` gives, and the settings if they vary. Notes both in the plan's options.
    pub fn draw(&self, plan: &mut RunPlan) {
        let mut options = vary::params(self, plan);
        options.extend(vary::records(self, plan));
        if self.vary {
            options.extend(vary::vary(self, plan));
            options.extend(scale::scale(self, plan));
        }
        let scene = Scene::new(self, plan);
        let (faults, names) = faults(&scene);
        let listed = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        options.push(("kinds of faults".to_owned(), format!("{} (drawn)", listed(kinds::left_in(&scene)))));
        options.push(("faults".to_owned(), format!("{} (drawn)", names.join(", "))));
        plan.faults = faults;
        if self.vary {
            let spoilt = Kind::ALL.iter().any(|kind| names.contains(&kind.name()) && spoils(kind));
            options.extend(scale::verify(self, plan, spoilt));
        }
        // A setting that was drawn is no longer a default.
        plan.options.retain(|(name, _)| options.iter().all(|(drawn, _)| drawn != name));
        plan.options.splice(0..0, options);
        plan.swarm = true;
        // Even a fault that struck late, because its event came late, has ended by then, so the job must recover.
        plan.heal_at = plan.heal_at.or(Some(self.until + self.heal_after.1));
    }
}

/// Changes to a plan that this swarm has drawn. They keep the swarm's budgets.
impl Swarm {
    /// One more fault for such a plan, of this kind or of a kind that is drawn. `entity` names its draws, so that all
    /// others stay as they were (SWARM-W4). `None`: the kind does not apply to the plan.
    pub fn another(&self, plan: &RunPlan, kind: Option<Kind>, entity: u64, id: u32) -> Option<FaultPlan> {
        let scene = Scene::new(self, plan);
        let draws = Draws { seed: scene.seed, entity };
        let kind = match kind {
            Some(kind) => kind,
            None => {
                let all: Vec<Kind> =
                    Kind::ALL.iter().copied().filter(|kind| self.kinds.contains(kind.name())).collect();
                draws.pick("kind", &all)?
            }
        };
        kind.spec().drawn.need.unmet(plan, self.keyed).is_none().then(|| aim::fault(&scene, &draws, kind, id))
    }

    /// The TaskManagers that faults of such a plan may strike (SWARM-W2).
    pub fn victims(&self, plan: &RunPlan) -> Vec<String> {
        Scene::new(self, plan).victims
    }

    /// Whether the job can do without these TaskManagers for good (SWARM-W1).
    pub fn bears_losses(&self, plan: &RunPlan) -> bool {
        Scene::new(self, plan).bears_losses()
    }

    /// Whether the faults spoil no more checkpoints than they may (SWARM-W3), spoil none if uploads are not read back,
    /// and all apply to the plan.
    pub fn is_within(&self, plan: &RunPlan) -> bool {
        let kinds = || plan.faults.iter().map(|fault| Kind::of(&fault.action).spec());
        let spoils = kinds().filter(|kind| kind.drawn.spoils_checkpoints()).count();
        let trusts = self.vary && !self.written.contains(scale::VERIFY) && !plan.job.config.checkpoints.verify_uploads;
        spoils < plan.job.config.checkpoints.retained.max(1) as usize
            && !(trusts && spoils > 0)
            && kinds().all(|kind| kind.drawn.need.unmet(plan, self.keyed).is_none())
    }
}

fn spoils(kind: &Kind) -> bool {
    kind.spec().drawn.spoils_checkpoints()
}

/// The faults of a plan, and the name of each fault's kind.
fn faults(scene: &Scene) -> (Vec<FaultPlan>, Vec<&'static str>) {
    let (least, most) = scene.swarm.faults;
    let count = Draws { seed: scene.seed, entity: 0 }.number("faults", least.into(), most.into());
    let left_in = kinds::left_in(scene);
    let mut spoils_left = scene.plan.job.config.checkpoints.retained.saturating_sub(1);
    let (mut faults, mut names) = (Vec::new(), Vec::new());
    for id in 1..=count as u32 {
        let draws = Draws { seed: scene.seed, entity: id.into() };
        let fitting: Vec<&Kind> = Kind::ALL
            .iter()
            .filter(|kind| left_in.contains(kind.name()) && (spoils_left > 0 || !spoils(kind)))
            .collect();
        // If the first fault is certain to hurt something, few runs prove nothing.
        let biting: Vec<&Kind> = fitting.iter().copied().filter(|kind| id == 1 && kind.spec().drawn.bites).collect();
        // Nothing is left to draw: only damage is left in, and its budget is used up.
        let Some(kind) = draws.pick("kind", if biting.is_empty() { &fitting } else { &biting }) else { break };
        spoils_left -= u32::from(spoils(kind));
        faults.push(aim::fault(scene, &draws, *kind, id));
        names.push(kind.name());
    }
    (faults, names)
}
