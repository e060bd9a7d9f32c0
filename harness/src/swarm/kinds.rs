//! Which kinds of faults a seed draws from, and which roles they may strike.
//!
//! How each kind is drawn stands in its own file ([`crate::faults`]).

use std::collections::BTreeSet;

use crate::draws::{Draws, Role, Scene};
use crate::faults::{Family, Kind};

/// Whether there is a victim of this role that the kind may strike. A wrong clock on the only JobManager is excluded,
/// because no other JobManager could take over.
pub(super) fn lives(kind: Kind, role: Role, scene: &Scene) -> bool {
    match role {
        Role::TaskManager => true,
        Role::Leader => kind.spec().family != Family::Time || scene.standbys(),
        Role::Standby => scene.standbys(),
    }
}

/// The kinds that this seed leaves in. If any kinds apply, at least one is left in.
pub(super) fn left_in(scene: &Scene) -> BTreeSet<&'static str> {
    let applies = |kind: &&Kind| {
        let unmet = kind.spec().drawn.need.unmet(scene.plan, scene.swarm.keyed);
        scene.swarm.kinds.contains(kind.name()) && unmet.is_none()
    };
    let candidates: Vec<&Kind> = Kind::ALL.iter().filter(applies).collect();
    let draws = Draws { seed: scene.seed, entity: 0 };
    let on = |what: &str, name: &str| draws.one_in(&format!("{what} {name}"), 2);
    let left: BTreeSet<&str> = candidates
        .iter()
        .filter(|kind| on("family", kind.spec().family.name()) && on("kind", kind.name()))
        .map(|kind| kind.name())
        .collect();
    if left.is_empty() { draws.pick("only kind", &candidates).iter().map(|kind| kind.name()).collect() } else { left }
}
