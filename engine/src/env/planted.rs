//! What planted bugs make of waiting. Exists only under the feature `mutations`; a bug changes nothing unless it is switched on.

use std::time::Duration;

use super::trouble::Bounds;
use super::{Env, World};
use crate::mutation::Mutation;

impl Env {
    /// Whether a planted bug is switched on.
    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        #[cfg(test)]
        if self.is_scripted() {
            return self.scripted_bugs().contains(&mutation);
        }
        match &self.0.world {
            World::Tokio(_) => false,
            #[cfg(feature = "sim")]
            World::Sim(world) => world.mutated(mutation),
        }
    }
}

/// [`Mutation::PausesWithoutBound`] and [`Mutation::NeverGivesUp`].
pub(super) fn bounds(env: &Env, bounds: Bounds) -> Bounds {
    Bounds {
        pause_max: if env.mutated(Mutation::PausesWithoutBound) { Duration::MAX } else { bounds.pause_max },
        give_up_after: if env.mutated(Mutation::NeverGivesUp) { Duration::MAX } else { bounds.give_up_after },
    }
}
