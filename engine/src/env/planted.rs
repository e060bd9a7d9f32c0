//! What planted bugs change in waiting and reading. Compiled only under the feature `mutations`; a bug that is not
//! switched on changes nothing.

use std::time::Duration;

use super::trouble::Bounds;
use super::{Checksum, Env, Store, World};
use crate::mutation::Mutation;

impl Env {
    /// Whether a planted bug is switched on; for code that only prepares the mistake.
    pub(crate) fn is_planted(&self, mutation: Mutation) -> bool {
        self.asked(mutation, false)
    }

    /// Whether a planted bug is switched on. Ask this last, when all other conditions for the mistake hold: a yes is
    /// recorded as the bug having acted.
    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.asked(mutation, true)
    }

    /// `mistake` says that a yes leads to the mistake.
    fn asked(&self, mutation: Mutation, mistake: bool) -> bool {
        #[cfg(test)]
        if self.is_scripted() {
            return self.scripted_bugs().contains(&mutation);
        }
        match &self.0.world {
            World::Tokio(_) => false,
            #[cfg(feature = "sim")]
            World::Sim(world) => world.is_planted(mutation, mistake),
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

/// [`Mutation::RestoreUnverified`]: the checksum of whatever is stored, instead of the expected one.
pub(super) async fn expected(env: &Env, store: &Store, path: &str, expected: Checksum) -> Checksum {
    if !env.is_planted(Mutation::RestoreUnverified) {
        return expected;
    }
    match store.get(path).await.as_deref().map(Checksum::of) {
        Ok(found) if found != expected && env.mutated(Mutation::RestoreUnverified) => found,
        _ => expected,
    }
}
