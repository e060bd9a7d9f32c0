//! The planted bugs of a simulated world. Exists only under the feature `mutations`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{SimNode, SimWorld};
use crate::mutation::Mutation;

/// Those that are switched on, and what is told when one of them makes its mistake.
pub(super) type Planted = Mutex<(Vec<Mutation>, Arc<AtomicBool>)>;

impl SimWorld {
    /// Switches bugs on, in every node. `reached` becomes true as soon as one of them makes its mistake: a bug whose code never
    /// runs proves nothing about who should have caught it.
    pub fn plant(&self, bugs: &[Mutation], reached: &Arc<AtomicBool>) {
        let mut planted = self.planted.lock().expect("no panic inside");
        planted.0.extend(bugs);
        planted.1 = reached.clone();
    }
}

impl SimNode {
    pub(in crate::env) fn is_planted(&self, mutation: Mutation) -> bool {
        self.world.planted.lock().expect("no panic inside").0.contains(&mutation)
    }

    /// Asked last, when all else says that the mistake would be made here: yes means that it is.
    pub(in crate::env) fn mutated(&self, mutation: Mutation) -> bool {
        let planted = self.world.planted.lock().expect("no panic inside");
        let is_on = planted.0.contains(&mutation);
        if is_on {
            planted.1.store(true, Ordering::Relaxed);
        }
        is_on
    }
}
